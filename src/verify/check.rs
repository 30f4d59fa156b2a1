//! The seven assertions of docs/protocol.md, section 8, about a space and what a server serves.

use serde_json::Value;

use super::known::{NAME_CHECKED, check_after};
use super::side::{Served, Side};
use super::sides::{Compared, claims_differ, compare, latest_differs, replay};
use crate::ibgib::{Addr, Moment, TjpAddr};
use crate::peer::{PeerError, ReceiverLink};
use crate::server::LONGEST_SESSION;
use crate::space::{Space, SpaceError, SpaceExt, chain};
use crate::sync::SyncError;

/// One thing that must hold, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What must hold.
    pub what: &'static str,
    /// What is wrong; it holds where nothing is.
    pub problems: Vec<String>,
    /// Why it could not be looked at on the server, which is no difference; none where it could.
    pub unseen: Option<String>,
}

impl Checked {
    fn new(what: &'static str, problems: Vec<String>) -> Checked {
        Checked { what, problems, unseen: None }
    }

    fn of(what: &'static str, problem: Option<String>) -> Checked {
        Checked::new(what, problem.into_iter().collect())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The first six assertions; the seventh is that all of these hold.
    pub assertions: Vec<Checked>,
    /// How many frames I has here, each of them hashed.
    pub frames: u64,
    /// How many of them were validated, too: those that no earlier check found valid.
    pub validated: u64,
}

/// Why nothing can be said about two sides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The space failed, or the server was not reached or gave no answer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A timeline that has a name in the space is not in it.
    #[error("the timeline {0} is not here")]
    NoTimeline(TjpAddr),
}

impl From<SyncError> for CheckError {
    fn from(error: SyncError) -> CheckError {
        CheckError::Peer(error.into())
    }
}

impl From<SpaceError> for CheckError {
    fn from(error: SpaceError) -> CheckError {
        SyncError::from(error).into()
    }
}

fn dropped(session: &TjpAddr) -> String {
    format!(
        "the server has dropped the session {session}, as old ones are; `sync-gib sync --record` \
         makes one that can be compared"
    )
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Timelines<'a> {
    /// The identity I.
    pub domain: &'a TjpAddr,
    /// The timeline X.
    pub x: &'a TjpAddr,
    /// The last session S.
    pub session: &'a TjpAddr,
    /// The saga that S signed the turns of.
    pub saga: &'a TjpAddr,
}

/// Holds a space against what a receiver serves to whoever has `token`: the latest addresses and the
/// graphs of X and S, and that S and I are valid. The receiver is not trusted: every gib is computed
/// here. Frames of I that an earlier check found valid on both sides are hashed alone, unless all of it
/// is to be done (`is_full`): the space keeps up to which one that was.
pub fn check<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    token: &str,
    timelines: &Timelines<'_>,
    is_full: bool,
) -> Result<Report, CheckError> {
    let &Timelines { domain, x, session, saga } = timelines;
    let sides = Sides { space, far: Served { link, domain, token } };
    let mut assertions = sides.data(x)?;
    assertions.extend(sides.session(session, saga)?);
    let (identity, validated) = sides.identity(domain, session, is_full)?;
    assertions.push(identity);
    let tip = space.tip(domain)?;
    let frames = tip.as_ref().map_or(0, |tip| tip.n + 1);
    if let Some(tip) = tip
        && assertions.iter().all(|assertion| assertion.problems.is_empty())
        && sides.far.latest(domain)?.as_ref() == Some(&tip.addr)
    {
        keep_checked(space, tip.addr)?;
    }
    Ok(Report { assertions, frames, validated })
}

/// Keeps up to which frame I was checked, where the file can be written.
fn keep_checked(space: &dyn Space, tip: Addr) -> Result<(), SpaceError> {
    let tip = TjpAddr::from(tip);
    if space.name(NAME_CHECKED)?.as_ref() == Some(&tip) {
        return Ok(());
    }
    match space.set_name(NAME_CHECKED, &tip) {
        Err(SpaceError::ReadOnly(_) | SpaceError::Full(_)) => Ok(()),
        kept => kept,
    }
}

/// The two sides, of which the far one is not trusted.
struct Sides<'a, L> {
    space: &'a dyn Space,
    far: Served<'a, L>,
}

/// A timeline's latest address on both sides.
struct LatestOf {
    here: Addr,
    there: Option<Addr>,
    problem: Option<String>,
}

