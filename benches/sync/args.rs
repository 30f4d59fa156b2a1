//! The bench's own arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Result;

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The floor alone.
    Floor,
    /// The rival alone.
    Git,
    /// A push of everything.
    Push,
    /// A pull of everything.
    Pull,
    /// One more edit, then a sync.
    Edit,
    /// A sync with nothing new.
    Idle,
    /// A tenth against the whole.
    Growth,
    /// `setup` and `sync` of one frame.
    Setup,
    /// A document that is edited again and again.
    Documents,
    /// The same over lines with a delay and a width.
    Distance,
}

const PARTS: [(&str, Part); 10] = [
    ("floor", Part::Floor),
    ("git", Part::Git),
    ("push", Part::Push),
    ("pull", Part::Pull),
    ("edit", Part::Edit),
    ("idle", Part::Idle),
    ("growth", Part::Growth),
    ("setup", Part::Setup),
    ("documents", Part::Documents),
    ("distance", Part::Distance),
];

/// What is measured and how often.
#[derive(Debug, Clone)]
pub struct Args {
    /// How many ibGibs, half of them dna.
    pub ibgibs: usize,
    /// How often each transfer is run; the median counts.
    pub runs: usize,
    /// How often each short command is run; the median counts.
    pub short_runs: usize,
    /// Whether the table is printed as JSON.
    pub json: bool,
    /// Where homes and spaces are left behind, to profile commands on them.
    pub keep: Option<PathBuf>,
    only: Option<Vec<Part>>,
}

impl Args {
    /// Reads the arguments; `--bench`, which cargo adds, says nothing.
    pub fn read(argv: &[OsString]) -> Result<Args> {
        let mut args =
            Args { ibgibs: 100_000, runs: 3, short_runs: 15, json: false, keep: None, only: None };
        let mut argv = argv.iter().map(|arg| arg.to_string_lossy());
        while let Some(arg) = argv.next() {
            let mut value = || argv.next().ok_or(format!("{arg} needs a value"));
            match &*arg {
                "--bench" => {}
                "--json" => args.json = true,
                "--keep" => args.keep = Some(PathBuf::from(&*value()?)),
                "--ibgibs" => args.ibgibs = value()?.parse()?,
                "--runs" => args.runs = value()?.parse()?,
                "--short-runs" => args.short_runs = value()?.parse()?,
                "--only" => args.only = Some(parts(&value()?)?),
                other => return Err(format!("{other} is not known; {USAGE}").into()),
            }
        }
        if args.ibgibs < 100 || args.runs == 0 || args.short_runs == 0 {
            return Err(format!("at least 100 ibGibs and one run; {USAGE}").into());
        }
        Ok(args)
    }

    /// Whether a part is asked for.
    pub fn wants(&self, part: Part) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&part))
    }
}

const USAGE: &str = "give --ibgibs N, --runs N, --short-runs N, --json, --keep DIR, \
    --only floor,git,push,pull,edit,idle,growth,setup,documents,distance";

fn parts(names: &str) -> Result<Vec<Part>> {
    let part = |name: &str| PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part);
    let parts = names.split(',').map(|name| part(name.trim()).ok_or(name));
    let parts: std::result::Result<Vec<Part>, &str> = parts.collect();
    parts.map_err(|name| format!("there is no part {name:?}; {USAGE}").into())
}
