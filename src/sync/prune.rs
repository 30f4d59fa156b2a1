//! Which sessions a side may forget: those that ended long ago, with their sagas (docs/protocol.md,
//! section 8, "Sessions that are dropped").

use std::collections::HashMap;

use serde_json::Value;

use super::domain::expect_session_of;
use super::error::SyncError;
use super::frame::{MESSAGE_IB, contexts_of};
use super::sender::NAME_SESSION;
use crate::ibgib::{IbGib, Moment, TjpAddr};
use crate::space::{Purpose, RowId, Space, SpaceError, Timeline, TimelineKind, chain};

/// How many timelines are read at a time.
const PAGE: usize = 1000;

/// A session that may be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSession {
    /// The tjp address of S.
    pub session: TjpAddr,
    /// S's frames, and its sagas' frames with their messages and contexts.
    pub rows: Vec<RowId>,
}

/// Sessions of an identity whose newest frame is of before a moment, by the clock of the device that
/// made it, in the order in which they came: those after the row `after`, until they have `most` rows
/// together. Returns where to go on, if there may be more.
///
/// Left out are the last session that synced (the space's S) and the one of a pending step, which may
/// not have ended; a session that is damaged so far that it says neither whose nor when it was; and whatever keystone is no session of
/// `identity`. Whether the receiver's side of a session is still open is for the caller to know.
pub fn old_sessions(
    space: &dyn Space,
    identity: &TjpAddr,
    before: Moment,
    after: Option<RowId>,
    most: usize,
) -> Result<(Vec<OldSession>, Option<RowId>), SyncError> {
    let (found, next) = sessions(space, identity, before, after, most)?;
    let first = found.first().and_then(|one| one.rows.first());
    let Some(first) = first.copied() else { return Ok((Vec::new(), next)) };
    let mut found: HashMap<TjpAddr, OldSession> =
        found.into_iter().map(|one| (one.session.clone(), one)).collect();
    add_sagas(space, &mut found, first)?;
    // After all was read: what is in progress was noted before it was stored.
    found.retain(|_, one| !one.rows.is_empty());
    for used in [space.name(NAME_SESSION)?, pending(space, identity)?].into_iter().flatten() {
        found.remove(&used);
    }
    let mut found: Vec<OldSession> = found.into_values().collect();
    found.sort_by_key(|one| one.rows.first().copied());
    Ok((found, next))
}

/// The sessions without their sagas: S's frames, from its tjp on.
fn sessions(
    space: &dyn Space,
    identity: &TjpAddr,
    before: Moment,
    mut after: Option<RowId>,
    most: usize,
) -> Result<(Vec<OldSession>, Option<RowId>), SyncError> {
    let (mut found, mut rows) = (Vec::new(), 0);
    loop {
        let page = space.timelines(TimelineKind::Keystone, after, PAGE)?;
        let Some(last) = page.last() else { return Ok((found, None)) };
        let last = last.tjp_id;
        for timeline in page.into_iter().filter(|timeline| timeline.tjp != *identity) {
            let frames = is_old(space, &timeline, before).and_then(|is_old| {
                let genesis = if is_old { readable(space.get_id(timeline.tjp_id))? } else { None };
                match genesis.is_some_and(|it| expect_session_of(&it, identity).is_ok()) {
                    true => readable(chain(space, timeline.tip.id, |_| false)),
                    false => Ok(None),
                }
            });
            let Some(frames) = frames? else { continue };
            rows += frames.len();
            let Timeline { tjp_id, tjp: session, .. } = timeline;
            found.push(OldSession { session, rows: frames });
            if rows >= most {
                return Ok((found, Some(tjp_id)));
            }
        }
        after = Some(last);
    }
}

/// Adds to sessions the rows of their sagas. A session of which a saga cannot be read is left without
/// any rows.
fn add_sagas(
    space: &dyn Space,
    sessions: &mut HashMap<TjpAddr, OldSession>,
    first: RowId,
) -> Result<(), SyncError> {
    let mut after = Some(first);
    loop {
        let page = space.timelines(TimelineKind::Saga, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.tjp_id);
        for saga in page {
            let Some(frame) = newest_readable(space, &saga)? else { continue };
            let of = frame.datum("sessionIdentityTjpAddr").and_then(Value::as_str);
            let of = of.and_then(|of| TjpAddr::parse(of).ok());
            let Some(session) = of.and_then(|of| sessions.get_mut(&of)) else { continue };
            let id = frame.datum("sagaId").and_then(Value::as_str).unwrap_or_default();
            match saga_rows(space, &saga, id)? {
                Some(rows) if !session.rows.is_empty() => session.rows.extend(rows),
                _ => session.rows.clear(),
            }
        }
    }
}

/// The frames of a saga, with the messages and contexts that are here; none where damage hides which
/// these are. No text is read but for addresses, so that other damage hides nothing.
fn saga_rows(
    space: &dyn Space,
    saga: &Timeline,
    saga_id: &str,
) -> Result<Option<Vec<RowId>>, SyncError> {
    let Some(frames) = readable(chain(space, saga.tip.id, |_| false))? else { return Ok(None) };
    let mut rows = Vec::with_capacity(frames.len() * 3);
    for id in frames {
        rows.push(id);
        let n = space.row(id)?.n;
        let Some(addr) = readable(space.addr(id))? else { return Ok(None) };
        for dep in space.deps(id)? {
            if space.row(dep)?.timeline.is_some() {
                continue;
            }
            let Some(message) = readable(space.addr(dep))? else { return Ok(None) };
            // No saga that was signed here relates to anything else: whoever made it may have meant
            // what is dropped with it.
            if message.ib() != MESSAGE_IB {
                return Ok(None);
            }
            rows.push(dep);
            for context in contexts_of(saga_id, n, &addr, &message)? {
                rows.extend(space.find(&context)?);
            }
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(Some(rows))
}

/// Whether a timeline's newest frame is of before a moment; not where none says when it is of.
fn is_old(space: &dyn Space, timeline: &Timeline, before: Moment) -> Result<bool, SyncError> {
    let newest = newest_readable(space, timeline)?;
    let data = newest.as_ref().and_then(|frame| frame.data.as_ref()).and_then(Value::as_object);
    Ok(data.and_then(Moment::of_data).is_some_and(|moment| moment < before))
}

/// A timeline's newest frame that is not damaged.
fn newest_readable(space: &dyn Space, timeline: &Timeline) -> Result<Option<IbGib>, SyncError> {
    if let Some(tip) = readable(space.get_id(timeline.tip.id))? {
        return Ok(Some(tip));
    }
    let frames = readable(chain(space, timeline.tip.id, |_| false))?.unwrap_or_default();
    for id in frames.into_iter().rev().skip(1) {
        if let Some(frame) = readable(space.get_id(id))? {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

/// The session of a step that may still be on its way.
fn pending(space: &dyn Space, identity: &TjpAddr) -> Result<Option<TjpAddr>, SyncError> {
    let step = space.pending(identity, Purpose::Session)?;
    let session = step.and_then(|step| step.session);
    Ok(session.map(|session| session.addr()).transpose()?.map(TjpAddr::from))
}

/// What was read; none where it is damaged, which is for a repair.
fn readable<T>(read: Result<T, SpaceError>) -> Result<Option<T>, SyncError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(SpaceError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
