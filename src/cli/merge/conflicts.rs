//! `conflicts`: what gave way in merges, and was not set again since.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{InSpace, base_of, is_merge, shown_side};
use crate::cli::Ctx;
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::output::{Output, printable};
use crate::cli::target::{for_each_timeline, resolve};
use crate::ibgib::{Addr, IbGib};
use crate::space::{RowId, Space, Timeline, TimelineKind};
use crate::sync::merge::{Overwritten, Side, overwritten_unseen};

/// List values that gave way in a merge and were not set again since.
///
/// When two devices set the same field independently, the newer edit wins. Each line says which
/// value gave way to which, and the line below it how to restore it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib conflicts\n  \
    sync-gib conflicts X --json | jq '.conflicts[].restore'")]
pub struct ConflictsArgs {
    /// A frame of the timeline, or X; else all timelines
    #[arg(value_name = "ADDR")]
    pub addr: Option<String>,
}

/// Lists them.
pub fn run(args: &ConflictsArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    ctx.out.begin_list("conflicts", json!({}))?;
    match &args.addr {
        Some(addr) => {
            let target = resolve(&space, addr)?;
            let timeline = match space.row(target.id)?.timeline {
                Some(tjp) => space.timeline_of(tjp)?,
                None => None,
            };
            let Some(timeline) = timeline else {
                let message = format!("{} is a stone", printable(target.addr.as_str()));
                let error = CliError::new(ErrorCode::NotFound, message);
                return Err(error.hint("only timelines are merged"));
            };
            of_timeline(&space, &timeline, &mut ctx.out)?;
        }
        None => for_each_timeline(&space, TimelineKind::Data, |timeline| {
            of_timeline(&space, &timeline, &mut ctx.out)?;
            Ok::<bool, CliError>(true)
        })?,
    }
    ctx.out.end_list(json!({}))
}

/// A field that gave way.
struct Conflict {
    id: RowId,
    merge: Addr,
    n: Option<u64>,
    lost: Overwritten,
    /// The merge's place on the line from the tip down; none where it is beside the line.
    place: Option<usize>,
    /// What the merge made of the field.
    result: Option<Value>,
}

