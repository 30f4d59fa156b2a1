//! `sync`: both sides to the same state.

mod asked;
mod news;
mod print;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Ctx;
use super::connection::{self, Connection, NAME_X};
use super::error::{CliError, ErrorCode};
use super::home::Home;
use super::identity::Given;
use super::output::printable;
use super::progress::Progress;
use super::secret::SecretArgs;
use super::target;
use super::trace::ProgressObserver;
use crate::ibgib::Addr;

use crate::peer::{News, Synced, client};
use crate::space::{KeptFolder, Space, SqliteSpace, TimelineKind};
use crate::sync::body::PAGE;
use crate::sync::payload::Limits;
use crate::sync::{Direction, PULL_BYTES, RETRY_FOR, SenderOpts};

/// Bring the local space and the server to the same state.
///
/// Sends what the server lacks, fetches what is missing here, and merges timelines that were
/// changed on both sides. If it is interrupted, each side has either the old state or the new one.
/// If nothing is new, one request tells so: nothing is signed, and the secret is not asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib sync\n  \
    sync-gib sync X --dry-run\n  \
    sync-gib sync --json --secret-file ~/secret | jq .tips")]
pub struct SyncArgs {
    /// What to sync, each with its live graph; else everything in the space
    #[arg(value_name = "ADDR")]
    pub addrs: Vec<String>,
    /// Fetch only: send nothing
    #[arg(long, conflicts_with = "push_only")]
    pub pull_only: bool,
    /// Send only: no data changes here; the record of the sync is kept
    #[arg(long)]
    pub push_only: bool,
    /// Print what would move, and move nothing; the session made for this is kept, on both sides
    #[arg(long)]
    pub dry_run: bool,
    /// Hold a session even if nothing is new, and keep its record on both sides, as `check` and
    /// whoever verifies sessions want it
    #[arg(long)]
    pub record: bool,
    /// Exit with 1 if values gave way in a merge; everything is stored regardless
    #[arg(long)]
    pub fail_on_conflict: bool,
    /// Seconds to retry while other devices are faster or the server is busy; 0 for no retry
    #[arg(long, value_name = "SECONDS", default_value_t = RETRY_FOR.as_secs() as u32,
          value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub retry_for: u32,
    /// Most bytes that one sync may receive
    #[arg(long, value_name = "BYTES", default_value_t = PULL_BYTES)]
    pub max_pull_bytes: u64,
    /// Write every message, both ways, to FILE as NDJSON, readable by its owner only: the trace of
    /// a failed sync contains solutions that are not spent
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Syncs.
pub fn run(args: &SyncArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let roots = roots(args, &space)?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    let needs_session = args.record || args.trace.is_some() || !roots.is_empty();
    let asked = asked::ask(&home, &connection, &link, &space, needs_session)?;
    let told = match asked.news {
        News::Same(state) => {
            return print::up_to_date(&state, connection.name(), args.dry_run, ctx);
        }
        News::Other(digest) => Some(digest),
        News::Unknown => None,
    };
    let mut given = Given::ask(&space, &args.secret)?;
    let opts = SenderOpts {
        roots,
        direction: match (args.pull_only, args.push_only) {
            (true, _) => Direction::PullOnly,
            (_, true) => Direction::PushOnly,
            _ => Direction::Both,
        },
        dry_run: args.dry_run,
        retry_for: Duration::from_secs(args.retry_for.into()),
        wants_state_token: asked.wants_token,
        told,
        keep_in: keep_in(&home, args.max_pull_bytes),
        limits: Limits { bytes: args.max_pull_bytes, ..Limits::default() },
        ..SenderOpts::new(home.dir().to_owned())
    };
    // The log is written back once, when the file is closed, and not in the middle of the commit.
    space.defer_checkpoints(true)?;
    let progress = Progress::new(&ctx.out, "syncing", None);
    let mut observer = ProgressObserver::new(progress, args.trace.as_deref())?;
    let synced = given
        .sign(&connection, |identity| client::sync(&space, &link, identity, &opts, &mut observer));
    observer.finish()?;
    if let (Err(error), Some(kept)) = (&synced, &opts.keep_in)
        && error.code == ErrorCode::DiskFull
        && let Err(error) = kept.clear()
    {
        tracing::debug!(%error, "what was pulled stays on a full disk");
    }
    let synced = synced?;
    let domain = &given.identity().domain;
    connection::keep_token(&home, &connection, domain, synced.token.as_ref());
    connection::keep_state_token(&home, &connection, domain, synced.state_token.as_ref());
    name_x(&space, &synced)?;
    match args.dry_run {
        true => print::plan(&synced.plan, connection.name(), ctx),
        false => print::summary(&space, &synced, connection.name(), args.fail_on_conflict, ctx),
    }
}

/// Where what is pulled is kept until it is committed. Where the folder cannot be read, nothing is.
fn keep_in(home: &Home, max_pull_bytes: u64) -> Option<KeptFolder> {
    let most = max_pull_bytes.saturating_mul(2);
    let folder = KeptFolder::open(home.dir().to_owned(), "pull", most, SystemTime::now());
    folder.inspect_err(|error| tracing::debug!(%error, "what is pulled is not kept")).ok()
}

/// What is to be synced: tjp addresses of timelines and addresses of stones. A whole address that
/// is not here may be on the server.
fn roots(args: &SyncArgs, space: &SqliteSpace) -> Result<Vec<Addr>, CliError> {
    let mut roots = Vec::new();
    target::each(&args.addrs, |arg| {
        if roots.len() >= PAGE {
            let message = format!("more than {PAGE} addresses at once");
            return Err(CliError::usage(message).hint("give none to sync everything"));
        }
        let root = match target::resolve(space, arg) {
            Ok(target) => match space.row(target.id)?.timeline {
                Some(tjp_id) => space.addr(tjp_id)?,
                None => target.addr,
            },
            Err(error) => Addr::parse(arg).map_err(|_| error)?,
        };
        if TimelineKind::of_ib(root.ib()) != TimelineKind::Data {
            let message =
                format!("{} is not data: every sync sends keystones and sagas anyway", arg);
            return Err(CliError::usage(printable(&message)));
        }
        roots.push(root);
        Ok(())
    })?;
    Ok(roots)
}

/// A device that joined gets its X with its first sync: the first timeline that came.
fn name_x(space: &SqliteSpace, synced: &Synced) -> Result<(), CliError> {
    if synced.summary.tips.is_empty() || space.name(NAME_X)?.is_some() {
        return Ok(());
    }
    if let Some(first) = space.timelines(TimelineKind::Data, None, 1)?.first() {
        space.set_name(NAME_X, &first.tjp)?;
    }
    Ok(())
}
