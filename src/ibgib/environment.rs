//! Time and random bytes, passed in: what the pure rooms and the state machines take of the world.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::addr::lower_hex;
use super::timestamp::Moment;

/// Where a state machine gets its time and its random bytes from.
///
/// With the same answers from it, and the same messages, a machine does the same to the bit
/// (docs/architecture.md, "Machines").
pub trait Environment: Debug + Send + Sync {
    /// The time of day, for timestamps.
    fn now(&self) -> Moment;
    /// A time that only moves forward, whatever is done to the time of day; for deadlines.
    fn monotonic(&self) -> Duration;
    /// Fills `bytes` with random ones. Errors where the system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
    /// Lets time pass.
    fn sleep(&self, time: Duration);
}

/// `bytes` random bytes as lowercase hex.
pub(crate) fn random_hex(env: &dyn Environment, bytes: usize) -> Result<String, RandomError> {
    let mut random = vec![0u8; bytes];
    env.fill(&mut random)?;
    Ok(lower_hex(&random))
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// The machine's own clock and random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct System {
    fixed: Option<Moment>,
}

impl System {
    /// What the machine says.
    pub const fn new() -> System {
        System { fixed: None }
    }

    /// The same, at a time of day that stands still.
    pub const fn at(moment: Moment) -> System {
        System { fixed: Some(moment) }
    }
}

impl Environment for System {
    fn now(&self) -> Moment {
        self.fixed.unwrap_or_else(Moment::now)
    }

    fn monotonic(&self) -> Duration {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        Ok(getrandom::fill(bytes)?)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Time and bytes from a seed, for transcripts that replay and for simulations. Never for a secret.
///
/// The bytes are the SHA-256 of the seed and a counter: they stay the same with every version of
/// every library.
#[derive(Debug)]
pub struct Seeded {
    seed: [u8; 32],
    at: Mutex<SeededAt>,
}

#[derive(Debug)]
struct SeededAt {
    blocks: u64,
    rest: Vec<u8>,
    since_start: Duration,
    start: Moment,
}

impl Seeded {
    /// From `seed` on, beginning at `start`.
    pub fn new(seed: u64, start: Moment) -> Seeded {
        let at = SeededAt { blocks: 0, rest: Vec::new(), since_start: Duration::ZERO, start };
        Seeded { seed: Sha256::digest(seed.to_le_bytes()).into(), at: Mutex::new(at) }
    }

    /// Sets the time of day, as somebody does who sets a clock; deadlines do not notice.
    pub fn set_now(&self, now: Moment) {
        let mut at = self.lock();
        let since = u64::try_from(at.since_start.as_millis()).unwrap_or(u64::MAX);
        at.start = Moment::from_ms(now.ms().saturating_sub(since)).unwrap_or_default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SeededAt> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Environment for Seeded {
    fn now(&self) -> Moment {
        let at = self.lock();
        let since = u64::try_from(at.since_start.as_millis()).unwrap_or(u64::MAX);
        Moment::from_ms(at.start.ms().saturating_add(since)).unwrap_or(at.start)
    }

    fn monotonic(&self) -> Duration {
        self.lock().since_start
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        let mut at = self.lock();
        for byte in bytes {
            if at.rest.is_empty() {
                let block =
                    Sha256::new().chain_update(self.seed).chain_update(at.blocks.to_le_bytes());
                at.rest = block.finalize().to_vec();
                at.blocks += 1;
            }
            *byte = at.rest.pop().unwrap_or_default();
        }
        Ok(())
    }

    fn sleep(&self, time: Duration) {
        let mut at = self.lock();
        at.since_start = at.since_start.saturating_add(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(env: &Seeded, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        env.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn one_seed_gives_the_same_time_and_bytes_in_whatever_portions() {
        let start = Moment::from_ms(1_000).unwrap();
        let (one, other) = (Seeded::new(7, start), Seeded::new(7, start));
        let whole = bytes(&one, 100);
        assert_eq!([bytes(&other, 33), bytes(&other, 67)].concat(), whole);
        assert_ne!(bytes(&Seeded::new(8, start), 100), whole);
    }

    #[test]
    fn a_set_clock_moves_the_time_of_day_alone() {
        let env = Seeded::new(1, Moment::from_ms(1_000).unwrap());
        env.sleep(Duration::from_millis(5));
        assert_eq!(env.now().ms(), 1_005);
        env.set_now(Moment::from_ms(500).unwrap());
        env.sleep(Duration::from_millis(1));
        assert_eq!((env.now().ms(), env.monotonic().as_millis()), (501, 6));
    }
}
