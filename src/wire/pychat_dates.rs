//! Dates of the `pychat` HISTORY command.
//!
//! Accepted are the format it answers with (`2015-05-24 15:17:19.209832`, blank included), ISO 8601 with `T`, a bare
//! date, a bare time of today, and Unix seconds. Bounds are inclusive: an end given by day or by second covers that
//! whole day or second.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::chat::TimeRange;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Reads `[from [to]]`.
///
/// # Errors
/// The text that is no date.
pub fn parse_range(text: &str) -> Result<TimeRange, String> {
    let mut words = text.split_ascii_whitespace().peekable();
    let from = next_instant(&mut words)?;
    let to = next_instant(&mut words)?;
    if let Some(extra) = words.next() {
        return Err(extra.to_owned());
    }
    Ok(TimeRange {
        from_us: from.map(|instant| instant.start_us),
        to_us: to.map(|instant| instant.start_us + instant.span_us - 1),
    })
}

/// A point in time and how much of it was meant (a day, a second, a microsecond).
struct Instant {
    start_us: i64,
    span_us: i64,
}

fn next_instant<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Result<Option<Instant>, String> {
    let Some(word) = words.next() else { return Ok(None) };
    // A bare date followed by a time is one instant: the format of the answers has a blank in it.
    if let (Some(date), Some(time)) = (bare_date(word), words.peek().copied().and_then(bare_time)) {
        words.next();
        return utc(date.to_datetime(time.0), time.1).map(Some).ok_or_else(|| word.to_owned());
    }
    single(word).map(Some).ok_or_else(|| word.to_owned())
}

fn single(word: &str) -> Option<Instant> {
    if let Some(date) = bare_date(word) {
        return utc(date.to_datetime(Time::midnight()), DAY_US);
    }
    if let Some((time, span_us)) = bare_time(word) {
        return utc(today().to_datetime(time), span_us);
    }
    if let Ok(seconds) = word.parse::<i64>() {
        let start_us = seconds.checked_mul(SECOND_US)?;
        Timestamp::from_microsecond(start_us).ok()?;
        return Some(Instant { start_us, span_us: SECOND_US });
    }
    iso(word)
}

/// ISO 8601 with `T`; with an offset or `Z`, or taken as UTC without one.
fn iso(word: &str) -> Option<Instant> {
    let (_, time) = word.split_once(['T', 't'])?;
    let span_us = span_of(time);
    if let Ok(instant) = word.parse::<Timestamp>() {
        return Some(Instant { start_us: instant.as_microsecond(), span_us });
    }
    utc(word.parse::<DateTime>().ok()?, span_us)
}

fn bare_date(word: &str) -> Option<Date> {
    (word.len() == 10 && word.as_bytes()[4] == b'-').then(|| word.parse().ok()).flatten()
}

fn bare_time(word: &str) -> Option<(Time, i64)> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
    (plain && word.contains(':')).then(|| Some((word.parse().ok()?, span_of(word)))).flatten()
}

/// A time without a fraction means the whole second, without seconds the whole minute.
fn span_of(time: &str) -> i64 {
    // Without the offset, which has a colon of its own.
    let time = time.split(['Z', 'z', '+', '-']).next().unwrap_or(time);
    if time.contains('.') {
        1
    } else if time.matches(':').count() < 2 {
        60 * SECOND_US
    } else {
        SECOND_US
    }
}

fn utc(datetime: DateTime, span_us: i64) -> Option<Instant> {
    let start = datetime.to_zoned(TimeZone::UTC).ok()?;
    Some(Instant { start_us: start.timestamp().as_microsecond(), span_us })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bare time of today needs the day the asker lives in, nothing else depends on it"
)]
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT_US: i64 = 1_432_480_639_209_832;

    #[test]
    fn every_form_names_the_same_moment() {
        let whole_minute = MOMENT_US / (60 * SECOND_US) * 60 * SECOND_US;
        let whole_second = MOMENT_US / SECOND_US * SECOND_US;
        for (text, from, to) in [
            ("2015-05-24 15:17:19.209832", Some(MOMENT_US), None),
            ("2015-05-24T15:17:19.209832", Some(MOMENT_US), None),
            ("2015-05-24T15:17:19.209832Z", Some(MOMENT_US), None),
            ("2015-05-24T17:17:19.209832+02:00", Some(MOMENT_US), None),
            ("1432480639", Some(whole_second), None),
            ("2015-05-24 15:17:19 2015-05-24 15:17:19", Some(whole_second), Some(whole_second + SECOND_US - 1)),
            ("1432480639 1432480639", Some(whole_second), Some(whole_second + SECOND_US - 1)),
            ("2015-05-24 2015-05-24", Some(1_432_425_600_000_000), Some(1_432_512_000_000_000 - 1)),
            ("2015-05-24T15:17Z 2015-05-24T17:17+02:00", Some(whole_minute), Some(whole_minute + 60 * SECOND_US - 1)),
            ("", None, None),
        ] {
            assert_eq!(parse_range(text), Ok(TimeRange { from_us: from, to_us: to }), "{text}");
        }
    }

    #[test]
    fn a_bare_time_is_of_today() {
        let range = parse_range("00:00:00 23:59:59.999999").unwrap();
        assert_eq!(range.to_us.unwrap() - range.from_us.unwrap(), DAY_US - 1);
    }

    #[test]
    fn what_is_no_date_is_named() {
        for text in ["yesterday", "2015-13-01", "25:00", "1e9", "99999999999999999", "2015-05-24 2015-05-25 nonsense"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
        assert_eq!(parse_range("2015-05-24 soon"), Err("soon".to_owned()));
    }
}
