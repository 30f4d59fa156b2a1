//! Power that is lost on a disk which forgets all that was not synced: whatever was told to anybody
//! is there, and what is there is whole, at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod net_common;
mod traced_common;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use net_common::relay::Relay;
use net_common::rng::Rng;
use net_common::{BIN, Serve, World};
use serde_json::Value;
use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::keystone;
use sync_gib::space::{Domain, Purpose, Space, SpaceError, SqliteSpace};
use traced_common::{Call, Forgetful, calls, can_trace, traced};

/// How often the power is lost at a moment at which changes are not synced.
const LOSSES: usize = 3;

/// After how many losses everything that is left is read.
const EACH_AUDIT: usize = 15;

/// What a message told that must outlast everything.
#[derive(Debug)]
enum Told {
    /// A domain holds this.
    Holds(Addr),
    /// A session has so many frames after its first.
    Goes(TjpAddr, u64),
    /// An identity is revoked.
    Ended(TjpAddr),
}

/// A program's calls, one by one, and a file of its that outlives losses of power.
struct Replay {
    disk: Forgetful,
    file: PathBuf,
    /// Whose rows are looked at.
    domains: HashSet<Domain>,
    told: Vec<Told>,
    losses: usize,
    rng: Rng,
}

impl Replay {
    /// Of a program that will change `file` and what lies beside it.
    fn of(file: &Path) -> Replay {
        let disk = Forgetful::new(file.parent().unwrap());
        let (domains, told) = (HashSet::new(), Vec::new());
        Replay { disk, file: file.to_owned(), domains, told, losses: 0, rng: Rng(1) }
    }

    /// Does all calls over again. What is said is given to `hears`, before it is out.
    fn run(&mut self, log: &Path, mut hears: impl FnMut(&mut Replay, &[u8])) {
        for call in calls(log) {
            match &call {
                Call::Said(bytes) => {
                    hears(self, bytes);
                    self.lose_power();
                }
                Call::SyncBegins(..) | Call::SyncEnds(_) => self.lose_power(),
                _ => {}
            }
            self.disk.take(&call);
        }
        self.lose_power();
    }

    /// Loses the power, and asserts what must hold.
    fn lose_power(&mut self) {
        let parts = if self.disk.unsynced() > 0 { LOSSES } else { 0 };
        self.after_loss(false);
        (0..parts).for_each(|_| self.after_loss(true));
    }

    fn after_loss(&mut self, in_part: bool) {
        self.losses += 1;
        let left = in_memory();
        self.disk.lose_power(left.path(), in_part.then_some(&mut self.rng));
        let file = left.path().join(self.file.file_name().unwrap());
        let first = match SqliteSpace::open(&file, Domain::Client) {
            // It has its name once it is whole.
            Err(SpaceError::NoFile(_)) if self.told.is_empty() => return,
            first => first.unwrap(),
        };
        first.check_file().unwrap();
        if self.losses.is_multiple_of(EACH_AUDIT) {
            let audit = first.audit().unwrap();
            assert!(audit.is_good() && !audit.is_unreadable, "{:?}", audit.findings);
        }
        let spaces: Vec<_> = self.domains.iter().map(|of| first.with_domain(of)).collect();
        for told in &self.told {
            assert!(spaces.iter().any(|space| holds(space, told)), "lost: {told:?}");
        }
    }

    /// The file as a loss of power leaves it now, and the folder in which it is.
    fn left(&self) -> (tempfile::TempDir, SqliteSpace) {
        let left = in_memory();
        self.disk.lose_power(left.path(), None);
        let space =
            SqliteSpace::open(&left.path().join(self.file.file_name().unwrap()), Domain::Client);
        (left, space.unwrap())
    }
}

/// A folder for what a loss of power leaves. What is opened there syncs often, which takes time on
/// a disk.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn holds(space: &SqliteSpace, told: &Told) -> bool {
    match told {
        Told::Holds(addr) => space.find(addr).unwrap().is_some(),
        Told::Goes(session, n) => space.tip(session).unwrap().is_some_and(|tip| tip.n >= *n),
        Told::Ended(identity) => space
            .tip(identity)
            .unwrap()
            .is_some_and(|tip| keystone::is_revoked(&space.get_id(tip.id).unwrap())),
    }
}

/// The JSON that goes out: the body of an answer, or a message.
fn json_of(bytes: &[u8]) -> Option<Value> {
    let from = bytes.windows(2).position(|two| two == b"{\"")?;
    serde_json::from_slice(&bytes[from..]).ok()
}

fn addr(value: &Value) -> TjpAddr {
    TjpAddr::parse(value.as_str().unwrap()).unwrap()
}

/// Hears what a server says; which words that told something were heard.
fn hear(replay: &mut Replay, bytes: &[u8], session: &mut Option<TjpAddr>) -> Option<&'static str> {
    let said = json_of(bytes)?;
    if let Value::String(_) = said["addr"] {
        replay.domains.insert(addr(&said["addr"]).into());
        replay.told.push(Told::Holds(addr(&said["addr"]).into()));
        return Some("registered");
    }
    if let Value::String(_) = said["session"] {
        *session = Some(addr(&said["session"]));
        replay.told.push(Told::Holds(addr(&said["session"]).into()));
        return Some("established");
    }
    if let Value::String(_) = said["revoked"] {
        replay.told.push(Told::Ended(addr(&said["revoked"])));
        return Some("revoked");
    }
    match said["type"].as_str()? {
        "auth_ok" => {
            replay.told.push(Told::Goes(session.clone().unwrap(), 1));
            Some("connected")
        }
        "sync_frame_response" => {
            let frame = &said["context"]["sagaFrame"];
            if frame["data"]["stage"] != "commit" {
                return None;
            }
            let frame = IbGib::from_json(&frame.to_string()).unwrap();
            replay.told.push(Told::Holds(frame.addr().unwrap()));
            Some("committed")
        }
        _ => None,
    }
}

