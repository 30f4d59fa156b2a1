//! `new`: a timeline, or a stone.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Ctx;
use super::edit::{check_keys, key_value, put, read_object, read_value, relations};
use super::error::{CliError, ErrorCode};
use super::output::printable;
use crate::ibgib::transform::{RESERVED_REL8NS, parent, timeline};
use crate::ibgib::{Addr, IbGib, System};
use crate::space::TimelineKind;

/// Make a timeline, or a stone, from JSON.
///
/// A timeline begins with a frame that is unique by its time and a random uuid; data and relations
/// follow, each as a frame with its dna. A stone is one ibGib that never changes: equal stones are
/// one. Prints the new address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    echo '{\"title\":\"notes\"}' | sync-gib new --ib note --data -\n  \
    sync-gib new --ib tag --stone --data tag.json\n  \
    sync-gib new --ib 'comment on notes' --rel8 target=X")]
pub struct NewArgs {
    /// What it says of itself; it descends from the primitive of its first word
    #[arg(long, value_name = "IB", default_value = "x")]
    pub ib: String,
    /// Its data, a JSON object (any JSON for a stone), from FILE or standard input (`-`)
    #[arg(long, value_name = "FILE|-")]
    pub data: Option<PathBuf>,
    /// Relate it to ADDR under NAME; repeatable
    #[arg(long, value_name = "NAME=ADDR", value_parser = key_value)]
    pub rel8: Vec<(String, String)>,
    /// Make a stone, not a timeline
    #[arg(long)]
    pub stone: bool,
}

/// Makes and puts it.
pub fn run(args: &NewArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    check_ib(&args.ib)?;
    // Everything is read before the space is made: a mistake leaves nothing behind.
    let data = args.data.as_deref();
    let data = if args.stone {
        data.map(read_value).transpose()?
    } else {
        data.map(read_object).transpose()?.map(Value::Object)
    };
    if let Some(Value::Object(data)) = &data {
        check_keys(data.keys().map(String::as_str))?;
    }
    let space = ctx.create_space(None)?;
    let rel8ns = relations(&space, &args.rel8)?;
    let env = System::new();
    let made = match (args.stone, data) {
        (true, data) => vec![stone(&args.ib, data, rel8ns)?],
        (false, Some(Value::Object(data))) => timeline(&args.ib, Some(data), rel8ns, &env)?,
        (false, _) => timeline(&args.ib, None, rel8ns, &env)?,
    };
    put(&space, &made, Vec::new())?;
    let Some(last) = made.last() else { return Ok(()) };
    let addr = last.addr()?;
    ctx.out.line(printable(addr.as_str()))?;
    ctx.out.done(json!({"addr": addr, "tjp": last.tjp_addr(), "n": last.n()}))
}

/// Whether an ib is fit for an address on a line of its own, and for data.
fn check_ib(ib: &str) -> Result<(), CliError> {
    if TimelineKind::of_ib(ib) != TimelineKind::Data {
        let message = format!("the ib {ib:?} is for keystones or sagas, not for data");
        return Err(CliError::usage(message));
    }
    if ib.is_empty() || ib.contains('^') || ib.chars().any(char::is_control) {
        let message =
            format!("{:?} is not a valid ib: it is empty, or has '^' or control characters", ib);
        return Err(CliError::usage(message));
    }
    Ok(())
}

/// A stone: its relations begin with its ancestor, as the reference makes them.
fn stone(ib: &str, data: Option<Value>, mut rel8ns: Map<String, Value>) -> Result<IbGib, CliError> {
    if let Some(name) = rel8ns.keys().find(|name| RESERVED_REL8NS.contains(&name.as_str())) {
        let message = format!("the relation {name:?} cannot be added by hand");
        return Err(CliError::new(ErrorCode::Refused, message));
    }
    let parent: Addr = parent(ib).addr()?;
    rel8ns.insert("ancestor".into(), json!([parent]));
    IbGib::new(ib.to_owned(), data, Some(rel8ns)).map_err(CliError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stones_are_one() {
        let one = stone("tag", Some(json!("red")), Map::new()).unwrap();
        assert_eq!(one, stone("tag", Some(json!("red")), Map::new()).unwrap());
        assert!(one.is_stone());
        let past = json!({"past": ["x^gib"]}).as_object().unwrap().clone();
        assert!(stone("tag", None, past).is_err());
    }
}
