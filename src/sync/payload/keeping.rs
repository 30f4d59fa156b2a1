//! Keeping what arrives, so that a payload that is cut goes on where it was (docs/protocol.md,
//! section 6, "Resume").

use std::time::{Duration, SystemTime};

use super::PayloadHasher;
use crate::ibgib::{Moment, TjpAddr};
use crate::space::{Kept, KeptFolder, SpaceError};
use crate::sync::error::SyncError;
use crate::sync::msg::{Checkpoint, MAX_CHECKPOINTS};

/// How many bytes lie between two checkpoints, and as many more as the ibGib has that ends them.
const APART: u64 = 4 << 20;
/// What a payload has to exceed before any of it is kept: what is small is sent again at no cost.
const SMALL: usize = 256 << 10;
/// Bytes of JSON that are read back at once.
const BATCH: usize = 256 << 10;

/// What a session took from what was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// IbGibs.
    pub ibgibs: u64,
    /// Bytes of JSON.
    pub bytes: u64,
}

/// What arrives in a saga, as it is kept for another one. That a disk does not let it is no failure:
/// nothing is kept then.
#[derive(Debug)]
pub(super) struct Keeping {
    folder: KeptFolder,
    domain: TjpAddr,
    now: SystemTime,
    file: Option<Kept>,
    /// Lines that are not in the file yet.
    pending: String,
    /// Where the other side may go on: each place with the bytes of JSON before it.
    offered: Vec<(Checkpoint, u64)>,
    /// Whether that was said of this turn.
    is_told: bool,
    is_off: bool,
}

impl Keeping {
    /// Nothing yet, in the file of `domain`.
    pub(super) fn new(folder: KeptFolder, domain: TjpAddr, now: Moment) -> Keeping {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.ms());
        Keeping {
            folder,
            domain,
            now,
            file: None,
            pending: String::new(),
            offered: Vec::new(),
            is_told: false,
            is_off: false,
        }
    }

    /// The places of what was kept of the turn that comes next; told once, since the file is read for
    /// it.
    pub(super) fn offer(&mut self) -> Vec<Checkpoint> {
        if std::mem::replace(&mut self.is_told, true) || self.is_off || !self.pending.is_empty() {
            return Vec::new();
        }
        self.offered = self.places().unwrap_or_else(|error| self.fail(&error));
        self.offered.iter().map(|(place, _)| place.clone()).collect()
    }

    fn places(&mut self) -> Result<Vec<(Checkpoint, u64)>, SpaceError> {
        if self.file.is_none() {
            self.file = self.folder.find(&self.domain, self.now)?;
        }
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let (mut hasher, mut places) = (PayloadHasher::default(), Vec::new());
        let mut since = 0;
        for text in file.texts()? {
            let text = text?;
            hasher.add(&text);
            since += text.len() as u64;
            if since >= APART {
                places.push(place(&hasher));
                since = 0;
            }
            if places.len() == MAX_CHECKPOINTS {
                return Ok(places);
            }
        }
        if since > 0 {
            places.push(place(&hasher));
        }
        Ok(places)
    }

    /// How many bytes of JSON lie before a place, after what came in this turn so far. Errors where it is
    /// not the next of those that were offered.
    pub(super) fn up_to(&self, count: u64, so_far: &PayloadHasher) -> Result<u64, SyncError> {
        let next = self.offered.iter().find(|(place, _)| place.count > so_far.count);
        let (_, bytes) = next
            .filter(|(place, _)| place.count == count)
            .ok_or_else(|| SyncError::protocol(format!("{count} ibGibs are not kept here next")))?;
        Ok(bytes.saturating_sub(so_far.bytes))
    }

    /// Whether a digest is that of the place after `count` ibGibs.
    pub(super) fn is_place(&self, count: u64, digest: &str) -> bool {
        self.offered.iter().any(|(place, _)| place.count == count && place.digest == digest)
    }

    /// Keeps nothing more: what comes is no payload that goes on.
    pub(super) fn stop(&mut self) {
        self.is_off = true;
    }

    /// The next `count` texts at most of what was kept, named from now on; fewer where they are long.
    pub(super) fn read(&mut self, count: u64) -> Result<Vec<Box<str>>, SyncError> {
        let gone = || SyncError::Conflict("what was kept of an earlier payload is gone".into());
        let file = self.file.as_mut().ok_or_else(gone)?;
        let (mut texts, mut bytes) = (Vec::new(), 0);
        for text in file.texts()?.take(usize::try_from(count).unwrap_or(usize::MAX)) {
            let text = text?;
            bytes += text.len();
            texts.push(text);
            if bytes >= BATCH {
                break;
            }
        }
        if texts.is_empty() {
            return Err(gone());
        }
        file.name(&texts);
        Ok(texts)
    }

    /// Keeps texts that came, after those that were named.
    pub(super) fn took(&mut self, texts: &[Box<str>]) {
        self.offered.clear();
        if self.is_off {
            return;
        }
        // A line ends where a text does.
        self.is_off = texts.iter().any(|text| text.contains('\n'));
        for text in texts.iter().filter(|_| !self.is_off) {
            self.pending.push_str(text);
            self.pending.push('\n');
        }
        if self.pending.len() > SMALL {
            self.flush();
        }
    }

    /// Ends a turn; what was offered for one in which nothing came holds for the next one.
    pub(super) fn end_turn(&mut self, has_come: bool) {
        self.is_told = false;
        if !has_come {
            return;
        }
        self.offered.clear();
        let is_named = match &mut self.file {
            Some(file) if self.pending.is_empty() => file.name_end(),
            _ => Ok(false),
        };
        match is_named {
            Ok(true) => {}
            Ok(false) => self.pending.push('\n'),
            Err(error) => self.fail(&error),
        }
    }

    /// Drops it all: it is in the space, or of no use.
    pub(super) fn forget(&mut self) {
        self.is_off = true;
        if let Some(file) = self.file.take()
            && let Err(error) = file.remove()
        {
            tracing::debug!(%error, "what was kept of a payload is not removed");
        }
    }

    fn flush(&mut self) {
        if !self.folder.has_space(self.file.as_ref().map_or(0, Kept::named)) {
            tracing::debug!("the disk has little room: nothing more of a payload is kept");
            self.pending.clear();
            return self.forget();
        }
        let written = self.write();
        self.pending.clear();
        match written {
            Ok(has_room) => self.is_off = !has_room,
            Err(error) => self.fail(&error),
        }
    }

    fn write(&mut self) -> Result<bool, SpaceError> {
        if self.file.is_none() {
            self.file = self.folder.make(&self.domain)?;
        }
        self.file.as_mut().map_or(Ok(false), |file| file.append(&self.pending))
    }

    fn fail<T: Default>(&mut self, error: &SpaceError) -> T {
        tracing::debug!(%error, "nothing more of a payload is kept");
        self.forget();
        T::default()
    }
}

fn place(hasher: &PayloadHasher) -> (Checkpoint, u64) {
    let digest = hasher.digest();
    (Checkpoint { count: digest.count, digest: digest.digest }, digest.bytes)
}
