//! The heads of a timeline while a put adds frames to it.

use std::collections::BTreeMap;

use super::super::rows::TimelineRow;
use super::super::{RowId, TimelineKind};
use super::Row;
use crate::ibgib::AddrKey;
use crate::space::StateDigest;

/// A timeline that a put adds frames to.
///
/// Its *heads* are the old tip and the new frames that no newer frame of the put comes from. An
/// old frame other than the tip cannot be a head: what the space holds it holds closed, so only
/// new frames relate to new ones. One head left at the end is the new tip, and it extends the
/// old tip; two heads are a divergence.
pub(super) struct TimelineHeads {
    kind: TimelineKind,
    old_tip: Option<RowId>,
    /// The keys of the tjp and, where it was there before, of the old tip.
    tjp_key: AddrKey,
    old_key: Option<AddrKey>,
    /// The end of the mainline: the old tip, moved on by each frame that follows it.
    line: RowId,
    /// The counts of the heads, and their keys.
    heads: BTreeMap<RowId, (u64, AddrKey)>,
}

/// The tip that a timeline has after a put.
pub(super) struct NewTip {
    pub(super) tip_id: RowId,
    tip_n: u64,
    kind: TimelineKind,
    key: AddrKey,
}

impl NewTip {
    /// The row of the timeline that begins at `tjp_id`.
    pub(super) fn of(&self, tjp_id: RowId) -> TimelineRow {
        TimelineRow { tjp_id, kind: self.kind, tip_id: self.tip_id, tip_n: self.tip_n }
    }
}

impl TimelineHeads {
    /// A timeline that begins with this tjp.
    pub(super) fn new(kind: TimelineKind, tjp: &Row, key: AddrKey) -> TimelineHeads {
        let heads = BTreeMap::from([(tjp.id, (tjp.n, key))]);
        let (tjp_key, old_key) = (key, None);
        TimelineHeads { kind, old_tip: None, tjp_key, old_key, line: tjp.id, heads }
    }

    /// A timeline that was there before the put, with the keys of its tjp and its tip.
    pub(super) fn known(
        timeline: &TimelineRow,
        (tjp_key, tip_key): (AddrKey, AddrKey),
    ) -> TimelineHeads {
        let TimelineRow { kind, tip_id, tip_n, .. } = *timeline;
        let heads = BTreeMap::from([(tip_id, (tip_n, tip_key))]);
        let (old_tip, old_key) = (Some(tip_id), Some(tip_key));
        TimelineHeads { kind, old_tip, tjp_key, old_key, line: tip_id, heads }
    }

    /// How the digest of the data's timelines changes where the tip is this one.
    pub(super) fn digest_change(&self, tip: &NewTip) -> StateDigest {
        let mut change = StateDigest::of_timeline(&self.tjp_key, &tip.key);
        if let Some(old) = &self.old_key {
            change.subtract(&StateDigest::of_timeline(&self.tjp_key, old));
        }
        change
    }

    pub(super) fn is_new(&self) -> bool {
        self.old_tip.is_none()
    }

    pub(super) fn is_keystone(&self) -> bool {
        self.kind == TimelineKind::Keystone
    }

    pub(super) fn is_data(&self) -> bool {
        self.kind == TimelineKind::Data
    }

    pub(super) fn line(&self) -> RowId {
        self.line
    }

    /// Adds a frame whose predecessors are all there.
    pub(super) fn add(&mut self, row: &Row, key: AddrKey) {
        if row.prev == Some(self.line) {
            self.line = row.id;
        }
        for before in [row.prev, row.orphan].into_iter().flatten() {
            self.heads.remove(&before);
        }
        self.heads.insert(row.id, (row.n, key));
    }

    /// The new tip; where two heads are left, the newest frames of two branches, that of the
    /// old tip first.
    pub(super) fn tip(&self) -> Result<NewTip, (RowId, RowId)> {
        let kind = self.kind;
        let mut heads: Vec<_> = self.heads.iter().map(|(id, (n, key))| (*id, *n, *key)).collect();
        heads.sort_by_key(|(id, n, _)| (Some(*id) != self.old_tip, *id != self.line, u64::MAX - n));
        match heads[..] {
            [(first, ..), (second, ..), ..] => Err((first, second)),
            [(tip_id, tip_n, key)] => Ok(NewTip { tip_id, tip_n, kind, key }),
            // Heads are only taken out when another is put in.
            [] => Ok(NewTip { tip_id: self.line, tip_n: 0, kind, key: self.tjp_key }),
        }
    }
}
