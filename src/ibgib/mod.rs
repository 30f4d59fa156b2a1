//! Addresses, canonical JSON, gib, transforms and validation: pure, no I/O.

pub mod addr;
pub mod environment;
pub mod gib;
pub mod json;
mod model;
pub mod normal;
pub mod timestamp;
pub mod transform;

pub use addr::{Addr, AddrError, AddrKey};
pub use environment::{Environment, RandomError, Seeded, System};
pub use model::{IbGib, IbGibError, MAX_IBGIB_BYTES, Rel8ns};
pub use timestamp::Moment;
