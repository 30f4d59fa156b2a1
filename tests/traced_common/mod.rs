//! Programs whose calls to the system are noted, and what a disk has left of their files once the
//! power is lost: all that was synced, and of what was not any part or none.
//!
//! A file's content lasts once the file was synced, and its name once its folder was.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::net_common::rng::Rng;

/// How long a log may take to be whole.
const LONG: Duration = Duration::from_secs(60);
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Whether calls can be noted here; where not, says so. With `SYNC_GIB_STRACE` set that is an error.
pub fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-D", "-o", "/dev/null", "true"]).stderr(Stdio::null());
    let can = strace.status().is_ok_and(|status| status.success());
    if !can {
        assert!(std::env::var_os("SYNC_GIB_STRACE").is_none(), "strace does not work here");
        eprintln!("skipped: strace is not here, or may not look at other processes");
    }
    can
}

/// A command that becomes `command`, with its calls noted in `log`.
pub fn traced(command: &Command, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    // -D: the program itself is the child, and strace watches from aside.
    strace.args(["-f", "-D", "-y", "-xx", "-s", "100000000", "-e", "signal=none", "-e"]);
    strace.arg(
        "trace=openat,?open,?creat,pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,\
         ?unlink,unlinkat,?rename,?renameat,renameat2,?link,linkat",
    );
    strace.arg("-o").arg(log).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace.stdin(Stdio::null()).stderr(Stdio::null());
    strace
}

