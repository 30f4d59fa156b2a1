//! What `new`, `mut8` and `rel8` share: reading their arguments, and putting what they make.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::input::read_text;
use super::output::printable;
use super::target::{Target, resolve};
use crate::ibgib::transform::{Kind, Opts, transform};
use crate::ibgib::{Addr, IbGib, System};
use crate::space::{PutOpts, Space, SpaceError, SpaceExt, Timeline, TimelineKind, TipMove};
use crate::sync::merge::{Content, is_bookkeeping};

/// How often a change is retried if another process changed the timeline meanwhile.
const MAX_TRIES: usize = 8;

/// How the relations begin that a merge keeps itself.
const GRAFT: &str = "graft";

/// Reads a `key=value` argument.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Reads an object of data from a file, or from standard input where `path` is `-`.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, CliError> {
    match read_value(path)? {
        Value::Object(map) => Ok(map),
        _ => Err(CliError::new(ErrorCode::BadInput, "the data is not a JSON object")),
    }
}

/// Reads a JSON value from a file, or from standard input where `path` is `-`.
pub fn read_value(path: &Path) -> Result<Value, CliError> {
    let parsed = crate::ibgib::json::parse(&read_text(path)?);
    parsed.map_err(|error| CliError::new(ErrorCode::BadInput, format!("the data is {error}")))
}

/// Refuses keys of the data that frames keep themselves.
pub fn check_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<(), CliError> {
    match keys.into_iter().find(|key| is_bookkeeping(key)) {
        None => Ok(()),
        Some(key) => {
            let message = format!("data.{key} is kept by the frames themselves");
            Err(CliError::new(ErrorCode::Refused, message).hint("leave it out"))
        }
    }
}

/// Relations by name, from `name=ADDR` arguments in their order; every address is resolved, and a
/// primitive's stands for itself.
pub fn relations(
    space: &dyn Space,
    args: &[(String, String)],
) -> Result<Map<String, Value>, CliError> {
    let mut relations = Map::new();
    for (name, text) in args {
        if name.starts_with(GRAFT) {
            let message = format!("the relation {name:?} is kept by merges themselves");
            return Err(CliError::new(ErrorCode::Refused, message));
        }
        let addr = match Addr::parse(text) {
            Ok(addr) if addr.is_primitive() => addr,
            _ => resolve(space, text)?.addr,
        };
        let list = relations.entry(name.clone()).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(addr.as_str().into());
        }
    }
    Ok(relations)
}

/// Makes one more frame of the timeline that `text` names a frame of, on its latest tip, and puts
/// it; none where it would change nothing, unless that is forced. `options` tells the transform from
/// that tip; it is asked again where another process was faster.
pub fn next_frame(
    ctx: &mut Ctx,
    text: &str,
    kind: Kind,
    force: bool,
    mut options: impl FnMut(&dyn Space, &IbGib) -> Result<Opts, CliError>,
) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    let target = resolve(&space, text)?;
    change(ctx, &space, &target, "nothing changed; --force makes a frame anyway", |tip| {
        let made = transform(kind, tip, &options(&space, tip)?.build(), &System::new())?;
        let is_same = Content::of(&made.new_ibgib) == Content::of(tip);
        Ok(if is_same && !force { Vec::new() } else { made.into_all() })
    })
}

/// Puts what `make` makes on the latest tip of the timeline that a target belongs to, and prints its
/// new tip; where it makes nothing, the tip that is there, and `nothing` as a note. It is asked again
/// where another process was faster.
pub fn change(
    ctx: &mut Ctx,
    space: &dyn Space,
    target: &Target,
    nothing: &str,
    mut make: impl FnMut(&IbGib) -> Result<Vec<IbGib>, CliError>,
) -> Result<(), CliError> {
    let mut tries = 1;
    loop {
        let timeline = changeable(space, target)?;
        let tip = space.get_id(timeline.tip.id)?;
        let made = make(&tip)?;
        let Some(last) = made.last() else {
            ctx.out.note(nothing);
            let prev = tip.prev().map(str::to_owned);
            return print(ctx, space, &timeline, &timeline.tip.addr, prev.as_deref(), false);
        };
        let addr = last.addr()?;
        let from = timeline.tip.addr.clone();
        let step =
            TipMove { tjp: timeline.tjp.clone(), from: Some(from.clone()), to: addr.clone() };
        match put(space, &made, vec![step]) {
            Ok(()) => return print(ctx, space, &timeline, &addr, last.prev(), true),
            Err(SpaceError::TipMoved { .. } | SpaceError::Diverged { .. }) if tries < MAX_TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(
    ctx: &mut Ctx,
    space: &dyn Space,
    timeline: &Timeline,
    tip: &Addr,
    prev: Option<&str>,
    changed: bool,
) -> Result<(), CliError> {
    ctx.out.line(printable(tip.as_str()))?;
    let n = space.find(tip)?.map(|id| space.row(id)).transpose()?.map(|row| row.n);
    ctx.out.done(json!({
        "addr": tip, "n": n, "prev": prev, "tjp": timeline.tjp, "changed": changed,
    }))
}

/// Puts what was made, in one transaction in which each tip moves as told.
pub fn put(space: &dyn Space, ibgibs: &[IbGib], moves: Vec<TipMove>) -> Result<(), SpaceError> {
    space.put_with(ibgibs, &PutOpts { moves, ..PutOpts::default() }).map(drop)
}

/// The timeline of a target, where hands may change it.
fn changeable(space: &dyn Space, target: &Target) -> Result<Timeline, CliError> {
    let refused = |what: &str, hint: &str| {
        let message = format!("{} is {what}", printable(target.addr.as_str()));
        CliError::new(ErrorCode::Refused, message).hint(hint)
    };
    let timeline = match space.row(target.id)?.timeline {
        Some(tjp) => space.timeline_of(tjp)?,
        None => None,
    };
    let Some(timeline) = timeline else {
        let hint = "make another with `sync-gib new --stone`";
        return Err(refused("a stone: it never changes", hint));
    };
    match timeline.kind {
        TimelineKind::Data => Ok(timeline),
        TimelineKind::Keystone => {
            Err(refused("a frame of an identity", "identities change by signing only"))
        }
        TimelineKind::Saga => Err(refused("a frame of a saga", "sagas are records of past syncs")),
    }
}

/// Refuses keys that the data of a timeline's tip does not have.
pub fn require_keys<'a>(
    tip: &IbGib,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<(), CliError> {
    match keys.into_iter().find(|key| tip.datum(key).is_none()) {
        None => Ok(()),
        Some(key) => {
            let message = format!("the timeline's tip has no data.{}", printable(key));
            Err(CliError::new(ErrorCode::Refused, message))
        }
    }
}
