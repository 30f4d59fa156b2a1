//! Attacks on identities with a signing key: frames that were changed on their way, renewals by who
//! may not make them, and what an old secret opened.

use serde_json::{Value, json};

use super::super::device::Person;
use super::super::renewals::{new_secret, renewal};
use super::super::world::World;
use super::identities::changed;
use super::raw::{Ended, Raw, post, sign_session};
use crate::ibgib::{IbGib, json as js};
use crate::keystone::{self, Claim, MasterSecret, RecoveryCode, Signing, Step, VERB_SYNC};
use crate::peer::wire::RevocationBody;
use crate::sync::body::{Body, Init, Scope};
use crate::sync::establish;
use crate::sync::frame::Role;
use crate::sync::msg::{Msg, Refusal, RefusalCode};

/// How many attacks there are.
pub(super) const LOCKED: usize = 26;

/// What stands for a refusal where nothing is asked for one.
fn refused() -> Ended {
    Ended::Refused(Refusal { code: RefusalCode::Auth, message: "no".into() })
}

fn lock_of(frame: &mut Value) -> Option<&mut Value> {
    frame.get_mut("frameDetails")?.get_mut("lock")
}

fn set_lock(data: &mut Value, key: &str, value: Value) {
    if let Some(lock) = lock_of(data) {
        lock[key] = value;
    }
}

/// A change to a frame's lock, of one that has it.
fn cut_lock(data: &mut Value, key: &str) {
    if let Some(Value::Object(lock)) = lock_of(data) {
        lock.shift_remove(key);
    }
}

impl World {
    /// An attack on an identity with a signing key. Ok where it was taken.
    pub(super) fn attack_locked(&self, way: usize) -> Result<(), Ended> {
        let is_locked = way != 23;
        let number = self.choose().below(100);
        let owner = &super::super::world::person(number, is_locked, &self.enemy)?;
        self.server.register(&owner.genesis.to_json()).map_err(Ended::Refused)?;
        match way {
            0..5 | 23 => self.attack_by_changing_a_step(owner, way),
            5..8 => self.attack_by_changing_a_turn(owner, way),
            8..15 => self.attack_by_a_rotation(owner, way),
            15..18 => self.attack_by_a_recovery(owner, way),
            24.. => self.attack_restored(owner, way == 25),
            _ => self.attack_by_an_old_secret(owner, way),
        }
    }

    /// I's pools as a secret of the attacker's has them.
    fn pools_of(&self, owner: &Person) -> Result<(MasterSecret, Value), Ended> {
        let env = &*self.enemy;
        let secret = new_secret(env).ok_or(Ended::Gone)?;
        let step = Step::on(&owner.genesis)?;
        let configs: Vec<_> = step.pools.iter().map(|pool| pool.config.clone()).collect();
        let theirs = keystone::genesis(&secret, &configs, None, env)?;
        let pools = theirs.datum("challengePools").cloned().ok_or(Ended::Gone)?;
        Ok((secret, pools))
    }

    fn attack_by_changing_a_step(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let whose = (&owner.domain, &owner.secret);
        let made = sign_session(server, env, whose)?;
        let other = sign_session(server, env, whose)?;
        let (_, theirs) = self.pools_of(owner)?;
        let forged = changed(&made.identity, |data| match way {
            0 => {
                // The newest challenge is one that the attacker solves.
                let theirs =
                    theirs[0]["challenges"].as_object().and_then(|map| map.values().next());
                let held = data["challengePools"][0]["challenges"].as_object_mut();
                if let (Some(theirs), Some(newest)) =
                    (theirs, held.and_then(|held| held.values_mut().next_back()))
                {
                    *newest = theirs.clone();
                }
            }
            1 => {
                if let Value::Object(data) = data {
                    data.shift_remove("frameDetails");
                }
            }
            2 => cut_lock(data, "signature"),
            3 => {
                let mut other = other.identity.data.clone().unwrap_or_default();
                let signature = lock_of(&mut other).map(|lock| lock["signature"].clone());
                set_lock(data, "signature", signature.unwrap_or_default());
            }
            4 => data["frameDetails"]["more"] = true.into(),
            _ => {
                // A lock comes to an identity that has none.
                let theirs = super::super::world::person(0, true, &self.enemy).ok();
                let details = theirs.and_then(|one| one.genesis.datum("frameDetails").cloned());
                data["frameDetails"] = details.unwrap_or_default();
            }
        })?;
        post(server, &owner.domain, &[&forged], &made.session)
    }

