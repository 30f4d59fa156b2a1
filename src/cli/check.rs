//! `check`: the seven assertions of docs/protocol.md, section 8.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Ctx;
use super::audit;
use super::connection::{self, Connection, NAME_X};
use super::error::{CliError, ErrorCode};
use super::output::printable;
use super::secret::SecretArgs;
use crate::ibgib::{Addr, IbGib};
use crate::keystone::{self, Replay, VERB_SYNC};
use crate::peer::{PeerError, ReceiverLink, Remote, identity};
use crate::space::{
    Id, SeenOnDisk, Space, SpaceError, SpaceExt, SqliteSpace, Tip, chain, graph_ids,
};
use crate::sync::SyncError;
use crate::sync::domain::IdentityFrames;
use crate::sync::sender::{NAME_SAGA, NAME_SESSION};

/// How many differences an assertion lists.
const LISTED: usize = 10;

/// After how many frames memory is given back that is held for speed alone.
const RELEASE_EVERY: u64 = 256;

/// Check that both sides hold the same, trusting nothing the server says.
///
/// Fetches the graphs of X, S and I from the server, computes every gib again, and compares them
/// with the local ones. Exits with 1 where an assertion does not hold, and names the address.
///
/// With --local it asks no server and no secret: everything in the space is read, hashed and held
/// against itself. Exits with 4 where anything is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib check\n  \
    sync-gib check --local\n  \
    sync-gib check --json | jq '.assertions[] | select(.ok | not)'")]
pub struct CheckArgs {
    /// Read everything in the local space and hold it against itself; asks no server
    #[arg(long)]
    pub local: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Checks.
pub fn run(args: &CheckArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.local {
        return audit::check_client(ctx);
    }
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let named = |name: &str, hint: &str| -> Result<Addr, CliError> {
        let absent =
            || CliError::new(ErrorCode::NotFound, format!("the space knows no {name} yet"));
        space.name(name)?.ok_or_else(|| absent().hint(hint))
    };
    let domain = connection::domain_of(&space)?;
    let x = named(NAME_X, "run `sync-gib setup`, or `sync-gib sync` on a device that joined")?;
    let session = named(NAME_SESSION, "run `sync-gib sync` first")?;
    let saga = named(NAME_SAGA, "run `sync-gib sync` first")?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    let token = connection::token(&home, &connection, &link, &space, &args.secret)?;

    let assertions = compare(&space, &link, (&domain, &token), (&x, &session, &saga));
    print(&assertions.map_err(|error| connection.name_damaged_file(error))?, connection.name(), ctx)
}

fn compare(
    space: &SqliteSpace,
    link: &Remote<'_>,
    (domain, token): (&Addr, &str),
    (x, session, saga): (&Addr, &Addr, &Addr),
) -> Result<Vec<Assertion>, CliError> {
    let sides = Sides { space, link, domain, token };
    let mut assertions = sides.data(x)?;
    assertions.extend(sides.session(session, saga)?);
    assertions.push(sides.identity(session)?);
    Ok(assertions)
}

fn print(assertions: &[Assertion], server: &str, ctx: &mut Ctx) -> Result<(), CliError> {
    let failed = assertions.iter().filter(|assertion| !assertion.problems.is_empty()).count();
    let mut entries = Vec::new();
    for (at, assertion) in assertions.iter().enumerate() {
        let ok = assertion.problems.is_empty();
        let verdict = if ok { "ok" } else { "FAILED" };
        ctx.out.line(format_args!("{}  {:<58} {verdict}", at + 1, assertion.what))?;
        for problem in &assertion.problems {
            ctx.out.line(format_args!("     {}", printable(problem)))?;
        }
        entries.push(json!({
            "n": at + 1, "what": assertion.what, "ok": ok, "problems": assertion.problems,
        }));
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    ctx.out.line(format_args!(
        "{}  {:<58} {verdict}",
        assertions.len() + 1,
        "all of these hold"
    ))?;
    if failed > 0 {
        let message = format!("{failed} of {} assertions failed", assertions.len());
        return Err(CliError::new(ErrorCode::Different, message)
            .hint("run `sync-gib sync`, then check again; if it fails again, the sides differ")
            .detail("server", server)
            .detail("assertions", entries));
    }
    ctx.out.line("ALL PHASE 3B CHECKS PASSED")?;
    ctx.out.done(json!({ "server": server, "assertions": entries }))
}

/// One thing that must hold, and what is wrong with it.
struct Assertion {
    what: &'static str,
    problems: Vec<String>,
}

impl Assertion {
    fn new(what: &'static str, problems: Vec<String>) -> Assertion {
        Assertion { what, problems }
    }

    fn of(what: &'static str, problem: Option<String>) -> Assertion {
        Assertion::new(what, problem.into_iter().collect())
    }
}

/// The two sides, of which the far one is not trusted.
struct Sides<'a> {
    space: &'a SqliteSpace,
    link: &'a Remote<'a>,
    domain: &'a Addr,
    token: &'a str,
}

/// A timeline's latest address on both sides.
struct LatestOf {
    tjp: Addr,
    here: Addr,
    there: Option<Addr>,
}

impl LatestOf {
    fn problem(&self) -> Option<String> {
        match &self.there {
            None => Some(format!("the server does not have the timeline {}", self.tjp)),
            Some(there) if *there != self.here => {
                Some(format!("{} here, {there} on the server", self.here))
            }
            Some(_) => None,
        }
    }
}

/// What comparing a graph found.
struct Compared {
    here: u64,
    there: u64,
    problems: Vec<String>,
}

impl Sides<'_> {
    /// X: the latest address, the number of nodes, every ibGib.
    fn data(&self, x: &Addr) -> Result<Vec<Assertion>, CliError> {
        let latest = self.latest(x)?;
        let compared = self.graph(&latest)?;
        let counts = (compared.here != compared.there)
            .then(|| format!("{} nodes here, {} on the server", compared.here, compared.there));
        let problem = latest.problem();
        Ok(vec![
            Assertion::of("X: the latest address is the same on both sides", problem),
            Assertion::of("X: the graphs have the same number of nodes", counts),
            Assertion::new("X: all keys and values match, address by address", compared.problems),
        ])
    }

