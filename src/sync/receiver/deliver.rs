//! Stages delta and commit: delivering what the sender wants, and making what it sent visible.

use std::collections::HashSet;

use super::{Progress, Receiver, State};
use crate::ibgib::Addr;
use crate::space::{PutOpts, RowId, SignedBy, TipMove, chain};
use crate::sync::body::{Body, Commit, Delta, Move, PayloadDigest};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::frame::Role;
use crate::sync::msg::Msg;
use crate::sync::negotiate;
use crate::sync::payload::{Chain, OutgoingPayload};

impl Receiver<'_> {
    pub(super) fn delta(&mut self, delta: &Delta) -> Result<(), SyncError> {
        let space = self.space;
        let open = self.connected()?;
        let wants = !delta.wants.is_empty() || !delta.want_stones.is_empty();
        open.progress = match open.progress {
            Progress::Stating => return Err(SyncError::protocol("a delta before all was stated")),
            Progress::Received => return Err(SyncError::protocol("a delta after the payload's")),
            _ if !wants => Progress::Received,
            _ if delta.payload == PayloadDigest::default() => Progress::Delivering,
            _ => return Err(SyncError::protocol("a delta that wants and brings")),
        };
        open.incoming.close_turn(&delta.payload)?;
        let mut chains = Vec::new();
        let mut wanted = HashSet::new();
        for want in &delta.wants {
            let unknown = |addr: &Addr| SyncError::protocol(format!("{addr} is not here"));
            let (tjp, _) =
                negotiate::data_timeline(space, &want.tjp)?.ok_or_else(|| unknown(&want.tjp))?;
            if !wanted.insert(tjp) {
                return Err(SyncError::protocol(format!("{} is wanted twice", want.tjp)));
            }
            let frame = |addr: &Addr| -> Result<RowId, SyncError> {
                let id = space.find(addr)?.ok_or_else(|| unknown(addr))?;
                match space.row(id)?.timeline {
                    Some(timeline) if timeline == tjp => Ok(id),
                    _ => Err(SyncError::protocol(format!("{addr} is no frame of {}", want.tjp))),
                }
            };
            let newer = frame(&want.tip)?;
            let common = want.common.as_ref().map(frame).transpose()?;
            let _snapshot = space.snapshot()?;
            let ids = chain(space, newer, |row| Some(row.id) == common)?;
            chains.push(Chain { ids, common, tjp });
        }
        let mut stones = Vec::new();
        let mut wanted = HashSet::new();
        for addr in &delta.want_stones {
            if !wanted.insert(addr) {
                return Err(SyncError::protocol(format!("{addr} is wanted twice")));
            }
            let unknown = || SyncError::protocol(format!("{addr} is not here"));
            stones.push(space.find(addr)?.ok_or_else(unknown)?);
        }
        let commons = delta.wants.iter().filter_map(|want| want.common.as_ref());
        let is_used = self.at.features.contains(&Feature::ONE_TURN);
        let resumes = self.resumes();
        let open = self.connected()?;
        let kept = std::mem::take(&mut open.kept_there);
        open.commons.extend(commons.map(Addr::key));
        let has_nothing = is_used && !open.has_data && !open.is_sketched;
        let payload = OutgoingPayload::new(chains, stones, Vec::new());
        let payload = payload.to_one_that(has_nothing);
        open.outgoing = Some(if resumes { payload.resuming(kept) } else { payload });
        Ok(())
    }

    /// The next batch of what is being delivered; when all is out, the response with its digest.
    pub(super) fn deliver(&mut self) -> Result<Option<Msg>, SyncError> {
        let State::Connected(open) = &mut self.at.state else { return Ok(None) };
        let Some(outgoing) = &mut open.outgoing else { return Ok(None) };
        if let Some(msg) = outgoing.next_msg(self.space)? {
            return Ok(Some(msg));
        }
        if !outgoing.is_done() {
            return Ok(None);
        }
        let payload = outgoing.digest();
        open.outgoing = None;
        self.respond(&Body::Delta(Delta { payload, ..Delta::default() }))?;
        Ok(self.at.out.pop_front())
    }

    /// Stores everything that was staged, and the saga's own ibGibs, in one transaction.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), SyncError> {
        let (space, bound) = (self.space, self.bound()?);
        let domain = self.at.domain.clone();
        let now = self.at.opts.env.now();
        let open = self.connected()?;
        open.incoming.expect_turn_closed()?;
        if open.progress == Progress::Stating {
            return Err(SyncError::protocol("a commit before all was stated"));
        }
        if open.incoming.total() != commit.payload {
            return Err(SyncError::Content("the commit has the digest of another payload".into()));
        }
        let payload = PayloadDigest { digest: String::new(), ..commit.payload.clone() };
        let body = Body::Commit(Commit { payload, moves: commit.moves.clone() });
        let turn = open.saga.make(Role::Receiver, &body, now)?;
        open.saga.append(&turn)?;
        open.incoming.keep(&turn, None)?;
        let moves = commit.moves.iter().map(tip_move).collect();
        let reach = Some(open.incoming.reach_of(&commit.moves));
        let session = open.saga.session().clone();
        let signed_by = Some(SignedBy { identity: domain, session });
        let opts = PutOpts { moves, reach, signed_by, bound, ..PutOpts::default() };
        let mut batch = open.incoming.stage().iter();
        space.put(&mut batch, &opts)?;
        drop(batch);
        self.connected()?.incoming.forget_kept();
        self.at.committed = true;
        self.at.state = State::Done;
        self.at.out.push_back(Msg::Response(Box::new(turn.into_inner())));
        Ok(())
    }
}

/// A move as a space checks it.
pub(crate) fn tip_move(moved: &Move) -> TipMove {
    TipMove { tjp: moved.tjp.clone(), from: moved.from.clone(), to: moved.to.clone() }
}
