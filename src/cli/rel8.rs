//! `rel8`: a next frame with other relations.

use serde_json::{Map, Value};

use super::Ctx;
use super::edit::{key_value, next_frame, relations};
use super::error::{CliError, ErrorCode};
use crate::ibgib::IbGib;
use crate::ibgib::transform::{Kind, Opts};

/// Change the relations of a timeline: one more frame.
///
/// The new frame follows the timeline's latest tip, whichever frame of it ADDR names. Prints the
/// new address. If nothing changes, makes no frame and prints the tip's address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib rel8 X --add comment=\"$(sync-gib new --ib comment --data c.json)\"\n  \
    sync-gib rel8 X --remove tag=5D11CD55")]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true)
          .args(["add", "remove"]))]
pub struct Rel8Args {
    /// A frame of the timeline, or X; `-` reads it from standard input
    #[arg(value_name = "ADDR")]
    pub addr: String,
    /// Relate the timeline to ADDR under NAME; repeatable
    #[arg(long, value_name = "NAME=ADDR", value_parser = key_value)]
    pub add: Vec<(String, String)>,
    /// Take ADDR out of the relation NAME; repeatable
    #[arg(long, value_name = "NAME=ADDR", value_parser = key_value)]
    pub remove: Vec<(String, String)>,
    /// Make a frame even if nothing changes
    #[arg(long)]
    pub force: bool,
}

/// Makes and puts the frame.
pub fn run(args: &Rel8Args, ctx: &mut Ctx) -> Result<(), CliError> {
    next_frame(ctx, &args.addr, Kind::Rel8, args.force, |space, tip| {
        let add = relations(space, &args.add)?;
        let remove = relations(space, &args.remove)?;
        check_removed(tip, &remove)?;
        let mut opts = Opts::next_frame_on(tip);
        if !add.is_empty() {
            opts = opts.set("rel8nsToAddByAddr", add);
        }
        if !remove.is_empty() {
            opts = opts.set("rel8nsToRemoveByAddr", remove);
        }
        Ok(opts)
    })
}

/// Refuses to remove what is not there.
fn check_removed(tip: &IbGib, remove: &Map<String, Value>) -> Result<(), CliError> {
    for (name, rel8ds) in remove {
        for rel8d in rel8ds.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !tip.rel8d(name).any(|there| there == rel8d) {
                let message = format!("the timeline's tip has no {name:?} relation to {rel8d}");
                return Err(CliError::new(ErrorCode::Refused, message));
            }
        }
    }
    Ok(())
}
