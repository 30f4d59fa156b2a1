//! Payloads in motion: what one side provides and the other stages, in bounded batches.

mod chunk;
mod incoming;
mod keeping;
mod like;
mod outgoing;
mod sessions;
mod staging_quota;

pub use incoming::{IncomingPayload, Limits};
pub use keeping::Resumed;
pub use like::frames_before;
pub use outgoing::{Chain, OutgoingPayload};
pub use staging_quota::{StagedShare, StagingQuota};

use sha2::{Digest, Sha256};

use super::body::PayloadDigest;
use crate::ibgib::addr::lower_hex;

/// Counts and hashes a payload as it passes, on either side.
#[derive(Debug, Clone, Default)]
pub struct PayloadHasher {
    count: u64,
    bytes: u64,
    hasher: Sha256,
}

impl PayloadHasher {
    /// Counts one ibGib's JSON.
    pub fn add(&mut self, text: &str) {
        self.count += 1;
        self.bytes += text.len() as u64;
        self.hasher.update(text.as_bytes());
        self.hasher.update(b"\n");
    }

    /// How many ibGibs were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What was counted so far.
    pub fn digest(&self) -> PayloadDigest {
        let digest = match self.count {
            0 => String::new(),
            _ => lower_hex(&self.hasher.clone().finalize()),
        };
        PayloadDigest { count: self.count, bytes: self.bytes, digest }
    }
}

/// Adds up the payload digests of a saga's turns: the commit covers all of them.
#[derive(Debug, Clone, Default)]
pub struct SagaHasher {
    count: u64,
    bytes: u64,
    hasher: Sha256,
}

impl SagaHasher {
    /// Adds one turn's digest.
    pub fn add(&mut self, turn: &PayloadDigest) {
        self.count += turn.count;
        self.bytes += turn.bytes;
        self.hasher.update(turn.digest.as_bytes());
    }

    /// The digest of all turns, which hashes their digests.
    pub fn digest(&self) -> PayloadDigest {
        let digest = match self.count {
            0 => String::new(),
            _ => lower_hex(&self.hasher.clone().finalize()),
        };
        PayloadDigest { count: self.count, bytes: self.bytes, digest }
    }
}
