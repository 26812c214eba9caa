//! `bind`, and which port a socket gets that asks for none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::State;
use crate::address::{self, Family};
use crate::error::WinsockError;
use crate::ids::{Caller, HostId, SocketHandle, SocketId};
use crate::world::World;

/// The first port of the dynamic range. Source: win32 "TCP/IP dynamic port range", 49152 to 65535.
const FIRST_EPHEMERAL: u16 = 49152;

impl World {
    /// `bind`. Port 0 takes the lowest port of the dynamic range (49152 to 65535) that nobody is bound to.
    ///
    /// A port can be bound twice where the addresses differ, one of them being the wildcard included; neither
    /// SO_REUSEADDR nor SO_EXCLUSIVEADDRUSE is modelled.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is bound already, or given to an AcceptEx; WSAEAFNOSUPPORT for an
    /// address of the other family; WSAEADDRNOTAVAIL for one that is not this host's, and for a v4-mapped one on
    /// a socket that is not dual-stack; WSAEADDRINUSE; WSAENOBUFS without a free port.
    pub fn bind(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        address: SocketAddr,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        let (host, kind) = (view.host, view.kind);
        if view.local.is_some() || view.state != State::Unconnected {
            return Err(WinsockError::WSAEINVAL);
        }
        if Family::of(&address) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        let ip = address.ip().to_canonical();
        let own = ip.is_unspecified() || self.host_with(host, ip) == Some(host);
        if !own || address::is_mapped(&address) && !kind.is_dual() {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        let port = match address.port() {
            0 => self.free_port(host).ok_or(WinsockError::WSAENOBUFS)?,
            port if self.is_free(host, port, ip) => port,
            _ => return Err(WinsockError::WSAEADDRINUSE),
        };
        self.take_port(id, SocketAddr::new(ip, port));
        Ok(())
    }

    /// Binds a socket to an address and port that are known to be free.
    pub(crate) fn take_port(&mut self, id: SocketId, local: SocketAddr) {
        let Some(socket) = self.socket_mut(id) else { return };
        socket.local = Some(address::written_in(socket.kind.family, local));
        let host = socket.host;
        self.ports.insert((host, local.port(), local.ip().to_canonical(), id));
        if self.first_free_port(host) == local.port() {
            self.port_hints.insert(host, local.port().saturating_add(1));
        }
    }

    /// Ends what [`World::take_port`] began.
    pub(crate) fn give_port_back(&mut self, id: SocketId, host: HostId, local: SocketAddr) {
        let port = local.port();
        let known = self.ports.remove(&(host, port, local.ip().to_canonical(), id));
        if known && port >= FIRST_EPHEMERAL && port < self.first_free_port(host) {
            self.port_hints.insert(host, port);
        }
    }

    pub(crate) fn is_free(&self, host: HostId, port: u16, address: IpAddr) -> bool {
        self.bound_to(host, port).all(|(bound, _)| bound != address)
    }

    /// The lowest port of the dynamic range that nobody is bound to, at any address.
    pub(crate) fn free_port(&self, host: HostId) -> Option<u16> {
        (self.first_free_port(host)..=u16::MAX).find(|port| self.bound_to(host, *port).next().is_none())
    }

    /// Below this no port of the dynamic range is free.
    fn first_free_port(&self, host: HostId) -> u16 {
        self.port_hints.get(&host).copied().unwrap_or(FIRST_EPHEMERAL)
    }

    /// The sockets that are bound to a port, with their addresses.
    pub(crate) fn bound_to(&self, host: HostId, port: u16) -> impl Iterator<Item = (IpAddr, SocketId)> {
        const LOWEST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.ports
            .range((host, port, LOWEST, SocketId(0))..)
            .take_while(move |(h, p, ..)| (*h, *p) == (host, port))
            .map(|(_, _, address, id)| (*address, *id))
    }
}
