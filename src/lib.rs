//! Syncs ibGib graphs between a local SQLite space and a server over WebSocket, with an identity
//! that proves itself by hash reveals (a keystone).
//!
//! Without features the crate is [`ibgib`], [`keystone`], [`space`] and [`sync`] alone. `client` adds
//! the way to a server, `server` the server, `cli` (with both) the command line.
//!
//! Each module is one room and knows only those listed before it; `docs/architecture.md` tells
//! the way of one ibGib through them.

pub mod ibgib;
pub mod keystone;
pub mod space;

pub mod sync;

#[cfg(any(feature = "client", feature = "server"))]
pub mod peer;

#[cfg(feature = "server")]
pub mod server;

#[cfg(all(feature = "client", feature = "server"))]
pub mod verify;

#[cfg(feature = "cli")]
pub mod cli;
