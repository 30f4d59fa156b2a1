//! `verify --simulate`: worlds from seeds.

use serde_json::json;

use super::super::Ctx;
use super::super::error::{CliError, ErrorCode};
use super::super::output::printable;
use crate::verify::simulate::{self, Outcome};

/// How worlds are run.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Run a simulated world instead: devices, a server and links that fail, in one thread, from a
    /// seed; asserts the invariants after every step
    #[arg(long, conflicts_with_all = ["phases", "way", "keep"])]
    pub simulate: bool,
    /// The seed; the same one gives the same world to the byte
    #[arg(long, value_name = "N", requires = "simulate", default_value_t = 0)]
    pub seed: u64,
    /// Run as many worlds, of the seeds from --seed on, until one of them fails
    #[arg(long, value_name = "COUNT", requires = "simulate", default_value_t = 1)]
    pub seeds: u64,
    /// Print what happens in the world, line by line
    #[arg(long, requires = "simulate")]
    pub trace: bool,
}

/// Runs the worlds. Errors where an invariant does not hold in one of them.
pub fn run(args: &SimulateArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let (mut seeds, mut steps) = (0, 0);
    for seed in (args.seed..u64::MAX).take(usize::try_from(args.seeds).unwrap_or(usize::MAX)) {
        let outcome = simulate::run(seed).map_err(|error| {
            CliError::new(
                ErrorCode::Io,
                format!("the world of seed {seed} cannot be made: {error}"),
            )
        })?;
        (seeds, steps) = (seeds + 1, steps + outcome.steps);
        if args.trace {
            for line in outcome.trace.lines() {
                ctx.out.line(printable(line))?;
            }
        }
        tracing::debug!(seed, steps = outcome.steps, "a world was run");
        expect_whole(&outcome)?;
    }
    ctx.out.line(format_args!("seeds {seeds}, steps {steps}: all invariants hold"))?;
    ctx.out.done(json!({ "firstSeed": args.seed, "seeds": seeds, "steps": steps, "failed": 0 }))
}

fn expect_whole(outcome: &Outcome) -> Result<(), CliError> {
    let Some(violation) = &outcome.violation else { return Ok(()) };
    let seed = outcome.seed;
    let replay = format!("sync-gib verify --simulate --seed {seed}");
    let message = format!("seed {seed}, {}", printable(&violation.to_string()));
    let error = CliError::new(ErrorCode::Different, message);
    let error = error.hint(format!("replay it with `{replay}` (--trace shows what happens)"));
    let error = error.detail("seed", seed).detail("step", violation.step);
    Err(error.detail("invariant", violation.invariant).detail("replay", replay))
}
