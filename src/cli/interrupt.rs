//! SIGINT, SIGTERM and SIGHUP: how they end a command, and what happens before that.
//!
//! Spaces change in transactions only, so that a process may end anywhere; a thread of its own
//! waits for the signals, whatever the command waits for meanwhile.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// How long the last words of a command may take: who does not read them is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What ends a command from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, or Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Signal {
    /// What the process exits with: 128 and the signal's number, as shells have it.
    pub fn exit(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
            Signal::HangUp => 129,
        }
    }

    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::HangUp => "SIGHUP",
        }
    }
}

/// Signals that are caught and wait for somebody to act on them.
pub struct Signals {
    runtime: Runtime,
    source: source::Source,
}

/// Catches the signals from now on; none where the system refuses, which then ends the process as
/// it ends others.
pub fn catch() -> Option<Signals> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let source = {
        let _entered = runtime.enter();
        source::Source::open()?
    };
    Some(Signals { runtime, source })
}

impl Signals {
    /// Ends the process at the first signal with what `ending` returns, unless [`take_over`] was
    /// called. A second signal ends it at once, also where `ending` waits for something.
    pub fn end_with(self, ending: impl FnOnce(Signal) -> u8 + Send + 'static) {
        let Signals { runtime, mut source } = self;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let signal = loop {
                    let signal = source.next().await;
                    match TAKEN.get() {
                        Some(taken) => taken.notify_one(),
                        None => break signal,
                    }
                };
                std::thread::spawn(move || {
                    let _whole = hold();
                    let exit = ending(signal);
                    leave(exit)
                });
                let _ = tokio::time::timeout(LAST_WORDS, source.next()).await;
                leave(signal.exit())
            })
        });
    }
}

static TAKEN: OnceLock<Notify> = OnceLock::new();
static HELD: Mutex<()> = Mutex::new(());
static AT_END: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());

type Action = Box<dyn FnOnce() + Send>;

/// From now on a signal does not end the process: the future ends, for a command that has an end of its
/// own, such as a server that closes its sockets.
pub fn take_over() -> impl Future<Output = ()> {
    TAKEN.get_or_init(Notify::new).notified()
}

/// While it lives a signal waits: what must not be left half done is short.
pub struct Hold(#[expect(dead_code, reason = "dropping it is its use")] MutexGuard<'static, ()>);

/// Lets signals wait; not for a thread that holds them already.
pub fn hold() -> Hold {
    Hold(lock(&HELD))
}

/// Something to be done where a signal ends the process, and not where this was dropped before.
pub struct AtEnd(u64);

/// Has `action` run where a signal ends the process: what the process changed outside of itself
/// and would change back on its usual way out.
pub fn at_end(action: impl FnOnce() + Send + 'static) -> AtEnd {
    let mut actions = lock(&AT_END);
    let id = actions.last().map_or(0, |(last, _)| last + 1);
    actions.push((id, Box::new(action)));
    AtEnd(id)
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        lock(&AT_END).retain(|(id, _)| *id != self.0);
    }
}

fn leave(exit: u8) -> ! {
    let actions = std::mem::take(&mut *lock(&AT_END));
    for (_, action) in actions.into_iter().rev() {
        action();
    }
    std::process::exit(i32::from(exit))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
mod source {
    use tokio::signal::unix::{self, SignalKind, signal};

    use super::Signal;

    /// Where the signals come from.
    pub(super) struct Source {
        interrupt: unix::Signal,
        terminate: unix::Signal,
        hang_up: Option<unix::Signal>,
    }

    impl Source {
        pub(super) fn open() -> Option<Source> {
            Some(Source {
                interrupt: signal(SignalKind::interrupt()).ok()?,
                terminate: signal(SignalKind::terminate()).ok()?,
                hang_up: match ignores_hang_up() {
                    true => None,
                    false => Some(signal(SignalKind::hangup()).ok()?),
                },
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            let hang_up = async {
                let Some(hang_up) = &mut self.hang_up else { return std::future::pending().await };
                hang_up.recv().await
            };
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
                _ = hang_up => Signal::HangUp,
            }
        }
    }

    /// Whether the process was started to survive its terminal (`nohup`), where the system tells.
    fn ignores_hang_up() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 == 1)
    }
}

#[cfg(windows)]
mod source {
    use tokio::signal::windows::{CtrlC, ctrl_c};

    use super::Signal;

    /// Where the signals come from.
    pub(super) struct Source(CtrlC);

    impl Source {
        pub(super) fn open() -> Option<Source> {
            ctrl_c().ok().map(Source)
        }

        pub(super) async fn next(&mut self) -> Signal {
            let _ = self.0.recv().await;
            Signal::Interrupt
        }
    }
}
