//! Phases 1 and 2: establishing a session, and connecting it.

use super::super::checks::{listed, shown};
use super::super::device::Device;
use super::super::error::VerifyError;
use super::super::sides::message_of;
use super::super::world::{SessionRecord, World};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::{
    self, POOL_CONNECT, POOL_SYNC, VERB_CONNECT, VERB_SYNC, frame_details, pool_ids, proof_of,
};
use crate::peer::{NoObserver, PeerError, ReceiverLink, client};
use crate::space::{Space, SpaceExt, TimelineKind};
use crate::sync::domain::saga_of_session;
use crate::sync::msg::RefusalCode;
use crate::sync::receiver::DEMANDED;
use crate::sync::session::Signer;
use crate::sync::{Established, Sender, SenderOpts, SyncError};

/// Phase 1: S's genesis is made locally, I evolves to I1 which claims it, the receiver has both.
pub fn establish<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let made = client::open_session(&device.space, world.link, &device.identity)?;
    let (session, evolved) = (TjpAddr::from(made.session.addr()?), made.identity.addr()?);
    device.name("S", &session)?;
    world.runs.push(SessionRecord {
        label: device.label,
        session: session.clone(),
        n: 0,
        token: None,
    });
    genesis(world, &device, &made)?;
    claim(world, &made)?;

    let there = world.receiver()?;
    let session_there = shown(there.get(&session)?.map(|s| s.to_json()));
    world.checks.equal("S on the receiver", made.session.to_json(), session_there);
    let evolved_there = shown(there.get(&evolved)?.map(|i| i.to_json()));
    world.checks.equal("I1 on the receiver", made.identity.to_json(), evolved_there);
    let tip = there.tip(world.place.domain())?.map(|tip| tip.addr);
    world.checks.equal("I1 is the receiver's latest I", &evolved, shown(tip));
    posted_again(world, &made)?;
    world.close(&[&device], &[])
}

fn genesis<L: ReceiverLink>(
    world: &mut World<'_, L>,
    device: &Device,
    made: &Established,
) -> Result<(), VerifyError> {
    let session = made.session.addr()?;
    let violations = keystone::validate_genesis(&made.session);
    let valid = if violations.is_empty() { Ok(()) } else { Err(listed(violations)) };
    world.checks.holds("S genesis made locally", "a valid genesis", valid);
    let here = device.space.get(&session)?.map(|s| s.to_json());
    world.checks.equal("S genesis in the sender's space", made.session.to_json(), shown(here));
    let details = frame_details(&made.session);
    let detail = |key: &str| shown(details.and_then(|d| d.get(key)?.as_str().map(str::to_owned)));
    let domain = world.place.domain();
    world.checks.equal("S names the identity", domain, detail("domainIdentity"));
    world.checks.equal("S names the saga", &made.saga_id, detail("sagaId"));
    let derived = keystone::knows(&world.session_secret(&made.saga_id), &made.session);
    let own = keystone::knows(&device.identity.secret, &made.session);
    let what = "S's secret derives from the sender's secret and the saga id";
    world.checks.is_true(what, "it, and not the sender's own", derived && !own, "another secret");
    Ok(())
}

fn claim<L: ReceiverLink>(world: &mut World<'_, L>, made: &Established) -> Result<(), VerifyError> {
    let claim = proof_of(&made.identity).ok().flatten().map(|proof| proof.claim);
    let verb = claim.as_ref().map(|claim| claim.verb.clone());
    world.checks.equal("I -> I1: the claim's verb", VERB_SYNC, shown(verb));
    let target = claim.map(|claim| claim.target);
    let session = made.session.addr()?;
    world.checks.equal("I -> I1: the claim's target is S's tjp", session, shown(target));
    let domain = world.place.domain();
    world.checks.equal("I1 follows I", domain, shown(made.identity.prev()));
    world.checks.equal("I1 counts", 1, shown(made.identity.n()));
    Ok(())
}

/// A repeated post is fine; a second successor of the same I is not.
fn posted_again<L: ReceiverLink>(
    world: &mut World<'_, L>,
    made: &Established,
) -> Result<(), VerifyError> {
    let domain = world.place.domain().clone();
    let again = world.link.evolve(&domain, &[&made.identity], &made.session);
    world.checks.holds("the same I1 and S posted again", "taken", again);
    let fork = world.establish_on_genesis()?;
    let refused = world.link.evolve(&domain, &[&fork.identity], &fork.session);
    let refused = refusal(refused, RefusalCode::Conflict);
    world.checks.holds("another successor of the same I", "refused as a conflict", refused);
    let there = world.receiver()?;
    let absent = there.get(&fork.identity.addr()?)?.map(|_| "stored");
    world.checks.equal("the refused successor on the receiver", "absent", shown(absent));
    Ok(())
}

