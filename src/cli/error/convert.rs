//! What the library's errors are at the edge: their code, and what to do next.

use super::{CliError, ErrorCode, LOST_STEP, ROOM};
use crate::cli::output::printable;
use crate::ibgib::transform::TransformError;
use crate::ibgib::{AddrError, IbGibError};
use crate::keystone::{KdfError, KeystoneError};
use crate::peer::{ConnectFault, PeerError, TlsError, TlsFile};
use crate::server::ServerError;
use crate::space::SpaceError;
use crate::sync::SyncError;
use crate::sync::msg::RefusalCode;
use crate::verify::CheckError;

/// How many characters of an error are shown: it may name what another side sent, which may be
/// megabytes.
const MOST_SHOWN: usize = 4000;

/// An error's text, fit to be shown.
fn shown(error: &str) -> String {
    match error.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => printable(&error[..end]) + "…",
        None => printable(error),
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
        let message = match error.connect_fault() {
            Some(ConnectFault::UnknownAuthority) => {
                format!("{error} (give the authority that signed it with --ca-cert)")
            }
            _ => error.to_string(),
        };
        let message = shown(&message);
        match error {
            PeerError::Tls(error) => error.into(),
            PeerError::Plaintext(_) => {
                CliError::usage(format!("{message}, or --allow-plaintext on a network you trust"))
            }
            PeerError::Url(_) => CliError::usage(message),
            PeerError::Unreachable { .. } => CliError::new(ErrorCode::Unreachable, message)
                .hint("is the server running? try again"),
            PeerError::Stopped { .. } | PeerError::Late { .. } => {
                CliError::new(ErrorCode::Unreachable, message)
                    .hint("nothing is lost: run the command again")
            }
            PeerError::Busy { .. } => CliError::new(ErrorCode::Unreachable, message)
                .hint("nothing is lost: run the command again in a while"),
            PeerError::Fault(_) => CliError::new(ErrorCode::Unreachable, message).hint(
                "nothing is lost, and nothing more was signed: the server has to be repaired",
            ),
            PeerError::Version { .. } => CliError::new(ErrorCode::Version, message)
                .hint("the older of the two needs an update: this program, or the server"),
            PeerError::NoWorkers | PeerError::NoThread(_) => CliError::new(ErrorCode::Io, message),
            PeerError::UnexpectedResponse { .. } => CliError::new(ErrorCode::Unreachable, message),
            PeerError::Forked(domain) => {
                let domain = printable(domain.as_str());
                CliError::new(ErrorCode::IdentityRefused, message).hint(format!(
                    "the server takes nothing more from this home, and its data stays here. Begin \
                     in a new one: `sync-gib --home NEW setup --join '{domain}' --server URL`. If \
                     it was you who signed, take the data over with `graph X --live --format \
                     ndjson` here and `put` there; if not, somebody else has the secret: take the \
                     identity back with `sync-gib --home NEW keystone recover --identity '{domain}'` \
                     and its recovery code (of a server that was restored, the code of that time), or \
                     without one end it with `sync-gib --home NEW keystone revoke --yes`"
                ))
            }
            PeerError::Sync(error) => error.into(),
        }
    }
}

