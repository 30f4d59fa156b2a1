//! How long merges take: many edits of a long text on both sides, and a long branch.
//!
//! `cargo bench --bench merge`, with `-- --runs N` for more runs. Frames are held in memory as JSON
//! and read anew each time, as from a space; there is no disk and no network in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System};
use sync_gib::sync::merge::{Frames, merge};

/// Frames as a space holds them: as text.
#[derive(Default)]
struct Texts {
    texts: HashMap<Addr, String>,
    now: u64,
}

impl Frames for Texts {
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn Error + Send + Sync>> {
        Ok(self.texts.get(addr).map(|text| IbGib::from_json(text)).transpose()?)
    }
}

impl Texts {
    fn tick(&mut self) -> Moment {
        self.now += 1_001;
        Moment::from_ms(1_781_262_000_000 + self.now).unwrap()
    }

    fn put(&mut self, all: Vec<IbGib>) -> IbGib {
        for made in &all {
            self.texts.insert(made.addr().unwrap(), made.to_json());
        }
        all.into_iter().next_back().unwrap()
    }

    fn start(&mut self, data: Value) -> IbGib {
        let now = self.tick();
        let opts = FirstGen {
            ib: "doc",
            parent: &IbGib::primitive("ib"),
            data: data.as_object().cloned(),
            rel8ns: None,
            each: Opts::next_frame().build(),
            tjp: Some(json!({"timestamp": true})),
        };
        let made = first_gen(&opts, &System::at(now)).unwrap().into_all();
        self.put(made)
    }

    fn set(&mut self, tip: &IbGib, key: &str, value: Value) -> IbGib {
        let now = self.tick();
        let patch = Map::from_iter([(key.to_owned(), value)]);
        let opts = Opts::next_frame().set("dataToAddOrPatch", patch).build();
        let made = transform(Kind::Mut8, tip, &opts, &System::at(now)).unwrap().into_all();
        self.put(made)
    }
}

/// A text of about 100 KB, in lines of 40.
fn lines() -> Vec<String> {
    (0..2_500).map(|at| format!("line {at:>6} of a text with some words in it")).collect()
}

/// 100 edits of the text, each of one line, on one side.
fn edit_text(world: &mut Texts, base: &IbGib, first: usize, word: &str) -> IbGib {
    let mut lines = lines();
    let mut tip = base.clone();
    for edit in 0..100 {
        let at = (edit * 25 + first) % lines.len();
        lines[at] = lines[at].replace("some words", word);
        tip = world.set(&tip, "text", lines.join("\n").into());
    }
    tip
}

fn timed(world: &Texts, base: &IbGib, kept: &IbGib, replayed: &IbGib) -> Duration {
    let [base, kept, replayed] = [base, kept, replayed].map(|frame| frame.addr().unwrap());
    let began = Instant::now();
    let merged = merge(world, &base, &kept, &replayed).unwrap();
    let took = began.elapsed();
    assert!(merged.unreplayed.is_empty());
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runs = args.iter().position(|arg| arg == "--runs").and_then(|at| args.get(at + 1));
    let runs: usize = runs.map_or(5, |runs| runs.parse().expect("--runs N"));
    let row = |name: &str, goal: &str, f: &mut dyn FnMut() -> Duration| {
        let took = median((0..runs).map(|_| f()).collect());
        println!("{name:<46}  {:>8.1} ms   {goal}", took.as_secs_f64() * 1e3);
    };

    let mut world = Texts::default();
    let base = world.start(json!({"text": lines().join("\n")}));
    let kept = edit_text(&mut world, &base, 0, "kept words");
    let other = edit_text(&mut world, &base, 12, "other words");
    let same = edit_text(&mut world, &base, 0, "others");
    row("100 x 100 edits of 100 KB, different lines", "< 1 s", &mut || {
        timed(&world, &base, &kept, &other)
    });
    row("100 x 100 edits of 100 KB, the same lines", "< 1 s", &mut || {
        timed(&world, &base, &kept, &same)
    });

    let mut world = Texts::default();
    let base = world.start(json!({"title": "x", "count": 0, "text": "a line\n"}));
    let kept = world.set(&base, "title", "kept".into());
    let mut orphan = base.clone();
    for count in 0..3_000 {
        orphan = world.set(&orphan, "count", count.into());
    }
    row("an orphan of 3,000 frames", "< 1 s", &mut || timed(&world, &base, &kept, &orphan));
    let kept = world.set(&kept, "count", json!(-1));
    row("the same, with a field that both set", "< 1 s", &mut || {
        timed(&world, &base, &kept, &orphan)
    });
    let mut long = base.clone();
    for count in 0..3_000 {
        long = world.set(&long, "count", (-count).into());
    }
    row("3,000 frames on each side", "", &mut || timed(&world, &base, &long, &orphan));

    let mut world = Texts::default();
    let base = world.start(json!({"text": lines()[..750].join("\n")}));
    let mut lines: Vec<String> = lines()[..750].to_vec();
    lines[7] = "a line of the branch that stays".into();
    let kept = world.set(&base, "text", lines.join("\n").into());
    let mut lines: Vec<String> = self::lines()[..750].to_vec();
    let mut orphan = base.clone();
    for edit in 0..3_000 {
        lines[(edit * 7 + 20) % 750] = format!("line {edit} as it was written on the other side");
        orphan = world.set(&orphan, "text", lines.join("\n").into());
    }
    row("3,000 edits of a text of 30 KB", "", &mut || timed(&world, &base, &kept, &orphan));
    println!("Medians of {runs} runs. Both sides' frames are read, parsed, merged and hashed.");
}
