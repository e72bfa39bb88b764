//! Times as storage clients write them.

use kernel::Timestamp;
use time::{Date, OffsetDateTime, Time, format_description::BorrowedFormatItem, macros::format_description};

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]Z");

/// 100-nanosecond steps in a millisecond.
const STEPS: u64 = 10_000;

/// A date alone.
pub(super) fn date(text: &str) -> Option<Date> {
    Date::parse(text, DATE).ok()
}

/// `2026-01-31`, `2026-01-31T12:00Z`, `2026-01-31T12:00:00Z`, or with a fraction.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    if let Some(day) = date(text) {
        return Some(Timestamp(day.midnight().assume_utc().unix_timestamp().saturating_mul(1000)));
    }
    if let Some(at) = text.ends_with('Z').then(|| Timestamp::parse_rfc3339(text)).flatten() {
        return Some(at);
    }
    let (day, minute) = text.split_once('T')?;
    let at = date(day)?.with_time(Time::parse(minute, MINUTE).ok()?).assume_utc();
    Some(Timestamp(at.unix_timestamp().saturating_mul(1000)))
}

/// The steps of 100 ns since 1970 at a time: how snapshots are told apart.
pub(super) fn steps(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(STEPS)
}

const HTTP: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time as HTTP writes it: `Sat, 31 Jan 2026 12:00:00 GMT`.
pub fn http_date(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.seconds()).ok();
    at.and_then(|at| at.format(HTTP).ok()).unwrap_or_default()
}

/// Reads such a time.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let at = time::PrimitiveDateTime::parse(text, HTTP).ok()?.assume_utc();
    Some(Timestamp(at.unix_timestamp().saturating_mul(1000)))
}

/// A snapshot's time: `2026-01-31T12:00:00.0000000Z`.
pub fn snapshot_text(steps: u64) -> String {
    const FORM: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
    let nanos = i128::from(steps).saturating_mul(100);
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    at.and_then(|at| at.format(FORM).ok()).unwrap_or_default()
}

/// The steps of a snapshot's time. Never 0: the row of that time is the blob itself, which a snapshot's name must not reach.
pub fn parse_snapshot(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos().checked_div(100)?).ok().filter(|steps| *steps > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_time_is_read() {
        let noon = Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").unwrap();
        for text in ["2026-01-31T12:00Z", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.0000000Z"] {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(parse("2026-01-31").unwrap().rfc3339(), "2026-01-31T00:00:00Z");
        for text in ["", "2026-02-30", "2026-01-31T12:00", "2026-01-31T12:00:00+01:00", "now", "9999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let text = snapshot_text(steps(noon) + 1);
        assert_eq!(text, "2026-01-31T12:00:00.0000001Z");
        assert_eq!(parse_snapshot(&text), Some(steps(noon) + 1));
    }

    #[test]
    fn no_snapshot_has_the_place_of_the_blob_itself() {
        for text in ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0000000Z", "1969-12-31T23:59:59.99999995Z"] {
            assert_eq!(parse_snapshot(text), None, "{text}");
        }
        assert_eq!(parse_snapshot("1970-01-01T00:00:00.0000001Z"), Some(1));
    }
}
