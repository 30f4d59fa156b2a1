//! Spaces: where ibGibs live.
//!
//! A space holds closed graphs only: whatever it holds, it holds with all dependencies
//! (docs/protocol.md, section 3). It only grows: no ibGib is ever changed or removed. A row's
//! number is above the numbers of all that it relates to, so ascending numbers are a
//! dependency-first order.
//!
//! A timeline has exactly one tip, and every frame of it is reached from the tip through `past` and
//! `graftorphan`. The *mainline* of a timeline is what `past` alone reaches from the tip; what was
//! orphaned by a merge is off the mainline. Each frame has a count `n` that grows along both
//! relations: `data.n`, or where a frame carries none, its predecessor's plus one (its distance
//! from the tjp). So the tip is the frame with the highest `n` whether or not frames carry one.

mod ahead;
mod bound;
mod check;
mod domain;
mod error;
mod exclusive;
mod ext;
mod graph;
mod id_set;
mod kept;
#[cfg(all(feature = "client", feature = "server"))]
mod killable;
mod memory;
mod pending;
mod place;
mod prepared;
mod put;
mod read;
mod relations;
mod row_id;
mod rows;
mod sqlite;
mod stage;
mod state;
mod tally;
#[cfg(test)]
mod tests;
mod verified;
mod walk;

pub use ahead::{Ahead, ahead};
pub use bound::Bound;
pub use domain::Domain;
pub use error::SpaceError;
pub use ext::SpaceExt;
pub use graph::{
    GraphDiff, GraphStats, chain, compare_graphs, dependency_graph, graph_ids, graph_stats,
};
pub use kept::{Kept, KeptFolder};
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) use killable::{KillSwitch, KillableSpace};
pub use memory::MemorySpace;
pub use pending::{Pending, Purpose};
pub use prepared::Prepared;
pub use row_id::RowId;
pub use rows::{Outline, Row};
#[doc(hidden)]
pub use sqlite::unpack;
pub use sqlite::{
    Audit, Damaged, Dropped, Finding, Group, Packed, Pool, Pooled, SeenOnDisk, SqliteSpace, Steps,
};
#[cfg(feature = "server")]
pub(crate) use sqlite::{SideTables, signed, unsigned};
pub use stage::{Overlay, Stage};
pub use state::{DomainState, StateDigest, StateItem};
pub use tally::GraphTally;

use std::collections::HashSet;

use crate::ibgib::{Addr, AddrKey, IbGib, TjpAddr};
use crate::keystone::KEYSTONE;

/// How the ib of every saga frame begins (docs/protocol.md, section 6).
pub const SAGA_IB: &str = "sync_saga";

/// The name under which a client's space keeps its identity.
pub const NAME_IDENTITY: &str = "I";

/// An ibGib in a space, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: RowId,
    /// Its address.
    pub addr: Addr,
    /// The row of its timeline's tjp; none for a stone.
    pub timeline: Option<RowId>,
    /// Its count in the timeline.
    pub n: u64,
    /// The row that it was made from, where that is in the same timeline (or both are stones).
    pub prev: Option<RowId>,
    /// What it relates to, each once, in order, primitives left out.
    pub rel8ds: Vec<Addr>,
}

/// The newest frame of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Its number.
    pub id: RowId,
    /// Its address.
    pub addr: Addr,
    /// Its count.
    pub n: u64,
}

/// What a timeline is for, told by its tjp's ib.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimelineKind {
    /// What people make.
    Data,
    /// An identity: the ib is `keystone`.
    Keystone,
    /// The frames of a sync: the ib begins with `sync_saga`.
    Saga,
}

impl TimelineKind {
    /// The kind of a timeline whose tjp has this ib.
    pub fn of_ib(ib: &str) -> TimelineKind {
        if ib == KEYSTONE {
            TimelineKind::Keystone
        } else if ib.starts_with(SAGA_IB) {
            TimelineKind::Saga
        } else {
            TimelineKind::Data
        }
    }
}

/// A timeline and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The row of its tjp.
    pub tjp_id: RowId,
    /// The address that names it.
    pub tjp: TjpAddr,
    /// Its newest frame.
    pub tip: Tip,
    /// What it is for.
    pub kind: TimelineKind,
}

/// By whose session a put is signed: the identity must not be revoked, and have kept its secret since
/// the session was stored.
#[derive(Debug, Clone)]
pub struct SignedBy {
    /// The identity.
    pub identity: TjpAddr,
    /// The session.
    pub session: TjpAddr,
}

