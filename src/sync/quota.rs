//! How much a receiver keeps: for one identity, and in all (docs/protocol.md, section 5, "Quotas").

use crate::space::Bound;

/// The least that stands above each bound, for signing on.
pub const RESERVE: u64 = 16 << 20;
/// Which part of a bound stands above it, for signing on, where that is more.
const RESERVED_PART: u64 = 16;

/// How much a receiver keeps.
///
/// Above each bound stands a reserve that only signing on may use: I′, S and its proof, and sagas
/// that bring no payload. So who is at its quota still pulls. A revocation is always taken: it is
/// one body, once for each identity. So is the first recovery of an identity; later ones may use a
/// second reserve, so that nobody who fills the first keeps the owner out.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Bytes of JSON, of every kind, that one identity may hold; none for any amount.
    pub identity: Option<u64>,
    /// Bytes that the whole file may take; none for any amount.
    pub file: Option<u64>,
    /// The least that stands above each.
    pub reserve: u64,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { identity: None, file: None, reserve: RESERVE }
    }
}

impl Quota {
    /// What there may be after new identities, and sagas that bring payload.
    pub fn for_data(&self) -> Bound {
        Bound { domain: self.identity, file: self.file }
    }

    /// What there may be after signing on, and sagas that bring none.
    pub fn for_signing(&self) -> Bound {
        let with_reserve = |most: u64| most.saturating_add(self.reserve.max(most / RESERVED_PART));
        Bound { domain: self.identity.map(with_reserve), file: self.file.map(with_reserve) }
    }

    /// What there may be after a recovery.
    pub fn for_recovery(&self) -> Bound {
        let Bound { domain, file } = self.for_signing();
        let with_reserve = |most: u64| most.saturating_add(self.reserve);
        Bound { domain: domain.map(with_reserve), file: file.map(with_reserve) }
    }
}
