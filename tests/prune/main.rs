//! Old sessions that are dropped: what stays, what the file gives back, and what a kill leaves.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
#[path = "../common/mod.rs"]
mod common;
#[path = "../net_common/mod.rs"]
mod net_common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::Device;
use net_common::{BIN, Serve};
use rusqlite::Connection;
use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, Moment, System, TjpAddr};
use sync_gib::peer::{Endpoint, NoObserver, Remote, Timeouts, client};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace, TimelineKind};
use sync_gib::sync::SenderOpts;

const DAY: u64 = 86_400_000;

/// A server as a process, and a device that synced with it long ago.
struct World {
    dir: tempfile::TempDir,
    serve: Option<Serve>,
    device: Device,
    x: TjpAddr,
}

impl World {
    /// The device has synced so many times, 100 days ago.
    fn new(old: usize) -> World {
        World::serving(old, &["--keep-sessions", "forever"])
    }

    fn serving(old: usize, more: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let serve = Serve::start(&dir.path().join("server.db"), "127.0.0.1:0", more);
        let device = Device::new();
        device.space.set_name("I", &device.identity.domain).unwrap();
        let x = device.new_timeline("x", json!({ "a": 0 }));
        let world = World { dir, serve: Some(serve), device, x };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let link = world.link(&runtime);
        client::register(&link, &world.device.genesis).unwrap();
        (0..old).for_each(|n| world.sync(&link, n, 100));
        world
    }

    fn link<'a>(&self, runtime: &'a tokio::runtime::Runtime) -> Remote<'a> {
        let endpoint = Endpoint::new(&self.serve.as_ref().unwrap().url, None, false).unwrap();
        Remote::new(runtime, endpoint, Timeouts::default()).unwrap()
    }

    /// An edit, and a sync of it by a clock that is so many days behind.
    fn sync(&self, link: &Remote<'_>, n: usize, days: u64) {
        self.device.edit(&self.x, json!({ "edit": n, "days": days }));
        let at = Moment::from_ms(Moment::now().ms() - days * DAY).unwrap();
        let env = Arc::new(System::at(at));
        let opts = SenderOpts { env, ..SenderOpts::new(self.device.dir.path().to_owned()) };
        let Device { space, identity, .. } = &self.device;
        client::sync(space, link, identity, &opts, &mut NoObserver).unwrap();
    }

    fn sync_now(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        self.sync(&self.link(&runtime), 1_000, 0);
    }

    fn ours(&self) -> PathBuf {
        self.device.space.path().to_owned()
    }

    fn theirs(&self) -> PathBuf {
        self.dir.path().join("server.db")
    }

    fn domain(&self) -> Domain {
        self.device.identity.domain.clone().into()
    }

    /// Stops the server, whose sessions are then as old as they say.
    fn stop(&mut self) {
        assert_eq!(self.serve.take().unwrap().signal("-TERM"), Some(0));
        let file = Connection::open(self.theirs()).unwrap();
        file.execute("UPDATE session SET created_ms = 0, connected_ms = 0", []).unwrap();
    }

    fn start(&mut self, more: &[&str]) {
        self.serve = Some(Serve::start(&self.theirs(), "127.0.0.1:0", more));
    }
}

fn prune(file: &Path, more: &[&str]) -> Value {
    let mut command = Command::new(BIN);
    command.args(["prune", "--sessions", "--json", "--space"]).arg(file).args(more);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    told
}

