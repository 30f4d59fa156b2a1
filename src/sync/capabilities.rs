//! Which versions of the protocol a side speaks, and which features beyond them (docs/protocol.md,
//! section 5, "Versions and features").

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Display};

use super::msg::PROTOCOL;

/// Something beyond the protocol's version that is done only where both sides name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Feature(Cow<'static, str>);

impl Feature {
    /// Identities with a signing key (docs/protocol.md, section 4, "Locked keystones").
    pub const SIGNING_KEYS: Feature = Feature(Cow::Borrowed("signing-keys"));
    /// Whether anything is new, told by one request (docs/protocol.md, section 5, "Nothing new").
    pub const STATE_DIGEST: Feature = Feature(Cow::Borrowed("state-digest"));

    /// Messages and bodies that are compressed (docs/protocol.md, section 5, "Compression").
    pub const ZSTD: Feature = Feature(Cow::Borrowed("zstd"));

    /// Sessions in few round trips (docs/protocol.md, section 5, "In few round trips").
    pub const ONE_TURN: Feature = Feature(Cow::Borrowed("one-turn"));

    /// A first turn that holds what is new and commits it (docs/protocol.md, section 6, "One turn on a
    /// guess").
    pub const GUESS: Feature = Feature(Cow::Borrowed("guess"));

    /// What differs, told by a sketch of what each side has (docs/protocol.md, section 6, "What
    /// differs").
    pub const SKETCH: Feature = Feature(Cow::Borrowed("sketch"));

    /// A payload that goes on where it was cut (docs/protocol.md, section 6, "Resume").
    pub const RESUME: Feature = Feature(Cow::Borrowed("resume"));

    /// How many characters a name may have.
    pub const MAX_NAME: usize = 32;

    /// The feature of this name: 1 to 32 of `a` to `z`, `0` to `9` and `-`; none for other names.
    /// That a feature is known here is not asked: what the other side names is compared with what
    /// this one speaks.
    pub fn new(name: &str) -> Option<Feature> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_name = !name.is_empty() && name.len() <= Feature::MAX_NAME && name.bytes().all(fits);
        is_name.then(|| Feature(Cow::Owned(name.to_owned())))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set of features.
pub type Features = BTreeSet<Feature>;

/// What one side speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Versions of the protocol.
    pub protocols: BTreeSet<u32>,
    /// Features.
    pub features: Features,
}

impl Default for Capabilities {
    /// All that this program speaks.
    fn default() -> Capabilities {
        Capabilities::with(Features::from([
            Feature::GUESS,
            Feature::ONE_TURN,
            Feature::RESUME,
            Feature::SIGNING_KEYS,
            Feature::SKETCH,
            Feature::STATE_DIGEST,
            Feature::ZSTD,
        ]))
    }
}

impl Capabilities {
    /// The versions that this program speaks, with these features.
    pub fn with(features: Features) -> Capabilities {
        Capabilities { protocols: BTreeSet::from([PROTOCOL]), features }
    }

    /// What a side speaks that names nothing: what 0.1.0 speaks, which is protocol 1.
    pub fn unnamed() -> Capabilities {
        Capabilities { protocols: BTreeSet::from([1]), features: Features::new() }
    }

    /// What both this side and the other one speak. Errors where that is no version of the
    /// protocol.
    pub fn common(&self, other: &Capabilities) -> Result<Capabilities, Incompatible> {
        let protocols = &self.protocols & &other.protocols;
        if protocols.is_empty() {
            let (here, there) = (self.protocols.clone(), other.protocols.clone());
            return Err(Incompatible { here, there });
        }
        Ok(Capabilities { protocols, features: &self.features & &other.features })
    }
}

/// Two sides have no version of the protocol in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not supported here, only {}", Protocols(.there), Protocols(.here))]
pub struct Incompatible {
    /// What this side speaks.
    pub here: BTreeSet<u32>,
    /// What the other side speaks.
    pub there: BTreeSet<u32>,
}

/// Versions of the protocol, as people read them.
pub struct Protocols<'a>(pub &'a BTreeSet<u32>);

impl Display for Protocols<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        write!(f, "protocol {}", numbers.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(names: &[&str]) -> Features {
        names.iter().map(|name| Feature::new(name).unwrap()).collect()
    }

    #[test]
    fn only_what_both_name_is_spoken() {
        let here = Capabilities::with(features(&["a", "b"]));
        let there =
            Capabilities { protocols: BTreeSet::from([1, 2]), features: features(&["b", "c"]) };
        let both = Capabilities { protocols: BTreeSet::from([1]), features: features(&["b"]) };
        assert_eq!(here.common(&there), Ok(both.clone()));
        assert_eq!(there.common(&here), Ok(both));
        assert_eq!(here.common(&Capabilities::unnamed()), Ok(Capabilities::unnamed()));
    }

    #[test]
    fn with_no_version_in_common_nothing_is_spoken() {
        let there = Capabilities { protocols: BTreeSet::from([2, 3]), features: features(&["a"]) };
        let error = Capabilities::with(features(&["a"])).common(&there).unwrap_err();
        assert_eq!(error.to_string(), "protocol 2 or 3 is not supported here, only protocol 1");
    }

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(Feature::MAX_NAME);
        for name in ["a", "zstd", "a-1", &longest] {
            assert_eq!(Feature::new(name).unwrap().as_str(), name);
        }
        for name in ["", "A", "a b", "a_b", "a,b", "ä", &(longest.clone() + "x")] {
            assert_eq!(Feature::new(name), None, "{name}");
        }
    }
}
