//! Whose data it is.

use std::fmt;

use crate::ibgib::TjpAddr;

/// Whose data a space holds: a client's file has one domain, a server's has one for each identity
/// (docs/protocol.md, section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The client's own.
    Client,
    /// An identity's, by the address of its genesis.
    Identity(TjpAddr),
}

impl Domain {
    /// How it stands in a file: the client's own as the empty text, an identity's as its address.
    pub fn as_str(&self) -> &str {
        match self {
            Domain::Client => "",
            Domain::Identity(genesis) => genesis.as_str(),
        }
    }
}

#[cfg(test)]
impl Domain {
    /// An identity's, for tests that hold none.
    pub(crate) fn named(name: &str) -> Domain {
        let genesis = crate::ibgib::IbGib::new(name.into(), None, None).unwrap();
        Domain::Identity(genesis.addr().unwrap().into())
    }
}

impl From<TjpAddr> for Domain {
    fn from(genesis: TjpAddr) -> Domain {
        Domain::Identity(genesis)
    }
}

impl From<&TjpAddr> for Domain {
    fn from(genesis: &TjpAddr) -> Domain {
        Domain::Identity(genesis.clone())
    }
}

impl From<&Domain> for Domain {
    fn from(domain: &Domain) -> Domain {
        domain.clone()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
