//! Attacks on identities: steps that were forged, signed twice or claim something else, and
//! sessions that are another's, used before or too late.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::device::Person;
use super::super::world::World;
use super::raw::{Ended, Raw, post, sign_session};
use crate::ibgib::{Addr, IbGib, json as js};
use crate::keystone::{self, Claim, Signing, Step, VERB_SYNC};
use crate::peer::wire::RevocationBody;
use crate::space::{Space, SpaceExt};
use crate::sync::msg::Msg;
use crate::sync::{Features, establish};

/// A change to an ibGib, which gets the hash that fits it.
pub(super) fn changed(ibgib: &IbGib, change: impl FnOnce(&mut Value)) -> Result<IbGib, Ended> {
    let mut changed = ibgib.clone();
    change(changed.data.as_mut().ok_or(Ended::Gone)?);
    changed.gib = changed.computed_gib()?;
    match changed == *ibgib {
        true => Err(Ended::Gone),
        false => Ok(changed),
    }
}

fn set(data: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = data.pointer_mut(pointer) {
        *place = value;
    }
}

const FORGED: &str = "00000000000000000000000000000000000000000000000000000000000000AB";

/// Ways to change a step of I that was signed.
pub(super) const CHANGES: usize = 8;

/// A step that was signed and then changed: whoever has no secret can do no better.
pub(super) fn forged_step(step: &IbGib, way: usize) -> Result<IbGib, Ended> {
    changed(step, |data| match way {
        0 => set(data, "/proofs/0/solutions/0/value", FORGED.into()),
        1 => set(data, "/uuid", "another".into()),
        2 => {
            if let Some(solutions) = data.pointer_mut("/proofs/0/solutions")
                && let Some(solutions) = solutions.as_array_mut()
            {
                solutions.pop();
            }
        }
        3 => {
            // A pool that did not sign gets a challenge of the forger's.
            let challenges = data.pointer_mut("/challengePools/2/challenges");
            if let Some(Value::Object(challenges)) = challenges
                && let Some(first) = challenges.values_mut().next()
            {
                first["hash"] = FORGED.to_lowercase().into();
            }
        }
        4 => data["n"] = json!(data["n"].as_u64().unwrap_or(0) + 1),
        5 => data["proofs"] = json!([]),
        6 => data["more"] = true.into(),
        _ => {
            let behavior = "/challengePools/0/config/behavior/targetBindingChars";
            set(data, behavior, 0.into());
        }
    })
}

impl World {
    /// I's newest frame on the server, and the one before it.
    fn newest(&self, owner: &Person) -> Result<(IbGib, Option<IbGib>), Ended> {
        let disk = self.server.disk(&owner.domain);
        let tip = disk.tip(&owner.domain)?.ok_or(Ended::Gone)?;
        let tip = disk.get(&tip.addr)?.ok_or(Ended::Gone)?;
        let prev = tip.prev().map(Addr::parse).transpose()?;
        let prev = prev.map(|prev| disk.get(&prev)).transpose()?.flatten();
        Ok((tip, prev))
    }

    /// An attack by a step that was changed after it was signed. Ok where it was taken.
    pub(super) fn attack_by_forging(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let made = sign_session(server, env, (&owner.domain, &owner.secret))?;
        post(server, &owner.domain, &[&forged_step(&made.identity, way)?], &made.session)
    }

