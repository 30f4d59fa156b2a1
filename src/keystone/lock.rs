//! The lock of an identity: a signing key beside the challenges, whose signature binds the whole of
//! every frame (docs/protocol.md, section 4, "Locked keystones").
//!
//! A frame's lock stands in its frame details and names the key that the next frame is signed with,
//! so that a step is checked by its two frames alone.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::{KeystoneError, ShapeError};
use super::frame::is_revoked;
use super::secret::MasterSecret;
use crate::ibgib::gib::gib_of;
use crate::ibgib::{IbGib, Valid};

/// The key of frame details under which a lock stands.
const LOCK: &str = "lock";
/// The key of a lock under which its signature stands.
const SIGNATURE: &str = "signature";
/// Keeps a frame's signature from being one of anything else.
const DOMAIN: &str = "sync-gib keystone frame v1";

/// How many hashes a signature counts for in what a step costs to check.
pub(super) const SIGNATURE_COST: u64 = 300;

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the 43 characters of base64url that a frame names a key by; errors where they are no
    /// point of the curve in canonical form, or one of small order.
    fn read(text: &str) -> Result<PublicKey, &'static str> {
        let bytes = bytes(text).ok_or("is no 32 bytes in base64url without padding")?;
        // The library also reads numbers past the field, which spell a key a second time.
        let is_canonical = |key: &VerifyingKey| key.to_edwards().compress().to_bytes() == bytes;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() && is_canonical(&key) => Ok(PublicKey(bytes)),
            _ => Err("is no Ed25519 public key"),
        }
    }

    /// What a genesis says of a key that it keeps back.
    pub(super) fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0).into())
    }

    /// Whether `signature` is one of `message` by this key, by RFC 8032's equation without the
    /// cofactor and with nothing left to choose (`verify_strict`).
    fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

/// The SHA-256 of a public key that is not shown yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash([u8; 32]);

/// A private key, wiped when dropped and never printed.
pub(super) struct PrivateKey(SigningKey);

impl PrivateKey {
    /// The key that a secret gives for the keystone with this uuid.
    pub fn derive(secret: &MasterSecret, uuid: &str) -> PrivateKey {
        PrivateKey(SigningKey::from_bytes(&secret.signing_seed(uuid)))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
}

/// What a frame's details say of the keys of its keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The key that the next frame is signed with.
    pub(super) key: PublicKey,
    /// The hash of the key that a recovery is signed with, where there is one.
    pub(super) recovery: Option<KeyHash>,
    /// The count of the frame that brought the key in.
    pub(super) since: u64,
    /// The key that this frame recovers the keystone with, whose hash the frame before has.
    pub(super) recovery_key: Option<PublicKey>,
    /// Over the rest of the frame; none in a genesis.
    pub(super) signature: Option<[u8; 64]>,
}

