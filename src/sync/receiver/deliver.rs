//! Stages delta and commit: delivering what the sender wants, and making what it sent visible.

use super::{Receiver, State};
use crate::ibgib::Moment;
use crate::space::{Prepared, PutOpts, TipMove, chain};
use crate::sync::body::{Body, Commit, Delta, Move, Seal};
use crate::sync::error::SyncError;
use crate::sync::flow::{Chain, Outflow};
use crate::sync::frame::Role;
use crate::sync::msg::Msg;
use crate::sync::negotiate;

impl Receiver<'_> {
    pub(super) fn delta(&mut self, delta: &Delta) -> Result<(), SyncError> {
        let space = self.space;
        self.open()?.inflow.close_turn(&delta.payload)?;
        let mut chains = Vec::new();
        for want in &delta.wants {
            let unknown = || SyncError::protocol(format!("{} is not here", want.tip));
            let (tjp, _) = negotiate::data_timeline(space, &want.tjp)?.ok_or_else(unknown)?;
            let newer = space.find(&want.tip)?.ok_or_else(unknown)?;
            let common = match &want.common {
                Some(common) => Some(space.find(common)?.ok_or_else(unknown)?),
                None => None,
            };
            let ids = chain(space, newer, |row| Some(row.id) == common)?;
            chains.push(Chain { ids, common, tjp });
        }
        let mut stones = Vec::new();
        for addr in &delta.want_stones {
            let unknown = || SyncError::protocol(format!("{addr} is not here"));
            stones.push(space.find(addr)?.ok_or_else(unknown)?);
        }
        self.open()?.outflow = Some(Outflow::new(space, chains, stones, Vec::new()));
        Ok(())
    }

    /// The next batch of what is being delivered; when all is out, the response that seals it.
    pub(super) fn deliver(&mut self) -> Result<Option<Msg>, SyncError> {
        let State::Open(open) = &mut self.state else { return Ok(None) };
        let Some(outflow) = &mut open.outflow else { return Ok(None) };
        if let Some(msg) = outflow.next_msg()? {
            return Ok(Some(msg));
        }
        if !outflow.is_done() {
            return Ok(None);
        }
        let payload = outflow.seal();
        open.outflow = None;
        self.respond(&Body::Delta(Delta { payload, ..Delta::default() }))?;
        Ok(self.out.pop_front())
    }

    /// Stores everything that was staged, and the saga's own ibGibs, in one transaction.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), SyncError> {
        let space = self.space;
        let open = self.open()?;
        if open.inflow.total() != commit.payload {
            return Err(SyncError::Content("the commit seals another payload".into()));
        }
        let payload = Seal { digest: String::new(), ..commit.payload.clone() };
        let body = Body::Commit(Commit { payload, moves: commit.moves.clone() });
        let turn = open.saga.make(Role::Receiver, &body, Moment::now())?;
        open.saga.append(&turn)?;
        let control: Vec<Prepared> =
            open.saga.take_control().iter().map(Prepared::new).collect::<Result<_, _>>()?;
        let moves = commit.moves.iter().map(tip_move).collect();
        let opts = PutOpts { moves, ..PutOpts::default() };
        let mut batch = open.inflow.stage().iter().chain(control.into_iter().map(Ok));
        space.put(&mut batch, &opts)?;
        drop(batch);
        self.committed = true;
        self.state = State::Done;
        self.out.push_back(Msg::Response(Box::new(turn)));
        Ok(())
    }
}

/// A move as a space checks it.
pub(crate) fn tip_move(moved: &Move) -> TipMove {
    TipMove { tjp: moved.tjp.clone(), from: moved.from.clone(), to: moved.to.clone() }
}
