//! The table.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::args::{Args, Part};
use crate::case::{Times, Transfer, Wire};

/// The most memory that either side of a transfer may hold, in bytes.
const PEAK: u64 = 256 << 20;
/// The most bytes besides the payload that one more edit may put on the wire.
const OVERHEAD: u64 = 64 << 10;
/// The most time that ten times the ibGibs may take.
const GROWTH: f64 = 11.0;
/// The most that a transfer may take of the floor's time.
const FLOOR: f64 = 2.0;

/// What the rows compare, for whoever reads them.
const NOTES: [&str; 5] = [
    "raw floor: one process reads each ibGib as a line of NDJSON, takes the SHA-256 of the line and \
     stores both by one prepared INSERT: one table, one unique index, one transaction, the settings \
     of a space's file. Nothing of sync-gib runs.",
    "floor: the same by the space's own put, with its rules, tables and indices. Its distance from \
     the raw floor is what put costs. push and pull store everything once and read it once, on two \
     sides of a socket.",
    "git push, git clone: a commit a frame, which holds the frame and its dna as two files. Git moves \
     four objects for two ibGibs (commit, tree, two blobs), packed, as deltas and compressed; it \
     proves no identity and merges nothing.",
    "git push, one more edit: git's server stores fewer than 100 objects as loose files and does not \
     sync them, so that a loss of power may take them back. A sync has been synced to the disk on \
     both sides when it ends. The row 'synced' has git do so as well (core.fsync = all).",
    "sync, one more edit: a whole process that signs, and whose server verifies; git's server asks for \
     no proof. Nothing new: a whole process that asks one question, by a token, and signs nothing.",
];

/// The rows so far.
pub struct Report {
    rows: Vec<Row>,
    args: Args,
}

/// A row: what was measured, by column; empty where a column says nothing of it.
#[derive(Default)]
struct Row {
    name: String,
    time: Option<Duration>,
    ibgibs: Option<u64>,
    floor: Option<f64>,
    raw_floor: Option<f64>,
    rival: Option<f64>,
    client_peak: u64,
    server_peak: u64,
    wire: Option<u64>,
    /// A ratio or size that no column is for.
    other: String,
    target: &'static str,
    met: Option<bool>,
}

impl Report {
    /// An empty table.
    pub fn new(args: &Args) -> Report {
        Report { rows: Vec::new(), args: args.clone() }
    }

    /// Adds the rows of the transfers of everything.
    pub fn transfers(&mut self, ibgibs: u64, times: &Times, wire: &Wire) {
        let plain = |name: &str, transfer: &Option<Transfer>, wire: Option<u64>| {
            let transfer = transfer.as_ref()?;
            let floor = ratio(transfer, times.floor.as_ref());
            let raw_floor = ratio(transfer, times.raw_floor.as_ref());
            Some(Row { floor, raw_floor, wire, ..row(name, ibgibs, transfer) })
        };
        let measured = |name: &str, transfer: &Option<Transfer>, git: &Option<Transfer>, wire| {
            let transfer = transfer.as_ref()?;
            let floor = ratio(transfer, times.floor.as_ref());
            let raw_floor = ratio(transfer, times.raw_floor.as_ref());
            let rival = ratio(transfer, git.as_ref());
            let peak = transfer.client_peak.max(transfer.server_peak);
            let met = Some(floor? <= FLOOR && rival? <= 1.0 && peak < PEAK);
            let target = "<= 2 floor, <= git, < 256 MiB";
            let ratios = Row { floor, raw_floor, rival, ..row(name, ibgibs, transfer) };
            Some(Row { wire, target, met, ..ratios })
        };
        let (wants, rows) = (&self.args, &mut self.rows);
        rows.extend(plain("raw floor", &times.raw_floor, None));
        rows.extend(plain("floor", &times.floor, None));
        rows.extend(plain("git push", &times.git_push, wire.git_push));
        rows.extend(plain("git clone", &times.git_clone, wire.git_clone));
        if wants.wants(Part::Push) {
            rows.extend(measured("push", &times.push, &times.git_push, wire.push));
        }
        if wants.wants(Part::Pull) {
            rows.extend(measured("pull", &times.pull, &times.git_clone, wire.pull));
        }
    }

