//! What a command prints: lines for people, or one JSON object for scripts.
//!
//! A command's result goes to standard output, everything else to standard error. Whoever reads
//! standard output may stop at any time (`| head -1`): the command then ends quietly.

mod escape;
mod printed;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use self::printed::Printed;
use super::error::{CliError, ErrorCode};
use super::interrupt::Signal;
use crate::ibgib::json::stringify;
pub use crate::ibgib::printable;

/// Where a command prints to, and how.
pub struct Output {
    printed: Arc<Mutex<Printed>>,
    /// A signal ends the process: nothing more is printed.
    ending: Arc<AtomicBool>,
    quiet: bool,
}

impl Output {
    /// Output of `command` to standard output; `json`: one JSON object instead of lines, `quiet`:
    /// no notes.
    pub fn new(command: &str, json: bool, quiet: bool) -> Output {
        let terminal = io::stdout().is_terminal();
        Output::to(Printed::new(Box::new(io::stdout()), command, json, terminal), quiet)
    }

    fn to(printed: Printed, quiet: bool) -> Output {
        Output { printed: Arc::new(Mutex::new(printed)), ending: Arc::default(), quiet }
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        let printed = lock(&self.printed);
        if self.ending.load(Ordering::SeqCst) {
            drop(printed);
            loop {
                std::thread::park();
            }
        }
        printed
    }

    /// What ends the output at a signal: the failure with `--json`, unless the result is out
    /// already. It returns what the process exits with, and nothing is printed after it.
    pub fn interrupter(&self) -> impl FnOnce(Signal) -> u8 + Send + use<> {
        let (printed, ending) = (Arc::clone(&self.printed), Arc::clone(&self.ending));
        move |signal| {
            ending.store(true, Ordering::SeqCst);
            lock(&printed).interrupt(signal)
        }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.printed().is_json()
    }

    /// From here on, prints one JSON object as with `--json`.
    pub fn use_json(&mut self) {
        self.printed().use_json();
    }

    /// Whether progress may be shown: standard error is a terminal and nobody asked for silence.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// Prints a line for people; nothing with `--json`.
    pub fn line(&mut self, line: impl Display) -> Result<(), CliError> {
        self.printed().line(line)
    }

    /// Prints a word on the way to standard error; nothing with `--quiet` or `--json`.
    pub fn note(&self, note: impl Display) {
        if !self.quiet && !self.is_json() {
            to_stderr(note);
        }
    }

    /// Ends a good command: with `--json`, prints `{"ok":true,"command":…}` and the fields of
    /// `fields`, an object.
    pub fn done(&mut self, fields: Value) -> Result<(), CliError> {
        self.printed().done(fields)
    }

    /// Begins a list of unknown length: with `--json`, an array under `key`, after the fields of
    /// `fields`, an object. [`Output::end_list`] ends it, and so does a failure.
    pub fn begin_list(&mut self, key: &str, fields: Value) -> Result<(), CliError> {
        self.printed().begin_list(key, fields)
    }

    /// Prints one item: `line` for people, `value` for scripts.
    pub fn item(
        &mut self,
        line: impl Display,
        value: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        self.printed().item(line, value)
    }

    /// Prints one item that is JSON text on one line for people and scripts alike.
    pub fn json_line(&mut self, text: &str) -> Result<(), CliError> {
        self.printed().json_line(text)
    }

    /// Ends the list; with `--json`, the fields of `fields` follow it, then `"ok":true`.
    pub fn end_list(&mut self, fields: Value) -> Result<(), CliError> {
        self.printed().end_list(fields)
    }

    /// Prints a failure: a JSON object on standard output with `--json` (where a list has begun,
    /// the rest of its object), else a sentence and a hint on standard error; there, too, where
    /// the result is out already.
    pub fn fail(&mut self, error: &CliError) {
        if error.code == ErrorCode::ClosedPipe {
            return;
        }
        let printed = self.printed().fail(error);
        // Who interrupts a command knows it.
        if printed || error.code == ErrorCode::Interrupted {
            return;
        }
        to_stderr(format_args!("sync-gib: {}", error.message));
        if let Some(hint) = &error.hint {
            to_stderr(format_args!("hint: {hint}"));
        }
    }

