//! What the reference implementation answers for keystones: its hashes are matched bit for bit,
//! its timeline is accepted, and can be signed on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::sync::LazyLock;

use sync_gib::ibgib::{IbGib, Moment, System, json};
use sync_gib::keystone::strategy::{PoolSecret, challenge};
use sync_gib::keystone::{
    Claim, MasterSecret, PoolConfig, Signing, TimelineValidator, Violation, is_revoked, knows,
    pool_ids, proof_of, revoke, sign, validate_genesis, validate_step,
};

fn secret(text: &Value) -> MasterSecret {
    MasterSecret::from_raw(text.as_str().unwrap().to_owned().into()).unwrap()
}

fn timeline() -> (Vec<IbGib>, MasterSecret) {
    let vector = json::parse(include_str!("vectors/keystone.json")).unwrap();
    let frames = vector["frames"].as_array().unwrap().iter();
    let frames = frames.map(|frame| IbGib::from_value(frame.clone()).unwrap());
    (frames.collect(), secret(&vector["masterSecret"]))
}

fn signing(claim: &Claim) -> Signing<'_> {
    static ENV: LazyLock<System> =
        LazyLock::new(|| System::at(Moment::from_ms(1_781_262_001_000).unwrap()));
    Signing { claim, pool_id: None, required: &[], frame_details: None, env: &*ENV }
}

#[test]
fn hash_reveals() {
    let cases = json::parse(include_str!("vectors/hash-reveal.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let config = PoolConfig::from_value("pool", &case["config"]).unwrap();
        let pool_secret = PoolSecret::derive(&secret(&case["masterSecret"]), &config);
        assert_eq!(pool_secret.expose(), case["poolSecret"].as_str().unwrap());
        for one in case["challenges"].as_array().unwrap() {
            let id = one["challengeId"].as_str().unwrap();
            let solution = pool_secret.solution(id);
            assert_eq!(*solution, one["solution"].as_str().unwrap());
            assert_eq!(pool_secret.challenge(id), one["challenge"].as_str().unwrap());
            let again = challenge(config.algo, config.rounds, id, &solution);
            assert_eq!(again, one["challenge"].as_str().unwrap());
        }
    }
}

#[test]
fn every_step_of_the_reference_is_good() {
    let (frames, _) = timeline();
    assert_eq!(frames.len(), 5);
    assert_eq!(validate_genesis(&frames[0]), []);
    for step in frames.windows(2) {
        assert_eq!(validate_step(&step[0], &step[1]), []);
    }
    let mut validator = TimelineValidator::new();
    assert!(frames.iter().all(|frame| validator.push(frame).is_empty()));
    assert!(is_revoked(&frames[4]));
}

#[test]
fn a_frame_left_out_or_out_of_order_is_seen() {
    let (frames, _) = timeline();
    assert!(!validate_step(&frames[0], &frames[2]).is_empty());
    assert!(!validate_step(&frames[1], &frames[0]).is_empty());
    assert!(!validate_genesis(&frames[1]).is_empty());
}

#[test]
fn the_references_secret_signs_on() {
    let (frames, secret) = timeline();
    let tip = &frames[3];
    assert!(knows(&secret, tip));
    let hello = proof_of(tip).unwrap().unwrap().claim.target;
    for verb in ["sync", "manage"] {
        let claim = Claim::new(verb, &hello);
        let next = sign(tip, &secret, &signing(&claim)).unwrap();
        assert_eq!(validate_step(tip, &next), []);
        let read = IbGib::from_json(&next.to_json()).unwrap();
        assert_eq!(read, next);
        assert_eq!(validate_step(tip, &read), []);
    }
    let required = pool_ids(tip, "connect")[3..6].to_vec();
    let claim = Claim::new("connect", "some-uuid");
    let signing = Signing { required: &required, ..signing(&claim) };
    let next = sign(tip, &secret, &signing).unwrap();
    assert_eq!(validate_step(tip, &next), []);
    assert_eq!(pool_ids(&next, "connect").len(), 9);
    let next = revoke(tip, &secret, "done", signing.env).unwrap();
    assert_eq!(validate_step(tip, &next), []);
    assert_eq!(proof_of(&next).unwrap().unwrap().solutions.len(), 20);
}

#[test]
fn what_follows_the_references_revocation_is_refused() {
    let (frames, secret) = timeline();
    let claim = Claim::new("sync", "x^gib");
    assert!(sign(&frames[4], &secret, &signing(&claim)).is_err());
    let seen = validate_step(&frames[4], &frames[4]);
    assert!(seen.contains(&Violation::Revoked), "{seen:?}");
}
