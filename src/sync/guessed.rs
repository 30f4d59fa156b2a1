//! How much may go out with a first turn that commits it (docs/protocol.md, section 6, "One turn on a
//! guess").

/// How many bytes of JSON.
pub const MAX_BYTES: usize = 256 << 10;
/// How many ibGibs.
pub const MAX_IBGIBS: usize = 1000;