    /// Writes text as it stands.
    pub fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), CliError> {
        self.printed().write(text)
    }

    /// Hands everything on to whoever reads.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.printed().flush()
    }
}

fn lock(printed: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    printed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a warning to standard error, whatever was asked for.
pub fn warn(warning: impl Display) {
    to_stderr(format_args!("sync-gib: warning: {warning}"));
}

/// Prints a line to standard error; that nobody can read it is no failure.
fn to_stderr(line: impl Display) {
    let mut err = io::stderr().lock();
    let _ = match err.is_terminal() {
        true => writeln!(err, "{}", escape::shown(&line.to_string())),
        false => writeln!(err, "{line}"),
    };
}

/// The failure of a command line that could not be read, as `--json` prints it.
pub fn usage_failure(command: &str, error: &CliError) -> String {
    stringify(&json!({
        "ok": false, "command": command, "error": error.to_value(), "exit": error.exit,
    }))
}

/// A number of bytes for people: `512 B`, `3.4 KiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(json: bool) -> (Output, Sink) {
        let sink = Sink::default();
        (Output::to(Printed::new(Box::new(sink.clone()), "get", json, false), false), sink)
    }

    fn text(sink: &Sink) -> String {
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    fn object(sink: &Sink) -> Value {
        serde_json::from_str(&text(sink)).unwrap()
    }

    #[test]
    fn an_interrupt_ends_the_object_wherever_it_is() {
        let (out, sink) = output(true);
        assert_eq!(out.interrupter()(Signal::Terminate), 143);
        assert_eq!(object(&sink)["error"]["code"], "interrupted");
        assert_eq!(object(&sink)["exit"], 143);

        let (mut out, sink) = output(true);
        out.begin_list("items", json!({})).unwrap();
        out.json_line("1").unwrap();
        assert_eq!(out.interrupter()(Signal::HangUp), 129);
        assert_eq!(object(&sink)["items"], json!([1]));
        assert_eq!(object(&sink)["ok"], false);

        let (mut out, sink) = output(true);
        out.done(json!({})).unwrap();
        assert_eq!(out.interrupter()(Signal::Interrupt), 0, "the result is out");
        assert_eq!(object(&sink)["ok"], true);
    }

    #[test]
    fn a_failure_after_the_result_is_no_second_object() {
        let (mut out, sink) = output(true);
        out.done(json!({})).unwrap();
        out.fail(&CliError::new(ErrorCode::Io, "late"));
        assert_eq!(object(&sink)["ok"], true);
    }

    #[test]
    fn a_list_is_one_object() {
        let (mut out, sink) = output(true);
        out.begin_list("items", json!({"a": 1})).unwrap();
        out.json_line("1").unwrap();
        out.item("two", || json!("two")).unwrap();
        out.end_list(json!({"count": 2})).unwrap();
        let expected = r#"{"command":"get","a":1,"items":[1,"two"],"count":2,"ok":true}"#;
        assert_eq!(text(&sink), format!("{expected}\n"));
    }

    #[test]
    fn a_failure_inside_a_list_ends_the_object() {
        let (mut out, sink) = output(true);
        out.begin_list("items", json!({})).unwrap();
        out.json_line("1").unwrap();
        out.fail(&CliError::new(ErrorCode::NotFound, "gone").detail("line", 3));
        let value: Value = serde_json::from_str(&text(&sink)).unwrap();
        assert_eq!(value["items"], json!([1]));
        assert_eq!(value["ok"], false);
        assert_eq!(value["line"], 3);
        assert_eq!(value["error"]["code"], "not_found");
        assert_eq!(value["exit"], 1);
    }

    #[test]
    fn people_read_lines() {
        let (mut out, sink) = output(false);
        out.begin_list("items", json!({})).unwrap();
        out.item("two", || json!(2)).unwrap();
        out.end_list(json!({})).unwrap();
        assert_eq!(text(&sink), "two\n");
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("a\u{1b}[2J\nb\u{202e}é"), "a\\u{1b}[2J\\u{a}b\\u{202e}é");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }
}
