//! Addresses, canonical JSON, gib, transforms and validation: pure, no I/O.

pub mod addr;
pub mod environment;
pub mod gib;
pub mod json;
mod model;
pub mod normal;
mod printable;
pub mod timestamp;
mod tjp_addr;
pub mod transform;
mod valid;

pub use addr::{Addr, AddrError, AddrKey};
pub(crate) use environment::random_hex;
pub use environment::{Environment, RandomError, Seeded, System};
pub use model::{IbGib, IbGibError, MAX_IBGIB_BYTES, Rel8ns};
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) use printable::is_obeyed;
pub use printable::printable;
#[cfg(feature = "cli")]
pub(crate) use printable::turns;
pub use timestamp::Moment;
pub use tjp_addr::TjpAddr;
pub use valid::Valid;
