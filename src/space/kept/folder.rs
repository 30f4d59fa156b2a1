//! The folder of the files, and how much they take in all.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::holder::Holder;
use super::{Kept, Place};
use crate::ibgib::TjpAddr;
use crate::space::SpaceError;

/// How long after the last write to it a file is kept.
pub(super) const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a session waits for what another one is writing, and how long that may pause.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(30);

/// How many times what a file has is read to be offered, and not taken up.
const READS: u64 = 16;
/// What a disk has to have free at least.
const SPARE: u64 = 64 << 20;
/// The extension of the files' names, and how many bytes of a hash stand before it.
const EXTENSION: &str = "kept";
const HASH: usize = 16;

/// Where one side keeps what arrives, and how much of it. A domain's file takes at most as much as
/// it leaves free, so that whoever comes next finds a part of the rest.
#[derive(Debug, Clone)]
pub struct KeptFolder {
    dir: PathBuf,
    side: &'static str,
    most: u64,
    used: Arc<AtomicU64>,
    /// The files that sessions of this process write to.
    holders: Arc<Mutex<HashMap<PathBuf, Weak<Holder>>>>,
    /// How many bytes of each were read to be offered.
    reads: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

impl KeptFolder {
    /// The files of `side`, a word that their names begin with, in `dir`, which take `most` bytes at
    /// most. What is a day old at `now` is removed.
    pub fn open(
        dir: PathBuf,
        side: &'static str,
        most: u64,
        now: SystemTime,
    ) -> Result<KeptFolder, SpaceError> {
        let (used, holders, reads) = (Arc::default(), Arc::default(), Arc::default());
        let folder = KeptFolder { dir, side, most, used, holders, reads };
        for path in folder.files()? {
            let found = std::fs::metadata(&path).map(|found| found.len());
            folder.used.fetch_add(found.unwrap_or_default(), Ordering::Relaxed);
        }
        folder.sweep(now)?;
        Ok(folder)
    }

    /// How many bytes all files take.
    pub fn bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Removes the files that are a day old at `now` and that no session holds.
    pub fn sweep(&self, now: SystemTime) -> Result<(), SpaceError> {
        self.remove_if(|found| is_old(found, now))
    }

    /// Removes all files that no session holds: their disk is full.
    pub fn clear(&self) -> Result<(), SpaceError> {
        self.remove_if(|_| Ok(true))
    }

    /// One that cannot be removed keeps no other.
    fn remove_if(
        &self,
        is_one: impl Fn(&Metadata) -> std::io::Result<bool>,
    ) -> Result<(), SpaceError> {
        for path in self.files()? {
            match remove_one(&path, &is_one) {
                Ok(bytes) => self.give_back(bytes),
                Err(error) => tracing::debug!(path = %path.display(), %error, "it stays"),
            }
        }
        Ok(())
    }

    /// Whether the disk has room for what is still to come of a payload, of which `bytes` are here: they
    /// are staged as well, and are to be committed.
    pub fn has_space(&self, bytes: u64) -> bool {
        free(&self.dir).is_none_or(|free| free / 3 >= bytes.saturating_add(SPARE / 3))
    }

    /// The file of a domain, where there is one that is not a day old at `now`. Where another session
    /// here still writes down what came, it is waited for, a second at most.
    pub fn find(&self, domain: &TjpAddr, now: SystemTime) -> Result<Option<Kept>, SpaceError> {
        let path = self.path_of(domain);
        self.wait_for(&path);
        let failed = SpaceError::io("read", &path);
        if !is_file(&path) {
            return Ok(None);
        }
        let reader = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(SpaceError::io("open", &path))?,
        };
        let found = reader.metadata().map_err(&failed)?;
        if is_old(&found, now).map_err(&failed)? {
            return Ok(None);
        }
        if !self.may_read(&path, found.len()) {
            self.give_back(remove_one(&path, |_| Ok(true)).map_err(&failed)?);
            return Ok(None);
        }
        Ok(Some(self.kept(reader, path, Place::Reads)))
    }

    /// A file of a domain to write to from its beginning.
    pub fn make(&self, domain: &TjpAddr) -> Result<Option<Kept>, SpaceError> {
        let path = self.path_of(domain);
        let Some((holder, number)) = self.holder(&path, false)? else { return Ok(None) };
        let reader = File::open(&path).map_err(SpaceError::io("open", &path))?;
        Ok(Some(self.kept(reader, path, Place::Writes(holder, number))))
    }

    fn kept(&self, reader: File, path: PathBuf, place: Place) -> Kept {
        Kept { reader, path, folder: self.clone(), named: 0, place, is_ended: false }
    }

