//! Stage commit: making it all visible, there and then here.

use super::plan::TipChangeKind;
use super::{Direction, Sender, State};
use crate::space::{PutOpts, TipMove};
use crate::sync::body::{Body, Commit, Move, PAGE};
use crate::sync::error::SyncError;

/// The name under which a space keeps the last session that synced.
pub const NAME_SESSION: &str = "S";
/// The name under which a space keeps the last saga that was committed.
pub const NAME_SAGA: &str = "SAGA";

impl Sender<'_> {
    /// The turn that asks the receiver to store it all.
    pub(super) fn request_commit(&mut self) -> Result<(), SyncError> {
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
        drop(batch);
        self.incoming.forget_kept();
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
