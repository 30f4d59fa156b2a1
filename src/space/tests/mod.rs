//! What every implementation of a space must do.

mod graphs;
mod order;
mod refused;
mod state;
mod stored;
pub(crate) mod world;

/// Makes one test per function and implementation; each function gets an empty space.
macro_rules! for_every_space {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&crate::space::MemorySpace::new()); })*
        }
        mod sqlite {
            $(#[test] fn $name() {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("space.db");
                let space = crate::space::SqliteSpace::create_if_missing(&path, crate::space::Domain::Client).unwrap();
                super::$name(&space);
            })*
        }
    };
}
use for_every_space;
