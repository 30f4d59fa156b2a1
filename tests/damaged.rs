//! Flipped bits in a client's file: nothing damaged is shown, built on, signed on or sent.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damaged_common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use damaged_common::{BIN, GRAPH, LOG, Original, damage, run, shown, texts_of, tip_of};
use serde_json::Value;
use sync_gib::ibgib::IbGib;

/// How many bits are flipped, one at a time, each in a file of its own.
const FLIPS: usize = 300;

/// Numbers that look random and are the same in every run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How many commands noticed the damage, and how many were not touched by it.
#[derive(Default)]
struct Tally {
    damaged: AtomicUsize,
    good: AtomicUsize,
    other: AtomicUsize,
}

impl Tally {
    /// Whether a command succeeded; where it did not, with a code that says why.
    fn add(&self, what: &str, output: &Output) -> bool {
        match output.status.code() {
            Some(0) => {
                self.good.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Some(4) => self.damaged.fetch_add(1, Ordering::Relaxed),
            // A name or an index entry that is damaged finds nothing, and is found by nobody.
            Some(1) => {
                eprintln!("{what}: {}", shown(output).lines().last().unwrap_or_default());
                self.other.fetch_add(1, Ordering::Relaxed)
            }
            code => panic!("{what}: {code:?}: {}", shown(output)),
        };
        false
    }
}

fn check_shown(original: &Original, home: &Path, what: &str, tally: &Tally) {
    let here = original.dir.path();
    let mut get = vec!["get"];
    get.extend(original.texts.keys().map(String::as_str));
    let got = run(home, here, &get);
    let lines: Vec<String> =
        String::from_utf8_lossy(&got.stdout).lines().map(str::to_owned).collect();
    for (line, (addr, text)) in lines.iter().zip(&original.texts) {
        assert_eq!(line, text, "{what}: get {addr}");
    }
    if tally.add(&format!("{what}: get"), &got) {
        assert_eq!(lines.len(), original.texts.len(), "{what}: get");
    }
    let graph = run(home, here, GRAPH);
    for line in String::from_utf8_lossy(&graph.stdout).lines() {
        // A relation that is flipped may lead to what is whole and not of this graph: the row that it
        // is of comes after it, and then the command fails.
        let is_whole = || IbGib::from_json(line).and_then(|ibgib| ibgib.validate()).is_ok();
        let is_of_it = original.texts.values().any(|text| text == line);
        assert!(is_of_it || is_whole(), "{what}: graph: {line}");
    }
    if tally.add(&format!("{what}: graph"), &graph) {
        assert_eq!(String::from_utf8_lossy(&graph.stdout).trim(), original.graph, "{what}: graph");
    }
    let log = run(home, here, LOG);
    if tally.add(&format!("{what}: log"), &log) {
        assert_eq!(String::from_utf8_lossy(&log.stdout).trim(), original.log, "{what}: log");
    }
}

fn check_built_on(original: &Original, home: &Path, what: &str, tally: &Tally) {
    let here = original.dir.path();
    let made = run(home, here, &["mut8", "X", "--set", "more=1", "--json"]);
    if tally.add(&format!("{what}: mut8"), &made) {
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let tip = original.log_tip();
        assert_eq!(made["prev"].as_str(), Some(tip.as_str()), "{what}: mut8");
    }
    let synced = run(home, here, &["sync"]);
    tally.add(&format!("{what}: sync"), &synced);
    for text in texts_of(&home.join("receiver.db")) {
        let read = IbGib::from_json(&text).and_then(|ibgib| ibgib.validate());
        assert!(read.is_ok(), "{what}: the server holds {text}");
    }
}

#[test]
fn a_flipped_bit_is_never_shown_built_on_or_sent() {
    let original = Original::make();
    let mut state = 13;
    let bits: Vec<u64> = (0..FLIPS).map(|_| random(&mut state) % original.bits()).collect();
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(bit) = bits.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let copy = original.flipped(*bit);
                    let home = copy.path().join("home");
                    let what = format!("bit {bit}");
                    check_shown(&original, &home, &what, &tally);
                    check_built_on(&original, &home, &what, &tally);
                }
            });
        }
    });
    let told = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let (damaged, good, other) = (told(&tally.damaged), told(&tally.good), told(&tally.other));
    eprintln!("{damaged} commands found damage, {good} succeeded, {other} refused");
    // Much of the file is frames of keystones that none of these commands reads.
    assert!(damaged > FLIPS / 3, "{damaged}");
}

