//! What is refused: what the client is told of it, and the log, at a bounded rate: whoever floods a server fills
//! no disk with it.

use std::fmt::Arguments;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use tracing::{info, warn};

use super::state::Shared;
use crate::sync::SyncError;
use crate::sync::msg::{Refusal, RefusalCode};

/// What can be done where a bound for good is reached.
const AT_A_BOUND: &str = "nothing of this was stored. `sync --pull-only` works while the reserve \
    for signing on lasts, revoking always; whoever runs the server can raise";

/// How many refusals are logged in one [`PERIOD`].
const LOGGED: u64 = 50;
/// The time for which refusals are counted.
const PERIOD: Duration = Duration::from_secs(10);

/// What was refused in this process lately.
static LATELY: Mutex<Counted> = Mutex::new(Counted { since: None, came: 0 });

/// What a client is told of an error: with what it, or whoever runs the server, can set.
pub(super) fn of(error: &SyncError) -> Refusal {
    let mut refusal = error.refusal();
    refusal.message += &match (error, refusal.code) {
        (SyncError::OwnStaged { .. }, _) => {
            ", or have `serve --max-staged-bytes` raised".to_owned()
        }
        (_, RefusalCode::Quota) => format!("; {AT_A_BOUND} `serve --quota`"),
        (_, RefusalCode::File) => format!("; {AT_A_BOUND} `serve --max-file-bytes`"),
        _ => String::new(),
    };
    refusal
}

/// Marks an answer that is a failure for a full disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct FullDisk;

/// Notes that the disk is full, where an answer is for that.
pub(super) async fn note_full_disk(
    State(shared): State<Arc<Shared>>,
    response: Response,
) -> Response {
    if response.extensions().get::<FullDisk>().is_some() {
        shared.full_disk.store(true, Ordering::Relaxed);
    }
    response
}

/// Logs a refusal, or only counts it where there were many lately.
pub(super) fn log(what: Arguments<'_>) {
    if is_logged() {
        warn!("{what}");
    }
}

/// Logs why a session ended that was not refused, as [`log`] does: anybody may open sockets and
/// close them.
pub(super) fn log_end(reason: &str) {
    if is_logged() {
        info!(reason, "session ended");
    }
}

/// Counts what is to be logged; whether it is.
fn is_logged() -> bool {
    let (logged, unsaid) =
        LATELY.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
    if unsaid > 0 {
        warn!(unsaid, "some refusals and ends of sessions were not logged");
    }
    logged
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
