//! What raw sockets put into their packets. Windows writes the IP header, or the program does; a UDP header is the
//! program's own in any case.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::socket::Protocol;

const UDP_HEADER: usize = 8;

/// A datagram as the network takes it: what `sendto` was given, less the headers in it.
pub(super) struct Packet<'a> {
    pub(super) destination: SocketAddr,
    /// The source port that the program wrote itself.
    pub(super) source_port: Option<u16>,
    pub(super) data: &'a [u8],
}

/// Looks for the headers that a program wrote. A packet that is too short for them has no port.
pub(super) fn packet(protocol: Protocol, destination: SocketAddr, data: &[u8]) -> Packet<'_> {
    let Protocol::Raw { number, header_included } = protocol else {
        return Packet { destination, source_port: None, data };
    };
    let behind_ip = if header_included { ip_header(data) } else { 0 };
    let data = data.get(behind_ip..).unwrap_or_default();
    let ip = destination.ip();
    match (number, data.split_first_chunk::<UDP_HEADER>()) {
        (Protocol::UDP, Some(([s1, s2, d1, d2, ..], data))) => Packet {
            destination: SocketAddr::new(ip, u16::from_be_bytes([*d1, *d2])),
            source_port: Some(u16::from_be_bytes([*s1, *s2])),
            data,
        },
        _ => Packet { destination: SocketAddr::new(ip, 0), source_port: None, data },
    }
}

/// Bytes of the IP header at the start: of IPv4 what it says itself, of IPv6 always 40.
fn ip_header(data: &[u8]) -> usize {
    match data.first() {
        Some(first) if first >> 4 == 6 => 40,
        Some(first) => usize::from(first & 0xF) * 4,
        None => 0,
    }
}

/// A reply as the socket that made the flow receives it: a raw socket of UDP sees the UDP header.
pub(super) fn replied(protocol: Protocol, from: u16, to: u16, data: Arc<[u8]>) -> Arc<[u8]> {
    if !matches!(protocol, Protocol::Raw { number: Protocol::UDP, .. }) {
        return data;
    }
    let length = u16::try_from(data.len() + UDP_HEADER).unwrap_or(u16::MAX);
    let mut bytes = [from, to, length, 0].map(u16::to_be_bytes).concat();
    bytes.extend_from_slice(&data);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SERVER, address};

    fn raw(number: u8, header_included: bool) -> Protocol {
        Protocol::Raw { number, header_included }
    }

    fn read(protocol: Protocol, data: &[u8]) -> (u16, Option<u16>, Vec<u8>) {
        let packet = packet(protocol, address(SERVER), data);
        (packet.destination.port(), packet.source_port, packet.data.to_vec())
    }

    const UDP: [u8; 10] = [0xC0, 0, 0, 53, 0, 10, 0, 0, 7, 8];

    #[test]
    fn ports_of_a_raw_udp_packet_are_those_of_its_header() {
        assert_eq!(read(raw(17, false), &UDP), (53, Some(49152), vec![7, 8]));
        assert_eq!(read(raw(17, false), &UDP[..7]), (0, None, UDP[..7].to_vec()), "too short for a header");
        let with_ip = [&[0x45; 20][..], &UDP].concat();
        assert_eq!(read(raw(17, true), &with_ip), (53, Some(49152), vec![7, 8]));
        let with_options = [&[0x46; 24][..], &UDP].concat();
        assert_eq!(read(raw(17, true), &with_options), (53, Some(49152), vec![7, 8]));
        assert_eq!(
            read(raw(17, true), &[0x4F]),
            (0, None, vec![]),
            "a header that is longer than the packet"
        );
        let with_ipv6 = [&[0x60; 40][..], &UDP].concat();
        assert_eq!(read(raw(17, true), &with_ipv6), (53, Some(49152), vec![7, 8]));
        assert_eq!(read(raw(17, true), &[]), (0, None, vec![]));
    }

    #[test]
    fn other_protocols_have_no_ports() {
        assert_eq!(read(raw(1, false), &UDP), (0, None, UDP.to_vec()));
        assert_eq!(read(Protocol::Udp, &UDP), (443, None, UDP.to_vec()));
    }

    #[test]
    fn reply_to_a_raw_udp_socket_has_a_header() {
        let data: Arc<[u8]> = [7, 8].into();
        let reply = replied(raw(17, false), 53, 49152, Arc::clone(&data));
        assert_eq!(*reply, [0, 53, 0xC0, 0, 0, 10, 0, 0, 7, 8]);
        assert_eq!(replied(raw(1, false), 0, 0, Arc::clone(&data)), data);
        assert_eq!(replied(Protocol::Udp, 1, 2, Arc::clone(&data)), data);
    }
}
