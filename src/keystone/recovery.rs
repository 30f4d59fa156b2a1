//! The recovery code: what continues an identity whose secret is lost or stolen
//! (docs/protocol.md, section 4, "Recovery codes").

use std::fmt;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::secret::{MasterSecret, hkdf};
use crate::ibgib::{Environment, RandomError};

/// How many random bytes a code is.
const BYTES: usize = 20;
/// How many characters of checksum follow.
const CHECK: usize = 4;
/// How many characters stand together.
const GROUP: usize = 4;
/// How many characters a code has, without what divides its groups.
const LEN: usize = BYTES * 8 / 5 + CHECK;
/// The digits of base32 as Crockford chose them, without letters that look like digits.
const SYMBOLS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Keeps what derives from a code, and its checksum, from being anything else's.
const SALT: &[u8] = b"sync-gib recovery code v1";

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut digits = Specification::new();
    digits.symbols.push_str(SYMBOLS);
    digits.encoding().unwrap_or_else(|error| unreachable!("32 digits are no base: {error}"))
});

/// Why a text is no recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryCodeError {
    /// It has another length.
    #[error("a recovery code has {LEN} letters and digits in groups of {GROUP}, not {0}")]
    Length(usize),
    /// It holds a character that codes do not have.
    #[error("a recovery code holds no {0:?}")]
    Character(char),
    /// Its checksum is wrong.
    #[error("the recovery code was not typed right: its checksum does not fit")]
    Checksum,
}

/// 160 random bits, kept on paper: wiped when dropped and never printed but by [`Self::reveal`].
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<[u8; BYTES]>);

impl RecoveryCode {
    /// A new code.
    pub fn new_random(env: &dyn Environment) -> Result<RecoveryCode, RandomError> {
        let mut bytes = Zeroizing::new([0u8; BYTES]);
        env.fill(&mut *bytes)?;
        Ok(RecoveryCode(bytes))
    }

    /// Reads a code as it was typed: upper or lower case, with or without what divides its groups,
    /// and with `o` for `0`, `i` and `l` for `1`.
    ///
    /// Errors where it was not typed right; the error tells nothing of the code but a character
    /// that no code has.
    pub fn read(typed: &SecretString) -> Result<RecoveryCode, RecoveryCodeError> {
        let divides = |c: char| c == '-' || c.is_whitespace();
        let mut text = Zeroizing::new(String::with_capacity(LEN));
        let mut count = 0;
        for c in typed.expose_secret().chars().filter(|c| !divides(*c)) {
            let digit = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            if !SYMBOLS.contains(digit) {
                return Err(RecoveryCodeError::Character(c));
            }
            count += 1;
            // Nothing longer is kept, so that the text never moves and leaves a copy.
            if count <= LEN {
                text.push(digit);
            }
        }
        if count != LEN {
            return Err(RecoveryCodeError::Length(count));
        }
        let (digits, check) = text.split_at(LEN - CHECK);
        let mut bytes = Zeroizing::new([0u8; BYTES]);
        let read = BASE32.decode_mut(digits.as_bytes(), &mut *bytes);
        if read != Ok(BYTES) || *checksum(&bytes) != *check {
            return Err(RecoveryCodeError::Checksum);
        }
        Ok(RecoveryCode(bytes))
    }

    /// The code as it is written on paper: `0123-4567-…`.
    pub fn reveal(&self) -> SecretString {
        let mut digits = Zeroizing::new([0u8; LEN - CHECK]);
        BASE32.encode_mut(&*self.0, &mut *digits);
        let check = checksum(&self.0);
        let mut text = String::with_capacity(LEN + LEN / GROUP);
        for (at, c) in digits.iter().copied().map(char::from).chain(check.chars()).enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(c);
        }
        text.into()
    }

    /// The secret that solves the pool `recover` of the keystone with this uuid, and that its
    /// recovery key derives from.
    pub fn secret(&self, uuid: &str) -> MasterSecret {
        MasterSecret::from_key(&hkdf(&*self.0, SALT, uuid))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// The first 20 bits of a hash of the code.
fn checksum(bytes: &[u8; BYTES]) -> Zeroizing<String> {
    let mut hash = Sha256::new().chain_update(SALT).chain_update(bytes).finalize();
    let mut text = BASE32.encode(&hash);
    hash.as_mut_slice().zeroize();
    text.truncate(CHECK);
    Zeroizing::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::Seeded;

    const CODE: &str = "005H-C89C-6X14-TP33-DSWR-93WT-MPRB-QHPH-XC78";

    fn typed(text: &str) -> Result<RecoveryCode, RecoveryCodeError> {
        RecoveryCode::read(&text.to_owned().into())
    }

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        let code = RecoveryCode(Zeroizing::new(std::array::from_fn(|at| at as u8 * 11)));
        let text = code.reveal().expose_secret().to_owned();
        assert_eq!(text, CODE);
        let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for text in [&text, &text.replace('-', ""), &sloppy, &format!("\n{text}\n")] {
            assert_eq!(*typed(text).unwrap().0, *code.0);
        }
        assert_eq!(format!("{code:?}"), "RecoveryCode(…)");
    }

    #[test]
    fn one_wrong_character_is_seen() {
        let env = Seeded::new(9, crate::ibgib::Moment::from_ms(1_781_262_000_123).unwrap());
        for _ in 0..20 {
            let text = RecoveryCode::new_random(&env).unwrap().reveal();
            let text = text.expose_secret();
            for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b'-') {
                let other = if &text[at..=at] == "7" { "8" } else { "7" };
                let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert_eq!(typed(&wrong).unwrap_err(), RecoveryCodeError::Checksum, "{wrong}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_told_apart() {
        assert_eq!(typed("").unwrap_err(), RecoveryCodeError::Length(0));
        assert_eq!(typed(&CODE[1..]).unwrap_err(), RecoveryCodeError::Length(LEN - 1));
        assert_eq!(typed(&"0".repeat(1000)).unwrap_err(), RecoveryCodeError::Length(1000));
        assert_eq!(typed(&CODE.replace('0', "u")).unwrap_err(), RecoveryCodeError::Character('u'));
    }

    #[test]
    fn each_keystone_has_its_own_secret_of_one_code() {
        let code = typed(CODE).unwrap();
        assert_eq!(code.secret("a").expose().len(), 64);
        assert_ne!(code.secret("a").expose(), code.secret("b").expose());
    }
}
