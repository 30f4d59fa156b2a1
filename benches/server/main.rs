//! What idle sockets cost the others: how long syncs take that many clients run at once, with and
//! without many sockets that proved an identity and then wait, on a real `sync-gib serve` process.
//!
//! `cargo bench --bench server -- --idle 1000 --active 100 --rounds 5 --json`
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/crowd_common/mod.rs"]
mod crowd;

use std::time::{Duration, Instant};

use crowd::{Served, Someone, loopback, many};
use serde_json::json;
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{IbGib, System};
use sync_gib::peer::{Endpoint, Identity, NoObserver, ReceiverLink, Remote, Timeouts, client};
use sync_gib::space::{Domain, SpaceExt, SqliteSpace};
use sync_gib::sync::SenderOpts;
use tokio::runtime::Runtime;

/// What is measured and how often.
struct Args {
    idle: usize,
    active: usize,
    rounds: usize,
    json: bool,
}

const USAGE: &str = "give --idle N, --active N, --rounds N, --json";

fn main() {
    let mut argv = std::env::args().skip(1);
    let mut args = Args { idle: 1000, active: 100, rounds: 5, json: false };
    let mut is_bench = false;
    while let Some(arg) = argv.next() {
        let mut number = || argv.next().and_then(|n| n.parse().ok()).expect(USAGE);
        match &*arg {
            // `cargo test --all-targets` runs benches too, without this argument.
            "--bench" => is_bench = true,
            "--idle" => args.idle = number(),
            "--active" => args.active = number(),
            "--rounds" => args.rounds = number(),
            "--json" => args.json = true,
            other => panic!("{other} is not known; {USAGE}"),
        }
    }
    if is_bench {
        bench(&args);
    }
}

fn bench(args: &Args) {
    let runtime = Runtime::new().unwrap();
    // All come from one address, which has half of the places, and the idle take no turn for long.
    let places = (2 * (args.idle + args.active * 2)).max(256).to_string();
    let newcomers = (args.idle + args.active).to_string();
    let served = Served::start(&[
        "--max-sockets",
        &places,
        "--max-new-identities",
        &newcomers,
        "--auth-timeout",
        "200",
        "--idle-timeout",
        "3600",
    ]);
    let mut devices: Vec<Device> =
        (0..args.active).map(|at| Device::new(&runtime, &served, at)).collect();
    // Rounds with and without idle sockets take turns, so that what a growing file costs falls on
    // both; the first one warms up.
    measure(&runtime, &served, &mut devices);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        without.extend(measure(&runtime, &served, &mut devices));
        let idle = runtime.block_on(many(args.idle, 8, |at| {
            let someone = Someone::new(&format!("idle {round} {at}"));
            async move { someone.connected(served.addr, loopback(2 + (at % 200) as u8)).await }
        }));
        let threads = served.threads();
        with.extend(measure(&runtime, &served, &mut devices));
        eprintln!("round {}: {} idle sockets, {threads} threads", round + 1, idle.len());
        drop(idle);
    }
    report(args, &mut without, &mut with, served.peak());
}

/// The time of each of the syncs that all devices run at once, after an edit each.
fn measure(runtime: &Runtime, served: &Served, devices: &mut [Device]) -> Vec<Duration> {
    devices.iter_mut().for_each(Device::edit);
    std::thread::scope(|scope| {
        let running: Vec<_> = devices
            .iter()
            .map(|device| scope.spawn(move || device.sync(runtime, served)))
            .collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    })
}

fn report(args: &Args, without: &mut [Duration], with: &mut [Duration], peak: u64) {
    without.sort();
    with.sort();
    let of = |sorted: &[Duration], part: f64| {
        sorted[((sorted.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0
    };
    let row = |sorted: &[Duration]| [of(sorted, 0.5), of(sorted, 0.99)];
    let (alone, beside) = (row(without), row(with));
    let ratio = beside[1] / alone[1];
    if args.json {
        let row = |row: [f64; 2]| json!({ "p50Ms": row[0], "p99Ms": row[1] });
        let table = json!({
            "active": args.active, "idle": args.idle, "rounds": args.rounds,
            "without": row(alone), "with": row(beside), "p99Ratio": ratio, "peakMib": peak,
        });
        println!("{table}");
        return;
    }
    let (active, idle) = (args.active, args.idle);
    println!("{active} clients sync at once        p50 ms    p99 ms");
    println!("alone                         {:>9.0} {:>9.0}", alone[0], alone[1]);
    println!("beside {idle:>5} idle sockets     {:>9.0} {:>9.0}", beside[0], beside[1]);
    println!("p99 {ratio:.2} times what it is alone; the server's peak memory {peak} MiB");
}

/// A device that syncs one timeline.
struct Device {
    dir: tempfile::TempDir,
    space: SqliteSpace,
    identity: Identity,
    tip: IbGib,
    edits: u64,
}

impl Device {
    fn new(runtime: &Runtime, served: &Served, at: usize) -> Device {
        let Someone { secret, genesis, domain } = Someone::new(&format!("active {at}"));
        link(runtime, served).register(&genesis).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let space =
            SqliteSpace::create_if_missing(&dir.path().join("space.db"), Domain::Client).unwrap();
        space.put_all(&[genesis]).unwrap();
        let (root, each) = (IbGib::primitive("x"), Opts::next_frame().build());
        let tjp = Some(json!({ "uuid": true, "timestamp": true }));
        let data = json!({ "at": at }).as_object().cloned();
        let first = FirstGen { ib: "x", parent: &root, data, rel8ns: None, each, tjp };
        let made = first_gen(&first, &System::new()).unwrap();
        let tip = made.new_ibgib.clone();
        space.put_all(&made.into_all()).unwrap();
        Device { dir, space, identity: Identity { domain, secret }, tip, edits: 0 }
    }

    fn edit(&mut self) {
        self.edits += 1;
        let opts =
            Opts::next_frame().set("dataToAddOrPatch", json!({ "edit": self.edits })).build();
        let made = transform(Kind::Mut8, &self.tip, &opts, &System::new()).unwrap();
        self.tip = made.new_ibgib.clone();
        self.space.put_all(&made.into_all()).unwrap();
    }

    fn sync(&self, runtime: &Runtime, served: &Served) -> Duration {
        let started = Instant::now();
        let opts = SenderOpts::new(self.dir.path().to_owned());
        let link = link(runtime, served);
        client::sync(&self.space, &link, &self.identity, &opts, &mut NoObserver).unwrap();
        started.elapsed()
    }
}

fn link<'r>(runtime: &'r Runtime, served: &Served) -> Remote<'r> {
    let endpoint = Endpoint::new(&served.url(), None, false).unwrap();
    Remote::new(runtime, endpoint, Timeouts::default()).unwrap()
}
