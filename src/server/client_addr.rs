//! Where clients come from, as far as that bounds what they take.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::places::Holder;

/// Proxies whose word counts for where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

impl TrustedProxy {
    fn is(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<TrustedProxy, String> {
        let net = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
        let refused = |_| format!("{text:?} is no address or network, such as 10.0.0.0/8");
        net.map(|net| TrustedProxy(net.trunc())).map_err(refused)
    }
}

/// Whose share of something is used up: an address, or the network that is one subscriber's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClientAddr(IpAddr);

impl std::fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

impl ClientAddr {
    /// Of an address. Who has an IPv6 address has a network of them (a /64).
    pub(super) fn of(address: IpAddr) -> ClientAddr {
        ClientAddr(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
            v4 => v4,
        })
    }

    /// Of a request: of its peer, or where that is a trusted proxy of whom it forwards for.
    pub(super) fn of_request(
        peer: IpAddr,
        headers: &HeaderMap,
        trusted: &[TrustedProxy],
    ) -> ClientAddr {
        let is_trusted = |address| trusted.iter().any(|proxy| proxy.is(address));
        let named: Vec<&[u8]> =
            headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes()).collect();
        // Each proxy adds the address that it was asked by: what stands before the last one that
        // is not trusted is that one's own word. Nothing before what cannot be read counts either:
        // who could have it passed over would choose what is read.
        let mut address = peer;
        for named in named.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
            match std::str::from_utf8(named).ok().and_then(|named| parse(named.trim())) {
                Some(named) if is_trusted(address) => address = named,
                _ => break,
            }
        }
        ClientAddr::of(address)
    }
}

impl Holder for ClientAddr {}

impl Holder for Option<ClientAddr> {
    fn is_many(&self) -> bool {
        self.is_none()
    }
}

/// Whether this is a proxy that many clients come through.
pub(super) fn is_proxy(peer: IpAddr, trusted: &[TrustedProxy]) -> bool {
    trusted.iter().any(|proxy| proxy.is(peer))
}

/// An address, with a port or without.
fn parse(named: &str) -> Option<IpAddr> {
    let bare = named.strip_prefix('[').and_then(|named| named.strip_suffix(']')).unwrap_or(named);
    bare.parse().ok().or_else(|| named.parse().ok().map(|addr: SocketAddr| addr.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            let value: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap()).collect();
            headers.append("x-forwarded-for", value.try_into().unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        ClientAddr::of_request(peer.parse().unwrap(), &headers, &trusted).0
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_asks_for_and_nobody_else_does() {
        let nets = ["127.0.0.1", "10.0.0.0/8"];
        for (peer, forwarded, trusted, expected) in [
            ("1.2.3.4", vec!["5.6.7.8"], &nets[..], "1.2.3.4"),
            ("127.0.0.1", vec!["5.6.7.8"], &[], "127.0.0.1"),
            ("127.0.0.1", vec![], &nets, "127.0.0.1"),
            ("127.0.0.1", vec!["5.6.7.8"], &nets, "5.6.7.8"),
            ("127.0.0.1", vec!["9.9.9.9, 5.6.7.8"], &nets, "5.6.7.8"),
            ("127.0.0.1", vec!["9.9.9.9", "5.6.7.8:123, 10.1.2.3"], &nets, "5.6.7.8"),
            ("127.0.0.1", vec!["5.6.7.8, nonsense"], &nets, "127.0.0.1"),
            // Bytes that are not ASCII, before what a proxy added and instead of it.
            ("127.0.0.1", vec!["\u{ff}, 5.6.7.8"], &nets, "5.6.7.8"),
            ("127.0.0.1", vec!["1.1.1.1", "\u{ff}, 5.6.7.8"], &nets, "5.6.7.8"),
            ("127.0.0.1", vec!["1.1.1.1", "\u{ff}"], &nets, "127.0.0.1"),
            ("127.0.0.1", vec!["1.1.1.1", "\u{ff}", "10.1.2.3"], &nets, "10.1.2.3"),
            ("::ffff:127.0.0.1", vec!["[2001:db8::1:2:3:4]:80"], &nets, "2001:db8::"),
            ("2001:db8:0:1:2:3:4:5", vec![], &nets, "2001:db8:0:1::"),
        ] {
            let found = client(peer, &forwarded, trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_named_as_one() {
        for (ip, named) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(ClientAddr::of(ip.parse().unwrap()).to_string(), named);
        }
    }

    #[test]
    fn a_proxy_is_given_as_an_address_or_a_network() {
        for text in ["10.0.0.0/8", "10.1.2.3/8", "::1", "2001:db8::/32"] {
            assert!(text.parse::<TrustedProxy>().is_ok(), "{text}");
        }
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0"] {
            assert!(text.parse::<TrustedProxy>().is_err(), "{text}");
        }
    }
}