fn ask(file: &Path, sql: &str) -> i64 {
    Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn sessions(space: &SqliteSpace) -> usize {
    space.timelines(TimelineKind::Keystone, None, 10_000).unwrap().len() - 1
}

fn sagas(space: &SqliteSpace) -> usize {
    space.timelines(TimelineKind::Saga, None, 10_000).unwrap().len()
}

fn expect_good(file: &Path) {
    let space = SqliteSpace::open(file, Domain::Client).unwrap();
    let audit = space.audit().unwrap();
    assert!(audit.is_good(), "{audit:?}");
}

/// The frames of an identity, and the data.
fn lasting(space: &SqliteSpace, world: &World) -> (u64, String) {
    let identity = space.tip(&world.device.identity.domain).unwrap().unwrap();
    (identity.n, space.tip(&world.x).unwrap().unwrap().addr.to_string())
}

#[test]
fn old_sessions_go_on_one_side_with_their_sagas_and_all_else_stays() {
    let world = World::new(6);
    world.sync_now();
    world.sync_now();
    let space = &world.device.space;
    let (before, count) = (lasting(space, &world), space.count().unwrap());
    assert_eq!((sessions(space), sagas(space)), (8, 8));
    let told = prune(&world.ours(), &["--keep", "30d"]);
    assert_eq!((&told["sessions"], &told["kept"]), (&6.into(), &0.into()), "{told}");
    assert_eq!((sessions(space), sagas(space)), (2, 2));
    assert_eq!(lasting(space, &world), before);
    let after = space.count().unwrap();
    assert_eq!(count.ibgibs - after.ibgibs, told["ibGibs"].as_u64().unwrap());
    assert_eq!(count.bytes - after.bytes, told["bytes"].as_u64().unwrap());
    assert_eq!(count.timelines - after.timelines, 12);
    let left = "SELECT count(*) FROM ibgib WHERE json LIKE '{\"ib\":\"sync_saga%'";
    assert_eq!(ask(&world.ours(), left), 2 * 6 * 3, "six turns of two sagas");
    expect_good(&world.ours());
    let again = prune(&world.ours(), &["--keep", "30d"]);
    assert_eq!((&again["sessions"], &again["saved"]), (&0.into(), &0.into()), "{again}");
    // Both sides go on, and so does a device that joins.
    world.sync_now();
    let other = Device::of(world.device.genesis.clone(), common::secret());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opts = SenderOpts::new(other.dir.path().to_owned());
    let link = world.link(&runtime);
    client::sync(&other.space, &link, &other.identity, &opts, &mut NoObserver).unwrap();
    assert_eq!(lasting(&other.space, &world).1, lasting(space, &world).1);
}

#[test]
fn the_last_session_and_one_that_data_relates_to_stay() {
    let world = World::new(4);
    let space = &world.device.space;
    let keystones = space.timelines(TimelineKind::Keystone, None, 100).unwrap();
    let second = keystones[2].tip.addr.clone();
    world.device.relate(&world.x, "seen", &second);
    let told = prune(&world.ours(), &["--keep", "30d"]);
    assert_eq!((&told["sessions"], &told["kept"]), (&2.into(), &1.into()), "{told}");
    assert_eq!((sessions(space), sagas(space)), (2, 2));
    assert!(space.get(&second).unwrap().is_some());
    assert!(space.tip(&space.name("S").unwrap().unwrap()).unwrap().is_some());
    expect_good(&world.ours());
}

#[test]
fn nothing_younger_than_a_session_may_last_goes_whatever_is_asked_for() {
    let mut world = World::new(0);
    world.sync_now();
    world.sync_now();
    assert_eq!(prune(&world.ours(), &["--keep", "0s"])["sessions"], 0);
    world.stop();
    assert_eq!(prune(&world.theirs(), &["--keep", "0s"])["sessions"], 0);
}

#[test]
fn a_server_drops_them_by_the_command_but_none_that_its_ledger_has() {
    let mut world = World::new(5);
    assert_eq!(prune(&world.theirs(), &["--keep", "30d"])["sessions"], 0);
    let told = prune(&world.theirs(), &["--keep", "30d"]);
    assert_eq!((&told["sessions"], &told["kept"]), (&0.into(), &5.into()), "{told}");
    world.stop();
    world.start(&["--keep-sessions", "forever"]);
    world.sync_now();
    let space = SqliteSpace::open(&world.theirs(), world.domain()).unwrap();
    let before = lasting(&space, &world);
    let told = prune(&world.theirs(), &["--keep", "30d"]);
    assert_eq!(told["sessions"], 5, "{told}");
    assert_eq!((sessions(&space), sagas(&space)), (1, 1));
    assert_eq!(lasting(&space, &world), before);
    expect_good(&world.theirs());
    world.sync_now();
    expect_good(&world.theirs());
}

#[test]
fn a_file_gives_the_room_back() {
    let world = World::new(200);
    world.sync_now();
    let space = &world.device.space;
    let before = lasting(space, &world);
    let told = prune(&world.ours(), &[]);
    assert_eq!(told["sessions"], 200, "{told}");
    let (was, is) = (told["fileBefore"].as_u64().unwrap(), told["fileAfter"].as_u64().unwrap());
    assert_eq!(told["saved"], was - is);
    assert_eq!(std::fs::metadata(world.ours()).unwrap().len(), is);
    eprintln!("200 sessions: {told}");
    assert!(is < was, "{told}");
    assert_eq!(lasting(space, &world), before);
    expect_good(&world.ours());
    world.sync_now();
    expect_good(&world.ours());
}

#[test]
fn a_prune_that_is_killed_leaves_each_session_whole_or_gone() {
    let world = World::new(60);
    world.sync_now();
    let before = lasting(&world.device.space, &world);
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    for at in 0..8 {
        let _ = std::fs::remove_file(&copy);
        Connection::open(world.ours())
            .unwrap()
            .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
            .unwrap();
        let mut command = Command::new(BIN);
        command.args(["prune", "--sessions", "--json", "--space"]).arg(&copy);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(at * 10));
        child.kill().unwrap();
        child.wait().unwrap();
        expect_good(&copy);
        let space = SqliteSpace::open(&copy, Domain::Client).unwrap();
        assert_eq!(lasting(&space, &world), before);
        assert_eq!(sessions(&space), sagas(&space));
        drop(space);
        prune(&copy, &[]);
        let space = SqliteSpace::open(&copy, Domain::Client).unwrap();
        assert_eq!((sessions(&space), sagas(&space)), (1, 1));
        expect_good(&copy);
    }
}

