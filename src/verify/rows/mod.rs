//! What each phase does and asserts, besides what every row asserts at its end.

pub(super) mod constants;
pub(super) mod merge;
pub(super) mod partial;
pub(super) mod push;
pub(super) mod rounds;
pub(super) mod session;
pub(super) mod text;

use std::collections::BTreeSet;

use super::closing::latest;
use super::error::VerifyError;
use super::side::Held;
use super::sides::closed_graph;
use crate::ibgib::Addr;
use crate::space::Space;

/// Every address in the graphs of these roots' latest frames; a root that is not there adds none.
fn held(space: &dyn Space, roots: &[&Addr]) -> Result<BTreeSet<Addr>, VerifyError> {
    let mut held = BTreeSet::new();
    for root in roots {
        if let Some(tip) = latest(space, root)? {
            held.extend(closed_graph(&Held(space), &tip).map_err(VerifyError::Absent)?);
        }
    }
    Ok(held)
}

/// How many of `from` are not among `at`.
fn lacking(from: &BTreeSet<Addr>, at: &BTreeSet<Addr>) -> usize {
    from.difference(at).count()
}
