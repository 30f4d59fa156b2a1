//! What a command fails with: a code for scripts, an exit code, a sentence for people.

use std::io::ErrorKind;

use serde_json::{Map, Value};

use super::interrupt::Signal;
use super::output::printable;
use crate::ibgib::transform::TransformError;
use crate::ibgib::{AddrError, IbGibError};
use crate::keystone::{KdfError, KeystoneError};
use crate::peer::PeerError;
use crate::server::ServerError;
use crate::space::SpaceError;
use crate::sync::SyncError;
use crate::sync::msg::RefusalCode;

/// What went wrong, in a form that scripts can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The command line makes no sense.
    Usage,
    /// What was read (standard input, a file) is not what was asked for.
    BadInput,
    /// A change or an import that the rules do not allow.
    Refused,
    /// Two things that had to be equal, or a rule that had to hold, are not or does not.
    Different,
    /// What an address or a name stands for is not here.
    NotFound,
    /// A short form stands for more than one address.
    Ambiguous,
    /// Somebody else changed the same thing meanwhile.
    Conflict,
    /// The server cannot be reached, or does not speak this protocol.
    Unreachable,
    /// There is no space where one was expected.
    NoSpace,
    /// The space or the configuration is damaged, or made by a newer program.
    Damaged,
    /// The space is in use by another process for too long.
    Busy,
    /// There is no room left on the disk.
    DiskFull,
    /// The space's file, its folder or its disk can only be read.
    ReadOnly,
    /// A file could not be read or written.
    Io,
    /// No secret was given, or it is not the right one.
    SecretRefused,
    /// An identity is missing, forked, revoked, or not accepted.
    IdentityRefused,
    /// The person interrupted the command.
    Interrupted,
    /// Whoever read standard output reads no more; nothing is wrong.
    ClosedPipe,
}

impl ErrorCode {
    /// The code's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::Usage => "usage",
            ErrorCode::BadInput => "bad_input",
            ErrorCode::Refused => "refused",
            ErrorCode::Different => "different",
            ErrorCode::NotFound => "not_found",
            ErrorCode::Ambiguous => "ambiguous",
            ErrorCode::Conflict => "conflict",
            ErrorCode::Unreachable => "unreachable",
            ErrorCode::NoSpace => "no_space",
            ErrorCode::Damaged => "damaged",
            ErrorCode::Busy => "busy",
            ErrorCode::DiskFull => "disk_full",
            ErrorCode::ReadOnly => "read_only",
            ErrorCode::Io => "io",
            ErrorCode::SecretRefused => "secret_refused",
            ErrorCode::IdentityRefused => "identity_refused",
            ErrorCode::Interrupted => "interrupted",
            ErrorCode::ClosedPipe => "closed_pipe",
        }
    }

    /// The exit code: 0 good, 1 difference or refused, 2 usage, 3 server unreachable, 4 local data
    /// broken, 5 identity or secret refused, 130 interrupted (129, 143 where the signal was another).
    pub fn exit(self) -> u8 {
        match self {
            ErrorCode::ClosedPipe => 0,
            ErrorCode::BadInput
            | ErrorCode::Refused
            | ErrorCode::Different
            | ErrorCode::NotFound
            | ErrorCode::Ambiguous
            | ErrorCode::Conflict => 1,
            ErrorCode::Usage => 2,
            ErrorCode::Unreachable => 3,
            ErrorCode::NoSpace
            | ErrorCode::Damaged
            | ErrorCode::Busy
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::Io => 4,
            ErrorCode::SecretRefused | ErrorCode::IdentityRefused => 5,
            ErrorCode::Interrupted => Signal::Interrupt.exit(),
        }
    }
}

/// What to do where a disk is full.
const ROOM: &str = "nothing is lost: make room, and run the command again";

/// What to do where SQLite cannot read a space's file.
pub const UNREADABLE: &str = "restore the file from a copy, or make a new home with `sync-gib --home NEW \
     setup --server URL --join I` and `sync-gib --home NEW sync`; `sync-gib graph X --live --format \
     ndjson | sync-gib --home NEW put` saves what can still be read";

/// What to do where a step that is signed cannot be read any more.
pub const LOST_STEP: &str = "`sync-gib repair` mends a flipped bit; else sync another device of this \
     identity and then this one, which goes on from there; without one, make a new home with \
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
            .hint("what was committed stays, nothing is half done: run the command again")
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

