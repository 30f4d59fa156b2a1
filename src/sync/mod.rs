//! The saga: frames, messages, planning what moves, and merge; sender and receiver as state
//! machines that know no transport.

pub mod body;
pub mod capabilities;
#[cfg(test)]
mod counts;
pub mod domain;
mod error;
pub mod establish;
pub mod frame;
mod guessed;
mod identity;
mod live;
mod machine;
pub mod merge;
pub mod msg;
mod negotiate;
pub mod payload;
pub mod prune;
mod quota;
pub mod receiver;
pub mod sender;
pub mod session;
pub mod sketch;

pub use capabilities::{Capabilities, Feature, Features};
pub use error::SyncError;
pub use establish::{Established, establish};
pub use machine::{Machine, run_pair};
pub use quota::Quota;
pub use receiver::{AdmitAll, Paused, Receiver, ReceiverOpts, SessionAuthority};
pub use sender::{Direction, PULL_BYTES, Plan, RETRY_FOR, Sender, SenderOpts, Summary};