impl<L: ReceiverLink> Sides<'_, L> {
    /// X: the latest address, the number of nodes, every ibGib.
    fn data(&self, x: &TjpAddr) -> Result<Vec<Checked>, CheckError> {
        let latest = self.latest(x)?;
        let compared = self.graph(&latest)?;
        let counts = (compared.here != compared.there)
            .then(|| format!("{} nodes here, {} on the server", compared.here, compared.there));
        Ok(vec![
            Checked::of("X: the latest address is the same on both sides", latest.problem),
            Checked::of("X: the graphs have the same number of nodes", counts),
            Checked::new("X: all keys and values match, address by address", compared.problems),
        ])
    }

    /// S: as many frames as turns, all valid, the same on both sides.
    fn session(&self, session: &TjpAddr, saga: &TjpAddr) -> Result<Vec<Checked>, CheckError> {
        let latest = self.latest(session)?;
        let mut problems = replay(self.space, session)?;
        let turns = self.outgoing_turns(saga)?;
        let n = self.space.tip(session)?.map_or(0, |tip| tip.n);
        if n != 1 + turns {
            let tip = &latest.here;
            problems.insert(0, format!("{tip} has n {n}, expected 1 + {turns} outgoing turns"));
        }
        let same = "S: the latest address and the whole graph are the same";
        let same = match latest.there.is_none() && self.may_be_dropped(&latest.here)? {
            true => Checked { unseen: Some(dropped(session)), ..Checked::new(same, Vec::new()) },
            false => {
                let mut problems = self.graph(&latest)?.problems;
                problems.extend(latest.problem);
                Checked::new(same, problems)
            }
        };
        let turns = "S: n is 1 + the outgoing turns, and every frame is valid";
        Ok(vec![Checked::new(turns, problems), same])
    }

    /// Whether a session that ended with this frame is so old that a server may have dropped it.
    fn may_be_dropped(&self, tip: &Addr) -> Result<bool, CheckError> {
        let frame = self.space.get(tip)?;
        let data = frame.as_ref().and_then(|frame| frame.data.as_ref()).and_then(Value::as_object);
        let ended = data.and_then(Moment::of_data);
        let longest = u64::try_from(LONGEST_SESSION.as_millis()).unwrap_or(u64::MAX);
        Ok(ended.is_some_and(|ended| Moment::now().ms().saturating_sub(ended.ms()) > longest))
    }

    /// I: the frame that claims S is on both sides, and I is valid from genesis on both.
    /// Returns how many of its frames here were validated.
    fn identity(
        &self,
        domain: &TjpAddr,
        session: &TjpAddr,
        is_full: bool,
    ) -> Result<(Checked, u64), CheckError> {
        let what = "I: the frame that claims S is on both sides, and I replays";
        let known = if is_full { None } else { self.space.name(NAME_CHECKED)? };
        if let Some(known) = known
            && let Some(found) = check_after(self.space, self.far.link, (domain, &known, session))?
        {
            return Ok((Checked::new(what, found.problems), found.validated));
        }
        let mut problems = replay(self.space, domain)?;
        problems.extend(claims_differ(domain, &self.far, &[(session, Some(self.space))])?);
        let frames = self.space.tip(domain)?.map_or(0, |tip| tip.n + 1);
        Ok((Checked::new(what, problems), frames))
    }

    fn latest(&self, tjp: &TjpAddr) -> Result<LatestOf, CheckError> {
        let tip = self.space.tip(tjp)?;
        let here = tip.ok_or_else(|| CheckError::NoTimeline(tjp.clone()))?.addr;
        let there = self.far.latest(tjp)?;
        let problem = latest_differs(tjp, &here, there.as_ref(), &self.far);
        Ok(LatestOf { here, there, problem })
    }

    /// The live graphs of the latest frames.
    fn graph(&self, latest: &LatestOf) -> Result<Compared, CheckError> {
        Ok(compare(self.space, &latest.here, &self.far, latest.there.as_ref(), true)?)
    }

    fn outgoing_turns(&self, saga: &TjpAddr) -> Result<u64, CheckError> {
        let Some(tip) = self.space.tip(saga)? else { return Ok(0) };
        let mut turns = 0;
        for id in chain(self.space, tip.id, |_| false)? {
            let frame = self.space.get_id(id)?;
            turns += u64::from(frame.datum("role").and_then(Value::as_str) == Some("sender"));
        }
        Ok(turns)
    }
}
