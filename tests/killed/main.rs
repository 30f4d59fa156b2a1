//! Processes that are killed: each side then holds the old state or the new one, whole, nothing
//! that was told as done is lost, and a rerun finishes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

#[path = "../hostile_common/mod.rs"]
mod hostile_common;
#[path = "../net_common/mod.rs"]
mod net_common;
mod random;
mod renewals;
mod sides;
