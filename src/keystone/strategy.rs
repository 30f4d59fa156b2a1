//! The strategy `hash-reveal-v1`: how a master secret makes challenges and their solutions
//! (docs/protocol.md, section 4).
//!
//! Each step hashes `edge + middle + edge` to lowercase hex, and that again as the middle, as
//! often as the pool's rounds say.

use sha2::{Digest, Sha256, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::pool_config::{Algo, PoolConfig};
use super::secret::MasterSecret;
use crate::ibgib::addr::lower_hex;

/// The secret of one pool: it solves this pool's challenges and no other's.
pub struct PoolSecret {
    algo: Algo,
    rounds: u32,
    secret: Zeroizing<String>,
}

impl PoolSecret {
    /// The secret of the pool with this config.
    pub fn derive(master: &MasterSecret, config: &PoolConfig) -> PoolSecret {
        let (algo, rounds) = (config.algo, config.rounds);
        PoolSecret { algo, rounds, secret: stretch(algo, rounds, &config.salt, master.expose()) }
    }

    /// The pool's secret itself, hex.
    pub fn expose(&self) -> &str {
        &self.secret
    }

    /// What solves the challenge `id`, hex; a secret until it is revealed.
    pub fn solution(&self, id: &str) -> Zeroizing<String> {
        stretch(self.algo, self.rounds, id, &self.secret)
    }

    /// The hash that the challenge `id` publishes.
    pub fn challenge(&self, id: &str) -> String {
        challenge(self.algo, self.rounds, id, &self.solution(id))
    }
}

/// The hash that the challenge `id` publishes where `solution` solves it. A proof is checked by
/// comparing the two.
pub fn challenge(algo: Algo, rounds: u32, id: &str, solution: &str) -> String {
    std::mem::take(&mut *stretch(algo, rounds, id, solution))
}

fn stretch(algo: Algo, rounds: u32, edge: &str, middle: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(middle.to_owned());
    for _ in 0..rounds {
        value = match algo {
            Algo::Sha256 => hash::<Sha256>(edge, &value),
            Algo::Sha512 => hash::<Sha512>(edge, &value),
        };
    }
    value
}

fn hash<D: Digest>(edge: &str, middle: &str) -> Zeroizing<String> {
    let digest = D::new().chain_update(edge).chain_update(middle).chain_update(edge);
    let mut digest = digest.finalize();
    let hex = Zeroizing::new(lower_hex(&digest));
    digest.as_mut_slice().zeroize();
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_hashes_the_last_one_between_the_edges() {
        let once = stretch(Algo::Sha256, 1, "id", "middle");
        let twice = stretch(Algo::Sha256, 2, "id", "middle");
        assert_eq!(twice, stretch(Algo::Sha256, 1, "id", &once));
        assert_eq!(once.len(), Algo::Sha256.hex_len());
        assert_eq!(stretch(Algo::Sha512, 1, "id", "middle").len(), Algo::Sha512.hex_len());
    }

    #[test]
    fn pools_of_one_secret_share_nothing() {
        let master = MasterSecret::from_raw("secret".to_owned().into()).unwrap();
        let mut config = crate::keystone::testing::pool("p", super::super::Replenish::TopUp);
        let one = PoolSecret::derive(&master, &config);
        config.salt.push('x');
        let other = PoolSecret::derive(&master, &config);
        assert_ne!(one.challenge("0123456789abcdef"), other.challenge("0123456789abcdef"));
    }
}
