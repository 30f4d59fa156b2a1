//! What `sync` prints.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::news::{self, ClockAhead};
use crate::cli::Ctx;
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::output::{printable, size, warn};
use crate::ibgib::{Addr, Moment};
use crate::peer::Synced;
use crate::space::{DomainState, Space};
use crate::sync::Plan;
use crate::sync::payload::Resumed;
use crate::sync::sender::TipChange;

/// How many fields of a tip that gave way are printed.
const MAX_LINES: usize = 100;

/// Prints that both sides are the same, as one request told.
pub(super) fn up_to_date(
    state: &DomainState,
    server: &str,
    dry_run: bool,
    ctx: &mut Ctx,
) -> Result<(), CliError> {
    let timelines = state.timelines;
    let noun = if timelines == 1 { "timeline" } else { "timelines" };
    ctx.out.line(format_args!("up to date ({timelines} {noun}), nothing signed"))?;
    let fields = match dry_run {
        true => json!({
            "server": server, "dryRun": true, "plan": [], "equal": timelines, "left": [],
            "diverged": [], "heldBack": [], "upToDate": true, "signed": false,
        }),
        false => json!({
            "server": server, "session": null, "turns": 0,
            "sent": { "ibGibs": 0, "bytes": 0 }, "received": { "ibGibs": 0, "bytes": 0 },
            "resumed": { "ibGibs": 0, "bytes": 0 }, "skipped": 0, "unchanged": timelines, "tips": [], "left": [], "diverged": [],
            "heldBack": [], "ahead": [], "tries": 0, "upToDate": true, "signed": false,
        }),
    };
    ctx.out.done(fields)
}

/// Whether a session found nothing to move.
fn found_nothing(plan: &Plan) -> bool {
    plan.is_empty() && plan.diverged.is_empty() && plan.left.is_empty()
}

/// Prints what would move.
pub(super) fn plan(plan: &Plan, server: &str, ctx: &mut Ctx) -> Result<(), CliError> {
    let mut entries = Vec::new();
    let addr = |addr: &Addr| printable(addr.as_str());
    for push in &plan.pushes {
        ctx.out.line(format_args!("push   {}", addr(&push.tip.addr)))?;
        entries.push(json!({
            "how": "push", "tjp": push.tjp, "from": push.common, "to": push.tip.addr,
        }));
    }
    for pull in &plan.pulls {
        let how = if pull.base.is_some() { "merge" } else { "pull" };
        ctx.out.line(format_args!("{how:<6} {}", addr(&pull.theirs.addr)))?;
        let from = pull.mine.as_ref().map(|tip| &tip.addr);
        entries.push(json!({
            "how": how, "tjp": pull.tjp, "from": from, "to": pull.theirs.addr, "base": pull.base,
        }));
    }
    for (_, stone) in &plan.push_stones {
        ctx.out.line(format_args!("push   {}", addr(stone)))?;
        entries.push(json!({ "how": "push", "stone": stone }));
    }
    for stone in &plan.pull_stones {
        ctx.out.line(format_args!("pull   {}", addr(stone)))?;
        entries.push(json!({ "how": "pull", "stone": stone }));
    }
    for tjp in &plan.diverged {
        ctx.out.line(format_args!("diverged {}", addr(tjp)))?;
    }
    for held in &plan.held_back {
        ctx.out.line(format_args!("held back {}", addr(held)))?;
    }
    if plan.is_empty() && plan.diverged.is_empty() {
        ctx.out.line("nothing to move")?;
    }
    let dry_run = json!({
        "server": server, "dryRun": true, "plan": entries, "equal": plan.equal, "left": plan.left,
        "diverged": plan.diverged, "heldBack": plan.held_back, "upToDate": found_nothing(plan),
        "signed": true,
    });
    ctx.out.done(dry_run)
}