    /// Adds the rows that compare a tenth with the whole.
    pub fn growth(&mut self, tenth: &Times, whole: &Times) {
        let pairs = [("push", &tenth.push, &whole.push), ("pull", &tenth.pull, &whole.pull)];
        for (name, tenth, whole) in pairs {
            let (Some(tenth), Some(whole)) = (tenth, whole) else { continue };
            let times = whole.time.as_secs_f64() / tenth.time.as_secs_f64();
            self.rows.push(Row {
                name: format!("10 x the ibGibs, {name}"),
                other: format!("{times:.1} x the time"),
                target: "<= 11 x",
                met: Some(times <= GROWTH),
                ..Row::default()
            });
        }
    }

    /// Adds the row of a short command, which must take less time than git, or, where it is given,
    /// than `other`: a sync with nothing new is compared with one with something new.
    pub fn short(
        &mut self,
        name: &str,
        time: Duration,
        git: Option<Duration>,
        other: Option<Duration>,
    ) {
        let rival = git.map(|git| time.as_secs_f64() / git.as_secs_f64());
        if let Some(git) = git {
            self.small(&format!("git push, {name}"), git, 0, 0);
        }
        self.rows.push(Row {
            name: format!("sync, {name}"),
            time: Some(time),
            rival,
            target: if other.is_some() { "< sync, one more edit" } else { "< git" },
            met: other.map(|other| time < other).or(rival.map(|rival| rival < 1.0)),
            ..Row::default()
        });
    }

    /// Adds the row of the bytes that one more edit puts on the wire.
    pub fn edit_bytes(&mut self, payload: u64, rest: u64) {
        self.rows.push(Row {
            name: "one more edit, bytes".into(),
            wire: Some(payload + rest),
            other: format!("{payload} B payload, {rest} B else"),
            target: "<= 64 KiB else",
            met: Some(rest <= OVERHEAD),
            ..Row::default()
        });
    }

    /// Adds a row of bytes, which may be `most` times git's.
    pub fn against_git(&mut self, name: &str, bytes: u64, git: u64, most: f64) {
        let rival = bytes as f64 / git as f64;
        self.rows.push(Row {
            name: name.into(),
            wire: Some(bytes),
            rival: Some(rival),
            other: format!("{bytes} B; git {git} B"),
            target: if most > 1.0 { "<= 5 x git" } else { "<= git" },
            met: Some(rival <= most),
            ..Row::default()
        });
    }

    /// Adds a row of a number that has a limit of its own, with git's beside it.
    pub fn limited(&mut self, name: &str, number: u64, limit: u64, git: u64) {
        self.rows.push(Row {
            name: name.into(),
            other: format!("{number} of at most {limit}; git {git}"),
            met: Some(number <= limit),
            ..Row::default()
        });
    }

    /// Adds a row of a time, which may be `most` times git's.
    pub fn time_against_git(&mut self, name: &str, time: Duration, git: Duration, most: f64) {
        let rival = time.as_secs_f64() / git.as_secs_f64();
        self.rows.push(Row {
            name: name.into(),
            time: Some(time),
            rival: Some(rival),
            other: format!("git {:.0} ms", git.as_secs_f64() * 1e3),
            target: "<= 1.5 x git",
            met: Some(rival <= most),
            ..Row::default()
        });
    }

    /// Adds a row without a target.
    pub fn small(&mut self, name: &str, time: Duration, client_peak: u64, server_peak: u64) {
        let (name, time) = (name.to_owned(), Some(time));
        self.rows.push(Row { name, time, client_peak, server_peak, ..Row::default() });
    }

