//! Which servers elsewhere may be reached: hosts that the operator named, at public addresses (invariant I10).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use reqwest::Url;

/// Where the web client may go. Empty: nowhere.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Exactly these hosts.
    pub hosts: Vec<Host>,
    /// Networks that are not public, and at which hosts may be nevertheless.
    pub networks: Vec<Network>,
    /// PEM of certificate authorities that are trusted beside the system's own; empty for none.
    pub ca_pem: Vec<u8>,
    /// Whether these alone are trusted, and the system's own are not.
    pub is_pinned: bool,
}

/// A server, as an operator names it: `login.example.org`, `login.example.org:8443`, `tls://logs.example.org:6514` for what is
/// no web server, or, for tests on one machine, `http://localhost:9000` and `tcp://localhost:9000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    scheme: String,
    name: String,
    port: u16,
}

/// Addresses with a common beginning: `10.1.0.0/16`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    length: u32,
}

/// What is not a host or a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(&'static str);

impl Host {
    /// The server that a URL leads to; none when it is no URL of a web server, or carries a name and a password.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Self::by_scheme(url, &["https", "http"])
    }

    /// The server at the other end of a plain connection, `tls://host:port` or `tcp://host:port`.
    pub(crate) fn of_line(url: &Url) -> Option<Self> {
        Self::by_scheme(url, &["tls", "tcp"])
    }

    fn by_scheme(url: &Url, schemes: &[&str]) -> Option<Self> {
        let is_one = schemes.contains(&url.scheme());
        let is_bare = url.username().is_empty() && url.password().is_none();
        let host = Self {
            scheme: url.scheme().to_owned(),
            name: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        };
        (is_one && is_bare).then_some(host)
    }

    /// Its name or address, without brackets.
    pub(crate) fn name(&self) -> &str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address, if it is named by that.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.name().parse().ok()
    }

    /// Whether connections to it are encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.scheme.as_str(), "https" | "tls")
    }

    fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }
}

impl FromStr for Host {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&whole).map_err(|_| Unreadable("give a host, like `login.example.org` or `host:8443`"))?;
        let is_origin = matches!(url.path(), "/" | "") && url.query().is_none() && url.fragment().is_none();
        let host = Self::of(&url).or_else(|| Self::of_line(&url)).filter(|_| is_origin);
        let host = host.ok_or(Unreadable("give a host and nothing behind it, like `login.example.org`"))?;
        if !host.is_secure() && !host.is_loopback() {
            let why = "`http` and `tcp` are for this machine alone; give a host that answers over `https` or `tls`";
            return Err(Unreadable(why));
        }
        Ok(host)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme.as_str(), self.port) {
            ("https", 443) => out.write_str(&self.name),
            ("https", port) => write!(out, "{}:{port}", self.name),
            (scheme, port) => write!(out, "{scheme}://{}:{port}", self.name),
        }
    }
}

impl FromStr for Network {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = Unreadable("give a network, like `10.1.0.0/16` or `fd00::/8`");
        let (first, length) = text.split_once('/').ok_or(unreadable.clone())?;
        let first: IpAddr = first.parse().map_err(|_| unreadable.clone())?;
        let length: u32 = length.parse().map_err(|_| unreadable.clone())?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        if length > longest {
            return Err(unreadable);
        }
        Ok(Self { first, length })
    }
}

impl Network {
    const fn v4(first: Ipv4Addr, length: u32) -> Self {
        Self { first: IpAddr::V4(first), length }
    }

    const fn v6(first: Ipv6Addr, length: u32) -> Self {
        Self { first: IpAddr::V6(first), length }
    }

