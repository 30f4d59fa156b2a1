//! A sync with nothing new is told by one request; whatever is new is noticed.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../hostile_common/mod.rs"]
mod hostile_common;
#[path = "../net_common/mod.rs"]
mod net_common;

mod answers;
mod noticed;
mod proxy;
mod tokens;
mod told;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use net_common::relay::Relay;
use net_common::{BIN, Serve, World};
use rusqlite::types::ValueRef;
use serde_json::Value;

/// What a sync says where nothing is new.
const TOLD: &str = "up to date (1 timeline), nothing signed\n";

/// A home that has synced with a server through a relay.
struct Synced {
    world: World,
    serve: Serve,
    relay: Relay,
    identity: String,
}

impl Synced {
    fn new() -> Synced {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let relay = Relay::to(serve.addr());
        let setup = world.json("a", &["setup", "--server", &relay.url, "--raw-secret"]);
        let identity = setup["identity"].as_str().unwrap().to_owned();
        world.ok("a", &["sync"]);
        Synced { world, serve, relay, identity }
    }

    /// Another device that has synced.
    fn join(&self, home: &str) {
        let join = ["setup", "--server", &self.serve.url, "--raw-secret", "--join", &self.identity];
        self.world.ok(home, &join);
        self.world.ok(home, &["sync"]);
    }

    /// The names of the messages that passed since they were last asked for.
    fn passed(&self) -> Vec<String> {
        let names = self.relay.events().into_iter().map(|event| event.name).collect();
        self.relay.lead_to(self.serve.addr());
        names
    }

    fn server_file(&self) -> std::path::PathBuf {
        self.world.path("server.db")
    }

    /// That both files hold what they held.
    fn expect_rows(&self, before: &[Vec<String>; 2]) {
        for (before, after) in before.iter().zip(self.rows()) {
            // A row may be long: those that differ are told by their beginnings.
            let short = |row: &&String| format!("{row:.200}");
            let gone = before.iter().filter(|row| !after.contains(row)).map(|row| short(&row));
            assert_eq!(gone.collect::<Vec<_>>(), Vec::<String>::new(), "gone");
            let new = after.iter().filter(|row| !before.contains(row)).map(|row| short(&row));
            assert_eq!(new.collect::<Vec<_>>(), Vec::<String>::new(), "new");
            assert_eq!(before.len(), after.len());
        }
    }

    /// Everything that both files hold.
    fn rows(&self) -> [Vec<String>; 2] {
        [rows(&self.world.path("a/space.db")), rows(&self.server_file())]
    }
}

/// Runs `sync` where nobody can give a secret.
fn sync_without_secret(world: &World, home: &str, more: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command.arg("--home").arg(world.path(home)).arg("sync").args(more);
    command.stdin(Stdio::null()).output().unwrap()
}

/// That a sync tells that nothing is new, and asks for no secret.
fn expect_nothing_new(world: &World, home: &str) {
    let told = sync_without_secret(world, home, &[]);
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!((&*out, told.status.code()), (TOLD, Some(0)), "{err}");
}

/// That a sync has to sign, which nobody can without a secret.
fn expect_a_secret_is_asked_for(world: &World, home: &str) {
    let told = sync_without_secret(world, home, &["--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["exit"], 5, "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("no secret given"), "{told}");
}

/// Every row of every table of a file.
fn rows(path: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(path).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut tables = file.prepare(tables).unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for table in tables {
        let mut read = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = read.column_count();
        let mut found = read.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values = (0..columns).map(|at| match row.get_ref(at).unwrap() {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
            all.push(format!("{table}: {}", values.collect::<Vec<_>>().join(" ")));
        }
    }
    assert!(!all.is_empty());
    all
}
