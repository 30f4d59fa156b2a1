//! The gib: a hash of ib, rel8ns and data, and of nothing else (docs/protocol.md, section 1).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::addr::{self, GIB_DELIMITER, upper_hex};
use super::json;

/// Why no gib can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GibError {
    /// The ib is empty.
    #[error("an ibGib needs an ib")]
    NoIb,
    /// A relation is not a list, or an entry is no text.
    #[error("the relation {0:?} is not a list of addresses")]
    NotAList(String),
    /// The relation `tjp` is there but names no gib.
    #[error("the relation \"tjp\" names no tjp")]
    BadTjp,
}

/// The gib of a frame: its hash, and behind a dot its tjp's gib where it has a `tjp` relation.
///
/// `data` and `rel8ns` are as [`json::parse`] gives them.
pub fn gib_of(
    ib: &str,
    data: Option<&Value>,
    rel8ns: Option<&Map<String, Value>>,
) -> Result<String, GibError> {
    let hash = hash_of(ib, data, rel8ns)?;
    let is_tjp = matches!(data, Some(Value::Object(data)) if json::truthy(data.get("isTjp")));
    let tjp = match rel8ns.and_then(|rel8ns| rel8ns.get("tjp")) {
        Some(Value::Array(tjps)) if !tjps.is_empty() || is_tjp => {
            let last = tjps.last().and_then(Value::as_str).ok_or(GibError::BadTjp)?;
            let (_, gib) = addr::split(last).ok_or(GibError::BadTjp)?;
            if gib.is_empty() {
                return Err(GibError::BadTjp);
            }
            Some(gib)
        }
        _ => None,
    };
    Ok(match tjp {
        Some(tjp_gib) if !is_tjp => format!("{hash}{GIB_DELIMITER}{tjp_gib}"),
        _ => hash,
    })
}

/// The frame's own hash, 64 uppercase hex characters.
fn hash_of(
    ib: &str,
    data: Option<&Value>,
    rel8ns: Option<&Map<String, Value>>,
) -> Result<String, GibError> {
    if ib.is_empty() {
        return Err(GibError::NoIb);
    }
    #[cfg(test)]
    counted::add();
    let ib_hash = sha256_hex(ib.as_bytes());
    let mut whole = ib_hash;
    if let Some(rel8ns) = rel8ns
        && has_relations(rel8ns)?
    {
        whole.push_str(&sha256_hex(&json::canonical_map(rel8ns)));
    }
    if let Some(data) = data
        && json::truthy(Some(data))
        && !is_empty_container(data)
    {
        whole.push_str(&sha256_hex(&json::canonical(data)));
    }
    Ok(sha256_hex(whole.as_bytes()))
}

fn has_relations(rel8ns: &Map<String, Value>) -> Result<bool, GibError> {
    let mut any = false;
    for (name, rel8ds) in rel8ns {
        match rel8ds {
            Value::Null => {}
            Value::Array(rel8ds) if rel8ds.iter().all(Value::is_string) => {
                any |= !rel8ds.is_empty()
            }
            _ => return Err(GibError::NotAList(addr::clip(name))),
        }
    }
    Ok(any)
}

fn is_empty_container(data: &Value) -> bool {
    match data {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    upper_hex(&Sha256::digest(bytes))
}

/// How many hashes this thread took: a test counts them.
#[cfg(test)]
pub(crate) mod counted {
    use std::cell::Cell;

    thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

    pub(super) fn add() {
        COUNT.set(COUNT.get() + 1);
    }

    pub(crate) fn hashes() -> u64 {
        COUNT.get()
    }
}
