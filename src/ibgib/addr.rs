//! Addresses (`ib^gib`) and the hash inside a gib.

use std::fmt;

/// Bytes as hex, in either case. What of them is secret is not told by how long it takes.
pub(crate) use base16ct::{lower::encode_string as lower_hex, upper::encode_string as upper_hex};
use sha2::{Digest, Sha256};

/// The delimiter between ib and gib in an address.
pub const IBGIB_DELIMITER: char = '^';
/// The delimiter between a frame's own hash and its tjp's gib.
pub const GIB_DELIMITER: char = '.';
/// The gib of every primitive.
pub const GIB: &str = "gib";
/// The ib of the root, `ib^gib`.
pub const IB: &str = "ib";

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddrError {
    /// There is no `^` in it.
    #[error("not an ibGib address (no '^'): {0:?}")]
    NoDelimiter(String),
    /// Nothing stands before the last `^`.
    #[error("not an ibGib address (nothing before '^'): {0:?}")]
    NoIb(String),
    /// The gib is neither `gib` nor hashes of 64 uppercase hex characters divided by dots.
    #[error("not an ibGib address (its gib is neither 'gib' nor a hash): {0:?}")]
    BadGib(String),
}

/// An ibGib's address, `ib^gib`, whose gib has the form of a hash or is `gib`.
///
/// The last `^` divides (docs/protocol.md, section 1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Addr(Box<str>);

impl Addr {
    /// Reads an address; fails if `text` is not one.
    pub fn parse(text: &str) -> Result<Addr, AddrError> {
        Addr::check(text)?;
        Ok(Addr(text.into()))
    }

    /// Whether `text` is an address, as [`Addr::parse`] tells.
    pub(super) fn check(text: &str) -> Result<(), AddrError> {
        let (ib, gib) = split(text).ok_or_else(|| AddrError::NoDelimiter(clip(text)))?;
        if ib.is_empty() {
            return Err(AddrError::NoIb(clip(text)));
        }
        if gib != GIB && !gib.split(GIB_DELIMITER).all(is_hash_hex) {
            return Err(AddrError::BadGib(clip(text)));
        }
        Ok(())
    }

    /// Joins an ib and a gib that are known to be well formed.
    pub fn from_parts(ib: &str, gib: &str) -> Result<Addr, AddrError> {
        Addr::parse(&format!("{ib}{IBGIB_DELIMITER}{gib}"))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the last `^`.
    pub fn ib(&self) -> &str {
        split(&self.0).map_or("", |(ib, _)| ib)
    }

    /// What stands after the last `^`.
    pub fn gib(&self) -> &str {
        split(&self.0).map_or("", |(_, gib)| gib)
    }

    /// Whether this is a primitive's address: it names nothing that a space must hold.
    pub fn is_primitive(&self) -> bool {
        self.gib() == GIB
    }

    /// What spaces look this address up by.
    pub fn key(&self) -> AddrKey {
        let mut key = [0u8; 16];
        key.copy_from_slice(&Sha256::digest(self.0.as_bytes())[..16]);
        AddrKey(key)
    }

    /// The gib of the timeline's tjp, where the gib carries one.
    pub fn tjp_gib(&self) -> Option<&str> {
        self.gib().split_once(GIB_DELIMITER).map(|(_, tjp)| tjp)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl serde::Serialize for Addr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Addr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Addr, D::Error> {
        let text = String::deserialize(d)?;
        Addr::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Addr {
    type Err = AddrError;
    fn from_str(text: &str) -> Result<Addr, AddrError> {
        Addr::parse(text)
    }
}

/// What spaces look ibGibs up by: the first 16 bytes of the SHA-256 of the whole address.
///
/// It is made of the address, not of the gib alone, so that an address with a true hash and a
/// false ib or tjp finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddrKey(pub [u8; 16]);

fn is_hash_hex(piece: &str) -> bool {
    piece.len() == 64 && piece.bytes().all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F'))
}

/// Divides `text` at its last `^`; none where there is no `^`.
pub fn split(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(IBGIB_DELIMITER)
}

/// The first characters of `text`, so that an error never repeats megabytes of bad input.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 200;
    if text.chars().nth(MOST).is_none() {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(MOST).collect();
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";

    #[test]
    fn the_last_delimiter_divides() {
        let addr = Addr::parse(&format!("a^b^{HASH}")).unwrap();
        assert_eq!(addr.ib(), "a^b");
        assert_eq!(addr.gib(), HASH);
    }

    #[test]
    fn a_primitive_is_told_by_its_gib() {
        let root = Addr::parse("ib^gib").unwrap();
        assert!(root.is_primitive());
    }

    #[test]
    fn a_frame_of_a_timeline_names_its_tjp() {
        let addr = Addr::parse(&format!("x^{HASH}.{HASH}")).unwrap();
        assert_eq!(addr.tjp_gib(), Some(HASH));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert!(matches!(Addr::parse("nocaret"), Err(AddrError::NoDelimiter(_))));
        assert!(matches!(Addr::parse("^gib"), Err(AddrError::NoIb(_))));
        assert!(matches!(Addr::parse("x^ABC"), Err(AddrError::BadGib(_))));
        let lower = format!("x^{}", HASH.to_lowercase());
        assert!(matches!(Addr::parse(&lower), Err(AddrError::BadGib(_))));
        assert!(matches!(Addr::parse(&format!("x^{HASH}.")), Err(AddrError::BadGib(_))));
    }
}