impl From<IbGibError> for CliError {
    fn from(error: IbGibError) -> CliError {
        CliError::new(ErrorCode::BadInput, error.to_string())
    }
}

impl From<AddrError> for CliError {
    fn from(error: AddrError) -> CliError {
        CliError::new(ErrorCode::BadInput, error.to_string())
    }
}

impl From<TransformError> for CliError {
    fn from(error: TransformError) -> CliError {
        CliError::new(ErrorCode::Refused, error.to_string())
    }
}

impl From<PeerError> for CliError {
    fn from(error: PeerError) -> CliError {
        let message = printable(&error.to_string());
        match error {
            PeerError::Url(_) | PeerError::Tls(_) => CliError::usage(message),
            PeerError::Unreachable { .. } => CliError::new(ErrorCode::Unreachable, message)
                .hint("is the server running? try again"),
            PeerError::Stopped { .. } | PeerError::Late { .. } => {
                CliError::new(ErrorCode::Unreachable, message)
                    .hint("nothing is lost: run the command again")
            }
            PeerError::Busy { .. } => CliError::new(ErrorCode::Unreachable, message)
                .hint("nothing is lost: run the command again in a while"),
            PeerError::Fault(_) => CliError::new(ErrorCode::Unreachable, message)
                .hint("nothing is lost, and nothing more was signed: the server needs mending"),
            PeerError::Strange { .. } => CliError::new(ErrorCode::Unreachable, message),
            PeerError::Forked(domain) => {
                let domain = printable(domain.as_str());
                CliError::new(ErrorCode::IdentityRefused, message).hint(format!(
                    "the server takes nothing more from this home, and its data stays here. Begin \
                     in a new one: `sync-gib --home NEW setup --join '{domain}' --server URL`. If \
                     it was you who signed, take the data over with `graph X --live --format \
                     ndjson` here and `put` there; if not, end the identity with `sync-gib --home \
                     NEW keystone revoke --yes`"
                ))
            }
            PeerError::Sync(error) => error.into(),
        }
    }
}

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> CliError {
        let message = printable(&error.to_string());
        let limit = match &error {
            SyncError::Refused(refusal) => refusal.code.limit(),
            _ => None,
        };
        let code = match error {
            SyncError::Space(error) => return error.into(),
            SyncError::Keystone(error) => return error.into(),
            SyncError::TooMuch { .. } => {
                return CliError::new(ErrorCode::Refused, message).hint(
                    "nothing was stored: `sync --max-pull-bytes BYTES` takes more at once, and \
                     with addresses it syncs in parts",
                );
            }
            SyncError::Refused(refusal) => match refusal.code {
                RefusalCode::Auth => ErrorCode::IdentityRefused,
                RefusalCode::Conflict => ErrorCode::Conflict,
                RefusalCode::NotFound => ErrorCode::NotFound,
                RefusalCode::Internal
                | RefusalCode::Busy
                | RefusalCode::Staged
                | RefusalCode::Timeout => ErrorCode::Unreachable,
                RefusalCode::Content
                | RefusalCode::Limit
                | RefusalCode::Protocol
                | RefusalCode::Quota
                | RefusalCode::File
                | RefusalCode::Identities => ErrorCode::Refused,
            },
            SyncError::Auth(_) => ErrorCode::IdentityRefused,
            SyncError::Conflict(_) => ErrorCode::Conflict,
            SyncError::Protocol(_)
            | SyncError::Content(_)
            | SyncError::Limit(_)
            | SyncError::Diverged(_)
            | SyncError::IbGib(_)
            | SyncError::Merge(_) => ErrorCode::Refused,
            SyncError::Staged { .. } => ErrorCode::Unreachable,
            SyncError::Random(_) => ErrorCode::Io,
        };
        let error = CliError::new(code, message);
        let error = match limit {
            Some(limit) => error.detail("limit", limit),
            None => error,
        };
        match code {
            ErrorCode::Unreachable => {
                error.hint("nothing is lost: run the command again in a while")
            }
            _ => error,
        }
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> CliError {
        let message = error.to_string();
        match error {
            ServerError::Space(error @ SpaceError::Damaged { .. }) => CliError::from(error)
                .hint("`sync-gib serve --check` lists what is damaged; restore it from a copy"),
            ServerError::Space(error) => error.into(),
            ServerError::Tls(_) => CliError::usage(message),
            ServerError::Listen { .. } => CliError::new(ErrorCode::Io, message)
                .hint("another process may listen there; give another --listen"),
            ServerError::Failed(_) => CliError::new(ErrorCode::Io, message),
        }
    }
}

