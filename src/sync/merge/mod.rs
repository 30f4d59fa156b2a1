//! Merging two tips of one timeline: pure functions of the two branches (docs/protocol.md,
//! section 7).
//!
//! One branch stays. The edits of the other are replayed on top of it, oldest first, as new frames
//! that carry the timestamps of the edits that they replay; a last frame, the *graft frame*, relates
//! the result to both tips. There is no clock and no randomness in it: the same two tips give the
//! same frames to the byte.
//!
//! - Each frame of the branch gives the three-way merge of the tip that stays with that frame,
//!   against the common one: texts by lines and words ([`merge_text`]), objects key by key, arrays
//!   by the ids of their elements or as sequences, relations as sets.
//! - A field that both branches set has the value of the newer edit, and the other is listed in the
//!   graft info ([`Overwritten`]).
//! - What cannot be replayed is reported and kept in the graft info, and the rest goes on.
//! - An edit that an earlier merge already brought to the branch that stays is not replayed again.

mod branch;
mod branch_frames;
mod content;
mod decide;
mod derive;
mod graft;
mod last_edit;
mod list;
mod overwritten;
mod path;
mod rebase;
mod relation;
mod rename;
mod replay;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use branch::{Branches, MAX_FRAMES, split};
pub use content::{Content, ContentError};
pub use derive::{is_bookkeeping, is_kept_by_frames};
pub use overwritten::{Overwritten, Side, Winner, overwritten_of, overwritten_unseen};
pub use path::{ELEMENT_KEYS, FieldPath, PathError, Step};
pub use text::merge_text;

use std::collections::HashMap;
use std::error::Error;

use crate::ibgib::transform::TransformError;
use crate::ibgib::{Addr, IbGib, IbGibError};

/// The relation of a graft frame to the tip that it was grafted onto.
pub const GRAFT_BASE: &str = "graftbase";
/// The relation of a graft frame to the tip of the branch that was replayed.
pub const GRAFT_ORPHAN: &str = "graftorphan";
/// The relation of a graft frame to the stone that records the merge.
pub const GRAFT_INFO: &str = "graftinfo";
/// The ib of the stone that records a merge.
pub const GRAFT_INFO_IB: &str = "graft_info";
/// The version of the rules of a merge, as its graft info names it; one without a version was made
/// by rules of which the replayed edit won.
pub const RULES: u64 = 2;
/// The ib of a stone that holds a part of a long graft info.
pub const GRAFT_INFO_PART_IB: &str = "graft_info_part";

/// Where a merge reads frames from.
pub trait Frames {
    /// The ibGib at an address; none where it is not there. What it gives is taken as valid.
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn Error + Send + Sync>>;
}

impl Frames for HashMap<Addr, IbGib> {
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn Error + Send + Sync>> {
        Ok(HashMap::get(self, addr).cloned())
    }
}

