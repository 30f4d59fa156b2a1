//! `restore`: what an earlier frame held, as the newest frame of its timeline.

use super::Ctx;
use super::edit::change;
use super::error::{CliError, ErrorCode};
use super::output::printable;
use super::target::resolve;
use crate::ibgib::Moment;
use crate::space::Space;
use crate::sync::merge::{Content, ContentError, FieldPath};

/// Restore what an earlier frame held, or one field of it, as a new frame.
///
/// The new tip has the data, the ib and the relations of the frame ADDR; fields that this frame
/// lacks are removed. Nothing is lost: the frames in between stay. Data and relations change by a
/// frame each, so there may be two new frames, stored together. A relation gets the same addresses,
/// but not their order. The records of merges stay. Prints the new address, or the tip's if nothing
/// changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib log X\n  \
    sync-gib restore 6DD33CFB\n  \
    sync-gib restore 6DD33CFB --field title\n  \
    sync-gib restore 6DD33CFB --field 'items[id=\"a\"].done'")]
pub struct RestoreArgs {
    /// The earlier frame; `-` reads it from standard input
    #[arg(value_name = "ADDR")]
    pub addr: String,
    /// Only this field: keys joined by dots, `items[id="a"]` for a list's element, `^ib`, or
    /// `^rel8ns.NAME`
    #[arg(long, value_name = "PATH")]
    pub field: Option<FieldPath>,
}

/// Makes and puts the frames.
pub fn run(args: &RestoreArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    let target = resolve(&space, &args.addr)?;
    let earlier = space.get_id(target.id)?;
    let refused = |error: ContentError| {
        let message = format!("{} cannot be restored: {error}", target.addr.as_str());
        CliError::new(ErrorCode::Refused, printable(&message)).hint(match args.field {
            Some(_) => "name another field, or leave --field out to restore the whole frame",
            None => "--field restores one field of it",
        })
    };
    change(ctx, &space, &target, "nothing changed: the tip holds that already", |tip| {
        let wanted = match &args.field {
            None => Content::of(&earlier),
            Some(field) => {
                let mut wanted = Content::of(tip);
                wanted.take(field, &earlier).map_err(refused)?;
                if field.value_in(&earlier).is_none() && field.value_in(tip).is_none() {
                    let message = format!("neither that frame nor the timeline's tip has {field}");
                    let error = CliError::new(ErrorCode::Refused, printable(&message));
                    return Err(error.hint("`sync-gib get ADDR` shows what it has"));
                }
                wanted
            }
        };
        wanted.reach(tip, Moment::now()).map_err(refused)
    })
}