/// What a program did.
#[derive(Debug, Clone)]
pub enum Call {
    /// A file was opened that is made where it is missing.
    Open(PathBuf),
    Write {
        path: PathBuf,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        len: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    /// The thread with this number begins to sync a file or a folder.
    SyncBegins(u32, PathBuf),
    /// What it then synced is on the disk.
    SyncEnds(u32),
    /// Bytes begin to go out, to the other side of a socket or by standard output.
    Said(Vec<u8>),
}

/// What was noted of a program that has ended, in order.
pub fn calls(log: &Path) -> Vec<Call> {
    let began = Instant::now();
    let whole = loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let threads: std::collections::HashSet<_> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(pid, _)| pid).collect();
        let ended = |line: &&str| line.ends_with(" +++");
        if !threads.is_empty() && text.lines().filter(ended).count() == threads.len() {
            break text;
        }
        assert!(began.elapsed() < LONG, "the log does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    whole.lines().flat_map(read_line).collect()
}

fn read_line(line: &str) -> Vec<Call> {
    let (pid, what) = line.split_once(' ').unwrap();
    let (pid, what) = (pid.parse().unwrap(), what.trim_start());
    if let Some(resumed) = what.strip_prefix("<... ") {
        let is_sync = resumed.starts_with("fsync") || resumed.starts_with("fdatasync");
        return if is_sync { vec![Call::SyncEnds(pid)] } else { Vec::new() };
    }
    let Some((name, args)) = what.split_once('(') else { return Vec::new() };
    if args.contains(") = -1 ") {
        return Vec::new();
    }
    let is_through = !args.ends_with("<unfinished ...>");
    let on = on_what(args);
    let mut texts = args.split('"').skip(1).step_by(2).map(unhex);
    let mut path = || PathBuf::from(std::ffi::OsString::from_vec(texts.next().unwrap()));
    match name {
        "openat" | "open" | "creat" if name == "creat" || args.contains("O_CREAT") => {
            vec![Call::Open(path())]
        }
        "fsync" | "fdatasync" => {
            let mut all = vec![Call::SyncBegins(pid, on)];
            all.extend(is_through.then_some(Call::SyncEnds(pid)));
            all
        }
        "pwrite64" => {
            let bytes = texts.next().unwrap();
            vec![Call::Write { path: on, at: numbers(args)[1], bytes }]
        }
        "ftruncate" => vec![Call::Truncate { path: on, len: numbers(args)[0] }],
        "rename" | "renameat" | "renameat2" => vec![Call::Rename { from: path(), to: path() }],
        "link" | "linkat" => vec![Call::Link { from: path(), to: path() }],
        "unlink" | "unlinkat" => vec![Call::Remove(path())],
        "write" | "writev" | "sendto" | "sendmsg" => {
            let is_out = args.starts_with("1<") || on.to_string_lossy().starts_with("socket:");
            let bytes = texts.flatten().collect();
            if is_out { vec![Call::Said(bytes)] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// What the descriptor leads to that is a call's first argument.
fn on_what(args: &str) -> PathBuf {
    let named = args.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let name = named.map_or_else(Vec::new, |(name, _)| unhex(name));
    PathBuf::from(std::ffi::OsString::from_vec(name))
}

/// The numbers after a call's last text, or after its descriptor.
fn numbers(args: &str) -> Vec<usize> {
    let rest = args.rsplit(['"', '>']).find(|part| part.contains(','));
    let rest = rest.unwrap().split(')').next().unwrap();
    rest.split([',', ' ']).filter_map(|number| number.parse().ok()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap()).collect()
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn make(&self, content: &mut Vec<u8>) {
        match self {
            Change::Truncate(len) => content.resize(*len, 0),
            Change::Write(at, bytes) => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

/// A file's content as it lasts, and what was changed since.
#[derive(Debug, Default)]
struct Content {
    lasting: Vec<u8>,
    changes: Vec<Change>,
}

type Names = BTreeMap<PathBuf, usize>;

/// What a sync that began covers.
enum Covered {
    File { content: usize, changes: usize },
    Folder { path: PathBuf, names: Names },
}

/// A folder on a disk that forgets what was not synced.
#[derive(Default)]
pub struct Forgetful {
    folder: PathBuf,
    contents: Vec<Content>,
    names: Names,
    lasting_names: Names,
    syncs: HashMap<u32, Covered>,
}

impl Forgetful {
    /// A folder, all of which lasts as it is now.
    pub fn new(folder: &Path) -> Forgetful {
        let mut made = Forgetful { folder: folder.to_owned(), ..Forgetful::default() };
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let lasting = std::fs::read(entry.path()).unwrap();
                made.names.insert(entry.path(), made.contents.len());
                made.contents.push(Content { lasting, changes: Vec::new() });
            }
        }
        made.lasting_names = made.names.clone();
        made
    }

    /// Does what a program did.
    pub fn take(&mut self, call: &Call) {
        match call {
            Call::Open(path) if path.parent() == Some(&self.folder) => {
                if !self.names.contains_key(path) {
                    self.names.insert(path.clone(), self.contents.len());
                    self.contents.push(Content::default());
                }
            }
            Call::Write { path, at, bytes } => self.change(path, Change::Write(*at, bytes.clone())),
            Call::Truncate { path, len } => self.change(path, Change::Truncate(*len)),
            Call::Rename { from, to } => {
                if let Some(content) = self.names.remove(from) {
                    self.names.insert(to.clone(), content);
                }
            }
            Call::Link { from, to } => {
                if let Some(content) = self.names.get(from) {
                    self.names.insert(to.clone(), *content);
                }
            }
            Call::Remove(path) => drop(self.names.remove(path)),
            Call::SyncBegins(thread, path) => {
                let covered = match self.names.get(path) {
                    Some(content) => {
                        let changes = self.contents[*content].changes.len();
                        Covered::File { content: *content, changes }
                    }
                    None => Covered::Folder { path: path.clone(), names: self.names.clone() },
                };
                self.syncs.insert(*thread, covered);
            }
            Call::SyncEnds(thread) => match self.syncs.remove(thread) {
                Some(Covered::File { content, changes }) => {
                    let Content { lasting, changes: all } = &mut self.contents[content];
                    all.drain(..changes).for_each(|change| change.make(lasting));
                }
                Some(Covered::Folder { path, names }) if path == self.folder => {
                    self.lasting_names = names;
                }
                _ => {}
            },
            Call::Open(_) | Call::Said(_) => {}
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        if let Some(content) = self.names.get(path) {
            self.contents[*content].changes.push(change);
        }
    }

    /// How many changes a loss of power could take back now.
    pub fn unsynced(&self) -> usize {
        self.contents.iter().map(|content| content.changes.len()).sum()
    }

    /// Writes to `to` what a loss of power leaves, now: with `rng` also some of what was not
    /// synced, of which the last sectors may be missing.
    pub fn lose_power(&self, to: &Path, mut rng: Option<&mut Rng>) {
        for (path, content) in &self.lasting_names {
            let Content { lasting, changes } = &self.contents[*content];
            let mut left = lasting.clone();
            for change in rng.iter_mut().flat_map(|rng| some_of(changes, rng)) {
                change.make(&mut left);
            }
            std::fs::write(to.join(path.file_name().unwrap()), left).unwrap();
        }
    }
}

fn some_of(changes: &[Change], rng: &mut Rng) -> Vec<Change> {
    let mut some = Vec::new();
    for change in changes {
        match (rng.below(3), change) {
            (0, _) => {}
            (1, Change::Write(at, bytes)) => {
                let sectors = bytes.len().div_ceil(SECTOR) as u64;
                let kept = usize::try_from(rng.below(sectors + 1)).unwrap() * SECTOR;
                some.push(Change::Write(*at, bytes[..kept.min(bytes.len())].to_vec()));
            }
            _ => some.push(change.clone()),
        }
    }
    some
}
