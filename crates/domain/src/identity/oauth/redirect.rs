//! Where answers may go: addresses are compared exactly, but for the port of a loopback address (RFC 9700 §2.1, RFC 8252 §7.3).

/// The longest address, in bytes.
const LONGEST: usize = 2048;
/// Beginnings of addresses on the person's own machine; what follows is a port, then a path.
const LOOPBACK: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
/// Schemes that run or open something instead of going somewhere.
const HARMFUL: [&str; 8] = ["javascript", "data", "vbscript", "file", "blob", "about", "view-source", "ws"];

/// Whether an application may register this address: `https`, loopback `http` without a port, or a private-use scheme
/// with a dot in it (RFC 8252 §7.1); no fragment, no user, no wildcard.
///
/// # Errors
/// What is wrong with it, to be told to whoever registers it.
pub(crate) fn check_redirect_uri(uri: &str) -> Result<(), &'static str> {
    if uri.len() > LONGEST {
        return Err("must be at most 2048 characters");
    }
    if uri.bytes().any(|byte| !byte.is_ascii_graphic() || b"\"<>\\^`{|}*".contains(&byte)) {
        return Err("must be a plain address, with anything unusual percent-encoded, and without wildcards");
    }
    if uri.contains('#') {
        return Err("must have no fragment");
    }
    let (scheme, rest) = uri.split_once(':').ok_or("must be an absolute address")?;
    let scheme = scheme.to_ascii_lowercase();
    if HARMFUL.contains(&scheme.as_str()) {
        return Err("must be an address of the application, with `https`");
    }
    let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("must name no user");
    }
    match (scheme.as_str(), authority) {
        ("https", Some(authority)) if !authority.is_empty() && !authority.starts_with(':') => Ok(()),
        ("https", _) => Err("must name a host"),
        ("http", _) => match loopback(uri) {
            Some((_, None, _)) => Ok(()),
            Some(_) => Err("must have no port: any port of a loopback address is accepted"),
            None => Err("must use `https`; `http` is for `localhost`, `127.0.0.1` and `[::1]` alone"),
        },
        (scheme, _) if scheme.contains('.') && !scheme.starts_with('.') => Ok(()),
        _ => Err("must use `https`, a loopback address, or a scheme of the application's own with a dot in it"),
    }
}

/// Whether an answer may go to this address.
pub(super) fn is_registered(registered: &[String], asked: &str) -> bool {
    // What may not be registered may not be asked for either, whatever the table holds.
    let is_plain = asked.len() <= LONGEST && asked.bytes().all(|byte| byte.is_ascii_graphic()) && !asked.contains('#');
    is_plain
        && registered.iter().any(|known| match (loopback(known), loopback(asked)) {
            (Some((host, None, path)), Some(asked)) => host == asked.0 && slashed(path) == slashed(asked.2),
            _ => known == asked && check_redirect_uri(asked).is_ok(),
        })
}

/// Whether the address is on the person's own machine.
pub(super) fn is_loopback(uri: &str) -> bool {
    loopback(uri).is_some()
}

/// Host, port, and what follows; none for what is no loopback address over `http`.
fn loopback(uri: &str) -> Option<(&'static str, Option<u16>, &str)> {
    let (host, rest) = LOOPBACK.iter().find_map(|host| Some((*host, uri.strip_prefix(host)?)))?;
    let (port, path) = match rest.strip_prefix(':') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, path) = rest.split_at_checked(end)?;
            (Some(digits.parse().ok().filter(|port| *port != 0)?), path)
        }
        None => (None, rest),
    };
    (path.is_empty() || path.starts_with('/') || path.starts_with('?')).then_some((host, port, path))
}

/// `http://localhost` and `http://localhost/` are one address (RFC 3986 §6.2.3).
fn slashed(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_registered_address_and_any_loopback_port_pass() {
        let registered: Vec<String> = [
            "https://app.example/cb",
            "https://app.example/cb?x=1",
            "http://localhost",
            "http://127.0.0.1/done",
            "com.example.app:/cb",
            "javascript:alert(1)",
            "http://localhost:1/",
        ]
        .map(String::from)
        .into();
        let good = [
            "https://app.example/cb",
            "https://app.example/cb?x=1",
            "http://localhost",
            "http://localhost/",
            "http://localhost:8400",
            "http://localhost:8400/",
            "http://localhost:65535",
            "http://127.0.0.1:1/done",
            "com.example.app:/cb",
        ];
        for uri in good {
            assert!(is_registered(&registered, uri), "{uri}");
        }
        let bad = [
            "",
            "https://app.example/cb/",
            "https://app.example/cb/../x",
            "https://app.example/cb%2f..",
            "https://app.example/CB",
            "https://APP.example/cb",
            "HTTPS://app.example/cb",
            "https://app.example:443/cb",
            "https://app.example.evil.example/cb",
            "https://evil.example/https://app.example/cb",
            "https://app.example@evil.example/cb",
            "https://evil.example\\@app.example/cb",
            "https://app.example/cb#",
            "https://app.example/cb#x",
            "https://app.example/cb?x=2",
            "https://app.example/cb?x=1&y=2",
            "http://app.example/cb",
            "//app.example/cb",
            " https://app.example/cb",
            "https://app.example/cb ",
            "https://app.example/cb\n",
            "http://localhost:0",
            "http://localhost:65536",
            "http://localhost:80@evil.example",
            "http://localhost:80.evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://localhost:",
            "http://localhost:80/x",
            "http://localhost/x",
            "http://localhost/?x",
            "http://LOCALHOST",
            "https://localhost",
            "http://127.0.0.1",
            "http://127.0.0.1:1/done/",
            "http://[::1]",
            "http://127.1/done",
            "javascript:alert(1)",
            "com.example.app:/cb2",
        ];
        for uri in bad {
            assert!(!is_registered(&registered, uri), "{uri}");
        }
    }

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://a.example/cb?x=1",
            "https://a.example:8443/",
            "http://localhost",
            "http://[::1]/x",
            "com.example:/cb",
        ] {
            assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
        }
        let bad = [
            "",
            "a",
            "https://",
            "https://:1/",
            "https:/x",
            "https://a.example/#x",
            "https://u@a.example/",
            "https://*.example/",
            "http://a.example/",
            "http://localhost:80",
            "javascript:x",
            "data:text/html,x",
            "myapp:/cb",
            ".x:/cb",
            "https://a b",
            "https://a.example/\u{e9}",
        ];
        for uri in bad {
            assert!(check_redirect_uri(uri).is_err(), "{uri}");
        }
    }
}
