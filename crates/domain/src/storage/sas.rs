//! Shared access signatures: what they say, and the text that is signed (REST, "Create an account SAS", "Create a service SAS",
//! "Create a user delegation SAS"; the texts of versions from 2020-12-06 on).

use std::{collections::BTreeMap, net::IpAddr};

use kernel::{Result, Timestamp};

use super::{fault, time};

/// The oldest version whose text is known here.
const OLDEST: &str = "2020-12-06";
/// From here on the text of delegated ones names the user that may use it.
const NAMES_USERS: &str = "2025-07-05";
/// From here on it names headers and parameters of the request.
const NAMES_REQUEST: &str = "2026-04-06";

/// The fields of a signature, by their names; each once.
pub struct Sas {
    fields: BTreeMap<String, String>,
}

impl std::fmt::Debug for Sas {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sas(***)")
    }
}

/// The three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For an account.
    Account,
    /// For a container or blob, signed with a key of the account.
    Service,
    /// The same, signed with what a principal delegated.
    Delegated,
}

/// Parameters that belong to a signature.
const FIELDS: &[&str] = &[
    "sv", "ss", "srt", "sp", "st", "se", "sip", "spr", "sr", "si", "sig", "ses", "skoid", "sktid", "skt", "ske", "sks",
    "skv", "saoid", "suoid", "scid", "sdd", "skdutid", "sduoid", "srh", "srq", "rscc", "rscd", "rsce", "rscl", "rsct",
];

/// What an answer to a download is changed to.
const ANSWERS: [&str; 5] = ["rscc", "rscd", "rsce", "rscl", "rsct"];

impl Sas {
    /// Whether a parameter of a query is a field of a signature.
    pub fn is_field(name: &str) -> bool {
        FIELDS.contains(&name)
    }

    /// The signature among the parameters of a query; none when nothing is signed. Names came once each: that is for whoever read
    /// the query.
    pub fn of(pairs: &[(String, String)]) -> Option<Self> {
        let own = pairs.iter().filter(|(name, _)| Self::is_field(name));
        let fields: BTreeMap<String, String> = own.cloned().collect();
        fields.contains_key("sig").then_some(Self { fields })
    }