    fn attack_by_changing_a_turn(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let mut raw = Raw::connected(server, env, (&owner.domain, &owner.secret))?;
        let init = |scope| Body::Init(Init::of(scope, false));
        let mut turn = raw.make(&init(Scope::All))?;
        let frame = turn.signed_session_identity.take().ok_or(Ended::Gone)?;
        if way == 5 {
            // Another turn in the place of the one that was signed.
            let other = init(Scope::Roots(vec![owner.domain.clone().into()]));
            turn = raw
                .saga
                .make(Role::Sender, &other, crate::ibgib::Environment::now(env))?
                .into_inner();
        }
        let target = turn.context.addr()?;
        let forged = changed(&frame, |data| match way {
            5 => data["proofs"][0]["claim"]["target"] = target.as_str().into(),
            6 => cut_lock(data, "signature"),
            _ => data["proofs"][0]["claim"]["scope"] = "another".into(),
        })?;
        turn.signed_session_identity = Some(forged);
        raw.say(&Msg::Request(Box::new(turn))).map(drop)
    }

    /// Posts a frame as a renewal.
    fn renew_by(&self, owner: &Person, frames: &[&IbGib]) -> Result<(), Ended> {
        let body = js::stringify(&RevocationBody { frames: frames.to_vec() });
        self.server.renew(&owner.domain, &body).map_err(Ended::Refused)
    }

    /// Who has the secret alone changes no more by it than a rotation may.
    fn attack_by_a_rotation(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let genesis = &owner.genesis;
        let new = new_secret(env).ok_or(Ended::Gone)?;
        let sealed = |frame: &IbGib, change: &dyn Fn(&mut Value)| -> Result<IbGib, Ended> {
            let frame = changed(frame, change)?;
            Ok(keystone::resealed(genesis, &frame, &owner.secret)?)
        };
        if way == 8 {
            // A step brings in another key, or another recovery, without saying so.
            let made = sign_session(server, env, (&owner.domain, &owner.secret))?;
            let key = keystone::key_of_secret(&new, genesis).ok_or(Ended::Gone)?.to_string();
            let at = if self.choose().chance(500) { "key" } else { "recovery" };
            let step = sealed(&made.identity, &|data| set_lock(data, at, key.clone().into()))?;
            return post(server, &owner.domain, &[&step], &made.session);
        }
        let rotated = keystone::rotate(genesis, &owner.secret, &renewal(&new, env))?;
        let before = genesis.datum("challengePools").cloned().unwrap_or_default();
        let key = keystone::key_of_secret(&new, genesis).ok_or(Ended::Gone)?.to_string();
        let (_, theirs) = self.pools_of(owner)?;
        let pool = self.choose().below(3);
        let at_recover = before
            .as_array()
            .and_then(|pools| pools.iter().position(|pool| pool["id"] == keystone::POOL_RECOVER));
        let at_recover = at_recover.ok_or(Ended::Gone)?;
        let forged = sealed(&rotated, &|data| match way {
            9 => set_lock(data, "recovery", key.clone().into()),
            10 => cut_lock(data, "recovery"),
            11 => data["challengePools"][pool] = before[pool].clone(),
            12 => data["challengePools"][at_recover] = theirs[at_recover].clone(),
            13 => data["proofs"][0]["claim"]["target"] = owner.domain.ib().into(),
            _ => set_lock(data, "since", 0.into()),
        })?;
        match way {
            // Where the frame does not say that it renews, a session takes it along.
            14 => {
                let made = establish(&owner.domain, &forged, &new, env)?;
                post(server, &owner.domain, &[&forged, &made.identity], &made.session)
            }
            _ => self.renew_by(owner, &[&forged]),
        }
    }

