//! A side of a sync as it is read: a space, or what a receiver serves.

use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::Replay;
use crate::peer::{PeerError, ReceiverLink, identity};
use crate::space::{SeenOnDisk, Space, graph_ids};
use crate::sync::SyncError;
use crate::sync::domain::IdentityFrames;

/// After how many frames memory is given back that is held for speed alone.
const RELEASE_EVERY: u64 = 256;

/// One side of a sync, as it is read.
pub(super) trait Side {
    /// The side as a problem names it.
    fn name(&self) -> &'static str;

    /// The latest address of a timeline; none where the side does not have it.
    fn latest(&self, tjp: &TjpAddr) -> Result<Option<Addr>, PeerError>;

    /// Gives `each` the texts of a graph, dependencies first. `live` adds the graph of the latest
    /// frame of each timeline that is met. Returns whether the side has `root`.
    fn graph(
        &self,
        root: &Addr,
        live: bool,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError>;

    /// Gives `each` a keystone's frames from the genesis on, each validated. Returns whether the side
    /// has it; errors at the first frame that breaks a rule.
    fn keystone(
        &self,
        tjp: &TjpAddr,
        each: &mut dyn FnMut(&Addr, &IbGib),
    ) -> Result<bool, PeerError>;
}

/// A space that can be opened here.
pub(super) struct Held<'s>(pub &'s dyn Space);

impl Side for Held<'_> {
    fn name(&self) -> &'static str {
        "the receiver"
    }

    fn latest(&self, tjp: &TjpAddr) -> Result<Option<Addr>, PeerError> {
        Ok(self.0.tip(tjp).map_err(SyncError::from)?.map(|tip| tip.addr))
    }

    fn graph(
        &self,
        root: &Addr,
        live: bool,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        let Some(id) = self.0.find(root).map_err(SyncError::from)? else { return Ok(false) };
        for id in graph_ids(self.0, &[id], live).map_err(SyncError::from)? {
            each(&self.0.text(id).map_err(SyncError::from)?)?;
        }
        Ok(true)
    }

    fn keystone(
        &self,
        tjp: &TjpAddr,
        each: &mut dyn FnMut(&Addr, &IbGib),
    ) -> Result<bool, PeerError> {
        let ids = SeenOnDisk::new().map_err(SyncError::from)?;
        let Some(mut frames) = IdentityFrames::after(self.0, tjp, None, ids)? else {
            return Ok(false);
        };
        let mut frames_read = 0_u64;
        while let Some((addr, text)) = frames.next(self.0)? {
            each(&addr, &IbGib::from_json(&text).map_err(SyncError::from)?);
            frames_read += 1;
            if frames_read.is_multiple_of(RELEASE_EVERY) {
                self.0.release().map_err(SyncError::from)?;
            }
        }
        Ok(true)
    }
}

/// What a receiver gives to whoever holds a token.
pub(super) struct Served<'s, L> {
    pub link: &'s L,
    pub domain: &'s TjpAddr,
    pub token: &'s str,
}

impl<L: ReceiverLink> Side for Served<'_, L> {
    fn name(&self) -> &'static str {
        "the server"
    }

    fn latest(&self, tjp: &TjpAddr) -> Result<Option<Addr>, PeerError> {
        Ok(self.link.latest(self.domain, tjp, self.token)?.map(|latest| latest.tip))
    }

    fn graph(
        &self,
        root: &Addr,
        live: bool,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        self.link.graph(self.domain, root, live, self.token, each)
    }

    fn keystone(
        &self,
        tjp: &TjpAddr,
        each: &mut dyn FnMut(&Addr, &IbGib),
    ) -> Result<bool, PeerError> {
        let mut replay = Replay::new(SeenOnDisk::new().map_err(SyncError::from)?);
        identity::follow(self.link, tjp, &mut replay, &mut |frame| {
            each(frame.addr(), frame);
            Ok(())
        })
        .map(|()| true)
    }
}
