//! Spans of time as they are given on the command line: `30d`, `12h`, `90m`, `45s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long something is kept; no end for `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Option<Duration>);

/// A text that is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a whole number with a unit (`90d`, `12h`, `30m`, `45s`), or `forever`")]
pub struct NotAnAge;

/// The units, the longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for Age {
    type Err = NotAnAge;

    fn from_str(text: &str) -> Result<Age, NotAnAge> {
        if text == "forever" {
            return Ok(Age(None));
        }
        let unit = |(unit, seconds)| Some((text.strip_suffix(unit)?, seconds));
        let (number, seconds) = UNITS.into_iter().find_map(unit).ok_or(NotAnAge)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number).ok_or(NotAnAge)?;
        number.checked_mul(seconds).map(|all| Age(Some(Duration::from_secs(all)))).ok_or(NotAnAge)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.0 else { return f.write_str("forever") };
        let fits = |(_, seconds): &(char, u64)| time.as_secs().is_multiple_of(*seconds);
        let (unit, seconds) = UNITS.into_iter().find(fits).unwrap_or(('s', 1));
        write!(f, "{}{unit}", time.as_secs() / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_and_nothing_else_is_one() {
        for text in ["90d", "36h", "1m", "61s", "forever", "0d"] {
            assert_eq!(text.parse::<Age>().unwrap().to_string(), text);
        }
        assert_eq!("120s".parse::<Age>().unwrap().to_string(), "2m");
        for wrong in ["", "d", "9", "-1d", "+1d", "1.5h", "1 d", "1w", "Forever", "1dd"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
        assert!(format!("{}d", u64::MAX).parse::<Age>().is_err());
    }
}
