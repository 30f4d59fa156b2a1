//! What the program shows on a terminal, and that a pipe gets the bytes as they are.
#![cfg(feature = "cli")]
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;
mod terminal_common;

use std::process::{Command, Stdio};

use cli_common::Home;
use serde_json::{Value, json};
use sync_gib::ibgib::IbGib;
use terminal_common::Terminal;

/// What a terminal obeys or does not show: C1 and DEL, bidi, of no width, tags.
const HIDDEN: &str = "\u{7f}\u{85}\u{9b}31m\u{9d}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\
    \u{2069}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{e0001}\u{e0041}\u{e007f}";
/// What is seen on it.
const SEEN: &str = "é 日本 👍";

/// A home with one stone that holds them, and its address.
fn with_stone() -> (Home, IbGib, String) {
    let home = Home::new();
    let data = json!({ "text": format!("{HIDDEN}{SEEN}"), (format!("key {HIDDEN}")): 1 });
    let stone = IbGib::new(format!("no{HIDDEN}te"), Some(data), None).unwrap();
    home.cmd(&["put"]).write_stdin(stone.to_json()).assert().success();
    let addr = stone.addr().unwrap().to_string();
    (home, stone, addr)
}

fn command(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-gib"));
    command.args(args).env("SYNC_GIB_HOME", home.path());
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// What the command shows on a terminal, as text with plain line ends.
fn on_terminal(home: &Home, args: &[&str]) -> String {
    let terminal = Terminal::open();
    let mut child = command(home, args).stdout(terminal.stream()).spawn().unwrap();
    let shown = terminal.read_all();
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

fn in_pipe(home: &Home, args: &[&str]) -> String {
    String::from_utf8(command(home, args).output().unwrap().stdout).unwrap()
}

fn assert_seen(shown: &str, args: &[&str]) {
    let hidden: Vec<char> = HIDDEN.chars().filter(|c| !c.is_ascii_graphic()).collect();
    let found: Vec<char> = shown.chars().filter(|c| hidden.contains(c)).collect();
    assert!(found.is_empty(), "{args:?}: {found:?} in {shown}");
}

#[test]
fn json_on_a_terminal_escapes_what_is_not_seen_and_still_says_the_same() {
    let (home, stone, addr) = with_stone();
    let whole = json!({ "ib": stone.ib, "gib": stone.gib, "data": stone.data });
    for args in [&["get", &addr][..], &["graph", &addr, "--format", "ndjson"]] {
        let shown = on_terminal(&home, args);
        assert_seen(&shown, args);
        assert!(shown.contains(SEEN) && shown.contains("\\u009b31m"), "{shown}");
        assert!(shown.contains("\\udb40\\udc41"), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), whole, "{args:?}");
    }
    for args in [
        &["get", &addr, "--json"][..],
        &["graph", &addr, "--json"],
        &["graph", &addr, "--format", "json"],
    ] {
        let shown = on_terminal(&home, args);
        assert_seen(&shown, args);
        let object: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(object["ibGibs"], json!([whole]), "{args:?}");
    }
}

#[test]
fn every_json_object_on_a_terminal_is_escaped_failures_too() {
    let (home, _, addr) = with_stone();
    let gone = addr.replace("te^", "t^");
    for args in [
        &["log", &addr, "--json"][..],
        &["graph", &addr, "--stats", "--json"],
        &["get", &gone, "--json"],
        &["new", "--stone", "--ib", "a\u{200b}b", "--json"],
    ] {
        let shown = on_terminal(&home, args);
        assert_seen(&shown, args);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["command"], args[0]);
    }
}

#[test]
fn lines_on_a_terminal_show_what_is_hidden() {
    let (home, _, addr) = with_stone();
    for args in [
        &["graph", &addr][..],
        &["graph", &addr, "--format", "dot"],
        &["graph", &addr, "--format", "mermaid"],
        &["new", "--ib", "a\u{200b}b"],
        &["log"],
    ] {
        let shown = on_terminal(&home, args);
        assert!(!shown.is_empty(), "{args:?}");
        assert_seen(&shown, args);
    }
}

#[test]
fn in_a_pipe_the_bytes_stay() {
    let (home, stone, addr) = with_stone();
    let text = stone.to_json() + "\n";
    assert_eq!(in_pipe(&home, &["get", &addr]), text);
    assert_eq!(in_pipe(&home, &["graph", &addr, "--format", "ndjson"]), text);
    let object = in_pipe(&home, &["get", &addr, "--json"]);
    assert!(object.contains(text.trim_end()), "{object}");
    let printed = in_pipe(&home, &["new", "--stone", "--ib", "a\u{200b}b"]);
    assert!(printed.starts_with("a\u{200b}b^"), "{printed}");
}
