//! `mut8`: a next frame with other data or another ib.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::Ctx;
use super::edit::{check_keys, key_value, next_frame, read_object, require_keys};
use super::error::{CliError, ErrorCode};
use super::input::is_stdin;
use super::output::printable;
use super::target::STDIN;
use crate::ibgib::IbGib;
use crate::ibgib::json;
use crate::ibgib::transform::{Kind, Opts};

/// Change the data of a timeline: one more frame.
///
/// The new frame follows the timeline's latest tip, whichever frame of it ADDR names. Objects in
/// --data are patched key by key; everything else is replaced. Prints the new address. If nothing
/// changes, makes no frame and prints the tip's address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib mut8 X --set title='Shopping list' --set done=false\n  \
    sync-gib mut8 X --remove draft --rename titel=title\n  \
    jq '{items: .items}' list.json | sync-gib mut8 X --data -")]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true)
          .args(["set", "data", "remove", "rename", "ib"]))]
pub struct Mut8Args {
    /// A frame of the timeline, or X; `-` reads it from standard input
    #[arg(value_name = "ADDR")]
    pub addr: String,
    /// Set a key to JSON, or to text where VALUE is no JSON; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Set what this JSON object holds, from FILE or standard input (`-`)
    #[arg(long, value_name = "FILE|-")]
    pub data: Option<PathBuf>,
    /// Remove a key; repeatable
    #[arg(long, value_name = "KEY")]
    pub remove: Vec<String>,
    /// Rename a key; repeatable
    #[arg(long, value_name = "OLD=NEW", value_parser = key_value)]
    pub rename: Vec<(String, String)>,
    /// Give it another ib
    #[arg(long, value_name = "IB")]
    pub ib: Option<String>,
    /// Make a frame even if nothing changes
    #[arg(long)]
    pub force: bool,
}

/// Makes and puts the frame.
pub fn run(args: &Mut8Args, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.addr == STDIN && args.data.as_deref().is_some_and(is_stdin) {
        return Err(CliError::usage("ADDR and --data cannot both come from standard input"));
    }
    let change = Change::read(args)?;
    next_frame(ctx, &args.addr, Kind::Mut8, args.force, |_, tip| {
        let gone = change.remove.keys().chain(change.rename.keys());
        require_keys(tip, gone.map(String::as_str))?;
        change.check_new_names(tip)?;
        Ok(change.opts(tip))
    })
}

/// What the arguments ask for, as a mut8's options take it.
struct Change {
    patch: Map<String, Value>,
    remove: Map<String, Value>,
    rename: Map<String, Value>,
    ib: Option<String>,
}

impl Change {
    fn read(args: &Mut8Args) -> Result<Change, CliError> {
        let mut patch = args.data.as_deref().map(read_object).transpose()?.unwrap_or_default();
        for (key, text) in &args.set {
            let value = json::parse(text).unwrap_or_else(|_| Value::from(text.as_str()));
            json::set(&mut patch, key, value);
        }
        let mut remove = Map::new();
        for key in &args.remove {
            json::set(&mut remove, key, "".into());
        }
        let mut rename = Map::new();
        for (old, new) in &args.rename {
            json::set(&mut rename, old, new.as_str().into());
        }
        let new_names = args.rename.iter().map(|(_, new)| new);
        let touched = patch.keys().chain(remove.keys()).chain(rename.keys()).chain(new_names);
        check_keys(touched.map(String::as_str))?;
        if let Some(key) = rename.iter().find(|(old, new)| new.as_str() == Some(old)) {
            return Err(CliError::usage(format!("--rename {:?} to itself", key.0)));
        }
        Ok(Change { patch, remove, rename, ib: args.ib.clone() })
    }

    /// Refuses to rename onto a key that is there and stays: its value would be gone.
    fn check_new_names(&self, tip: &IbGib) -> Result<(), CliError> {
        for to in self.rename.values().filter_map(Value::as_str) {
            let goes = self.remove.contains_key(to) || self.rename.contains_key(to);
            if tip.datum(to).is_some() && !goes {
                let message = format!("the timeline's tip has data.{} already", printable(to));
                let error = CliError::new(ErrorCode::Refused, message);
                return Err(error.hint("remove it first, in a frame of its own"));
            }
        }
        Ok(())
    }

    fn opts(&self, tip: &IbGib) -> Opts {
        let mut opts = Opts::next_frame_on(tip);
        for (key, change) in [
            ("dataToRename", &self.rename),
            ("dataToRemove", &self.remove),
            ("dataToAddOrPatch", &self.patch),
        ] {
            if !change.is_empty() {
                opts = opts.set(key, change.clone());
            }
        }
        match &self.ib {
            Some(ib) => opts.set("mut8Ib", ib.as_str()),
            None => opts,
        }
    }
}
