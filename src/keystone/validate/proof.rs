//! Whether a proof solves what the policy demands of the frame before.

use std::collections::HashSet;

use super::Used;
use super::violation::{Findings, Violation};
use crate::ibgib::addr::clip;
use crate::keystone::MAX_HASHES_PER_STEP;
use crate::keystone::frame::Pool;
use crate::keystone::policy::{Demand, mandatory};
use crate::keystone::proof::{Proof, Solution};
use crate::keystone::strategy;

/// Checks a proof against the pools of the frame before. Returns the pool that it is made from;
/// none where that cannot be told.
pub(super) fn check<'a, 'b>(
    prev_pools: &'b [Pool<'a>],
    proof: &'b Proof,
    findings: &mut Findings,
) -> Option<Used<'a, 'b>> {
    let Some(pool_id) = proof.pool_id() else {
        findings.add(Violation::NoSolutions);
        return None;
    };
    let Some(pool) = prev_pools.iter().find(|pool| pool.id() == pool_id) else {
        findings.add(Violation::UnknownPool(clip(pool_id)));
        return None;
    };
    if !pool.config.allows(&proof.claim.verb) {
        let (pool, verb) = (clip(pool_id), clip(&proof.claim.verb));
        findings.add(Violation::VerbNotAllowed { pool, verb });
    }
    let mut revealed = HashSet::new();
    let mut solutions = Vec::with_capacity(proof.solutions.len());
    for solution in &proof.solutions {
        let id = solution.challenge_id.as_str();
        if solution.pool_id != pool_id {
            findings.add(Violation::SeveralPools(clip(pool_id)));
        } else if !pool.challenges.contains_key(id) {
            findings.add(Violation::UnknownChallenge(clip(id)));
        } else if !revealed.insert(id) {
            findings.add(Violation::RepeatedId(clip(id)));
        } else {
            solutions.push(solution);
        }
    }
    check_policy(pool, proof, &revealed, findings);
    check_solutions(pool, &solutions, findings);
    Some(Used { pool, revealed })
}

/// That all is revealed that the policy asks for.
fn check_policy(pool: &Pool<'_>, proof: &Proof, revealed: &HashSet<&str>, findings: &mut Findings) {
    let mandatory = match mandatory(pool, &proof.required, &proof.claim.target) {
        Ok(mandatory) => mandatory,
        Err(unmet) => return findings.add(Violation::Unmet(unmet)),
    };
    for (id, demand) in mandatory.ids {
        let missing = match demand {
            Demand::Demanded => Violation::MissingDemand,
            Demand::Bound => Violation::MissingBound,
            Demand::Oldest => Violation::MissingOldest,
        };
        findings.require(revealed.contains(id), missing, id);
    }
    let found = mandatory.rest.iter().filter(|id| revealed.contains(**id)).count();
    let expected = pool.config.behavior.select_randomly;
    if found < expected {
        findings.add(Violation::TooFewRandom { expected, found });
    }
}

/// That each solution hashes to its challenge.
fn check_solutions(pool: &Pool<'_>, solutions: &[&Solution], findings: &mut Findings) {
    let (algo, rounds) = (pool.config.algo, pool.config.rounds);
    let cost = solutions.len() as u64 * u64::from(rounds);
    if cost > MAX_HASHES_PER_STEP {
        return findings.add(Violation::TooCostly(cost));
    }
    for solution in solutions {
        let id = &solution.challenge_id;
        let hash = strategy::challenge(algo, rounds, id, &solution.value);
        findings.require(pool.hash(id) == Some(&hash), Violation::WrongSolution, id);
    }
}
