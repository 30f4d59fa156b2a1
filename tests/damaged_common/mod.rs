//! A home with data in it, and ways to damage its files.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sync_gib::ibgib::IbGib;

pub const BIN: &str = env!("CARGO_BIN_EXE_sync-gib");

/// A home with timelines, stones and a merge's worth of relations, of which some are not synced.
pub struct Original {
    pub dir: tempfile::TempDir,
    /// What `get` prints for each address.
    pub texts: BTreeMap<String, String>,
    /// What is printed while all is well, by command.
    pub graph: String,
    pub log: String,
}

pub const GRAPH: &[&str] = &["graph", "X", "--live", "--format", "ndjson"];
pub const LOG: &[&str] = &["log", "X", "--json"];

impl Original {
    pub fn make() -> Original {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "9f1c2e7ab04d5586c3e1\n").unwrap();
        let home = dir.path().join("home");
        let run = |args: &[&str]| {
            let output = run(&home, dir.path(), args);
            assert!(output.status.success(), "{args:?}: {}", shown(&output));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        run(&["setup", "--raw-secret"]);
        for i in 0..4 {
            run(&["mut8", "X", "--set", &format!("text=words and more words, {i}")]);
        }
        run(&["sync"]);
        let note = dir.path().join("note.json");
        std::fs::write(&note, r#"{"list":[{"b":1,"1":2.5}],"deep":{"er":{"é":"\u0001"}}}"#)
            .unwrap();
        let note = run(&["new", "--ib", "note", "--data", note.to_str().unwrap()]);
        run(&["mut8", &note, "--set", "a=b"]);
        run(&["rel8", "X", "--add", &format!("note={note}")]);
        for i in 0..4 {
            run(&["mut8", "X", "--set", &format!("title={i}"), "--set", "done=false"]);
        }
        let graph = run(GRAPH);
        let log = run(LOG);
        let texts = graph.lines().map(|line| (address(line), line.to_owned())).collect();
        Original { dir, texts, graph, log }
    }

    /// A copy of the home in which one bit of the space's file is flipped.
    pub fn flipped(&self, bit: u64) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let home = copy.path().join("home");
        std::fs::create_dir(&home).unwrap();
        for entry in std::fs::read_dir(self.dir.path().join("home")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), home.join(entry.file_name())).unwrap();
        }
        let path = home.join("space.db");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        std::fs::write(&path, bytes).unwrap();
        copy
    }

    pub fn bits(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("home/space.db")).unwrap().len() * 8
    }
}

impl Original {
    pub fn log_tip(&self) -> String {
        let log: Value = serde_json::from_str(&self.log).unwrap();
        log["frames"][0]["addr"].as_str().unwrap().to_owned()
    }
}

pub fn run(home: &Path, secrets: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command.env_clear().arg("--home").arg(home).args(args).stdin(Stdio::null());
    if needs_secret(args) {
        command.arg("--secret-file").arg(secrets.join("secret"));
    }
    command.output().unwrap()
}

pub fn needs_secret(args: &[&str]) -> bool {
    let asks = matches!(args[0], "setup" | "sync" | "check" | "repair");
    (asks || args.contains(&"--remote")) && !args.contains(&"--local")
}

pub fn shown(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The address that an ibGib's content hashes to.
pub fn address(text: &str) -> String {
    IbGib::from_json(text).unwrap().validate().unwrap().to_string()
}

/// Everything that a file holds, read by SQLite and zstd alone.
pub fn texts_of(path: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(path).unwrap();
    rows_of(&file).into_iter().map(|(_, text)| text).collect()
}

/// Each row of a file that holds an ibGib, and its text.
fn rows_of(file: &rusqlite::Connection) -> Vec<(i64, String)> {
    let mut blocks = file.prepare("SELECT id, body FROM block").unwrap();
    let unpacked = |body: Vec<u8>| zstd::decode_all(&body[..]).unwrap();
    let blocks = blocks.query_map([], |row| Ok((row.get::<_, i64>(0)?, unpacked(row.get(1)?))));
    let blocks: BTreeMap<i64, Vec<u8>> = blocks.unwrap().collect::<Result<_, _>>().unwrap();
    let mut all = file.prepare("SELECT id, json, block, start, length FROM ibgib").unwrap();
    let rows = all.query_map([], |row| {
        let Some(block) = row.get::<_, Option<i64>>(2)? else {
            return Ok((row.get(0)?, row.get(1)?));
        };
        let (start, length): (i64, i64) = (row.get(3)?, row.get(4)?);
        let (start, length) = (start as usize, length as usize);
        let text = blocks[&block][start..start + length].to_vec();
        Ok((row.get(0)?, String::from_utf8(text).unwrap()))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// Changes one character of an ibGib's text in a file, as the disk might. The text stands in its row
/// afterwards, and not in a block, of which a character would damage more.
pub fn damage(file: &Path, addr: &str, from: &str, to: &str) {
    let gib = format!("\"gib\":\"{}\"", addr.split_once('^').unwrap().1);
    let file = rusqlite::Connection::open(file).unwrap();
    let is_it = |row: &(i64, String)| row.1.contains(&gib);
    let (id, text) = rows_of(&file).into_iter().find(is_it).expect(addr);
    let damaged = text.replace(from, to);
    assert_ne!(damaged, text, "{addr}");
    let write = "UPDATE ibgib SET json = ?2, block = NULL, start = NULL, length = NULL, \
         addr = NULL WHERE id = ?1";
    assert_eq!(file.execute(write, (id, damaged)), Ok(1), "{addr}");
}

pub fn tip_of(original: &Original, home: &Path, name: &str) -> String {
    let log = run(home, original.dir.path(), &["log", name, "--json"]);
    let log: Value = serde_json::from_slice(&log.stdout).unwrap();
    log["frames"][0]["addr"].as_str().unwrap().to_owned()
}
