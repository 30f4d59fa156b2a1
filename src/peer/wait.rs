//! Waiting for a future on a thread that may wait.

use tokio::task::coop::unconstrained;

/// The result of a future, for which this thread waits. Unlike a runtime's own `block_on` this may be
/// called on a thread of a runtime: it then holds that thread, and whatever else waits for it.
///
/// The future is not held to the budget of the task that may run on this thread, which no runtime
/// would renew here.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    pollster::block_on(unconstrained(future))
}