    /// Prints the table.
    pub fn print(&self) -> Result<()> {
        if self.args.json {
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            let (ibgibs, runs) = (self.args.ibgibs, self.args.runs);
            let table = json!({ "ibGibs": ibgibs, "runs": runs, "rows": rows, "notes": NOTES });
            println!("{}", serde_json::to_string_pretty(&table)?);
            return Ok(());
        }
        let head =
            ["", "time", "us/ibGib", "x raw", "x floor", "x git", "client", "server", "wire", ""];
        let head = head.map(str::to_owned);
        println!("{}", line(&head, "target", ""));
        for row in &self.rows {
            let met = match row.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            println!("{}", line(&row.cells(), row.target, met));
        }
        println!(
            "Medians of {} transfers and {} short commands, run in turn. Memory is each process's \
             peak. The wire is both directions, counted by a relay in a run that is not timed.",
            self.args.runs, self.args.short_runs
        );
        NOTES.iter().for_each(|note| println!("- {note}"));
        Ok(())
    }
}

fn row(name: &str, ibgibs: u64, transfer: &Transfer) -> Row {
    let Transfer { time, client_peak, server_peak } = *transfer;
    let (name, time, ibgibs) = (name.to_owned(), Some(time), Some(ibgibs));
    Row { name, time, ibgibs, client_peak, server_peak, ..Row::default() }
}

fn ratio(transfer: &Transfer, yardstick: Option<&Transfer>) -> Option<f64> {
    Some(transfer.time.as_secs_f64() / yardstick?.time.as_secs_f64())
}

fn line(cells: &[String; 10], target: &str, met: &str) -> String {
    let [name, time, each, raw, floor, rival, client, server, wire, other] = cells;
    let numbers =
        format!("{time:>10} {each:>9} {raw:>7} {floor:>8} {rival:>7} {client:>8} {server:>8}");
    format!("{name:<52} {numbers} {wire:>9}  {other:<28}  {target:<30} {met}").trim_end().to_owned()
}

impl Row {
    fn each(&self) -> Option<f64> {
        Some(self.time?.as_secs_f64() * 1e6 / self.ibgibs? as f64)
    }

    fn cells(&self) -> [String; 10] {
        let time = self.time.map(|time| match time.as_secs_f64() {
            short @ ..1.0 => format!("{:.1} ms", short * 1e3),
            long => format!("{long:.2} s"),
        });
        let number = |n: Option<f64>| n.map(|n| format!("{n:.2}")).unwrap_or_default();
        let bytes = |bytes: u64| match bytes {
            0 => String::new(),
            small @ ..1_048_576 => format!("{:.1} KiB", small as f64 / 1024.0),
            bytes => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        };
        [
            self.name.clone(),
            time.unwrap_or_default(),
            number(self.each()),
            number(self.raw_floor),
            number(self.floor),
            number(self.rival),
            bytes(self.client_peak),
            bytes(self.server_peak),
            bytes(self.wire.unwrap_or(0)),
            self.other.clone(),
        ]
    }

    fn json(&self) -> Value {
        let mut map = Map::new();
        let mut set = |key: &str, value: Value| {
            if !value.is_null() && value != 0 && value != "" {
                map.insert(key.to_owned(), value);
            }
        };
        set("name", json!(self.name));
        set("seconds", json!(self.time.map(|time| time.as_secs_f64())));
        set("ibGibs", json!(self.ibgibs));
        set("usPerIbGib", json!(self.each()));
        set("timesRawFloor", json!(self.raw_floor));
        set("timesFloor", json!(self.floor));
        set("timesGit", json!(self.rival));
        set("clientPeakBytes", json!(self.client_peak));
        set("serverPeakBytes", json!(self.server_peak));
        set("wireBytes", json!(self.wire));
        set("other", json!(self.other));
        set("target", json!(self.target));
        set("met", json!(self.met));
        Value::Object(map)
    }
}
