//! Spans of a rotation policy: ISO 8601 durations in years, months, weeks and days.

use std::{fmt, str::FromStr};

use kernel::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Month, OffsetDateTime, util::days_in_month};

/// Digits of one number.
const LONGEST: usize = 4;

/// A span of calendar time: `P90D`, `P1Y6M`. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    months: u32,
    days: u32,
}

impl Span {
    /// So many days.
    pub const fn days(days: u32) -> Self {
        Self { months: 0, days }
    }

    /// So many months.
    pub const fn months(months: u32) -> Self {
        Self { months, days: 0 }
    }

    /// This long after a time in epoch seconds: months by the calendar (the last day of a shorter month), then days. None beyond
    /// the year 9999.
    pub(in crate::vault) fn after(self, seconds: i64) -> Option<i64> {
        self.moved(seconds, 1)
    }

    /// This long before.
    pub(in crate::vault) fn before(self, seconds: i64) -> Option<i64> {
        self.moved(seconds, -1)
    }

    fn moved(self, seconds: i64, sign: i64) -> Option<i64> {
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let months = i64::from(at.year())
            .checked_mul(12)?
            .checked_add(i64::from(u8::from(at.month())))?
            .checked_sub(1)?
            .checked_add(i64::from(self.months).checked_mul(sign)?)?;
        let year = i32::try_from(months.div_euclid(12)).ok()?;
        let month = Month::try_from(u8::try_from(months.rem_euclid(12)).ok()?.checked_add(1)?).ok()?;
        let day = at.day().min(days_in_month(month, year));
        let moved = at.replace_date(Date::from_calendar_date(year, month, day).ok()?);
        moved.unix_timestamp().checked_add(i64::from(self.days).checked_mul(86_400)?.checked_mul(sign)?)
    }

    /// As many days as it has at least, for comparing.
    pub(super) fn least_days(self) -> u32 {
        // Twelve months have 365 days at least, and one has 28.
        let (years, months) = (self.months / 12, self.months % 12);
        years.saturating_mul(365).saturating_add(months.saturating_mul(28)).saturating_add(self.days)
    }

    /// As many as it has at most.
    pub(super) fn most_days(self) -> u32 {
        let (years, months) = (self.months / 12, self.months % 12);
        years.saturating_mul(366).saturating_add(months.saturating_mul(31)).saturating_add(self.days)
    }
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = parse(text).filter(|span| span.months > 0 || span.days > 0);
        parsed.ok_or_else(|| {
            let why = "must be an ISO 8601 duration in years, months, weeks and days, such as `P90D` or `P1Y6M`";
            Error::invalid("rotationPolicy", why)
        })
    }
}

fn parse(text: &str) -> Option<Span> {
    let mut rest = text.strip_prefix('P')?;
    let (mut months, mut days) = (0u32, 0u32);
    // Units come in this order, each at most once.
    for (unit, of_months, of_days) in [('Y', 12, 0), ('M', 1, 0), ('W', 0, 7), ('D', 0, 1)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || number.len() > LONGEST || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u32 = number.parse().ok()?;
        months = months.checked_add(number.checked_mul(of_months)?)?;
        days = days.checked_add(number.checked_mul(of_days)?)?;
        rest = after;
    }
    rest.is_empty().then_some(Span { months, days })
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("P")?;
        for (number, unit) in [(self.months / 12, 'Y'), (self.months % 12, 'M'), (self.days, 'D')] {
            if number > 0 {
                write!(out, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, written) in
            [("P90D", "P90D"), ("P1Y6M", "P1Y6M"), ("P18M", "P1Y6M"), ("P2W", "P14D"), ("P1Y2M3D", "P1Y2M3D")]
        {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), written, "{text}");
        }
        for bad in
            ["", "P", "90D", "P0D", "PT1H", "P1DT1H", "P-1D", "P+1D", "P1D2M", "P1.5D", "P99999D", "p1d", "P1DD", "P1"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn months_go_by_the_calendar() {
        let at = |text: &str| kernel::Timestamp::parse_rfc3339(text).unwrap().seconds();
        let after = |from: &str, span: &str| span.parse::<Span>().unwrap().after(at(from)).unwrap();
        assert_eq!(after("2026-01-31T12:00:00Z", "P1M"), at("2026-02-28T12:00:00Z"));
        assert_eq!(after("2027-12-31T00:00:00Z", "P2M"), at("2028-02-29T00:00:00Z"));
        assert_eq!(after("2026-11-22T00:00:00Z", "P1Y1M1D"), at("2027-12-23T00:00:00Z"));
        let span = "P1M10D".parse::<Span>().unwrap();
        assert_eq!(span.before(at("2026-03-31T00:00:00Z")).unwrap(), at("2026-02-18T00:00:00Z"));
        assert_eq!("P9999Y".parse::<Span>().unwrap().after(at("2026-01-01T00:00:00Z")), None);
    }
}
