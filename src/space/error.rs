//! What can go wrong in a space.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::ibgib::{Addr, IbGibError, TjpAddr};

use super::RowId;

/// Why a space did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `write`.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused in a way that no other variant names.
    #[error("SQLite failed on {}: {source}", path.display())]
    Sqlite {
        /// The space's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// There is no file, and none was to be made.
    #[error("there is no space at {}", .0.display())]
    NoFile(PathBuf),
    /// The file is there and holds nothing, not even a space's tables.
    #[error("{} is damaged: it is empty", .0.display())]
    Empty(PathBuf),
    /// The folder that the file would lie in is missing.
    #[error("cannot make a space at {}: its folder does not exist", .0.display())]
    NoParent(PathBuf),
    /// The file is no SQLite file, or that of another program.
    #[error("{} is not a space: {detail}", path.display())]
    NotASpace {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: &'static str,
    },
    /// A later version of this program made the file.
    #[error(
        "{} was written by a newer sync-gib (format {found}, this one knows {known}): upgrade it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format's version in the file.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file contradicts itself.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A step that is signed on I's newest frame, and perhaps sent, cannot be read.
    #[error(
        "the step that was signed last on the newest frame of {identity} is damaged ({detail}); \
         whether a server has taken it is not known, and a second one is not signed on that frame"
    )]
    PendingDamaged {
        /// The identity.
        identity: TjpAddr,
        /// What was found.
        detail: String,
    },
    /// Another process wrote for longer than a call waits.
    #[error("{} is in use by another process: try again", .0.display())]
    Busy(PathBuf),
    /// There is no room left on the file's disk.
    #[error("the disk is full: {} cannot be written", .0.display())]
    Full(PathBuf),
    /// The file, its folder or its disk may be read only.
    #[error(
        "{} can only be read: this user may not write to it, to its folder or to its disk",
        .0.display()
    )]
    ReadOnly(PathBuf),
    /// A row that this space does not hold was asked for.
    #[error("the space holds no ibGib number {0}")]
    NoSuchId(RowId),
    /// A graph is not closed.
    #[error(
        "{addr} is missing: {wanted_by} relates to it, and neither the space nor the put has it"
    )]
    Missing {
        /// What is missing.
        addr: Addr,
        /// What relates to it.
        wanted_by: Addr,
    },
    /// A put would leave a timeline with two newest frames.
    #[error("the timeline {tjp} would diverge: {frame} does not extend {tip}; sync or merge first")]
    Diverged {
        /// The timeline.
        tjp: TjpAddr,
        /// The newest frame of one branch; the tip before the put where there was one.
        tip: Addr,
        /// The newest frame of the other branch.
        frame: Addr,
    },
    /// A second successor of one keystone frame.
    #[error(
        "the identity {tjp} is forked: {frame} follows {prev}, which already has a successor; \
         two holders of the secret signed at once, or it is stolen"
    )]
    KeystoneFork {
        /// The identity's timeline.
        tjp: TjpAddr,
        /// The frame that has a successor.
        prev: Addr,
        /// The second successor.
        frame: Addr,
    },
    /// A keystone frame breaks the rules of keystones.
    #[error("the keystone frame {addr} is not valid: {}", violations.join("; "))]
    KeystoneInvalid {
        /// The frame.
        addr: Addr,
        /// One message per broken rule.
        violations: Vec<String>,
    },
    /// A timeline's tip is not where a put expected it.
    #[error("the tip of {tjp} has moved: expected {}, found {}", or_none(expected), or_none(found))]
    TipMoved {
        /// The timeline.
        tjp: TjpAddr,
        /// The tip that was expected.
        expected: Option<Addr>,
        /// The tip that is there.
        found: Option<Addr>,
    },
    /// A frame's count is not above that of a frame that it comes from.
    #[error("{addr} has n = {n}, not above the n = {before} of the frame that it comes from")]
    NDoesNotGrow {
        /// The frame.
        addr: Addr,
        /// Its count.
        n: u64,
        /// The count of the last of its `past` or `graftorphan`.
        before: u64,
    },
    /// A frame's count is so far above what it follows that it would use the counts up.
    #[error("{addr} has n = {n}, above the limit of {most} for that frame")]
    NTooHigh {
        /// The frame.
        addr: Addr,
        /// Its count.
        n: u64,
        /// The highest count that it may have.
        most: u64,
    },
    /// A frame names something as its tjp that is not one.
    #[error("{addr} names {tjp} as its tjp, which begins no timeline")]
    NotATjp {
        /// The frame.
        addr: Addr,
        /// What it names.
        tjp: TjpAddr,
    },
    /// A frame of a timeline has no predecessor in it.
    #[error("{addr} belongs to the timeline {tjp}, but its past does not lead there")]
    NoPast {
        /// The frame.
        addr: Addr,
        /// Its timeline.
        tjp: TjpAddr,
    },
    /// Too much of a put stood before what it relates to.
    #[error(
        "over {limit} bytes of ibGibs stand before what they relate to: put dependencies first"
    )]
    TooManyWaiting {
        /// How many bytes may wait.
        limit: usize,
    },
    /// A put brings what nobody asked for.
    #[error("{0} was not asked for, and nothing that was asked for relates to it")]
    Unwanted(Addr),
    /// A put moves a timeline that nobody named.
    #[error("the timeline {tjp} would move to {tip}, which was not named")]
    UnnamedMove {
        /// The timeline.
        tjp: TjpAddr,
        /// Where its tip would stand.
        tip: Addr,
    },
    /// The identity that a put is signed by is revoked.
    #[error("the identity {0} is revoked")]
    Revoked(TjpAddr),
    /// A put would bring a domain over its bound.
    #[error("over the quota: one identity may hold {most} bytes here")]
    OverQuota {
        /// How many bytes of JSON it may hold.
        most: u64,
    },
    /// A put would bring the whole file over its bound.
    #[error("the file has reached its size limit of {most} bytes")]
    FileBound {
        /// How many bytes may be in use.
        most: u64,
    },
    /// A batch uses the space that it is put into.
    #[error("the space is in use by the put that asks for this")]
    InUse,
    /// A text is no ibGib, or not the one that it says it is.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
}

impl From<std::convert::Infallible> for SpaceError {
    fn from(never: std::convert::Infallible) -> SpaceError {
        match never {}
    }
}

impl SpaceError {
    /// Wraps what the system said about a file.
    pub(super) fn io(
        what: &'static str,
        path: &Path,
    ) -> impl Fn(std::io::Error) -> SpaceError + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SpaceError::Full(path.clone()),
            ErrorKind::ReadOnlyFilesystem => SpaceError::ReadOnly(path.clone()),
            _ => SpaceError::Io { what, path: path.clone(), source },
        }
    }
}

fn or_none(addr: &Option<Addr>) -> &str {
    addr.as_ref().map_or("none", Addr::as_str)
}
