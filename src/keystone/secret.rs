//! The master secret, and the session secrets that derive from it.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::kdf::{KdfError, KdfParams};
use crate::ibgib::addr::lower_hex;

/// Keeps a session secret from being equal to anything else that HKDF makes of the same secret.
const SESSION_SALT: &[u8] = b"sync-gib session keystone v1";
/// Keeps the seed of a signing key from being equal to anything else that HKDF makes of the secret.
const SIGNING_SALT: &[u8] = b"sync-gib signing key v1";
/// How many bytes a typed secret may have.
const MAX_SECRET_BYTES: usize = 4096;

/// What solves a keystone's challenges: text, wiped when dropped and never printed.
#[derive(Clone)]
pub struct MasterSecret(Zeroizing<String>);

impl MasterSecret {
    /// Takes the text as it is, for identities made elsewhere.
    ///
    /// Errors where it is empty or longer than 4096 bytes.
    pub fn from_raw(secret: SecretString) -> Result<MasterSecret, KdfError> {
        let text = secret.expose_secret();
        if text.is_empty() || text.len() > MAX_SECRET_BYTES {
            return Err(KdfError::SecretLength);
        }
        Ok(MasterSecret(Zeroizing::new(text.to_owned())))
    }

    /// The master secret that `passphrase` gives with an identity's parameters: 64 hex
    /// characters by Argon2id, or the text as it is where the identity stretches nothing.
    ///
    /// Takes as much memory and time as the parameters say. The passphrase's bytes count as
    /// typed: no Unicode form is made of them.
    pub fn from_passphrase(
        passphrase: &SecretString,
        params: &KdfParams,
    ) -> Result<MasterSecret, KdfError> {
        let text = passphrase.expose_secret();
        if text.is_empty() || text.len() > MAX_SECRET_BYTES {
            return Err(KdfError::SecretLength);
        }
        let KdfParams::Argon2id { salt, m_kib, t, p } = params else {
            return MasterSecret::from_raw(text.to_owned().into());
        };
        params.check()?;
        let failed = |error: argon2::Error| KdfError::Argon2(error.to_string());
        let costs = Params::new(*m_kib, *t, *p, Some(32)).map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
        let mut key = Zeroizing::new([0u8; 32]);
        argon2.hash_password_into(text.as_bytes(), salt, &mut *key).map_err(failed)?;
        Ok(MasterSecret::from_key(&key))
    }

    /// The secret of the session keystone of one saga, 64 hex characters by HKDF-SHA-256
    /// (docs/protocol.md, section 4). It tells nothing of this secret.
    pub fn derive_session(&self, saga_id: &str) -> MasterSecret {
        MasterSecret::from_key(&hkdf(self.0.as_bytes(), SESSION_SALT, saga_id))
    }

    /// The seed of the Ed25519 key of the keystone with this uuid (docs/protocol.md, section 4).
    pub(super) fn signing_seed(&self, uuid: &str) -> Zeroizing<[u8; 32]> {
        hkdf(self.0.as_bytes(), SIGNING_SALT, uuid)
    }

    /// The master secret that 32 bytes spell in hex.
    pub(super) fn from_key(key: &[u8; 32]) -> MasterSecret {
        MasterSecret(Zeroizing::new(lower_hex(key)))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// 32 bytes by HKDF-SHA-256 (RFC 5869).
pub(super) fn hkdf(secret: &[u8], salt: &[u8], info: &str) -> Zeroizing<[u8; 32]> {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), secret);
    // One block of HKDF's expansion is the HMAC that its extraction is, keyed by the extracted key,
    // over the info and the byte 1. Written so, it cannot fail.
    let (mut block, _) = Hkdf::<Sha256>::extract(Some(&prk), &[info.as_bytes(), &[1]].concat());
    let key = Zeroizing::new(block.into());
    prk.as_mut_slice().zeroize();
    block.as_mut_slice().zeroize();
    key
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> MasterSecret {
        MasterSecret::from_raw(text.to_owned().into()).unwrap()
    }

    #[test]
    fn argon2id_gives_64_hex_that_hang_on_every_parameter() {
        let params = |salt, m_kib, t, p| KdfParams::Argon2id { salt: [salt; 16], m_kib, t, p };
        let derive = |text: &str, params: &KdfParams| {
            MasterSecret::from_passphrase(&text.to_owned().into(), params).unwrap().0
        };
        let base = derive("open sesame", &params(7, 8192, 1, 1));
        assert_eq!(*base, "06583d4ae96faf619793dd8a945b9de0e8b931f32071b979a877adba349e954b");
        assert_eq!(base, derive("open sesame", &params(7, 8192, 1, 1)));
        assert_ne!(base, derive("open sesamf", &params(7, 8192, 1, 1)));
        assert_ne!(base, derive("open sesame", &params(8, 8192, 1, 1)));
        assert_ne!(base, derive("open sesame", &params(7, 8193, 1, 1)));
        assert_ne!(base, derive("open sesame", &params(7, 8192, 2, 1)));
        assert_ne!(base, derive("open sesame", &params(7, 8192, 1, 2)));
    }

    #[test]
    fn without_stretching_the_text_is_the_secret() {
        let text: SecretString = "as it is".to_owned().into();
        let secret = MasterSecret::from_passphrase(&text, &KdfParams::Raw).unwrap();
        assert_eq!(secret.expose(), "as it is");
    }

    #[test]
    fn each_session_has_its_own_secret() {
        let master = raw("master");
        let one = master.derive_session("saga 1");
        assert_eq!(one.expose().len(), 64);
        assert_eq!(one.expose(), master.derive_session("saga 1").expose());
        assert_ne!(one.expose(), master.derive_session("saga 2").expose());
        assert_ne!(one.expose(), raw("other").derive_session("saga 1").expose());
        let mut key = [0u8; 32];
        Hkdf::<Sha256>::new(Some(SESSION_SALT), b"master").expand(b"saga 1", &mut key).unwrap();
        assert_eq!(one.expose(), lower_hex(&key));
    }

    #[test]
    fn an_empty_or_endless_secret_is_refused() {
        for text in [String::new(), "x".repeat(MAX_SECRET_BYTES + 1)] {
            let refused = MasterSecret::from_raw(text.into());
            assert!(matches!(refused, Err(KdfError::SecretLength)));
        }
    }

    #[test]
    fn debug_output_tells_nothing() {
        assert_eq!(format!("{:?}", raw("hush")), "MasterSecret(…)");
    }
}