    /// An attack on an identity's steps. Ok where it was taken.
    pub(super) fn attack_steps(
        &self,
        owner: &Person,
        other: &Person,
        way: usize,
    ) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let whose = (&owner.domain, &owner.secret);
        match way {
            0 => {
                // A second successor of a frame, by somebody who has the secret.
                let (_, prev) = self.newest(owner)?;
                let prev = prev.ok_or(Ended::Gone)?;
                let made = establish(&owner.domain, &prev, &owner.secret, env)?;
                post(server, &owner.domain, &[&made.identity], &made.session)
            }
            1 => self.attack_by_forging(owner, self.choose().below(CHANGES)),
            2 => {
                // The frame claims another session than the one that comes with it.
                let (made, more) =
                    (sign_session(server, env, whose)?, sign_session(server, env, whose)?);
                post(server, &owner.domain, &[&made.identity], &more.session)
            }
            3 => {
                // A session that says that it is another identity's.
                let (tip, _) = self.newest(owner)?;
                let made = establish(&other.domain, &tip, &owner.secret, env)?;
                post(server, &owner.domain, &[&made.identity], &made.session)
            }
            4 => {
                // Frames of one identity for another's domain.
                let made = sign_session(server, env, whose)?;
                post(server, &other.domain, &[&made.identity], &made.session)
            }
            5 => {
                // A session with a broken genesis, which I claims all the same.
                let made = sign_session(server, env, whose)?;
                let broken = changed(&made.session, |data| match self.choose().below(3) {
                    0 => data["n"] = 1.into(),
                    1 => data["proofs"] = json!([{"claim": {}}]),
                    _ => set(data, "/challengePools/0/config/rounds", 0.into()),
                })?;
                let claimed = self.claim(owner, VERB_SYNC, &broken)?;
                post(server, &owner.domain, &[&claimed], &broken)
            }
            6 => {
                // Another verb than sync.
                let made = sign_session(server, env, whose)?;
                let claimed = self.claim(owner, "manage", &made.session)?;
                post(server, &owner.domain, &[&claimed], &made.session)
            }
            7 => {
                // A revocation that revokes nothing.
                let made = sign_session(server, env, whose)?;
                let body = js::stringify(&RevocationBody { frames: vec![&made.identity] });
                server.revoke(&owner.domain, &body).map_err(Ended::Refused)
            }
            8 => {
                // A revocation that was forged.
                let (tip, _) = self.newest(owner)?;
                let made = keystone::revoke(&tip, &owner.secret, "forged", env)?;
                let forged = changed(&made, |data| match self.choose().below(3) {
                    0 => set(data, "/proofs/0/solutions/0/value", FORGED.into()),
                    1 => set(data, "/revocationInfo/reason", 1.into()),
                    _ => set(data, "/proofs/0/claim/target", "another".into()),
                })?;
                let body = js::stringify(&RevocationBody { frames: vec![&forged] });
                server.revoke(&owner.domain, &body).map_err(Ended::Refused)
            }
            9 => {
                // A genesis that is none.
                let broken = changed(&owner.genesis, |data| match self.choose().below(3) {
                    0 => data["n"] = 3.into(),
                    1 => set(data, "/challengePools/0/challenges", json!({})),
                    _ => data["proofs"] = json!([{"claim": {}}]),
                })?;
                server.register(&broken.to_json()).map(drop).map_err(Ended::Refused)
            }
            10 => {
                // A step that reveals one solution less than the policy asks for.
                let made = sign_session(server, env, whose)?;
                let less = self.with_one_less(owner, &made.identity)?;
                post(server, &owner.domain, &[&less], &made.session)
            }
            _ => {
                // An identity that forgot to register.
                let (tip, _) = self.newest(owner)?;
                let made = establish(&owner.domain, &tip, &owner.secret, env)?;
                let nowhere = made.session.addr()?;
                post(server, &nowhere.into(), &[&made.identity], &made.session)
            }
        }
    }

    /// A step that claims what `step` does, and reveals all of its solutions but one: the holder of
    /// the secret makes it, so that all else is as it must be.
    fn with_one_less(&self, owner: &Person, step: &IbGib) -> Result<IbGib, Ended> {
        let proof = keystone::proof_of(step)?.ok_or(Ended::Gone)?;
        let (tip, _) = self.newest(owner)?;
        let next = Step::on(&tip)?;
        let at = next.pools.iter().position(|pool| Some(pool.id()) == proof.pool_id());
        let at = at.ok_or(Ended::Gone)?;
        let mut chosen: Vec<&str> =
            proof.solutions.iter().map(|solution| solution.challenge_id.as_str()).collect();
        chosen.remove(self.choose().below(chosen.len()));
        let less = next.prove(at, &owner.secret, &proof.claim, &proof.required, &chosen)?;
        Ok(next.frame(next.data(at, &owner.secret, &less, &*self.enemy)?)?.into_inner())
    }

    /// I's next frame with a claim of a session, by the holder of the secret.
    fn claim(&self, owner: &Person, verb: &str, session: &IbGib) -> Result<IbGib, Ended> {
        let (tip, _) = self.newest(owner)?;
        let claim = Claim::new(verb, session.addr()?.as_str());
        let env = &*self.enemy;
        let (pool_id, required) = (None, &[][..]);
        let signing = Signing { claim: &claim, pool_id, required, frame_details: None, env };
        Ok(keystone::sign(&tip, &owner.secret, &signing)?)
    }

    /// An attack on a session's proof. Ok where it was taken.
    pub(super) fn attack_proof(
        &self,
        owner: &Person,
        other: &Person,
        way: usize,
    ) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let made = sign_session(server, env, (&owner.domain, &owner.secret))?;
        post(server, &owner.domain, &[&made.identity], &made.session)?;
        let again = |made: &crate::sync::Established| {
            let (identity, session) = (made.identity.clone(), made.session.clone());
            crate::sync::Established::resume(identity, session, &owner.secret)
        };
        let second = again(&made)?;
        if way == 0 {
            // Another identity's session, for one's own domain.
            let mut raw = Raw::open(server, env, &other.domain, made)?;
            let (uuid, ids) = raw.hello()?;
            return raw.prove(&uuid, &ids);
        }
        if way == 1 {
            self.pass_time(Duration::from_millis(super::super::server::SESSION_MS + 60_000));
        }
        if way == 9 {
            // One that expired and was forgotten does not come back by being posted again.
            self.pass_time(Duration::from_millis(super::super::server::SESSION_MS + 60_000));
            drop(Raw::connected(server, env, (&owner.domain, &owner.secret))?);
            post(server, &owner.domain, &[&made.identity], &made.session)?;
        }
        let mut raw = Raw::open(server, env, &owner.domain, made)?;
        let (uuid, ids) = raw.hello()?;
        match way {
            1 | 9 => raw.prove(&uuid, &ids),
            2 => raw.prove("another challenge", &ids),
            3 => raw.prove(&uuid, &ids[1..]),
            4 => {
                self.pass_time(Duration::from_secs(60));
                raw.prove(&uuid, &ids)
            }
            5 => {
                // Of two connections one gets in.
                let mut late = Raw::open(server, env, &owner.domain, second)?;
                let (late_uuid, late_ids) = late.hello()?;
                raw.prove(&uuid, &ids)?;
                late.prove(&late_uuid, &late_ids)
            }
            6 => {
                // And none after it.
                raw.prove(&uuid, &ids)?;
                let mut late = Raw::open(server, env, &owner.domain, second)?;
                late.hello().map(drop)
            }
            7 => {
                // A turn's signature is no proof.
                let claim = Claim::new(VERB_SYNC, &uuid);
                let pool_id = Some(keystone::POOL_SYNC);
                let (required, frame_details) = (&[][..], None);
                let signing = Signing { claim: &claim, pool_id, required, frame_details, env };
                let secret = owner.secret.derive_session(&second.saga_id);
                let frame = keystone::sign(&second.session, &secret, &signing)?;
                raw.prove_by(frame)
            }
            8 => {
                let frame = raw.signer().prove(&uuid, &ids, env)?;
                let forged = changed(&frame, |data| {
                    set(data, "/proofs/0/solutions/0/value", FORGED.into());
                })?;
                raw.prove_by(forged)
            }
            _ => {
                // Turns before the proof.
                raw.init(Vec::new(), Vec::new())
            }
        }
    }

    /// What an identity that was revoked may still do: nothing. Ok where something was taken.
    pub(super) fn attack_revoked(&self, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let owner =
            super::super::world::person(self.choose().below(100), self.is_locked, &self.enemy)?;
        let whose = (&owner.domain, &owner.secret);
        server.register(&owner.genesis.to_json()).map_err(Ended::Refused)?;
        let made = sign_session(server, env, whose)?;
        post(server, &owner.domain, &[&made.identity], &made.session)?;
        let waiting = (made.identity.clone(), made.session.clone());
        let mut raw = Raw::open(server, env, &owner.domain, made)?;
        let (uuid, ids) = raw.hello()?;
        if way != 0 && way != 6 {
            raw.prove(&uuid, &ids)?;
        }
        if way == 1 {
            raw.init(Vec::new(), Vec::new())?;
        }
        let (tip, _) = self.newest(&owner)?;
        let revocation = keystone::revoke(&tip, &owner.secret, "gone", env)?;
        let body = js::stringify(&RevocationBody { frames: vec![&revocation] });
        // Killed in between, the server has not forgotten the tokens.
        let ended = match way == 3 && self.choose().chance(500) {
            true => server.revoke_without_forgetting(&owner.domain, &body),
            false => server.revoke(&owner.domain, &body),
        };
        ended.map_err(|_| Ended::Gone)?;
        match way {
            0 => raw.prove(&uuid, &ids),
            1 => raw.commit(Vec::new()),
            2 => raw.init(Vec::new(), Vec::new()),
            3 => {
                let token = raw.token.clone().ok_or(Ended::Gone)?;
                match server.may_read(&owner.domain, &token.value) {
                    Ok(true) => Ok(()),
                    _ => Err(refused()),
                }
            }
            4 => post(server, &owner.domain, &[&waiting.0], &waiting.1),
            5 => {
                let made = establish(&owner.domain, &revocation, &owner.secret, env);
                made.map_or_else(
                    |_| Err(refused()),
                    |made| post(server, &owner.domain, &[&made.identity], &made.session),
                )
            }
            _ => {
                let session = waiting.1.addr()?;
                let (domain, protocol) = (owner.domain.clone(), crate::sync::msg::PROTOCOL);
                let resumed =
                    crate::sync::Established::resume(waiting.0, waiting.1, &owner.secret)?;
                let mut raw = Raw::open(server, env, &domain, resumed)?;
                let features = Features::new();
                raw.say(&Msg::Hello { protocol, domain, session: session.into(), features })
                    .map(drop)
            }
        }
    }
}

fn refused() -> Ended {
    use crate::sync::msg::{Refusal, RefusalCode};
    Ended::Refused(Refusal { code: RefusalCode::Auth, message: "as it must".into() })
}
