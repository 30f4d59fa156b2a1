//! A whole world in one thread, from one seed: devices of several identities, a server, links that
//! fail, kills, wrong clocks, somebody hostile. What must hold is held after every step
//! (docs/architecture.md, "Simulation").
//!
//! The parts under test are the real ones: the client's whole way through a sync, both state
//! machines, the rules of every put, the server's rules for sessions and tokens. The network, the
//! disks, the clocks and the random bytes are the world's.

mod attacks;
mod chooser;
mod device;
mod endings;
mod hostile;
mod invariants;
mod ledger;
mod link;
mod looks;
mod notes;
mod renewals;
mod server;
mod steps;
mod trace;
mod violation;
mod world;

pub use violation::Violation;

use super::VerifyError;
use world::World;

/// How many things are done in a world before it is let come to rest, at least and at most.
const STEPS: (usize, usize) = (8, 28);

/// What became of a seed's world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How many steps it took.
    pub steps: usize,
    /// The invariant that did not hold; none where all did.
    pub violation: Option<Violation>,
    /// What happened, line by line; the same seed gives the same to the byte.
    pub trace: String,
}

/// Runs the world of a seed. Errors where it could not be made.
pub fn run(seed: u64) -> Result<Outcome, VerifyError> {
    let world = World::new(seed)?;
    let most = STEPS.0 + world.choose().below(STEPS.1 - STEPS.0);
    let mut steps = 0;
    while steps < most && world.broken().is_none() {
        steps += 1;
        world.trace.line(format_args!("step {steps}"));
        world.act();
        world.check();
    }
    if world.broken().is_none() {
        steps += 1;
        world.end_an_identity();
        world.check();
    }
    if world.broken().is_none() {
        world.heal();
        world.check();
    }
    let violation =
        world.broken().map(|(invariant, detail)| Violation { invariant, step: steps, detail });
    Ok(Outcome { seed, steps, violation, trace: world.into_trace() })
}
