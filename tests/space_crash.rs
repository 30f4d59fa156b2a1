//! A process that is killed in the middle of a put leaves the space as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/texts.rs"]
mod texts;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System, TjpAddr};
use sync_gib::space::{Domain, Prepared, PutOpts, Space, SpaceExt, SqliteSpace};
use texts::unlike_text;

const PATH: &str = "SYNC_GIB_TEST_SPACE";
/// Together more than SQLite's cache, packed too, so that part of the put is on the disk before the
/// kill.
const FRAMES: usize = 48;
const FRAME_BYTES: usize = 1 << 20;

fn moment(ms: u64) -> Moment {
    Moment::from_ms(1_781_262_000_000 + ms).unwrap()
}

/// The first frame of a timeline; the same in both processes.
fn tjp() -> IbGib {
    let opts = FirstGen {
        ib: "x",
        parent: &IbGib::primitive("ib"),
        data: None,
        rel8ns: None,
        each: Opts::new().set("nCounter", true).build(),
        tjp: Some(json!({ "timestamp": true })),
    };
    first_gen(&opts, &System::at(moment(0))).unwrap().new_ibgib
}

/// What the killed put stores: large frames on top of the first.
fn frames() -> impl Iterator<Item = IbGib> {
    let mut tip = tjp();
    (1..=FRAMES).map(move |i| {
        let data = json!({ "i": i, "text": unlike_text(i, FRAME_BYTES) });
        let opts = Opts::new().set("dataToAddOrPatch", data).set("nCounter", true);
        let opts = opts.linked(&["past"]).build();
        tip = transform(Kind::Mut8, &tip, &opts, &System::at(moment(i as u64))).unwrap().new_ibgib;
        tip.clone()
    })
}

fn open(path: &Path) -> SqliteSpace {
    SqliteSpace::create_if_missing(path, Domain::Client).unwrap()
}

fn tip(space: &SqliteSpace, tjp: &TjpAddr) -> Addr {
    space.tip(tjp).unwrap().unwrap().addr
}

#[test]
#[ignore = "run by the test below, as a process of its own"]
fn puts_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let space = open(&PathBuf::from(path));
    let names = vec![("X".to_owned(), tjp().addr().unwrap().into())];
    let mut batch = frames().map(|frame| Ok(Prepared::new(&frame).unwrap())).chain(
        std::iter::repeat_with(|| {
            println!("all is written but the end");
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::park();
            }
        }),
    );
    space.put(&mut batch, &PutOpts { names, ..PutOpts::default() }).unwrap();
}

#[test]
fn a_put_that_is_killed_changes_nothing_and_can_be_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    let first = tjp();
    let addr = TjpAddr::from(first.addr().unwrap());
    let space = open(&path);
    space.put_all(&[first]).unwrap();
    let before = space.count().unwrap();

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "puts_until_it_is_killed", "--ignored", "--nocapture"])
        .env(PATH, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.contains("all is written"));
    let wal = std::fs::metadata(dir.path().join("space.db-wal")).unwrap().len();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "the child ended before it was killed");
    assert!(wal > FRAME_BYTES as u64, "part of the put was on the disk");

    for space in [space, open(&path)] {
        space.check_file().unwrap();
        assert_eq!(space.count().unwrap(), before);
        assert_eq!(tip(&space, &addr), addr);
        assert_eq!(space.name("X").unwrap(), None);
    }
    let space = open(&path);
    let frames: Vec<IbGib> = frames().collect();
    assert_eq!(space.put_all(&frames).unwrap().new, FRAMES as u64);
    assert_eq!(tip(&space, &addr), frames[FRAMES - 1].addr().unwrap());
}

const PACKED_PATH: &str = "SYNC_GIB_TEST_PACKED_SPACE";
/// How often the process that packs is killed.
const KILLS: u64 = 12;

/// An ibGib that no other number has.
fn stone(i: u64) -> IbGib {
    let data = json!({ "i": i, "text": unlike_text(usize::try_from(i).unwrap(), 6_000) });
    IbGib::new("note".into(), Some(data), None).unwrap()
}

#[test]
#[ignore = "run by the test below, as a process of its own"]
fn puts_and_packs_until_it_is_killed() {
    let Some(path) = std::env::var_os(PACKED_PATH) else { return };
    let space = open(&PathBuf::from(path));
    for i in space.count().unwrap().ibgibs.. {
        space.put_all(&[stone(i)]).unwrap();
        println!("stored {i}");
        if i % 16 == 0 {
            space.pack().unwrap();
        }
    }
}

#[test]
fn a_process_that_is_killed_while_it_packs_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    let mut stored = 0;
    for kill in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "puts_and_packs_until_it_is_killed", "--ignored", "--nocapture"])
            .env(PACKED_PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = lines.map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("stored ").and_then(|(_, number)| number.parse::<u64>().ok())
        });
        // At another moment each time: right after a put that packs by itself, in `pack`, or between.
        let last = told.by_ref().find(|number| *number >= stored + 5 + 13 * (kill % 5)).unwrap();
        std::thread::sleep(std::time::Duration::from_micros(700 * kill));
        child.kill().unwrap();
        let last = told.last().unwrap_or(last);
        child.wait().unwrap();

        let space = SqliteSpace::open(&path, Domain::Client).unwrap();
        let audit = space.audit().unwrap();
        assert!(audit.is_good(), "{audit:?}");
        stored = space.count().unwrap().ibgibs;
        assert!(stored > last, "{stored} {last}");
        for i in 0..stored {
            let stone = stone(i);
            assert_eq!(space.get(&stone.addr().unwrap()).unwrap(), Some(stone));
        }
    }
}
