//! What merges did, for people and scripts: `merge show` and `conflicts`.

pub mod conflicts;
mod fields;
pub mod show;

use std::error::Error;

use serde_json::Value;

use super::error::CliError;
use crate::ibgib::{Addr, IbGib, json as js};
use crate::space::{RowId, Space, SpaceError, SpaceExt};
use crate::sync::merge::{Frames, GRAFT_BASE, Side};

/// How many bytes of a value a line shows.
const SHOWN: usize = 120;

/// Look at merges.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Example:\n  sync-gib merge show 3655FB6B")]
pub enum MergeCommand {
    Show(show::MergeShowArgs),
}

/// A space as a merge reads it.
pub(super) struct InSpace<'a>(pub(super) &'a dyn Space);

impl Frames for InSpace<'_> {
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.get(addr)?)
    }
}

impl From<crate::sync::merge::MergeError> for CliError {
    fn from(error: crate::sync::merge::MergeError) -> CliError {
        match error {
            crate::sync::merge::MergeError::Read { source, .. } => {
                match source.downcast::<SpaceError>() {
                    Ok(error) => (*error).into(),
                    Err(source) => CliError::new(super::ErrorCode::Damaged, source.to_string()),
                }
            }
            error => CliError::new(super::ErrorCode::Damaged, error.to_string()),
        }
    }
}

/// Whether a frame ends a merge: it brought the relation that the frames after it carry on.
pub(super) fn is_merge(space: &dyn Space, id: RowId) -> Result<bool, SpaceError> {
    let row = space.row(id)?;
    Ok(match (row.orphan, row.prev) {
        (Some(orphan), Some(prev)) => space.row(prev)?.orphan != Some(orphan),
        (orphan, _) => orphan.is_some(),
    })
}

/// The tip that a merge was made on, as its graft frame names it; none where it is not here.
pub(super) fn base_of(space: &dyn Space, merge: &IbGib) -> Result<Option<RowId>, SpaceError> {
    let base = merge.rel8d(GRAFT_BASE).next_back().and_then(|base| Addr::parse(base).ok());
    Ok(base.map(|base| space.find(&base)).transpose()?.flatten())
}

/// A value as a line shows it: its JSON, cut where it is long.
fn shown(value: Option<&Value>) -> String {
    match value {
        None => "not there".to_owned(),
        Some(value) => cut(&js::stringify(value), None),
    }
}

/// A value of an entry of a graft info as a line shows it.
pub(super) fn shown_side(side: &Side) -> String {
    match side {
        Side::Absent => "removed".to_owned(),
        Side::Whole(value) => cut(&js::stringify(value), None),
        Side::Cut { head, bytes } => cut(head, Some(*bytes)),
    }
}

fn cut(json: &str, bytes: Option<u64>) -> String {
    let whole = bytes.unwrap_or(json.len() as u64);
    if whole <= SHOWN as u64 {
        return json.to_owned();
    }
    let end = (0..=SHOWN.min(json.len())).rev().find(|at| json.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({whole} bytes)", &json[..end])
}
