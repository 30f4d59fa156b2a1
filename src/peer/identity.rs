//! Reading an identity off a receiver, which is not trusted: page by page, each frame validated as
//! it comes, and no more than the last one held (docs/protocol.md, section 5).

use std::ops::ControlFlow;

use super::PeerError;
use super::link::ReceiverLink;
use crate::ibgib::{Addr, IbGib, TjpAddr, Valid};
use crate::keystone::{Replay, SeenIds, StepsOnly};
use crate::space::{Prepared, PutOpts, RowId, Space, SpaceError, SpaceExt, Tip};
use crate::sync::SyncError;
use crate::sync::domain::{check_next, check_valid_next};

/// How many frames, and how many bytes of them, are stored at once.
const PORTION: (usize, usize) = (256, 4 << 20);

/// Gives each frame that the receiver has after `replay`'s last one to `each`, validated, and leaves
/// it there as the last one.
///
/// Errors with [`SpaceError::KeystoneInvalid`] at the first frame that is wrong; nothing after it is
/// read.
pub fn follow<L: ReceiverLink + ?Sized, S: SeenIds>(
    link: &L,
    domain: &TjpAddr,
    replay: &mut Replay<S>,
    each: &mut dyn FnMut(&Valid<&IbGib>) -> Result<(), PeerError>,
) -> Result<(), PeerError>
where
    SpaceError: From<S::Error>,
{
    let mut after = replay.tip().map(IbGib::addr).transpose().map_err(SyncError::from)?;
    loop {
        let before = after.clone();
        link.identity(domain, before.as_ref(), &mut |frame| {
            let addr = frame.addr().map_err(SyncError::from)?;
            if replay.tip().is_none() && addr != *domain {
                let message = format!("the server's identity does not begin with {domain}");
                return Err(SyncError::Auth(message).into());
            }
            match Valid::check(&frame) {
                Ok(valid) => {
                    check_valid_next(replay, valid.cloned())?;
                    each(&valid)?;
                }
                // A wrong gib is one of the rules that a frame breaks.
                Err(error) => {
                    check_next(replay, frame, &addr)?;
                    return Err(SyncError::from(error).into());
                }
            }
            after = Some(addr);
            Ok(ControlFlow::Continue(()))
        })?;
        if after == before {
            return Ok(());
        }
    }
}

/// Fetches the frames of I that the receiver has and the space lacks, from the genesis on where it
/// has none. Those that are valid are stored as they come, so that what breaks off goes on there.
///
/// Where the receiver lacks frames that are here, returns the newest one that it has.
pub fn fetch<L: ReceiverLink + ?Sized>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
) -> Result<Option<Addr>, PeerError> {
    let tip = space.tip(domain).map_err(SyncError::from)?;
    let mut replay = Replay::new(StepsOnly);
    if let Some(tip) = &tip {
        let mut next = None;
        link.identity(domain, Some(&tip.addr), &mut |frame| {
            next = Some(frame);
            Ok(ControlFlow::Break(()))
        })?;
        let Some(next) = next else { return Ok(None) };
        if next.prev() != Some(tip.addr.as_str()) {
            return newest_common(space, link, domain, tip).map(Some);
        }
        let frame = space.get_id(tip.id).map_err(SyncError::from)?;
        replay = Replay::after(frame, StepsOnly);
    }
    let mut portion = Portion { space, held: Vec::new(), bytes: 0 };
    let ended = follow(link, domain, &mut replay, &mut |frame| portion.add(frame));
    portion.store()?;
    ended.map(|()| None)
}

/// Valid frames that are stored together.
struct Portion<'a> {
    space: &'a dyn Space,
    held: Vec<Prepared>,
    bytes: usize,
}

impl Portion<'_> {
    fn add(&mut self, frame: &Valid<&IbGib>) -> Result<(), PeerError> {
        let prepared = Prepared::of(frame).map_err(SyncError::from)?.with_valid_step();
        self.bytes += prepared.text().len();
        self.held.push(prepared);
        if self.held.len() >= PORTION.0 || self.bytes >= PORTION.1 {
            self.store()?;
        }
        Ok(())
    }

    fn store(&mut self) -> Result<(), PeerError> {
        self.bytes = 0;
        let held = std::mem::take(&mut self.held);
        let put = self.space.put(&mut held.into_iter().map(Ok), &PutOpts::default());
        put.and_then(|_| self.space.release()).map_err(|error| SyncError::from(error).into())
    }
}

/// The newest frame that both sides have, where the receiver does not know the newest one here.
///
/// It is asked for what follows ever older frames until it knows one, which takes few questions
/// however long the identity is. Errors where it went on from there differently.
fn newest_common<L: ReceiverLink + ?Sized>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
    tip: &Tip,
) -> Result<Addr, PeerError> {
    let tjp_id = space.find(domain).map_err(SyncError::from)?;
    let mut back = 1;
    loop {
        let n = tip.n.saturating_sub(back);
        let frame = |tjp_id: RowId| space.frame_at(tjp_id, n);
        let id = tjp_id.map(frame).transpose().map_err(SyncError::from)?.flatten();
        let gone = || SyncError::Auth(format!("the identity {domain} is not whole in this space"));
        let known = space.addr(id.ok_or_else(gone)?).map_err(SyncError::from)?;
        let mut last = known.clone();
        let mut knows = true;
        loop {
            let before = last.clone();
            link.identity(domain, Some(&before), &mut |frame| {
                if frame.prev() != Some(last.as_str()) {
                    knows = false;
                    return Ok(ControlFlow::Break(()));
                }
                let addr = frame.addr().map_err(SyncError::from)?;
                if space.find(&addr).map_err(SyncError::from)?.is_none() {
                    return Err(new_frames_error(space, domain, &last, frame, &addr));
                }
                last = addr;
                Ok(ControlFlow::Continue(()))
            })?;
            if last == before {
                break;
            }
        }
        if knows || last != known {
            return Ok(last);
        }
        if n == 0 {
            let message = "it gave something else than the identity's frames";
            return Err(SyncError::protocol(message).into());
        }
        back *= 2;
    }
}

/// The error for a frame that is not here and follows one that has another successor here.
fn new_frames_error(
    space: &dyn Space,
    domain: &TjpAddr,
    last: &Addr,
    frame: IbGib,
    addr: &Addr,
) -> PeerError {
    let checked = || -> Result<(), SyncError> {
        let Some(last) = space.get(last)? else { return Ok(()) };
        check_next(&mut Replay::after(last, StepsOnly), frame, addr)
    };
    if let Err(error) = checked() {
        return error.into();
    }
    PeerError::Forked(domain.clone())
}
