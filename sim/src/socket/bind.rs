//! `bind`, and which port a socket gets that asks for none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Protocol, State};
use crate::address::{self, Family};
use crate::error::WinsockError;
use crate::ids::{Caller, HostId, SocketHandle, SocketId};
use crate::world::{LOCAL_HOST, World};

/// The first port of the dynamic range. Source: win32 "TCP/IP dynamic port range", 49152 to 65535.
const FIRST_EPHEMERAL: u16 = 49152;

/// Whose ports: each host has those of TCP and those of UDP. Raw sockets have addresses alone: a space of their own
/// in which every port is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortSpace {
    host: HostId,
    kind: PortKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PortKind {
    Tcp,
    Udp,
    /// By IP protocol.
    Raw(u8),
}

impl PortSpace {
    pub(crate) fn new(host: HostId, protocol: Protocol) -> Self {
        let kind = match protocol {
            Protocol::Tcp => PortKind::Tcp,
            Protocol::Udp => PortKind::Udp,
            Protocol::Raw { number, .. } => PortKind::Raw(number),
        };
        Self { host, kind }
    }

    /// Where those look who send to `target` by this protocol. A raw packet of UDP is UDP's to whom it reaches; the
    /// packets of other raw protocols have no ports.
    pub(crate) fn reached(host: HostId, protocol: Protocol, target: SocketAddr) -> (Self, SocketAddr) {
        match protocol {
            Protocol::Raw { number: Protocol::UDP, .. } => (Self::new(host, Protocol::Udp), target),
            Protocol::Raw { .. } => (Self::new(host, protocol), SocketAddr::new(target.ip(), 0)),
            Protocol::Tcp | Protocol::Udp => (Self::new(host, protocol), target),
        }
    }

    pub(crate) fn tcp(host: HostId) -> Self {
        Self::new(host, Protocol::Tcp)
    }

    fn is_raw(self) -> bool {
        matches!(self.kind, PortKind::Raw(_))
    }
}

