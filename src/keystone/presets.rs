//! The pools of the two keystones that this program makes (docs/protocol.md, section 4).
//!
//! The whole frame of each travels at every sync (I) or turn (S), so pools are as small as their
//! use allows: a frame of I stays under 17 KB, one of S under 4.5 KB. A challenge takes some 140
//! bytes of JSON, a revealed solution 160.
//!
//! - Rounds are 1 everywhere: the master secret is stretched already, and no guess at 256 bits is
//!   made dearer in a way that counts.
//! - A salt is the pool's id and 64 random bits, so that two keystones of one secret have
//!   different pool secrets.
//! - A signature takes some challenges in order (a forger cannot choose others) and some at random
//!   (what comes next cannot be told from what was).

use super::error::KeystoneError;
use super::pool_config::{Algo, Behavior, PoolConfig, Replenish};
use super::{POOL_CONNECT, POOL_MANAGE, POOL_RECOVER, POOL_REVOKE, POOL_SYNC};
use super::{VERB_CONNECT, VERB_MANAGE, VERB_RECOVER, VERB_REVOKE, VERB_SYNC};
use crate::ibgib::{Environment, random_hex};

/// The pools of a domain keystone I, which lives long: `sync`, `manage` and `revoke`.
///
/// - `sync` binds its target by 16 characters, since a proof that is read on the way could else be
///   spent on another session; what that is worth is told in docs/protocol.md, section 4. 64 challenges are 4 a bucket: about one target
///   in twenty asks for a fifth and is rolled anew. With 2 in order and 2 at random a signature
///   takes 20; topping up refills the same buckets, so the pool never runs dry.
/// - `manage` takes 4 of 8 and makes all anew: it signs seldom, and nothing of a pool that was
///   looked at for long is of use later. To bind as `sync` does it would need as many challenges.
/// - `revoke` takes 8 of 12 and leaves nothing. Its target is always the frame before, so there
///   is nothing to bind.
///
/// Errors where the system gives no random bytes for salts.
pub fn identity_pools(env: &dyn Environment) -> Result<Vec<PoolConfig>, KeystoneError> {
    let sync = Numbers { size: 64, in_order: 2, random: 2, bound: 16 };
    let manage = Numbers { size: 8, in_order: 2, random: 2, bound: 0 };
    let revoke = Numbers { size: 12, in_order: 4, random: 4, bound: 0 };
    Ok(vec![
        pool(POOL_SYNC, VERB_SYNC, Replenish::TopUp, sync, env)?,
        pool(POOL_MANAGE, VERB_MANAGE, Replenish::ReplaceAll, manage, env)?,
        pool(POOL_REVOKE, VERB_REVOKE, Replenish::ScorchedEarth, revoke, env)?,
    ])
}

/// The pool `recover` of a locked identity with a recovery code: 2 challenges, both taken. It stands in
/// every frame and signs hardly ever, a signature binds what it signs, and one preimage of 256 bits is
/// as hard to find as several.
pub(super) fn recovery_pool(env: &dyn Environment) -> Result<PoolConfig, KeystoneError> {
    let recover = Numbers { size: 2, in_order: 1, random: 1, bound: 0 };
    pool(POOL_RECOVER, VERB_RECOVER, Replenish::ReplaceAll, recover, env)
}

/// The pools of a session keystone S, which lives for one saga: `connect` and `sync`.
///
/// - `connect` holds 8 and takes exactly those that the server demands, once: a server may demand
///   up to 8, and what is left is of no use to anyone.
/// - `sync` takes 4 of 10 at every turn. It binds no target: a turn's frame is taken once, by the
///   server that this session is open with, on the socket that proved itself by `connect`.
///
/// Errors where the system gives no random bytes for salts.
pub fn session_pools(env: &dyn Environment) -> Result<Vec<PoolConfig>, KeystoneError> {
    let connect = Numbers { size: 8, in_order: 0, random: 0, bound: 0 };
    let sync = Numbers { size: 10, in_order: 2, random: 2, bound: 0 };
    Ok(vec![
        pool(POOL_CONNECT, VERB_CONNECT, Replenish::Consume, connect, env)?,
        pool(POOL_SYNC, VERB_SYNC, Replenish::TopUp, sync, env)?,
    ])
}