/// Why two tips were not merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One tip stands on the other: there is nothing to merge.
    #[error("{older} and {newer} have not diverged: move the tip to {newer} instead")]
    NotDiverged {
        /// The tip that is behind, or both.
        older: Addr,
        /// The tip that holds the other.
        newer: Addr,
    },
    /// A forked identity.
    #[error(
        "the identity {tjp} was evolved twice from one frame, and identities never merge: find out \
         which device signed {kept} and which {replayed}; if you know both, keep the server's \
         branch and discard the other; if you do not, revoke the identity and set up another"
    )]
    Keystone {
        /// The identity.
        tjp: String,
        /// One tip.
        kept: Addr,
        /// The other.
        replayed: Addr,
    },
    /// A frame is not there.
    #[error("{addr} is missing, which {wanted_by} relates to: fetch it, then merge again")]
    Missing {
        /// What is missing.
        addr: Addr,
        /// What needs it.
        wanted_by: String,
    },
    /// A branch does not stand on the frame that both should share.
    #[error("{tip} does not stand on {base}: give a frame that both branches hold")]
    NotReached {
        /// The frame that should be common.
        base: Addr,
        /// The tip of the branch that does not hold it.
        tip: Addr,
    },
    /// A frame is of no timeline.
    #[error("{0} is a stone: only timelines diverge")]
    NotATimeline(Addr),
    /// A frame is of another timeline.
    #[error("{addr} is not a frame of the timeline {tjp}: only tips of one timeline merge")]
    OtherTimeline {
        /// The stray frame.
        addr: Addr,
        /// The timeline of the tip that stays.
        tjp: String,
    },
    /// A branch is too long to walk.
    #[error("{0} is more than {MAX_FRAMES} frames from the common frame: too many to merge")]
    TooLong(Addr),
    /// A frame could not be read.
    #[error("{addr} could not be read: {source}")]
    Read {
        /// The frame.
        addr: Addr,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The graft frame was not made.
    #[error("the graft frame on {tip} could not be made: {source}")]
    Graft {
        /// The tip that it was to stand on.
        tip: String,
        /// Why.
        source: TransformError,
    },
    /// A frame that was made, or that was read, is no ibGib.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
}

impl From<crate::ibgib::AddrError> for MergeError {
    fn from(error: crate::ibgib::AddrError) -> MergeError {
        MergeError::IbGib(error.into())
    }
}

/// A frame whose edit was replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The original frame.
    pub frame: Addr,
    /// Its dna; none where it has none of its own.
    pub dna: Option<Addr>,
    /// The frames that replay it, oldest first: one, or two where an edit without dna changed both
    /// data and relations, or none where the frame changed nothing but its time.
    pub made: Vec<Addr>,
}

/// An edit, or a part of one, that could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreplayed {
    /// The original frame.
    pub frame: Addr,
    /// Its dna; none where it has none of its own.
    pub dna: Option<Addr>,
    /// What could not be replayed and why, for a person.
    pub reason: String,
}

/// What a merge gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// The new tip: the graft frame.
    pub tip: Addr,
    /// Everything that was made, each one's dependencies before it; the tip is the last.
    pub new: Vec<IbGib>,
    /// The stone that records the merge.
    pub graft_info: Addr,
    /// The frame that the merge was made against.
    pub common: Addr,
    /// What was replayed, oldest first.
    pub replayed: Vec<Replayed>,
    /// What was not, oldest first.
    pub unreplayed: Vec<Unreplayed>,
    /// What gave way.
    pub overwritten: Vec<Overwritten>,
}

/// Merges two tips of one timeline.
///
/// `base` is a frame that both stand on; where an earlier merge gave them a nearer one, that is
/// used, so that the result depends on the two tips alone. `kept` is the tip of the branch that
/// stays (the receiver's), `replayed` that of the branch whose edits are replayed on top.
///
/// Errors where the tips have not diverged, where they are a keystone's, or where a frame is
/// missing; an edit that cannot be replayed is no error (see [`Merge::unreplayed`]).
pub fn merge(
    frames: &dyn Frames,
    base: &Addr,
    kept: &Addr,
    replayed: &Addr,
) -> Result<Merge, MergeError> {
    let branches = split(frames, base, kept, replayed)?;
    let run = replay::replay(frames, &branches, kept)?;
    graft::finish(frames, &branches, kept, replayed, run)
}

/// Reads a frame that must be there.
fn need(frames: &dyn Frames, addr: &Addr, wanted_by: &str) -> Result<IbGib, MergeError> {
    match frames.get(addr) {
        Ok(Some(ibgib)) => Ok(ibgib),
        Ok(None) => {
            Err(MergeError::Missing { addr: addr.clone(), wanted_by: wanted_by.to_owned() })
        }
        Err(source) => Err(MergeError::Read { addr: addr.clone(), source }),
    }
}

/// The newest address of a relation.
fn newest<'a>(frame: &'a IbGib, relation: &str) -> Option<&'a str> {
    frame.rel8d(relation).next_back()
}
