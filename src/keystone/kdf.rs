//! How an identity stretches what a person types: kept in its genesis frame details, so that a
//! second device needs the identity's address and the passphrase alone.

use serde_json::{Value, json};

use crate::ibgib::addr::lower_hex;
use crate::ibgib::{Environment, RandomError};

/// Fewest KiB of memory that are accepted: less would make guessing cheap.
pub const MIN_MEMORY_KIB: u32 = 8 << 10;
/// Most KiB of memory that are accepted: a frame from outside must not exhaust the machine.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes that are accepted.
pub const MAX_PASSES: u32 = 16;
/// Most lanes that are accepted.
pub const MAX_LANES: u32 = 16;
/// Most KiB in all passes together: some seconds of work.
pub const MAX_WORK_KIB: u64 = 4 << 20;

/// Why a secret was not stretched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KdfError {
    /// The secret is empty, or longer than any person types.
    #[error("the secret must have between 1 and 4096 bytes")]
    SecretLength,
    /// The frame details tell no parameters.
    #[error("the identity's frame details name no supported key derivation ({0})")]
    Unknown(&'static str),
    /// The parameters are too weak or too costly.
    #[error("the identity's key derivation is out of bounds: {0}")]
    Bounds(&'static str),
    /// Argon2 refused.
    #[error("the key derivation failed: {0}")]
    Argon2(String),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// How a typed secret becomes the master secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KdfParams {
    /// Argon2id, version 19, 32 bytes out.
    Argon2id {
        /// Different for every identity.
        salt: [u8; 16],
        /// Memory, in KiB.
        m_kib: u32,
        /// Passes.
        t: u32,
        /// Lanes.
        p: u32,
    },
    /// The typed text is the master secret.
    Raw,
}

impl KdfParams {
    /// Parameters for a new identity: a random salt, 64 MiB, 3 passes, 1 lane.
    ///
    /// That is RFC 9106's choice for machines with little memory, save for the lanes, which run
    /// one after another here and so would help none but an attacker.
    pub fn new_random(env: &dyn Environment) -> Result<KdfParams, KdfError> {
        let mut salt = [0u8; 16];
        env.fill(&mut salt)?;
        Ok(KdfParams::Argon2id { salt, m_kib: 64 << 10, t: 3, p: 1 })
    }

    /// Reads `kdf` from a genesis frame's details.
    ///
    /// Errors where there is none, or one that would take more memory or time than is accepted,
    /// or so little that guessing is cheap.
    pub fn from_frame_details(details: &Value) -> Result<KdfParams, KdfError> {
        let kdf = details.get("kdf").ok_or(KdfError::Unknown("no \"kdf\""))?;
        match kdf.get("algo").and_then(Value::as_str) {
            Some("none") => return Ok(KdfParams::Raw),
            Some("argon2id") => {}
            _ => return Err(KdfError::Unknown("\"algo\" is neither \"argon2id\" nor \"none\"")),
        }
        let cost = |key, what| {
            let cost = kdf.get(key).and_then(Value::as_u64);
            cost.and_then(|cost| u32::try_from(cost).ok()).ok_or(KdfError::Unknown(what))
        };
        let salt = kdf.get("salt").and_then(Value::as_str).and_then(salt_of);
        let params = KdfParams::Argon2id {
            salt: salt.ok_or(KdfError::Unknown("\"salt\" is not 32 hex characters"))?,
            m_kib: cost("mKib", "\"mKib\" is no number")?,
            t: cost("t", "\"t\" is no number")?,
            p: cost("p", "\"p\" is no number")?,
        };
        params.check()?;
        Ok(params)
    }

    /// The `kdf` of a genesis frame's details.
    pub fn to_value(&self) -> Value {
        match self {
            KdfParams::Raw => json!({ "algo": "none" }),
            KdfParams::Argon2id { salt, m_kib, t, p } => json!({
                "algo": "argon2id",
                "salt": lower_hex(salt),
                "mKib": m_kib,
                "t": t,
                "p": p,
            }),
        }
    }

    /// How many KiB of memory all passes take together; 0 where nothing is stretched.
    pub fn work_kib(&self) -> u64 {
        match self {
            KdfParams::Raw => 0,
            KdfParams::Argon2id { m_kib, t, .. } => u64::from(*m_kib) * u64::from(*t),
        }
    }

    /// Fails where a cost is out of bounds.
    pub(crate) fn check(&self) -> Result<(), KdfError> {
        let KdfParams::Argon2id { m_kib, t, p, .. } = self else { return Ok(()) };
        if !(MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(m_kib) {
            return Err(KdfError::Bounds("mKib must be within 8192 (8 MiB) and 1048576 (1 GiB)"));
        }
        if !(1..=MAX_PASSES).contains(t) || self.work_kib() > MAX_WORK_KIB {
            return Err(KdfError::Bounds("t must be within 1 and 16, and mKib * t at most 4 GiB"));
        }
        if !(1..=MAX_LANES).contains(p) {
            return Err(KdfError::Bounds("p must be within 1 and 16"));
        }
        Ok(())
    }
}

fn salt_of(hex: &str) -> Option<[u8; 16]> {
    base16ct::mixed::decode_vec(hex).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    fn read(kdf: Value) -> Result<KdfParams, KdfError> {
        KdfParams::from_frame_details(&json!({ "kdf": kdf }))
    }

    #[test]
    fn parameters_read_back() {
        let params = KdfParams::new_random(&System::new()).unwrap();
        assert_eq!(read(params.to_value()).unwrap(), params);
        assert_eq!(read(KdfParams::Raw.to_value()).unwrap(), KdfParams::Raw);
        assert_ne!(params, KdfParams::new_random(&System::new()).unwrap());
    }

    #[test]
    fn costs_from_outside_are_bounded() {
        let salt = "00112233445566778899aabbccddeeff";
        let read = |m: u64, t: u64, p: u64| {
            read(json!({ "algo": "argon2id", "salt": salt, "mKib": m, "t": t, "p": p }))
        };
        assert!(read(8192, 1, 1).is_ok() && read(1 << 20, 4, 16).is_ok());
        let bad = [(8191, 1, 1), ((1 << 20) + 1, 1, 1), (8192, 0, 1), (8192, 17, 1)];
        for (m, t, p) in bad.into_iter().chain([(1 << 20, 5, 1), (8192, 1, 0), (8192, 1, 17)]) {
            assert!(matches!(read(m, t, p), Err(KdfError::Bounds(_))), "{m} {t} {p}");
        }
        assert!(matches!(read(u64::MAX, 1, 1), Err(KdfError::Unknown(_))));
    }

    #[test]
    fn what_tells_no_derivation_is_refused() {
        let short = json!({ "algo": "argon2id", "salt": "00", "mKib": 8192, "t": 1, "p": 1 });
        assert!(matches!(read(short), Err(KdfError::Unknown(_))));
        assert!(matches!(read(json!({ "algo": "md5" })), Err(KdfError::Unknown(_))));
        let none = KdfParams::from_frame_details(&json!({}));
        assert!(matches!(none, Err(KdfError::Unknown(_))));
    }
}
