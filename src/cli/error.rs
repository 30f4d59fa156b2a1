//! What a command fails with: a code for scripts, an exit code, a sentence for people.

mod code;
mod convert;

use std::io::ErrorKind;

use serde_json::{Map, Value};

use super::interrupt::Signal;
pub use code::ErrorCode;

/// What to do where a disk is full.
const ROOM: &str = "nothing is lost: make room, and run the command again";

/// What to do where SQLite cannot read a space's file.
pub const UNREADABLE: &str = "restore the file from a copy, or make a new home with `sync-gib --home NEW \
     setup --server URL --join I` and `sync-gib --home NEW sync`; `sync-gib graph X --live --format \
     ndjson | sync-gib --home NEW put` saves what can still be read";

/// What to do where a step that is signed cannot be read any more.
pub const LOST_STEP: &str = "`sync-gib repair` corrects a single flipped bit; otherwise sync another device of this \
     identity, and then this one; without another device, make a new home with \
     `sync-gib --home NEW setup --server URL --join I`, then `sync-gib graph X --live --format \
     ndjson | sync-gib --home NEW put`";

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// What went wrong, for scripts.
    pub code: ErrorCode,
    /// What the process exits with.
    pub exit: u8,
    /// What failed, on what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What the failure's JSON object holds besides.
    pub details: Option<Box<Map<String, Value>>>,
}

impl CliError {
    /// A failure with the exit code that belongs to `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> CliError {
        CliError { code, exit: code.exit(), message: message.into(), hint: None, details: None }
    }

    /// The same failure with a word on what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with one more field in its JSON object.
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> CliError {
        self.details.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// The same failure with a field of its JSON object, unless it has that field already.
    pub fn or_detail(self, key: &str, value: impl Into<Value>) -> CliError {
        match self.details.as_ref().is_some_and(|details| details.contains_key(key)) {
            true => self,
            false => self.detail(key, value),
        }
    }

    /// The same failure, told of a place: `at` stands before the message.
    pub fn at(mut self, at: impl std::fmt::Display) -> CliError {
        self.message = format!("{at}: {}", self.message);
        self
    }

    /// A command line that clap takes and that still makes no sense.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(ErrorCode::Usage, message)
    }

    /// The end that a signal brings.
    pub fn interrupted(signal: Signal) -> CliError {
        let message = format!("interrupted by {}", signal.name());
        let error = CliError::new(ErrorCode::Interrupted, message);
        CliError { exit: signal.exit(), ..error }
            .hint("what was committed is kept and nothing is left half done: run the command again")
    }

    /// A file or a stream that could not be read or written; `doing` tells which and what for.
    pub fn io(doing: impl std::fmt::Display, error: &std::io::Error) -> CliError {
        let message = format!("{doing}: {error}");
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                CliError::new(ErrorCode::DiskFull, message).hint(ROOM)
            }
            ErrorKind::ReadOnlyFilesystem => CliError::new(ErrorCode::ReadOnly, message),
            _ => CliError::new(ErrorCode::Io, message),
        }
    }

    /// The failure as `--json` prints it.
    pub fn to_value(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), self.code.as_str().into());
        error.insert("message".into(), self.message.clone().into());
        error.insert("hint".into(), self.hint.clone().into());
        Value::Object(error)
    }
}