impl World {
    /// `bind`. Port 0 takes the lowest port of the dynamic range (49152 to 65535) that nobody is bound to.
    ///
    /// A port can be bound twice where the addresses differ, one of them being the wildcard included; neither
    /// SO_REUSEADDR nor SO_EXCLUSIVEADDRUSE is modelled.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is bound already, or given to an AcceptEx; WSAEAFNOSUPPORT for an
    /// address of the other family; WSAEADDRNOTAVAIL for one that is not this host's, and for a v4-mapped one on
    /// a socket that is not dual-stack; WSAEACCES where a callout or a filter blocks it; WSAEADDRINUSE; WSAENOBUFS without a free port. A raw socket takes no port.
    pub fn bind(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        address: SocketAddr,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        let (host, kind) = (view.host, view.kind);
        if view.local.is_some() || !matches!(view.state, State::Unconnected | State::Datagram(_)) {
            return Err(WinsockError::WSAEINVAL);
        }
        if Family::of(&address) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        let asked = address;
        let address = if host == LOCAL_HOST {
            self.bind_classified(caller.pid, id, asked, false, &mut None)?
        } else {
            asked
        };
        let ip = address.ip().to_canonical();
        let own = ip.is_unspecified() || self.host_with(host, ip) == Some(host);
        if !own || address::is_mapped(&address) && !kind.is_dual() {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        let space = PortSpace::new(host, kind.protocol);
        let port = match address.port() {
            _ if space.is_raw() => 0,
            0 => self.free_port(space).ok_or(WinsockError::WSAENOBUFS)?,
            port if self.is_free(space, port, ip) => port,
            _ => return Err(WinsockError::WSAEADDRINUSE),
        };
        let local = SocketAddr::new(ip, port);
        if let Some(socket) = self.socket_mut(id) {
            socket.local = Some(address::written_in(kind.family, local));
        }
        self.take_port(id, space, local);
        Ok(())
    }

    /// A socket has a port from here on that is known to be free.
    pub(crate) fn take_port(&mut self, id: SocketId, space: PortSpace, local: SocketAddr) {
        self.ports.insert((space, local.port(), local.ip().to_canonical(), id));
        if self.first_free_port(space) == local.port() {
            self.port_hints.insert(space, local.port().saturating_add(1));
        }
    }

    /// Ends what [`World::take_port`] began.
    pub(crate) fn give_port_back(&mut self, id: SocketId, space: PortSpace, local: SocketAddr) {
        let port = local.port();
        let known = self.ports.remove(&(space, port, local.ip().to_canonical(), id));
        if known && port >= FIRST_EPHEMERAL && port < self.first_free_port(space) {
            self.port_hints.insert(space, port);
        }
    }

    pub(crate) fn is_free(&self, space: PortSpace, port: u16, address: IpAddr) -> bool {
        self.bound_to(space, port).all(|(bound, _)| bound != address)
    }

    /// The lowest port of the dynamic range that nobody is bound to, at any address.
    pub(crate) fn free_port(&self, space: PortSpace) -> Option<u16> {
        if space.is_raw() {
            return Some(0);
        }
        (self.first_free_port(space)..=u16::MAX).find(|port| self.bound_to(space, *port).next().is_none())
    }

    /// Below this no port of the dynamic range is free.
    fn first_free_port(&self, space: PortSpace) -> u16 {
        self.port_hints.get(&space).copied().unwrap_or(FIRST_EPHEMERAL)
    }

    /// The sockets that are bound to a port, with their addresses.
    pub(crate) fn bound_to(&self, space: PortSpace, port: u16) -> impl Iterator<Item = (IpAddr, SocketId)> {
        const LOWEST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.ports
            .range((space, port, LOWEST, SocketId(0))..)
            .take_while(move |(s, p, ..)| (*s, *p) == (space, port))
            .map(|(_, _, address, id)| (*address, *id))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::SocketKind;
    use super::*;
    use crate::testing::{Machine, SERVER, address};

    const OK: Result<(), WinsockError> = Ok(());
    const AFNOSUPPORT: Result<(), WinsockError> = Err(WinsockError::WSAEAFNOSUPPORT);
    const ADDRNOTAVAIL: Result<(), WinsockError> = Err(WinsockError::WSAEADDRNOTAVAIL);

    #[rstest]
    #[case::loopback(SocketKind::V4, "127.0.0.1:80", OK)]
    #[case::any_loopback(SocketKind::V4, "127.1.2.3:80", OK)]
    #[case::wildcard(SocketKind::V4, "0.0.0.0:80", OK)]
    #[case::own(SocketKind::V4, "192.0.2.1:80", OK)]
    #[case::foreign(SocketKind::V4, "192.0.2.7:80", ADDRNOTAVAIL)]
    #[case::of_another_host(SocketKind::V4, SERVER, ADDRNOTAVAIL)]
    #[case::v6_on_v4(SocketKind::V4, "[::1]:80", AFNOSUPPORT)]
    #[case::v4_on_v6(SocketKind::V6, "127.0.0.1:80", AFNOSUPPORT)]
    #[case::v4_on_dual(SocketKind::DUAL, "127.0.0.1:80", AFNOSUPPORT)]
    #[case::v6_loopback(SocketKind::V6, "[::1]:80", OK)]
    #[case::v6_own(SocketKind::V6, "[2001:db8::1]:80", OK)]
    #[case::v6_wildcard(SocketKind::DUAL, "[::]:80", OK)]
    #[case::mapped_on_v6(SocketKind::V6, "[::ffff:127.0.0.1]:80", ADDRNOTAVAIL)]
    #[case::mapped_on_dual(SocketKind::DUAL, "[::ffff:127.0.0.1]:80", OK)]
    #[case::mapped_wildcard(SocketKind::DUAL, "[::ffff:0.0.0.0]:80", OK)]
    fn bind_takes_own_addresses_of_the_sockets_family(
        #[case] kind: SocketKind,
        #[case] local: &str,
        #[case] expected: Result<(), WinsockError>,
    ) {
        let mut m = Machine::default();
        let socket = m.socket(kind);
        assert_eq!(m.w.bind(m.app, socket, address(local)), expected);
        let shown = expected.map(|()| address(local)).map_err(|_| WinsockError::WSAEINVAL);
        assert_eq!(m.w.getsockname(m.app, socket), shown);
    }

    #[rstest]
    #[case::same("127.0.0.1:80", "127.0.0.1:80", Err(WinsockError::WSAEADDRINUSE))]
    #[case::other_port("127.0.0.1:80", "127.0.0.1:81", OK)]
    #[case::other_address("127.0.0.1:80", "127.0.0.2:80", OK)]
    #[case::wildcard_beside("127.0.0.1:80", "0.0.0.0:80", OK)]
    #[case::beside_wildcard("0.0.0.0:80", "127.0.0.1:80", OK)]
    #[case::wildcard_twice("0.0.0.0:80", "0.0.0.0:80", Err(WinsockError::WSAEADDRINUSE))]
    fn port_is_taken_for_one_address(
        #[case] first: &str,
        #[case] second: &str,
        #[case] expected: Result<(), WinsockError>,
    ) {
        let mut m = Machine::default();
        m.bound(SocketKind::V4, first);
        let socket = m.socket(SocketKind::V4);
        assert_eq!(m.w.bind(m.app, socket, address(second)), expected);
    }

    #[test]
    fn mapped_address_takes_the_port_of_the_ipv4_one() {
        let mut m = Machine::default();
        m.bound(SocketKind::DUAL, "[::ffff:127.0.0.1]:80");
        let socket = m.socket(SocketKind::V4);
        assert_eq!(m.w.bind(m.app, socket, address("127.0.0.1:80")), Err(WinsockError::WSAEADDRINUSE));
    }

    #[test]
    fn socket_is_bound_once() {
        let mut m = Machine::default();
        let bound = m.bound(SocketKind::V4, "127.0.0.1:80");
        assert_eq!(m.w.bind(m.app, bound, address("127.0.0.1:81")), Err(WinsockError::WSAEINVAL));
        let connected = m.connected(SERVER);
        assert_eq!(m.w.bind(m.app, connected, address("127.0.0.1:81")), Err(WinsockError::WSAEINVAL));
    }

    #[test]
    fn descriptor_of_another_process_is_no_socket() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        assert_eq!(m.w.bind(m.service, socket, address("127.0.0.1:80")), Err(WinsockError::WSAENOTSOCK));
        assert_eq!(m.w.getsockname(m.service, socket), Err(WinsockError::WSAENOTSOCK));
    }

    #[test]
    fn port_0_takes_the_lowest_port_that_nobody_is_bound_to() {
        let mut m = Machine::default();
        let port = |m: &mut Machine, local: &str| {
            let socket = m.bound(SocketKind::V4, local);
            (socket, m.w.getsockname(m.app, socket).unwrap().port())
        };
        let (first, number) = port(&mut m, "127.0.0.1:0");
        assert_eq!(number, 49152);
        assert_eq!(port(&mut m, "127.0.0.2:0").1, 49153, "at any address");
        m.bound(SocketKind::V4, "127.0.0.1:49154");
        assert_eq!(port(&mut m, "127.0.0.1:0").1, 49155);
        m.w.closesocket(m.app, first).unwrap();
        assert_eq!(port(&mut m, "0.0.0.0:0").1, 49152, "given back");
        assert_eq!(port(&mut m, "0.0.0.0:0").1, 49156);
        let (low, _) = port(&mut m, "127.0.0.1:80");
        m.w.closesocket(m.app, low).unwrap();
        assert_eq!(
            port(&mut m, "0.0.0.0:0").1,
            49157,
            "a lower port that was given back is none of the range"
        );
    }

    #[test]
    fn without_a_free_port_bind_fails_with_wsaenobufs() {
        let mut m = Machine::default();
        let last =
            (FIRST_EPHEMERAL..=u16::MAX).map(|_| m.bound(SocketKind::V4, "127.0.0.1:0")).last().unwrap();
        let socket = m.socket(SocketKind::V4);
        let any = address("127.0.0.1:0");
        assert_eq!(m.w.bind(m.app, socket, any), Err(WinsockError::WSAENOBUFS));
        m.w.closesocket(m.app, last).unwrap();
        assert_eq!(m.w.bind(m.app, socket, any), Ok(()));
        assert_eq!(m.w.getsockname(m.app, socket), Ok(address("127.0.0.1:65535")));
    }

    #[test]
    fn hosts_have_ports_of_their_own() {
        let mut m = Machine::default();
        m.bound(SocketKind::V4, "127.0.0.1:80");
        assert!(m.w.listen_at(m.server, address("127.0.0.1:80")).is_ok());
    }
}
