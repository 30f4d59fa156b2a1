//! Steps of an identity that are signed, and perhaps accepted nowhere yet (docs/protocol.md,
//! section 5).
//!
//! A proof reveals solutions of one frame, and many proofs of one frame reveal enough to forge
//! another. So a step is kept here before its first byte is sent, and whatever becomes of it, no
//! second one is made on that frame.

use crate::ibgib::{Addr, IbGib, TjpAddr};

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
    /// To change I's secret by itself.
    Renewal,
    /// To change I's secret by its recovery code.
    Recovery,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 4] =
        [Purpose::Session, Purpose::Revocation, Purpose::Renewal, Purpose::Recovery];

    /// What stands for a purpose in a file.
    pub(super) fn named(name: &str) -> Option<Purpose> {
        Purpose::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// How it stands in a file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Revocation => "revocation",
            Purpose::Renewal => "renewal",
            Purpose::Recovery => "recovery",
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
    /// The genesis of the session that it claims; none for other purposes.
    pub session: Option<IbGib>,
    /// Whether it was taken up again after it was made, by another process or a later run.
    pub is_shared: bool,
}

/// A pending step as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingRow {
    pub(super) on: Box<str>,
    pub(super) evolved: Box<str>,
    pub(super) session: Option<Box<str>>,
    pub(super) is_shared: bool,
}

/// The pending step of an identity; every hash is computed again. One that is damaged counts as none
/// where I went on from the frame that it was signed on; else errors with
/// [`SpaceError::PendingDamaged`].
pub(super) fn pending(
    rows: &dyn Rows,
    identity: &TjpAddr,
    purpose: Purpose,
) -> Result<Option<Pending>, SpaceError> {
    let Some(row) = rows.pending(identity, purpose)? else { return Ok(None) };
    match read(&row, identity, purpose) {
        Ok(pending) => Ok(Some(pending)),
        Err(_) if is_obsolete(rows, identity, &row.on)? => Ok(None),
        Err(detail) => Err(SpaceError::PendingDamaged { identity: identity.clone(), detail }),
    }
}

/// Errors with [`SpaceError::Damaged`] where the pending step of an identity is not whole, whether or
/// not it is needed.
pub(super) fn check(
    rows: &dyn Rows,
    identity: &TjpAddr,
    purpose: Purpose,
) -> Result<(), SpaceError> {
    let Some(row) = rows.pending(identity, purpose)? else { return Ok(()) };
    let wrong = match read(&row, identity, purpose) {
        Ok(pending) if pending.on.as_str() == &*row.on => return Ok(()),
        Ok(pending) => format!("it follows {}, and says another frame", pending.on),
        Err(detail) => detail,
    };
    Err(rows.damaged(format!("the pending step of {identity}: {wrong}")))
}

/// Whether I went on from a frame: it is on I's line, below the newest one. What was signed on it is
/// of no use any more.
pub(super) fn is_obsolete(
    rows: &dyn Rows,
    identity: &TjpAddr,
    on: &str,
) -> Result<bool, SpaceError> {
    let Ok(on) = Addr::parse(on) else { return Ok(false) };
    let (Some(genesis), Some(row)) = (rows.find(&identity.key())?, rows.find(&on.key())?) else {
        return Ok(false);
    };
    let Some(tip) = tip_of(rows, identity)? else { return Ok(false) };
    Ok(row.timeline == Some(genesis.id) && !row.is_off_mainline && row.n < tip.n)
}

/// The step that a row holds, or what is wrong with it. The frame that it was signed on is told by
/// the step itself, which its hash proves.
pub(super) fn read(
    row: &PendingRow,
    identity: &TjpAddr,
    purpose: Purpose,
) -> Result<Pending, String> {
    let read = |text: &str| {
        let ibgib = IbGib::from_json(text)?;
        ibgib.validate().map(|_| ibgib)
    };
    let evolved = read(&row.evolved).map_err(|error| error.to_string())?;
    let session = row.session.as_deref().map(read).transpose();
    let session = session.map_err(|error| format!("its session: {error}"))?;
    if session.is_some() != (purpose == Purpose::Session) {
        return Err("its session is not what it is signed for".into());
    }
    if evolved.tjp_addr().as_deref() != Some(identity.as_str()) {
        return Err("it is no step of this identity".into());
    }
    let on = evolved.prev().and_then(|prev| Addr::parse(prev).ok());
    let on = on.ok_or("it follows no frame")?;
    Ok(Pending { on, evolved, session, is_shared: row.is_shared })
}

/// Keeps a step, or takes up the one that is kept on the same frame already.
pub(super) fn keep(
    rows: &mut dyn RowsMut,
    identity: &TjpAddr,
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
            on: kept.on.as_str().into(),
            evolved: kept.evolved.to_json().into(),
            session: kept.session.as_ref().map(|session| session.to_json().into()),
            is_shared: kept.is_shared,
        },
    )?;
    Ok(kept)
}
