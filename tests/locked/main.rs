//! Identities with a signing key: what was possible without one is refused, and a secret that was
//! changed opens nothing any more.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod ended;
#[path = "../hostile_common/mod.rs"]
mod hostile_common;
mod people;
mod renewals;
mod replays;
