//! Identities that are long, and answers that never end in one: memory stays small on both sides.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use net_common::{Serve, World};
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::keystone::{self, Claim, MasterSecret, Signing, VERB_SYNC, presets};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};

const MIB: u64 = 1 << 20;

fn secret(world: &World) -> MasterSecret {
    let text = std::fs::read_to_string(world.secret()).unwrap();
    MasterSecret::from_raw(text.trim().to_owned().into()).unwrap()
}

/// Puts an identity of so many frames into a server's file; its address.
fn make(file: &Path, secret: &MasterSecret, frames: usize) -> TjpAddr {
    let pools = presets::identity_pools(&System::new()).unwrap();
    let mut tip = keystone::genesis(secret, &pools, None, &System::new()).unwrap();
    let identity = TjpAddr::from(tip.addr().unwrap());
    let space = SqliteSpace::create_if_missing(file, &identity).unwrap();
    let mut made = vec![tip.clone()];
    let mut target = 0u64;
    for n in 1..frames {
        tip = loop {
            // A target in twenty asks for challenges that a pool has run out of.
            target += 1;
            let data = Some(serde_json::json!({ "target": target }));
            let stone = IbGib::new("s".into(), data, None).unwrap();
            let claim = Claim::new(VERB_SYNC, stone.addr().unwrap().as_str());
            let now = System::new();
            let signing = Signing {
                claim: &claim,
                pool_id: None,
                required: &[],
                frame_details: None,
                env: &now,
            };
            if let Ok(frame) = keystone::sign(&tip, secret, &signing) {
                break frame;
            }
        };
        made.push(tip.clone());
        if made.len() == 250 || n + 1 == frames {
            space.put_all(&std::mem::take(&mut made)).unwrap();
        }
    }
    space.put_all(&made).unwrap();
    identity
}

/// The most memory that a process had so far, in bytes.
fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Runs a command to its end; what came of it, and the most memory that it had.
fn run(world: &World, home: &str, args: &[&str]) -> (Output, u64) {
    let mut command = world.command(home, args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, mut peak) = (child.id(), 0);
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_of(pid).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    (child.wait_with_output().unwrap(), peak)
}

/// Joins, syncs and checks against an identity of so many frames: the peaks of `setup`, of `check`
/// and of the server.
fn peaks(frames: usize) -> [u64; 3] {
    let world = World::new();
    let file = world.path("server.db");
    let identity = make(&file, &secret(&world), frames);
    let serve = Serve::start(&file, "127.0.0.1:0", &[]);
    let args = ["setup", "--raw-secret", "--server", &serve.url, "--join", identity.as_str()];
    let (joined, setup) = run(&world, "home", &args);
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    world.ok("home", &["new", "--ib", "x"]);
    world.ok("home", &["sync"]);
    let log = world.json("home", &["log", "I"]);
    assert!(log["frames"].as_array().unwrap().len() > frames);
    let (checked, check) = run(&world, "home", &["check", "--json"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    for n in [4, 5, 6] {
        let held = format!("\"n\":{n},\"what\"");
        assert!(told.contains(&held), "{told}");
    }
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let held = |n: u64| {
        let all = told["assertions"].as_array().unwrap();
        all.iter().any(|assertion| assertion["n"] == n && assertion["ok"] == true)
    };
    assert!(held(4) && held(5) && held(6), "{told}");
    [setup, check, peak_of(serve.pid()).unwrap()]
}

/// `SYNC_GIB_TEST_FRAMES` sets another length.
#[test]
fn an_identity_of_any_length_takes_little_memory() {
    let frames = std::env::var("SYNC_GIB_TEST_FRAMES").map_or(1500, |text| text.parse().unwrap());
    let (base, long) = (peaks(3), peaks(frames));
    println!("{frames} frames: {long:?} bytes at most, {base:?} with 3");
    for (base, long) in base.into_iter().zip(long) {
        assert!(long < base + 64 * MIB, "{long} bytes with {frames} frames, {base} with 3");
    }
}

/// A server that answers whatever it is asked with `begin` and then `more` without end; its URL, and
/// how many bytes it got rid of.
fn endless(begin: String, more: String) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, sent) = (format!("http://{}", listener.local_addr().unwrap()), Arc::default());
    let count: Arc<AtomicU64> = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0u8; 4096];
            let _ = stream.read(&mut asked);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n";
            let mut next = format!("{head}{begin}");
            // Bounded, so that a client that takes everything ends too, and fails the test.
            while stream.write_all(next.as_bytes()).is_ok() {
                if count.fetch_add(next.len() as u64, Ordering::Relaxed) > 2048 * MIB {
                    break;
                }
                next.clone_from(&more);
            }
        }
    });
    (url, sent)
}

#[test]
fn an_answer_without_end_is_read_to_its_first_fault() {
    let world = World::new();
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis = keystone::genesis(&secret(&world), &pools, None, &System::new()).unwrap();
    let line = genesis.to_json() + "\n";
    let other = IbGib::new("x".into(), None, None).unwrap().to_json() + "\n";
    let identity = genesis.addr().unwrap();
    for (at, (begin, more)) in [
        (line.clone(), line.clone()),
        (line.clone(), other.repeat(1000)),
        (line.clone(), "x".repeat(1 << 16)),
        (line.clone(), "\n".repeat(1 << 16)),
        (String::new(), " ".repeat(1 << 16)),
        (line.clone(), "[".repeat(1 << 16)),
    ]
    .into_iter()
    .enumerate()
    {
        let (url, sent) = endless(begin, more);
        let home = format!("home{at}");
        let args = ["setup", "--raw-secret", "--server", &url, "--join", identity.as_str()];
        let (output, peak) = run(&world, &home, &args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !told.is_empty(), "{at}: {told}");
        assert!(peak < 96 * MIB, "{at}: {peak} bytes: {told}");
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 64 * MIB, "{at}: {sent} bytes were taken: {told}");
    }
    let space = SqliteSpace::open(&world.path("home0").join("space.db"), Domain::Client);
    let held = space.map_or(0, |space| space.count().unwrap().ibgibs);
    assert!(held <= 1, "no more than the genesis: {held}");
}