/// What a put checks and sets besides storing.
#[derive(Debug, Clone, Default)]
pub struct PutOpts {
    /// Tips that must stand at `from` before and at `to` after the put.
    pub moves: Vec<TipMove>,
    /// Names to set in the same transaction.
    pub names: Vec<(String, TjpAddr)>,
    /// What the put may bring; none for anything.
    pub reach: Option<Reach>,
    /// Who signs the put.
    pub signed_by: Option<SignedBy>,
    /// How much there may be afterwards.
    pub bound: Bound,
}

/// What a put may bring: what was asked for, and what that relates to (docs/protocol.md, section
/// 6).
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// What was asked for, or made for the put itself.
    pub roots: HashSet<AddrKey>,
    /// Where the tips of data may move.
    pub tips: TipsTo,
}

/// Where a put may move the tips of data's timelines, new ones among them.
#[derive(Debug, Clone, Default)]
pub enum TipsTo {
    /// To whatever comes.
    #[default]
    Any,
    /// To roots only.
    Roots,
    /// To these only.
    Only(HashSet<AddrKey>),
}

/// How a timeline's tip is expected to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TipMove {
    /// The timeline.
    pub tjp: TjpAddr,
    /// The tip before; none where the timeline is new to the space.
    pub from: Option<Addr>,
    /// The tip after.
    pub to: Addr,
}

/// What a put did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutReport {
    /// How many ibGibs were stored.
    pub new: u64,
    /// How many were there already.
    pub known: u64,
    /// How many bytes of JSON were stored.
    pub bytes: u64,
}

/// How much a space holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceCount {
    /// IbGibs, frames and stones.
    pub ibgibs: u64,
    /// Timelines of every kind.
    pub timelines: u64,
    /// Bytes of JSON.
    pub bytes: u64,
}

/// Ends what [`Space::snapshot`] began when it is dropped.
#[must_use = "a snapshot ends when it is dropped"]
pub struct Snapshot<'a>(Option<Box<dyn FnOnce() + 'a>>);

