//! How a side names what it speaks: two headers of every request and every answer
//! (docs/protocol.md, section 5, "Versions and features").

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue};

use crate::sync::SyncError;
use crate::sync::capabilities::{Capabilities, Feature, Features};

/// The header that names versions of the protocol, parted by commas; where it is absent, 1.
pub const HEADER_PROTOCOLS: &str = "sync-gib-protocols";
/// The header that names features, parted by commas; where it is absent, none.
pub const HEADER_FEATURES: &str = "sync-gib-features";

/// How many bytes one of the two headers may have in all.
pub const MAX_HEADER: usize = 2048;
/// How many versions a side may name.
pub const MAX_PROTOCOLS: usize = 32;
/// How many features a side may name.
pub const MAX_FEATURES: usize = 64;

/// The text of [`HEADER_PROTOCOLS`] and that of [`HEADER_FEATURES`].
pub fn write_capabilities(capabilities: &Capabilities) -> (String, String) {
    let protocols: Vec<String> = capabilities.protocols.iter().map(u32::to_string).collect();
    let features: Vec<&str> = capabilities.features.iter().map(Feature::as_str).collect();
    (protocols.join(", "), features.join(", "))
}

/// Sets both headers.
pub fn name_capabilities(headers: &mut HeaderMap, capabilities: &Capabilities) {
    let (protocols, features) = write_capabilities(capabilities);
    for (name, text) in [(HEADER_PROTOCOLS, protocols), (HEADER_FEATURES, features)] {
        // Numbers and names of features are fit for a header, all of them.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}

/// What a side speaks that names itself so; an absent text says nothing. Errors where a text has
/// another form, or is over a bound.
pub fn read_capabilities(
    protocols: Option<&str>,
    features: Option<&str>,
) -> Result<Capabilities, SyncError> {
    let Capabilities { protocols: mut spoken, features: mut named } = Capabilities::unnamed();
    if let Some(text) = protocols {
        let each = names(text, MAX_PROTOCOLS).map(|names| names.map(protocol).collect());
        let read: Option<BTreeSet<u32>> = each.flatten();
        spoken = read.filter(|read| !read.is_empty()).ok_or_else(|| malformed(HEADER_PROTOCOLS))?;
    }
    if let Some(text) = features {
        let each = names(text, MAX_FEATURES).map(|names| names.map(Feature::new).collect());
        let read: Option<Features> = each.flatten();
        named = read.ok_or_else(|| malformed(HEADER_FEATURES))?;
    }
    Ok(Capabilities { protocols: spoken, features: named })
}

/// What the side speaks that sent these headers.
pub fn named_capabilities(headers: &HeaderMap) -> Result<Capabilities, SyncError> {
    let text = |name: &str| -> Result<Option<String>, SyncError> {
        let mut lines = Vec::new();
        for line in headers.get_all(name) {
            lines.push(line.to_str().map_err(|_| malformed(name))?);
        }
        Ok((!lines.is_empty()).then(|| lines.join(",")))
    };
    let (protocols, features) = (text(HEADER_PROTOCOLS)?, text(HEADER_FEATURES)?);
    read_capabilities(protocols.as_deref(), features.as_deref())
}

/// The names in a list, of which `most` may be; none where there are more, or the text is too long.
fn names(text: &str, most: usize) -> Option<impl Iterator<Item = &str>> {
    let names = || text.split(',').map(|name| name.trim_matches([' ', '\t']));
    // As in every list of HTTP, a name may be left out between two commas.
    let names = move || names().filter(|name| !name.is_empty());
    (text.len() <= MAX_HEADER && names().count() <= most).then(names)
}

/// A number from 1 on without leading zeros.
fn protocol(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_number)
}

fn malformed(header: &str) -> SyncError {
    SyncError::protocol(format!("a malformed header {header}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(protocols: &str, features: &str) -> Result<(String, String), SyncError> {
        read_capabilities(Some(protocols), Some(features)).map(|read| write_capabilities(&read))
    }

    #[test]
    fn lists_are_read_and_written() {
        let same = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(read("1", "").unwrap(), same("1", ""));
        assert_eq!(read("2,1", "zstd").unwrap(), same("1, 2", "zstd"));
        assert_eq!(read(" 1 ,\t2,,1", "b, a,a ,").unwrap(), same("1, 2", "a, b"));
        assert_eq!(read("4294967295", "a-1").unwrap(), same("4294967295", "a-1"));
        assert_eq!(read_capabilities(None, None).unwrap(), Capabilities::unnamed());
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for protocols in ["", ",", "0", "01", "-1", "+1", "1.0", "x", "4294967296", "1 2", "1;2"] {
            assert!(read(protocols, "").is_err(), "{protocols}");
        }
        for features in ["A", "a b", "a_b", "a;b", "ä", &"x".repeat(33)] {
            assert!(read("1", features).is_err(), "{features}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let numbers = |count: usize| (1..=count).map(|n| format!("{n},")).collect::<String>();
        let names = |count: usize| (0..count).map(|n| format!("f{n},")).collect::<String>();
        assert!(read(&numbers(MAX_PROTOCOLS), &names(MAX_FEATURES)).is_ok());
        assert!(read(&numbers(MAX_PROTOCOLS + 1), "").is_err());
        assert!(read("1", &names(MAX_FEATURES + 1)).is_err());
        assert!(read("1", &",".repeat(MAX_HEADER)).is_ok());
        assert!(read("1", &",".repeat(MAX_HEADER + 1)).is_err());
    }

    #[test]
    fn a_header_may_stand_in_several_lines() {
        let mut headers = HeaderMap::new();
        assert_eq!(named_capabilities(&headers).unwrap(), Capabilities::unnamed());
        for (name, value) in
            [(HEADER_PROTOCOLS, "2"), (HEADER_PROTOCOLS, "1"), (HEADER_FEATURES, "a")]
        {
            headers.append(name, HeaderValue::from_static(value));
        }
        let read = named_capabilities(&headers).unwrap();
        assert_eq!(write_capabilities(&read), ("1, 2".to_owned(), "a".to_owned()));
        let mut again = HeaderMap::new();
        name_capabilities(&mut again, &read);
        assert_eq!(named_capabilities(&again).unwrap(), read);
        headers.append(HEADER_FEATURES, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(named_capabilities(&headers).is_err());
    }
}
