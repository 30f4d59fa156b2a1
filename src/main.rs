//! The `sync-gib` program.
fn main() {}