    /// Whether the address lies in it. An IPv4 address in IPv6 clothes lies in no IPv4 network.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(self.length);
                first.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(self.length);
                first.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl Reach {
    pub(crate) fn names(&self, host: &Host) -> bool {
        self.hosts.contains(host)
    }

    /// Whether a host that is on the list may be met at this address. One that the operator named by its address may be
    /// there; `localhost` is on this machine; any other has to be at a public address or in a network of the list.
    pub(crate) fn permits(&self, host: &Host, address: IpAddr) -> bool {
        if host.name == "localhost" {
            return address.is_loopback();
        }
        host.address() == Some(address)
            || is_public(address)
            || self.networks.iter().any(|network| network.holds(address))
    }
}

/// IPv4 addresses that are nobody's on the Internet (IANA's special-purpose registry), and the relays of 6to4.
const SPECIAL_V4: [Network; 16] = [
    Network::v4(Ipv4Addr::new(0, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(10, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(100, 64, 0, 0), 10),
    Network::v4(Ipv4Addr::new(127, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(169, 254, 0, 0), 16),
    Network::v4(Ipv4Addr::new(172, 16, 0, 0), 12),
    Network::v4(Ipv4Addr::new(192, 0, 0, 0), 24),
    Network::v4(Ipv4Addr::new(192, 0, 2, 0), 24),
    Network::v4(Ipv4Addr::new(192, 31, 196, 0), 24),
    Network::v4(Ipv4Addr::new(192, 52, 193, 0), 24),
    Network::v4(Ipv4Addr::new(192, 88, 99, 0), 24),
    Network::v4(Ipv4Addr::new(192, 168, 0, 0), 16),
    Network::v4(Ipv4Addr::new(198, 18, 0, 0), 15),
    Network::v4(Ipv4Addr::new(198, 51, 100, 0), 24),
    Network::v4(Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    Network::v4(Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// All of IPv6 that is routed at all. What translates to IPv4 (mapped, compatible, NAT64) lies outside.
const GLOBAL_V6: Network = Network::v6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What lies inside and is special: protocol assignments with Teredo, documentation, 6to4.
const SPECIAL_V6: [Network; 4] = [
    Network::v6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    Network::v6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    Network::v6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    Network::v6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address belongs to somebody on the Internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.holds(address)),
        IpAddr::V6(_) => GLOBAL_V6.holds(address) && !SPECIAL_V6.iter().any(|network| network.holds(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.32.0.1", "192.0.1.1", "223.255.255.255"] {
            assert!(is_public(address(public)), "{public}");
        }
        for public in ["2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1"] {
            assert!(is_public(address(public)), "{public}");
        }
        let special = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "192.88.99.1",
            "203.0.113.5",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::ffff:127.0.0.1",
            "::1.1.1.1",
            "64:ff9b::1.1.1.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:0101:0101::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "3fff::1",
            "5f00::1",
            "100::1",
        ];
        for special in special {
            assert!(!is_public(address(special)), "{special}");
        }
    }

    #[test]
    fn a_host_is_compared_whole() {
        let listed = host("Login.Example.org");
        assert_eq!(listed, host("https://login.example.org:443"));
        for other in ["login.example.org:8443", "example.org", "login.example.org.", "xlogin.example.org"] {
            assert_ne!(listed, host(other), "{other}");
        }
        let bad = [
            "",
            "https://",
            "http://login.example.org",
            "https://h/path",
            "https://u:p@h",
            "h?q",
            "h#f",
            "ftp://h",
            "a b",
            "http://10.0.0.1:80",
            "tcp://10.0.0.1:80",
            "tls://logs.example.org",
            "tls://logs.example.org:6514/x",
        ];
        for bad in bad {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
        assert_ne!(host("tls://logs.example.org:6514"), host("https://logs.example.org:6514"));
        // Spellings of one address are one host.
        assert_eq!(host("http://0x7f.1:80"), host("http://127.0.0.1"));
    }

    #[test]
    fn a_listed_host_may_not_be_anywhere() {
        let reach = Reach { networks: vec!["10.1.0.0/16".parse().unwrap()], ..Reach::default() };
        let cases = [
            ("login.example.org", "1.1.1.1", true),
            ("login.example.org", "10.1.2.3", true),
            ("login.example.org", "10.2.2.3", false),
            ("login.example.org", "127.0.0.1", false),
            ("login.example.org", "169.254.169.254", false),
            ("login.example.org", "::ffff:10.1.2.3", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "::1", true),
            ("localhost", "1.1.1.1", false),
            ("192.168.7.7", "192.168.7.7", true),
            ("192.168.7.7", "192.168.7.8", false),
            ("http://127.0.0.1:9000", "127.0.0.1", true),
        ];
        for (named, at, is_permitted) in cases {
            assert_eq!(reach.permits(&host(named), address(at)), is_permitted, "{named} at {at}");
        }
    }

    #[test]
    fn a_network_is_an_address_and_a_length() {
        assert!("0.0.0.0/0".parse::<Network>().unwrap().holds(address("8.8.8.8")));
        assert!("fd00::/8".parse::<Network>().unwrap().holds(address("fdff::1")));
        assert!(!"fd00::/8".parse::<Network>().unwrap().holds(address("8.8.8.8")));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/x", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
