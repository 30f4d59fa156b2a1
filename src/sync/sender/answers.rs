//! Stage init: what the receiver's answers make of the plan.

use std::collections::HashMap;

use super::held::Branch;
use super::plan::{Pull, Push};
use super::probe::Searched;
use super::state::Stating;
use super::{Direction, Sender};
use crate::ibgib::{Addr, TjpAddr};
use crate::space::{RowId, TimelineKind, Tip};
use crate::sync::body::{Ack, Answer, Relation, Scope};
use crate::sync::error::SyncError;
use crate::sync::negotiate::{self, Decision};

/// How many timelines and stones that are not here one saga may bring.
const MAX_OFFERED: usize = 2_000_000;

impl Sender<'_> {
    /// Takes the answer to a page or to probes into the plan.
    pub(super) fn acked(&mut self, stating: &mut Stating, ack: Ack) -> Result<(), SyncError> {
        self.is_empty_there &= says_nothing_is_there(stating, &ack);
        let stated = std::mem::take(&mut stating.stated);
        let probed = std::mem::take(&mut stating.probed);
        if ack.timelines.len() != stated.len() + probed.len() {
            return Err(SyncError::protocol("not every timeline was answered"));
        }
        let mut answers = ack.timelines.iter();
        for ((tjp_id, stated), answer) in stated.into_iter().zip(answers.by_ref()) {
            check_answer(&stated.tjp, answer)?;
            let mine = self.tip_here(&stated.tjp)?;
            // The answer is about what was stated. What another process has made of it meanwhile may
            // relate to what was not stated at all.
            if answer.relation != Relation::Equal && mine.addr != stated.tip {
                let message = format!("{} was edited here meanwhile", stated.tjp);
                return Err(SyncError::Conflict(message));
            }
            let decision = negotiate::decide(self.space, tjp_id, &mine, answer)?;
            self.plan_timeline(stating, tjp_id, stated.tjp, mine, decision, 0)?;
        }
        for (searched, answer) in probed.into_iter().zip(answers) {
            check_answer(&searched.tjp, answer)?;
            self.probe_answered(stating, searched, answer)?;
        }
        self.take_sketch_answer(stating, ack.sketch.as_ref())?;
        self.plan_stones(stating, &ack)?;
        self.plan_offers(stating, ack)
    }

    fn tip_here(&self, tjp: &TjpAddr) -> Result<Tip, SyncError> {
        let moved = || SyncError::Conflict(format!("{tjp} is gone from this space"));
        self.space.tip(tjp)?.ok_or_else(moved)
    }

    pub(super) fn plan_timeline(
        &mut self,
        stating: &mut Stating,
        tjp_id: RowId,
        tjp: TjpAddr,
        mine: Tip,
        decision: Decision,
        probes: u32,
    ) -> Result<(), SyncError> {
        let direction = self.opts.direction;
        match decision {
            Decision::Equal => self.plan.equal += 1,
            Decision::Push { .. } if direction == Direction::PullOnly => {
                self.plan.left.push(tjp.into())
            }
            Decision::Pull { .. } if direction == Direction::PushOnly => {
                self.plan.left.push(tjp.into())
            }
            Decision::Push { common } => self.plan.pushes.push(Push { tjp, tip: mine, common }),
            Decision::Pull { theirs, common } => {
                self.plan.pulls.push(Pull { tjp, theirs, mine: Some(mine), common, base: None });
            }
            Decision::Merge { common, .. } if direction == Direction::PushOnly => {
                self.plan.diverged.push(tjp.into());
                stating.branches.push(Branch { tip: mine.id, common });
            }
            Decision::Merge { theirs, common, base } => {
                let (mine, common) = (Some(mine), Some(common));
                self.plan.pulls.push(Pull { tjp, theirs, mine, common, base: Some(base) });
            }
            Decision::Probe(open) => {
                stating.open.push(Searched { tjp_id, tjp, mine, open, probes });
            }
        }
        Ok(())
    }

    fn plan_stones(&mut self, stating: &mut Stating, ack: &Ack) -> Result<(), SyncError> {
        let mut stated: HashMap<Addr, RowId> =
            std::mem::take(&mut stating.stones).into_iter().map(|(id, addr)| (addr, id)).collect();
        self.plan.equal += (stated.len() as u64).saturating_sub(ack.lacks.len() as u64);
        for addr in &ack.lacks {
            let unknown = || SyncError::protocol(format!("{addr} was not stated"));
            let id = stated.remove(addr).ok_or_else(unknown)?;
            match self.opts.direction {
                Direction::PullOnly => self.plan.left.push(addr.clone()),
                _ => self.plan.push_stones.push((id, addr.clone())),
            }
        }
        Ok(())
    }

    fn plan_offers(&mut self, stating: &mut Stating, ack: Ack) -> Result<(), SyncError> {
        stating.offers_done |= stating.is_all_stated() && !ack.more;
        let pulls = self.opts.direction != Direction::PushOnly;
        for addr in ack.offers.iter().map(|offer| &*offer.tjp).chain(&ack.offered_stones) {
            if !stating.offered.insert(addr.key()) {
                return Err(SyncError::protocol(format!("{addr} was offered twice")));
            }
            // Identities and sagas go other ways: one that came so would say what nobody signed.
            if TimelineKind::of_ib(addr.ib()) != TimelineKind::Data {
                return Err(SyncError::protocol(format!("{addr}, which is no data, was offered")));
            }
        }
        if stating.offered.len() > MAX_OFFERED {
            return Err(SyncError::Limit(format!("more than {MAX_OFFERED} timelines and stones")));
        }
        let mut known = Vec::new();
        let ahead = std::mem::take(&mut stating.ahead);
        for (at, offer) in ack.offers.into_iter().enumerate() {
            if let Some((tjp_id, mine)) = negotiate::data_timeline(self.space, &offer.tjp)? {
                let is_ahead = ahead.contains(&at);
                match self.told(stating, (tjp_id, &mine), (offer.tip, offer.n), is_ahead)? {
                    Some(decision) => {
                        stating.listed.shift_remove(&tjp_id);
                        self.plan_timeline(stating, tjp_id, offer.tjp, mine, decision, 0)?;
                    }
                    None => known.push(tjp_id),
                }
            } else if pulls {
                let theirs = crate::sync::body::Sample { addr: offer.tip, n: offer.n };
                let tjp = offer.tjp;
                self.plan.pulls.push(Pull { tjp, theirs, mine: None, common: None, base: None });
            } else {
                self.plan.left.push(offer.tjp.into());
            }
        }
        // What is here but was not in the roots' live graph is compared like any.
        self.list(stating, known)?;
        let had = self.space.has_many(&ack.offered_stones)?;
        for (addr, had) in ack.offered_stones.into_iter().zip(had) {
            match (had, pulls) {
                (true, _) => {}
                (false, true) => self.plan.pull_stones.push(addr),
                (false, false) => self.plan.left.push(addr),
            }
        }
        Ok(())
    }
}

/// Whether an answer about everything tells of no data there.
fn says_nothing_is_there(stating: &Stating, ack: &Ack) -> bool {
    let is_unknown = |answer: &Answer| answer.relation == Relation::Unknown;
    matches!(stating.scope, Scope::All)
        && ack.timelines.iter().all(is_unknown)
        && ack.lacks.len() == stating.stones.len()
        && ack.offers.is_empty()
        && ack.offered_stones.is_empty()
        && ack.sketch.is_none()
}

fn check_answer(tjp: &TjpAddr, answer: &Answer) -> Result<(), SyncError> {
    if answer.tjp == *tjp {
        return Ok(());
    }
    Err(SyncError::protocol(format!("an answer about {} instead of {tjp}", answer.tjp)))
}
