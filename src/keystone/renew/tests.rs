use serde_json::json;

use super::*;
use crate::ibgib::Seeded;
use crate::keystone::{
    Claim, Signing, VERB_SYNC, Violation, knows, locked_genesis, presets, revoke, sign, testing,
    validate_genesis, validate_step,
};

fn secret(text: &str) -> MasterSecret {
    MasterSecret::from_raw(text.to_owned().into()).unwrap()
}

struct World {
    env: Seeded,
    code: RecoveryCode,
    genesis: IbGib,
}

impl World {
    fn new(seed: u64) -> World {
        let env = Seeded::new(seed, crate::ibgib::Moment::from_ms(1_781_262_000_123).unwrap());
        let code = RecoveryCode::new_random(&env).unwrap();
        let pools = presets::identity_pools(&env).unwrap();
        let genesis = locked_genesis(&secret("old"), &pools, None, Some(&code), &env).unwrap();
        assert_eq!(validate_genesis(&genesis), []);
        World { env, code, genesis }
    }

    fn to<'a>(&'a self, secret: &'a MasterSecret) -> Renewal<'a> {
        let frame_details = Some(json!({ "kdf": { "algo": "none" } }));
        Renewal { secret, frame_details, env: &self.env }
    }

    fn sync(&self, prev: &IbGib, secret: &MasterSecret) -> Result<IbGib, KeystoneError> {
        loop {
            let claim = Claim::new(VERB_SYNC, &testing::random_addr("keystone"));
            let signing = Signing { env: &self.env, ..testing::signing(&claim) };
            match sign(prev, secret, &signing) {
                Err(KeystoneError::Exhausted { .. }) => {}
                signed => return signed,
            }
        }
    }
}

#[test]
fn after_a_rotation_only_the_new_secret_signs() {
    let world = World::new(1);
    let (old, new) = (secret("old"), secret("new"));
    let rotated = rotate(&world.genesis, &old, &world.to(&new)).unwrap();
    assert_eq!(validate_step(&world.genesis, &rotated), []);
    assert!(knows(&old, &world.genesis) && !knows(&new, &world.genesis));
    assert!(knows(&new, &rotated) && !knows(&old, &rotated));
    assert!(world.sync(&rotated, &old).is_err());
    assert!(revoke(&rotated, &old, "", &world.env).is_err());
    let next = world.sync(&rotated, &new).unwrap();
    assert_eq!(validate_step(&rotated, &next), []);
    let again = rotate(&next, &new, &world.to(&old)).unwrap();
    assert_eq!(validate_step(&next, &again), []);
    assert_eq!(super::super::lock_of(&again).unwrap().since(), 3);
}

#[test]
fn a_thief_who_rotated_first_is_shut_out_by_the_code() {
    let world = World::new(2);
    let (old, thief, new) = (secret("old"), secret("thief"), secret("new"));
    let stolen = rotate(&world.genesis, &old, &world.to(&thief)).unwrap();
    let used = world.sync(&stolen, &thief).unwrap();
    let next_code = RecoveryCode::new_random(&world.env).unwrap();
    let recovered = recover(&used, &world.code, &next_code, &world.to(&new)).unwrap();
    assert_eq!(validate_step(&used, &recovered), []);
    for gone in [&old, &thief] {
        assert!(world.sync(&recovered, gone).is_err());
        assert!(rotate(&recovered, gone, &world.to(&thief)).is_err());
        assert!(revoke(&recovered, gone, "", &world.env).is_err());
    }
    let twice = recover(&recovered, &world.code, &next_code, &world.to(&old));
    assert!(matches!(twice, Err(KeystoneError::CodeRefused)));
    let next = world.sync(&recovered, &new).unwrap();
    assert_eq!(validate_step(&recovered, &next), []);
    let code = RecoveryCode::new_random(&world.env).unwrap();
    let again = recover(&next, &next_code, &code, &world.to(&old)).unwrap();
    assert_eq!(validate_step(&next, &again), []);
}

#[test]
fn a_recovery_without_the_code_is_refused() {
    let world = World::new(3);
    let (old, thief) = (secret("old"), secret("thief"));
    let wrong = RecoveryCode::new_random(&world.env).unwrap();
    let made = recover(&world.genesis, &wrong, &wrong, &world.to(&thief));
    assert!(matches!(made, Err(KeystoneError::CodeRefused)));
    // The secret alone: the claim is made from another pool, or the frame signed with another key.
    let good = recover(&world.genesis, &world.code, &wrong, &world.to(&thief)).unwrap();
    let step = Step::on(&world.genesis).unwrap();
    let key = PrivateKey::derive(&old, step.uuid().unwrap());
    let mut unsigned = good.data.clone().unwrap();
    unsigned["frameDetails"]["lock"].as_object_mut().unwrap().shift_remove("signature");
    let unsigned = IbGib::new(good.ib.clone(), Some(unsigned), good.rel8ns.clone()).unwrap();
    let forged = sealed(valid(&unsigned), &step.prev_addr, &key).unwrap();
    assert_eq!(validate_step(&world.genesis, &forged), [Violation::WrongSignature]);
    let mut other = unsigned.data.clone().unwrap();
    other["frameDetails"]["lock"]["recoveryKey"] = key.public().to_string().into();
    let other = IbGib::new(good.ib.clone(), Some(other), good.rel8ns.clone()).unwrap();
    let forged = sealed(valid(&other), &step.prev_addr, &key).unwrap();
    assert!(validate_step(&world.genesis, &forged).contains(&Violation::RecoveryKey));
}

