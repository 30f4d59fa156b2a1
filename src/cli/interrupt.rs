//! Ctrl-C: the process ends with exit code 130.

use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);

/// What an interrupted process exits with.
pub const EXIT: u8 = 130;

/// Ends the process with [`EXIT`] at SIGINT, unless somebody holds it.
///
/// Spaces change in transactions only, so that a process may end anywhere. A command with an end
/// of its own (a server that closes its sockets) does not call this, or [`hold`]s it.
pub fn exit_on_sigint() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    // Registered here, so that no signal between now and the thread's start is lost.
    let signal = {
        let _entered = runtime.enter();
        sigint()
    };
    let Some(mut signal) = signal else { return };
    std::thread::spawn(move || {
        runtime.block_on(async {
            while signal.recv().await.is_some() {
                if HELD.load(Ordering::SeqCst) == 0 {
                    std::process::exit(i32::from(EXIT));
                }
            }
        });
    });
}

#[cfg(unix)]
fn sigint() -> Option<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::interrupt()).ok()
}

#[cfg(windows)]
fn sigint() -> Option<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c().ok()
}

/// While it lives, SIGINT does not end the process: its holder does.
pub struct Hold(());

/// Takes SIGINT over, say to give a terminal its echo back first.
pub fn hold() -> Hold {
    HELD.fetch_add(1, Ordering::SeqCst);
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}
