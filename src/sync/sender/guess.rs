//! One turn that holds what is new and commits it, on the guess that the receiver's data stands where
//! it just told that it does, and that this is what was here after the last sync.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::NAME_SAGA;
use super::plan::{Plan, Push};
use super::{Direction, Sender, State};
use crate::ibgib::{Addr, TjpAddr};
use crate::space::{Outline, Prepared, RowId, StateDigest, Timeline, TimelineKind};
use crate::sync::body::{Body, Commit, Guess, Init, Move, Scope, Stated};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::guessed::{MAX_BYTES, MAX_IBGIBS};
use crate::sync::msg::Msg;
use crate::sync::payload::{PayloadHasher, SagaHasher};

/// How many rows are looked at, sessions' and sagas' among them: with more it is no small edit.
const MAX_ROWS: u64 = 4096;

/// What goes out with the guess.
pub(super) struct Guessed {
    state: StateDigest,
    plan: Plan,
    texts: Vec<Box<str>>,
}

/// What is here since the last sync.
#[derive(Default)]
struct Since {
    rows: BTreeMap<RowId, Outline>,
    plan: Plan,
}

impl Sender<'_> {
    /// Whether this sync is one that may go on a guess.
    pub(super) fn may_guess(&self) -> bool {
        let opts = &self.opts;
        let is_named =
            [Feature::GUESS, Feature::ONE_TURN].iter().all(|f| opts.features.contains(f));
        let is_whole = opts.roots.is_empty() && opts.direction == Direction::Both;
        is_named && is_whole && opts.told.is_some() && !opts.dry_run && !opts.connect_only
    }

    /// What is new here; none where that is not certain, or too much.
    pub(super) fn guess(&self) -> Result<Option<Guessed>, SyncError> {
        let Some(state) = self.opts.told.filter(|_| self.may_guess()) else { return Ok(None) };
        let here = self.space.state()?;
        let Some(since) = self.since_last_saga()? else { return Ok(None) };
        let Since { rows, mut plan } = since;
        if plan.is_empty() || before(here.digest, &plan) != state {
            return Ok(None);
        }
        let Some(texts) = self.texts(&rows, &plan)? else { return Ok(None) };
        plan.equal = here.timelines.saturating_sub(plan.pushes.len() as u64);
        Ok(Some(Guessed { state, plan, texts }))
    }

    /// What came to the data since the last saga was stored here; none where that is too much, or not
    /// told by the rows alone.
    fn since_last_saga(&self) -> Result<Option<Since>, SyncError> {
        let Some(saga) = self.space.name(NAME_SAGA)? else { return Ok(None) };
        let Some(last) = self.space.tip(&saga)? else { return Ok(None) };
        let Some(rows) = self.space.newer(last.id, MAX_ROWS)? else { return Ok(None) };
        let mut since = Since::default();
        let timelines: BTreeSet<RowId> = rows.iter().filter_map(|row| row.timeline).collect();
        since.rows = rows.into_iter().map(|row| (row.id, row)).collect();
        for tjp_id in timelines {
            let Some(timeline) = self.space.timeline_of(tjp_id)? else { return Ok(None) };
            if timeline.kind != TimelineKind::Data {
                continue;
            }
            match self.push_since(timeline, last.id)? {
                Some(push) => since.plan.pushes.push(push),
                None => return Ok(None),
            }
        }
        since.plan.push_stones = self.space.unreferenced_stones(Some(last.id), MAX_IBGIBS)?;
        let is_small =
            since.plan.push_stones.len() < MAX_IBGIBS && since.plan.pushes.len() < MAX_IBGIBS;
        Ok(is_small.then_some(since))
    }

    /// What a timeline got after a row; none where a merge is among it.
    fn push_since(&self, timeline: Timeline, last: RowId) -> Result<Option<Push>, SyncError> {
        let mut next = Some(timeline.tip.id);
        while let Some(id) = next.filter(|id| *id > last) {
            let row = self.space.row(id)?;
            let prev = row.prev.map(|prev| self.space.row(prev)).transpose()?;
            // Frames after a merge go on to name what it grafted.
            let is_merge = row.orphan.is_some() && row.orphan != prev.and_then(|prev| prev.orphan);
            if is_merge {
                return Ok(None);
            }
            next = row.prev;
        }
        let common = next.map(|id| self.space.addr(id)).transpose()?;
        Ok(Some(Push { tjp: timeline.tjp, tip: timeline.tip, common }))
    }

    /// The texts of what a plan sends, dependencies first; none where they are too many, or where an
    /// identity or a saga is among them.
    fn texts(
        &self,
        rows: &BTreeMap<RowId, Outline>,
        plan: &Plan,
    ) -> Result<Option<Vec<Box<str>>>, SyncError> {
        let tips = plan.pushes.iter().map(|push| push.tip.id);
        let mut to_visit: Vec<RowId> =
            tips.chain(plan.push_stones.iter().map(|(id, _)| *id)).collect();
        let mut sent = BTreeSet::new();
        while let Some(id) = to_visit.pop() {
            let Some(row) = rows.get(&id) else { continue };
            if sent.insert(id) {
                to_visit.extend(&row.deps);
            }
        }
        let bytes: u64 = sent.iter().filter_map(|id| rows.get(id)).map(|row| row.bytes).sum();
        if sent.len() > MAX_IBGIBS || bytes > MAX_BYTES as u64 {
            return Ok(None);
        }
        let mut texts = Vec::with_capacity(sent.len());
        for id in sent {
            let text = self.space.text_to_send(id)?;
            if Prepared::from_json(&text)?.kind() != TimelineKind::Data {
                return Ok(None);
            }
            texts.push(text);
        }
        Ok(Some(texts))
    }

    /// Sends what is new, and the turn that commits it.
    pub(super) fn send_guess(&mut self, guessed: Guessed) -> Result<(), SyncError> {
        let Guessed { state, plan, texts } = guessed;
        // It goes into the space with the rest of the session, in one transaction.
        self.incoming.keep_one(Prepared::new(self.signer.tip())?)?;
        let (mut turn, mut saga) = (PayloadHasher::default(), SagaHasher::default());
        texts.iter().for_each(|text| turn.add(text));
        let payload = turn.digest();
        saga.add(&payload);
        let moves: Vec<Move> = plan.pushes.iter().map(move_of).collect();
        let timelines = plan.pushes.iter().map(stated).collect();
        let stones = plan.push_stones.iter().map(|(_, addr)| addr.clone()).collect();
        let guess = Some(Box::new(Guess { state, payload, moves: moves.clone() }));
        self.plan = plan;
        let msg = Msg::Payload { ibgibs: texts };
        self.summary.count_sent(&msg);
        self.out.push_back(msg);
        self.state = State::Guess(Box::new(Commit { payload: saga.digest(), moves }));
        self.request(&Body::Init(Init { timelines, stones, guess, ..Init::of(Scope::All, true) }))
    }

    /// The receiver stood where it was taken to: what was planned is done.
    pub(super) fn guessed_right(&mut self) {
        self.summary.equal = self.plan.equal;
        self.summary.tips.extend(self.plan.pushes.iter().map(Push::change));
    }
}

/// The digest of the data as it was before what a plan sends.
fn before(mut digest: StateDigest, plan: &Plan) -> StateDigest {
    let of = |tjp: &TjpAddr, tip: &Addr| StateDigest::of_timeline(&tjp.key(), &tip.key());
    for Push { tjp, tip, common } in &plan.pushes {
        digest.subtract(&of(tjp, &tip.addr));
        if let Some(common) = common {
            digest.add(&of(tjp, common));
        }
    }
    for (_, stone) in &plan.push_stones {
        digest.subtract(&StateDigest::of_stone(&stone.key()));
    }
    digest
}

fn move_of(push: &Push) -> Move {
    Move { tjp: push.tjp.clone(), from: push.common.clone(), to: push.tip.addr.clone() }
}

fn stated(push: &Push) -> Stated {
    Stated { tjp: push.tjp.clone(), tip: push.tip.addr.clone(), n: push.tip.n }
}
