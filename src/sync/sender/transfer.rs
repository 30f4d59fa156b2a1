//! Stages delta and commit: fetching, merging, sending, and making it all visible here.

use super::plan::{Pull, TipChange, TipChangeKind};
use super::{Direction, Sender, State};
use crate::ibgib::{Addr, IbGib};
use crate::space::{Id, Overlay, Prepared, PutOpts, TipMove, chain};
use crate::sync::body::{Body, Commit, Delta, Move, PAGE, PayloadDigest, Want};
use crate::sync::error::SyncError;
use crate::sync::merge;
use crate::sync::msg::Msg;
use crate::sync::payload::{Chain, OutgoingPayload};

/// The name under which a space keeps the last session that synced.
pub const NAME_SESSION: &str = "S";
/// The name under which a space keeps the last saga that was committed.
pub const NAME_SAGA: &str = "SAGA";

impl Sender<'_> {
    /// The plan is known: begins to move things, or stops there.
    pub(super) fn begin_transfer(&mut self) -> Result<(), SyncError> {
        self.summary.equal = self.plan.equal;
        if self.opts.dry_run {
            self.state = State::Done;
            return Ok(());
        }
        self.wants = self.plan.pulls.iter().map(want).collect();
        self.want_stones.clone_from(&self.plan.pull_stones);
        let tips = self.plan.pulls.iter().map(|pull| &pull.theirs.addr);
        for addr in tips.chain(&self.plan.pull_stones) {
            self.incoming.expect(addr)?;
        }
        self.pull()
    }

    /// Asks for the next page of what is wanted; when all is here, merges and sends.
    pub(super) fn pull(&mut self) -> Result<(), SyncError> {
        if self.wants.is_empty() && self.want_stones.is_empty() {
            self.merge()?;
            return self.push();
        }
        let rest = self.wants.split_off(self.wants.len().min(PAGE));
        let wants = std::mem::replace(&mut self.wants, rest);
        let rest = self.want_stones.split_off(self.want_stones.len().min(PAGE));
        let want_stones = std::mem::replace(&mut self.want_stones, rest);
        self.state = State::Pull;
        self.request(&Body::Delta(Delta { payload: PayloadDigest::default(), wants, want_stones }))
    }

    /// Merges every diverged timeline: the receiver's branch stays, one's own is replayed.
    fn merge(&mut self) -> Result<(), SyncError> {
        for pull in &self.plan.pulls {
            let (mut how, mut to, mut n) =
                (TipChangeKind::Pulled, pull.theirs.addr.clone(), pull.theirs.n);
            let mut unreplayed = Vec::new();
            if let (Some(base), Some(mine)) = (&pull.base, &pull.mine) {
                let frames = Overlay { stage: self.incoming.stage(), space: self.space };
                let merged = merge::merge(&frames, base, &pull.theirs.addr, &mine.addr)
                    .map_err(|error| SyncError::Merge(error.to_string()))?;
                n = merged.new.last().and_then(|frame| frame.n()).unwrap_or(n);
                for ibgib in &merged.new {
                    self.merged.push(Prepared::new(ibgib)?);
                }
                self.incoming.expect(&merged.tip)?;
                (how, to, unreplayed) = (TipChangeKind::Merged, merged.tip, merged.unreplayed);
            }
            let from = pull.mine.as_ref().map(|tip| tip.addr.clone());
            self.summary.tips.push(TipChange {
                tjp: pull.tjp.clone(),
                how,
                from,
                to,
                n,
                unreplayed,
            });
        }
        Ok(())
    }

    fn push(&mut self) -> Result<(), SyncError> {
        let mut chains = Vec::new();
        for push in &self.plan.pushes {
            chains.push(self.chain(&push.tjp, push.tip.id, push.common.as_ref())?);
            self.summary.tips.push(TipChange {
                tjp: push.tjp.clone(),
                how: TipChangeKind::Pushed,
                from: push.common.clone(),
                to: push.tip.addr.clone(),
                n: push.tip.n,
                unreplayed: Vec::new(),
            });
        }
        let pushes = self.opts.direction != Direction::PullOnly;
        if pushes {
            for pull in self.plan.pulls.iter().filter(|pull| pull.base.is_some()) {
                if let Some(mine) = &pull.mine {
                    chains.push(self.chain(&pull.tjp, mine.id, pull.base.as_ref())?);
                }
            }
        }
        let stones: Vec<_> = self.plan.push_stones.iter().map(|(id, _)| *id).collect();
        if chains.is_empty() && stones.is_empty() {
            return self.commit();
        }
        let extra = if pushes { self.merged.clone() } else { Vec::new() };
        self.state = State::Push(Box::new(OutgoingPayload::new(chains, stones, extra)));
        Ok(())
    }

    fn chain(&self, tjp: &Addr, newer: Id, common: Option<&Addr>) -> Result<Chain, SyncError> {
        let gone = |addr: &Addr| SyncError::Conflict(format!("{addr} is gone from this space"));
        let tjp = self.space.find(tjp)?.ok_or_else(|| gone(tjp))?;
        let common = match common {
            Some(common) => Some(self.space.find(common)?.ok_or_else(|| gone(common))?),
            None => None,
        };
        let _snapshot = self.space.snapshot()?;
        let ids = chain(self.space, newer, |row| Some(row.id) == common)?;
        Ok(Chain { ids, common, tjp })
    }

    /// The next batch to send; when all is sent, the turn that seals it.
    pub(super) fn push_next(&mut self) -> Result<Option<Msg>, SyncError> {
        let State::Push(outgoing) = &mut self.state else { return Ok(None) };
        if let Some(msg) = outgoing.next_msg(self.space)? {
            if let Msg::Payload { ibgibs } = &msg {
                self.summary.sent += ibgibs.len() as u64;
                self.summary.bytes_sent += ibgibs.iter().map(|t| t.len() as u64).sum::<u64>();
            }
            return Ok(Some(msg));
        }
        if !outgoing.is_done() {
            return Ok(None);
        }
        let payload = outgoing.digest();
        self.pushed.add(&payload);
        self.state = State::Pushed;
        self.request(&Body::Delta(Delta { payload, ..Delta::default() }))?;
        Ok(self.out.pop_front())
    }

    pub(super) fn commit(&mut self) -> Result<(), SyncError> {
        let mut moves: Vec<Move> = Vec::new();
        if self.opts.direction != Direction::PullOnly {
            let merged = self.summary.tips.iter().filter(|tip| tip.how == TipChangeKind::Merged);
            let theirs = self.plan.pulls.iter().filter(|pull| pull.base.is_some());
            moves.extend(merged.zip(theirs).map(|(tip, pull)| Move {
                tjp: tip.tjp.clone(),
                from: Some(pull.theirs.addr.clone()),
                to: tip.to.clone(),
            }));
        }
        // Where they are too many to list, the others are known from what was stated.
        moves.extend(self.plan.pushes.iter().map(|push| Move {
            tjp: push.tjp.clone(),
            from: push.common.clone(),
            to: push.tip.addr.clone(),
        }));
        moves.truncate(PAGE);
        let payload = self.pushed.digest();
        let commit = Commit { payload, moves };
        self.state = State::Commit(Box::new(commit.clone()));
        self.request(&Body::Commit(commit))
    }

    /// The receiver has it all: stores here what was fetched, merged and said, in one transaction.
    pub(super) fn committed(&mut self) -> Result<(), SyncError> {
        // What was pushed did not move here.
        let moved = self.summary.tips.iter().filter(|change| change.how != TipChangeKind::Pushed);
        let moves = moved.map(|change| TipMove {
            tjp: change.tjp.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
        });
        let moves = moves.collect();
        let reach = self.incoming.reach();
        let mut batch = self.incoming.stage().iter().chain(self.merged.drain(..).map(Ok));
        let mut names = vec![(NAME_SESSION.to_owned(), self.signer.tjp().clone())];
        names.extend(self.saga.tjp().map(|tjp| (NAME_SAGA.to_owned(), tjp.clone())));
        let opts = PutOpts { moves, names, reach: Some(reach), ..PutOpts::default() };
        self.space.put(&mut batch, &opts)?;
        // A frame that carries no count has the place that the space gave it.
        for change in
            self.summary.tips.iter_mut().filter(|change| change.how == TipChangeKind::Merged)
        {
            if let Some(id) = self.space.find(&change.to)? {
                change.n = self.space.row(id)?.n;
            }
        }
        self.state = State::Done;
        Ok(())
    }
}

fn want(pull: &Pull) -> Want {
    Want { tjp: pull.tjp.clone(), tip: pull.theirs.addr.clone(), common: pull.common.clone() }
}

impl merge::Frames for Overlay<'_> {
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Overlay::get(self, addr)?)
    }
}
