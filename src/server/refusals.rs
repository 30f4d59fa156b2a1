//! The log of what is refused, at a bounded rate: whoever floods a server fills no disk with it.

use std::fmt::Arguments;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// How many refusals are logged in one [`PERIOD`].
const LOGGED: u64 = 50;
/// The time for which refusals are counted.
const PERIOD: Duration = Duration::from_secs(10);

/// What was refused in this process lately.
static LATELY: Mutex<Counted> = Mutex::new(Counted { since: None, came: 0 });

/// Logs a refusal, or only counts it where there were many lately.
pub(super) fn log(what: Arguments<'_>) {
    let (logged, unsaid) =
        LATELY.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
    if unsaid > 0 {
        warn!(unsaid, "some refusals were not logged");
    }
    if logged {
        warn!("{what}");
    }
}

#[derive(Debug)]
struct Counted {
    since: Option<Instant>,
    came: u64,
}

impl Counted {
    /// Counts one more: whether it is logged, and how many went unsaid before it.
    fn count(&mut self, now: Instant) -> (bool, u64) {
        let mut unsaid = 0;
        if self.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            unsaid = self.came.saturating_sub(LOGGED);
            *self = Counted { since: Some(now), came: 0 };
        }
        self.came += 1;
        (self.came <= LOGGED, unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_fills_no_log() {
        let (mut counted, start) = (Counted { since: None, came: 0 }, Instant::now());
        let logged = (0..1000).filter(|_| counted.count(start).0).count();
        assert_eq!(logged as u64, LOGGED);
        let later = start + PERIOD;
        assert_eq!(counted.count(later), (true, 1000 - LOGGED));
        assert_eq!(counted.count(later), (true, 0));
    }
}