impl From<TlsError> for CliError {
    fn from(error: TlsError) -> CliError {
        let option = match &error {
            TlsError::File { which: TlsFile::Authorities, .. } => "--ca-cert ",
            TlsError::File { which: TlsFile::Certificate, .. } => "--tls-cert ",
            TlsError::File { which: TlsFile::Key, .. } => "--tls-key ",
            _ => "",
        };
        CliError::usage(printable(&format!("{option}{error}")))
    }
}

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> CliError {
        let message = shown(&error.to_string());
        let detail = match &error {
            SyncError::Refused(refusal) => match &refusal.code {
                RefusalCode::Other(code) => Some(("refusal", code.as_str().to_owned())),
                code => code.limit().map(|limit| ("limit", limit.to_owned())),
            },
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
                RefusalCode::Version => ErrorCode::Version,
                RefusalCode::Internal
                | RefusalCode::Busy
                | RefusalCode::Staged
                | RefusalCode::Timeout => ErrorCode::Unreachable,
                RefusalCode::Content
                | RefusalCode::Limit
                | RefusalCode::Protocol
                | RefusalCode::Quota
                | RefusalCode::File
                | RefusalCode::Identities
                | RefusalCode::Other(_) => ErrorCode::Refused,
            },
            SyncError::SecretChanged { .. } => {
                return CliError::new(ErrorCode::SecretRefused, message).hint(
                    "give the new secret; what is not synced yet is kept here and goes up then. \
                     If nobody of yours changed it, `sync-gib keystone recover` takes the identity \
                     back",
                );
            }
            SyncError::NeedsFeature(_) => {
                return CliError::new(ErrorCode::Version, message).hint("upgrade the server");
            }
            SyncError::Auth(_) | SyncError::NotRegistered(_) => ErrorCode::IdentityRefused,
            SyncError::Conflict(_) => ErrorCode::Conflict,
            SyncError::Version(_) | SyncError::Feature(_) => ErrorCode::Version,
            SyncError::Protocol(_)
            | SyncError::Content(_)
            | SyncError::Limit(_)
            | SyncError::OwnStaged { .. }
            | SyncError::IbGib(_)
            | SyncError::Merge(_) => ErrorCode::Refused,
            SyncError::Staged { .. } => ErrorCode::Unreachable,
            SyncError::Random(_) => ErrorCode::Io,
        };
        let error = CliError::new(code, message);
        let error = match detail {
            Some((key, value)) => error.detail(key, value),
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
            ServerError::Tls(error) => error.into(),
            ServerError::Listen { .. } => CliError::new(ErrorCode::Io, message)
                .hint("another process may listen there; give another --listen"),
            ServerError::Failed(_) => CliError::new(ErrorCode::Io, message),
        }
    }
}

impl From<CheckError> for CliError {
    fn from(error: CheckError) -> CliError {
        match error {
            CheckError::Peer(error) => error.into(),
            CheckError::NoTimeline(_) => CliError::new(ErrorCode::Damaged, error.to_string()),
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
            | SpaceError::InUse
            | SpaceError::OverQuota { .. }
            | SpaceError::FileBound { .. } => ErrorCode::Refused,
            SpaceError::TipMoved { .. } => ErrorCode::Conflict,
            SpaceError::KeystoneFork { .. }
            | SpaceError::KeystoneInvalid { .. }
            | SpaceError::Revoked(_)
            | SpaceError::Renewed(_) => ErrorCode::IdentityRefused,
            SpaceError::IbGib(_) => ErrorCode::BadInput,
        };
        let failure = CliError::new(code, shown(&error.to_string()));
        match (&error, code) {
            (SpaceError::Damaged { .. }, _) => failure.hint(
                "`sync-gib check --local` lists what is damaged, and `sync-gib repair` fetches it \
                 from the server; otherwise restore the file from a copy",
            ),
            (SpaceError::Revoked(_), _) => failure.hint(
                "it can sign nothing any more. The data here stays readable; a new identity can take \
                 it over: `sync-gib --home NEW setup --server URL`, then `graph X --live --format \
                 ndjson` here and `put` there",
            ),
            (SpaceError::Empty(_), _) => failure.hint(
                "restore it from a copy, or make a new home with `sync-gib setup --join I` and \
                 sync; if it never held anything, `sync-gib setup` makes it",
            ),
            (SpaceError::PendingDamaged { .. }, _) => failure.hint(LOST_STEP),
            (_, ErrorCode::DiskFull) => failure.hint(ROOM),
            (_, ErrorCode::ReadOnly) => {
                failure.hint("copy it to where you may write, or use another user")
            }
            _ => failure,
        }
    }
}

impl From<KeystoneError> for CliError {
    fn from(error: KeystoneError) -> CliError {
        let code = match &error {
            KeystoneError::SecretRefused { .. }
            | KeystoneError::KeyRefused
            | KeystoneError::CodeRefused => ErrorCode::SecretRefused,
            _ => ErrorCode::IdentityRefused,
        };
        let failure = CliError::new(code, error.to_string());
        match error {
            KeystoneError::CodeRefused => failure.hint(
                "nothing was sent; each recovery gives a new code, and the newest one holds, but \
                     on a server that was restored to an older file the one of that time",
            ),
            _ => failure,
        }
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
