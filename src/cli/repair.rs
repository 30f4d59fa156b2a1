//! `repair`: what is damaged in the space, fetched from the server.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::json;

use super::Ctx;
use super::audit::assertions;
use super::connection::{self, Connection, NAME_IDENTITY};
use super::error::{CliError, ErrorCode, LOST_STEP, UNREADABLE};
use super::identity;
use super::output::printable;
use super::secret::SecretArgs;
use crate::ibgib::{Addr, AddrKey, IbGib, TjpAddr};
use crate::peer::{self, ReceiverLink, Remote};
use crate::space::{Audit, Damaged, Prepared, Space, SpaceError, SqliteSpace, Steps};
use crate::sync::SyncError;

/// How many bytes of what is gone are fetched at once.
const MAX_GONE: usize = 64 << 20;
/// How many ibGibs that cannot be had are listed.
const LISTED: usize = 100;

/// Repair what is damaged in the space, with the server's help.
///
/// Reads everything, as `check --local` does. A damaged ibGib is restored here if a single bit
/// flipped (the hash finds it), otherwise fetched from the server and checked against its hash.
/// What follows from the ibGibs, such as indices and counts, is rebuilt. What cannot be recovered
/// is listed, and left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib repair\n  \
    sync-gib check --local || sync-gib repair")]