    /// S: as many frames as turns, all valid, the same on both sides.
    fn session(&self, session: &Addr, saga: &Addr) -> Result<Vec<Assertion>, CliError> {
        let latest = self.latest(session)?;
        let mut problems = self.replay(session)?;
        let turns = self.outgoing_turns(saga)?;
        let n = self.tip(session)?.map_or(0, |tip| tip.n);
        if n != 1 + turns {
            let tip = &latest.here;
            problems.insert(0, format!("{tip} has n {n}, expected 1 + {turns} outgoing turns"));
        }
        let mut same = self.graph(&latest)?.problems;
        same.extend(latest.problem());
        Ok(vec![
            Assertion::new("S: n is 1 + the outgoing turns, and every frame is valid", problems),
            Assertion::new("S: the latest address and the whole graph are the same", same),
        ])
    }

    /// I: the frame that claims S is on both sides, and I is valid from genesis on both.
    fn identity(&self, session: &Addr) -> Result<Assertion, CliError> {
        let what = "I: the frame that claims S is on both sides, and I replays";
        let mut problems = self.replay(self.domain)?;
        let claims = |frame: &IbGib| {
            let proof = keystone::proof_of(frame).ok().flatten();
            proof.is_some_and(|proof| {
                proof.claim.verb == VERB_SYNC && proof.claim.target == session.as_str()
            })
        };
        let mut claim = None;
        let mut replay = Replay::new(SeenOnDisk::new()?);
        let read = identity::follow(self.link, self.domain, &mut replay, &mut |addr, frame| {
            if claims(frame) {
                claim = Some(addr.clone());
            }
            Ok(())
        });
        problems.extend(rules_broken(read)?.iter().map(|rule| format!("on the server: {rule}")));
        match claim {
            None => problems.push(format!("no frame on the server claims {session}")),
            Some(claim) if !self.space.get(&claim)?.as_ref().is_some_and(claims) => {
                problems.push(format!("{claim} is on the server only"));
            }
            Some(_) => {}
        }
        Ok(Assertion::new(what, problems))
    }

