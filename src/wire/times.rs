//! Points in time as the dialects write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `YYYY-MM-DD HH:MM:SS.ffffff`, UTC, as `pychat` has it.
pub fn format_utc(time_us: i64) -> String {
    formatted(time_us, "%Y-%m-%d %H:%M:%S.%6f")
}

/// RFC 3339 with milliseconds, UTC.
pub fn format_rfc3339_ms(time_us: i64) -> String {
    formatted(time_us, "%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// Microseconds since the Unix epoch of a time in RFC 3339; `None` for anything else.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

fn formatted(time_us: i64, format: &str) -> String {
    let time = Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_in_both_forms() {
        assert_eq!(format_utc(1_432_480_639_209_832), "2015-05-24 15:17:19.209832");
        assert_eq!(format_rfc3339_ms(1_432_480_639_209_832), "2015-05-24T15:17:19.209Z");
        assert_eq!(parse_rfc3339("2015-05-24T17:17:19.209832+02:00"), Some(1_432_480_639_209_832));
        assert_eq!(parse_rfc3339("2015-05-24"), None);
    }
}
