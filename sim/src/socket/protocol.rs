//! The type and protocol of a socket, and which of them can be redirected.

use std::fmt;
use std::net::SocketAddr;

/// What a socket is given as its type and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `SOCK_STREAM` and `IPPROTO_TCP`.
    Tcp,
    /// `SOCK_DGRAM` and `IPPROTO_UDP`.
    Udp,
    /// `SOCK_RAW`.
    Raw {
        /// The IP protocol: [`Protocol::UDP`], [`Protocol::ICMP`], [`Protocol::ICMPV6`] or any other.
        number: u8,
        /// `IP_HDRINCL`: the program writes the IP header itself.
        header_included: bool,
    },
}

impl Protocol {
    /// `IPPROTO_ICMP`.
    pub const ICMP: u8 = 1;
    /// `IPPROTO_TCP`.
    pub const TCP: u8 = 6;
    /// `IPPROTO_UDP`.
    pub const UDP: u8 = 17;
    /// `IPPROTO_ICMPV6`.
    pub const ICMPV6: u8 = 58;

    /// The number in the IP header, which conditions see as `IP_PROTOCOL`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => Self::TCP,
            Self::Udp => Self::UDP,
            Self::Raw { number, .. } => number,
        }
    }

    /// Whether what goes to `destination` is classified at a connect-redirect layer, and so can be redirected: TCP,
    /// UDP, raw UDP over IPv4 whose IP header Windows writes, and raw ICMP.
    ///
    /// Source: driver-docs "Using Bind or Connect Redirection"; docs/behaviour.md, "Layers".
    #[must_use]
    pub fn is_redirectable(self, destination: &SocketAddr) -> bool {
        match self {
            Self::Tcp | Self::Udp => true,
            Self::Raw { number: Self::UDP, header_included } => {
                !header_included && destination.ip().to_canonical().is_ipv4()
            }
            Self::Raw { number, .. } => matches!(number, Self::ICMP | Self::ICMPV6),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Raw { number, .. } => write!(f, "raw {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{SERVER, SERVER_MAPPED, SERVER_V6, address};

    const fn raw(number: u8) -> Protocol {
        Protocol::Raw { number, header_included: false }
    }

    #[rstest]
    #[case::tcp(Protocol::Tcp, [true; 3])]
    #[case::udp(Protocol::Udp, [true; 3])]
    #[case::raw_udp(raw(Protocol::UDP), [true, true, false])]
    #[case::raw_udp_with_header(Protocol::Raw { number: 17, header_included: true }, [false; 3])]
    #[case::icmp(raw(Protocol::ICMP), [true; 3])]
    #[case::icmp_v6(raw(Protocol::ICMPV6), [true; 3])]
    #[case::icmp_with_header(Protocol::Raw { number: 1, header_included: true }, [true; 3])]
    #[case::igmp(raw(2), [false; 3])]
    #[case::raw_tcp(raw(Protocol::TCP), [false; 3])]
    #[case::any(raw(255), [false; 3])]
    fn traffic_that_can_be_redirected(#[case] protocol: Protocol, #[case] expected: [bool; 3]) {
        let answers = [SERVER, SERVER_MAPPED, SERVER_V6].map(|to| protocol.is_redirectable(&address(to)));
        assert_eq!(answers, expected);
    }

    #[test]
    fn protocol_shows_as_scenarios_write_it() {
        let shown = [Protocol::Tcp, Protocol::Udp, raw(1)].map(|protocol| protocol.to_string());
        assert_eq!(shown, ["tcp", "udp", "raw 1"]);
        assert_eq!([Protocol::Tcp, Protocol::Udp, raw(89)].map(Protocol::number), [6, 17, 89]);
    }
}