pub struct RepairArgs {
    /// Where the secret comes from; it is asked for where the server is.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// What was done.
#[derive(Default)]
struct Done {
    restored: u64,
    fetched: u64,
    is_rebuilt: bool,
    /// Pending steps that were of no use any more.
    dropped: u64,
    /// Whether I got its name back.
    named: u64,
}

/// Repairs the space.
pub fn run(args: &RepairArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    let mut done = Done::default();
    let mut audit = space.audit()?;
    if let [own] = &audit.unnamed[..] {
        space.set_name(NAME_IDENTITY, own)?;
        done.named += 1;
        audit = space.audit()?;
    }
    let mut steps = Steps::default();
    let mut gone: Vec<Prepared> = Vec::new();
    while !audit.is_good() {
        let (before, had) = (done.restored + done.fetched, gone.len());
        done.restored += restore(&space, &mut audit.damaged, |damaged| space.unflipped(damaged))?;
        audit.missing.retain(|addr| gone.iter().all(|had| *had.addr() != *addr));
        if !audit.damaged.is_empty() || !audit.missing.is_empty() {
            gone.extend(from_server(&space, &mut audit, args, ctx, &mut done)?);
        }
        if (done.restored + done.fetched, gone.len()) == (before, had) {
            break;
        }
        // What was repaired may give the address of something that was not yet.
        audit = space.audit()?;
    }
    done.fetched += gone.len() as u64;
    if !audit.is_good() {
        steps = repair_steps(&space, ctx, &mut done)?;
        audit = space.audit()?;
    }
    if !audit.is_good() && audit.damaged.is_empty() {
        match space.rebuild(gone, ctx.home()?.dir()) {
            Ok(()) => done.is_rebuilt = true,
            Err(error @ (SpaceError::Busy(_) | SpaceError::Io { .. })) => return Err(error.into()),
            Err(error) => ctx.out.note(format_args!("not rebuilt: {error}")),
        }
        if steps.left > 0 {
            // Rebuilt rows show which frame of the identity is the newest.
            steps = space.repair_steps()?;
            done.restored += steps.restored;
            done.dropped += steps.dropped;
        }
        audit = space.audit()?;
    }
    print(&space, &audit, steps, &done, ctx)
}

/// Repairs pending steps. Of one that is left, the server may show that I went on from the frame that
/// it is signed on.
fn repair_steps(space: &SqliteSpace, ctx: &Ctx, done: &mut Done) -> Result<Steps, CliError> {
    let mut steps = space.repair_steps()?;
    done.restored += steps.restored;
    done.dropped += steps.dropped;
    if steps.left > 0 {
        let home = ctx.home()?;
        let domain = identity::domain_of(space)?;
        let connection = Connection::open(&home, &connection::config(&home, Some(space))?)?;
        let caught_up =
            connection.link().map(|link| peer::identity::fetch(space, &link, &domain))?;
        if let Err(error) = caught_up {
            ctx.out.note(format_args!("the identity's newest frame is not known: {error}"));
        }
        steps = space.repair_steps()?;
        done.dropped += steps.dropped;
    }
    Ok(steps)
}

/// Gives damaged ibGibs back what `find` finds for them, and takes them off the list.
fn restore(
    space: &SqliteSpace,
    damaged: &mut Vec<Damaged>,
    mut find: impl FnMut(&Damaged) -> Result<Option<Prepared>, SpaceError>,
) -> Result<u64, SpaceError> {
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for one in damaged.drain(..) {
        match find(&one)? {
            Some(prepared) => found.push((one, prepared)),
            None => left.push(one),
        }
    }
    *damaged = left;
    if found.is_empty() { Ok(0) } else { space.restore(&found) }
}

/// Restores from the server what is damaged, I's own frames first: the secret signs on them. Returns
/// what was gone.
fn from_server(
    space: &SqliteSpace,
    audit: &mut Audit,
    args: &RepairArgs,
    ctx: &Ctx,
    done: &mut Done,
) -> Result<Vec<Prepared>, CliError> {
    let home = ctx.home()?;
    let domain = identity::domain_of(space)?;
    let connection = Connection::open(&home, &connection::config(&home, Some(space))?)?;
    let link = connection.link()?;
    let mut frames = identity_frames(space, &link, &domain, &audit.damaged)?;
    let fetched = restore(space, &mut audit.damaged, |one| Ok(frames.remove(&one.key)))?;
    done.fetched += fetched;
    let gone: Vec<Addr> = audit.missing.drain(..).collect();
    if audit.damaged.is_empty() && gone.is_empty() {
        return Ok(Vec::new());
    }
    let token = connection::token(&home, &connection, &link, space, &args.secret)?;
    let ask = |addr: &Addr| -> Result<Option<(IbGib, Prepared)>, CliError> {
        let text = link.ibgib(&domain, addr, &token)?;
        let read = text.map(|text| {
            let ibgib = IbGib::from_json(&text)?;
            let prepared = Prepared::new(&ibgib)?;
            Ok::<_, crate::ibgib::IbGibError>((ibgib, prepared))
        });
        // What is not what was asked for is not taken.
        Ok(read.and_then(Result::ok).filter(|(_, prepared)| prepared.addr() == addr))
    };
    let mut texts = HashMap::new();
    for one in &audit.damaged {
        let addr = match &one.addr {
            Some(addr) => Some(addr.clone()),
            None => tip_there(space, &link, &domain, one, &token)?,
        };
        if let Some((_, prepared)) = addr.map(|addr| ask(&addr)).transpose()?.flatten() {
            texts.insert(one.key, prepared);
        }
    }
    done.fetched += restore(space, &mut audit.damaged, |one| Ok(texts.remove(&one.key)))?;
    fetch_gone(space, gone, ask)
}

/// The frames of I that are damaged here, as the server's public route gives them.
fn identity_frames(
    space: &SqliteSpace,
    link: &Remote<'_>,
    domain: &TjpAddr,
    damaged: &[Damaged],
) -> Result<HashMap<AddrKey, Prepared>, CliError> {
    let tjp_id = space.find(domain)?;
    let mut wanted: HashSet<AddrKey> = damaged
        .iter()
        .filter(|one| one.timeline.is_some() && one.timeline == tjp_id)
        .map(|one| one.key)
        .collect();
    let mut found = HashMap::new();
    // A server may give out frames for ever; those that are here are not more than this.
    let mut left = space.count()?.ibgibs;
    let mut after: Option<Addr> = None;
    while !wanted.is_empty() && left > 0 {
        let before = after.clone();
        link.identity(domain, before.as_ref(), &mut |frame| {
            let prepared = Prepared::new(&frame).map_err(SyncError::from)?;
            after = Some(prepared.addr().clone());
            left = left.saturating_sub(1);
            if wanted.remove(&prepared.key()) {
                found.insert(prepared.key(), prepared);
            }
            let is_done = wanted.is_empty() || left == 0;
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if after == before {
            break;
        }
    }
    Ok(found)
}

/// The address of a damaged ibGib that nothing here tells, where it is its timeline's tip on the
/// server.
fn tip_there(
    space: &SqliteSpace,
    link: &Remote<'_>,
    domain: &TjpAddr,
    damaged: &Damaged,
    token: &str,
) -> Result<Option<Addr>, CliError> {
    let Some(tjp) = damaged.timeline.filter(|tjp_id| *tjp_id != damaged.id) else {
        return Ok(None);
    };
    let Ok(tjp) = space.addr(tjp).map(TjpAddr::from) else { return Ok(None) };
    let latest = link.latest(domain, &tjp, token)?.map(|latest| latest.tip);
    Ok(latest.filter(|tip| tip.key() == damaged.key))
}

/// What is gone, with what it relates to that is not here either.
fn fetch_gone(
    space: &SqliteSpace,
    mut wanted: Vec<Addr>,
    ask: impl Fn(&Addr) -> Result<Option<(IbGib, Prepared)>, CliError>,
) -> Result<Vec<Prepared>, CliError> {
    let (mut fetched, mut bytes) = (Vec::new(), 0);
    let mut asked: HashSet<Addr> = HashSet::new();
    while let Some(addr) = wanted.pop() {
        if !asked.insert(addr.clone()) || bytes > MAX_GONE {
            continue;
        }
        let Some((ibgib, prepared)) = ask(&addr)? else { continue };
        for rel8d in ibgib.rel8ds().filter_map(|rel8d| Addr::parse(rel8d).ok()) {
            if !rel8d.is_primitive() && space.find(&rel8d)?.is_none() {
                wanted.push(rel8d);
            }
        }
        bytes += prepared.text().len();
        fetched.push(prepared);
    }
    Ok(fetched)
}

fn print(
    space: &SqliteSpace,
    audit: &Audit,
    steps: Steps,
    done: &Done,
    ctx: &mut Ctx,
) -> Result<(), CliError> {
    let Done { restored, fetched, is_rebuilt, dropped, named } = *done;
    if audit.is_good() {
        if named > 0 {
            ctx.out.line("I is named again")?;
        }
        if dropped > 0 {
            ctx.out.line(format_args!(
                "dropped: {dropped} pending steps that are not needed, since I has newer frames"
            ))?;
        }
        ctx.out.line(match (restored + fetched, is_rebuilt) {
            (0, false) if dropped + named > 0 => "nothing else is damaged".to_owned(),
            (0, false) => "nothing is damaged".to_owned(),
            (0, true) => "rebuilt: rows, indices and counts".to_owned(),
            (_, false) => format!("repaired: {restored} restored here, {fetched} fetched"),
            (_, true) => {
                format!("repaired: {restored} restored here, {fetched} fetched; indices rebuilt")
            }
        })?;
        return ctx.out.done(json!({
            "restored": restored, "fetched": fetched, "rebuilt": is_rebuilt, "dropped": dropped,
            "named": named > 0,
        }));
    }
    if audit.is_unreadable {
        let message =
            format!("{} is damaged: SQLite cannot read all of it", space.path().display());
        let error = CliError::new(ErrorCode::Damaged, printable(&message)).hint(UNREADABLE);
        return Err(not_repaired(error, audit, done));
    }
    if steps.left > 0 && audit.damaged.is_empty() && audit.missing.is_empty() {
        return Err(lost_step(audit, done));
    }
    let names = |one: &Damaged| {
        one.addr.as_ref().map_or_else(|| format!("ibGib number {}", one.id), ToString::to_string)
    };
    let left: Vec<String> = audit
        .damaged
        .iter()
        .map(names)
        .chain(audit.missing.iter().map(ToString::to_string))
        .take(LISTED)
        .collect();
    for one in &left {
        ctx.out.line(printable(one))?;
    }
    let path = space.path().display();
    let count = audit.damaged.len() + audit.missing.len();
    let message = match count {
        0 => format!("{path} is still damaged"),
        _ => format!("{count} ibGibs of {path} cannot be had, here or on the server"),
    };
    let hint = match count {
        0 => "`sync-gib check --local` says what is wrong; restore the file from a copy",
        _ => {
            "sync from a device that has them, then repair again; what is of old syncs (`keystone`, \
             `sync_saga`) goes with `sync-gib prune --sessions`; nothing that is good was changed"
        }
    };
    Err(CliError::new(ErrorCode::NotFound, printable(&message))
        .hint(hint)
        .detail("restored", restored)
        .detail("fetched", fetched)
        .detail("rebuilt", is_rebuilt)
        .detail("dropped", dropped)
        .detail("left", left)
        .detail("assertions", assertions(audit)))
}

/// The end where a step that is signed on I's newest frame cannot be mended.
fn lost_step(audit: &Audit, done: &Done) -> CliError {
    let message = "a step that is signed on the identity's newest frame is damaged; whether a server \
         has taken it is not known, and a second one is not signed on that frame";
    not_repaired(CliError::new(ErrorCode::Damaged, message).hint(LOST_STEP), audit, done)
}

/// A failure with what was done before it.
fn not_repaired(error: CliError, audit: &Audit, done: &Done) -> CliError {
    error
        .detail("restored", done.restored)
        .detail("fetched", done.fetched)
        .detail("rebuilt", done.is_rebuilt)
        .detail("dropped", done.dropped)
        .detail("assertions", assertions(audit))
}
