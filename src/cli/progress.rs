//! Progress on a terminal: bytes and ibGibs. Nothing where standard error is no terminal.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;

/// A bar that counts bytes and names the ibGibs beside them.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `what`, towards `total` bytes where the total is known; hidden where `out` shows
    /// no progress.
    pub fn new(out: &Output, what: impl Into<Cow<'static, str>>, total: Option<u64>) -> Progress {
        if !out.shows_progress() {
            return Progress(ProgressBar::hidden());
        }
        let (bar, form) = match total {
            Some(total) => (ProgressBar::new(total), KNOWN),
            None => (ProgressBar::new_spinner(), UNKNOWN),
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    /// Where the work stands: `bytes` and `ibgibs` since its beginning.
    pub fn at(&self, bytes: u64, ibgibs: u64) {
        if !self.0.is_hidden() {
            self.0.set_position(bytes);
            self.0.set_message(format!("{ibgibs} ibGibs"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const KNOWN: &str = "{prefix} {wide_bar} {bytes}/{total_bytes}, {msg}, {eta}";
const UNKNOWN: &str = "{prefix} {spinner} {bytes}, {msg}";