struct Numbers {
    size: usize,
    in_order: usize,
    random: usize,
    bound: usize,
}

fn pool(
    id: &str,
    verb: &str,
    replenish: Replenish,
    numbers: Numbers,
    env: &dyn Environment,
) -> Result<PoolConfig, KeystoneError> {
    let Numbers { size, in_order, random, bound } = numbers;
    Ok(PoolConfig {
        id: id.to_owned(),
        salt: format!("{id}-{}", random_hex(env, 8)?),
        allowed_verbs: vec![verb.to_owned()],
        behavior: Behavior {
            size,
            replenish,
            select_sequentially: in_order,
            select_randomly: random,
            target_binding_chars: bound,
        },
        algo: Algo::Sha256,
        rounds: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;
    use crate::keystone::{
        Claim, KeystoneError, RecoveryCode, genesis, locked_genesis, sign, testing, validate_step,
    };

    /// Signs `rounds` targets in a row, each re-rolled until the pool binds it; returns the size
    /// of the largest frame and how often a target was refused.
    fn sign_on(pools: &[PoolConfig], rounds: u32) -> (usize, usize) {
        let secret = testing::secret();
        let mut tip = genesis(&secret, pools, None, &testing::env()).unwrap();
        let (mut largest, mut refused) = (0, 0);
        let mut done = 0;
        while done < rounds {
            let claim = Claim::new(VERB_SYNC, &testing::random_addr("keystone"));
            let signed = sign(&tip, &secret, &testing::signing(&claim));
            if let Err(KeystoneError::Exhausted { .. }) = signed {
                refused += 1;
                continue;
            }
            let next = signed.unwrap();
            assert_eq!(validate_step(&tip, &next), []);
            largest = largest.max(next.to_json().len());
            tip = next;
            done += 1;
        }
        (largest, refused)
    }

    #[test]
    fn an_identity_signs_for_long_in_small_frames() {
        let (largest, refused) = sign_on(&identity_pools(&System::new()).unwrap(), 150);
        assert!(largest < 17_000, "{largest} bytes");
        assert!(refused < 40, "{refused} of 150 targets could not be bound");
    }

    #[test]
    fn a_lock_takes_few_bytes() {
        let (secret, env) = (testing::secret(), testing::env());
        let size = |locked: bool, pools: &[PoolConfig], code: Option<&RecoveryCode>| loop {
            let tip = match locked {
                true => locked_genesis(&secret, pools, None, code, &env).unwrap(),
                false => genesis(&secret, pools, None, &env).unwrap(),
            };
            let claim = Claim::new(VERB_SYNC, &testing::random_addr("keystone"));
            if let Ok(next) = sign(&tip, &secret, &testing::signing(&claim)) {
                return next.to_json().len();
            }
        };
        let code = RecoveryCode::new_random(&env).unwrap();
        let pools = identity_pools(&env).unwrap();
        let more = size(true, &pools, Some(&code)) - size(false, &pools, None);
        assert!((200..900).contains(&more), "{more} bytes more in a frame of I");
        let pools = session_pools(&env).unwrap();
        let more = size(true, &pools, None) - size(false, &pools, None);
        assert!((100..250).contains(&more), "{more} bytes more in a frame of S");
    }

    #[test]
    fn a_session_signs_for_long_in_small_frames() {
        let (largest, refused) = sign_on(&session_pools(&System::new()).unwrap(), 50);
        assert!(largest < 4_500, "{largest} bytes");
        assert_eq!(refused, 0);
    }

    #[test]
    fn salts_differ_between_keystones() {
        let salts = |pools: Vec<PoolConfig>| pools.into_iter().map(|pool| pool.salt);
        let one: Vec<String> = salts(identity_pools(&System::new()).unwrap()).collect();
        assert!(salts(identity_pools(&System::new()).unwrap()).all(|salt| !one.contains(&salt)));
    }
}
