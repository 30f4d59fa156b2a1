//! Rows that are sent together, once it is known what else they need.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::space::RowId;
use crate::sync::error::SyncError;

/// Some frames of a chain, or some stones, and what they need.
#[derive(Default)]
pub(super) struct Chunk {
    /// Rows that are sent: lacking for certain, or said to be.
    rows: Vec<RowId>,
    asked: HashMap<u32, Vec<RowId>>,
    lacking: Vec<RowId>,
    /// Rows of which it is known what they relate to.
    looked: HashSet<RowId>,
    look: usize,
    ready: Option<VecDeque<RowId>>,
}

impl Chunk {
    pub(super) fn add_certain(&mut self, id: RowId) {
        self.rows.push(id);
    }

    /// Whether what a row relates to is still to be looked at; it counts as looked at then.
    pub(super) fn look_behind(&mut self, id: RowId) -> bool {
        self.looked.insert(id)
    }

    pub(super) fn ask(&mut self, seq: u32, ids: Vec<RowId>) {
        self.asked.insert(seq, ids);
    }

    pub(super) fn asks(&self, seq: u32) -> bool {
        self.asked.contains_key(&seq)
    }

    /// How far the next question looks ahead.
    pub(super) fn widen(&mut self, longest: usize) -> usize {
        let look = self.look;
        self.look = (look.max(16) * 4).min(longest);
        look
    }

    /// Takes one answer; once all are there, the rows that are lacking.
    pub(super) fn answered(
        &mut self,
        seq: u32,
        lacks: &[bool],
    ) -> Result<Option<Vec<RowId>>, SyncError> {
        let ids = self.asked.remove(&seq).unwrap_or_default();
        if ids.len() != lacks.len() {
            return Err(SyncError::protocol("an answer of another length than its offer"));
        }
        let lacking = ids.into_iter().zip(lacks).filter(|(_, lacks)| **lacks).map(|(id, _)| id);
        self.lacking.extend(lacking);
        if !self.asked.is_empty() {
            return Ok(None);
        }
        self.rows.extend(&self.lacking);
        Ok(Some(std::mem::take(&mut self.lacking)))
    }

    /// Settles the sending order. A row has a higher number than all that it relates to, so
    /// ascending is dependencies first.
    pub(super) fn fix_order(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable();
        self.looked = HashSet::new();
        self.ready = Some(rows.into());
    }

    /// Whether its rows are in their order, so that they can be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// The next row to send; none when all are sent, or while answers are open.
    pub(super) fn next_row(&mut self) -> Option<RowId> {
        self.ready.as_mut()?.pop_front()
    }
}
