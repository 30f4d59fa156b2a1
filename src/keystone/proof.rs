//! Claims and their proofs, as frames carry them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::ShapeError;
use super::pool_config::{HASH_REVEAL, check_name};
use super::random::ID_LEN;
use super::{MAX_CHALLENGES, MAX_CLAIM_BYTES};

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is done (`sync`, `connect`, …).
    pub verb: String,
    /// What it is done to: an address, or a server's challenge uuid.
    pub target: String,
    /// How far it goes, where the verb has degrees.
    pub scope: Option<String>,
}

impl Claim {
    /// A claim without a scope.
    pub fn new(verb: &str, target: &str) -> Claim {
        Claim { verb: verb.to_owned(), target: target.to_owned(), scope: None }
    }

    /// Reads a proof's `claim`.
    pub fn from_value(claim: &Value) -> Result<Claim, ShapeError> {
        let text = |key| claim.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let scope = match claim.get("scope") {
            None | Some(Value::Null) => None,
            Some(Value::String(scope)) => Some(scope.clone()),
            Some(_) => return Err(ShapeError::new("claim.scope", "is no text")),
        };
        let claim = Claim { verb: text("verb"), target: text("target"), scope };
        claim.check()?;
        Ok(claim)
    }

    /// The claim as frames carry it.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("verb".into(), self.verb.clone().into());
        map.insert("target".into(), self.target.clone().into());
        if let Some(scope) = &self.scope {
            map.insert("scope".into(), scope.clone().into());
        }
        Value::Object(map)
    }

    /// Fails where a frame with this claim would not be accepted.
    pub(crate) fn check(&self) -> Result<(), ShapeError> {
        check_name("claim.verb", &self.verb)?;
        if self.target.is_empty() || self.target.len() > MAX_CLAIM_BYTES {
            return Err(ShapeError::new("claim.target", "is empty or longer than 8192 bytes"));
        }
        if self.scope.as_ref().is_some_and(|scope| scope.len() > MAX_CLAIM_BYTES) {
            return Err(ShapeError::new("claim.scope", "is longer than 8192 bytes"));
        }
        Ok(())
    }
}

/// One revealed solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The pool that the challenge stands in.
    pub pool_id: String,
    /// The challenge.
    pub challenge_id: String,
    /// What solves it, hex.
    pub value: String,
}

impl Solution {
    fn from_value(solution: &Value) -> Result<Solution, &'static str> {
        let text = |key| solution.get(key).and_then(Value::as_str);
        if text("type") != Some(HASH_REVEAL) {
            return Err("has a type that is not \"hash-reveal-v1\"");
        }
        let pool_id = text("poolId").ok_or("names no pool")?.to_owned();
        check_name("poolId", &pool_id).map_err(|_| "names no pool")?;
        let id = text("challengeId").filter(|id| is_challenge_id(id));
        let challenge_id =
            id.ok_or("names no challenge of 16 lowercase hex characters")?.to_owned();
        let value = text("value").filter(|value| value.len() <= 128);
        let value = value.ok_or("has no value of at most 128 characters")?.to_owned();
        Ok(Solution { pool_id, challenge_id, value })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("type".into(), HASH_REVEAL.into());
        map.insert("poolId".into(), self.pool_id.clone().into());
        map.insert("challengeId".into(), self.challenge_id.clone().into());
        map.insert("value".into(), self.value.clone().into());
        Value::Object(map)
    }
}

/// A claim with the solutions that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What is signed.
    pub claim: Claim,
    /// What is revealed.
    pub solutions: Vec<Solution>,
    /// The challenges that the verifier demanded, in its order.
    pub required: Vec<String>,
}

impl Proof {
    /// Reads an entry of a frame's `proofs`. Keys that are not known are let be.
    pub fn from_value(proof: &Value) -> Result<Proof, ShapeError> {
        let claim = Claim::from_value(proof.get("claim").unwrap_or(&Value::Null))?;
        let solutions = bounded(proof.get("solutions"), "solutions")?;
        let solutions = solutions.iter().enumerate().map(|(at, solution)| {
            let fault = |what| ShapeError::new(format!("solutions[{at}]"), what);
            Solution::from_value(solution).map_err(fault)
        });
        let required = match proof.get("requiredChallengeIds") {
            None | Some(Value::Null) => &[],
            ids => bounded(ids, "requiredChallengeIds")?,
        };
        let required = required.iter().map(|id| match id.as_str() {
            Some(id) if is_challenge_id(id) => Ok(id.to_owned()),
            _ => Err(ShapeError::new("requiredChallengeIds", "holds what is no challenge id")),
        });
        Ok(Proof {
            claim,
            solutions: solutions.collect::<Result<_, _>>()?,
            required: required.collect::<Result<_, _>>()?,
        })
    }

