//! The client in `examples/python`, written from docs/protocol.md, against the built server and beside
//! the built client. `SYNC_GIB_PYTHON` names the Python that runs it.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use net_common::{Serve, World};
use serde_json::Value;
use sync_gib::ibgib::{System, TjpAddr};
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Domain, PutOpts, SpaceExt, SqliteSpace};
use sync_gib::sync::Features;

/// What the client needs beside the standard library.
const MODULES: &str = "argon2, cryptography, websockets";

/// The Python to run; none, with a word on why, where none is named and `python3` does not do.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SYNC_GIB_PYTHON");
    let python = named.clone().map_or_else(|| "python3".into(), PathBuf::from);
    let import = Command::new(&python).args(["-c", &format!("import {MODULES}")]).output();
    let problem = match import {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let python = python.display();
    assert!(named.is_none(), "SYNC_GIB_PYTHON={python} cannot import {MODULES}: {problem}");
    eprintln!("not tested: {python} cannot import {MODULES} (see examples/python/README.md)");
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

    let join = ["setup", "--server", &server.url, "--join", &identity];
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

/// `keystone rotate` or `keystone recover` in a home, to the secret that the world then has.
fn renews(world: &World, home: &str, args: &[&str], new: &str) {
    let file = world.path("new");
    std::fs::write(&file, new).unwrap();
    let mut command = world.command(home, &["keystone"]);
    let output = command.args(args).arg("--new-secret-file").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(file, world.secret()).unwrap();
}

#[test]
fn python_follows_an_identity_whose_secret_was_changed() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let code = world.path("code");
    let code = code.to_str().unwrap();
    let setup = ["setup", "--server", &server.url, "--recovery-file", code];
    let setup = world.json("rust", &setup);
    let (identity, x) = (setup["identity"].as_str().unwrap(), setup["x"].as_str().unwrap());
    world.ok("rust", &["sync"]);
    let old = PythonClient { python: &python, world: &world, store: "old.ndjson" };
    let join = ["register", "--server", &server.url, "--join", identity];
    assert_eq!(old.ok(&join), identity);
    old.ok(&["pull"]);

    let (first, kept) = (world.secret(), world.path("first"));
    std::fs::copy(&first, &kept).unwrap();
    let rotate = ["rotate", "--secret-file", kept.to_str().unwrap()];
    renews(&world, "rust", &rotate, "new horse battery staple chestnut\n");
    // One that knew the identity before, and one that joins after: the new secret signs, the old
    // one does not.
    let new = PythonClient { python: &python, world: &world, store: "new.ndjson" };
    std::fs::rename(world.secret(), world.path("second")).unwrap();
    std::fs::copy(&kept, world.secret()).unwrap();
    let text = old.exits(5, &["push"]);
    assert!(text.contains("the secret is not this identity's: frame "), "{text}");
    assert_eq!(new.exits(5, &join), text);
    std::fs::rename(world.path("second"), world.secret()).unwrap();
    assert_eq!(new.ok(&join), identity);
    for (client, edit) in [(&old, r#"{"old":1}"#), (&new, r#"{"new":2}"#)] {
        client.ok(&["pull"]);
        client.ok(&["mut8", x, edit]);
        client.ok(&["push"]);
        client.checks();
    }
    world.ok("rust", &["sync"]);
    rust_checks(&world, "rust");

    renews(&world, "rust", &["recover", "--code-file", code], "a third horse battery staple\n");
    old.ok(&["pull"]);
    old.checks();
    old.ok(&["mut8", x, r#"{"recovered":3}"#]);
    old.ok(&["push"]);
    world.ok("rust", &["sync"]);
    let data = data(&world, "rust", "X");
    assert_eq!([&data["old"], &data["new"], &data["recovered"]], [1, 2, 3]);
    rust_checks(&world, "rust");
}

#[test]
fn the_code_of_an_identity_made_in_python_recovers_it() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };
    let code = world.path("code");
    let code = code.to_str().unwrap();
    let register = ["register", "--server", &server.url, "--recovery-file", code];
    let identity = client.ok(&register);
    let x = client.ok(&["new", "note", r#"{"text":"bread"}"#]);
    let pushed = client.ok(&["push"]);
    let other = PythonClient { python: &python, world: &world, store: "other.ndjson" };
    let text = other.exits(2, &register);
    assert!(text.contains("is there already"), "{text}");

    std::fs::write(world.secret(), "the secret is forgotten\n").unwrap();
    world.fails("rust", &["setup", "--server", &server.url, "--join", &identity], 5);
    let recover = ["recover", "--identity", &identity, "--code-file", code];
    renews(&world, "rust", &recover, "new horse battery staple chestnut\n");
    world.ok("rust", &["sync"]);
    let tip = pushed.lines().find_map(|line| line.strip_prefix("pushed ")).expect(&pushed);
    assert_eq!(data(&world, "rust", tip)["text"], "bread");
    rust_checks(&world, "rust");
    client.ok(&["mut8", &x, r#"{"text":"bread, milk"}"#]);
    client.ok(&["push"]);
    client.checks();
}

/// Identities that were made before there were signing keys.
#[test]
fn an_identity_without_a_signing_key_syncs_both_ways() {
    let Some(python) = python() else { return };
    let world = World::new();
    let server = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let typed = std::fs::read_to_string(world.secret()).unwrap();
    let secret = MasterSecret::from_raw(typed.trim_end().to_owned().into()).unwrap();
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis = keystone::genesis(&secret, &pools, None, &System::new()).unwrap();
    std::fs::create_dir(world.path("rust")).unwrap();
    let path = world.path("rust/space.db");
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let names = vec![("I".to_owned(), TjpAddr::from(genesis.addr().unwrap()))];
    space.put_with([&genesis], &PutOpts { names, ..PutOpts::default() }).unwrap();
    drop(space);
    let setup = world.json("rust", &["setup", "--server", &server.url]);
    assert_eq!(setup["signingKey"], false);
    world.ok("rust", &["sync"]);

    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };
    client.ok(&[
        "register",
        "--server",
        &server.url,
        "--join",
        setup["identity"].as_str().unwrap(),
    ]);
    client.ok(&["pull"]);
    client.checks();
    client.ok(&["mut8", setup["x"].as_str().unwrap(), r#"{"from":"python"}"#]);
    client.ok(&["push"]);
    client.checks();
    world.ok("rust", &["sync"]);
    assert_eq!(data(&world, "rust", "X")["from"], "python");
    rust_checks(&world, "rust");
}

/// Nothing is made for a server that does not check what would be signed, and nothing is signed.
#[test]
fn a_server_without_signing_keys_is_told() {
    let Some(python) = python() else { return };
    let world = World::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), world.path("server.db"));
    let opts = ServerOpts { features: Features::new(), ..opts };
    let server = runtime.block_on(Server::start(opts)).unwrap();
    let client = PythonClient { python: &python, world: &world, store: "python.ndjson" };
    let text = client.exits(1, &["register", "--server", &server.url()]);
    assert!(text.contains("version: the server is too old"), "{text}");
    assert!(!world.path("python.ndjson").exists());
    runtime.block_on(server.stop()).unwrap();
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
    world.ok("rust", &["setup", "--server", &server.url, "--join", &identity]);
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
