//! Networks in CIDR notation (RFC 4632, RFC 4291 §2.3).

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address lies in it. An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, width) = number(self.address);
        let (other, other_width) = number(address.to_canonical());
        let free = u32::from(width.saturating_sub(self.bits));
        width == other_width && own.checked_shr(free).unwrap_or(0) == other.checked_shr(free).unwrap_or(0)
    }

    /// Whether it is half of all addresses or more, so that naming it keeps nobody out. Of IPv6 an eighth is all that is given out.
    pub fn is_everywhere(&self) -> bool {
        let fewest = if self.address.is_ipv4() { 2 } else { 4 };
        self.bits < fewest
    }

    /// Whether all of another range lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }
}

/// The address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be an address or a range such as `10.0.0.0/8`";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|c| c.is_ascii_digit()) => (address, Some(bits)),
            Some(_) => return Err(wrong),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let (value, width) = number(address);
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong)?,
            None => width,
        };
        if bits > width {
            return Err(wrong);
        }
        let host = u32::from(width.saturating_sub(bits));
        let is_base = host == 0 || value.trailing_zeros() >= host || value == 0;
        if is_base { Ok(Self { address, bits }) } else { Err("has bits set behind its prefix") }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "fe80::1", "10.0.0.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn a_network_covers_what_lies_in_it_whole() {
        for (outer, inner, covers) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "2001:db8::/32", false),
        ] {
            assert_eq!(outer.parse::<Network>().unwrap().covers(&inner.parse().unwrap()), covers, "{outer} {inner}");
        }
    }

    #[test]
    fn a_range_of_nearly_all_addresses_is_everywhere() {
        for (network, is_everywhere) in [
            ("0.0.0.0/0", true),
            ("128.0.0.0/1", true),
            ("10.0.0.0/8", false),
            ("::/0", true),
            ("2000::/3", true),
            ("2001:db8::/32", false),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().is_everywhere(), is_everywhere, "{network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "host/8", "::1/64"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
