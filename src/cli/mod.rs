//! The command line: one file per command, and what they share.
//!
//! A command reads its arguments, works in a [`Ctx`], and gives nothing or a [`CliError`], which
//! decides the exit code. What it prints goes through `output::Output` only.

mod age;
mod args;
mod audit;
mod check;
mod connection;
mod edit;
#[doc(hidden)]
pub mod error;
mod generate;
mod get;
mod graph;
mod hash;
mod home;
mod identity;
mod input;
mod interrupt;
mod keystone;
mod log;
mod logging;
mod merge;
mod modes;
mod mut8;
mod new;
mod output;
mod pack;
mod progress;
mod prune;
mod put;
mod recovery;
mod rel8;
mod repair;
mod restore;
mod secret;
mod serve;
mod setup;
mod sync;
mod target;
mod trace;
mod transform;
#[doc(hidden)]
pub mod verify;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Cli, Command, Global};
use self::error::{CliError, ErrorCode, UNREADABLE};
use self::home::Home;
use self::interrupt::Signals;
use self::keystone::KeystoneCommand;
use self::merge::MergeCommand;
use self::output::{Output, printable};
use crate::ibgib::TjpAddr;
use crate::space::{Domain, SpaceError, SqliteSpace};

/// What a command works in.
pub struct Ctx {
    /// The options that hold for every command.
    pub global: Global,
    /// Where it prints to.
    pub out: Output,
    /// Whether others were looked for that can read the home.
    home_seen: Cell<bool>,
}

impl Ctx {
    /// The home folder; nothing is made. Warns, once, where it is not this user's alone.
    pub fn home(&self) -> Result<Home, CliError> {
        let home = Home::resolve(self.global.home.as_deref())?;
        if !self.home_seen.replace(true) {
            modes::warn_of_home(&home);
        }
        Ok(home)
    }

    /// The client's space, which must be there.
    pub fn open_space(&self) -> Result<SqliteSpace, CliError> {
        let home = self.home()?;
        let path = home.space_path();
        match connection::kept_names(&home).filter(|_| !path.exists()) {
            Some((domain, _)) => Err(lost(SpaceError::NoFile(path), &domain)),
            None => open(&path),
        }
    }

    /// The client's space, made with its home where it is absent, or where a process that was killed
    /// left an empty file. Errors where this home had an identity: then the file lost what was in it.
    /// It may be made again for that very identity, which `join` names.
    pub fn create_space(&self, join: Option<&TjpAddr>) -> Result<SqliteSpace, CliError> {
        let home = self.home()?;
        home.create()?;
        if let Some((domain, _)) = connection::kept_names(&home)
            && join != Some(&domain)
            && let Err(error @ (SpaceError::Empty(_) | SpaceError::NoFile(_))) =
                SqliteSpace::open(&home.space_path(), Domain::Client)
        {
            return Err(lost(error, &domain));
        }
        Ok(SqliteSpace::create_if_missing(&home.space_path(), Domain::Client)?)
    }
}

/// What a home is told whose file is gone, or lost what was in it, and that had this identity.
fn lost(error: SpaceError, domain: &TjpAddr) -> CliError {
    let error = CliError::from(error);
    let message = match error.code {
        ErrorCode::Damaged => format!("{}, and was the space of {domain}", error.message),
        _ => format!("{}, where that of {domain} was", error.message),
    };
    CliError { message: printable(&message), code: ErrorCode::Damaged, ..error }.hint(format!(
        "restore it from a copy, or run `sync-gib setup --join '{domain}'` and then `sync-gib sync`, \
         which fetches what the server has"
    ))
}

fn open(path: &Path) -> Result<SqliteSpace, CliError> {
    SqliteSpace::open(path, Domain::Client).map_err(|error| match error {
        SpaceError::NoFile(_) => CliError::from(error)
            .hint("make one with `sync-gib setup`, `sync-gib new` or `sync-gib put`"),
        // What is damaged so far that it cannot be opened cannot be mended either.
        SpaceError::Damaged { .. } => CliError::from(error).hint(UNREADABLE),
        error => error.into(),
    })
}