    /// Where a file is written from, and the number under which; none where another process holds it, or
    /// another session here does from which it is not to be taken over.
    pub(super) fn holder(
        &self,
        path: &Path,
        takes_over: bool,
    ) -> Result<Option<(Arc<Holder>, u64)>, SpaceError> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = holders.get(path).and_then(Weak::upgrade) {
            return Ok(takes_over.then(|| (Arc::clone(&holder), holder.take())));
        }
        if !is_file(path) && path.symlink_metadata().is_ok() {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(SpaceError::io("open", path))?;
        let failed = SpaceError::io("read", path);
        if !lock(&file, path)? || !is_at(&file, path).map_err(&failed)? {
            return Ok(None);
        }
        let bytes = file.metadata().map_err(&failed)?.len();
        let holder = Arc::new(Holder::new(file, bytes));
        holders.retain(|_, holder| holder.strong_count() > 0);
        holders.insert(path.to_owned(), Arc::downgrade(&holder));
        let number = holder.take();
        Ok(Some((holder, number)))
    }

    /// Whoever comes now does not write to this file, which is about to be removed.
    pub(super) fn let_go(&self, path: &Path) {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Waits until what another session got before its line was cut is written down.
    fn wait_for(&self, path: &Path) {
        let bytes = || {
            let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
            holders.get(path).and_then(Weak::upgrade).map(|holder| holder.bytes())
        };
        let until = Instant::now() + LONGEST_WAIT;
        let mut before = bytes();
        while before.is_some() && Instant::now() < until {
            std::thread::sleep(STEP);
            let now = bytes();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Counts that a file is read from its beginning: for what it has, that is done [`READS`] times.
    fn may_read(&self, path: &Path, bytes: u64) -> bool {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let read = reads.get(path).copied().unwrap_or(0).saturating_add(bytes);
        let may = read <= bytes.saturating_mul(READS);
        match may {
            true => drop(reads.insert(path.to_owned(), read)),
            false => drop(reads.remove(path)),
        }
        reads.retain(|path, _| path.exists());
        may
    }

    /// Takes `more` bytes of room for a file of `bytes`, where they are to be had.
    pub(super) fn take(&self, bytes: u64, more: u64) -> bool {
        let taken = |used: u64| {
            let used = used.saturating_add(more);
            (bytes.saturating_add(more) <= self.most.saturating_sub(used)).then_some(used)
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn path_of(&self, domain: &TjpAddr) -> PathBuf {
        let hash = Sha256::digest(domain.to_string());
        let hash = data_encoding::HEXLOWER.encode(&hash[..HASH]);
        self.dir.join(format!("{}-{hash}.{EXTENSION}", self.side))
    }

    fn files(&self) -> Result<Vec<PathBuf>, SpaceError> {
        let failed = SpaceError::io("read", &self.dir);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let rest = name.strip_prefix(self.side).and_then(|rest| rest.strip_prefix('-'));
            let hash = rest.and_then(|rest| rest.strip_suffix(EXTENSION)?.strip_suffix('.'));
            let is_hash = |hash: &str| {
                hash.len() == 2 * HASH
                    && hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
            };
            if hash.is_some_and(is_hash) && is_file(&path) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// Whether nobody else holds the file.
fn lock(file: &File, path: &Path) -> Result<bool, SpaceError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(SpaceError::io("lock", path)(error)),
    }
}

/// Whether a file is still there under its name: who held it may have removed it meanwhile.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let named = match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let found = file.metadata()?;
        Ok((found.dev(), found.ino()) == (named.dev(), named.ino()))
    }
    #[cfg(not(unix))]
    Ok(path.try_exists()? && file.metadata().is_ok())
}

/// Whether something is a file, and no link to one.
fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether a file is a day old; so is one of a day that is to come.
fn is_old(found: &Metadata, now: SystemTime) -> std::io::Result<bool> {
    let age = now.duration_since(found.modified()?);
    Ok(age.unwrap_or_else(|ahead| ahead.duration()) >= MAX_AGE)
}

/// How many bytes are free on the disk of a folder; none where that cannot be told.
#[cfg(unix)]
fn free(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

/// Removes a file that nobody holds and that is one of these. Returns how many bytes that gave back.
fn remove_one(
    path: &Path,
    is_one: impl Fn(&Metadata) -> std::io::Result<bool>,
) -> std::io::Result<u64> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if is_one(&found)? && file.try_lock().is_ok() {
        std::fs::remove_file(path)?;
        return Ok(found.len());
    }
    Ok(0)
}
