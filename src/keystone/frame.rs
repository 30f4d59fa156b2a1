//! A keystone frame's data, read without copying its challenges.

use serde_json::{Map, Value};

use super::error::ShapeError;
use super::pool_config::{PoolConfig, check_name};
use super::proof::Proof;
use super::{MAX_CHALLENGES, MAX_FRAME_BYTES, MAX_FRAME_VALUES, MAX_POOLS};
use crate::ibgib::{IbGib, IbGibError, json};

/// Reads a keystone's frame that comes from outside, within [`MAX_FRAME_BYTES`] and
/// [`MAX_FRAME_VALUES`], so that reading it takes some megabytes of memory at most. Nothing is
/// validated.
pub fn read_frame(text: &str) -> Result<IbGib, IbGibError> {
    if text.len() > MAX_FRAME_BYTES {
        return Err(IbGibError::TooLargeFrame(text.len()));
    }
    IbGib::from_value(json::parse_few(text, MAX_FRAME_VALUES)?)
}

/// A pool of a frame.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    pub config: PoolConfig,
    /// `{type, hash}` by challenge id, oldest first.
    pub challenges: &'a Map<String, Value>,
    /// Lists of challenge ids by hex character.
    pub binding_map: &'a Map<String, Value>,
    /// The whole pool as the frame has it.
    pub raw: &'a Map<String, Value>,
}

impl<'a> Pool<'a> {
    fn read(pool: &'a Value) -> Result<Pool<'a>, ShapeError> {
        let raw = pool.as_object().ok_or(ShapeError::new("pool", "is no object"))?;
        let id = raw.get("id").and_then(Value::as_str).unwrap_or_default();
        check_name("id", id)?;
        let config = PoolConfig::from_value(id, raw.get("config").unwrap_or(&Value::Null))?;
        let object = |key: &str| {
            let map = raw.get(key).and_then(Value::as_object);
            map.ok_or_else(|| ShapeError::new(key, "is no object"))
        };
        let challenges = object("challenges")?;
        if challenges.len() > MAX_CHALLENGES {
            return Err(ShapeError::new("challenges", "holds more than 4096 challenges"));
        }
        Ok(Pool { config, challenges, binding_map: object("bindingMap")?, raw })
    }

    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// The ids of the challenges, oldest first.
    pub fn ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.challenges.keys().map(String::as_str)
    }

    /// The hash of a challenge.
    pub fn hash(&self, id: &str) -> Option<&'a str> {
        self.challenges.get(id)?.get("hash")?.as_str()
    }

    /// The ids in a bucket of the binding map.
    pub fn bucket(&self, bucket: char) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut key = [0u8; 4];
        let ids = self.binding_map.get(bucket.encode_utf8(&mut key) as &str);
        ids.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Every pool of a frame, in order. Challenges are counted, not looked into.
pub(crate) fn pools(frame: &IbGib) -> Result<Vec<Pool<'_>>, ShapeError> {
    let pools = frame.datum("challengePools").and_then(Value::as_array);
    let pools = pools.ok_or(ShapeError::new("challengePools", "is no list"))?;
    if pools.len() > MAX_POOLS {
        return Err(ShapeError::new("challengePools", "has more than 32 pools"));
    }
    let read = pools.iter().enumerate();
    read.map(|(at, pool)| Pool::read(pool).map_err(|e| e.within(&format!("challengePools[{at}]"))))
        .collect()
}

/// The ids of the challenges that a frame's pool holds, oldest first; none where it has no such
/// pool. A verifier chooses its demands among them.
pub fn pool_ids(frame: &IbGib, pool: &str) -> Vec<String> {
    let pools = frame.datum("challengePools").and_then(Value::as_array).into_iter().flatten();
    let mut pools = pools.filter(|one| one.get("id").and_then(Value::as_str) == Some(pool));
    let challenges = pools.next().and_then(|pool| pool.get("challenges")?.as_object());
    challenges.into_iter().flat_map(|map| map.keys().cloned()).collect()
}

/// The proof that a frame carries; none on a genesis.
///
/// Errors where it is out of shape. Nothing is verified.
pub fn proof_of(frame: &IbGib) -> Result<Option<Proof>, ShapeError> {
    match frame.datum("proofs").and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([proof, ..]) => Proof::from_value(proof).map(Some),
    }
}

/// Whether the frame revokes its keystone.
pub fn is_revoked(frame: &IbGib) -> bool {
    frame.datum("revocationInfo").is_some()
}

/// Why the keystone was revoked, where it was.
pub fn revocation_reason(frame: &IbGib) -> Option<&str> {
    frame.datum("revocationInfo")?.get("reason")?.as_str()
}

/// The frame's details: what its maker put beside the proof.
pub fn frame_details(frame: &IbGib) -> Option<&Value> {
    frame.datum("frameDetails")
}
