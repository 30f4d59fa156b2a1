//! Peers that break the protocol: each is refused, closed and leaves nothing behind.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auth;
mod costly;
mod deliveries;
mod echoes;
mod endless;
mod frames;
mod guesses;
mod holding;
#[path = "../hostile_common/mod.rs"]
mod hostile_common;
mod http;
mod identity_pages;
mod pages;
mod payloads;
mod proofs;
mod quotas;
mod races;
mod reach;
mod redirects;
mod resumes;
mod revocations;
mod revoked;
mod servers;
mod silence;
mod sketches;
#[path = "../common/texts.rs"]
mod texts;
mod turns;
mod versions;
