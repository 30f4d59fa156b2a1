//! How hard a new secret is to guess.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zxcvbn::zxcvbn;

use crate::cli::error::{CliError, ErrorCode};
use crate::cli::output::warn;

/// How many guesses a new secret must take at least: 2^40.
const FEWEST: u64 = 1 << 40;
/// How long a guess takes where a secret is not stretched: a few hashes.
const HASHES: Duration = Duration::from_micros(1);
/// What everybody tries first at such a secret.
const NEAR: [&str; 5] = ["sync-gib", "ibgib", "keystone", "secret", "identity"];

/// Refuses a new secret that is found in fewer than 2^40 guesses, or only warns of it where the
/// person wants it anyway (`allowed`); both tell what guessing it costs.
///
/// `stretching` is the time that one run of Argon2id took here, none where the secret is used as
/// it is.
pub fn check(
    secret: &SecretString,
    stretching: Option<Duration>,
    allowed: bool,
) -> Result<(), CliError> {
    let guesses = zxcvbn(secret.expose_secret(), &NEAR).guesses();
    if guesses >= FEWEST {
        return Ok(());
    }
    let weak = cost(guesses, stretching);
    if allowed {
        warn(weak);
        return Ok(());
    }
    Err(CliError::new(ErrorCode::SecretRefused, weak).hint(
        "choose a longer one, such as six words drawn at random; --allow-weak-secret accepts it anyway",
    ))
}

/// What guessing costs, from the identity's public frames.
fn cost(guesses: u64, stretching: Option<Duration>) -> String {
    let each = stretching.unwrap_or(HASHES);
    let how = match stretching {
        Some(each) => format!("one run of Argon2id ({:.2} s here)", each.as_secs_f64()),
        None => "a few hashes (0.000001 s)".to_owned(),
    };
    let time = spell(guesses as f64 * each.as_secs_f64());
    format!(
        "this secret is weak: it is found in about {guesses} guesses of {how} each, {time} in all; \
         fewer than 2^40 are refused"
    )
}

/// A time for people, in the largest unit that it fills.
fn spell(seconds: f64) -> String {
    const UNITS: [(&str, f64); 5] = [
        ("years", 31_557_600.0),
        ("days", 86_400.0),
        ("hours", 3600.0),
        ("minutes", 60.0),
        ("s", 1.0),
    ];
    let unit = UNITS.iter().find(|(_, length)| seconds >= 2.0 * length);
    unit.map_or("less than 2 s".to_owned(), |(name, length)| {
        format!("{:.0} {name}", seconds / length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(secret: &str, allowed: bool) -> Result<(), CliError> {
        check(&secret.to_owned().into(), Some(Duration::from_millis(150)), allowed)
    }

    #[test]
    fn what_is_found_in_fewer_than_2_to_the_40_guesses_is_refused() {
        for weak in ["x", "password", "Tr0ub4dor&3", "sync-gib keystone", "12345678901234567890"] {
            let error = checked(weak, false).unwrap_err();
            assert_eq!((error.code, error.exit), (ErrorCode::SecretRefused, 5), "{weak}");
            assert!(!error.message.contains(weak), "{}", error.message);
            assert!(error.hint.unwrap().contains("--allow-weak-secret"));
            assert!(checked(weak, true).is_ok());
        }
        for strong in
            ["correct horse battery staple walnut", "q8#Vt!zK2mWp0e", "é日本語のパスワード長い文"]
        {
            assert!(checked(strong, false).is_ok(), "{strong}");
        }
    }

    #[test]
    fn the_cost_is_the_guesses_times_what_one_takes() {
        let stretched = cost(24_000, Some(Duration::from_millis(150)));
        assert!(
            stretched.contains("24000 guesses") && stretched.contains("60 minutes"),
            "{stretched}"
        );
        assert!(cost(7_200_000_000, None).contains("2 hours"), "{}", cost(7_200_000_000, None));
        assert_eq!(spell(3.2e9), "101 years");
        assert_eq!(spell(1.0), "less than 2 s");
    }
}
