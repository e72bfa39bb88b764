//! What a request shows, and its canonical form under a shared key (REST, "Authorize with Shared Key").

use domain::storage::{Credential, Sas, invalid, parse_http_date};
use http::header;
use kernel::{Error, Kind, Result, Secret};
use std::{cmp::Ordering, time::Duration};

use super::visit::Visit;

/// A signed request is good for so long, before and after the time that it names.
const FRESH: Duration = Duration::from_secs(15 * 60);

fn refused(why: &str) -> Error {
    let why = format!("Server failed to authenticate the request: {why}.");
    Error::new(Kind::Denied, why).coded("AuthenticationFailed")
}

/// The credential of a request: one, or none.
pub(super) fn of(visit: &Visit) -> Result<Credential> {
    let guest = visit.guest();
    let sas = Sas::of(&visit.pairs);
    let mut values = guest.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(sas.map_or(Credential::Nothing, Credential::Sas));
    };
    if values.next().is_some() || sas.is_some() {
        return Err(refused("it shows more than one credential"));
    }
    let malformed = || invalid("InvalidAuthenticationInfo", "the `Authorization` header is not well formed");
    let (scheme, rest) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(malformed)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Credential::Bearer(Secret::new(rest.trim().to_owned()))),
        "sharedkey" => {
            require_fresh(visit)?;
            let (account, code) = rest.trim().split_once(':').ok_or_else(malformed)?;
            let texts = texts(visit);
            Ok(Credential::SharedKey { account: account.to_owned(), code: code.to_owned(), texts })
        }
        _ => Err(refused("the scheme of the `Authorization` header must be `Bearer` or `SharedKey`")),
    }
}

fn require_fresh(visit: &Visit) -> Result<()> {
    let date = visit.header("x-ms-date").or_else(|| visit.header("date"));
    let at = date.and_then(parse_http_date).ok_or_else(|| refused("`x-ms-date` is missing, or no time"))?;
    let now = visit.house().now();
    if at.plus(FRESH) < now || now.plus(FRESH) < at {
        return Err(refused("`x-ms-date` is more than 15 minutes away from the server's time"));
    }
    Ok(())
}

/// The canonical form; with each order of headers that clients use, where these differ.
fn texts(visit: &Visit) -> Vec<String> {
    let guest = visit.guest();
    let header = |name: &str| visit.header(name).unwrap_or_default();
    let length = Some(header("content-length")).filter(|length| *length != "0").unwrap_or_default();
    let date = if guest.headers().contains_key("x-ms-date") { "" } else { header("date") };
    let lines = [
        guest.method().as_str(),
        header("content-encoding"),
        header("content-language"),
        length,
        header("content-md5"),
        header("content-type"),
        date,
        header("if-modified-since"),
        header("if-match"),
        header("if-none-match"),
        header("if-unmodified-since"),
        header("range"),
    ];
    let mut own: Vec<(&str, String)> = guest
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-ms-"))
        .map(|name| {
            let values = guest.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
            (name, values.map(str::trim).collect::<Vec<_>>().join(","))
        })
        .collect();
    own.sort();
    let plain = whole(&lines, &own, visit);
    own.sort_by(|a, b| collated(a.0, b.0));
    let by_language = whole(&lines, &own, visit);
    if plain == by_language { vec![plain] } else { vec![plain, by_language] }
}

fn whole(lines: &[&str], own: &[(&str, String)], visit: &Visit) -> String {
    let mut text = lines.join("\n");
    for (name, value) in own {
        text.push_str(&format!("\n{name}:{value}"));
    }
    let asked = visit.guest().asked_as().map_or_else(|| visit.guest().path(), |asked| asked.path.as_str());
    text.push_str(&format!("\n/{}{asked}", visit.account));
    let mut pairs: Vec<(String, &str)> =
        visit.pairs.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
    pairs.sort();
    for (name, value) in pairs {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

/// The order of the service's own collation, which Azure's Python client follows: hyphens count last.
fn collated(a: &str, b: &str) -> Ordering {
    let weights = |text: &str| text.bytes().map(weight).filter(|weight| *weight > 0).collect::<Vec<_>>();
    let is_hyphen = |c: u8| matches!(c, b'-' | b'\'');
    weights(a).cmp(&weights(b)).then_with(|| {
        // At the first place where only one of them has a hyphen, that one is the greater.
        let places = a.bytes().zip(b.bytes()).map(|(a, b)| is_hyphen(a).cmp(&is_hyphen(b)));
        places.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

fn weight(c: u8) -> u16 {
    match c {
        b'a'..=b'z' => u16::from(c).saturating_add(0x0e00),
        b'A'..=b'Z' => u16::from(c.to_ascii_lowercase()).saturating_add(0x0e00),
        b'0'..=b'9' => u16::from(c).saturating_add(0x0d00),
        b'!' => 0x71c,
        b'#' => 0x71f,
        b'$' => 0x721,
        b'%' => 0x723,
        b'&' => 0x725,
        b'*' => 0x72d,
        b'.' => 0x733,
        b'^' => 0x743,
        b'_' => 0x744,
        b'`' => 0x748,
        b'|' => 0x74c,
        b'~' => 0x750,
        b'+' => 0x803,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_count_last_where_the_language_says_so() {
        let mut names = ["x-ms-meta-ab", "x-ms-meta-a-c", "x-ms-meta-a_b", "x-ms-date"];
        names.sort_by(|a, b| collated(a, b));
        assert_eq!(names, ["x-ms-date", "x-ms-meta-a_b", "x-ms-meta-ab", "x-ms-meta-a-c"]);
        names.sort_unstable();
        assert_eq!(names, ["x-ms-date", "x-ms-meta-a-c", "x-ms-meta-a_b", "x-ms-meta-ab"]);
    }
}