impl From<KdfError> for CliError {
    fn from(error: KdfError) -> CliError {
        CliError::new(ErrorCode::SecretRefused, error.to_string())
    }
}

impl From<SpaceError> for CliError {
    fn from(error: SpaceError) -> CliError {
        let code = match &error {
            SpaceError::Io { .. } => ErrorCode::Io,
            SpaceError::NoFile(_) | SpaceError::NoParent(_) => ErrorCode::NoSpace,
            SpaceError::Sqlite { .. }
            | SpaceError::NotASpace { .. }
            | SpaceError::Newer { .. }
            | SpaceError::Empty(_)
            | SpaceError::Damaged { .. }
            | SpaceError::PendingDamaged { .. }
            | SpaceError::NoSuchId(_) => ErrorCode::Damaged,
            SpaceError::Busy(_) => ErrorCode::Busy,
            SpaceError::Full(_) => ErrorCode::DiskFull,
            SpaceError::ReadOnly(_) => ErrorCode::ReadOnly,
            SpaceError::Missing { .. }
            | SpaceError::Diverged { .. }
            | SpaceError::NDoesNotGrow { .. }
            | SpaceError::NTooHigh { .. }
            | SpaceError::Unwanted(_)
            | SpaceError::UnnamedMove { .. }
            | SpaceError::NotATjp { .. }
            | SpaceError::NoPast { .. }
            | SpaceError::TooManyWaiting { .. }
            | SpaceError::OverQuota { .. }
            | SpaceError::FileBound { .. } => ErrorCode::Refused,
            SpaceError::TipMoved { .. } => ErrorCode::Conflict,
            SpaceError::KeystoneFork { .. }
            | SpaceError::KeystoneInvalid { .. }
            | SpaceError::Revoked(_) => ErrorCode::IdentityRefused,
            SpaceError::IbGib(_) => ErrorCode::BadInput,
        };
        let told = CliError::new(code, printable(&error.to_string()));
        match (&error, code) {
            (SpaceError::Damaged { .. }, _) => told.hint(
                "`sync-gib check --local` lists what is damaged, and `sync-gib repair` fetches it \
                 from the server; else restore the file from a copy",
            ),
            (SpaceError::Revoked(_), _) => told.hint(
                "it signs nothing any more. The data here stays readable; a new identity takes it \
                 over: `sync-gib --home NEW setup --server URL`, then `graph X --live --format \
                 ndjson` here and `put` there",
            ),
            (SpaceError::Empty(_), _) => told.hint(
                "restore it from a copy, or make a new home with `sync-gib setup --join I` and \
                 sync; where nothing was in it yet, `sync-gib setup` makes it",
            ),
            (SpaceError::PendingDamaged { .. }, _) => told.hint(LOST_STEP),
            (_, ErrorCode::DiskFull) => told.hint(ROOM),
            (_, ErrorCode::ReadOnly) => {
                told.hint("copy it to where you may write, or use another user")
            }
            _ => told,
        }
    }
}

impl From<KeystoneError> for CliError {
    fn from(error: KeystoneError) -> CliError {
        let code = match &error {
            KeystoneError::SecretRefused { .. } => ErrorCode::SecretRefused,
            _ => ErrorCode::IdentityRefused,
        };
        CliError::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::msg::Refusal;

    #[test]
    fn a_bound_for_good_is_a_refusal_and_a_passing_one_a_server_that_is_busy() {
        for (code, exit, limit) in [
            (RefusalCode::Quota, 1, "quota"),
            (RefusalCode::File, 1, "file"),
            (RefusalCode::Identities, 1, "identities"),
            (RefusalCode::Staged, 3, "staged"),
        ] {
            let error = CliError::from(SyncError::Refused(Refusal { code, message: "m".into() }));
            let details = error.details.unwrap_or_default();
            assert_eq!((error.exit, details.get("limit")), (exit, Some(&limit.into())));
        }
    }
}
