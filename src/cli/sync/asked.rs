//! Whether anything is new, asked before the secret is.

use crate::cli::connection::{self, Connection};
use crate::cli::error::CliError;
use crate::cli::home::Home;
use crate::cli::identity::domain_of;
use crate::ibgib::Moment;
use crate::peer::{News, PeerError, Remote, up_to_date};
use crate::space::SqliteSpace;
use crate::sync::SyncError;
use crate::sync::msg::{Refusal, RefusalCode};

/// How long before its end a token is replaced: devices that sync once a month keep one.
const RENEWED_BEFORE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// What the asking came to.
pub(super) struct Asked {
    /// How the server's data stands.
    pub(super) news: News,
    /// Whether the session that follows is to bring a token for the next time.
    pub(super) wants_token: bool,
}

/// Asks the server, where there is a token to ask by and no session is needed anyway. Whatever else
/// than an answer comes is left to the sync that follows. Errors where the space has no identity.
pub(super) fn ask(
    home: &Home,
    connection: &Connection,
    link: &Remote<'_>,
    space: &SqliteSpace,
    needs_session: bool,
) -> Result<Asked, CliError> {
    let domain = domain_of(space)?;
    let Some(token) = connection::state_token(home, connection, &domain) else {
        return Ok(Asked { news: News::Unknown, wants_token: true });
    };
    let wants_token = token.expires_ms < Moment::now().ms().saturating_add(RENEWED_BEFORE_MS);
    if needs_session {
        return Ok(Asked { news: News::Unknown, wants_token });
    }
    match up_to_date(space, link, &domain, &token.value) {
        Ok(news) => Ok(Asked { news, wants_token }),
        Err(error) => {
            tracing::debug!(%error, "whether anything is new is left to the sync");
            let is_refused = is_refusal(&error);
            if is_refused {
                connection::forget_state_token(home);
            }
            Ok(Asked { news: News::Unknown, wants_token: wants_token || is_refused })
        }
    }
}

/// Whether the server does not know the token, or does not answer such questions.
fn is_refusal(error: &PeerError) -> bool {
    use RefusalCode::{Auth, NotFound};
    let code = match error {
        PeerError::Sync(SyncError::Refused(Refusal { code, .. })) => code,
        _ => return false,
    };
    matches!(code, Auth | NotFound)
}