impl Lock {
    /// Reads a frame's lock; none where it has none. Nothing is verified.
    ///
    /// Errors where it is out of shape.
    pub(super) fn of(frame: &IbGib) -> Result<Option<Lock>, ShapeError> {
        let Some(lock) = frame.datum("frameDetails").and_then(|details| details.get(LOCK)) else {
            return Ok(None);
        };
        let at = |key: &str, what| ShapeError::new(format!("frameDetails.lock.{key}"), what);
        let Some(lock) = lock.as_object() else {
            return Err(ShapeError::new("frameDetails.lock", "is no object"));
        };
        let keys = ["key", "recovery", "since", "recoveryKey", SIGNATURE];
        if lock.keys().any(|key| !keys.contains(&key.as_str())) {
            return Err(ShapeError::new("frameDetails.lock", "has a key that locks do not have"));
        }
        let text = |key: &str| match lock.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(at(key, "is no text")),
        };
        let public = |key: &str| {
            let read = |text| PublicKey::read(text).map_err(|what| at(key, what));
            text(key)?.map(read).transpose()
        };
        let since = lock.get("since").and_then(Value::as_u64);
        let recovery = text("recovery")?.map(|text| {
            bytes(text).ok_or(at("recovery", "is no 32 bytes in base64url without padding"))
        });
        let signature = text(SIGNATURE)?.map(|text| {
            bytes(text).ok_or(at(SIGNATURE, "is no 64 bytes in base64url without padding"))
        });
        Ok(Some(Lock {
            key: public("key")?.ok_or(at("key", "is missing"))?,
            recovery: recovery.transpose()?.map(KeyHash),
            since: since.ok_or(at("since", "is no whole number"))?,
            recovery_key: public("recoveryKey")?,
            signature: signature.transpose()?,
        }))
    }

    /// Whether a recovery code can continue the keystone.
    pub fn is_recoverable(&self) -> bool {
        self.recovery.is_some()
    }

    /// The count of the frame that brought the key in, and with it how the secret is stretched.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The key that the next frame is signed with.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether both name the same keys.
    pub(super) fn same_keys(&self, other: &Lock) -> bool {
        (self.key, self.recovery, self.since) == (other.key, other.recovery, other.since)
    }

    /// Whether both name the same recovery key, or none.
    pub(crate) fn has_same_recovery(&self, other: &Lock) -> bool {
        self.recovery == other.recovery
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("key".into(), self.key.to_string().into());
        if let Some(KeyHash(hash)) = &self.recovery {
            map.insert("recovery".into(), BASE64URL_NOPAD.encode(hash).into());
        }
        map.insert("since".into(), self.since.into());
        if let Some(key) = &self.recovery_key {
            map.insert("recoveryKey".into(), key.to_string().into());
        }
        if let Some(signature) = &self.signature {
            map.insert(SIGNATURE.into(), BASE64URL_NOPAD.encode(signature).into());
        }
        Value::Object(map)
    }

    /// `details` with this lock in them, as their last key.
    ///
    /// Errors where the details are no object, or have a lock already.
    pub(super) fn within(&self, details: Option<Value>) -> Result<Value, KeystoneError> {
        let mut details = match details {
            None => Map::new(),
            Some(Value::Object(details)) if !details.contains_key(LOCK) => details,
            Some(_) => {
                return Err(ShapeError::new("frameDetails", "leave no room for a lock").into());
            }
        };
        details.insert(LOCK.into(), self.to_value());
        Ok(Value::Object(details))
    }

    /// Whether the frame that has this lock is signed by `key` as the one after `prev`.
    pub(super) fn is_signed_by(&self, key: &PublicKey, prev: &str, frame: &IbGib) -> bool {
        let Some(signature) = self.signature else { return false };
        let mut data = frame.data.clone();
        if let Some(lock) = data.as_mut().and_then(lock_mut) {
            lock.shift_remove(SIGNATURE);
        }
        let unsigned_gib = gib_of(&frame.ib, data.as_ref(), frame.rel8ns.as_ref());
        unsigned_gib.is_ok_and(|gib| key.verifies(&message(prev, &frame.ib, &gib), &signature))
    }
}

/// The lock of a frame that was validated; none where its keystone has no signing key.
pub fn lock_of(frame: &IbGib) -> Option<Lock> {
    Lock::of(frame).ok().flatten()
}

/// What an identity whose newest frame this is signs with, for people.
pub fn described(newest: &IbGib) -> String {
    if is_revoked(newest) {
        return format!("nothing any more: revoked in frame {}", newest.n().unwrap_or_default());
    }
    let Some(lock) = lock_of(newest) else { return "hash reveals alone".into() };
    let changed = match lock.since {
        0 => String::new(),
        since => format!(" (the secret is from frame {since})"),
    };
    let code = match lock.is_recoverable() {
        true => "recoverable by code",
        false => "without a recovery code",
    };
    format!("a signing key{changed}, {code}")
}

/// A frame, whose lock has no signature yet, signed by `key` as the one after `prev`.
pub(super) fn sealed(
    unsigned: Valid<IbGib>,
    prev: &str,
    key: &PrivateKey,
) -> Result<Valid<IbGib>, KeystoneError> {
    let message = message(prev, &unsigned.ib, &unsigned.gib);
    let signature = BASE64URL_NOPAD.encode(&key.0.sign(&message).to_bytes());
    let IbGib { ib, mut data, rel8ns, .. } = unsigned.into_inner();
    let lock = data.as_mut().and_then(lock_mut);
    let lock = lock.ok_or_else(|| ShapeError::new("frameDetails.lock", "is missing"))?;
    lock.insert(SIGNATURE.into(), signature.into());
    Ok(Valid::new(ib, data, rel8ns)?)
}

/// A frame without the signature in its lock.
#[cfg(all(feature = "client", feature = "server"))]
pub(super) fn unsigned(frame: &IbGib) -> Result<Valid<IbGib>, KeystoneError> {
    let mut data = frame.data.clone();
    if let Some(lock) = data.as_mut().and_then(lock_mut) {
        lock.shift_remove(SIGNATURE);
    }
    Ok(Valid::new(frame.ib.clone(), data, frame.rel8ns.clone())?)
}

/// What is signed of a frame: the domain, the address of the frame before, and the address that the
/// frame has without its signature, a line each. That address is a hash of all its content.
fn message(prev: &str, ib: &str, unsigned_gib: &str) -> Vec<u8> {
    format!("{DOMAIN}\n{prev}\n{ib}^{unsigned_gib}").into_bytes()
}

fn lock_mut(data: &mut Value) -> Option<&mut Map<String, Value>> {
    data.get_mut("frameDetails")?.get_mut(LOCK)?.as_object_mut()
}

/// The bytes that a text of base64url without padding spells, where they are `N`. Each has one
/// spelling.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
