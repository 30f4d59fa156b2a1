//! `verify`: runs the phase table and prints what each row asserts.

mod print;
mod program;
mod simulation;

pub use program::ServeProgram;

use std::path::{Path, PathBuf};

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::home::{Config, Home};
use crate::verify::{Outcome, PHASES, Phase, Setting, Transport, name_of_row, run_row};

/// Run the phases of the protocol against this build and show what holds.
///
/// Each phase runs two ways: A in process, B over a WebSocket on this host. Uses no home: all state
/// is in a temporary folder, or in the one that --keep names.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib verify\n  \
    sync-gib verify 4.7 --way a --keep kept\n  \
    sync-gib --home kept/4.7-a/sender graph X\n  \
    sync-gib verify --simulate --seeds 100")]
pub struct VerifyArgs {
    /// The phases to run; else all
    #[arg(value_name = "PHASE", value_parser = PHASES)]
    pub phases: Vec<String>,
    /// Which way to run them
    #[arg(long, value_enum, default_value = "both")]
    pub way: TransportChoice,
    /// Leave the spaces behind in DIR, for `graph` and `check` to look at: a home for each device
    /// under DIR/PHASE-WAY, and the secret beside them
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Worlds instead of phases.
    #[command(flatten)]
    pub simulation: simulation::SimulateArgs,
}

/// Which way a phase runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TransportChoice {
    /// In process: two spaces, no network
    A,
    /// Over a real WebSocket
    B,
    /// One after the other
    Both,
}

impl TransportChoice {
    fn transports(self) -> &'static [Transport] {
        match self {
            TransportChoice::A => &[Transport::InProcess],
            TransportChoice::B => &[Transport::WebSocket],
            TransportChoice::Both => &[Transport::InProcess, Transport::WebSocket],
        }
    }
}

/// Runs the phases and prints what each asserts. Errors where an assertion does not hold.
pub fn run(args: &VerifyArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.simulation.simulate {
        return simulation::run(&args.simulation, ctx);
    }
    let program = std::env::current_exe()
        .map_err(|error| CliError::io("cannot tell where this program is", &error))?;
    let launcher = ServeProgram::new(program);
    let phases = Phase::chosen(&args.phases);
    let rows: Vec<(Phase, Transport)> = phases
        .iter()
        .flat_map(|phase| args.way.transports().iter().map(|transport| (*phase, *transport)))
        .collect();
    let base = Base::make(args.keep.as_deref(), &rows)?;
    let mut table = print::Table::begin(&mut ctx.out)?;
    for (phase, transport) in rows {
        let dir = base.path().join(name_of_row(phase, transport));
        let outcome = run_row(phase, transport, &Setting { dir: &dir, launcher: &launcher });
        if args.keep.is_some() {
            configure(&outcome)?;
        }
        table.row(outcome, args.keep.is_some())?;
    }
    table.end()
}

/// Makes the folders of a row's devices homes that every command can work in: without a
/// configuration a home that synced is taken for one that lost it.
fn configure(outcome: &Outcome) -> Result<(), CliError> {
    for dir in outcome.homes() {
        Home::resolve(Some(&dir))?.save_config(&Config::default())?;
    }
    Ok(())
}

/// The folder that the rows' folders are made in.
enum Base {
    /// Gone when dropped.
    Temporary(tempfile::TempDir),
    /// Left behind.
    Kept(PathBuf),
}

impl Base {
    /// Makes the folder; refuses one that holds a row already, whose spaces would be mixed in.
    fn make(keep: Option<&Path>, rows: &[(Phase, Transport)]) -> Result<Base, CliError> {
        let Some(keep) = keep else {
            let made = tempfile::Builder::new().prefix("sync-gib-verify-").tempdir();
            let failed = |error| CliError::io("cannot make a temporary folder", &error);
            return Ok(Base::Temporary(made.map_err(failed)?));
        };
        std::fs::create_dir_all(keep)
            .map_err(|error| CliError::io(format!("cannot make {}", keep.display()), &error))?;
        for (phase, transport) in rows {
            let dir = keep.join(name_of_row(*phase, *transport));
            if dir.exists() {
                let message = format!("{} is there already", dir.display());
                let error = CliError::new(ErrorCode::Refused, message);
                return Err(error.hint("remove it, or keep the rows in another folder"));
            }
        }
        Ok(Base::Kept(keep.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Base::Temporary(dir) => dir.path(),
            Base::Kept(dir) => dir,
        }
    }
}