fn of_timeline(space: &dyn Space, timeline: &Timeline, out: &mut Output) -> Result<(), CliError> {
    let line = line(space, timeline.tip.id)?;
    let (mut conflicts, mut seen) = (Vec::new(), HashSet::new());
    for (place, id) in merges(space, timeline.tip.id, &line)? {
        let frame = space.get_id(id)?;
        for lost in overwritten_unseen(&InSpace(space), &frame, &mut seen)? {
            let result = lost.path.value_in(&frame);
            let (merge, n) = (space.addr(id)?, frame.n());
            conflicts.push(Conflict { id, merge, n, lost, place, result });
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    drop_those_set_again(space, &line, &mut conflicts)?;
    for conflict in &conflicts {
        print(space, timeline, conflict, out)?;
    }
    Ok(())
}

/// The frames of the line, from the tip down.
fn line(space: &dyn Space, tip: RowId) -> Result<Vec<RowId>, CliError> {
    let mut line = Vec::new();
    let mut at = Some(tip);
    while let Some(id) = at {
        line.push(id);
        at = space.row(id)?.prev;
    }
    Ok(line)
}

/// Every merge that the tip stands on, newest first, with its place on the line.
fn merges(
    space: &dyn Space,
    tip: RowId,
    line: &[RowId],
) -> Result<Vec<(Option<usize>, RowId)>, CliError> {
    let places: std::collections::HashMap<RowId, usize> =
        line.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let (mut merges, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![tip]);
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let row = space.row(id)?;
        if row.orphan.is_some() && is_merge(space, id)? {
            merges.push((places.get(&id).copied(), id));
        }
        open.extend(row.prev.into_iter().chain(row.orphan));
    }
    merges.sort_unstable_by_key(|(_, id)| std::cmp::Reverse(*id));
    Ok(merges)
}

/// Leaves those whose field no frame after the merge changed; of a merge beside the line, those
/// whose field still is what the merge made of it.
fn drop_those_set_again(
    space: &dyn Space,
    line: &[RowId],
    conflicts: &mut Vec<Conflict>,
) -> Result<(), CliError> {
    let Some(tip) = line.first() else { return Ok(()) };
    let tip = space.get_id(*tip)?;
    conflicts.retain(|c| c.place.is_some() || c.lost.path.value_in(&tip) == c.result);
    let oldest = conflicts.iter().filter_map(|conflict| conflict.place).max().unwrap_or(0);
    let mut frame = tip;
    let mut replaying = Replaying::default();
    for (place, id) in line.iter().enumerate().skip(1).take(oldest) {
        let prev: IbGib = space.get_id(*id)?;
        let orphan = replaying.orphan(space, line[place - 1])?;
        let mut kept = Vec::with_capacity(conflicts.len());
        for conflict in std::mem::take(conflicts) {
            let path = &conflict.lost.path;
            let is_set = conflict.place.is_some_and(|merge| place <= merge)
                && !path.is_same_in(&frame, &prev);
            // What a later merge replayed was set after this one only where it stands on it.
            let knew = match orphan {
                Some(orphan) if is_set => space.extends(orphan, conflict.id)?,
                _ => true,
            };
            if !(is_set && knew) {
                kept.push(conflict);
            }
        }
        *conflicts = kept;
        frame = prev;
    }
    Ok(())
}

/// The merge that replayed the frames that are walked, from the tip down.
#[derive(Default)]
struct Replaying {
    base: Option<RowId>,
    orphan: Option<RowId>,
}

impl Replaying {
    /// The tip of the branch that a frame was replayed from; none where it was made where it stands.
    fn orphan(&mut self, space: &dyn Space, id: RowId) -> Result<Option<RowId>, CliError> {
        if self.base == Some(id) {
            *self = Replaying::default();
        }
        let replayed_from = self.orphan;
        if space.row(id)?.orphan.is_some() && is_merge(space, id)? {
            let base = base_of(space, &space.get_id(id)?)?;
            *self = Replaying { base, orphan: space.row(id)?.orphan.filter(|_| base.is_some()) };
        }
        Ok(replayed_from)
    }
}

fn print(
    space: &dyn Space,
    timeline: &Timeline,
    conflict: &Conflict,
    out: &mut Output,
) -> Result<(), CliError> {
    let Conflict { merge, n, lost, .. } = conflict;
    let [from_n, by_n] = [place_of(space, lost.lost_by())?, place_of(space, lost.won_by())?];
    let (gave_way, won) = (shown_side(lost.lost()), shown_side(lost.won()));
    let merged = n.map_or(String::new(), |n| format!("n {n} "));
    let restores = can_restore(space, timeline, lost)?;
    let mut line = printable(&format!(
        "{}: {gave_way}{from_n} gave way to {won}{by_n} in the merge {merged}{}",
        lost.path,
        short(merge)
    ));
    if restores {
        line = format!("{line}\n  {}", printable(&restore_command(lost)));
    }
    out.item(line, || {
        let mut entry = json!({"tjp": timeline.tjp, "merge": merge, "n": n});
        if let (Value::Object(entry), Value::Object(of_info)) = (&mut entry, lost.to_value()) {
            entry.extend(of_info);
            let restore = restores.then(|| json!({"addr": lost.lost_by(), "field": lost.path}));
            entry.insert("restore".to_owned(), restore.unwrap_or(Value::Null));
        }
        entry
    })
}

/// Whether the value that gave way can be taken from the frame that is said to have set it: a frame
/// of this timeline, in which the field has this name.
fn can_restore(
    space: &dyn Space,
    timeline: &Timeline,
    lost: &Overwritten,
) -> Result<bool, CliError> {
    let Some(id) = space.find(lost.lost_by())? else { return Ok(false) };
    if space.row(id)?.timeline != Some(timeline.tjp_id) {
        return Ok(false);
    }
    Ok(*lost.lost() == Side::Absent || lost.path.value_in(&space.get_id(id)?).is_some())
}

/// The command that brings the value that gave way back. What begins with a dash is given so that it
/// is not taken for an option: the ib of a timeline may be anything.
fn restore_command(lost: &Overwritten) -> String {
    let addr = lost.lost_by();
    let addr = if addr.as_str().starts_with('-') { addr.gib() } else { addr.as_str() };
    let field = lost.path.to_string();
    let equals = if field.starts_with('-') { "=" } else { " " };
    format!("sync-gib restore {} --field{equals}{}", quoted(addr), quoted(&field))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn place_of(space: &dyn Space, addr: &Addr) -> Result<String, CliError> {
    let Some(id) = space.find(addr)? else { return Ok(String::new()) };
    Ok(format!(" (n {})", space.row(id)?.n))
}

fn short(addr: &Addr) -> String {
    let gib: String = addr.gib().chars().take(8).collect();
    format!("{}^{gib}…", addr.ib())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(ib: &str, field: &str) -> String {
        let gib = "A".repeat(64);
        let frame = format!("{ib}^{gib}");
        let entry = json!({
            "path": field, "kept": 1, "replayed": 2, "winner": "replayed",
            "keptFrame": frame, "replayedFrame": frame,
        });
        restore_command(&Overwritten::of_value(&entry).unwrap()).replace(&gib, "GIB")
    }

    #[test]
    fn a_command_to_paste_holds_no_option_of_somebody_elses() {
        assert_eq!(command("x", "title"), "sync-gib restore 'x^GIB' --field 'title'");
        assert_eq!(command("it's", "a"), r"sync-gib restore 'it'\''s^GIB' --field 'a'");
        assert_eq!(command("--trace=/tmp/x", "a"), "sync-gib restore 'GIB' --field 'a'");
        assert_eq!(command("x", "--json"), "sync-gib restore 'x^GIB' --field='--json'");
    }
}
