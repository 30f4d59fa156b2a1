//! Which frame of a branch set a field last.

use std::collections::HashMap;

use super::MergeError;
use super::derive::moment_of;
use super::path::FieldPath;
use crate::ibgib::{Addr, IbGib, Moment};

/// The last edit of a field on one branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LastEdit {
    /// When it was made.
    pub(super) moment: Moment,
    /// The frame in which it was first made, where the branch has it from an earlier merge.
    pub(super) origin: Addr,
    /// The frame of the branch.
    pub(super) frame: Addr,
}

/// Finds the last edits of `fields`, each a field's name on this branch, walking down from `tip`.
///
/// `before` gives the frame before one, or none where the branch ends. A field that no frame of the
/// branch changed counts as set by the tip.
pub(super) fn last_edits(
    tip: &IbGib,
    fields: &[FieldPath],
    origin: &dyn Fn(&Addr) -> Addr,
    mut before: impl FnMut(&IbGib) -> Result<Option<IbGib>, MergeError>,
) -> Result<Vec<LastEdit>, MergeError> {
    let edit_in = |frame: &IbGib| -> Result<LastEdit, MergeError> {
        let addr = frame.addr()?;
        Ok(LastEdit { moment: moment_of(frame), origin: origin(&addr), frame: addr })
    };
    let mut found: Vec<Option<LastEdit>> = vec![None; fields.len()];
    let mut open = Unfound::new(fields);
    let mut frame = tip.clone();
    while !open.is_empty()
        && let Some(prev) = before(&frame)?
    {
        let changed = open.take_changed(fields, &frame, &prev);
        if !changed.is_empty() {
            let edit = edit_in(&frame)?;
            changed.into_iter().for_each(|at| found[at] = Some(edit.clone()));
        }
        frame = prev;
    }
    let by_tip = edit_in(tip)?;
    Ok(found.into_iter().map(|edit| edit.unwrap_or_else(|| by_tip.clone())).collect())
}

/// Fields whose last edit was not found, by what they stand under in a frame, so that what did
/// not change at all is compared once.
struct Unfound {
    by_key: HashMap<String, Vec<usize>>,
    others: Vec<usize>,
}

impl Unfound {
    fn new(fields: &[FieldPath]) -> Unfound {
        let mut open = Unfound { by_key: HashMap::new(), others: Vec::new() };
        for (at, field) in fields.iter().enumerate() {
            match field.top_key() {
                Some(key) => open.by_key.entry(key.to_owned()).or_default().push(at),
                None => open.others.push(at),
            }
        }
        open
    }

    fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.others.is_empty()
    }

    /// Takes out those that `frame` changed of `prev`.
    fn take_changed(&mut self, fields: &[FieldPath], frame: &IbGib, prev: &IbGib) -> Vec<usize> {
        let mut changed = Vec::new();
        self.by_key.retain(|key, open| {
            if frame.datum(key) == prev.datum(key) {
                return true;
            }
            open.retain(|at| {
                let same = fields[*at].is_same_in(frame, prev);
                if !same {
                    changed.push(*at);
                }
                same
            });
            !open.is_empty()
        });
        self.others.retain(|at| {
            let same = fields[*at].is_same_in(frame, prev);
            if !same {
                changed.push(*at);
            }
            same
        });
        changed
    }
}