    /// What is to be signed: fields without a code. Empty ones are left out.
    pub(super) fn unsigned(fields: &[(&str, &str)]) -> Self {
        let said = fields.iter().filter(|(_, value)| !value.is_empty());
        Self { fields: said.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    /// The query that is to be added to an address, with its code.
    pub(super) fn query(&self, code: &str) -> String {
        let own = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain([("sig", code)])
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect::<Vec<_>>()
            .join("&")
    }

    /// A field; empty when it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What the answer to a download is to be changed to (`rscc` and the like); none where nothing is said.
    pub fn answer(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Which kind it is.
    ///
    /// # Errors
    /// `AuthenticationFailed` for versions and fields that are not known here: nothing is overlooked.
    pub(super) fn kind(&self) -> Result<Kind> {
        if time::date(self.get("sv")).is_none() || self.get("sv") < OLDEST {
            return Err(fault::unproven("`sv` must be 2020-12-06 or later"));
        }
        for foreign in ["ses", "saoid", "suoid", "sdd", "skdutid", "sduoid", "srh", "srq"] {
            if !self.get(foreign).is_empty() {
                return Err(fault::unproven(&format!("`{foreign}` is not offered")));
            }
        }
        let (has_types, has_resource) = (!self.get("srt").is_empty(), !self.get("sr").is_empty());
        match (has_types, has_resource, self.fields.contains_key("skoid")) {
            // The text for an account has no lines for these, so whoever holds a link could add them.
            (true, false, false) if self.says_any(&ANSWERS) || self.says_any(&["si", "scid"]) => {
                Err(fault::unproven("a signature for an account changes no answers and names no policy"))
            }
            (true, false, false) => Ok(Kind::Account),
            (false, true, false) => Ok(Kind::Service),
            (false, true, true) => Ok(Kind::Delegated),
            _ => Err(fault::unproven("the signature's fields do not go together")),
        }
    }

    fn says_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.fields.contains_key(*name))
    }

    /// The text that was signed. `resource` is `/blob/account/container[/blob]`; `snapshot` what of a blob it is for.
    pub(super) fn text(&self, kind: Kind, account: &str, resource: &str, snapshot: &str) -> String {
        let of = |names: &[&str]| names.iter().map(|name| self.get(name)).collect::<Vec<_>>();
        let mut lines: Vec<&str> = Vec::with_capacity(32);
        if kind == Kind::Account {
            lines.push(account);
            lines.extend(of(&["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"]));
            lines.push("");
            return lines.join("\n");
        }
        lines.extend(of(&["sp", "st", "se"]));
        lines.push(resource);
        if kind == Kind::Delegated {
            lines.extend(of(&["skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid"]));
            if self.get("sv") >= NAMES_USERS {
                lines.extend(of(&["skdutid", "sduoid"]));
            }
        } else {
            lines.push(self.get("si"));
        }
        lines.extend(of(&["sip", "spr", "sv", "sr"]));
        lines.push(snapshot);
        lines.push(self.get("ses"));
        if kind == Kind::Delegated && self.get("sv") >= NAMES_REQUEST {
            lines.extend(of(&["srh", "srq"]));
        }
        lines.extend(of(&ANSWERS));
        lines.join("\n")
    }
}

/// Everything but the unreserved characters is escaped (RFC 3986 §2.3).
fn escaped(value: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    value.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// When a signature may be used.
///
/// # Errors
/// `AuthenticationFailed` before its start, from its end on, and when it names none or one that is no time.
pub(super) fn in_time(start: &str, expiry: &str, now: Timestamp) -> Result<()> {
    let begins = match start {
        "" => None,
        text => Some(time::parse(text).ok_or_else(|| fault::unproven("`st` is no time"))?),
    };
    let ends = time::parse(expiry).ok_or_else(|| fault::unproven("`se` is no time"))?;
    if begins.is_some_and(|begins| now < begins) {
        return Err(fault::unproven("the signature is not valid yet"));
    }
    if now >= ends {
        return Err(fault::unproven("the signature has expired"));
    }
    Ok(())
}

/// Whether a peer is one of those that may use it: an address, or a range `first-last`.
///
/// # Errors
/// `AuthorizationSourceIPMismatch`, with the peer's address; `AuthenticationFailed` for what is no address.
pub(super) fn from_there(allowed: &str, peer: Option<IpAddr>) -> Result<()> {
    if allowed.is_empty() {
        return Ok(());
    }
    let (first, last) = allowed.split_once('-').unwrap_or((allowed, allowed));
    let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>()) else {
        return Err(fault::unproven("`sip` is no address or range of addresses"));
    };
    let peer = peer.map(|peer| peer.to_canonical());
    let is_within = peer.is_some_and(|peer| peer.is_ipv4() == first.is_ipv4() && first <= peer && peer <= last);
    if is_within {
        return Ok(());
    }
    let shown = peer.map_or_else(|| String::from("unknown"), |peer| peer.to_string());
    let why = format!("This request is not authorized to perform this operation using this source IP {shown}.");
    Err(fault::not_for_this("AuthorizationSourceIPMismatch", &why))
}

/// Whether the protocol is one that may be used. All that is served here is https.
pub(super) fn by_protocol(allowed: &str) -> Result<()> {
    if matches!(allowed, "" | "https" | "https,http" | "http,https") {
        return Ok(());
    }
    Err(fault::not_for_this(
        "AuthorizationProtocolMismatch",
        "This request is not authorized to perform this operation using this protocol.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sas(fields: &[(&str, &str)]) -> Sas {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
        Sas::of(&pairs).unwrap()
    }

    #[test]
    fn the_texts_are_those_that_azure_s_client_signs() {
        let account = sas(&[("sv", "2024-01-01"), ("ss", "b"), ("srt", "co"), ("sp", "r"), ("se", "E"), ("sig", "x")]);
        assert_eq!(account.kind().unwrap(), Kind::Account);
        assert_eq!(account.text(Kind::Account, "acc", "", ""), "acc\nr\nb\nco\n\nE\n\n\n2024-01-01\n\n");
        let service = sas(&[("sv", "2024-01-01"), ("sr", "b"), ("sp", "r"), ("se", "E"), ("sig", "x"), ("rsct", "t")]);
        assert_eq!(service.kind().unwrap(), Kind::Service);
        let text = service.text(Kind::Service, "acc", "/blob/acc/c/b", "");
        assert_eq!(text, "r\n\nE\n/blob/acc/c/b\n\n\n\n2024-01-01\nb\n\n\n\n\n\n\nt");
        let lines = |sv| {
            let delegated = sas(&[("sv", sv), ("sr", "c"), ("skoid", "o"), ("sig", "x")]);
            assert_eq!(delegated.kind().unwrap(), Kind::Delegated);
            delegated.text(Kind::Delegated, "acc", "/blob/acc/c", "").split('\n').count()
        };
        assert_eq!((lines("2022-11-02"), lines("2025-07-05"), lines("2026-10-06")), (24, 26, 28));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for fields in [
            [("sv", "2019-12-12"), ("sr", "b"), ("sig", "x")],
            [("sv", "later"), ("sr", "b"), ("sig", "x")],
            [("sv", "2024-01-01"), ("srt", "o"), ("sr", "b")],
            [("sv", "2024-01-01"), ("skoid", "o"), ("srt", "o")],
            [("sv", "2024-01-01"), ("sr", "c"), ("saoid", "x")],
            [("sv", "2024-01-01"), ("sr", "c"), ("srh", "x")],
        ] {
            let mut fields = fields.to_vec();
            fields.push(("sig", "x"));
            assert!(sas(&fields).kind().is_err(), "{fields:?}");
        }
        for unsigned in ["rscc", "rscd", "rsce", "rscl", "rsct", "si", "scid"] {
            let fields = [("sv", "2024-01-01"), ("ss", "b"), ("srt", "o"), ("sig", "x"), (unsigned, "text/html")];
            assert!(sas(&fields[..4]).kind().is_ok() && sas(&fields).kind().is_err(), "{unsigned}");
        }
    }

    #[test]
    fn time_and_place_are_bounds() {
        let now = time::parse("2026-01-01T12:00:00Z").unwrap();
        assert!(in_time("", "2026-01-01T12:00:01Z", now).is_ok());
        assert!(in_time("2026-01-01T12:00:00Z", "2026-01-02", now).is_ok());
        for (start, end) in
            [("", "2026-01-01T12:00:00Z"), ("2026-01-01T12:01Z", "2027-01-01"), ("", ""), ("x", "2027-01-01")]
        {
            assert_eq!(in_time(start, end, now).unwrap_err().code(), Some("AuthenticationFailed"), "{start} {end}");
        }
        let peer = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert!(from_there("10.0.0.1-10.0.0.9", peer("10.0.0.9")).is_ok());
        assert!(from_there("10.0.0.1", peer("::ffff:10.0.0.1")).is_ok());
        for (allowed, from) in
            [("10.0.0.1-10.0.0.9", "10.0.0.10"), ("10.0.0.1", "10.0.0.2"), ("10.0.0.0-10.9.9.9", "::1")]
        {
            assert_eq!(from_there(allowed, peer(from)).unwrap_err().code(), Some("AuthorizationSourceIPMismatch"));
        }
        assert!(from_there("10.0.0.1", None).is_err());
        assert!(from_there("nowhere", peer("10.0.0.1")).is_err());
        assert!(by_protocol("http").is_err());
    }
}
