//! What happened in a simulated world, line by line.

use std::cell::{Cell, RefCell};
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::ibgib::addr::lower_hex;

/// The lines of a world's trace. The same seed gives the same to the byte.
#[derive(Default)]
pub(super) struct Trace {
    text: RefCell<String>,
    depth: Cell<usize>,
}

impl Trace {
    /// One more line, set in as deep as what happens is nested.
    pub(super) fn line(&self, line: impl std::fmt::Display) {
        let indent = self.depth.get() * 2;
        let _ = writeln!(self.text.borrow_mut(), "{:indent$}{line}", "");
    }

    /// What follows happens within what the last line tells of.
    pub(super) fn enter(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    pub(super) fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }

    pub(super) fn into_text(self) -> String {
        self.text.into_inner()
    }
}

/// A text as the trace shows it: its size and hash tell it from any other.
pub(super) fn short(text: &str) -> String {
    let hash = lower_hex(&Sha256::digest(text.as_bytes()));
    format!("{} B {}", text.len(), &hash[..12])
}
