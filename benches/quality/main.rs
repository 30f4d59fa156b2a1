//! How many merges of random texts come out other than both sides meant, beside `git merge-file`,
//! by the rules of `tests/judge_common`.
//!
//! `cargo bench --bench quality -- --cases 600 --seed 7`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/judge_common/mod.rs"]
mod judge_common;

use std::path::Path;
use std::process::Command;

use judge_common::{Case, Kind, Tally, seed_of};
use sync_gib::sync::merge::merge_text;

/// What is measured.
struct Args {
    cases: usize,
    seed: u64,
    /// How many wrong cases of each kind are printed.
    show: usize,
}

const USAGE: &str = "give --cases N, --seed N, --show N (wrong cases of each kind)";

fn main() {
    let mut argv = std::env::args().skip(1);
    let mut args = Args { cases: 600, seed: 1, show: 0 };
    let mut is_bench = false;
    while let Some(arg) = argv.next() {
        let mut number = || argv.next().and_then(|n| n.parse().ok()).expect(USAGE);
        match &*arg {
            // `cargo test --all-targets` runs benches too, without this argument.
            "--bench" => is_bench = true,
            "--cases" => args.cases = number() as usize,
            "--seed" => args.seed = number(),
            "--show" => args.show = number() as usize,
            other => panic!("{other} is not known; {USAGE}"),
        }
    }
    if is_bench {
        bench(&args);
    }
}

fn bench(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let has_git = Command::new("git").arg("--version").output().is_ok();
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let tally = || Tally::new(args.show);
        let mut row = Row { kind, ours: tally(), git: tally(), conflicts: 0 };
        for nth in 0..args.cases {
            let seed = seed_of(args.seed, kind, nth);
            let case = Case::new(kind, seed);
            let [base, kept, replayed] =
                [&case.base, &case.kept, &case.replayed].map(judge_common::Doc::text);
            row.ours.add(seed, &case, &merge_text(&base, &kept, &replayed));
            if has_git {
                match git_merge(dir.path(), &[&kept, &base, &replayed]) {
                    Some(merged) => row.git.add(seed, &case, &merged),
                    None => row.conflicts += 1,
                }
            }
        }
        rows.push(row);
    }
    report(args, &rows, has_git);
}

struct Row {
    kind: Kind,
    ours: Tally,
    /// What git merged without a conflict.
    git: Tally,
    conflicts: usize,
}

/// What `git merge-file` makes of the kept, the common and the replayed text; none where it finds
/// a conflict.
fn git_merge(dir: &Path, texts: &[&str; 3]) -> Option<String> {
    let names = ["kept", "base", "replayed"];
    for (name, text) in names.iter().zip(texts) {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let mut git = Command::new("git");
    git.args(["merge-file", "-p"]).args(names).current_dir(dir);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let said = git.output().unwrap();
    said.status.success().then(|| String::from_utf8(said.stdout).unwrap())
}

fn report(args: &Args, rows: &[Row], has_git: bool) {
    println!("seed {}", args.seed);
    println!("                      cases  wrong      git: conflict   wrong");
    for Row { kind, ours, git, conflicts } in rows {
        let cases = ours.cases;
        let percent = |count: usize| 100.0 * count as f64 / cases.max(1) as f64;
        let beside = match has_git {
            true => format!("{:>8.1} % {:>6.1} %", percent(*conflicts), percent(git.wrong)),
            false => "no git here".to_owned(),
        };
        println!("{:<20} {cases:>6} {:>5.1} %     {beside}", kind.name(), ours.percent());
    }
    for Row { kind, ours, git, .. } in rows {
        for (name, tally) in [("sync-gib", ours), ("git", git)] {
            if tally.wrong > 0 {
                println!("\n{}, {name}: {} wrong", kind.name(), tally.wrong);
            }
            for (rule, count) in &tally.by_rule {
                println!("{count:>8}  {rule}");
            }
            tally.shown.iter().for_each(|shown| println!("\n{shown}"));
        }
    }
}
