//! Stage init: answering what the sender stated, and offering what it did not.

use std::collections::{HashSet, VecDeque};

use super::{OfferCursor, Progress, Receiver};
use crate::ibgib::Addr;
use crate::space::TimelineKind;
use crate::sync::body::{Ack, Body, Init, PAGE, Relation, Scope, Stated};
use crate::sync::error::SyncError;
use crate::sync::msg::Msg;
use crate::sync::negotiate;

impl Receiver<'_> {
    pub(super) fn init(&mut self, init: &Init) -> Result<(), SyncError> {
        match (&init.guess, &init.sketch) {
            (None, None) => self.answer(init),
            (Some(guess), None) => self.guess(init, guess),
            (None, Some(sketch)) => self.sketch(init, sketch),
            (Some(_), Some(_)) => Err(SyncError::protocol("a guess beside a sketch")),
        }
    }

    fn answer(&mut self, init: &Init) -> Result<(), SyncError> {
        let space = self.space;
        let open = self.connected()?;
        open.incoming.expect_turn_closed()?;
        open.is_listed = true;
        open.has_data |=
            init.scope != Scope::All || !init.timelines.is_empty() || !init.stones.is_empty();
        if open.progress > Progress::Stated {
            return Err(SyncError::protocol("more is stated after payloads were moved"));
        }
        if *open.scope.get_or_insert_with(|| init.scope.clone()) != init.scope {
            return Err(SyncError::protocol("the scope of a saga does not change"));
        }
        let mut timelines = Vec::with_capacity(init.timelines.len() + init.probes.len());
        for stated in &init.timelines {
            if !self.connected()?.named.insert(stated.tjp.key()) {
                return Err(twice(&stated.tjp));
            }
            let answer = negotiate::answer(space, stated)?;
            if matches!(answer.relation, Relation::Unknown | Relation::Open) {
                self.connected()?.incoming.expect(&stated.tip)?;
            }
            timelines.push(answer);
        }
        for probe in &init.probes {
            timelines.push(negotiate::answer_probe(space, probe)?);
        }
        let had = space.has_many(&init.stones)?;
        let mut lacks = Vec::new();
        for (addr, had) in init.stones.iter().zip(had) {
            if had {
                // 0.1.0 states a stone twice that is named twice, where it may have to send it.
                self.connected()?.named.insert(addr.key());
            } else if self.connected()?.incoming.expect(addr)? {
                lacks.push(addr.clone());
            } else {
                return Err(twice(addr));
            }
        }
        let mut ack = Ack { timelines, lacks, ..Ack::default() };
        if !init.more && init.probes.is_empty() {
            // By a sketch it was told already what is here and not there.
            if !self.connected()?.is_sketched {
                self.offer(&init.scope, &mut ack)?;
            }
            if !ack.more {
                self.connected()?.progress = Progress::Stated;
                self.offer_kept()?;
            }
        }
        self.respond(&Body::Ack(ack))
    }

    /// Says what was kept of a payload, before the answer after which the next one may come.
    fn offer_kept(&mut self) -> Result<(), SyncError> {
        let checkpoints = self.connected()?.incoming.offer_kept();
        if !checkpoints.is_empty() {
            self.at.out.push_back(Msg::Kept { checkpoints });
        }
        Ok(())
    }

    /// Adds the next page of what is in scope here and was not named.
    fn offer(&mut self, scope: &Scope, ack: &mut Ack) -> Result<(), SyncError> {
        let mut offers = match self.connected()?.offers.take() {
            Some(offers) => offers,
            None => self.begin_offers(scope)?,
        };
        match scope {
            Scope::All => self.offer_all(&mut offers, ack)?,
            Scope::Roots(_) => self.offer_roots(&mut offers, ack)?,
        }
        self.connected()?.offers = Some(offers);
        Ok(())
    }

    fn begin_offers(&mut self, scope: &Scope) -> Result<OfferCursor, SyncError> {
        let (mut roots, mut root_stones) = (Vec::new(), VecDeque::new());
        if let Scope::Roots(addrs) = scope {
            let (mut ids, mut seen) = (Vec::new(), HashSet::new());
            for addr in addrs {
                let Some(id) = self.space.find(addr)? else { continue };
                ids.push(id);
                if self.space.node(id)?.timeline.is_none() && seen.insert(id) {
                    root_stones.push_back(addr.clone());
                }
            }
            roots = self.space.live_timelines(&ids)?;
        }
        Ok(OfferCursor {
            roots: roots.into(),
            root_stones,
            after_timeline: None,
            after_stone: None,
            timelines_done: false,
        })
    }

    fn offer_all(&mut self, offers: &mut OfferCursor, ack: &mut Ack) -> Result<(), SyncError> {
        let space = self.space;
        while !offers.timelines_done {
            let page = space.timelines(TimelineKind::Data, offers.after_timeline, PAGE)?;
            offers.timelines_done = page.len() < PAGE;
            for timeline in page {
                if ack.offers.len() >= PAGE {
                    offers.timelines_done = false;
                    ack.more = true;
                    return Ok(());
                }
                offers.after_timeline = Some(timeline.tjp_id);
                if !self.connected()?.named.contains(&timeline.tjp.key()) {
                    let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                    ack.offers.push(Stated { tjp: timeline.tjp, tip, n });
                }
            }
        }
        loop {
            let page = space.unreferenced_stones(offers.after_stone, PAGE)?;
            let is_last = page.len() < PAGE;
            for (id, addr) in page {
                if ack.offered_stones.len() >= PAGE {
                    ack.more = true;
                    return Ok(());
                }
                offers.after_stone = Some(id);
                if !self.connected()?.named.contains(&addr.key()) {
                    ack.offered_stones.push(addr);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn offer_roots(&mut self, offers: &mut OfferCursor, ack: &mut Ack) -> Result<(), SyncError> {
        let space = self.space;
        while let Some(stone) = offers.root_stones.pop_front() {
            if ack.offered_stones.len() >= PAGE {
                offers.root_stones.push_front(stone);
                ack.more = true;
                break;
            }
            if !self.connected()?.named.contains(&stone.key()) {
                ack.offered_stones.push(stone);
            }
        }
        while let Some(id) = offers.roots.pop_front() {
            if ack.offers.len() >= PAGE {
                offers.roots.push_front(id);
                ack.more = true;
                break;
            }
            if let Some(timeline) = space.timeline_of(id)?
                && timeline.kind == TimelineKind::Data
                && !self.connected()?.named.contains(&timeline.tjp.key())
            {
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                ack.offers.push(Stated { tjp: timeline.tjp, tip, n });
            }
        }
        Ok(())
    }
}

fn twice(addr: &Addr) -> SyncError {
    SyncError::protocol(format!("{addr} was stated before"))
}