impl<'a> Snapshot<'a> {
    /// A snapshot that `end` ends.
    fn ended_by(end: impl FnOnce() + 'a) -> Snapshot<'a> {
        Snapshot(Some(Box::new(end)))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// A place where closed graphs of ibGibs are kept, for one domain.
///
/// Every call that reads a row fails with [`SpaceError::Damaged`] where the file contradicts
/// itself and with [`SpaceError::NoSuchId`] for a number that is not this domain's. No call gives
/// out a text that was not hashed and compared with what it is stored under.
pub trait Space: Send + Sync {
    /// The row of an address; none where the space does not hold it.
    fn find(&self, addr: &Addr) -> Result<Option<RowId>, SpaceError>;

    /// Which of the addresses the space holds, in their order.
    fn has_many(&self, addrs: &[Addr]) -> Result<Vec<bool>, SpaceError>;

    /// The ibGib in a row.
    fn get_id(&self, id: RowId) -> Result<IbGib, SpaceError>;

    /// The ibGib's JSON in normal form.
    fn text(&self, id: RowId) -> Result<Box<str>, SpaceError>;

    /// As [`Space::text`], where the row's relations are not compared with the text: for sending,
    /// since the other side looks at them itself.
    fn text_to_send(&self, id: RowId) -> Result<Box<str>, SpaceError>;

    /// The address that the ibGib is stored under. Its text is not hashed for it: whoever wants that
    /// reads it by another call.
    fn addr(&self, id: RowId) -> Result<Addr, SpaceError>;

    /// Address, place and relations, without the data.
    fn node(&self, id: RowId) -> Result<Node, SpaceError>;

    /// What is known of a row without reading its JSON.
    fn row(&self, id: RowId) -> Result<Row, SpaceError>;

    /// The rows that a row relates to, each once, in order; all have smaller numbers.
    fn deps(&self, id: RowId) -> Result<Vec<RowId>, SpaceError>;

    /// The rows among the `span` numbers that end with `newest`, descending: for walks through many of
    /// them. A number that is not this domain's is left out.
    fn outlines(&self, newest: RowId, span: u64) -> Result<Vec<Outline>, SpaceError>;

    /// The rows that are newer than one, descending; none where the file got more than `most` since.
    fn newer(&self, than: RowId, most: u64) -> Result<Option<Vec<Outline>>, SpaceError>;

    /// The newest frame of a timeline; none where the space does not hold the timeline.
    fn tip(&self, tjp: &TjpAddr) -> Result<Option<Tip>, SpaceError>;

    /// Up to `limit` timelines of a kind whose tjp row is above `after`, ascending by it.
    fn timelines(
        &self,
        kind: TimelineKind,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<Timeline>, SpaceError>;

    /// The timeline that begins at a row; none where no timeline begins there.
    fn timeline_of(&self, tjp_id: RowId) -> Result<Option<Timeline>, SpaceError>;

    /// Up to `limit` stones above `after` that nothing relates to, ascending, dna left out.
    fn unreferenced_stones(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Addr)>, SpaceError>;

    /// The data timelines (their tjp rows) reached from `roots` in the live graph, and those of
    /// `roots` that are stones; ascending, each once.
    ///
    /// It is told from an index of which timeline or stone relates to which, not by walking
    /// frames.
    fn live_timelines(&self, roots: &[RowId]) -> Result<Vec<RowId>, SpaceError>;

    /// The frame on a timeline's mainline with the highest count of at most `n`; none where the tjp
    /// counts higher or no timeline begins at `tjp_id`.
    fn frame_at(&self, tjp_id: RowId, n: u64) -> Result<Option<RowId>, SpaceError>;

    /// Whether `newer` reaches `older` through `past` and `graftorphan` inside their timeline;
    /// a row extends itself, a stone nothing else.
    fn extends(&self, newer: RowId, older: RowId) -> Result<bool, SpaceError>;

    /// Stores a batch in one transaction, or nothing.
    ///
    /// Items may come in any order; one that stands before what it relates to waits in memory
    /// (up to a limit), so a dependency-first order is best. Items that are there already are
    /// skipped. Refused where a dependency is missing, a timeline would have two newest frames,
    /// a count does not grow or jumps too far, a keystone frame is not valid or follows a frame that has a
    /// successor, what comes is not what `opts` expects, or there would be more than it allows
    /// ([`SpaceError::OverQuota`], [`SpaceError::FileBound`]). A `batch` that uses this space itself gets
    /// [`SpaceError::InUse`] from it; one that waits for another thread to use it waits forever.
    fn put(
        &self,
        batch: &mut dyn Iterator<Item = Result<Prepared, SpaceError>>,
        opts: &PutOpts,
    ) -> Result<PutReport, SpaceError>;

    /// The timeline that a name such as `X` stands for.
    fn name(&self, name: &str) -> Result<Option<TjpAddr>, SpaceError>;

    /// Lets a name stand for a timeline, which need not be here.
    fn set_name(&self, name: &str, tjp: &TjpAddr) -> Result<(), SpaceError>;

    /// The step of an identity that was signed last for a purpose and that perhaps nobody has
    /// accepted yet (docs/protocol.md, section 5).
    fn pending(&self, identity: &TjpAddr, purpose: Purpose) -> Result<Option<Pending>, SpaceError>;

    /// Keeps a signed step before it is sent, in a transaction of its own.
    ///
    /// Where one is kept on the same frame already, that one stays and is returned. Errors with
    /// [`SpaceError::TipMoved`] where the identity's newest frame is not the one that it was signed
    /// on; a step that was kept on an older frame gives way.
    fn keep_pending(
        &self,
        identity: &TjpAddr,
        purpose: Purpose,
        made: &Pending,
    ) -> Result<Pending, SpaceError>;

    /// Gives back memory that is held for speed alone, for walks through what is long and not
    /// looked at again.
    fn release(&self) -> Result<(), SpaceError>;

    /// Lets what is read be seen as it stands now, until what is returned is dropped: many small
    /// reads cost much less so. Nothing may be written on this space meanwhile.
    fn snapshot(&self) -> Result<Snapshot<'_>, SpaceError>;

    /// Where the domain's data stands. Kept up to date by every put; a file of an older version keeps
    /// none, so that there the first call works it out, and keeps it where that can be written. Not to
    /// be called inside a snapshot.
    fn state(&self) -> Result<DomainState, SpaceError>;

    /// Gives everything to `f` that [`DomainState::digest`] is the sum of. Not to be called inside a
    /// snapshot.
    fn each_state_item(&self, f: &mut dyn FnMut(StateItem)) -> Result<(), SpaceError>;

    /// How much the space holds.
    fn count(&self) -> Result<SpaceCount, SpaceError>;

    /// Errors as a put does where `more` bytes of JSON would be over a bound: what cannot be kept
    /// need not be taken.
    fn check_bound(&self, bound: &Bound, more: u64) -> Result<(), SpaceError>;

    /// The error for what contradicts itself.
    fn damaged(&self, detail: String) -> SpaceError;
}
