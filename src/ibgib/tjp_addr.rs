//! The addresses that name timelines.

use std::fmt;
use std::ops::Deref;

use super::addr::{Addr, AddrError};

/// The address of a timeline's tjp, which names the timeline: an identity by its genesis, a session
/// and a saga by their first frames (docs/protocol.md, section 1).
///
/// What names a timeline and what names a frame of it are not taken for each other. Whether a
/// timeline begins at the address is for a space to say.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TjpAddr(Addr);

impl TjpAddr {
    /// Reads an address as one that names a timeline; fails if `text` is no address.
    pub fn parse(text: &str) -> Result<TjpAddr, AddrError> {
        Addr::parse(text).map(TjpAddr)
    }
}

impl From<Addr> for TjpAddr {
    fn from(addr: Addr) -> TjpAddr {
        TjpAddr(addr)
    }
}

impl From<TjpAddr> for Addr {
    fn from(tjp: TjpAddr) -> Addr {
        tjp.0
    }
}

impl Deref for TjpAddr {
    type Target = Addr;

    fn deref(&self) -> &Addr {
        &self.0
    }
}

impl PartialEq<Addr> for TjpAddr {
    fn eq(&self, addr: &Addr) -> bool {
        self.0 == *addr
    }
}

impl PartialEq<TjpAddr> for Addr {
    fn eq(&self, tjp: &TjpAddr) -> bool {
        *self == tjp.0
    }
}

impl fmt::Display for TjpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TjpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for TjpAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<TjpAddr, AddrError> {
        TjpAddr::parse(text)
    }
}