#[test]
fn what_a_server_told_outlasts_a_loss_of_power() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let log = world.path("calls");
    std::fs::create_dir(world.path("served")).unwrap();
    let file = world.path("served/server.db");
    let mut replay = Replay::of(&file);
    let mut serve = Command::new(BIN);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--space"]).arg(&file);
    let serve = Serve::started_by(traced(&serve, &log));
    // A line on which nothing is compressed: what is written is read here.
    let url = Relay::to(serve.addr()).url;
    // From the making of the file on: two devices that push, pull and merge, and the identity's end.
    let setup = world.json("a", &["setup", "--server", &url, "--raw-secret"]);
    world.ok("a", &["sync"]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("b", &["setup", "--server", &url, "--raw-secret", "--join", identity]);
    world.ok("b", &["sync"]);
    for home in ["a", "b"] {
        world.ok(home, &["mut8", "X", "--set", &format!("{home}={}", "x".repeat(100_000))]);
        world.ok(home, &["sync"]);
    }
    world.ok("a", &["sync"]);
    let x = world.json("a", &["log", "X"])["frames"][0]["addr"].clone();
    world.ok("a", &["keystone", "revoke", "--yes"]);
    assert_eq!(serve.signal("-TERM"), Some(0));

    let (mut session, mut heard) = (None, BTreeMap::new());
    replay.run(&log, |replay, bytes| {
        if let Some(what) = hear(replay, bytes, &mut session) {
            *heard.entry(what).or_insert(0) += 1;
        }
    });
    replay.told.push(Told::Holds(addr(&x).into()));
    replay.after_loss(false);
    println!("{heard:?}, and {} losses of power", replay.losses);
    assert!(heard["registered"] >= 1 && heard["revoked"] == 1, "{heard:?}");
    assert!(heard["established"] >= 5 && heard["connected"] >= 5, "{heard:?}");
    assert!(heard["committed"] >= 5, "{heard:?}");
}

/// Runs a command of a home, with its calls noted, while the power is lost; what it says is given to
/// `hears`.
fn client(world: &World, args: &[&str], mut hears: impl FnMut(&SqliteSpace, &str)) {
    let (log, file) = (world.path("calls"), world.path("a/space.db"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut replay = Replay::of(&file);
    replay.domains.insert(Domain::Client);
    let output = traced(&world.command("a", args), &log).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    replay.run(&log, |replay, bytes| {
        let text = String::from_utf8_lossy(bytes);
        // `setup` asks what the server speaks before it makes anything.
        if !text.is_empty() && !text.starts_with("GET /health ") {
            hears(&replay.left().1, &text);
        }
    });
    assert!(replay.losses > 0);
    std::fs::remove_file(&log).unwrap();
}

fn name(space: &SqliteSpace, name: &str) -> TjpAddr {
    space.name(name).unwrap().unwrap()
}

#[test]
fn what_a_client_sends_or_prints_outlasts_a_loss_of_power() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let url = Relay::to(serve.addr()).url;
    let mut heard = BTreeMap::new();
    let mut hear = |what: &'static str| *heard.entry(what).or_insert(0) += 1;

    client(&world, &["setup", "--server", &url, "--raw-secret"], |space, text| {
        if text.starts_with("POST /v1/keystones") {
            let identity = name(space, "I");
            assert!(text.contains(identity.as_str().split_once('^').unwrap().1));
            assert!(space.find(&identity).unwrap().is_some());
            hear("registers");
        }
    });
    client(&world, &["mut8", "X", "--set", "a=1"], |space, text| {
        let tip = space.tip(&name(space, "X")).unwrap().unwrap();
        assert_eq!(tip.addr.as_str(), text.trim(), "what is printed is kept");
        hear("prints an edit");
    });
    client(&world, &["sync"], |space, text| {
        if text.contains("/evolution HTTP/1.1") {
            let identity = name(space, "I");
            let kept = space.pending(&identity, Purpose::Session).unwrap();
            assert!(kept.is_some(), "a proof is kept before it is sent");
            hear("establishes");
        }
        if text.starts_with("pushed ") {
            assert!(space.name("S").unwrap().is_some(), "the saga is kept before it is told");
            hear("tells of a push");
        }
    });
    // Another device brings an edit.
    let identity =
        world.json("a", &["log", "I"])["frames"].as_array().unwrap().last().unwrap()["addr"]
            .as_str()
            .unwrap()
            .to_owned();
    world.ok("b", &["setup", "--server", &url, "--raw-secret", "--join", &identity]);
    world.ok("b", &["sync"]);
    let theirs = world.ok("b", &["mut8", "X", "--set", "b=1"]);
    world.ok("b", &["sync"]);
    client(&world, &["sync"], |space, text| {
        if text.starts_with("pulled ") {
            let tip = space.tip(&name(space, "X")).unwrap().unwrap();
            assert_eq!(tip.addr.as_str(), theirs.trim());
            hear("tells of a pull");
        }
    });
    client(&world, &["keystone", "revoke", "--yes"], |space, text| {
        if text.contains("/revocation HTTP/1.1") {
            let identity = name(space, "I");
            let kept = space.pending(&identity, Purpose::Revocation).unwrap();
            assert!(kept.is_some(), "a revocation is kept before it is sent");
            hear("revokes");
        }
    });
    println!("{heard:?}");
    assert_eq!(heard.len(), 6, "{heard:?}");
}