#[test]
fn a_server_drops_them_by_itself_and_keeps_them_for_ever_where_it_is_told_to() {
    let mut world = World::new(5);
    world.sync_now();
    world.stop();
    let space = SqliteSpace::open(&world.theirs(), world.domain()).unwrap();
    let before = lasting(&space, &world);
    for kept in ["forever", "101d"] {
        world.start(&["--keep-sessions", kept]);
        world.sync_now();
        world.stop();
    }
    assert_eq!(sessions(&space), 8);
    world.start(&[]);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while sessions(&space) > 3 {
        assert!(std::time::Instant::now() < deadline, "{} are left", sessions(&space));
        std::thread::sleep(Duration::from_millis(20));
    }
    world.sync_now();
    assert_eq!((sessions(&space), sagas(&space)), (4, 4));
    assert!(lasting(&space, &world).0 > before.0);
    world.stop();
    expect_good(&world.theirs());
    let refused = Command::new(BIN).args(["serve", "--keep-sessions", "soon"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_server_that_lost_its_file_gets_everything_from_a_device_that_has_pruned() {
    let mut world = World::new(6);
    world.stop();
    let old = world.dir.path().join("old.db");
    std::fs::copy(world.theirs(), &old).unwrap();
    world.start(&[]);
    world.sync_now();
    world.sync_now();
    world.stop();
    assert_eq!(prune(&world.ours(), &["--keep", "30d"])["sessions"], 6);
    // The older copy lacks I's newest frames and the newest data; a new file lacks all but I's genesis.
    for is_new in [false, true] {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(world.dir.path().join(format!("server.db{end}")));
        }
        if !is_new {
            std::fs::copy(&old, world.theirs()).unwrap();
        }
        world.start(&[]);
        if is_new {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            client::register(&world.link(&runtime), &world.device.genesis).unwrap();
        }
        world.sync_now();
        let space = SqliteSpace::open(&world.theirs(), world.domain()).unwrap();
        assert_eq!(lasting(&space, &world), lasting(&world.device.space, &world));
        drop(space);
        world.stop();
        expect_good(&world.theirs());
    }
}

#[test]
fn a_damaged_session_that_the_server_dropped_too_goes() {
    let mut world = World::new(3);
    world.sync_now();
    world.stop();
    prune(&world.theirs(), &[]);
    let file = Connection::open(world.ours()).unwrap();
    let spoil = |what: &str, by: &str| {
        let sql = format!(
            "UPDATE ibgib SET json = replace(json, '{what}', '{by}') \
             WHERE block IS NULL AND id < 60 AND {}",
            match what {
                "role" => r#"json LIKE '{"ib":"sync_saga",%' AND n = 1"#,
                _ => "flags & 4 AND n = 2 AND timeline > 1",
            }
        );
        assert!(file.execute(&sql, []).unwrap() > 0);
    };
    spoil("role", "rope");
    spoil("proofs", "proofz");
    drop(file);
    let space = SqliteSpace::open(&world.ours(), Domain::Client).unwrap();
    assert!(space.audit().unwrap().damaged.len() > 1);
    assert_eq!(prune(&world.ours(), &[])["sessions"], 3);
    expect_good(&world.ours());
}

/// Anybody may write a saga into a file that says that it is of an old session.
#[test]
fn what_a_forged_saga_relates_to_stays() {
    let mut world = World::new(3);
    world.sync_now();
    world.stop();
    let space = SqliteSpace::open(&world.ours(), Domain::Client).unwrap();
    let keystones = space.timelines(TimelineKind::Keystone, None, 10).unwrap();
    let domain = &world.device.identity.domain;
    let old = &keystones.iter().find(|it| it.tjp != *domain).unwrap().tjp;
    let stone = IbGib::new("note".into(), Some(json!("mine")), None).unwrap();
    let mine = stone.addr().unwrap();
    let data = json!({
        "isTjp": true, "uuid": "u", "n": 0, "sagaId": "x", "sessionIdentityTjpAddr": old,
    });
    let rel8ns = json!({ "ancestor": ["sync_saga^gib"], "message": [mine] });
    let rel8ns = rel8ns.as_object().cloned();
    let forged = IbGib::new("sync_saga".into(), Some(data), rel8ns).unwrap();
    space.put_all(&[stone, forged]).unwrap();
    drop(space);
    assert_eq!(prune(&world.ours(), &[])["sessions"], 2, "the one that is named stays");
    let space = SqliteSpace::open(&world.ours(), Domain::Client).unwrap();
    assert!(space.get(&mine).unwrap().is_some());
    expect_good(&world.ours());
}