/// Prints what moved. Errors, after all is printed, where a timeline was to be merged and only
/// sending was asked for, and, where that is to fail, where a value gave way in a merge.
pub(super) fn summary(
    space: &dyn Space,
    synced: &Synced,
    server: &str,
    fail_on_conflict: bool,
    ctx: &mut Ctx,
) -> Result<(), CliError> {
    let Synced { summary, plan, session, tries, .. } = synced;
    let now = Moment::now();
    let (mut tips, mut ahead, mut gave_way) = (Vec::new(), Vec::new(), 0);
    let mut seen = HashSet::new();
    for change in &summary.tips {
        let entry = tip(space, change, now, &mut seen, ctx)?;
        gave_way += entry["overwritten"].as_array().map_or(0, Vec::len);
        tips.push(entry);
        ahead.extend(news::ahead(space, change, now)?);
    }
    for frame in &ahead {
        warn(frame.warning());
    }
    for left in &plan.left {
        ctx.out.note(format_args!("left as it is: {}", printable(left.as_str())));
    }
    for held in &plan.held_back {
        ctx.out.note(format_args!("held back: {}", printable(held.as_str())));
    }
    let resumed = match summary.resumed {
        Resumed { ibgibs: 0, .. } => String::new(),
        Resumed { ibgibs, bytes } => format!(", resumed {ibgibs} ({})", size(bytes)),
    };
    ctx.out.line(format_args!(
        "turns {}, sent {} ({}), received {} ({}), there already {}, unchanged {}{resumed}",
        summary.turns,
        summary.sent,
        size(summary.bytes_sent),
        summary.received,
        size(summary.bytes_received),
        summary.skipped,
        summary.equal,
    ))?;
    let conflict = (fail_on_conflict && gave_way > 0).then(|| {
        let message = format!("{gave_way} values gave way in merges; everything is stored");
        let message = message.replace("1 values gave", "1 value gave");
        CliError::new(ErrorCode::Different, message)
            .hint("`sync-gib conflicts` lists them, and how to restore each")
    });
    let fields = json!({
        "server": server,
        "session": session,
        "turns": summary.turns,
        "sent": { "ibGibs": summary.sent, "bytes": summary.bytes_sent },
        "received": { "ibGibs": summary.received, "bytes": summary.bytes_received },
        "resumed": { "ibGibs": summary.resumed.ibgibs, "bytes": summary.resumed.bytes },
        "skipped": summary.skipped,
        "unchanged": summary.equal,
        "tips": tips,
        "left": plan.left,
        "diverged": plan.diverged,
        "heldBack": plan.held_back,
        "ahead": ahead.iter().map(ClockAhead::to_value).collect::<Vec<_>>(),
        "tries": tries,
        "upToDate": found_nothing(plan),
        "signed": true,
    });
    end(diverged(plan).or(conflict), fields, ctx)
}

/// Prints what became of one tip; returns it as JSON.
fn tip(
    space: &dyn Space,
    change: &TipChange,
    now: Moment,
    seen: &mut HashSet<Addr>,
    ctx: &mut Ctx,
) -> Result<Value, CliError> {
    let to = printable(change.to.as_str());
    ctx.out.line(format_args!("{:<6} {to} (n {})", change.how.name(), change.n))?;
    let overwritten = news::overwritten(space, change, seen)?;
    // Each line reads two frames: who forges a graft info is not to decide how many are read.
    let lines = if ctx.out.is_json() { 0 } else { MAX_LINES };
    for lost in overwritten.iter().take(lines) {
        ctx.out.line(format_args!(
            "{:<6} {to} {}",
            change.how.name(),
            news::gave_way(space, lost, now)?
        ))?;
    }
    if overwritten.len() > MAX_LINES {
        let more = overwritten.len() - MAX_LINES;
        ctx.out.line(format_args!("{more} more gave way: `sync-gib conflicts` lists them"))?;
    }
    for edit in &change.unreplayed {
        let frame = printable(edit.frame.as_str());
        warn(format_args!("an edit could not be replayed: {frame}: {}", printable(&edit.reason)));
    }
    let unreplayed = change
        .unreplayed
        .iter()
        .map(|edit| json!({ "frame": edit.frame, "dna": edit.dna, "reason": edit.reason }));
    Ok(json!({
        "tjp": change.tjp, "how": change.how.name(), "from": change.from, "to": change.to,
        "n": change.n, "unreplayed": unreplayed.collect::<Vec<_>>(),
        "overwritten": overwritten.iter().map(|lost| lost.to_value()).collect::<Vec<_>>(),
    }))
}

/// The failure to send timelines that were edited on both sides.
fn diverged(plan: &Plan) -> Option<CliError> {
    let first = plan.diverged.first()?;
    let more = match plan.diverged.len() {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    let held = match plan.held_back.len() {
        0 => String::new(),
        1 => "; one other that stands on such edits was held back".to_owned(),
        held => format!("; {held} others that stand on such edits were held back"),
    };
    let message = format!(
        "{}{more} was edited on both sides, which a push alone cannot merge{held}; the rest was sent",
        printable(first.as_str())
    );
    let message = match plan.diverged.len() {
        1 => message,
        _ => message.replacen("was edited", "were edited", 1),
    };
    Some(CliError::new(ErrorCode::Refused, message).hint("run `sync-gib sync` without --push-only"))
}

/// Ends the command: good, or with a failure that has the same fields.
fn end(failure: Option<CliError>, fields: Value, ctx: &mut Ctx) -> Result<(), CliError> {
    let Some(failure) = failure else { return ctx.out.done(fields) };
    let Value::Object(fields) = fields else { return Err(failure) };
    Err(fields.into_iter().fold(failure, |failure, (key, value)| failure.detail(&key, value)))
}
