//! Random histories of two sides of one timeline, and a judge of what a merge makes of their values.
//! It is told the three tips, the branches' frames and the merge, and knows nothing of how it is done.
#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod edits;
mod judging;
mod listed;
mod path;
mod world;

pub use judging::judge;
pub use listed::overwritten;
pub use world::{History, World};
