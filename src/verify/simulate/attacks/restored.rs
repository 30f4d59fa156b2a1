//! The restore attack: a server is restored to where it knew less of an identity than anybody may
//! have read of it, and what was revealed since makes a proof on the frame that it stands at.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::device::Person;
use super::super::renewals::new_secret;
use super::super::world::World;
use super::identities::changed;
use super::raw::{Ended, Raw, post};
use crate::ibgib::IbGib;
use crate::keystone::{
    self, Claim, PoolConfig, Proof, Signing, Solution, Step, VERB_SYNC, presets,
};
use crate::sync::Established;
use crate::sync::establish::random_id;
use crate::sync::session::Signer;

/// How many frames were read after the one that the server stands at.
const READ: usize = 10;
/// How many sessions the attacker tries, until the proof of one takes nothing but what he read.
const TRIES: usize = 100;

impl World {
    /// The restore attack on an identity that the server has the genesis of. Ok where the attacker
    /// was let in.
    pub(super) fn attack_restored(&self, owner: &Person, by_own_key: bool) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let read = self.frames_read(owner)?;
        let (forged, made) = self.forged_on_genesis(owner, &read)?;
        let frame = if keystone::lock_of(&owner.genesis).is_none() {
            forged
        } else if by_own_key {
            let theirs = new_secret(env).ok_or(Ended::Gone)?;
            keystone::resealed(&owner.genesis, &forged, &theirs)?
        } else {
            let details = read[0].datum("frameDetails").cloned().unwrap_or_default();
            changed(&forged, |data| data["frameDetails"] = details)?
        };
        post(server, &owner.domain, &[&frame], &made.session)?;
        let mut raw = Raw::open(server, env, &owner.domain, made)?;
        let (uuid, ids) = raw.hello()?;
        raw.prove(&uuid, &ids)
    }

    /// Frames that I's owner made after the genesis, and that the server has not any more.
    fn frames_read(&self, owner: &Person) -> Result<Vec<IbGib>, Ended> {
        let env = &*self.enemy;
        let mut frames: Vec<IbGib> = Vec::with_capacity(READ);
        for _ in 0..READ {
            let session = self.strangers_session(owner)?.session;
            let claim = Claim::new(VERB_SYNC, session.addr()?.as_str());
            let (pool_id, required) = (Some(keystone::POOL_SYNC), &[][..]);
            let signing = Signing { claim: &claim, pool_id, required, frame_details: None, env };
            let tip = frames.last().unwrap_or(&owner.genesis);
            frames.push(keystone::sign(tip, &owner.secret, &signing)?);
        }
        Ok(frames)
    }

    /// A session that the attacker makes for the identity of another: S is his.
    fn strangers_session(&self, owner: &Person) -> Result<Established, Ended> {
        let env = &*self.enemy;
        let saga_id = random_id(env)?;
        let secret = new_secret(env).ok_or(Ended::Gone)?.derive_session(&saga_id);
        let details = Some(json!({ "domainIdentity": owner.domain, "sagaId": saga_id }));
        let pools = presets::session_pools(env)?;
        let session = match keystone::lock_of(&owner.genesis) {
            Some(_) => keystone::locked_genesis(&secret, &pools, details, None, env)?,
            None => keystone::genesis(&secret, &pools, details, env)?,
        };
        let signer = Signer::new(secret, session.clone())?;
        Ok(Established { saga_id, identity: session.clone(), session, signer })
    }

    /// A frame after the genesis that claims a session of the attacker's, proven by what `read`
    /// reveals, and the session.
    fn forged_on_genesis(
        &self,
        owner: &Person,
        read: &[IbGib],
    ) -> Result<(IbGib, Established), Ended> {
        let env = &*self.enemy;
        let mut known = HashMap::new();
        for frame in read {
            let proof = keystone::proof_of(frame)?.ok_or(Ended::Gone)?;
            known.extend(proof.solutions.into_iter().map(|one| (one.challenge_id.clone(), one)));
        }
        let step = Step::on(&owner.genesis)?;
        let at = step.pools.iter().position(|pool| pool.id() == keystone::POOL_SYNC);
        let at = at.ok_or(Ended::Gone)?;
        let config = step.pools[at].config.clone();
        let held: Vec<&str> = step.pools[at].ids().collect();
        let secret = new_secret(env).ok_or(Ended::Gone)?;
        let theirs = keystone::genesis(&secret, std::slice::from_ref(&config), None, env)?;
        for _ in 0..TRIES {
            let made = self.strangers_session(owner)?;
            let target = made.session.addr()?;
            let Some(solutions) = chosen(&config, &held, &known, target.gib()) else { continue };
            let claim = Claim::new(VERB_SYNC, target.as_str());
            let proof = Proof { claim, solutions, required: Vec::new() };
            return Ok((forged_frame(&owner.genesis, at, &theirs, &proof)?, made));
        }
        Err(Ended::Gone)
    }
}

