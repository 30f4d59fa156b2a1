//! Trying again, where others were faster or the server is busy, within a budget of time.

use std::sync::Arc;
use std::time::Duration;

use super::PeerError;
use crate::ibgib::Environment;
use crate::sync::SyncError;
use crate::sync::msg::{Refusal, RefusalCode};

/// The shortest and the longest span out of which a wait is drawn.
const SPAN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// How long at least where others have staged as much as may be staged.
const STAGED: Duration = Duration::from_secs(2);
/// How often at most: each try may leave a step of the identity behind.
const MAX_TRIES: u32 = 1000;

/// How often something was tried, and how long it may be tried again.
///
/// Not `backon`: its waits grow with the tries and are drawn by a generator of its own, while these
/// depend on how long the try took and on what the server said, and their random bytes and their clock
/// are the [`Environment`]'s, so that a run can be repeated.
#[derive(Debug)]
pub(super) struct Retries {
    pub(super) env: Arc<dyn Environment>,
    first: Duration,
    budget: Duration,
    tries: u32,
    began: Duration,
}

impl Retries {
    /// The first try; further ones begin within `budget`.
    pub(super) fn new(budget: Duration, env: Arc<dyn Environment>) -> Retries {
        let now = env.monotonic();
        Retries { env, first: now, budget, tries: 1, began: now }
    }

    /// How often it was tried.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    fn since(&self, moment: Duration) -> Duration {
        self.env.monotonic().saturating_sub(moment)
    }

    /// Waits, and then it may be tried again; where the time is used up, the error is what is left.
    ///
    /// The wait is drawn at random out of a span as long as what failed took, and does not grow
    /// with the tries: who lost before would lose ever more often against those who begin.
    pub(super) fn again(&mut self, error: PeerError) -> Result<(), PeerError> {
        let span = (self.since(self.began) * 2).clamp(SPAN.0, SPAN.1);
        let mut random = [0u8; 4];
        self.env.fill(&mut random).map_err(SyncError::from)?;
        let drawn = span.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX));
        let wait = match &error {
            PeerError::Busy { after, .. } => after.saturating_add(drawn),
            // Each try leaves frames behind, and a transfer of others takes its time.
            PeerError::Sync(SyncError::Refused(Refusal { code: RefusalCode::Staged, .. })) => {
                STAGED + drawn
            }
            _ => drawn,
        };
        let spent = self.since(self.first).saturating_add(wait);
        if self.tries >= MAX_TRIES || spent >= self.budget {
            return Err(error);
        }
        tracing::info!(%error, ?wait, "retrying");
        self.env.sleep(wait);
        self.tries += 1;
        self.began = self.env.monotonic();
        Ok(())
    }
}
