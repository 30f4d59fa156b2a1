//! The phase table of docs/protocol.md, section 9, run against this build, and the assertions
//! about two sides of a sync that `check` makes as well (section 8).
//!
//! A row is one phase run one way. The rows are written once, over any link; what they find is
//! compared with the receiver's own file, and over a WebSocket also against what the receiver
//! serves. Nothing is printed here: what was asserted is an [`Outcome`].

mod check;
mod checks;
mod closing;
mod device;
mod error;
mod host;
mod known;
mod phase;
mod row;
mod rows;
mod side;
mod sides;
pub mod simulate;
mod world;

pub use check::{CheckError, Checked, Report, Timelines, check};
pub use checks::{Assertion, Checks};
pub use device::Device;
pub use error::VerifyError;
pub use host::{Launcher, ReceiverProcess};
pub use phase::{PHASES, Phase};
pub use row::{Outcome, Setting, Transport, name_of_row, run_row};
pub use world::{RowFolder, World};