/// What a signature for a target reveals, as anybody would choose it: one challenge of the bucket of
/// each of its first characters, the oldest, and more that are known. None where one is not known.
fn chosen(
    config: &PoolConfig,
    held: &[&str],
    known: &HashMap<String, Solution>,
    gib: &str,
) -> Option<Vec<Solution>> {
    let behavior = &config.behavior;
    let mut chosen: Vec<&str> = Vec::new();
    for character in gib.to_ascii_lowercase().chars().take(behavior.target_binding_chars) {
        let is_free = |id: &&&str| id.starts_with(character) && !chosen.contains(*id);
        chosen.push(held.iter().find(is_free)?);
    }
    for is_any in [true, false] {
        let most = if is_any { behavior.select_sequentially } else { behavior.select_randomly };
        let is_free = |id: &&str| !chosen.contains(id) && (is_any || known.contains_key(*id));
        let more: Vec<&str> = held.iter().copied().filter(is_free).take(most).collect();
        if more.len() < most {
            return None;
        }
        chosen.extend(more);
    }
    chosen.into_iter().map(|id| known.get(id).cloned()).collect()
}

/// The frame after `tip` with this proof by the pool at `at`: what it reveals is gone, and as many
/// challenges of `theirs` have come.
fn forged_frame(tip: &IbGib, at: usize, theirs: &IbGib, proof: &Proof) -> Result<IbGib, Ended> {
    let theirs = theirs.datum("challengePools").and_then(|pools| pools[0].get("challenges"));
    let theirs = theirs.and_then(Value::as_object).ok_or(Ended::Gone)?;
    let mut data = tip.data.clone().ok_or(Ended::Gone)?;
    let pool = &mut data["challengePools"][at];
    let challenges = pool["challenges"].as_object_mut().ok_or(Ended::Gone)?;
    for solution in &proof.solutions {
        challenges.shift_remove(&solution.challenge_id);
    }
    let new = theirs.iter().take(proof.solutions.len());
    challenges.extend(new.map(|(id, challenge)| (id.clone(), challenge.clone())));
    let bucket = |digit: char| {
        let ids = challenges.keys().filter(|id| id.starts_with(digit)).cloned().map(Value::from);
        (digit.to_string(), Value::Array(ids.collect()))
    };
    let buckets: Map<String, Value> = "0123456789abcdef".chars().map(bucket).collect();
    pool["bindingMap"] = buckets.into();
    data["n"] = json!(tip.n().unwrap_or_default() + 1);
    data["proofs"] = json!([proof.to_value()]);
    if let Value::Object(data) = &mut data {
        data.shift_remove("isTjp");
    }
    let mut rel8ns = tip.rel8ns.clone().unwrap_or_default();
    rel8ns.insert("past".into(), json!([tip.addr()?]));
    rel8ns.insert("tjp".into(), json!([tip.tjp_addr().ok_or(Ended::Gone)?]));
    Ok(IbGib::new(tip.ib.clone(), Some(data), Some(rel8ns))?)
}

#[cfg(test)]
mod tests {
    use super::super::super::world;
    use super::*;

    /// What the simulation tries against identities with a key lets the attacker in without one.
    #[test]
    fn it_succeeds_against_an_identity_without_a_key() {
        let world = World::new(1).unwrap();
        let attack = |is_locked: bool, by_own_key: bool| {
            let owner = world::person(0, is_locked, &world.enemy).unwrap();
            world.server.register(&owner.genesis.to_json()).unwrap();
            world.attack_restored(&owner, by_own_key)
        };
        attack(false, false).unwrap();
        for by_own_key in [false, true] {
            let ended = attack(true, by_own_key);
            let Err(Ended::Refused(refusal)) = ended else { panic!("{ended:?}") };
            assert!(refusal.message.contains("signature is wrong"), "{}", refusal.message);
        }
    }
}
