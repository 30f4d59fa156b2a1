//! What a sync brought that a person should know of: values that gave way in merges, and clocks
//! that are ahead.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::merge::{InSpace, is_merge, shown_side};
use crate::cli::output::printable;
use crate::ibgib::{Addr, Moment};
use crate::space::{RowId, Space};
use crate::sync::merge::{Overwritten, overwritten_unseen};
use crate::sync::sender::{TipChange, TipChangeKind};

/// How far ahead of this machine's clock a frame's may be, in milliseconds.
const TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// How many of a tip's new frames are looked at for their time.
const MAX_LOOKED_AT: usize = 1_000;

/// What gave way in the merges that came with a tip, or were made for it; nothing where the
/// timeline is new here, nor where the tip was sent: its merges were told of when they came or were
/// made. `seen` holds the stones of graft infos that this sync told of.
pub(super) fn overwritten(
    space: &dyn Space,
    change: &TipChange,
    seen: &mut HashSet<Addr>,
) -> Result<Vec<Overwritten>, CliError> {
    if change.how == TipChangeKind::Pushed {
        return Ok(Vec::new());
    }
    let from = change.from.as_ref().map(|from| space.find(from)).transpose()?.flatten();
    let (Some(from), Some(to)) = (from, space.find(&change.to)?) else { return Ok(Vec::new()) };
    let mut merges = Vec::new();
    for id in since(space, Some(from), to, usize::MAX)? {
        // Most frames are none, so their texts are not read.
        if space.row(id)?.orphan.is_some() && is_merge(space, id)? {
            merges.push(id);
        }
    }
    merges.sort_unstable();
    let mut all = Vec::new();
    for id in merges {
        all.append(&mut overwritten_unseen(&InSpace(space), &space.get_id(id)?, seen)?);
    }
    Ok(all)
}

/// What `to` stands on and `from` does not, at most so much of it, newest first: what stands on a
/// row has a higher number.
fn since(
    space: &dyn Space,
    from: Option<RowId>,
    to: RowId,
    most: usize,
) -> Result<Vec<RowId>, CliError> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut open = std::collections::BinaryHeap::from([to]);
    while let Some(id) = open.pop()
        && found.len() < most
    {
        if from.is_some_and(|from| id <= from) || !seen.insert(id) {
            continue;
        }
        let row = space.row(id)?;
        found.push(id);
        open.extend(row.prev.into_iter().chain(row.orphan));
    }
    Ok(found)
}

/// Says what gave way to what; `now` tells which times need their day.
pub(super) fn gave_way(
    space: &dyn Space,
    lost: &Overwritten,
    now: Moment,
) -> Result<String, CliError> {
    let (from, by) = (made(space, lost.lost_by(), now)?, made(space, lost.won_by(), now)?);
    let (gave_way, won) = (shown_side(lost.lost()), shown_side(lost.won()));
    Ok(printable(&format!("{}: {gave_way}{from} gave way to {won}{by}", lost.path)))
}

/// Where and when a frame was made: ` (n 33, 10:02Z)`.
fn made(space: &dyn Space, addr: &Addr, now: Moment) -> Result<String, CliError> {
    let Some(id) = space.find(addr)? else { return Ok(String::new()) };
    let frame = space.get_id(id)?;
    let moment = frame.data.as_ref().and_then(Value::as_object).and_then(Moment::of_data);
    let n = space.row(id)?.n;
    Ok(moment.map_or(format!(" (n {n})"), |moment| format!(" (n {n}, {})", clock(moment, now))))
}

/// A time to the minute (UTC), with its day where that is not today.
fn clock(moment: Moment, now: Moment) -> String {
    let day = |moment: Moment| moment.to_utc_string().get(5..16).unwrap_or_default().to_owned();
    let time = moment.to_utc_string().get(17..22).unwrap_or_default().to_owned();
    match day(moment) == day(now) {
        true => format!("{time}Z"),
        false => format!("{} {time}Z", day(moment)),
    }
}

/// A frame whose clock was ahead.
pub(super) struct ClockAhead {
    addr: Addr,
    moment: Moment,
    ms: u64,
}

impl ClockAhead {
    pub(super) fn warning(&self) -> String {
        let by = match self.ms / 60_000 {
            minutes @ ..120 => format!("{minutes} minutes"),
            minutes @ ..2880 => format!("{} hours", minutes / 60),
            minutes => format!("{} days", minutes / 1440),
        };
        let (addr, time) = (self.addr.as_str(), self.moment.to_utc_string());
        printable(&format!(
            "{addr} has a timestamp that is {by} ahead ({time}): until then it wins over newer \
             edits"
        ))
    }

    pub(super) fn to_value(&self) -> Value {
        let time = self.moment.to_utc_string();
        json!({"addr": self.addr, "timestamp": time, "aheadSeconds": self.ms / 1000})
    }
}

/// Of a tip's new frames the one whose clock is furthest ahead of this machine's, by more than some
/// minutes.
pub(super) fn ahead(
    space: &dyn Space,
    change: &TipChange,
    now: Moment,
) -> Result<Option<ClockAhead>, CliError> {
    let from = change.from.as_ref().map(|from| space.find(from)).transpose()?.flatten();
    let Some(to) = space.find(&change.to)? else { return Ok(None) };
    let mut most: Option<ClockAhead> = None;
    for id in since(space, from, to, MAX_LOOKED_AT)? {
        let frame = space.get_id(id)?;
        let moment = frame.data.as_ref().and_then(Value::as_object).and_then(Moment::of_data);
        let ms = moment.map_or(0, |moment| moment.ms().saturating_sub(now.ms()));
        if let Some(moment) = moment
            && ms > TOLERANCE_MS
            && most.as_ref().is_none_or(|most| ms > most.ms)
        {
            most = Some(ClockAhead { addr: space.addr(id)?, moment, ms });
        }
    }
    Ok(most)
}
