//! `merge show`: what one merge did, field by field.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{InSpace, is_merge, shown};
use crate::cli::Ctx;
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::output::{Output, printable};
use crate::cli::target::{Target, resolve};
use crate::ibgib::{Addr, IbGib};
use crate::space::{Space, SpaceExt};
use crate::sync::merge::{
    FieldPath, GRAFT_BASE, GRAFT_INFO, GRAFT_ORPHAN, Overwritten, Winner, overwritten_of,
};

/// Show what a merge did: each changed field in the common frame, on either side, and in the result.
///
/// `kept` is the branch that stayed (the one that was synced first), `replayed` the one whose edits
/// were replayed on top of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib merge show 3655FB6B\n  \
    sync-gib log X --merges --json | jq -r '.frames[0].addr' | sync-gib merge show -")]
pub struct MergeShowArgs {
    /// The frame that ends the merge, as `log --merges` lists it
    #[arg(value_name = "ADDR")]
    pub addr: String,
}

/// The four frames of a merge.
struct Merged {
    addr: Addr,
    common: IbGib,
    kept: IbGib,
    replayed: IbGib,
    result: IbGib,
    overwritten: Vec<Overwritten>,
    unreplayed: Vec<Value>,
}

/// Shows it.
pub fn run(args: &MergeShowArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    let target = resolve(&space, &args.addr)?;
    if !is_merge(&space, target.id)? {
        return Err(no_merge(&space, &target)?);
    }
    let merged = read(&space, target)?;
    let mut fields = BTreeMap::new();
    for (frame, other) in [
        (&merged.kept, &merged.common),
        (&merged.replayed, &merged.common),
        (&merged.result, &merged.common),
    ] {
        super::fields::differing(frame, other, &mut fields);
    }
    fields.extend(merged.overwritten.iter().map(|lost| (lost.path.to_string(), lost.path.clone())));
    print_frames(&merged, &mut ctx.out)?;
    let mut entries = Vec::new();
    for (name, path) in fields {
        entries.push(print_field(&merged, &name, &path, &mut ctx.out)?);
    }
    for edit in &merged.unreplayed {
        let reason = edit.get("reason").and_then(Value::as_str).unwrap_or_default();
        ctx.out.line(format_args!("not replayed: {}", printable(reason)))?;
    }
    ctx.out.done(json!({
        "merge": merged.addr,
        "common": merged.common.addr().ok(),
        "kept": merged.kept.addr().ok(),
        "replayed": merged.replayed.addr().ok(),
        "fields": entries,
        "unreplayed": merged.unreplayed,
    }))
}

/// Says that a frame is no merge, and which is the newest of its timeline before it.
fn no_merge(space: &dyn Space, target: &Target) -> Result<CliError, CliError> {
    let message = format!("{} is not a merge", printable(target.addr.as_str()));
    let error = CliError::new(ErrorCode::Refused, message);
    let mut at = Some(target.id);
    while let Some(id) = at {
        if is_merge(space, id)? {
            let merge = space.addr(id)?;
            let hint = format!(
                "the newest merge before it: `sync-gib merge show '{}'`",
                printable(merge.as_str())
            );
            return Ok(error.hint(hint));
        }
        at = space.row(id)?.prev;
    }
    Ok(error.hint("no frame before it is one; `sync-gib log ADDR --merges` lists them"))
}

fn read(space: &dyn Space, target: Target) -> Result<Merged, CliError> {
    let result = space.get_id(target.id)?;
    let frames = InSpace(space);
    let need = |of: &IbGib, relation: &str| -> Result<IbGib, CliError> {
        let gone = || {
            let message = format!("the space lacks the {relation} of {}", target.addr);
            CliError::new(ErrorCode::NotFound, printable(&message)).hint("run `sync-gib sync`")
        };
        let addr = of.rel8d(relation).next_back().ok_or_else(gone)?;
        space.get(&Addr::parse(addr).map_err(|_| gone())?)?.ok_or_else(gone)
    };
    let (kept, replayed) = (need(&result, GRAFT_BASE)?, need(&result, GRAFT_ORPHAN)?);
    let info = need(&result, GRAFT_INFO)?;
    let common = need(&info, "common")?;
    let unreplayed = info.datum("unreplayed").and_then(Value::as_array).cloned();
    Ok(Merged {
        overwritten: overwritten_of(&frames, &result)?,
        unreplayed: unreplayed.unwrap_or_default(),
        addr: target.addr,
        common,
        kept,
        replayed,
        result,
    })
}

fn print_frames(merged: &Merged, out: &mut Output) -> Result<(), CliError> {
    let rows = [
        ("common", &merged.common),
        ("kept", &merged.kept),
        ("replayed", &merged.replayed),
        ("result", &merged.result),
    ];
    for (name, frame) in rows {
        let time = frame.datum("timestamp").and_then(Value::as_str).unwrap_or("-");
        let n = frame.n().map_or("-".to_owned(), |n| n.to_string());
        let line = format!("{name:<8}  n {n:<5}  {time:<29}  {}^{}", frame.ib, frame.gib);
        out.line(printable(&line))?;
    }
    Ok(())
}

fn print_field(
    merged: &Merged,
    name: &str,
    path: &FieldPath,
    out: &mut Output,
) -> Result<Value, CliError> {
    let lost = merged.overwritten.iter().find(|lost| lost.path == *path);
    let gave_way = lost.map(|lost| match lost.winner {
        Winner::Kept => "replayed",
        Winner::Replayed => "kept",
    });
    let mut entry = Map::from_iter([("path".to_owned(), Value::from(name))]);
    out.line("")?;
    out.line(printable(name))?;
    for (side, frame) in [
        ("common", &merged.common),
        ("kept", &merged.kept),
        ("replayed", &merged.replayed),
        ("result", &merged.result),
    ] {
        let value = path.value_in(frame);
        let note = if gave_way == Some(side) { "  (gave way)" } else { "" };
        let line = format!("  {side:<8}  {}{note}", shown(value.as_ref()));
        out.line(printable(&line))?;
        if let Some(value) = value {
            entry.insert(side.to_owned(), value);
        }
    }
    if let Some(lost) = lost {
        entry.insert("winner".to_owned(), json!(lost.winner));
    }
    Ok(Value::Object(entry))
}
