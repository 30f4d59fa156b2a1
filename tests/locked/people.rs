//! Identities with a signing key and a recovery code, and frames that change their secret.

use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone::{self, MasterSecret, PoolConfig, RecoveryCode, Renewal, presets};
use sync_gib::peer::{PeerError, ReceiverLink};
use sync_gib::space::Space;
use sync_gib::sync::msg::{Refusal, RefusalCode};
use sync_gib::sync::{Established, SyncError, establish};

use crate::hostile_common::*;

pub fn code() -> RecoveryCode {
    RecoveryCode::new_random(&System::new()).unwrap()
}

pub fn pools() -> Vec<PoolConfig> {
    presets::identity_pools(&System::new()).unwrap()
}

pub fn locked_genesis(secret: &str, pools: &[PoolConfig], code: Option<&RecoveryCode>) -> IbGib {
    let (secret, details) = (secret_of(secret), Some(json!({ "kdf": { "algo": "none" } })));
    keystone::locked_genesis(&secret, pools, details, code, &System::new()).unwrap()
}

/// A person whose identity has a signing key and is registered, and its recovery code.
pub fn locked(host: &Host, secret: &str) -> (Person, RecoveryCode) {
    let code = code();
    let person = Person::with(locked_genesis(secret, &pools(), Some(&code)), secret);
    host.link().register(&person.genesis).unwrap();
    (person, code)
}

/// The person's newest frame on the host.
pub fn newest(host: &Host, person: &Person) -> IbGib {
    let space = host.space(person.domain());
    let tip = space.tip(person.domain()).unwrap().unwrap();
    space.get_id(tip.id).unwrap()
}

pub fn renewed_to(secret: &MasterSecret) -> Renewal<'_> {
    let frame_details = Some(json!({ "kdf": { "algo": "none" } }));
    Renewal { secret, frame_details, env: &*ENV }
}

static ENV: std::sync::LazyLock<System> = std::sync::LazyLock::new(System::new);

/// The frame after `tip` by which the old secret brings in the new one.
pub fn rotation(tip: &IbGib, old: &str, new: &str) -> IbGib {
    keystone::rotate(tip, &secret_of(old), &renewed_to(&secret_of(new))).unwrap()
}

/// The frame after `tip` by which the code brings in a new secret, and the next code.
pub fn recovery(tip: &IbGib, code: &RecoveryCode, new: &str) -> (IbGib, RecoveryCode) {
    let next = self::code();
    let frame = keystone::recover(tip, code, &next, &renewed_to(&secret_of(new))).unwrap();
    (frame, next)
}

/// A session that is signed on `tip`, and sent nowhere.
pub fn made_on(tip: &IbGib, person: &Person, secret: &str) -> Established {
    establish(person.domain(), tip, &secret_of(secret), &System::new()).unwrap()
}

/// A second device of a person, which has the identity's first frame and this secret.
pub fn device(person: &Person, secret: &str) -> Person {
    Person::with(person.genesis.clone(), secret)
}

/// The frame with a change made in its data, and the gib that it then has.
pub fn changed(frame: &IbGib, change: impl FnOnce(&mut Value)) -> IbGib {
    let mut data = frame.data.clone().unwrap();
    change(&mut data);
    IbGib::new(frame.ib.clone(), Some(data), frame.rel8ns.clone()).unwrap()
}

/// The refusal that something must have met.
pub fn refusal<T: std::fmt::Debug>(ended: Result<T, PeerError>, code: RefusalCode) -> Refusal {
    match ended {
        Err(PeerError::Sync(SyncError::Refused(refusal))) => {
            assert_eq!(refusal.code, code, "{}", refusal.message);
            refusal
        }
        other => panic!("{other:?} instead of a refusal"),
    }
}
