//! Mutants of the protocol that the simulation must notice.
//!
//! `cargo test --test mutants -- --ignored --nocapture` builds a copy of the source with all of
//! them in it, each behind a switch, and runs simulated worlds with one after the other switched on.
//! `SYNC_GIB_MUTANTS=PART` takes those whose description holds PART, `SYNC_GIB_SEEDS=COUNT` as many
//! worlds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// In how many worlds a mutant may be noticed.
const SEEDS: u32 = 400;

/// A small change to a file.
struct Mutant {
    what: String,
    file: PathBuf,
    old: String,
    new: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn mutants() -> Vec<Mutant> {
    let list = std::fs::read_to_string(root().join("tests/mutants/list.txt")).unwrap();
    let entries = list.split("\n# ").skip(1);
    let read = |entry: &str| {
        let mut lines = entry.lines();
        let mut mutant = Mutant {
            what: lines.next().unwrap().to_owned(),
            file: lines.next().unwrap().into(),
            old: String::new(),
            new: String::new(),
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let (side, text) = line.split_at(1);
            let side = match side {
                "-" => &mut mutant.old,
                "+" => &mut mutant.new,
                _ => panic!("{}: neither - nor +: {line}", mutant.what),
            };
            if !side.is_empty() {
                side.push('\n');
            }
            side.push_str(text);
        }
        mutant
    };
    entries.map(read).collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

/// The switch: the number of the mutant that the environment asks for.
const SWITCH: &str = r#"
/// Whether the mutant with this number is switched on.
pub(crate) fn is_mutant(number: usize) -> bool {
    static ASKED: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    let read = || std::env::var("SYNC_GIB_MUTANT").ok()?.parse().ok();
    *ASKED.get_or_init(read) == Some(number)
}
"#;

/// Copies the source, with every mutant in it.
fn make(mutants: &[Mutant], source: &Path) {
    let _ = std::fs::remove_dir_all(source);
    for part in ["src", "benches", "examples", "Cargo.toml", "Cargo.lock", "README.md"] {
        copy(&root().join(part), &source.join(part));
    }
    for (number, Mutant { what, file, old, new }) in mutants.iter().enumerate() {
        let place = source.join(file);
        let text = std::fs::read_to_string(&place).unwrap();
        assert_eq!(text.matches(old.as_str()).count(), 1, "{what}: beside the others");
        let new = new.replace("MUTANT", &format!("crate::is_mutant({number})"));
        std::fs::write(&place, text.replacen(old, &new, 1)).unwrap();
    }
    let lib = source.join("src/lib.rs");
    let text = std::fs::read_to_string(&lib).unwrap();
    std::fs::write(&lib, text + SWITCH).unwrap();
}

fn build(source: &Path, target: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(source).env("CARGO_TARGET_DIR", target);
    cargo.args(["build", "--quiet", "--release", "--bin", "sync-gib"]);
    for setting in ["lto=false", "codegen-units=16", "opt-level=1"] {
        cargo.arg("--config").arg(format!("profile.release.{setting}"));
    }
    assert!(cargo.status().unwrap().success(), "the mutants do not build");
}

#[test]
fn each_mutant_changes_what_stands_in_the_source() {
    let mutants = mutants();
    assert!(mutants.len() >= 30, "{}", mutants.len());
    for Mutant { what, file, old, new } in &mutants {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.matches(old.as_str()).count(), 1, "{what}: in {}", file.display());
        assert!(new.contains("MUTANT"), "{what}");
    }
}

#[test]
#[ignore = "builds the program once more, and runs worlds for each mutant"]
fn the_simulation_notices_mutants_of_the_protocol() {
    let asked = std::env::var("SYNC_GIB_MUTANTS").unwrap_or_default();
    let seeds = std::env::var("SYNC_GIB_SEEDS").unwrap_or_else(|_| SEEDS.to_string());
    let dir = root().join("target/mutants");
    let (source, target) = (dir.join("source"), dir.join("target"));
    let mutants = mutants();
    make(&mutants, &source);
    build(&source, &target);
    let run = |number: &str| {
        let mut program = Command::new(target.join("release/sync-gib"));
        program.args(["verify", "--simulate", "--json", "--seeds", &seeds]);
        program.env("SYNC_GIB_MUTANT", number).stderr(Stdio::null()).output().unwrap()
    };
    let ended = run("none");
    let found = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "without a mutant: {found}");
    let (mut all, mut missed) = (0, Vec::new());
    for (number, Mutant { what, .. }) in mutants.iter().enumerate() {
        if !what.contains(&asked) {
            continue;
        }
        let began = Instant::now();
        let ended = run(&number.to_string());
        let found = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        all += 1;
        if ended.status.success() {
            missed.push(what.clone());
        }
        let noticed = if ended.status.success() { "MISSED " } else { "noticed" };
        println!("{noticed} {:4} s  {what}\n    {found}", began.elapsed().as_secs());
    }
    println!("{} of {all} mutants noticed", all - missed.len());
    assert!((all - missed.len()) * 100 >= all * 95, "missed: {missed:#?}");
}
