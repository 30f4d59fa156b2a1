//! Stage init: stating what is here, and settling what is to be moved.

use std::collections::{HashMap, HashSet, VecDeque};

use super::plan::{Pull, Push};
use super::{Direction, Sender, State};
use crate::ibgib::{Addr, AddrKey};
use crate::space::{Id, TimelineKind, Tip};
use crate::sync::body::{Ack, Answer, Body, Init, PAGE, Probe, Relation, Scope, Stated};
use crate::sync::error::SyncError;
use crate::sync::negotiate::{self, Decision, SplitSearch};

/// How many probes one timeline takes at most: each leaves a seventeenth of the gap.
const MAX_PROBES: u32 = 24;
/// How many timelines and stones that are not here one saga may bring.
const MAX_OFFERED: usize = 2_000_000;

/// Where the stating stands.
pub(super) struct Stating {
    scope: Scope,
    /// Rows of timelines still to be stated, where they are listed and not paged.
    listed: VecDeque<Id>,
    /// All that were ever listed.
    seen: HashSet<Id>,
    after_timeline: Option<Id>,
    timelines_done: bool,
    after_stone: Option<Id>,
    stones_done: bool,
    stones: Vec<(Id, Addr)>,
    stated: Vec<(Id, Stated)>,
    probed: Vec<Searched>,
    open: Vec<Searched>,
    offered: HashSet<AddrKey>,
    offers_done: bool,
}

/// A timeline of which the split is searched for.
struct Searched {
    tjp_id: Id,
    tjp: Addr,
    mine: Tip,
    open: SplitSearch,
    probes: u32,
}

