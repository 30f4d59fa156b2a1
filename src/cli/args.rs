//! The command line: what holds for every command, and the list of commands.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use super::keystone::KeystoneCommand;

use super::{
    check, generate, get, graph, hash, keystone, log, merge, mut8, new, pack, prune, put, rel8,
    repair, restore, serve, setup, sync, transform, verify,
};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "sync-gib",
    version,
    about = "Syncs ibGib graphs between a local space and a server",
    long_about = "Syncs ibGib graphs between a local SQLite space and a server, with an identity \
                  that proves itself by hash reveals and a signature (a keystone).\n\nWherever a command takes \
                  ADDR, it takes a whole address (ib^gib), the beginning of a gib if only one \
                  matches, or a name: X (the synced timeline's tip), I (the identity), S (the last \
                  session).",
    after_help = "Exit codes: 0 good, 1 difference or refused, 2 usage, 3 server unreachable,\n\
                  4 local data broken, 5 identity or secret refused, 130 interrupted (129 by\n\
                  SIGHUP, 143 by SIGTERM).\n\n\
                  Example:\n  sync-gib setup && sync-gib sync && sync-gib check",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Keep all state in DIR; by default in the platform's data folder
    #[arg(long, global = true, env = "SYNC_GIB_HOME", hide_env_values = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object, on success and on failure
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more to standard error; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// A command and its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    Setup(setup::SetupArgs),
    Sync(sync::SyncArgs),
    Check(check::CheckArgs),
    Repair(repair::RepairArgs),
    Pack(pack::PackArgs),
    Prune(prune::PruneArgs),
    Graph(graph::GraphArgs),
    New(new::NewArgs),
    Mut8(mut8::Mut8Args),
    Rel8(rel8::Rel8Args),
    Restore(restore::RestoreArgs),
    Get(get::GetArgs),
    Put(put::PutArgs),
    Log(log::LogArgs),
    #[command(subcommand)]
    Merge(merge::MergeCommand),
    Conflicts(merge::conflicts::ConflictsArgs),
    Serve(serve::ServeArgs),
    Verify(verify::VerifyArgs),
    Hash(hash::HashArgs),
    Transform(transform::TransformArgs),
    #[command(subcommand)]
    Keystone(keystone::KeystoneCommand),
    Generate(generate::GenerateArgs),
}

impl Command {
    /// The command's name, as typed.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Setup(_) => "setup",
            Command::Sync(_) => "sync",
            Command::Check(_) => "check",
            Command::Repair(_) => "repair",
            Command::Pack(_) => "pack",
            Command::Prune(_) => "prune",
            Command::Graph(_) => "graph",
            Command::New(_) => "new",
            Command::Mut8(_) => "mut8",
            Command::Rel8(_) => "rel8",
            Command::Restore(_) => "restore",
            Command::Get(_) => "get",
            Command::Put(_) => "put",
            Command::Log(_) => "log",
            Command::Merge(merge::MergeCommand::Show(_)) => "merge show",
            Command::Conflicts(_) => "conflicts",
            Command::Serve(_) => "serve",
            Command::Verify(_) => "verify",
            Command::Hash(_) => "hash",
            Command::Transform(_) => "transform",
            Command::Keystone(KeystoneCommand::Verify(_)) => "keystone verify",
            Command::Keystone(KeystoneCommand::Rotate(_)) => "keystone rotate",
            Command::Keystone(KeystoneCommand::Recover(_)) => "keystone recover",
            Command::Keystone(KeystoneCommand::Revoke(_)) => "keystone revoke",
            Command::Generate(_) => "generate",
        }
    }
}
