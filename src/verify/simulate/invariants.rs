//! What must hold in a world after every step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::server::Server;
use crate::ibgib::{Addr, Environment, IbGib, Rel8ns, TjpAddr};
use crate::keystone::KEYSTONE;
use crate::keystone::TimelineValidator;
use crate::space::{MemorySpace, RowId, SAGA_IB, Space, SpaceError};
use crate::sync::domain::{expect_session_of, secret_since};

/// The graphs of every space are closed.
pub(super) const CLOSED: &str = "closed graphs";
/// Every timeline has one tip.
pub(super) const ONE_TIP: &str = "one tip per timeline";
/// From one frame of I a home makes one proof.
pub(super) const ONE_PROOF: &str = "one proof a frame and home";
/// What the server acknowledged it has.
pub(super) const ACKNOWLEDGED: &str = "nothing acknowledged is lost";
/// S counts its turns.
pub(super) const COUNT: &str = "S's n is 1 + the outgoing turns";
/// A token opens its own domain alone.
pub(super) const TOKENS: &str = "a token opens its own domain alone";
/// Keystones replay as valid.
pub(super) const KEYSTONES: &str = "keystones are valid";
/// A domain holds its own identity's data, and what its devices made.
pub(super) const OWN_DATA: &str = "a domain holds its own data alone";
/// What is refused stores nothing.
pub(super) const REFUSED: &str = "what is refused stores nothing";
/// What is fetched was not here.
pub(super) const LACKING: &str = "what is fetched of a timeline was lacking";
/// Honest sides understand each other.
pub(super) const HONEST: &str = "honest sides do not accuse each other";
/// What must be refused is.
pub(super) const ATTACK: &str = "an attack is refused";
/// Nothing that an old secret signed counts after a renewal.
pub(super) const RENEWED: &str = "what an old secret opened ends with it";
/// An identity goes on with the old secret or with the new one.
pub(super) const GOES_ON: &str = "an identity goes on with a secret that somebody has";
/// At the end all agree.
pub(super) const CONVERGENCE: &str = "all devices converge";

type Found = Result<(), (&'static str, String)>;

/// Whose a space is, and what its data may be.
pub(super) struct Owner<'a> {
    pub(super) domain: &'a TjpAddr,
    /// How the ib of its timelines and stones end.
    pub(super) label: &'a str,
    /// Everything that its devices made.
    pub(super) made: &'a BTreeSet<Addr>,
}

/// What was seen of the spaces so far: what is new since is looked at.
#[derive(Default)]
pub(super) struct Checker {
    seen: BTreeMap<String, Seen>,
    /// The successor of each frame of an identity, wherever it stands.
    successors: BTreeMap<Addr, Addr>,
    /// The state in which a domain was tried with a token, by the token's number and the domain's.
    tried: BTreeMap<(usize, usize), Tried>,
}

/// What decides whether a token opens a domain: since which frame I has its secret there, whether it
/// is revoked, and whether the token's time is over.
type Tried = (u64, bool, bool);

#[derive(Default)]
struct Seen {
    /// How many rows were looked at.
    last: i64,
    heads: BTreeMap<RowId, BTreeSet<RowId>>,
    /// Every keystone, replayed from its genesis on.
    keystones: BTreeMap<String, TimelineValidator>,
    /// Since which frame I had the secret that claimed a session.
    claims: BTreeMap<String, u64>,
    /// Since which frame I has its secret.
    since: u64,
}

fn damaged(error: &SpaceError) -> (&'static str, String) {
    (CLOSED, error.to_string())
}

impl Checker {
    /// Adds what is new in a device's space to what its identity made, unless it is forged.
    pub(super) fn note_made(
        &self,
        name: &str,
        space: &MemorySpace,
        forged: &BTreeSet<Addr>,
        made: &mut BTreeSet<Addr>,
    ) {
        let last = self.seen.get(name).map_or(0, |seen| seen.last);
        let count = space.count().map_or(0, |count| count.ibgibs);
        for id in last + 1..=i64::try_from(count).unwrap_or(last) {
            let addr = space.addr(id.into()).ok().filter(|addr| !forged.contains(addr));
            made.extend(addr);
        }
    }

    /// Looks at what is new in a space, which `name` tells from others; `server` where it is that's.
    pub(super) fn look(
        &mut self,
        name: &str,
        space: &MemorySpace,
        owner: &Owner<'_>,
        server: Option<&Server>,
    ) -> Found {
        let Checker { seen, successors, .. } = self;
        let seen = seen.entry(name.to_owned()).or_default();
        let count = space.count().map_err(|error| damaged(&error))?.ibgibs;
        let mut touched = BTreeSet::new();
        while u64::try_from(seen.last).is_ok_and(|last| last < count) {
            seen.last += 1;
            let in_space = |(what, detail)| (what, format!("{name}: {detail}"));
            let timeline =
                look_at(seen.last.into(), space, (owner, server.is_some()), seen, successors)
                    .map_err(in_space)?;
            touched.extend(timeline);
        }
        for tjp in touched {
            let found = space.timeline_of(tjp).map_err(|error| damaged(&error))?;
            let heads = seen.heads.get(&tjp).map_or(0, BTreeSet::len);
            let tip = found.as_ref().map(|timeline| timeline.tip.id);
            let is_head = tip.is_some_and(|tip| seen.heads[&tjp].contains(&tip));
            if heads != 1 || !is_head {
                let detail = format!("{name}: the timeline {tjp} has {heads} newest frames");
                return Err((ONE_TIP, detail));
            }
            if let (Some(server), Some(timeline)) = (server, found)
                && timeline.tjp.ib() == KEYSTONE
                && timeline.tjp != *owner.domain
            {
                let turns = server.committed.borrow().get(&timeline.tjp).copied();
                let n = timeline.tip.n;
                if turns.map_or(n > 1, |turns| n != turns + 1) {
                    let detail = format!("{name}: {} has n {n}, turns {turns:?}", timeline.tjp);
                    return Err((COUNT, detail));
                }
            }
        }
        Ok(())
    }

