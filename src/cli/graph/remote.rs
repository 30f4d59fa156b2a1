//! A graph as the server has it: fetched into a space of its own, where every gib is computed and
//! nothing may be missing, and printed from there; or counted as it comes.

use super::{GraphArgs, print, stats};
use crate::cli::Ctx;
use crate::cli::connection::{self, Connection};
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::identity;
use crate::cli::output::printable;
use crate::cli::target::{Target, resolve};
use crate::ibgib::Addr;
use crate::peer::{PeerError, ReceiverLink};
use crate::space::{Domain, GraphTally, Prepared, PutOpts, Space, SqliteSpace, Stage};
use crate::sync::SyncError;

pub(super) fn run(space: &SqliteSpace, args: &GraphArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let home = ctx.home()?;
    let domain = identity::domain_of(space)?;
    // What is not here may be there.
    let root = match resolve(space, &args.addr) {
        Ok(target) => target.addr,
        Err(error) => Addr::parse(&args.addr).map_err(|_| error)?,
    };
    let connection = Connection::open(&home, &connection::config(&home, Some(space))?)?;
    let link = connection.link()?;
    let token = connection::token(&home, &connection, &link, space, &args.secret)?;

    if args.stats {
        let mut tally = GraphTally::default();
        let each = &mut |text: &str| tally.add(&prepared(text)?).map_err(content);
        if !link.graph(&domain, &root, args.live, &token, each)? {
            return Err(not_there(&root));
        }
        return match tally.has(&root) {
            true => stats::tell(&tally.stats(), &root, args.live, &mut ctx.out),
            false => Err(lied()),
        };
    }

    // Not in the home, which may be one that can only be read.
    let dir = tempfile::tempdir()
        .map_err(|error| CliError::io("cannot use the folder for temporary files", &error))?;
    let mut stage = Stage::new(dir.path())?;
    let each = &mut |text: &str| {
        stage.push(prepared(text)?).map_err(SyncError::from)?;
        Ok(())
    };
    if !link.graph(&domain, &root, args.live, &token, each)? {
        return Err(not_there(&root));
    }
    let fetched = SqliteSpace::create_if_missing(&dir.path().join("graph.db"), Domain::Client)?;
    fetched.put(&mut stage.iter(), &PutOpts::default())?;
    let id = fetched.find(&root)?.ok_or_else(lied)?;
    print(&fetched, &Target { id, addr: root }, args, &mut ctx.out)
}

fn prepared(text: &str) -> Result<Prepared, PeerError> {
    Prepared::from_json(text).map_err(|error| content(error.to_string()))
}

fn content(what: String) -> PeerError {
    PeerError::Sync(SyncError::Content(what))
}

fn not_there(root: &Addr) -> CliError {
    let message = format!("the server does not have {}", printable(root.as_str()));
    CliError::new(ErrorCode::NotFound, message)
}

fn lied() -> CliError {
    CliError::new(ErrorCode::Refused, "the server sent a graph other than the one asked for")
}
