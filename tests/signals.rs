//! Real signals to real processes: the one JSON object, the exit code, and nothing half done.
#![cfg(feature = "cli")]
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;
mod terminal_common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cli_common::Home;
use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone::{self, KdfParams, MasterSecret, presets};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};
use terminal_common::Terminal;

/// Each signal with what a process exits with.
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];
/// How long anything may take before a test takes it for hanging.
const LONG: Duration = Duration::from_secs(60);

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-gib"));
    command.args(args).env("SYNC_GIB_HOME", home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
}

/// Signals a command that waits; it must end with the one object.
fn interrupted(mut child: Child, name: &str, exit: i32) -> Output {
    // Its standard input stays open, so that nothing but the signal ends it.
    let stdin = child.stdin.take();
    signal(&child, name);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(exit), "{name}: {output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["ok"], false);
    assert_eq!(object["error"]["code"], "interrupted");
    assert!(object["error"]["message"].as_str().unwrap().contains(name));
    assert_eq!(object["exit"], exit);
    assert_eq!(output.stderr, b"", "{name}");
    output
}

/// A space with an identity whose secret is `secret`, stretched as `params` say.
fn with_identity(home: &Path, params: &KdfParams) -> SqliteSpace {
    let master = MasterSecret::from_raw("secret".to_owned().into()).unwrap();
    let details = json!({ "kdf": params.to_value() });
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis = keystone::genesis(&master, &pools, Some(details), &System::new()).unwrap();
    let space = SqliteSpace::create_if_missing(&home.join("space.db"), Domain::Client).unwrap();
    space.put_all(std::slice::from_ref(&genesis)).unwrap();
    space.set_name("I", &genesis.addr().unwrap().into()).unwrap();
    space
}

/// Gives the secret on standard input.
fn tell_secret(child: &mut Child) {
    child.stdin.take().unwrap().write_all(b"secret").unwrap();
}

#[test]
fn a_signal_ends_a_command_that_reads_with_the_one_object_and_changes_nothing() {
    for (name, exit) in SIGNALS {
        let home = Home::new();
        let mut child = command(home.path(), &["put", "--json"]).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"{\"ib\":\"stone\",\"data\":1}\n").unwrap();
        eventually("the space", || home.path().join("space.db").exists());
        let output = interrupted(child, name, exit);
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["command"], "put");
        drop(input);
        assert!(home.ok(&["log"]).is_empty());
    }
}

#[test]
fn a_signal_ends_a_command_that_waits_for_the_spaces_lock() {
    for (name, exit) in SIGNALS {
        let home = Home::new();
        home.ok(&["new", "--ib", "note"]);
        let other = rusqlite::Connection::open(home.path().join("space.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let child = command(home.path(), &["new", "--ib", "late", "--json"]).spawn().unwrap();
        let log = home.path().join("space.db-wal");
        let opened = || {
            let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
            let open = open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
            open.into_iter().any(|path| path == log)
        };
        eventually("waiting", opened);
        interrupted(child, name, exit);
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(home.json(&["log"])["timelines"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_signal_ends_a_command_that_waits_for_the_network() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for (name, exit) in SIGNALS {
        let home = Home::new();
        drop(with_identity(home.path(), &KdfParams::Raw));
        let config = json!({ "version": 1, "server": url });
        std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
        let args = ["sync", "--json", "--secret-file", "-"];
        let mut child = command(home.path(), &args).spawn().unwrap();
        tell_secret(&mut child);
        let _request = silent.accept().unwrap();
        interrupted(child, name, exit);
    }
}

#[test]
fn a_signal_ends_a_command_that_stretches_a_secret() {
    const MIB: u64 = 256;
    let costly = KdfParams::Argon2id { salt: [1; 16], m_kib: (MIB as u32) << 10, t: 16, p: 1 };
    for (name, exit) in SIGNALS {
        let home = Home::new();
        drop(with_identity(home.path(), &costly));
        let args = ["sync", "--json", "--secret-file", "-"];
        let mut child = command(home.path(), &args).spawn().unwrap();
        tell_secret(&mut child);
        // The memory fills in the first of 16 passes.
        let resident = || {
            let pages = std::fs::read_to_string(format!("/proc/{}/statm", child.id())).unwrap();
            pages.split(' ').nth(1).unwrap_or("0").parse::<u64>().unwrap() * 4096
        };
        eventually("stretching", || resident() > (MIB << 20) / 2);
        interrupted(child, name, exit);
    }
}

#[test]
fn a_reader_that_takes_nothing_is_not_waited_for() {
    let home = Home::new();
    let text = "x".repeat(1 << 20);
    let stone = IbGib::new("stone".into(), Some(json!(text)), None).unwrap();
    home.cmd(&["put"]).write_stdin(stone.to_json()).assert().success();
    let addr = stone.addr().unwrap().to_string();
    let mut child = command(home.path(), &["get", &addr, "--json"]).spawn().unwrap();
    let mut begun = [0; 64];
    child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_signal_without_json_prints_nothing() {
    for (name, exit) in SIGNALS {
        let home = Home::new();
        let mut child = command(home.path(), &["put"]).spawn().unwrap();
        eventually("the space", || home.path().join("space.db").exists());
        let stdin = child.stdin.take();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!(output.status.code(), Some(exit));
        assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
    }
}

#[test]
fn a_server_ends_in_order_at_each_signal() {
    for (name, _) in SIGNALS {
        let home = Home::new();
        let args = ["serve", "--json", "--listen", "127.0.0.1:0"];
        let mut child = command(home.path(), &args).spawn().unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert!(object["url"].as_str().unwrap().starts_with("http://"));
        signal(&child, name);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "one object");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn a_server_that_does_not_listen_yet_is_interrupted() {
    let home = Home::new();
    home.ok(&["new", "--ib", "note"]);
    let space = home.path().join("space.db");
    let other = rusqlite::Connection::open(&space).unwrap();
    // What a server does first waits for this.
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let space = space.to_str().unwrap();
    let args = ["serve", "--json", "--listen", "127.0.0.1:0", "--space", space];
    let child = command(home.path(), &args).spawn().unwrap();
    let log = home.path().join("space.db-wal");
    let opened = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let open = open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        open.into_iter().any(|path| path == log)
    };
    eventually("waiting", opened);
    interrupted(child, "TERM", 143);
}

#[test]
fn a_command_that_was_started_to_survive_its_terminal_does() {
    let home = Home::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" put --json"]);
    shell.arg(env!("CARGO_BIN_EXE_sync-gib")).env("SYNC_GIB_HOME", home.path());
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the space", || home.path().join("space.db").exists());
    signal(&child, "HUP");
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_signal_gives_a_terminal_its_echo_back() {
    for (name, exit) in SIGNALS {
        let home = Home::new();
        let mut terminal = Terminal::open();
        let mut setup = Command::new("setsid");
        setup.args(["--ctty", env!("CARGO_BIN_EXE_sync-gib"), "setup", "--json"]);
        setup.env("SYNC_GIB_HOME", home.path()).stdout(Stdio::piped());
        setup.stdin(terminal.stream()).stderr(terminal.stream());
        // It leads no group, so that `setsid` becomes the program itself.
        let child = setup.spawn().unwrap();
        let echoes = |terminal: &Terminal| {
            let modes = rustix::termios::tcgetattr(&terminal.master).unwrap().local_modes;
            modes.contains(rustix::termios::LocalModes::ECHO)
        };
        terminal.read_until("New secret: ");
        eventually("asking without echo", || !echoes(&terminal));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{name}");
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["error"]["code"], "interrupted");
        assert!(echoes(&terminal), "{name}");
    }
}