#[test]
fn a_rotation_leaves_the_recovery_as_it_is() {
    let world = World::new(4);
    let (old, new) = (secret("old"), secret("new"));
    let step = Step::on(&world.genesis).unwrap();
    let lock = step.lock.clone().unwrap();
    let key = PrivateKey::derive(&old, step.uuid().unwrap());
    let thieves = PrivateKey::derive(&secret("thief"), step.uuid().unwrap()).public();
    let make = |lock: Lock, claim: Claim, renews_recover: bool| {
        let renews =
            |pool: &Pool<'_>| (renews_recover || pool.id() != POOL_RECOVER).then_some(&new);
        let frame = frame(&step, claim, &old, (lock, &key), renews, &world.to(&new)).unwrap();
        validate_step(&world.genesis, &frame)
    };
    let manage = || Claim::new(VERB_MANAGE, &step.prev_addr);
    let next = Lock { key: thieves, since: 1, ..lock.clone() };
    assert_eq!(make(next.clone(), manage(), false), []);
    let hash = Some(thieves.hash());
    assert_eq!(
        make(Lock { recovery: hash, ..next.clone() }, manage(), false),
        [Violation::LockChanged]
    );
    assert_eq!(
        make(Lock { recovery: None, ..next.clone() }, manage(), false),
        [Violation::LockChanged]
    );
    assert_eq!(make(Lock { since: 0, ..next.clone() }, manage(), false), [Violation::LockChanged]);
    let other = Violation::OtherPoolChanged(POOL_RECOVER.to_owned());
    assert_eq!(make(next.clone(), manage(), true), [other]);
    let elsewhere = make(next, Claim::new(VERB_MANAGE, "x^y"), false);
    assert!(matches!(elsewhere[..], [Violation::RenewalTarget { .. }]), "{elsewhere:?}");
    // A claim to manage that changes no key renews nothing.
    assert_ne!(make(lock, manage(), false), []);
}

#[test]
fn a_renewal_makes_every_pool_anew() {
    let world = World::new(5);
    let new = secret("new");
    let rotated = rotate(&world.genesis, &secret("old"), &world.to(&new)).unwrap();
    let stale = |at: usize| {
        let mut data = rotated.data.clone().unwrap();
        data["challengePools"][at] =
            world.genesis.data.as_ref().unwrap()["challengePools"][at].clone();
        data["frameDetails"]["lock"].as_object_mut().unwrap().shift_remove("signature");
        let frame = IbGib::new(rotated.ib.clone(), Some(data), rotated.rel8ns.clone()).unwrap();
        let step = Step::on(&world.genesis).unwrap();
        let key = PrivateKey::derive(&secret("old"), step.uuid().unwrap());
        validate_step(&world.genesis, &sealed(valid(&frame), &step.prev_addr, &key).unwrap())
    };
    for at in 0..3 {
        let violations = stale(at);
        assert!(matches!(violations[..], [Violation::IdSeenBefore { .. }]), "{at}: {violations:?}");
    }
    assert_eq!(stale(3), []);
}

#[test]
fn only_locked_keystones_change_their_secret() {
    let env = testing::env();
    let pools = presets::identity_pools(&env).unwrap();
    let plain = testing::genesis(&pools);
    let new = secret("new");
    let renewal = Renewal { secret: &new, frame_details: None, env: &env };
    let code = RecoveryCode::new_random(&env).unwrap();
    let rotated = rotate(&plain, &testing::secret(), &renewal);
    assert!(matches!(rotated, Err(KeystoneError::NotLocked)));
    let recovered = recover(&plain, &code, &code, &renewal);
    assert!(matches!(recovered, Err(KeystoneError::NotLocked)));
    let without = locked_genesis(&testing::secret(), &pools, None, None, &env).unwrap();
    assert_eq!(validate_genesis(&without), []);
    let recovered = recover(&without, &code, &code, &renewal);
    assert!(matches!(recovered, Err(KeystoneError::NoRecovery)));
    let rotated = rotate(&without, &testing::secret(), &renewal).unwrap();
    assert_eq!(validate_step(&without, &rotated), []);
    let end = revoke(&without, &testing::secret(), "", &env).unwrap();
    assert!(matches!(rotate(&end, &testing::secret(), &renewal), Err(KeystoneError::Revoked)));
    assert!(matches!(recover(&end, &code, &code, &renewal), Err(KeystoneError::Revoked)));
}

fn valid(frame: &IbGib) -> Valid<IbGib> {
    Valid::new(frame.ib.clone(), frame.data.clone(), frame.rel8ns.clone()).unwrap()
}
