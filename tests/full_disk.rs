//! A disk that is full, on either side: it is told as that, nothing is lost, and once there is
//! room again the same command finishes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod net_common;
#[path = "common/texts.rs"]
mod texts;

use net_common::*;
use texts::unlike_text;

/// How much room is left, in KiB: so the disk is full at another moment each time.
const LEFT: [u64; 9] = [0, 4, 36, 72, 120, 200, 400, 800, 1600];

/// So many KiB of text.
fn text(kib: usize, seed: usize) -> String {
    unlike_text(seed, kib << 10)
}

/// Adds so many KiB to X, frame by frame.
fn grow(world: &World, home: &str, kib: usize) {
    for at in 0..kib / 100 {
        world.ok(home, &["mut8", "X", "--set", &format!("t={at}{}", text(100, at))]);
    }
}

fn no_path(told: &str, disk: &Disk) {
    assert!(!told.contains(disk.path().to_str().unwrap()), "a path of the server's: {told}");
    assert!(!told.contains(".db"), "a path of the server's: {told}");
}

#[test]
fn a_server_whose_disk_is_full_says_so_and_takes_all_once_there_is_room() {
    let Some(disk) = Disk::mount(16 << 10) else { return };
    let world = World::new();
    let serve = Serve::start(&disk.path().join("server.db"), "127.0.0.1:0", &[]);
    world.ok("a", &["setup", "--server", &serve.url, "--raw-secret"]);
    world.ok("a", &["sync"]);
    grow(&world, "a", 1500);
    let mut full = 0;
    for left in LEFT {
        disk.fill_but(left);
        let told = world.json("a", &["sync", "--retry-for", "0"]);
        if told["ok"] == true {
            disk.free();
            continue;
        }
        full += 1;
        assert_eq!(told["error"]["code"], "unreachable", "{left} KiB left: {told}");
        assert_eq!(told["exit"], 3, "{left} KiB left: {told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains("disk is full"), "{left} KiB left: {told}");
        no_path(&told.to_string(), &disk);
        disk.free();
    }
    assert!(full >= 4, "the disk was full {full} times only");
    world.ok("a", &["sync"]);
    world.ok("a", &["check"]);
}

#[test]
fn a_client_whose_disk_is_full_says_so_and_finishes_once_there_is_room() {
    let Some(disk) = Disk::mount(16 << 10) else { return };
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("a", &["setup", "--server", &serve.url, "--raw-secret"]);
    world.ok("a", &["sync"]);
    let home = disk.path().join("home");
    let home = home.to_str().unwrap();
    let identity = setup["identity"].as_str().unwrap();
    world.ok(home, &["setup", "--server", &serve.url, "--raw-secret", "--join", identity]);
    world.ok(home, &["sync"]);
    grow(&world, "a", 1500);
    world.ok("a", &["sync"]);
    let mine = world.json(home, &["new", "--ib", "mine"]);
    let mut full = 0;
    for left in LEFT {
        disk.fill_but(left);
        let shown = world.ok(home, &["get", mine["addr"].as_str().unwrap()]);
        assert!(shown.contains("mine"), "what is there can be read");
        let put = world.json(home, &["mut8", "X", "--set", &format!("big={}", text(100, 88))]);
        if put["ok"] != true {
            assert_eq!((&put["error"]["code"], &put["exit"]), (&"disk_full".into(), &4.into()));
        }
        let told = world.json(home, &["sync", "--retry-for", "0"]);
        if told["ok"] != true {
            full += 1;
            assert_eq!(told["error"]["code"], "disk_full", "{left} KiB left: {told}");
            assert_eq!(told["exit"], 4, "{left} KiB left: {told}");
        }
        disk.free();
    }
    assert!(full >= 4, "the disk was full {full} times only");
    world.ok(home, &["sync"]);
    world.ok(home, &["check"]);
    world.ok("a", &["sync"]);
    assert_eq!(world.ok("a", &["get", "X"]), world.ok(home, &["get", "X"]));
    world.ok(home, &["get", mine["addr"].as_str().unwrap()]);
}

#[test]
fn an_import_on_a_full_disk_takes_nothing_and_can_be_done_again() {
    let Some(disk) = Disk::mount(8 << 10) else { return };
    let world = World::new();
    world.ok("a", &["new", "--ib", "x"]);
    let tjp = world.json("a", &["log"])["timelines"][0]["tjp"].as_str().unwrap().to_owned();
    for at in 0..8 {
        let set = format!("t={at}{}", text(100, at));
        let tip = world.json("a", &["log"])["timelines"][0]["tip"].as_str().unwrap().to_owned();
        world.ok("a", &["mut8", &tip, "--set", &set]);
    }
    let all = world.ok("a", &["graph", &tjp, "--live", "--format", "ndjson"]);
    let ndjson = world.path("all.ndjson");
    std::fs::write(&ndjson, all).unwrap();
    let home = disk.path().join("home");
    let home = home.to_str().unwrap();
    let put = |json: &[&str]| {
        let mut command = world.command(home, &[&["put"], json].concat());
        command.stdin(std::fs::File::open(&ndjson).unwrap()).output().unwrap()
    };
    for left in [0, 40, 200, 400] {
        disk.fill_but(left);
        let told: serde_json::Value = serde_json::from_slice(&put(&["--json"]).stdout).unwrap();
        assert_eq!(told["error"]["code"], "disk_full", "{left} KiB left: {told}");
        assert_eq!(told["exit"], 4);
        disk.free();
    }
    assert!(put(&[]).status.success());
    world.ok(home, &["get", &tjp]);
}

#[test]
fn a_server_cannot_start_on_a_full_disk_and_says_why() {
    let Some(disk) = Disk::mount(1 << 10) else { return };
    let world = World::new();
    disk.fill_but(0);
    let space = disk.path().join("server.db");
    let space = space.to_str().unwrap();
    world.fails_as("a", &["serve", "--listen", "127.0.0.1:0", "--space", space], "disk_full", 4);
}

#[test]
fn a_full_disk_is_this_machines_own_where_the_receiver_is_embedded() {
    let Some(disk) = Disk::mount(16 << 10) else { return };
    let world = World::new();
    let home = disk.path().join("home");
    let home = home.to_str().unwrap();
    world.ok(home, &["setup", "--raw-secret"]);
    world.ok(home, &["sync"]);
    grow(&world, home, 1000);
    let mut full = 0;
    for left in LEFT {
        disk.fill_but(left);
        let told = world.json(home, &["sync", "--retry-for", "0"]);
        disk.free();
        if told["ok"] == true {
            world.ok(
                home,
                &["mut8", "X", "--set", &format!("t={left}{}", text(100, left as usize))],
            );
            continue;
        }
        full += 1;
        assert_eq!(told["error"]["code"], "disk_full", "{left} KiB left: {told}");
        assert_eq!(told["exit"], 4, "{left} KiB left: {told}");
    }
    assert!(full >= 4, "the disk was full {full} times only");
    world.ok(home, &["sync"]);
    world.ok(home, &["check"]);
}