    /// A recovery by who has not got the code, or not all that it takes.
    fn attack_by_a_recovery(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let env = &*self.enemy;
        let genesis = &owner.genesis;
        let code = owner.code.as_ref().ok_or(Ended::Gone)?;
        let next = RecoveryCode::new_random(env)?;
        let new = new_secret(env).ok_or(Ended::Gone)?;
        let good = keystone::recover(genesis, code, &next, &renewal(&new, env))?;
        let uuid = genesis.datum("uuid").and_then(Value::as_str).ok_or(Ended::Gone)?;
        let (theirs, pools) = self.pools_of(owner)?;
        let key = keystone::key_of_secret(&theirs, genesis).ok_or(Ended::Gone)?.to_string();
        let step = Step::on(genesis)?;
        let forged = match way {
            // Caught on its way, and signed by a key of the attacker's.
            15 => {
                let frame = changed(&good, |data| {
                    data["challengePools"] = pools.clone();
                    set_lock(data, "key", key.clone().into());
                    set_lock(data, "recoveryKey", key.clone().into());
                })?;
                keystone::resealed(genesis, &frame, &theirs)?
            }
            _ => {
                // From a pool that the secret solves, with the code's key or without it.
                let at = step.pools.iter().position(|pool| pool.id() == "any");
                let at = at.ok_or(Ended::Gone)?;
                let claim = Claim::new(keystone::VERB_RECOVER, &step.prev_addr);
                let chosen: Vec<&str> = step.pools[at].ids().collect();
                let proof = step.prove(at, &owner.secret, &claim, &[], &chosen)?;
                let own = keystone::key_of_secret(&owner.secret, genesis).ok_or(Ended::Gone)?;
                let frame = changed(&good, |data| {
                    data["proofs"] = json!([proof.to_value()]);
                    if way == 17 {
                        set_lock(data, "recoveryKey", own.to_string().into());
                    }
                })?;
                let signer = if way == 17 { owner.secret.clone() } else { code.secret(uuid) };
                keystone::resealed(genesis, &frame, &signer)?
            }
        };
        self.renew_by(owner, &[&forged])
    }

    /// What an old secret opened, after a renewal that the server may not have lived to tell of.
    fn attack_by_an_old_secret(&self, owner: &Person, way: usize) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let whose = (&owner.domain, &owner.secret);
        let new = new_secret(env).ok_or(Ended::Gone)?;
        let renew = |tip: &IbGib| -> Result<IbGib, Ended> {
            Ok(keystone::rotate(tip, &owner.secret, &renewal(&new, env))?)
        };
        if way == 18 {
            return self.attack_by_an_unsigned_session(owner);
        }
        let made = sign_session(server, env, whose)?;
        if way == 19 {
            // A session that comes after the frame that claims it, and after a renewal.
            let rotated = renew(&made.identity)?;
            self.renew_by(owner, &[&made.identity, &rotated]).map_err(|_| Ended::Gone)?;
            post(server, &owner.domain, &[&made.identity], &made.session)?;
            let mut raw = Raw::open(server, env, &owner.domain, made)?;
            let (uuid, ids) = raw.hello()?;
            return raw.prove(&uuid, &ids);
        }
        post(server, &owner.domain, &[&made.identity], &made.session)?;
        let rotated = renew(&made.identity)?;
        let mut raw = Raw::open(server, env, &owner.domain, made)?;
        if way != 20 {
            let (uuid, ids) = raw.hello()?;
            raw.prove(&uuid, &ids)?;
            raw.init(Vec::new(), Vec::new())?;
        }
        let body = js::stringify(&RevocationBody { frames: vec![&rotated] });
        let ended = match self.choose().chance(700) {
            true => server.renew_without_forgetting(&owner.domain, &body).map(drop),
            false => server.renew(&owner.domain, &body),
        };
        ended.map_err(|_| Ended::Gone)?;
        match way {
            20 => raw.hello().map(drop),
            21 => {
                let token = raw.token.clone().ok_or(Ended::Gone)?;
                match server.may_read(&owner.domain, &token.value) {
                    Ok(true) => Ok(()),
                    _ => Err(refused()),
                }
            }
            _ if self.choose().chance(500) => raw.init(Vec::new(), Vec::new()),
            _ => raw.commit(Vec::new()),
        }
    }

    /// A session whose turns nothing would bind, of an identity whose frames are signed.
    fn attack_by_an_unsigned_session(&self, owner: &Person) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let made = sign_session(server, env, (&owner.domain, &owner.secret))?;
        let mut pools = Vec::new();
        for pool in Step::on(&made.session)?.pools {
            pools.push(pool.config);
        }
        let details = made.session.datum("frameDetails").cloned().map(|mut details| {
            if let Value::Object(details) = &mut details {
                details.shift_remove("lock");
            }
            details
        });
        let secret = owner.secret.derive_session(&made.saga_id);
        let session = keystone::genesis(&secret, &pools, details, env)?;
        let claim = Claim::new(VERB_SYNC, session.addr()?.as_str());
        let (pool_id, required) = (Some(keystone::POOL_SYNC), &[][..]);
        let signing = Signing { claim: &claim, pool_id, required, frame_details: None, env };
        let step = keystone::sign(&owner.genesis, &owner.secret, &signing)?;
        post(server, &owner.domain, &[&step], &session)
    }
}
