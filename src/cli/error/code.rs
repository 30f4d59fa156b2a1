//! What went wrong, for scripts: the codes of `--json` and the exit codes that belong to them.

use crate::cli::interrupt::Signal;

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
    /// The server and this program speak no version of the protocol in common.
    Version,
    /// The server cannot be reached, or is not a sync-gib server.
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
            ErrorCode::Version => "version",
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
            | ErrorCode::Conflict
            | ErrorCode::Version => 1,
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
