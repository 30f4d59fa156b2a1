//! The rules of a put, told once for every implementation of a space.

mod deferred;
mod reach_check;
mod relation_index;
mod timeline_heads;

use std::collections::BTreeMap;

use hashlink::LruCache;

use crate::ibgib::{Addr, AddrKey, IbGib, TjpAddr};
use crate::keystone;

use super::bound::Room;
use super::check::check_keystone;
use super::place::place;
use super::read::{mainline_at, row_of, tip_of};
use super::rows::{NewRow, Row, RowsMut};
use super::state::key_of;
use super::verified::{addr_of, verified};
use super::{
    DomainState, Prepared, PutOpts, PutReport, Reach, RowId, SignedBy, SpaceCount, SpaceError,
};
use deferred::Deferred;
use reach_check::ReachCheck;
use relation_index::RelationIndex;
pub(super) use relation_index::{is_related, is_unreferenced, link};
use timeline_heads::TimelineHeads;

/// How many rows that a put met last are remembered, so that most lookups ask the space nothing.
const RECENT: usize = 65_536;
/// How high the count of a tjp may be: a fork may take its source's over.
const MAX_FIRST_N: u64 = 1 << 32;
/// How far a frame's count may be above those of the frames that it follows. Doubles count to 2^53,
/// so that it takes more frames than any space holds to use the counts up.
const MAX_N_STEP: u64 = 1 << 20;

/// Stores a batch as [`super::Space::put`] tells; the caller undoes everything on an error.
pub(super) fn put(
    rows: &mut dyn RowsMut,
    batch: &mut dyn Iterator<Item = Result<Prepared, SpaceError>>,
    opts: &PutOpts,
) -> Result<PutReport, SpaceError> {
    if let Some(signed_by) = &opts.signed_by {
        expect_live(rows, signed_by)?;
    }
    for tip_move in &opts.moves {
        expect_tip(rows, &tip_move.tjp, tip_move.from.as_ref())?;
    }
    let room = Room::new(opts.bound, rows)?;
    let mut put = Put::new(rows, opts.reach.as_ref(), room)?;
    for item in batch {
        // What waited for an item is stored after it.
        let mut ready = vec![(0, item?)];
        while let Some((from, item)) = ready.pop() {
            match put.place(&item, from)? {
                PlaceOutcome::New => ready.extend(put.deferred.release(&item.key)),
                PlaceOutcome::Known => put.report.known += 1,
                PlaceOutcome::Missing(index) => put.deferred.hold(index, item)?,
            }
        }
    }
    let report = put.finish()?;
    for tip_move in &opts.moves {
        expect_tip(rows, &tip_move.tjp, Some(&tip_move.to))?;
    }
    for (name, addr) in &opts.names {
        rows.set_name(name, addr)?;
    }
    Ok(report)
}

fn expect_tip(
    rows: &dyn RowsMut,
    tjp: &TjpAddr,
    expected: Option<&Addr>,
) -> Result<(), SpaceError> {
    let found = tip_of(rows, tjp)?.map(|tip| tip.addr);
    if found.as_ref() == expected {
        return Ok(());
    }
    Err(SpaceError::TipMoved { tjp: tjp.clone(), expected: expected.cloned(), found })
}

fn expect_live(rows: &dyn RowsMut, signed_by: &SignedBy) -> Result<(), SpaceError> {
    let SignedBy { identity, session } = signed_by;
    let Some(tip) = tip_of(rows, identity)? else { return Ok(()) };
    let tip = verified(rows, tip.id)?.1;
    if keystone::is_revoked(&tip) {
        return Err(SpaceError::Revoked(identity.clone()));
    }
    let since = keystone::lock_of(&tip).map_or(0, |lock| lock.since());
    match since > 0 && is_before(rows, identity, since, session)? {
        true => Err(SpaceError::Renewed(identity.clone())),
        false => Ok(()),
    }
}

/// Whether a session was stored before the frame of an identity with this count: rows are numbered
/// as they come.
fn is_before(
    rows: &dyn RowsMut,
    identity: &TjpAddr,
    n: u64,
    session: &TjpAddr,
) -> Result<bool, SpaceError> {
    let genesis = rows.find(&identity.key())?;
    let frame = genesis.map(|row| mainline_at(rows, row.id, n)).transpose()?.flatten();
    let session = rows.find(&session.key())?;
    Ok(session.zip(frame).is_none_or(|(session, frame)| session.id < frame))
}

/// What became of an item.
enum PlaceOutcome {
    New,
    Known,
    /// The entry of its relations that is not there yet.
    Missing(usize),
}

/// A put under way.
struct Put<'a> {
    rows: &'a mut dyn RowsMut,
    next_id: RowId,
    recent: LruCache<AddrKey, Row>,
    deferred: Deferred,
    heads: BTreeMap<RowId, TimelineHeads>,
    relation_index: RelationIndex,
    reach_check: Option<ReachCheck<'a>>,
    room: Room,
    report: PutReport,
}