impl Sender<'_> {
    pub(super) fn begin_init(&mut self) -> Result<(), SyncError> {
        let mut stating = Stating {
            scope: Scope::All,
            listed: VecDeque::new(),
            seen: HashSet::new(),
            after_timeline: None,
            timelines_done: false,
            after_stone: None,
            stones_done: false,
            stones: Vec::new(),
            stated: Vec::new(),
            probed: Vec::new(),
            open: Vec::new(),
            offered: HashSet::new(),
            offers_done: false,
        };
        if !self.opts.roots.is_empty() {
            let mut ids = Vec::new();
            for root in &self.opts.roots {
                if let Some(id) = self.space.find(root)? {
                    ids.push(id);
                    if self.space.node(id)?.timeline.is_none() {
                        stating.stones.push((id, root.clone()));
                    }
                }
            }
            stating.timelines_done = true;
            stating.stones_done = true;
            stating.scope = Scope::Roots(self.opts.roots.clone());
            self.list(&mut stating, ids)?;
        }
        self.state_page(stating)
    }

    /// Lists timelines; of roots with all that they lead to, where all is in scope it is paged anyway.
    fn list(&self, stating: &mut Stating, mut ids: Vec<Id>) -> Result<(), SyncError> {
        if let Scope::Roots(_) = stating.scope {
            ids = self.space.live_timelines(&ids)?;
        }
        let Stating { listed, seen, .. } = stating;
        listed.extend(ids.into_iter().filter(|id| seen.insert(*id)));
        Ok(())
    }

    /// Sends the next page of what is here, or the next probes, or goes on to the transfer.
    fn state_page(&mut self, mut stating: Stating) -> Result<(), SyncError> {
        let timelines = self.next_timelines(&mut stating)?;
        let stones = self.next_stones(&mut stating)?;
        let states = !timelines.is_empty() || !stones.is_empty();
        let more = !stating.listed.is_empty() || !stating.timelines_done || !stating.stones_done;
        let mut init = Init {
            scope: stating.scope.clone(),
            timelines: timelines.iter().map(|(_, stated)| stated.clone()).collect(),
            stones: stones.iter().map(|(_, addr)| addr.clone()).collect(),
            probes: Vec::new(),
            more,
        };
        if !states && stating.offers_done {
            if stating.open.is_empty() {
                return self.begin_transfer();
            }
            let rest = stating.open.split_off(stating.open.len().min(PAGE));
            stating.probed = std::mem::replace(&mut stating.open, rest);
            init.probes = stating.probed.iter().map(Searched::probe).collect();
            init.more = true;
        }
        stating.stated = timelines;
        stating.stones = stones;
        self.state = State::Init(Box::new(stating));
        self.request(&Body::Init(init))
    }

    fn next_timelines(&self, stating: &mut Stating) -> Result<Vec<(Id, Stated)>, SyncError> {
        let mut page = Vec::new();
        while page.len() < PAGE
            && let Some(id) = stating.listed.pop_front()
        {
            if let Some(timeline) = self.space.timeline_of(id)?
                && timeline.kind == TimelineKind::Data
            {
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                page.push((id, Stated { tjp: timeline.tjp, tip, n }));
            }
        }
        if page.is_empty() && !stating.timelines_done {
            let found = self.space.timelines(TimelineKind::Data, stating.after_timeline, PAGE)?;
            stating.timelines_done = found.len() < PAGE;
            for timeline in found {
                stating.after_timeline = Some(timeline.tjp_id);
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                page.push((timeline.tjp_id, Stated { tjp: timeline.tjp, tip, n }));
            }
        }
        Ok(page)
    }

    fn next_stones(&self, stating: &mut Stating) -> Result<Vec<(Id, Addr)>, SyncError> {
        let listed = std::mem::take(&mut stating.stones);
        if !listed.is_empty() || stating.stones_done {
            return Ok(listed);
        }
        let found = self.space.unreferenced_stones(stating.after_stone, PAGE)?;
        stating.stones_done = found.len() < PAGE;
        stating.after_stone = found.last().map(|(id, _)| *id).or(stating.after_stone);
        Ok(found)
    }

    pub(super) fn acked(&mut self, mut stating: Stating, ack: Ack) -> Result<(), SyncError> {
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
            self.decide(&mut stating, tjp_id, stated.tjp, mine, decision, 0)?;
        }
        for (searched, answer) in probed.into_iter().zip(answers) {
            check_answer(&searched.tjp, answer)?;
            let Searched { tjp_id, tjp, mine, open, probes } = searched;
            if probes >= MAX_PROBES {
                return Err(SyncError::protocol(format!("the split of {tjp} is not to be found")));
            }
            let decision = negotiate::decide_after_probe(self.space, tjp_id, &mine, open, answer)?;
            self.decide(&mut stating, tjp_id, tjp, mine, decision, probes + 1)?;
        }
        self.plan_stones(&mut stating, &ack)?;
        self.plan_offers(&mut stating, ack)?;
        self.state_page(stating)
    }

    fn tip_here(&self, tjp: &Addr) -> Result<Tip, SyncError> {
        let moved = || SyncError::Conflict(format!("{tjp} is gone from this space"));
        self.space.tip(tjp)?.ok_or_else(moved)
    }

    fn decide(
        &mut self,
        stating: &mut Stating,
        tjp_id: Id,
        tjp: Addr,
        mine: Tip,
        decision: Decision,
        probes: u32,
    ) -> Result<(), SyncError> {
        let direction = self.opts.direction;
        match decision {
            Decision::Equal => self.plan.equal += 1,
            Decision::Push { .. } if direction == Direction::PullOnly => self.plan.left.push(tjp),
            Decision::Pull { .. } if direction == Direction::PushOnly => self.plan.left.push(tjp),
            Decision::Push { common } => self.plan.pushes.push(Push { tjp, tip: mine, common }),
            Decision::Pull { theirs, common } => {
                self.plan.pulls.push(Pull { tjp, theirs, mine: Some(mine), common, base: None });
            }
            Decision::Merge { .. } if direction == Direction::PushOnly => {
                self.plan.diverged.push(tjp);
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
        let mut stated: HashMap<Addr, Id> =
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
        if ack.offers.len() > PAGE || ack.offered_stones.len() > PAGE {
            return Err(SyncError::protocol("too many offers in one answer"));
        }
        let stated_all = stating.listed.is_empty() && stating.timelines_done && stating.stones_done;
        stating.offers_done |= stated_all && !ack.more;
        let pulls = self.opts.direction != Direction::PushOnly;
        for addr in ack.offers.iter().map(|offer| &offer.tjp).chain(&ack.offered_stones) {
            if !stating.offered.insert(addr.key()) {
                return Err(SyncError::protocol(format!("{addr} was offered twice")));
            }
        }
        if stating.offered.len() > MAX_OFFERED {
            return Err(SyncError::Limit(format!("more than {MAX_OFFERED} timelines and stones")));
        }
        let mut known = Vec::new();
        for offer in ack.offers {
            if let Some((tjp_id, _)) = negotiate::data_timeline(self.space, &offer.tjp)? {
                known.push(tjp_id);
            } else if pulls {
                let theirs = crate::sync::body::Sample { addr: offer.tip, n: offer.n };
                let tjp = offer.tjp;
                self.plan.pulls.push(Pull { tjp, theirs, mine: None, common: None, base: None });
            } else {
                self.plan.left.push(offer.tjp);
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

impl Searched {
    fn probe(&self) -> Probe {
        Probe {
            tjp: self.tjp.clone(),
            tip: self.open.theirs.addr.clone(),
            above: self.open.above.n,
            below: self.open.below,
        }
    }
}

fn check_answer(tjp: &Addr, answer: &Answer) -> Result<(), SyncError> {
    if answer.tjp == *tjp {
        return Ok(());
    }
    Err(SyncError::protocol(format!("an answer about {} instead of {tjp}", answer.tjp)))
}