    /// The proof as frames carry it.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("claim".into(), self.claim.to_value());
        map.insert("solutions".into(), self.solutions.iter().map(Solution::to_value).collect());
        if !self.required.is_empty() {
            map.insert("requiredChallengeIds".into(), self.required.clone().into());
        }
        Value::Object(map)
    }

    /// Whether the proof reveals just the `demanded` challenges and names them as required, as a
    /// `connect` must. That the solutions are right is for [`super::validate_step`] to say.
    pub fn answers(&self, demanded: &[String]) -> bool {
        let demanded: HashSet<&str> = demanded.iter().map(String::as_str).collect();
        let solved = self.solutions.iter().map(|solution| solution.challenge_id.as_str());
        self.solutions.len() == demanded.len()
            && solved.collect::<HashSet<_>>() == demanded
            && self.required.iter().map(String::as_str).collect::<HashSet<_>>() == demanded
    }

    /// The pool that the proof is made from: that of its first solution.
    pub fn pool_id(&self) -> Option<&str> {
        self.solutions.first().map(|solution| solution.pool_id.as_str())
    }
}

/// Whether `id` has the form of a challenge id: 16 lowercase hex characters.
pub(crate) fn is_challenge_id(id: &str) -> bool {
    id.len() == ID_LEN && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn bounded<'a>(list: Option<&'a Value>, at: &str) -> Result<&'a [Value], ShapeError> {
    let list = list.and_then(Value::as_array);
    let list = list.ok_or_else(|| ShapeError::new(at, "is no list"))?;
    if list.len() > MAX_CHALLENGES {
        return Err(ShapeError::new(at, "has more than 4096 entries"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proof() -> Value {
        json!({
            "claim": { "verb": "sync", "target": "x^gib", "scope": "s" },
            "solutions": [{
                "type": HASH_REVEAL,
                "poolId": "p",
                "challengeId": "0123456789abcdef",
                "value": "00",
            }],
            "requiredChallengeIds": ["0123456789abcdef"],
        })
    }

    #[test]
    fn a_proof_reads_back() {
        assert_eq!(Proof::from_value(&proof()).unwrap().to_value(), proof());
    }

    #[test]
    fn a_proof_answers_just_what_is_demanded() {
        let read = Proof::from_value(&proof()).unwrap();
        let id = |id: &str| id.to_owned();
        assert!(read.answers(&[id("0123456789abcdef")]));
        assert!(!read.answers(&[]));
        assert!(!read.answers(&[id("ffffffffffffffff")]));
        assert!(!read.answers(&[id("0123456789abcdef"), id("ffffffffffffffff")]));
        assert!(!Proof { required: Vec::new(), ..read }.answers(&[id("0123456789abcdef")]));
    }

    #[test]
    fn a_proof_out_of_shape_is_refused() {
        let broken = |at: &str, value: Value| {
            let mut proof = proof();
            *proof.pointer_mut(at).unwrap() = value;
            Proof::from_value(&proof).unwrap_err().at
        };
        assert_eq!(broken("/claim/verb", json!("")), "claim.verb");
        assert_eq!(broken("/claim/target", json!("")), "claim.target");
        assert_eq!(broken("/claim/target", json!("x".repeat(8193))), "claim.target");
        assert_eq!(broken("/claim/scope", json!(1)), "claim.scope");
        assert_eq!(broken("/solutions", json!({})), "solutions");
        assert_eq!(broken("/solutions/0/type", json!("other")), "solutions[0]");
        assert_eq!(broken("/solutions/0/challengeId", json!("0123456789ABCDEF")), "solutions[0]");
        assert_eq!(broken("/solutions/0/value", json!("0".repeat(129))), "solutions[0]");
        assert_eq!(broken("/requiredChallengeIds", json!(["x"])), "requiredChallengeIds");
        let many = vec![json!("0123456789abcdef"); MAX_CHALLENGES + 1];
        assert_eq!(broken("/requiredChallengeIds", json!(many)), "requiredChallengeIds");
    }
}