/// Reads the command line, runs the command and tells what to exit with.
pub fn run() -> ExitCode {
    // Caught first of all, so that no moment is left in which a signal prints nothing.
    let signals = interrupt::catch();
    let argv: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&argv) {
        Ok(cli) => ExitCode::from(run_command(cli, signals)),
        Err(error) => ExitCode::from(not_understood(&argv, &error)),
    }
}

fn run_command(cli: Cli, signals: Option<Signals>) -> u8 {
    let Cli { global, command } = cli;
    let out = Output::new(command.name(), global.json, global.quiet);
    if let Some(signals) = signals {
        signals.end_with(out.interrupter());
    }
    if !matches!(command, Command::Serve(_)) {
        logging::start(tracing::Level::ERROR, global.verbose, logging::LogFormat::Text);
    }
    let mut ctx = Ctx { global, out, home_seen: Cell::new(false) };
    let done = dispatch(&command, &mut ctx).and_then(|()| ctx.out.flush());
    match done {
        Ok(()) => 0,
        Err(error) => {
            ctx.out.fail(&error);
            error.exit
        }
    }
}

fn dispatch(command: &Command, ctx: &mut Ctx) -> Result<(), CliError> {
    match command {
        Command::Setup(args) => setup::run(args, ctx),
        Command::Sync(args) => sync::run(args, ctx),
        Command::Check(args) => check::run(args, ctx),
        Command::Repair(args) => repair::run(args, ctx),
        Command::Pack(args) => pack::run(args, ctx),
        Command::Prune(args) => prune::run(args, ctx),
        Command::Graph(args) => graph::run(args, ctx),
        Command::New(args) => new::run(args, ctx),
        Command::Mut8(args) => mut8::run(args, ctx),
        Command::Rel8(args) => rel8::run(args, ctx),
        Command::Restore(args) => restore::run(args, ctx),
        Command::Get(args) => get::run(args, ctx),
        Command::Put(args) => put::run(args, ctx),
        Command::Log(args) => log::run(args, ctx),
        Command::Merge(MergeCommand::Show(args)) => merge::show::run(args, ctx),
        Command::Conflicts(args) => merge::conflicts::run(args, ctx),
        Command::Serve(args) => serve::run(args, ctx),
        Command::Verify(args) => verify::run(args, ctx),
        Command::Hash(args) => hash::run(args, ctx),
        Command::Transform(args) => transform::run(args, ctx),
        Command::Keystone(KeystoneCommand::Verify(args)) => keystone::run(args, ctx),
        Command::Keystone(KeystoneCommand::Rotate(args)) => keystone::renew::rotate(args, ctx),
        Command::Keystone(KeystoneCommand::Recover(args)) => keystone::renew::recover(args, ctx),
        Command::Keystone(KeystoneCommand::Revoke(args)) => keystone::revoke(args, ctx),
        Command::Generate(args) => generate::run(args, ctx),
    }
}

/// Prints what clap has to say: help and version to standard output, a mistake to standard error,
/// or as JSON where `--json` is among the arguments. Returns the exit code.
fn not_understood(argv: &[OsString], error: &clap::Error) -> u8 {
    let rendered = error.render().to_string();
    if !error.use_stderr() {
        let _ = io::stdout().write_all(rendered.as_bytes());
        return 0;
    }
    let before_values = || argv.iter().skip(1).take_while(|arg| *arg != "--");
    if before_values().any(|arg| arg == "--json") {
        let known = |arg: &&OsString| {
            let mut names = Cli::command();
            names.get_subcommands_mut().any(|command| **arg == *command.get_name())
        };
        let command = before_values().find(known).map_or("", |name| name.to_str().unwrap_or(""));
        let message = rendered.split("\n\n").next().unwrap_or(&rendered);
        let message = message.trim().trim_start_matches("error: ");
        let hint = format!("see `sync-gib {command} --help`").replace("  ", " ");
        let failure = CliError::new(ErrorCode::Usage, message).hint(hint);
        let _ = writeln!(io::stdout(), "{}", output::usage_failure(command, &failure));
    } else {
        let _ = io::stderr().write_all(rendered.as_bytes());
    }
    ErrorCode::Usage.exit()
}
