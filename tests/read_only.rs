//! Files and folders that can only be read: what only reads works on them and leaves no trace,
//! what writes says why it does not.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod net_common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use net_common::*;
use serde_json::Value;

/// Nobody: modes mean nothing to root.
const NOBODY: u32 = 65_534;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The program, run as somebody who is not root.
struct Reader {
    bin: PathBuf,
    home: PathBuf,
    is_root: bool,
}

impl Reader {
    /// Reads the home `frozen` of a world.
    fn of(world: &World) -> Reader {
        let is_root = rustix::process::geteuid().is_root();
        mode(world.dir.path(), 0o755);
        let bin = world.path("sync-gib");
        fs::copy(BIN, &bin).unwrap();
        Reader { bin, home: world.path("frozen"), is_root }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.bin);
        command.arg("--home").arg(&self.home).args(args).current_dir("/");
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(4), "{args:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// What a folder's files hold.
fn held(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Takes the right to write from a folder and all in it.
fn freeze(dir: &Path) {
    for path in held(dir).keys() {
        mode(path, 0o444);
    }
    mode(dir, 0o555);
}

/// Copies what of a home's file is there, by the ends of the names.
fn copy_home(world: &World, ends: &[&str]) {
    let to = world.path("frozen");
    fs::create_dir(&to).unwrap();
    fs::copy(world.path("a/config.json"), to.join("config.json")).unwrap();
    for end in ends {
        let name = format!("space.db{end}");
        fs::copy(world.path("a").join(&name), to.join(&name)).unwrap();
    }
}

const READING: [&[&str]; 7] = [
    &["get", "X"],
    &["log"],
    &["log", "X"],
    &["log", "--saga"],
    &["graph", "X"],
    &["graph", "X", "--stats"],
    &["check", "--local"],
];

fn reads_all_and_writes_nothing(world: &World, expected: &[String]) {
    let reader = Reader::of(world);
    freeze(&reader.home);
    let before = held(&reader.home);
    for (args, expected) in READING.iter().zip(expected) {
        assert_eq!(&reader.ok(args), expected, "{args:?}");
    }
    let secret = world.secret();
    mode(&secret, 0o444);
    let secret = secret.to_str().unwrap();
    let writing: [&[&str]; 4] = [
        &["mut8", "X", "--set", "a=2"],
        &["new", "--ib", "y"],
        &["keystone", "revoke", "--yes", "--secret-file", secret],
        &["sync", "--secret-file", secret],
    ];
    for args in &writing[..2] {
        let told = reader.fails(args);
        assert_eq!(told["error"]["code"], "read_only", "{args:?}: {told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains("can only be read"), "{message}");
    }
    for args in &writing[2..] {
        let told = reader.fails(args);
        let code = told["error"]["code"].as_str().unwrap();
        assert!(["read_only", "io"].contains(&code), "{args:?}: {told}");
    }
    assert_eq!(held(&reader.home), before, "reading left a trace");
    mode(&reader.home, 0o755);
}

fn world() -> World {
    let world = World::new();
    world.ok("a", &["setup", "--raw-secret"]);
    world.ok("a", &["sync"]);
    world
}

fn shown(world: &World) -> Vec<String> {
    let told = READING.iter().map(|args| world.ok("a", args));
    // The embedded receiver's file is not copied.
    let receiver = format!("{}:\n", world.path("a/receiver.db").display());
    told.map(|told| told.split(&receiver).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_file_in_a_folder_that_can_only_be_read_is_read() {
    let world = world();
    copy_home(&world, &[""]);
    reads_all_and_writes_nothing(&world, &shown(&world));
}

/// Edits X while another process has the file open, so that the edit stays in the log.
fn edit_into_the_log(world: &World) -> rusqlite::Connection {
    let open = rusqlite::Connection::open(world.path("a/space.db")).unwrap();
    open.query_row("SELECT count(*) FROM ibgib", [], |row| row.get::<_, i64>(0)).unwrap();
    world.ok("a", &["mut8", "X", "--set", "newest=1"]);
    assert!(fs::metadata(world.path("a/space.db-wal")).unwrap().len() > 0);
    open
}

#[test]
fn a_log_that_a_killed_process_left_is_read_too() {
    let world = world();
    let open = edit_into_the_log(&world);
    copy_home(&world, &["", "-wal"]);
    let shown = shown(&world);
    assert!(shown[0].contains("newest"));
    drop(open);
    reads_all_and_writes_nothing(&world, &shown);
}

#[test]
fn a_log_with_its_index_is_read_too() {
    let world = world();
    let open = edit_into_the_log(&world);
    copy_home(&world, &["", "-wal", "-shm"]);
    let shown = shown(&world);
    drop(open);
    reads_all_and_writes_nothing(&world, &shown);
}

#[test]
fn an_empty_log_is_read_as_none() {
    let world = world();
    copy_home(&world, &[""]);
    fs::write(world.path("frozen/space.db-wal"), "").unwrap();
    reads_all_and_writes_nothing(&world, &shown(&world));
}

#[test]
fn a_file_of_the_first_format_is_read_as_it_is() {
    let world = world();
    copy_home(&world, &[""]);
    let file = rusqlite::Connection::open(world.path("frozen/space.db")).unwrap();
    file.execute_batch("DROP TABLE pending; PRAGMA user_version = 1;").unwrap();
    drop(file);
    reads_all_and_writes_nothing(&world, &shown(&world));
}

#[test]
fn a_disk_that_can_only_be_read_is_read() {
    let Some(disk) = Disk::mount(8 << 10) else { return };
    let world = world();
    let home = disk.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::copy(world.path("a/space.db"), home.join("space.db")).unwrap();
    disk.make_read_only();
    let home = home.to_str().unwrap();
    for (args, expected) in READING.iter().zip(shown(&world)) {
        assert_eq!(world.ok(home, args), expected, "{args:?}");
    }
    world.fails_as(home, &["mut8", "X", "--set", "a=2"], "read_only", 4);
    let absent = disk.path().join("absent");
    world.fails(absent.to_str().unwrap(), &["new", "--ib", "y"], 4);
}

#[test]
fn a_server_does_not_start_on_a_file_that_can_only_be_read() {
    let Some(disk) = Disk::mount(8 << 10) else { return };
    let world = world();
    let space = disk.path().join("server.db");
    fs::copy(world.path("a/receiver.db"), &space).unwrap();
    disk.make_read_only();
    let args = ["serve", "--listen", "127.0.0.1:0", "--space", space.to_str().unwrap()];
    world.fails_as("a", &args, "read_only", 4);
}

#[test]
fn a_file_that_may_not_be_read_is_no_damaged_one() {
    let world = world();
    copy_home(&world, &[""]);
    let reader = Reader::of(&world);
    mode(&world.path("frozen/space.db"), 0o000);
    mode(&reader.home, 0o755);
    let told = reader.fails(&["get", "X"]);
    assert_eq!(told["error"]["code"], "io", "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("ermission denied"), "{told}");
}

#[test]
fn a_full_disk_is_checked_too_and_the_other_sides_graph_is_fetched_elsewhere() {
    let Some(disk) = Disk::mount(8 << 10) else { return };
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    world.ok("a", &["setup", "--raw-secret", "--server", &serve.url]);
    world.ok("a", &["sync"]);
    let home = disk.path().join("home");
    fs::create_dir(&home).unwrap();
    for name in ["space.db", "config.json", "token.json"] {
        fs::copy(world.path("a").join(name), home.join(name)).unwrap();
    }
    let home = home.to_str().unwrap();
    let graph = ["graph", "X", "--remote", "--format", "ndjson"];
    let (checked, fetched) = (world.ok("a", &["check", "--local"]), world.ok("a", &graph));
    disk.fill_but(0);
    assert_eq!(world.ok(home, &["check", "--local"]), checked);
    assert_eq!(world.ok(home, &graph), fetched);
    disk.free();
    disk.make_read_only();
    assert_eq!(world.ok(home, &["check", "--local"]), checked);
    assert_eq!(world.ok(home, &graph), fetched);
}

#[test]
fn a_home_that_may_not_be_entered_is_no_missing_space() {
    let world = world();
    copy_home(&world, &[""]);
    let reader = Reader::of(&world);
    mode(&reader.home, 0o000);
    for args in [&["get", "X"][..], &["log"], &["check", "--local"], &["setup"]] {
        let told = reader.fails(args);
        assert_eq!(told["error"]["code"], "io", "{args:?}: {told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains("ermission denied"), "{args:?}: {message}");
    }
    mode(&reader.home, 0o755);
}
