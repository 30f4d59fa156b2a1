//! Which challenges a signature takes (docs/protocol.md, section 4). Signer and verifier compute
//! the same from the frame before.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::error::KeystoneError;
use super::frame::{Pool, pool_ids};
use super::random;
use crate::ibgib::{Environment, IbGib, addr};

/// Why a challenge must be solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// The verifier asked for it.
    Demanded,
    /// A character of the target's gib chose it.
    Bound,
    /// It was the oldest left.
    Oldest,
}

/// What the pool cannot give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// A demanded challenge that the pool does not hold.
    Demand(String),
    /// A character of the target's gib whose bucket has no challenge left.
    Binding(char),
    /// Too few challenges for those that are taken in order.
    Oldest,
    /// Too few challenges for those that are taken at random.
    Random,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmet::Demand(id) => write!(f, "it does not hold the demanded challenge {id:?}"),
            Unmet::Binding(c) => {
                write!(
                    f,
                    "it holds too few challenges that start with {c:?}, which the target's gib asks for"
                )
            }
            Unmet::Oldest => f.write_str("it holds too few challenges to take in order"),
            Unmet::Random => f.write_str("it holds too few challenges to take at random"),
        }
    }
}

/// What a signature must take, and what it may.
#[derive(Debug)]
pub(crate) struct Mandatory<'a> {
    /// The challenges that every signature of this target takes, in the order of selection.
    pub ids: Vec<(&'a str, Demand)>,
    /// The others, oldest first.
    pub rest: Vec<&'a str>,
}

/// Chooses `count` challenges of a frame's pool at random, for a verifier to demand.
///
/// Errors where the pool holds fewer, or the system gives no random bytes.
pub fn choose_demands(
    frame: &IbGib,
    pool: &str,
    count: usize,
    env: &dyn Environment,
) -> Result<Vec<String>, KeystoneError> {
    let mut ids = pool_ids(frame, pool);
    if ids.len() < count {
        return Err(KeystoneError::Exhausted { pool: pool.to_owned(), unmet: Unmet::Random });
    }
    random::choose(env, &mut ids, count)?;
    ids.truncate(count);
    Ok(ids)
}

/// What signing `target` from `pool` takes where the verifier demands `required`.
///
/// First the demanded ones; then, for each of the first characters of the target's gib, the first
/// free one in its bucket; then the oldest of what is left. No challenge is taken twice.
pub(crate) fn mandatory<'a>(
    pool: &Pool<'a>,
    required: &[String],
    target: &str,
) -> Result<Mandatory<'a>, Unmet> {
    let behavior = &pool.config.behavior;
    let mut taken = HashSet::new();
    let mut ids = Vec::new();
    for id in required {
        let (id, _) =
            pool.challenges.get_key_value(id).ok_or_else(|| Unmet::Demand(addr::clip(id)))?;
        // The reference counts a demand that is made twice once.
        if taken.insert(id.as_str()) {
            ids.push((id.as_str(), Demand::Demanded));
        }
    }
    let mut buckets = HashMap::new();
    for c in binding_chars(target, behavior.target_binding_chars) {
        let free = |id: &&str| !taken.contains(id) && pool.challenges.contains_key(*id);
        // What a bucket gave or skipped once is taken, so it is never looked at again.
        let bucket = buckets.entry(c).or_insert_with(|| pool.bucket(c));
        let id = bucket.find(free).ok_or(Unmet::Binding(c))?;
        taken.insert(id);
        ids.push((id, Demand::Bound));
    }
    let mut rest: Vec<&str> = pool.ids().filter(|id| !taken.contains(id)).collect();
    if rest.len() < behavior.select_sequentially {
        return Err(Unmet::Oldest);
    }
    let random = rest.split_off(behavior.select_sequentially);
    ids.extend(rest.into_iter().map(|id| (id, Demand::Oldest)));
    Ok(Mandatory { ids, rest: random })
}

/// The first characters of the target's gib, in lower case.
///
/// The gib is what follows the last `^`; a target without `^` (a server's challenge uuid) is all
/// gib, as the reference has it.
fn binding_chars(target: &str, count: usize) -> impl Iterator<Item = char> {
    let gib = addr::split(target).map_or(target, |(_, gib)| gib);
    gib.chars().take(count).map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::IbGib;
    use crate::ibgib::System;
    use crate::keystone::frame::pools;
    use crate::keystone::testing;

    /// A pool with the challenges a1, a2, b1, b2, c1, c2 (and 14 zeros each), oldest first.
    fn frame(sequentially: usize, chars: usize) -> IbGib {
        let mut pool = testing::pool("p", crate::keystone::Replenish::TopUp);
        pool.behavior.select_sequentially = sequentially;
        pool.behavior.target_binding_chars = chars;
        testing::frame_with(&pool, &["a1", "a2", "b1", "b2", "c1", "c2"].map(long))
    }

    #[test]
    fn demands_are_chosen_from_the_pool() {
        let frame = frame(0, 0);
        let demands = choose_demands(&frame, "p", 4, &System::new()).unwrap();
        let held = pool_ids(&frame, "p");
        assert!(demands.len() == 4 && demands.iter().all(|id| held.contains(id)));
        assert_eq!(demands.iter().collect::<HashSet<_>>().len(), 4);
        assert!(choose_demands(&frame, "p", 7, &System::new()).is_err());
        assert!(choose_demands(&frame, "q", 1, &System::new()).is_err());
    }

    fn long(short: &str) -> String {
        format!("{short}{}", "0".repeat(14))
    }

    fn taken(frame: &IbGib, required: &[&str], target: &str) -> Result<String, Unmet> {
        let required: Vec<String> = required.iter().map(|id| long(id)).collect();
        let pools = pools(frame).unwrap();
        let mandatory = mandatory(&pools[0], &required, target)?;
        let ids = mandatory.ids.iter().map(|(id, _)| &id[..2]);
        let rest = mandatory.rest.iter().map(|id| &id[..2]);
        Ok(format!(
            "{} | {}",
            ids.collect::<Vec<_>>().join(" "),
            rest.collect::<Vec<_>>().join(" ")
        ))
    }

    #[test]
    fn demands_then_binding_then_the_oldest() {
        let frame = frame(2, 2);
        assert_eq!(taken(&frame, &["b1"], "x^BA1").unwrap(), "b1 b2 a1 a2 c1 | c2");
    }

    #[test]
    fn nothing_is_taken_twice() {
        assert_eq!(taken(&frame(1, 2), &[], "x^AA").unwrap(), "a1 a2 b1 | b2 c1 c2");
        assert_eq!(taken(&frame(0, 0), &["c2", "c2"], "x^AA").unwrap(), "c2 | a1 a2 b1 b2 c1");
    }

    #[test]
    fn a_target_without_delimiter_is_all_gib() {
        assert_eq!(taken(&frame(0, 2), &[], "cb-uuid").unwrap(), "c1 b1 | a1 a2 b2 c2");
        assert_eq!(taken(&frame(0, 1), &[], "x^y^C").unwrap(), "c1 | a1 a2 b1 b2 c2");
    }

    #[test]
    fn what_the_pool_cannot_give_is_told() {
        assert_eq!(taken(&frame(0, 0), &["d1"], "x^A"), Err(Unmet::Demand(long("d1"))));
        assert_eq!(taken(&frame(0, 3), &[], "x^AAA"), Err(Unmet::Binding('a')));
        assert_eq!(taken(&frame(0, 1), &[], "x^gib"), Err(Unmet::Binding('g')));
        assert_eq!(taken(&frame(7, 0), &[], "x^A"), Err(Unmet::Oldest));
    }
}
