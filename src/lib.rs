//! Syncs ibGib graphs between a local SQLite space and a server over WebSocket, with an identity
//! that proves itself by hash reveals (a keystone).
//!
//! Each module is one room and knows only those listed before it; `docs/architecture.md` tells
//! the way of one ibGib through them.

pub mod ibgib;
pub mod keystone;
pub mod space;

pub mod sync;

pub mod peer;

pub mod server;

pub mod verify;

pub mod cli;
