use super::*;
use crate::keystone::Unmet;
use crate::keystone::frame::pools;
use crate::keystone::strategy::PoolSecret;

/// A solution in good form of any challenge.
fn solution(pool: &str, id: &str) -> Value {
    json!({ "type": "hash-reveal-v1", "poolId": pool, "challengeId": id, "value": "00" })
}

fn push(frame: &IbGib, solution: Value) -> IbGib {
    with_proof(frame, |proof| proof["solutions"].as_array_mut().unwrap().push(solution))
}

#[test]
fn no_proof_and_two_proofs() {
    let (prev, curr) = step("sync");
    let none = with_data(&curr, |data| data["proofs"] = json!([]));
    assert_eq!(only(&prev, &none), Violation::ProofCount(0));
    let two = with_data(&curr, |data| {
        let proof = data["proofs"][0].clone();
        data["proofs"].as_array_mut().unwrap().push(proof);
    });
    assert_eq!(only(&prev, &two), Violation::ProofCount(2));
}

#[test]
fn a_proof_that_reveals_nothing() {
    let (prev, curr) = step("connect");
    let empty = with_proof(&curr, |proof| {
        proof["solutions"] = json!([]);
        proof["requiredChallengeIds"] = json!([]);
    });
    assert_eq!(only(&prev, &empty), Violation::NoSolutions);
}

#[test]
fn a_proof_out_of_shape() {
    let (prev, curr) = step("sync");
    let other = with_proof(&curr, |proof| proof["claim"] = json!({ "verb": "sync" }));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
    let other = with_data(&curr, |data| data["proofs"] = json!({}));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
}

#[test]
fn a_solution_from_another_challenge() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&prev, "sync")[0].clone();
    let other = with_proof(&curr, |proof| {
        proof["solutions"][0]["value"] = proof["solutions"][1]["value"].clone();
    });
    assert_eq!(only(&prev, &other), Violation::WrongSolution(id));
}

#[test]
fn a_solution_by_another_secret() {
    let (prev, curr) = step("sync");
    let mallory = crate::keystone::MasterSecret::from_raw("guess".to_owned().into()).unwrap();
    let secret = PoolSecret::derive(&mallory, &pools(&prev).unwrap()[0].config);
    let other = with_proof(&curr, |proof| {
        for solution in proof["solutions"].as_array_mut().unwrap() {
            let value = secret.solution(solution["challengeId"].as_str().unwrap());
            solution["value"] = value.as_str().into();
        }
    });
    assert!(matches!(only(&prev, &other), Violation::WrongSolution(_)));
}

#[test]
fn an_unknown_challenge() {
    let (prev, curr) = step("sync");
    let id = testing::random_id();
    let other = push(&curr, solution("sync", &id));
    assert_eq!(only(&prev, &other), Violation::UnknownChallenge(id));
}

#[test]
fn a_repeated_challenge() {
    let (prev, curr) = step("sync");
    let first = curr.datum("proofs").unwrap()[0]["solutions"][0].clone();
    let id = first["challengeId"].as_str().unwrap().to_owned();
    assert_eq!(only(&prev, &push(&curr, first)), Violation::RepeatedId(id));
}

#[test]
fn a_pool_that_is_not_there_and_two_pools() {
    let (prev, curr) = step("sync");
    let other = with_proof(&curr, |proof| proof["solutions"][0]["poolId"] = json!("none"));
    assert_eq!(only(&prev, &other), Violation::UnknownPool("none".to_owned()));
    let other = push(&curr, solution("manage", &pool_ids(&prev, "manage")[0]));
    assert_eq!(only(&prev, &other), Violation::SeveralPools("sync".to_owned()));
}

#[test]
fn a_verb_that_the_pool_does_not_sign() {
    let (prev, curr) = step("manage");
    let other = with_proof(&curr, |proof| proof["claim"]["verb"] = json!("sync"));
    let (pool, verb) = ("manage".to_owned(), "sync".to_owned());
    assert_eq!(only(&prev, &other), Violation::VerbNotAllowed { pool, verb });
}

#[test]
fn a_missing_demand() {
    let prev = testing::keystone();
    let demanded = vec![pool_ids(&prev, "sync")[9].clone()];
    assert_eq!(validate_step(&prev, &revealing(&prev, &[9, 0, 1, 5, 6], &demanded)), []);
    let other = revealing(&prev, &[0, 1, 5, 6], &demanded);
    assert_eq!(only(&prev, &other), Violation::MissingDemand(demanded[0].clone()));
}

#[test]
fn a_demand_does_not_count_for_anything_else() {
    let prev = testing::keystone();
    let ids = pool_ids(&prev, "sync");
    let other = revealing(&prev, &[0, 1, 5, 6], &ids[..1]);
    assert_eq!(only(&prev, &other), Violation::MissingOldest(ids[2].clone()));
}

#[test]
fn a_demand_of_what_is_not_there() {
    let prev = testing::keystone();
    let unknown = vec![testing::random_id()];
    let other = revealing(&prev, &[0, 1, 5, 6], &unknown);
    assert_eq!(only(&prev, &other), Violation::Unmet(Unmet::Demand(unknown[0].clone())));
}

#[test]
fn a_missing_oldest() {
    let prev = testing::keystone();
    assert_eq!(validate_step(&prev, &revealing(&prev, &[0, 1, 5, 6], &[])), []);
    let other = revealing(&prev, &[1, 5, 6, 7], &[]);
    assert_eq!(only(&prev, &other), Violation::MissingOldest(pool_ids(&prev, "sync")[0].clone()));
}

#[test]
fn too_few_at_random() {
    let prev = testing::keystone();
    let expected = Violation::TooFewRandom { expected: 2, found: 1 };
    assert_eq!(only(&prev, &revealing(&prev, &[0, 1, 5], &[])), expected);
    assert_eq!(validate_step(&prev, &revealing(&prev, &[0, 1, 5, 6, 7], &[])), []);
}

#[test]
fn a_missing_bound_challenge() {
    let (prev, curr) = step("bound");
    let ids = pool_ids(&prev, "bound");
    let first = ids.iter().find(|id| id.starts_with('a')).unwrap();
    let other = with_proof(&curr, |proof| {
        let solutions = proof["solutions"].as_array_mut().unwrap();
        solutions.retain(|solution| solution["challengeId"] != **first);
    });
    let seen = validate_step(&prev, &other);
    assert_eq!(seen[0], Violation::MissingBound(first.clone()));
}

#[test]
fn a_claim_that_changed_after_signing() {
    let (prev, curr) = step("bound");
    let other = with_proof(&curr, |proof| proof["claim"]["target"] = json!("x^EF01"));
    assert!(matches!(only(&prev, &other), Violation::MissingBound(_)));
    let other = with_proof(&curr, |proof| proof["claim"]["target"] = json!("x^AAAB"));
    assert_eq!(only(&prev, &other), Violation::Unmet(Unmet::Binding('a')));
}

#[test]
fn a_proof_that_takes_too_long() {
    let mut config = testing::pool("sync", crate::keystone::Replenish::TopUp);
    config.rounds = 10_000;
    let prev = testing::genesis(&[config]);
    let curr = revealing(&prev, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[]);
    assert_eq!(only(&prev, &curr), Violation::TooCostly(110_000));
}

#[test]
fn a_frame_before_that_cannot_be_read() {
    let (prev, curr) = step("sync");
    let broken = with_pool(&prev, "manage", |pool| pool["config"] = Value::Null);
    let seen = validate_step(&broken, &curr);
    assert!(seen.iter().any(|found| matches!(found, Violation::PrevMalformed(_))), "{seen:?}");
}
