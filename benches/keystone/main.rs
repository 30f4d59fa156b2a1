//! What a lock costs: the bytes of frames with and without one, and `keystone verify` over 1,000 frames
//! of each kind, as whole processes that read them from standard input.
//!
//! `cargo bench --bench keystone`, with `-- --runs N` for more runs. The two kinds run alternately.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sync_gib::ibgib::{Environment, IbGib, Moment, Seeded};
use sync_gib::keystone::{
    self, Claim, KeystoneError, MasterSecret, PoolConfig, RecoveryCode, Signing, presets,
};

/// How many frames are verified.
const FRAMES: usize = 1_000;

/// Who signs, and the frames so far.
struct Timeline<'a> {
    env: &'a Seeded,
    secret: MasterSecret,
    frames: Vec<IbGib>,
}

impl<'a> Timeline<'a> {
    fn new(env: &'a Seeded, pools: &[PoolConfig], lock: Option<Option<&RecoveryCode>>) -> Self {
        let secret = MasterSecret::from_raw("a secret".to_owned().into()).unwrap();
        let genesis = match lock {
            None => keystone::genesis(&secret, pools, None, env),
            Some(code) => keystone::locked_genesis(&secret, pools, None, code, env),
        };
        Timeline { env, secret, frames: vec![genesis.unwrap()] }
    }

    /// One more frame that claims something random.
    fn sign(&mut self) {
        loop {
            let mut target = [0; 32];
            self.env.fill(&mut target).unwrap();
            let gib: String = target.iter().map(|byte| format!("{byte:02X}")).collect();
            let claim = Claim::new("sync", &format!("keystone^{gib}"));
            let (pool_id, env) = (Some(keystone::POOL_SYNC), self.env);
            let signing =
                Signing { claim: &claim, pool_id, required: &[], frame_details: None, env };
            match keystone::sign(self.frames.last().unwrap(), &self.secret, &signing) {
                Err(KeystoneError::Exhausted { .. }) => {}
                signed => return self.frames.push(signed.unwrap()),
            }
        }
    }

    /// The mean size of the frames after the genesis, as JSON.
    fn bytes(&self) -> usize {
        let sizes = self.frames[1..].iter().map(|frame| frame.to_json().len());
        sizes.sum::<usize>() / (self.frames.len() - 1)
    }

    fn write(&self, path: &Path) {
        let lines: Vec<String> = self.frames.iter().map(IbGib::to_json).collect();
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }
}

fn verify(frames: &PathBuf) -> Duration {
    let started = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_sync-gib"));
    program.args(["keystone", "verify"]).stdin(File::open(frames).unwrap());
    let ended = program.stdout(Stdio::null()).status().unwrap();
    assert!(ended.success());
    started.elapsed()
}

fn main() {
    let mut args = std::env::args().skip(1);
    // `cargo test --all-targets` runs benches too, without this argument.
    let (mut is_bench, mut runs) = (false, 7);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => is_bench = true,
            "--runs" => runs = args.next().and_then(|n| n.parse().ok()).expect("--runs N"),
            other => panic!("unknown argument {other}"),
        }
    }
    if !is_bench {
        return;
    }
    let env = Seeded::new(1, Moment::now());
    let code = RecoveryCode::new_random(&env).unwrap();
    let (identity, session) =
        (presets::identity_pools(&env).unwrap(), presets::session_pools(&env).unwrap());
    println!("| frames | bytes, mean | `keystone verify` of {FRAMES}, median of {runs} |");
    println!("| --- | ---: | ---: |");
    let dir = tempfile::tempdir().unwrap();
    let kinds = [("I, hash reveals", None), ("I, with a lock", Some(Some(&code)))];
    let mut measured = Vec::new();
    for (name, lock) in kinds {
        let mut timeline = Timeline::new(&env, &identity, lock);
        (1..FRAMES).for_each(|_| timeline.sign());
        let path = dir.path().join(format!("{}.ndjson", measured.len()));
        timeline.write(&path);
        measured.push((name, timeline.bytes(), path, Vec::new()));
    }
    for _ in 0..runs {
        for (_, _, path, times) in &mut measured {
            times.push(verify(path));
        }
    }
    for (name, bytes, _, mut times) in measured {
        times.sort();
        println!("| {name} | {bytes} | {:.0} ms |", times[runs / 2].as_secs_f64() * 1e3);
    }
    for (name, lock) in [("S, hash reveals", None), ("S, with a lock", Some(None))] {
        let mut timeline = Timeline::new(&env, &session, lock);
        (0..20).for_each(|_| timeline.sign());
        println!("| {name} | {} | |", timeline.bytes());
    }
}
