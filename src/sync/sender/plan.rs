//! What a sync is going to move, and what it moved.

use crate::ibgib::{Addr, TjpAddr};
use crate::space::{RowId, Tip};
use crate::sync::body::Sample;
use crate::sync::merge::Unreplayed;
use crate::sync::msg::Msg;
use crate::sync::payload::Resumed;

/// Frames of a timeline to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The timeline.
    pub tjp: TjpAddr,
    /// Its tip here.
    pub tip: Tip,
    /// The newest frame that the receiver has; none for all.
    pub common: Option<Addr>,
}

impl Push {
    /// How the receiver's tip changes by it.
    pub(super) fn change(&self) -> TipChange {
        TipChange {
            tjp: self.tjp.clone(),
            how: TipChangeKind::Pushed,
            from: self.common.clone(),
            to: self.tip.addr.clone(),
            n: self.tip.n,
            unreplayed: Vec::new(),
        }
    }
}

/// Frames of a timeline to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The timeline.
    pub tjp: TjpAddr,
    /// Its tip there.
    pub theirs: Sample,
    /// Its tip here; none where it is not here.
    pub mine: Option<Tip>,
    /// The newest frame of theirs that is here.
    pub common: Option<Addr>,
    /// For a timeline that diverged, the newest frame on both lines: both branches begin after it.
    pub base: Option<Addr>,
}

/// What is to be moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Timelines that are the same on both sides.
    pub equal: u64,
    /// Timelines to send.
    pub pushes: Vec<Push>,
    /// Timelines to fetch, diverged ones among them.
    pub pulls: Vec<Pull>,
    /// Stones to send.
    pub push_stones: Vec<(RowId, Addr)>,
    /// Stones to fetch.
    pub pull_stones: Vec<Addr>,
    /// Timelines left as they are, since only the other direction was asked for.
    pub left: Vec<Addr>,
    /// Timelines that were edited on both sides, where only sending was asked for: they stay too.
    pub diverged: Vec<Addr>,
    /// Timelines and stones that are not sent since they would bring along what a diverged timeline
    /// has here alone: they relate to it, or to others of these.
    pub held_back: Vec<Addr>,
}

impl Plan {
    /// Whether there is nothing to move.
    pub fn is_empty(&self) -> bool {
        self.pushes.is_empty()
            && self.pulls.is_empty()
            && self.push_stones.is_empty()
            && self.pull_stones.is_empty()
    }
}

/// How a timeline's tip changed, on either side.
#[derive(Debug, Clone)]
pub struct TipChange {
    /// The timeline.
    pub tjp: TjpAddr,
    /// What happened.
    pub how: TipChangeKind,
    /// The tip before on the side that changed; none where the timeline was new there.
    pub from: Option<Addr>,
    /// The tip that both sides have now.
    pub to: Addr,
    /// Its `n`.
    pub n: u64,
    /// Edits that a merge could not replay.
    pub unreplayed: Vec<Unreplayed>,
}

/// What happened to a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TipChangeKind {
    /// Frames went to the receiver.
    Pushed,
    /// Frames came from the receiver.
    Pulled,
    /// Two branches were merged.
    Merged,
}

impl TipChangeKind {
    /// As people and scripts read it.
    pub fn name(self) -> &'static str {
        match self {
            TipChangeKind::Pushed => "pushed",
            TipChangeKind::Pulled => "pulled",
            TipChangeKind::Merged => "merged",
        }
    }
}

/// What a sync did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Outgoing turns, each signed by S.
    pub turns: u64,
    /// IbGibs sent.
    pub sent: u64,
    /// Bytes of JSON sent in payloads.
    pub bytes_sent: u64,
    /// IbGibs received.
    pub received: u64,
    /// Bytes of JSON received in payloads.
    pub bytes_received: u64,
    /// What the other side of a transfer had from a sync that was cut, and was not moved again.
    pub resumed: Resumed,
    /// IbGibs that were offered, either way, and were there already.
    pub skipped: u64,
    /// Timelines that were the same on both sides.
    pub equal: u64,
    /// Tips that changed.
    pub tips: Vec<TipChange>,
}

impl Summary {
    /// Counts what a message moves to the receiver.
    pub(super) fn count_sent(&mut self, msg: &Msg) {
        if let Msg::Payload { ibgibs } = msg {
            self.sent += ibgibs.len() as u64;
            self.bytes_sent += bytes(ibgibs);
        }
    }

    /// Counts what came from the receiver.
    pub(super) fn count_received(&mut self, ibgibs: &[Box<str>]) {
        self.received += ibgibs.len() as u64;
        self.bytes_received += bytes(ibgibs);
    }

    /// Counts what did not have to be moved again.
    pub(super) fn count_resumed(&mut self, resumed: Resumed) {
        self.resumed.ibgibs += resumed.ibgibs;
        self.resumed.bytes += resumed.bytes;
    }

    /// Bytes of JSON that were moved, both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_sent + self.bytes_received
    }

    /// IbGibs that were moved, both ways.
    pub fn ibgibs(&self) -> u64 {
        self.sent + self.received
    }
}

fn bytes(ibgibs: &[Box<str>]) -> u64 {
    ibgibs.iter().map(|text| text.len() as u64).sum()
}