    /// A token that was handed out opens no domain but its own, and not for longer than it says.
    pub(super) fn look_at_tokens<'a>(
        &mut self,
        server: &Server,
        domains: impl Iterator<Item = &'a TjpAddr>,
    ) -> Found {
        let now = server.env.now().ms();
        for (of, domain) in domains.enumerate() {
            let newest = server.newest(domain);
            let since = newest.as_deref().map_or(0, secret_since);
            let is_revoked = newest.as_deref().is_some_and(crate::keystone::is_revoked);
            for (number, issued) in server.issued.borrow().iter().enumerate() {
                let is_over = now >= issued.token.expires_ms;
                let state = (since, is_revoked, is_over);
                if self.tried.insert((number, of), state) == Some(state) {
                    continue;
                }
                let may = *domain == issued.domain && !is_over && since == issued.since;
                if !may && matches!(server.may_read(domain, &issued.token.value), Ok(true)) {
                    let detail = format!("a token of {} opens {domain}", issued.domain);
                    return Err((TOKENS, detail));
                }
            }
        }
        Ok(())
    }
}

/// Looks at a new row. Returns the timeline that it belongs to.
fn look_at(
    id: RowId,
    space: &MemorySpace,
    (owner, is_server): (&Owner<'_>, bool),
    seen: &mut Seen,
    successors: &mut BTreeMap<Addr, Addr>,
) -> Result<Option<RowId>, (&'static str, String)> {
    let read = || Ok((space.addr(id)?, space.row(id)?, space.get_id(id)?));
    let (addr, row, ibgib) = read().map_err(|error| damaged(&error))?;
    for related in ibgib.rel8ns.iter().flat_map(Rel8ns::values).filter_map(Value::as_array) {
        for related in related.iter().filter_map(Value::as_str) {
            let Ok(related) = Addr::parse(related) else { continue };
            let found = space.find(&related).ok().flatten();
            if !related.is_primitive() && found.is_none_or(|found| found >= id) {
                return Err((CLOSED, format!("{addr} relates to {related}, which is not here")));
            }
        }
    }
    if let Some(tjp) = row.timeline {
        let heads = seen.heads.entry(tjp).or_default();
        for before in [row.prev, row.orphan].into_iter().flatten() {
            heads.remove(&before);
        }
        heads.insert(id);
    }
    if ibgib.ib == KEYSTONE {
        look_at_keystone(&ibgib, &addr, (owner, is_server), seen, successors)?;
    } else if !ibgib.ib.starts_with(SAGA_IB) {
        let is_labelled = ["note ", "tag "].iter().any(|kind| ibgib.ib.starts_with(kind));
        if is_labelled && ibgib.ib.split(' ').nth(1) != Some(owner.label) {
            return Err((OWN_DATA, format!("{addr} is not {}'s", owner.label)));
        }
        if !owner.made.contains(&addr) {
            return Err((OWN_DATA, format!("{addr} was made by nobody")));
        }
    }
    Ok(row.timeline)
}

fn look_at_keystone(
    frame: &IbGib,
    addr: &Addr,
    (owner, is_server): (&Owner<'_>, bool),
    seen: &mut Seen,
    successors: &mut BTreeMap<Addr, Addr>,
) -> Found {
    let tjp = frame.tjp_addr().unwrap_or_else(|| addr.to_string());
    let is_own = tjp == owner.domain.as_str();
    if !is_own && addr.as_str() == tjp && expect_session_of(frame, owner.domain).is_err() {
        return Err((OWN_DATA, format!("{addr} is another identity's session")));
    }
    let violations = seen.keystones.entry(tjp.clone()).or_default().push(frame);
    if let Some(violation) = violations.first() {
        return Err((KEYSTONES, format!("{addr}: {violation}")));
    }
    if is_own {
        seen.since = secret_since(frame);
        if let Some(proof) = crate::keystone::proof_of(frame).ok().flatten() {
            seen.claims.insert(proof.claim.target, seen.since);
        }
    } else if is_server
        && frame.n() > Some(0)
        && seen.claims.get(&tjp).is_some_and(|since| *since != seen.since)
    {
        let detail = format!("{addr} is of a session that an old secret claimed");
        return Err((RENEWED, detail));
    }
    let prev = frame.prev().and_then(|prev| Addr::parse(prev).ok());
    if let (true, Some(prev)) = (is_own, prev) {
        let first = successors.entry(prev.clone()).or_insert_with(|| addr.clone());
        if first != addr {
            return Err((KEYSTONES, format!("{prev} has two successors, {first} and {addr}")));
        }
    }
    Ok(())
}
