//! Speed of `sync`, as ratios to yardsticks that run beside it: the *floor* (one process that reads
//! the same ibGibs as NDJSON and stores them by the space's own `put`), the *raw floor* (the same
//! with nothing of this package: a hash and one prepared `INSERT` a line) and the *rival* (`git
//! push` and `git clone` over `git://` of the same bytes).
//!
//! `cargo bench --bench sync -- --ibgibs 100000 --only push,pull --json`

mod args;
mod case;
mod data;
mod documents;
mod floor;
mod git;
mod latency;
mod process;
mod relay;
mod report;
mod small;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use args::{Args, Part};
use case::{Case, Times};
use floor::Floor;
use report::Report;

/// Whatever goes wrong ends the bench with a message.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().skip(1).collect();
    if let [flag, ndjson, space] = &argv[..]
        && let Some(floor) = flag.to_str().and_then(Floor::asked_by)
    {
        return done(floor.run(ndjson.as_ref(), space.as_ref()));
    }
    // `cargo test --all-targets` runs benches too, without this argument.
    if !argv.iter().any(|arg| arg == OsStr::new("--bench")) {
        return ExitCode::SUCCESS;
    }
    done(Args::read(&argv).and_then(|args| bench(&args)))
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.as_deref().unwrap_or(temporary.path());
    let mut report = Report::new(args);
    if args.wants(Part::Setup) {
        small::measure(dir, args, &mut report)?;
    }
    if args.wants(Part::Documents) || args.wants(Part::Distance) {
        documents::measure(dir, args, &mut report)?;
    }
    let large =
        [Part::Floor, Part::Git, Part::Push, Part::Pull, Part::Edit, Part::Idle, Part::Growth];
    if large.into_iter().any(|part| args.wants(part)) {
        transfers(dir, args, &mut report)?;
    }
    report.print()
}

fn transfers(dir: &Path, args: &Args, report: &mut Report) -> Result<()> {
    // The tenth runs first, so that it also warms up what the whole then finds warm.
    let small = dir.join("tenth");
    let tenth = Case::make(&small, args.ibgibs / 10, None)?;
    let runs = if args.wants(Part::Growth) { args.runs } else { 1 };
    let (tenth_times, _) = Times::measure(&tenth, runs, args)?;
    drop(tenth);
    std::fs::remove_dir_all(&small)?;

    let large = dir.join("whole");
    let case = Case::make(&large, args.ibgibs, Some(args))?;
    let wire = case.wire(args)?;
    let (times, pushed) = Times::measure(&case, args.runs, args)?;
    report.transfers(case.ibgibs(), &times, &wire);
    if args.wants(Part::Growth) {
        report.growth(&tenth_times, &times);
    }
    if args.wants(Part::Edit) || args.wants(Part::Idle) {
        latency::measure(&case, &pushed, args, report)?;
    }
    Ok(())
}
