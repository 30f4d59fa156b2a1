//! What a command line means by ADDR: a whole address, the beginning of a gib, or a name.

use super::connection::NAME_IDENTITY;
use super::error::{CliError, ErrorCode};
use super::input::stdin_lines;
use super::output::printable;
use crate::ibgib::Addr;
use crate::space::{RowId, Space, SpaceError, Timeline, TimelineKind, graph_ids};

/// The names that a space may know: the synced timeline, the identity, the last session.
pub const NAMES: [&str; 3] = ["X", "I", "S"];

/// Stands for addresses on standard input.
pub const STDIN: &str = "-";

/// How many characters of a gib at least stand for an address.
const MIN_PREFIX: usize = 4;
/// How many addresses an error lists.
const MAX_LISTED: usize = 5;
/// How many timelines or stones are read at a time.
const PAGE: usize = 512;

/// An ibGib in the space that an argument stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its row.
    pub id: RowId,
    /// Its address.
    pub addr: Addr,
}

/// Finds what `text` stands for in the space.
///
/// A name stands for the tip of the timeline that it points to, an address for that very frame, the
/// beginning of a gib (at least 4 characters, with or without its ib) for the one frame that it
/// fits, and `-` for what the next line of standard input names. Errors where nothing fits, or more
/// than one.
pub fn resolve(space: &dyn Space, text: &str) -> Result<Target, CliError> {
    if text == STDIN {
        let line = stdin_lines().next().transpose()?.filter(|line| line != STDIN);
        let none = || CliError::new(ErrorCode::BadInput, "no address on standard input");
        return resolve(space, &line.ok_or_else(none)?);
    }
    if NAMES.contains(&text) {
        return named(space, text);
    }
    if let Ok(addr) = Addr::parse(text) {
        let found = space.find(&addr)?;
        return found.map(|id| Target { id, addr }).ok_or_else(|| not_found(text));
    }
    by_prefix(space, text)
}

/// The addresses of all arguments, in order; `-` stands for the lines of standard input.
pub fn each(
    args: &[String],
    mut f: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for arg in args {
        if arg == STDIN {
            stdin_lines().try_for_each(|line| f(&line?))?;
        } else {
            f(arg)?;
        }
    }
    Ok(())
}

/// The tip of the timeline that a frame belongs to; the frame itself where it is a stone.
pub fn tip_of(space: &dyn Space, target: Target) -> Result<Target, SpaceError> {
    let Some(timeline) = space.row(target.id)?.timeline else { return Ok(target) };
    let timeline = space.timeline_of(timeline)?;
    Ok(timeline.map_or(target, |timeline| Target { id: timeline.tip.id, addr: timeline.tip.addr }))
}

fn named(space: &dyn Space, name: &str) -> Result<Target, CliError> {
    let Some(tjp) = space.name(name)? else {
        let message = format!("the space has no {name} yet");
        // A device that joined gets its X by its first sync.
        let hint = match name == "S" || space.name(NAME_IDENTITY)?.is_some() {
            true => "run `sync-gib sync`",
            false => "run `sync-gib setup`",
        };
        return Err(CliError::new(ErrorCode::NotFound, message).hint(hint));
    };
    let id = space.find(&tjp)?.ok_or_else(|| not_found(tjp.as_str()))?;
    Ok(tip_of(space, Target { id, addr: tjp.into() })?)
}

fn not_found(text: &str) -> CliError {
    let message = format!("the space does not hold {}", printable(text));
    CliError::new(ErrorCode::NotFound, message).hint("`sync-gib log` lists what it holds")
}

fn by_prefix(space: &dyn Space, text: &str) -> Result<Target, CliError> {
    let prefix = Prefix::parse(text)?;
    let mut found = search(space, &prefix)?;
    match found.len() {
        0 => Err(not_found(text)),
        1 => Ok(found.remove(0)),
        _ => {
            let listed: Vec<&str> =
                found.iter().take(MAX_LISTED).map(|t| t.addr.as_str()).collect();
            let message = format!(
                "{} matches {} ibGibs, among them:\n  {}",
                printable(text),
                found.len(),
                listed.iter().map(|addr| printable(addr)).collect::<Vec<_>>().join("\n  "),
            );
            Err(CliError::new(ErrorCode::Ambiguous, message).hint("give more of the gib"))
        }
    }
}

/// The beginning of a gib, perhaps with the ib before it.
struct Prefix<'a> {
    ib: Option<&'a str>,
    gib: String,
}

impl Prefix<'_> {
    fn parse(text: &str) -> Result<Prefix<'_>, CliError> {
        let (ib, gib) = match text.rsplit_once('^') {
            Some((ib, gib)) => (Some(ib), gib),
            None => (None, text),
        };
        let gib = gib.trim_end_matches('…');
        let is_prefix =
            gib.len() >= MIN_PREFIX && gib.bytes().all(|c| c.is_ascii_hexdigit() || c == b'.');
        if !is_prefix {
            let message = format!(
                "{} is neither an address, nor {MIN_PREFIX} or more characters of a gib, nor X, I or S",
                printable(&crate::ibgib::addr::clip(text)),
            );
            return Err(CliError::new(ErrorCode::NotFound, message));
        }
        Ok(Prefix { ib, gib: gib.to_ascii_uppercase() })
    }

    fn fits(&self, addr: &Addr) -> bool {
        self.ib.is_none_or(|ib| ib == addr.ib()) && addr.gib().starts_with(&self.gib)
    }
}

/// Every ibGib of the space that a prefix fits. There is no index for it: all addresses are read.
fn search(space: &dyn Space, prefix: &Prefix<'_>) -> Result<Vec<Target>, SpaceError> {
    let mut found = Vec::new();
    for id in graph_ids(space, &roots(space)?, false)? {
        let addr = space.addr(id)?;
        if prefix.fits(&addr) {
            found.push(Target { id, addr });
        }
    }
    Ok(found)
}

/// What everything in the space is reached from: the timelines' tips, and the stones that nothing
/// relates to.
fn roots(space: &dyn Space) -> Result<Vec<RowId>, SpaceError> {
    let mut roots = Vec::new();
    for kind in [TimelineKind::Data, TimelineKind::Keystone, TimelineKind::Saga] {
        for_each_timeline(space, kind, |timeline| {
            roots.push(timeline.tip.id);
            Ok::<_, SpaceError>(true)
        })?;
    }
    let mut after = None;
    loop {
        let page = space.unreferenced_stones(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(roots) };
        after = Some(*last);
        roots.extend(page.iter().map(|(id, _)| *id));
    }
}

/// Gives every timeline of a kind to `f`, in the order of their making, until it says `false`.
pub fn for_each_timeline<E: From<SpaceError>>(
    space: &dyn Space,
    kind: TimelineKind,
    mut f: impl FnMut(Timeline) -> Result<bool, E>,
) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = space.timelines(kind, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.tjp_id);
        for timeline in page {
            if !f(timeline)? {
                return Ok(());
            }
        }
    }
}