/// Phase 2: the handshake completes; the connect pool loses exactly the demanded count.
pub fn connect<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let opened =
        client::connect(&device.space, world.link, &device.identity, &device.dir, &mut NoObserver);
    world.checks.holds("connect completes", "without error", opened.as_ref().map(drop));
    let token = opened?;
    let session = last_session(&device, world.place.domain())?;
    device.name("S", &session)?;
    world.runs.push(SessionRecord { label: device.label, session: session.clone(), n: 1, token });

    let there = world.receiver()?;
    depleted(world, &device.space, &session, "here")?;
    depleted(world, &there, &session, "there")?;
    let before = there.tip(&session)?.map(|tip| tip.addr);
    let genesis = in_space(&device.space, &session)?;
    let saga_id = saga_of_session(&genesis).unwrap_or_default();
    let signer = Signer::new(world.session_secret(&saga_id), genesis)?;
    let opts = SenderOpts { connect_only: true, ..device.opts(&[]) };
    let domain = world.place.domain().clone();
    let mut sender = Sender::new(&device.space, domain, saga_id, signer, opts)?;
    let second = world.link.run_session(&mut sender, &mut NoObserver);
    let refused = refusal(second, RefusalCode::Auth);
    world.checks.holds("a second connect of the same session", "refused", refused);
    let after = there.tip(&session)?.map(|tip| tip.addr);
    world.checks.equal("S there after the refusal", shown(before), shown(after));
    world.close(&[&device], &[])
}

/// The pools of S before and after the proof.
fn depleted<L: ReceiverLink>(
    world: &mut World<'_, L>,
    space: &dyn Space,
    session: &TjpAddr,
    side: &str,
) -> Result<(), VerifyError> {
    let genesis = in_space(space, session)?;
    let tip = space.tip(session)?.map(|tip| tip.addr);
    let tip = in_space(space, &tip.unwrap_or_else(|| session.clone().into()))?;
    let left = pool_ids(&tip, POOL_CONNECT);
    let mut lost = pool_ids(&genesis, POOL_CONNECT);
    lost.retain(|id| !left.contains(id));
    let checks = &mut *world.checks;
    checks.equal(format!("connect pool {side}: challenges lost"), DEMANDED, lost.len());
    let proof = proof_of(&tip).ok().flatten();
    let mut demanded = proof.as_ref().map(|proof| proof.required.clone()).unwrap_or_default();
    lost.sort();
    demanded.sort();
    let what = format!("connect pool {side}: the lost ones are the demanded ones");
    checks.equal(what, listed(demanded), listed(lost));
    let fresh = left.iter().filter(|id| !pool_ids(&genesis, POOL_CONNECT).contains(id)).count();
    checks.equal(format!("connect pool {side}: challenges gained"), 0, fresh);
    let (before, after) = (pool_ids(&genesis, POOL_SYNC), pool_ids(&tip, POOL_SYNC));
    checks.equal(format!("sync pool {side}: untouched"), listed(before), listed(after));
    let verb = proof.map(|proof| proof.claim.verb);
    checks.equal(format!("S1 {side}: the claim's verb"), VERB_CONNECT, shown(verb));
    Ok(())
}

fn in_space(space: &dyn Space, addr: &Addr) -> Result<IbGib, VerifyError> {
    space.get(addr)?.ok_or_else(|| VerifyError::Absent(addr.to_string()))
}

/// The session keystone that came into the space last.
fn last_session(device: &Device, domain: &TjpAddr) -> Result<TjpAddr, VerifyError> {
    let found = device.space.timelines(TimelineKind::Keystone, None, usize::MAX >> 1)?;
    let last = found.into_iter().rev().find(|timeline| timeline.tjp != *domain);
    Ok(last.ok_or_else(|| VerifyError::Absent("the session".into()))?.tjp)
}

/// Whether the receiver refused, and with this code.
fn refusal(result: Result<(), PeerError>, code: RefusalCode) -> Result<(), String> {
    match result {
        Ok(()) => Err("taken".to_owned()),
        Err(PeerError::Sync(SyncError::Refused(refusal))) if refusal.code == code => Ok(()),
        Err(error) => Err(message_of(error)),
    }
}
