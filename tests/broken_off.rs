//! Answers of a server that break off: the client says so, and takes nothing of them for the whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod damaged_common;
mod net_common;

use std::process::Output;

use net_common::relay::{Act, Cut, Event, Relay};
use net_common::scene::configure;
use net_common::{Serve, World};
use serde_json::Value;

/// A home that has synced with a server through a relay.
struct Scene {
    world: World,
    serve: Serve,
    relay: Relay,
}

/// What asks for a graph of X.
const GRAPHS: [&[&str]; 5] = [
    &["graph", "X", "--remote", "--format", "ndjson"],
    &["graph", "X", "--remote", "--format", "json"],
    &["graph", "X", "--remote"],
    &["graph", "X", "--remote", "--stats"],
    &["graph", "X", "--remote", "--live", "--format", "dot"],
];

impl Scene {
    /// X is edited with each of these sizes.
    fn with_edits(sizes: &[usize]) -> Scene {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let relay = Relay::to(serve.addr());
        world.ok("a", &["setup", "--server", &relay.url, "--raw-secret"]);
        for (at, size) in sizes.iter().enumerate() {
            let set = format!("t={at}{}", "a".repeat(*size));
            world.ok("a", &["mut8", "X", "--set", &set, "--set", "done=false"]);
        }
        configure(&world.path("a"), &relay.url);
        world.ok("a", &["sync"]);
        world.ok("a", &["check"]);
        Scene { world, serve, relay }
    }

    /// Does this to the first answer of this name from now on.
    fn disturb(&self, name: &'static str, nth: usize, act: Act) {
        self.relay.lead_to(self.serve.addr());
        self.relay.act(move |event: &Event| if event.is((name, nth)) { act } else { Act::Pass });
    }

    /// Runs what must say that the server stopped in the middle, and print no result.
    fn breaks_off(&self, args: &[&str], place: &str) {
        let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let output = self.world.run("a", args);
        let place = format!("{args:?}, {place}: {}", told(&output));
        assert_eq!(output.status.code(), Some(3), "{place}");
        let result = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(result, "", "{place}: a result");
        let stderr = told(&output);
        assert!(stderr.contains(&self.relay.url) && stderr.contains("stopped"), "{place}");
    }

    fn breaks_off_in_json(&self, args: &[&str], place: &str) {
        let told = self.world.json("a", args);
        assert_eq!(told["ok"], false, "{args:?}, {place}: {told}");
        assert_eq!(told["exit"], 3, "{args:?}, {place}: {told}");
        assert_eq!(told["error"]["code"], "unreachable", "{args:?}, {place}: {told}");
        for result in ["ibgibs", "nodes", "stats", "assertions"] {
            assert_eq!(told[result], Value::Null, "{args:?}, {place}: {told}");
        }
    }
}

/// By how much an answer is shortened: by its very end, at the end of a line, in the middle of one, and
/// so that nothing but its head is left.
fn shortened(scene: &Scene, args: &[&str], name: &'static str, nth: usize) -> Vec<usize> {
    let len = std::sync::Arc::new(std::sync::OnceLock::new());
    scene.relay.lead_to(scene.serve.addr());
    let seen = std::sync::Arc::clone(&len);
    scene.relay.look(move |event, bytes| {
        if event.is((name, nth)) {
            let _ = seen.set(bytes.to_vec());
        }
    });
    scene.world.ok("a", args);
    let whole = len.get().expect("it was asked for").clone();
    let head = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let ends: Vec<usize> =
        (head..whole.len()).filter(|at| whole[*at] == b'\n' && whole[at - 1] != b'\r').collect();
    let last_line = whole.len() - ends[ends.len() - 2] - 1;
    // A chunked answer ends with 5 bytes that belong to no line.
    let end = if whole.ends_with(b"\r\n0\r\n\r\n") { 5 } else { 1 };
    vec![end, last_line, last_line + 20, whole.len() - head]
}

fn every_way(scene: &Scene, args: &[&str], name: &'static str, nth: usize) {
    for short in shortened(scene, args, name, nth) {
        for cut in [Cut::Fin, Cut::Rst] {
            let place = format!("{name} {nth} without its last {short} bytes ({cut:?})");
            scene.disturb(name, nth, Act::Shorten(short, cut));
            scene.breaks_off(args, &place);
        }
        scene.disturb(name, nth, Act::Shorten(short, Cut::Fin));
        scene.breaks_off_in_json(args, &format!("{name} {nth} without its last {short} bytes"));
    }
    scene.relay.lead_to(scene.serve.addr());
    scene.world.ok("a", args);
}

/// An answer that has a length, and one that is streamed in chunks.
const SIZES: [&[usize]; 2] = [&[10, 10], &[40_000, 40_000, 40_000]];

#[test]
fn a_graph_that_breaks_off_is_not_printed() {
    for sizes in SIZES {
        let scene = Scene::with_edits(sizes);
        every_way(&scene, GRAPHS[0], "200 to GET ibgibs", 1);
        for args in &GRAPHS[1..] {
            scene.disturb("200 to GET ibgibs", 1, Act::Shorten(1, Cut::Fin));
            scene.breaks_off(args, "without its last byte");
        }
    }
}

#[test]
fn a_check_whose_graphs_break_off_asserts_nothing() {
    for sizes in SIZES {
        let scene = Scene::with_edits(sizes);
        every_way(&scene, &["check"], "200 to GET ibgibs", 1);
        scene.disturb("200 to GET ibgibs", 2, Act::Shorten(1, Cut::Fin));
        scene.breaks_off(&["check"], "S without its last byte");
    }
}

#[test]
fn a_check_whose_identity_breaks_off_asserts_nothing() {
    every_way(&Scene::with_edits(&[10]), &["check", "--full"], "200 to GET identity", 1);
}

#[test]
fn a_server_that_finds_damage_in_the_middle_of_an_answer_breaks_it_off() {
    let scene = Scene::with_edits(SIZES[1]);
    let tip = scene.world.json("a", &["log", "X"])["frames"][0]["addr"].clone();
    let file = scene.world.path("server.db");
    damaged_common::damage(&file, tip.as_str().unwrap(), "\"done\":false", "\"done\":faLse");
    for args in GRAPHS.iter().chain([&["check"][..]].iter()) {
        scene.breaks_off(args, "its tip is damaged");
        scene.breaks_off_in_json(args, "its tip is damaged");
    }
}