#[test]
fn a_damaged_frame_of_the_identity_is_called_damaged_and_no_wrong_secret() {
    let original = Original::make();
    let home = original.dir.path().join("home");
    let tip = tip_of(&original, &home, "I");
    damage(&home.join("space.db"), &tip, "\"selectRandomly\":2", "\"selectRandomly\":3");
    for args in [&["sync"][..], &["log", "I"], &["get", &tip], &["graph", "I"], &["check"]] {
        let output = run(&home, original.dir.path(), args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", shown(&output));
        assert_eq!(output.stdout, b"", "{args:?}");
        assert!(shown(&output).contains(&tip), "{args:?}: {}", shown(&output));
        assert!(shown(&output).contains("sync-gib repair"), "{args:?}: {}", shown(&output));
    }
}

#[test]
fn a_server_that_reads_what_is_damaged_sends_nothing_of_it_and_logs_which() {
    let original = Original::make();
    let here = original.dir.path();
    let home = here.join("home");
    let x = tip_of(&original, &home, "X");
    run(&home, here, &["sync"]);
    let space = here.join("server.db");
    std::fs::copy(home.join("receiver.db"), &space).unwrap();
    let log = here.join("log");
    let mut server = Command::new(BIN)
        .args(["serve", "--listen", "127.0.0.1:0", "--space"])
        .arg(&space)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let url = url.trim().strip_prefix("listening on ").unwrap();
    let config = serde_json::json!({ "version": 1, "server": url });
    std::fs::write(home.join("config.json"), config.to_string()).unwrap();
    let good = run(&home, here, &["check"]);
    assert!(good.status.success(), "{}", shown(&good));
    damage(&space, &x, "\"done\":false", "\"done\":faLse");
    for args in [&["check"][..], &["graph", "X", "--remote", "--format", "ndjson"]] {
        let output = run(&home, here, args);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {}", shown(&output));
        assert!(shown(&output).contains("the server failed"), "{args:?}: {}", shown(&output));
        assert!(!shown(&output).contains("server.db"), "{args:?}: {}", shown(&output));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(&x)), "{log}");
}

#[test]
fn an_embedded_receivers_damaged_file_is_named_and_made_anew() {
    let original = Original::make();
    let here = original.dir.path();
    let home = here.join("home");
    let synced = run(&home, here, &["sync"]);
    assert!(synced.status.success(), "{}", shown(&synced));
    let x = tip_of(&original, &home, "X");
    let good = run(&home, here, &["check", "--local", "--json"]);
    let good: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(good["receiver"]["assertions"].as_array().unwrap().len(), 7, "{good}");
    damage(&home.join("receiver.db"), &x, "\"done\":false", "\"done\":faLse");
    for args in [&["check", "--local"][..], &["check"]] {
        let output = run(&home, here, args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", shown(&output));
        for word in ["receiver.db is damaged", "move it away", &x] {
            assert!(shown(&output).contains(word), "{args:?}: {}", shown(&output));
        }
        assert!(!shown(&output).contains("space.db is damaged"), "{args:?}: {}", shown(&output));
    }
    let i = tip_of(&original, &home, "I");
    damage(&home.join("receiver.db"), &i, "\"challengePools\"", "\"chapters\"");
    let output = run(&home, here, &["sync"]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(shown(&output).contains("receiver.db is damaged"), "{}", shown(&output));
    std::fs::rename(home.join("receiver.db"), here.join("away.db")).unwrap();
    for args in [&["setup", "--raw-secret"][..], &["sync"], &["check"], &["check", "--local"]] {
        let output = run(&home, here, args);
        assert!(output.status.success(), "{args:?}: {}", shown(&output));
    }
}