    fn tip(&self, tjp: &Addr) -> Result<Option<Tip>, CliError> {
        Ok(self.space.tip(tjp)?)
    }

    /// A timeline's latest address on both sides.
    fn latest(&self, tjp: &Addr) -> Result<LatestOf, CliError> {
        let gone = || CliError::new(ErrorCode::Damaged, format!("the timeline {tjp} is not here"));
        let here = self.tip(tjp)?.ok_or_else(gone)?.addr;
        let there = self.link.latest(self.domain, tjp, self.token)?.map(|latest| latest.tip);
        Ok(LatestOf { tjp: tjp.clone(), here, there })
    }

    /// Fetches the live graph of the server's latest frame and compares it with the one of the
    /// latest frame here, computing every gib here.
    fn graph(&self, latest: &LatestOf) -> Result<Compared, CliError> {
        let mut found = Compared { here: 0, there: 0, problems: Vec::new() };
        let mut seen = HashSet::new();
        let each = &mut |text: &str| {
            found.there += 1;
            if let Some(problem) = self.compare(text, &mut seen).map_err(SyncError::from)? {
                found.problems.push(problem);
            }
            found.problems.truncate(LISTED);
            Ok(())
        };
        if let Some(root) = &latest.there
            && !self.link.graph(self.domain, root, true, self.token, each)?
        {
            found.problems.push(format!("the server does not have {root}"));
        }
        let id = self.space.find(&latest.here)?;
        let here = graph_ids(self.space, id.as_slice(), true)?;
        found.here = here.len() as u64;
        for id in here.into_iter().filter(|id| !seen.contains(id)) {
            if found.problems.len() >= LISTED {
                break;
            }
            found.problems.push(format!("{} is here only", self.space.addr(id)?));
        }
        Ok(found)
    }

    /// What is wrong with one ibGib that the server sent.
    fn compare(&self, text: &str, seen: &mut HashSet<Id>) -> Result<Option<String>, SpaceError> {
        let theirs = match IbGib::from_json(text).and_then(|ibgib| Ok((ibgib.validate()?, ibgib))) {
            Ok((addr, ibgib)) => (addr, ibgib.to_json()),
            Err(error) => return Ok(Some(format!("the server sent what is not valid: {error}"))),
        };
        let (addr, text) = theirs;
        let Some(id) = self.space.find(&addr)? else {
            return Ok(Some(format!("{addr} is on the server only")));
        };
        seen.insert(id);
        Ok((*self.space.text(id)? != *text).then(|| format!("{addr} differs")))
    }

    /// What is wrong with the first of a keystone's frames here that is wrong.
    fn replay(&self, tjp: &Addr) -> Result<Vec<String>, CliError> {
        let ids = SeenOnDisk::new()?;
        let Some(mut frames) = IdentityFrames::after(self.space, tjp, None, ids)? else {
            return Ok(vec![format!("{tjp} is not here")]);
        };
        let mut read = || -> Result<(), PeerError> {
            let mut frames_read = 0_u64;
            while frames.next(self.space)?.is_some() {
                frames_read += 1;
                if frames_read.is_multiple_of(RELEASE_EVERY) {
                    self.space.release().map_err(SyncError::from)?;
                }
            }
            Ok(())
        };
        rules_broken(read())
    }

    fn outgoing_turns(&self, saga: &Addr) -> Result<u64, CliError> {
        let Some(tip) = self.tip(saga)? else { return Ok(0) };
        let mut turns = 0;
        for id in chain(self.space, tip.id, |_| false)? {
            let frame = self.space.get_id(id)?;
            turns += u64::from(frame.datum("role").and_then(Value::as_str) == Some("sender"));
        }
        Ok(turns)
    }
}

/// The rules that an identity breaks, where reading it ended at a frame that is wrong.
fn rules_broken(read: Result<(), PeerError>) -> Result<Vec<String>, CliError> {
    match read {
        Err(PeerError::Sync(
            error @ (SyncError::Space(SpaceError::KeystoneInvalid { .. })
            | SyncError::Content(_)
            | SyncError::Auth(_)),
        )) => Ok(vec![error.to_string()]),
        read => Ok(read.map(|()| Vec::new())?),
    }
}
