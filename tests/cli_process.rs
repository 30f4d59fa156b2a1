//! How the program behaves as a process: exit codes, pipes, signals, help, generated files.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cli_common::{Home, bare, error_of, json_of, text_of};

const COMMANDS: [&str; 19] = [
    "setup",
    "sync",
    "check",
    "graph",
    "new",
    "mut8",
    "rel8",
    "restore",
    "get",
    "put",
    "log",
    "conflicts",
    "merge show",
    "serve",
    "verify",
    "hash",
    "transform",
    "keystone verify",
    "generate",
];

#[test]
fn every_command_has_help_with_an_example() {
    let help = text_of(&bare(&["--help"]).assert().success());
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let own = text_of(&bare(&words).arg("--help").assert().success());
        let (_, example) = own.split_once("Example").expect(command);
        assert!(example.contains(&format!("sync-gib {command}")), "{command}: {own}");
        assert!(own.contains("--json"), "{command}");
        assert!(help.contains(&format!("\n  {} ", words[0])), "{command}");
    }
}

#[test]
fn usage_errors_exit_with_2_and_are_json_where_asked() {
    for args in [&["nonsense"][..], &["get"], &["log", "--limit", "x"], &["setup", "--join", "x"]] {
        let out = bare(args).assert().code(2);
        assert!(text_of(&out).is_empty());
        assert!(error_of(&out).contains("--help"), "{}", error_of(&out));
        let out = bare(args).arg("--json").assert().code(2);
        let failure = json_of(&out);
        assert_eq!(failure["ok"], false);
        assert_eq!(failure["error"]["code"], "usage");
        assert_eq!(failure["exit"], 2);
        assert!(error_of(&out).is_empty());
    }
    let out = bare(&["get", "--json"]).assert().code(2);
    assert_eq!(json_of(&out)["command"], "get");
    bare(&["get", "X"]).env("SYNC_GIB_HOME", "").assert().code(2);
}

#[test]
fn a_failure_says_what_and_what_next() {
    let home = Home::new();
    let out = home.cmd(&["log"]).assert().code(4);
    let error = error_of(&out);
    assert!(error.contains("there is no space at") && error.contains("hint: "), "{error}");
    let out = home.cmd(&["log", "--json"]).assert().code(4);
    assert!(json_of(&out)["error"]["hint"].as_str().unwrap().contains("sync-gib setup"));
    assert!(error_of(&out).is_empty());
}

/// The program in a home, its standard streams all pipes.
#[test]
fn a_secrets_file_that_cannot_be_read_is_a_missing_secret() {
    let home = Home::new();
    let absent = home.path().join("absent");
    let out = { home.cmd(&["setup", "--json", "--secret-file"]) }.arg(absent).assert().code(5);
    assert_eq!(json_of(&out)["error"]["code"], "secret_refused");
}

fn spawn(home: &Home, args: &[&str]) -> std::process::Child {
    Command::new(assert_cmd::cargo::cargo_bin("sync-gib"))
        .args(args)
        .env("SYNC_GIB_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_reader_that_stops_early_ends_it_quietly() {
    let home = Home::new();
    let mut stones = String::new();
    let mut rel8ns = serde_json::Map::new();
    let addrs: Vec<String> = (0..3000)
        .map(|i| {
            let data = Some(serde_json::json!({ "i": i }));
            let stone = sync_gib::ibgib::IbGib::new("stone".into(), data, None).unwrap();
            stones.push_str(&(stone.to_json() + "\n"));
            stone.addr().unwrap().to_string()
        })
        .collect();
    rel8ns.insert("all".into(), addrs.into());
    let root = sync_gib::ibgib::IbGib::new("root".into(), None, Some(rel8ns)).unwrap();
    stones.push_str(&root.to_json());
    { home.cmd(&["put"]) }.write_stdin(stones).assert().success();
    let root = root.addr().unwrap().to_string();
    for args in [
        &["graph", &root][..],
        &["graph", &root, "--format", "ndjson"],
        &["graph", &root, "--json"],
    ] {
        let mut child = spawn(&home, args);
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 64]).unwrap();
        drop(out);
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {error}");
        assert_eq!(error, "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_130_and_changes_nothing() {
    let home = Home::new();
    let mut child = spawn(&home, &["put"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"{\"ib\":\"stone\",\"data\":1}\n").unwrap();
    // The space is made after the signal is taken over.
    while !home.path().join("space.db").exists() {
        std::thread::yield_now();
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
    assert!(home.ok(&["log"]).is_empty());
}

#[cfg(unix)]
#[test]
fn the_home_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let deep = home.path().join("a/b");
    bare(&["new", "--home", deep.to_str().unwrap()]).assert().success();
    assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn completions_and_man_pages_are_those_of_this_build() {
    let fresh = Home::new();
    bare(&["generate", fresh.path().to_str().unwrap()]).assert().success();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["completions", "man"] {
        assert_eq!(
            files(&root.join(dir)),
            files(&fresh.path().join(dir)),
            "run `cargo run -- generate .`"
        );
        for file in files(&root.join(dir)) {
            let kept = fs::read_to_string(root.join(dir).join(&file)).unwrap();
            let made = fs::read_to_string(fresh.path().join(dir).join(&file)).unwrap();
            assert!(
                kept == made,
                "{dir}/{} is stale: run `cargo run -- generate .`",
                file.display()
            );
        }
    }
}
