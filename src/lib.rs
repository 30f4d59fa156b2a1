//! Syncs ibGib graphs between a local SQLite space and a server over WebSocket, with an identity
//! that proves itself by hash reveals (a keystone).
//!
//! ```
//! use sync_gib::ibgib::transform::{Mut8, timeline};
//! use sync_gib::ibgib::{IbGib, System};
//! use sync_gib::space::{MemorySpace, Space, SpaceExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A timeline: its frames, and the dna that tells how each was made.
//! let data = serde_json::json!({"title": "Groceries"}).as_object().cloned();
//! let made = timeline("note", data, serde_json::Map::new(), &System::new())?;
//! let first = made.last().ok_or("no frame")?;
//!
//! // One more frame. The one before it stays what it is, since its address is its hash.
//! let second = Mut8::next_frame_on(first).set("title", "Shopping").of(first, &System::new())?;
//! assert_eq!(second.new_ibgib.prev(), Some(first.addr()?.as_str()));
//! assert_ne!(first.addr()?, second.new_ibgib.addr()?);
//!
//! // A space takes closed graphs only, and hashes whatever it gives out.
//! let space = MemorySpace::new();
//! space.put_all(&made)?;
//! space.put_all(&second.clone().into_all())?;
//! let held = space.get(&second.new_ibgib.addr()?)?;
//! assert_eq!(held.as_ref().and_then(IbGib::n), Some(2));
//! # Ok(())
//! # }
//! ```
//!
//! What to begin with: [`ibgib::IbGib`] and [`ibgib::transform`] make and check ibGibs,
//! [`keystone::genesis`] and [`keystone::TimelineValidator`] identities, [`space::SqliteSpace`] keeps
//! both in a file. With `client`, `peer::Device` syncs a space with a server and
//! `peer::client::sync` over any link; with `server`, `server::Server` is the receiver. The folder
//! `examples` of the repository has a program for each.
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
