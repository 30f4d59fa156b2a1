//! Steps of an identity that are signed, and perhaps accepted nowhere yet (docs/protocol.md,
//! section 5).
//!
//! A proof reveals solutions of one frame, and many proofs of one frame reveal enough to forge
//! another. So a step is kept here before its first byte is sent, and whatever becomes of it, no
//! second one is made on that frame.

use crate::ibgib::{Addr, IbGib};

use super::SpaceError;
use super::read::tip_of;
use super::rows::{Rows, RowsMut};

/// What a step of I is signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To open a session.
    Session,
    /// To revoke I.
    Revocation,
}

impl Purpose {
    /// How it stands in a file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Revocation => "revocation",
        }
    }
}

/// A signed step of I, kept apart from I's timeline: another device's step may be taken instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The frame of I that it was signed on.
    pub on: Addr,
    /// The step: the frame after it.
    pub evolved: IbGib,
    /// The genesis of the session that it claims; none for a revocation.
    pub session: Option<IbGib>,
    /// Whether it was taken up again after it was made, by another process or a later run.
    pub is_shared: bool,
}

/// A pending step as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingRow {
    pub(super) on: Addr,
    pub(super) evolved: Box<str>,
    pub(super) session: Option<Box<str>>,
    pub(super) is_shared: bool,
}

/// The pending step of an identity; every hash is computed again.
pub(super) fn pending(
    rows: &dyn Rows,
    identity: &Addr,
    purpose: Purpose,
) -> Result<Option<Pending>, SpaceError> {
    let Some(row) = rows.pending(identity, purpose)? else { return Ok(None) };
    let read = |text: &str| {
        let ibgib = IbGib::from_json(text)?;
        ibgib.validate().map(|_| ibgib)
    };
    let damaged = |error| rows.damaged(format!("the pending step of {identity}: {error}"));
    let evolved = read(&row.evolved).map_err(damaged)?;
    let session = row.session.as_deref().map(read).transpose().map_err(damaged)?;
    if evolved.prev() != Some(row.on.as_str()) {
        let detail = format!("the pending step of {identity} does not follow {}", row.on);
        return Err(rows.damaged(detail));
    }
    Ok(Some(Pending { on: row.on, evolved, session, is_shared: row.is_shared }))
}

/// Keeps a step, or takes up the one that is kept on the same frame already.
pub(super) fn keep(
    rows: &mut dyn RowsMut,
    identity: &Addr,
    purpose: Purpose,
    made: &Pending,
) -> Result<Pending, SpaceError> {
    let found = tip_of(rows, identity)?.map(|tip| tip.addr);
    if found.as_ref() != Some(&made.on) {
        let expected = Some(made.on.clone());
        return Err(SpaceError::TipMoved { tjp: identity.clone(), expected, found });
    }
    let kept = match pending(rows, identity, purpose)?.filter(|kept| kept.on == made.on) {
        Some(kept) => Pending { is_shared: true, ..kept },
        None => made.clone(),
    };
    rows.set_pending(
        identity,
        purpose,
        &PendingRow {
            on: kept.on.clone(),
            evolved: kept.evolved.to_json().into(),
            session: kept.session.as_ref().map(|session| session.to_json().into()),
            is_shared: kept.is_shared,
        },
    )?;
    Ok(kept)
}
