//! The client in `examples/python`, written from docs/protocol.md, against the built server and beside
//! the built client. `SYNC_GIB_PYTHON` names the Python that runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use net_common::{Serve, World};
use serde_json::Value;

/// The Python to run; none, with a word on why, where none is named and `python3` does not do.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SYNC_GIB_PYTHON");
    let python = named.clone().map_or_else(|| "python3".into(), PathBuf::from);
    let import = Command::new(&python).args(["-c", "import websockets"]).output();
    let problem = match import {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let python = python.display();
    assert!(named.is_none(), "SYNC_GIB_PYTHON={python} cannot import `websockets`: {problem}");
    eprintln!("not tested: {python} cannot import `websockets` (see examples/python/README.md)");
    None
}

/// A script of the client, not yet started.
fn script(python: &Path, name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python").join(name);
    let mut command = Command::new(python);
    command.arg("-B").arg(path).stdin(Stdio::null());
    command
}

/// A device that runs the Python client.
struct PythonClient<'a> {
    python: &'a Path,
    world: &'a World,
    store: &'a str,
}

impl PythonClient<'_> {
    fn run(&self, args: &[&str]) -> Output {
        let mut command = script(self.python, "client.py");
        command.arg("--store").arg(self.world.path(self.store)).args(args);
        if !matches!(args[0], "new" | "mut8") {
            command.arg("--secret-file").arg(self.world.secret());
        }
        command.output().unwrap()
    }

    /// Runs what must end with this code; returns what it said.
    fn exits(&self, exit: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let text = [output.stderr, output.stdout].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {text}");
        text.trim_end().to_owned()
    }

    fn ok(&self, args: &[&str]) -> String {
        self.exits(0, args)
    }

    /// Both sides hold the same, as this client sees it.
    fn checks(&self) {
        let text = self.ok(&["check"]);
        assert!(text.ends_with("ALL CHECKS PASSED"), "{text}");
    }
}

/// A timeline's data in a home of the Rust client.
fn data(world: &World, home: &str, addr: &str) -> Value {
    world.json(home, &["get", addr])["ibGibs"][0]["data"].clone()
}

/// Both sides hold the same, as the Rust client sees it.
fn rust_checks(world: &World, home: &str) {
    let text = world.ok(home, &["check"]);
    assert!(text.contains("ALL PHASE 3B CHECKS PASSED"), "{text}");
    world.ok(home, &["check", "--local"]);
}

#[test]
fn it_computes_what_the_vectors_hold() {
    let Some(python) = python() else { return };
    let output = script(&python, "vectors.py").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), "all vectors hold");
}

#[test]
fn an_identity_made_in_python_syncs_both_ways() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };

    let identity = client.ok(&["register", "--server", &server.url]);
    assert_eq!(client.ok(&["register", "--server", &server.url]), identity, "the same again");
    let x = client.ok(&["new", "note", r#"{"title":"groceries","10":1,"9":[{"b":1e21,"a":0.5}]}"#]);
    let text = client.ok(&["push"]);
    assert!(text.ends_with("turns 3, sent 4, received 0"), "{text}");
    client.checks();
    client.ok(&["mut8", &x, r#"{"text":"bread"}"#]);
    let text = client.ok(&["push"]);
    assert!(text.ends_with("turns 3, sent 2, received 0"), "{text}");
    let text = client.ok(&["push"]);
    assert_eq!(text, "turns 2, sent 0, received 0");
    client.checks();

    let join = ["setup", "--server", &server.url, "--join", &identity, "--raw-secret"];
    world.ok("rust", &join);
    world.ok("rust", &["sync"]);
    assert_eq!(data(&world, "rust", "X")["text"], "bread");
    world.ok("rust", &["mut8", "X", "--set", "text=bread, milk"]);
    world.ok("rust", &["new", "--ib", "tag", "--stone"]);
    world.ok("rust", &["sync"]);
    rust_checks(&world, "rust");

    let text = client.exits(1, &["check"]);
    assert!(text.contains("is the latest here"), "{text}");
    let text = client.ok(&["pull"]);
    assert!(text.ends_with("turns 3, sent 0, received 3"), "{text}");
    client.checks();
    client.ok(&["mut8", &x, r#"{"text":"bread, milk, eggs"}"#]);
    client.ok(&["push"]);
    world.ok("rust", &["sync"]);
    assert_eq!(data(&world, "rust", "X")["text"], "bread, milk, eggs");
    rust_checks(&world, "rust");
}

#[test]
fn python_joins_an_identity_made_in_rust() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("rust", &["setup", "--server", &server.url, "--raw-secret"]);
    let identity = setup["identity"].as_str().unwrap();
    let comment = world.json("rust", &["new", "--ib", "comment"])["addr"].clone();
    let comment = comment.as_str().unwrap();
    world.ok("rust", &["rel8", "X", "--add", &format!("comment={comment}")]);
    world.ok("rust", &["mut8", comment, "--set", "text=later than what X relates to"]);
    for n in 0..20 {
        world.ok("rust", &["mut8", "X", "--set", &format!("n{n}={n}")]);
    }
    world.ok("rust", &["sync"]);

    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };
    let join = ["register", "--server", &server.url, "--join", identity];
    assert_eq!(client.ok(&join), identity);
    client.ok(&["pull"]);
    client.checks();
    let x = setup["x"].as_str().unwrap();
    client.ok(&["mut8", x, r#"{"from":"python"}"#]);
    client.ok(&["push"]);
    client.checks();
    world.ok("rust", &["sync"]);
    assert_eq!(data(&world, "rust", "X")["from"], "python");
    rust_checks(&world, "rust");
}

#[test]
fn what_both_sides_edited_stays_as_it_is_and_is_named() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };
    let identity = client.ok(&["register", "--server", &server.url]);
    let x = client.ok(&["new", "note", r#"{"text":"bread"}"#]);
    client.ok(&["push"]);
    world.ok("rust", &["setup", "--server", &server.url, "--join", &identity, "--raw-secret"]);
    world.ok("rust", &["sync"]);
    world.ok("rust", &["mut8", "X", "--set", "text=rust"]);
    world.ok("rust", &["sync"]);

    client.ok(&["mut8", &x, r#"{"text":"python"}"#]);
    client.ok(&["new", "note", r#"{"text":"another"}"#]);
    let pushed = client.exits(1, &["push"]);
    let pulled = client.exits(1, &["pull"]);
    for text in [&pushed, &pulled] {
        assert!(text.contains(&format!("diverged {x}")), "{text}");
    }
    let other = pushed.lines().find_map(|line| line.strip_prefix("pushed ")).expect(&pushed);
    world.ok("rust", &["sync"]);
    assert_eq!(data(&world, "rust", "X")["text"], "rust");
    assert_eq!(data(&world, "rust", other)["text"], "another");

    std::fs::write(world.secret(), "another secret\n").unwrap();
    let text = client.exits(5, &["push"]);
    assert!(text.contains("the secret is not this identity's"), "{text}");
}