impl<'a> Put<'a> {
    fn new(
        rows: &'a mut dyn RowsMut,
        reach: Option<&'a Reach>,
        room: Room,
    ) -> Result<Put<'a>, SpaceError> {
        let next_id = rows.next_id()?;
        Ok(Put {
            rows,
            next_id,
            recent: LruCache::new(RECENT),
            deferred: Deferred::default(),
            heads: BTreeMap::new(),
            relation_index: RelationIndex::new(next_id),
            reach_check: reach.map(ReachCheck::new),
            room,
            report: PutReport::default(),
        })
    }

    /// Stores an item whose relations before the `from`-th are there. An item that waited is not
    /// looked through from its beginning each time: one with many relations would take for ever.
    fn place(&mut self, item: &Prepared, from: usize) -> Result<PlaceOutcome, SpaceError> {
        if self.lookup(&item.key)?.is_some() {
            return Ok(PlaceOutcome::Known);
        }
        let mut deps = Vec::new();
        for (index, key) in item.rel8ds.iter().enumerate().skip(from) {
            match self.lookup(key)? {
                Some(row) => deps.push(row),
                None => return Ok(PlaceOutcome::Missing(index)),
            }
        }
        if from > 0 {
            deps.clear();
            for key in &item.rel8ds {
                deps.extend(self.lookup(key)?);
            }
        }
        let row = self.row_of_new(item, &deps)?;
        if !item.is_valid_step && (item.is_keystone() || self.is_keystone_timeline(&row)) {
            self.check_keystone(item, &row)?;
        }
        let ids: Vec<RowId> = deps.iter().map(|dep| dep.id).collect();
        let Prepared { key, addr, text, .. } = item;
        self.rows.insert(&NewRow { row, key: *key, addr, deps: &ids, text })?;
        self.next_id = self.next_id.next();
        self.recent.insert(item.key, row);
        self.relation_index.stored(self.rows, (&row, &item.key), &deps, item.kind())?;
        if let Some(check) = &mut self.reach_check {
            check.stored(row.id, &item.key, &ids);
        }
        self.report.new += 1;
        self.report.bytes += item.text.len() as u64;
        self.room.check(self.rows, self.report.bytes)?;
        Ok(PlaceOutcome::New)
    }

    /// The row that an item gets; notes where its timeline then stands.
    fn row_of_new(&mut self, item: &Prepared, deps: &[Row]) -> Result<Row, SpaceError> {
        let rel8d = |index: u32| deps.get(usize::try_from(index).ok()?).copied();
        let mut row = match place(item, self.next_id, rel8d) {
            Ok(row) => row,
            Err(tjp) => {
                let tjp = addr_of(self.rows, tjp.id)?.into();
                return Err(SpaceError::NotATjp { addr: item.addr.clone(), tjp });
            }
        };
        if let Some(tjp_id) = row.timeline {
            let of = |id: Option<RowId>| deps.iter().find(|dep| Some(dep.id) == id);
            self.check_growth(item, tjp_id, of(row.prev), of(row.orphan), row.n)?;
            row.is_off_mainline = !self.advance(item, tjp_id, &row)?;
        }
        Ok(row)
    }

    fn check_growth(
        &self,
        item: &Prepared,
        tjp_id: RowId,
        prev: Option<&Row>,
        orphan: Option<&Row>,
        n: u64,
    ) -> Result<(), SpaceError> {
        let addr = || item.addr.clone();
        if prev.is_none() && !item.is_tjp {
            let tjp = addr_of(self.rows, tjp_id)?.into();
            return Err(SpaceError::NoPast { addr: addr(), tjp });
        }
        let mut before = [prev, orphan].into_iter().flatten().map(|before| before.n);
        if let Some(before) = before.clone().find(|before| *before >= n) {
            return Err(SpaceError::NDoesNotGrow { addr: addr(), n, before });
        }
        let most = match before.next() {
            None => MAX_FIRST_N,
            Some(first) => before.fold(first, u64::max).saturating_add(MAX_N_STEP),
        };
        match n > most {
            true => Err(SpaceError::NTooHigh { addr: addr(), n, most }),
            false => Ok(()),
        }
    }

    /// Notes a new frame in its timeline; whether it is on the mainline.
    fn advance(&mut self, item: &Prepared, tjp_id: RowId, row: &Row) -> Result<bool, SpaceError> {
        if item.is_tjp {
            self.heads.insert(tjp_id, TimelineHeads::new(item.kind(), row, item.key));
            return Ok(true);
        }
        let heads = self.heads_of(tjp_id)?;
        let follows_line = row.prev == Some(heads.line());
        if heads.is_keystone() && !follows_line {
            let tjp = addr_of(self.rows, tjp_id)?.into();
            let prev = addr_of(self.rows, row.prev.unwrap_or(tjp_id))?;
            return Err(SpaceError::KeystoneFork { tjp, prev, frame: item.addr.clone() });
        }
        self.heads_of(tjp_id)?.add(row, item.key);
        Ok(follows_line)
    }

    fn heads_of(&mut self, tjp_id: RowId) -> Result<&mut TimelineHeads, SpaceError> {
        use std::collections::btree_map::Entry;
        match self.heads.entry(tjp_id) {
            Entry::Occupied(heads) => Ok(heads.into_mut()),
            Entry::Vacant(place) => match self.rows.timeline(tjp_id)? {
                Some(timeline) => {
                    let keys = (key_of(self.rows, tjp_id)?, key_of(self.rows, timeline.tip_id)?);
                    Ok(place.insert(TimelineHeads::known(&timeline, keys)))
                }
                None => Err(self.rows.damaged(format!("ibGib number {tjp_id} has no timeline"))),
            },
        }
    }

    fn is_keystone_timeline(&self, row: &Row) -> bool {
        let heads = row.timeline.and_then(|tjp_id| self.heads.get(&tjp_id));
        heads.is_some_and(TimelineHeads::is_keystone)
    }

    fn check_keystone(&self, item: &Prepared, row: &Row) -> Result<(), SpaceError> {
        let frame = IbGib::from_json(&item.text)?;
        let prev = match row.prev.filter(|_| row.timeline.is_some()) {
            None => None,
            Some(prev) => Some(verified(self.rows, prev)?.1),
        };
        check_keystone(prev.as_ref(), &frame, &item.addr)
    }

    fn lookup(&mut self, key: &AddrKey) -> Result<Option<Row>, SpaceError> {
        if let Some(row) = self.recent.get(key) {
            return Ok(Some(*row));
        }
        let found = self.rows.find(key)?;
        if let Some(row) = found {
            self.recent.insert(*key, row);
        }
        Ok(found)
    }

    fn finish(mut self) -> Result<PutReport, SpaceError> {
        self.deferred.expect_none()?;
        if let Some(id) = self.reach_check.as_ref().and_then(ReachCheck::first_unwanted) {
            return Err(SpaceError::Unwanted(addr_of(self.rows, id)?));
        }
        let heads = std::mem::take(&mut self.heads);
        let (mut timelines, mut change) = (0, DomainState::default());
        for (tjp_id, heads) in &heads {
            timelines += u64::from(heads.is_new());
            self.move_tip(*tjp_id, heads, &mut change)?;
        }
        change.digest.add(&self.relation_index.write_unreferenced(self.rows)?);
        let PutReport { new, bytes, .. } = self.report;
        if new > 0 {
            self.rows.flush()?;
            self.keep_state(&change)?;
            self.rows.add_count(&SpaceCount { ibgibs: new, timelines, bytes })?;
            self.room.check_end(self.rows)?;
        }
        Ok(self.report)
    }

    /// Writes where the data stands. Of a file of an older version, which does not keep it, that is
    /// worked out where it is first asked for.
    fn keep_state(&mut self, change: &DomainState) -> Result<(), SpaceError> {
        let is_first = self.rows.count()?.ibgibs == 0;
        if (is_first || *change != DomainState::default())
            && let Some(state) = self.rows.state()?
        {
            self.rows.set_state(&state.changed_by(change))?;
        }
        Ok(())
    }

    /// Writes where a timeline stands now; refuses one with two newest frames.
    fn move_tip(
        &mut self,
        tjp_id: RowId,
        heads: &TimelineHeads,
        change: &mut DomainState,
    ) -> Result<(), SpaceError> {
        let tip = match heads.tip() {
            Ok(tip) => tip,
            Err((tip, frame)) => {
                let addr = |id| addr_of(self.rows, id);
                let (tjp, tip, frame) = (addr(tjp_id)?.into(), addr(tip)?, addr(frame)?);
                return Err(SpaceError::Diverged { tjp, tip, frame });
            }
        };
        if let Some(check) = &self.reach_check
            && heads.is_data()
        {
            let addr = addr_of(self.rows, tip.tip_id)?;
            if !check.may_move_to(&addr.key()) {
                let tjp = addr_of(self.rows, tjp_id)?.into();
                return Err(SpaceError::UnnamedMove { tjp, tip: addr });
            }
        }
        if tip.tip_id != heads.line() {
            self.move_mainline(tjp_id, tip.tip_id)?;
        }
        if heads.is_data() {
            change.digest.add(&heads.digest_change(&tip));
            change.timelines += u64::from(heads.is_new());
        }
        self.rows.set_timeline(&tip.of(tjp_id))
    }

    /// Moves a timeline's mainline so that it ends in `tip`, which is off it.
    fn move_mainline(&mut self, tjp_id: RowId, tip: RowId) -> Result<(), SpaceError> {
        let mut joining = Vec::new();
        let mut row = row_of(self.rows, tip)?;
        while row.is_off_mainline {
            joining.push(row.id);
            let Some(prev) = row.prev else {
                let detail = format!("ibGib number {} stands beside a line without a past", row.id);
                return Err(self.rows.damaged(detail));
            };
            row = row_of(self.rows, prev)?;
        }
        self.rows.clear_mainline(tjp_id, row.n)?;
        joining.into_iter().try_for_each(|id| self.rows.set_on_mainline(id))
    }
}
