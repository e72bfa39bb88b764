//! Durations as Azure writes them (ISO 8601): days, hours, minutes, seconds.

use std::time::Duration;

use kernel::{Error, Result};

/// The units, in the order in which they stand; those of a day and more before `T`.
const UNITS: [(char, u64); 4] = [('D', 86_400), ('H', 3600), ('M', 60), ('S', 1)];

/// Reads one: `PT8H`, `P1DT30M`. Years and months have no length, and are refused.
pub(super) fn parse(field: &str, text: &str) -> Result<Duration> {
    let unusable = || Error::invalid(field, "must be a duration of days, hours, minutes and seconds, such as `PT8H`");
    let rest = text.strip_prefix('P').ok_or_else(unusable)?;
    let (days, times) = rest.split_once('T').unwrap_or((rest, ""));
    let is_bare = times.is_empty() && rest.contains('T');
    let mut total: u64 = 0;
    let mut count: usize = 0;
    for (mut part, units) in [(days, UNITS.get(..1)), (times, UNITS.get(1..))] {
        for (unit, seconds) in units.unwrap_or_default() {
            let Some((number, after)) = part.split_once(*unit) else { continue };
            let is_plain = (1..=9).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
            let number: u64 = number.parse().ok().filter(|_| is_plain).ok_or_else(unusable)?;
            total = total.saturating_add(number.saturating_mul(*seconds));
            count = count.saturating_add(1);
            part = after;
        }
        if !part.is_empty() {
            return Err(unusable());
        }
    }
    if count == 0 || is_bare { Err(unusable()) } else { Ok(Duration::from_secs(total)) }
}

/// Writes one, to the second.
pub(super) fn show(span: Duration) -> String {
    let mut rest = span.as_secs();
    let mut out = String::from("P");
    for (unit, seconds) in UNITS {
        let number = rest.div_euclid(seconds);
        rest = rest.rem_euclid(seconds);
        if number > 0 {
            if unit != 'D' && !out.contains('T') {
                out.push('T');
            }
            out.push_str(&format!("{number}{unit}"));
        }
    }
    if out == "P" { String::from("PT0S") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_there_and_back() {
        for (text, seconds) in [("PT8H", 28_800), ("P1D", 86_400), ("P1DT2H3M4S", 93_784), ("PT0S", 0), ("PT90M", 5400)]
        {
            assert_eq!(parse("x", text).unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(
            [0, 5400, 86_400, 93_784].map(|seconds| show(Duration::from_secs(seconds))),
            ["PT0S", "PT1H30M", "P1D", "P1DT2H3M4S"]
        );
        for bad in [
            "",
            "P",
            "PT",
            "P1",
            "8H",
            "PT8",
            "P1Y",
            "P1M",
            "P1DT",
            "PT1S1H",
            "PT-1H",
            "PT1.5H",
            "PT+1H",
            "P1H",
            "PT1D",
            "PT9999999999S",
            "PTH",
        ] {
            assert!(parse("x", bad).is_err(), "{bad}");
        }
    }
}
