//! Timestamps as frames carry them: `data.timestamp` and `data.timestampMs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::json;

/// The last millisecond that a timestamp can name: the end of the year 9999.
pub const MAX_MS: u64 = 253_402_300_799_999;

/// A moment, in milliseconds since 1970 (UTC), at most [`MAX_MS`]; by default the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment `ms` milliseconds after 1970 began; none if that is later than [`MAX_MS`].
    pub fn from_ms(ms: u64) -> Option<Moment> {
        (ms <= MAX_MS).then_some(Moment(ms))
    }

    /// What the machine's clock says.
    pub fn now() -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from(since.as_millis()).unwrap_or(MAX_MS).min(MAX_MS))
    }

    /// Milliseconds since 1970.
    pub fn ms(self) -> u64 {
        self.0
    }

    /// The form of JavaScript's `Date.toUTCString`.
    pub fn to_utc_string(self) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(self.0))
    }

    /// The moment that a frame's data carries; none where it carries none that can be read.
    pub fn of_data(data: &Map<String, Value>) -> Option<Moment> {
        let text = data.get("timestamp")?.as_str()?;
        let ms = data.get("timestampMs").and_then(Value::as_u64).unwrap_or(0);
        let whole = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Moment::from_ms(u64::try_from(whole.as_millis()).ok()?.checked_add(ms.min(999))?)
    }

    /// Writes the moment into a frame's data: whole seconds as text, and the milliseconds.
    pub fn stamp(self, data: &mut Map<String, Value>) {
        json::set(data, "timestamp", self.to_utc_string().into());
        json::set(data, "timestampMs", (self.0 % 1000).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let moment = Moment::from_ms(1_781_262_000_123).unwrap();
        let mut data = Map::new();
        moment.stamp(&mut data);
        assert_eq!(data["timestamp"], "Fri, 12 Jun 2026 11:00:00 GMT");
        assert_eq!(data["timestampMs"], 123);
        assert_eq!(Moment::of_data(&data), Some(moment));
    }

    #[test]
    fn the_year_10000_is_refused() {
        assert!(Moment::from_ms(MAX_MS).unwrap().to_utc_string().contains("9999"));
        assert_eq!(Moment::from_ms(MAX_MS + 1), None);
    }
}
