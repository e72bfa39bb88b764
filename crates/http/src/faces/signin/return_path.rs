//! Where a browser goes after it signed in: a place of ours, from a short list of kinds, or nowhere in particular.

use std::fmt::Write;

use crate::path;

/// Longer addresses are not gone back to (bytes). Requests of real clients stay below 4 KiB.
const LONGEST: usize = 8 * 1024;

/// A path with its query that may be gone on to. It begins with one slash, and what follows is one of our own pages, so that a
/// sign-in can never end on another site (RFC 9700 §4.11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReturnPath(String);

impl ReturnPath {
    /// Reads a path as it came in a query or a form, decoded once. None for anything but `/{tenant}/oauth2/…`, `/device` and
    /// `/signin/security`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // What is looked at must be what a browser goes to: browsers drop tabs and line ends, turn backslashes around, and
        // read `//` as a host.
        let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'\\' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'#');
        if text.len() > LONGEST || !text.bytes().all(is_plain) {
            return None;
        }
        let (route, _) = text.split_once('?').unwrap_or((text, ""));
        // An escape in the path has no use on these pages, and has been one in every trick with them.
        if route.contains('%') || path::decode(route).as_deref() != Some(route) {
            return None;
        }
        let segments: Vec<&str> = route.strip_prefix('/')?.split('/').collect();
        let is_ours = match segments.as_slice() {
            ["device"] | ["signin", "security"] => true,
            [tenant, "oauth2", rest @ ..] => is_tenant(tenant) && !rest.is_empty() && !rest.contains(&""),
            _ => false,
        };
        is_ours.then(|| Self(text.to_owned()))
    }

    /// The path with its query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The client id of the application that it leads on to.
    pub(super) fn client(&self) -> Option<String> {
        let (_, query) = self.0.split_once('?').filter(|_| self.leads_away())?;
        path::pairs(query).find(|(name, _)| name == "client_id").map(|(_, value)| value)
    }

    /// Whether it leads on to an application, by way of the authorization endpoint.
    pub(super) fn leads_away(&self) -> bool {
        !self.0.starts_with("/device") && !self.0.starts_with("/signin/")
    }
}

/// A tenant's id, domain or alias.
fn is_tenant(segment: &str) -> bool {
    !segment.is_empty()
        && segment.starts_with(|c: char| c.is_ascii_alphanumeric())
        && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// A link to one of the sign-in pages that hands the return path on.
pub(super) fn with_return(page: &str, return_to: Option<&ReturnPath>) -> String {
    match return_to {
        Some(place) => format!("{page}?return={}", escape(place.as_str())),
        None => page.to_owned(),
    }
}

/// The same place, which is told why one comes there again.
pub(super) fn with_again(place: &str, why: &str) -> String {
    let joint = if place.contains('?') { '&' } else { '?' };
    format!("{place}{joint}again={why}")
}

/// A value for a query (RFC 3986 §2.3: everything but the unreserved characters is escaped).
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_ends_on_our_own_pages_alone() {
        let good = [
            "/device",
            "/device?user_code=ABCD-EFGH",
            "/signin/security",
            "/signin/security?done=totp",
            "/common/oauth2/v2.0/authorize?client_id=1&redirect_uri=http%3A%2F%2Flocalhost%3A8400&state=a",
            "/6f9619ff-8b86-d011-b42d-00c04fc964ff/oauth2/v2.0/authorize",
            "/contoso.example/oauth2/authorize?claims=%7B%22access_token%22%3A%7B%7D%7D",
        ];
        for text in good {
            assert_eq!(ReturnPath::parse(text).map(|path| path.0).as_deref(), Some(text), "{text}");
        }
    }

    #[test]
    fn no_spelling_of_another_site_gets_through() {
        let bad = [
            "",
            "/",
            "//evil.example",
            "//evil.example/oauth2/x",
            "///evil.example/oauth2/x",
            "/\\evil.example/oauth2/x",
            "\\\\evil.example",
            "/%2f%2fevil.example/oauth2/x",
            "/%2F/oauth2/x",
            "/%5cevil.example/oauth2/x",
            "%2f%2fevil.example",
            "https://evil.example/oauth2/x",
            "https:evil.example/oauth2/x",
            "http:/evil.example/oauth2/x",
            "@evil.example/oauth2/x",
            "/@evil.example/oauth2/x",
            "/user:pass@evil.example/oauth2/x",
            ".evil.example/oauth2/x",
            "/.evil.example/oauth2/x",
            "javascript:alert(1)",
            "/javascript:alert(1)/oauth2/x",
            "data:text/html,x",
            " /device",
            "/device ",
            "\t/device",
            "/\t/evil.example/oauth2/x",
            "/device\r\nset-cookie: a=b",
            "/device?a=\r\nlocation: https://evil.example",
            "/device\0",
            "/device/../oauth2",
            "/device/x",
            "/devicelogin",
            "/deviceevil",
            "/signin",
            "/signin/securityx",
            "/signin/security/../../x",
            "/signin/oauth2/../../x",
            "/common/oauth2",
            "/common/oauth2/",
            "/common/oauth2//evil.example",
            "/common/oauth2/../../..//evil.example",
            "/common/oauth2/%2e%2e/x",
            "/common//oauth2/x",
            "/common/x?/oauth2/",
            "/subscriptions/oauth2x/x",
            "/device#@evil.example",
            "/device?a='><script>",
            "/d\u{e9}vice",
            "/\u{ff0f}evil.example/oauth2/x",
        ];
        for text in bad {
            assert_eq!(ReturnPath::parse(text), None, "{text:?}");
        }
        assert_eq!(ReturnPath::parse(&format!("/device?{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn a_link_hands_the_path_on_unchanged() {
        let path = ReturnPath::parse("/common/oauth2/v2.0/authorize?a=b%20c&d=e+f").unwrap();
        let link = with_return("/signin", Some(&path));
        let (_, query) = link.split_once('?').unwrap();
        assert_eq!(crate::path::pairs(query).next().unwrap().1, path.as_str());
    }
}
