//! `sync`: both sides to the same state.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::Ctx;
use super::connection::{self, Connection, NAME_X};
use super::error::CliError;
use super::output::{printable, size, warn};
use super::progress::Progress;
use super::secret::SecretArgs;
use super::target;
use super::trace::Observer;
use crate::ibgib::Addr;
use crate::peer::{Synced, client};
use crate::space::{Space, SqliteSpace, TimelineKind};
use crate::sync::body::PAGE;
use crate::sync::flow::Limits;
use crate::sync::{Direction, PULL_BYTES, Plan, RETRY_FOR, SenderOpts};

/// Bring the local space and the server to the same state.
///
/// Sends what the server lacks, fetches what is lacking here, and merges timelines that were
/// changed on both sides. Interrupted at any point, each side has the old state or the new one.
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
    /// Send only: change nothing here
    #[arg(long)]
    pub push_only: bool,
    /// Print what would move, and move nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Seconds to try again where other devices are faster, or the server is busy; 0 for once
    #[arg(long, value_name = "SECONDS", default_value_t = RETRY_FOR.as_secs() as u32,
          value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub retry_for: u32,
    /// Most bytes that may come here at once
    #[arg(long, value_name = "BYTES", default_value_t = PULL_BYTES)]
    pub max_pull_bytes: u64,
    /// Write every message, both ways, to FILE as NDJSON, for its owner alone: a failed sync's
    /// holds solutions that are not spent
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
    let identity = connection::identity(&space, &args.secret)?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    let opts = SenderOpts {
        roots,
        direction: match (args.pull_only, args.push_only) {
            (true, _) => Direction::PullOnly,
            (_, true) => Direction::PushOnly,
            _ => Direction::Both,
        },
        dry_run: args.dry_run,
        retry_for: Duration::from_secs(args.retry_for.into()),
        limits: Limits { bytes: args.max_pull_bytes, ..Limits::default() },
        ..SenderOpts::new(home.dir().to_owned())
    };
    // The log is written back once, when the file is closed, and not in the middle of the commit.
    space.defer_checkpoints(true)?;
    let progress = Progress::new(&ctx.out, "syncing", None);
    let mut observer = Observer::new(progress, args.trace.as_deref())?;
    let synced = client::sync(&space, &link, &identity, &opts, &mut observer);
    observer.finish()?;
    let synced = synced.map_err(|error| explain(connection.explain(error), &space))?;
    connection::keep_token(&home, &connection, &identity.domain, synced.token.as_ref());
    name_x(&space, &synced)?;
    match args.dry_run {
        true => print_plan(&synced.plan, connection.name(), ctx),
        false => print_summary(&synced, connection.name(), ctx),
    }
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
            let message = format!("{} is no data: keystones and sagas go with every sync", arg);
            return Err(CliError::usage(printable(&message)));
        }
        roots.push(root);
        Ok(())
    })?;
    Ok(roots)
}

/// Says what to do where the server does not know the identity.
fn explain(error: CliError, space: &SqliteSpace) -> CliError {
    let registered = error.message.contains("not registered") && space.name("X").is_ok();
    match registered {
        true => error.hint("run `sync-gib setup` to register it"),
        false => error,
    }
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

fn print_plan(plan: &Plan, server: &str, ctx: &mut Ctx) -> Result<(), CliError> {
    let mut entries = Vec::new();
    let addr = |addr: &Addr| printable(addr.as_str());
    for push in &plan.pushes {
        ctx.out.line(format_args!("push   {}", addr(&push.tip.addr)))?;
        entries.push(json!({
            "how": "push", "tjp": push.tjp, "from": push.common, "to": push.tip.addr,
        }));
    }
    for pull in &plan.pulls {
        let how = if pull.base.is_some() { "merge" } else { "pull" };
        ctx.out.line(format_args!("{how:<6} {}", addr(&pull.theirs.addr)))?;
        let from = pull.mine.as_ref().map(|tip| &tip.addr);
        entries.push(json!({
            "how": how, "tjp": pull.tjp, "from": from, "to": pull.theirs.addr, "base": pull.base,
        }));
    }
    for (_, stone) in &plan.push_stones {
        ctx.out.line(format_args!("push   {}", addr(stone)))?;
        entries.push(json!({ "how": "push", "stone": stone }));
    }
    for stone in &plan.pull_stones {
        ctx.out.line(format_args!("pull   {}", addr(stone)))?;
        entries.push(json!({ "how": "pull", "stone": stone }));
    }
    if plan.is_empty() {
        ctx.out.line("nothing to move")?;
    }
    let dry_run = json!({
        "server": server, "dryRun": true, "plan": entries, "equal": plan.equal, "left": plan.left,
    });
    ctx.out.done(dry_run)
}

fn print_summary(synced: &Synced, server: &str, ctx: &mut Ctx) -> Result<(), CliError> {
    let Synced { summary, plan, session, tries, .. } = synced;
    let mut tips = Vec::new();
    for tip in &summary.tips {
        let line = format!("{:<6} {} (n {})", tip.how.name(), printable(tip.to.as_str()), tip.n);
        ctx.out.line(line)?;
        for edit in &tip.unreplayed {
            let frame = printable(edit.frame.as_str());
            warn(format_args!("an edit could not be replayed: {frame}: {}", edit.reason));
        }
        let unreplayed = tip
            .unreplayed
            .iter()
            .map(|edit| json!({ "frame": edit.frame, "dna": edit.dna, "reason": edit.reason }));
        tips.push(json!({
            "tjp": tip.tjp, "how": tip.how.name(), "from": tip.from, "to": tip.to, "n": tip.n,
            "unreplayed": unreplayed.collect::<Vec<_>>(),
        }));
    }
    for left in &plan.left {
        ctx.out.note(format_args!("left as it is: {}", printable(left.as_str())));
    }
    ctx.out.line(format_args!(
        "turns {}, sent {} ({}), received {} ({}), there already {}, unchanged {}",
        summary.turns,
        summary.sent,
        size(summary.bytes_sent),
        summary.received,
        size(summary.bytes_received),
        summary.skipped,
        summary.equal,
    ))?;
    ctx.out.done(json!({
        "server": server,
        "session": session,
        "turns": summary.turns,
        "sent": { "ibGibs": summary.sent, "bytes": summary.bytes_sent },
        "received": { "ibGibs": summary.received, "bytes": summary.bytes_received },
        "skipped": summary.skipped,
        "unchanged": summary.equal,
        "tips": tips,
        "left": plan.left,
        "tries": tries,
    }))
}
