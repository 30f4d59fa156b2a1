//! Whether anything is new, asked by one request: nothing is signed for it (docs/protocol.md, section
//! 5, "Nothing new").

use super::client::catch_up;
use super::{PeerError, Remote};
use crate::ibgib::TjpAddr;
use crate::keystone;
use crate::space::{DomainState, Purpose, Space, StateDigest};
use crate::sync::SyncError;
use crate::sync::domain::secret_since;
use crate::sync::sender::NAME_SESSION;

/// How the data of a domain stands on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// As here, and nothing is left to do.
    Same(DomainState),
    /// Otherwise than here.
    Other(StateDigest),
    /// Only a sync can tell, or has something to finish.
    Unknown,
}

/// How the data of `domain` stands on the server. `token` is one that a sync brought
/// ([`Synced::state_token`](super::Synced::state_token)).
///
/// Frames of I that other devices made are fetched, validated and kept, as before every session.
/// Errors as the request fails; a sync is of use after any error.
pub fn up_to_date(
    space: &dyn Space,
    link: &Remote<'_>,
    domain: &TjpAddr,
    token: &str,
) -> Result<News, PeerError> {
    let Some(before) = settled(space, domain)? else { return Ok(News::Unknown) };
    let there = link.state(domain, token)?;
    let here = space.state().map_err(SyncError::from)?;
    if (here.digest, here.timelines) != (there.digest, there.timelines) {
        return Ok(News::Other(there.digest));
    }
    if before.newest != there.identity.as_str() {
        // Another device signed meanwhile. What the server lacks of I is brought by a sync.
        let is_behind = !catch_up(space, link, domain)?.is_empty();
        let after = settled(space, domain)?;
        let is_known = after.is_some_and(|after| {
            after.newest == there.identity.as_str() && after.since == before.since
        });
        if is_behind || !is_known {
            return Ok(News::Unknown);
        }
    }
    Ok(News::Same(here))
}

/// Where I stands in a space.
struct Settled {
    newest: String,
    /// The count of the frame that its secret is from.
    since: u64,
}

/// Where I stands, where nothing that was signed may have to be sent yet, a session was recorded, and I
/// is not revoked.
fn settled(space: &dyn Space, domain: &TjpAddr) -> Result<Option<Settled>, SyncError> {
    let (Some(tip), Some(_)) = (space.tip(domain)?, space.name(NAME_SESSION)?) else {
        return Ok(None);
    };
    for purpose in Purpose::ALL {
        if space.pending(domain, purpose)?.is_some_and(|step| step.on == tip.addr) {
            return Ok(None);
        }
    }
    let newest = space.get_id(tip.id)?;
    let settled = Settled { newest: tip.addr.as_str().to_owned(), since: secret_since(&newest) };
    Ok((!keystone::is_revoked(&newest)).then_some(settled))
}
