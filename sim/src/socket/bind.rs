//! `bind`, and which port a socket gets that asks for none.

use std::net::{IpAddr, SocketAddr};

use super::State;
use crate::address::{self, Family};
use crate::error::WinsockError;
use crate::ids::{Caller, HostId, SocketHandle, SocketId};
use crate::world::World;

/// The first port of the dynamic range. Source: win32 "TCP/IP dynamic port range", 49152 to 65535.
const FIRST_EPHEMERAL: u16 = 49152;

impl World {
    /// `bind`. Port 0 takes the lowest free one of the dynamic range.
    ///
    /// A port can be bound twice where the addresses differ, one of them being the wildcard included; neither
    /// SO_REUSEADDR nor SO_EXCLUSIVEADDRUSE is modelled.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is bound already; WSAEAFNOSUPPORT for an address of the other
    /// family; WSAEADDRNOTAVAIL for one that is not this host's; WSAEADDRINUSE; WSAENOBUFS without a free port.
    pub fn bind(&mut self, caller: Caller, socket: SocketHandle, address: SocketAddr) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        let (host, kind) = (view.host, view.kind);
        if view.local.is_some() || view.state != State::Unconnected {
            return Err(WinsockError::WSAEINVAL);
        }
        if Family::of(&address) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        let own = address.ip().is_unspecified() || self.host_with(host, address.ip()) == Some(host);
        if !own || address::is_mapped(&address) && !kind.is_dual() {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        let port = match address.port() {
            0 => self.free_port(host, address.ip()).ok_or(WinsockError::WSAENOBUFS)?,
            port if self.is_free(host, port, address.ip()) => port,
            _ => return Err(WinsockError::WSAEADDRINUSE),
        };
        self.take_port(id, SocketAddr::new(address.ip(), port));
        Ok(())
    }

    /// Binds a socket to an address and port that are known to be free.
    pub(crate) fn take_port(&mut self, id: SocketId, local: SocketAddr) {
        let Some(socket) = self.socket_mut(id) else { return };
        let local = address::written_in(socket.kind.family, local);
        socket.local = Some(local);
        let host = socket.host;
        let ip = local.ip().to_canonical();
        self.ports.insert((host, local.port(), ip, id));
        let hint = self.port_hints.get(&(host, ip)).copied().unwrap_or(FIRST_EPHEMERAL);
        if local.port() == hint {
            self.port_hints.insert((host, ip), hint.saturating_add(1));
        }
    }

    /// Ends what [`World::take_port`] began.
    pub(crate) fn give_port_back(&mut self, id: SocketId, host: HostId, local: SocketAddr) {
        let ip = local.ip().to_canonical();
        if !self.ports.remove(&(host, local.port(), ip, id)) {
            return;
        }
        if let Some(hint) = self.port_hints.get_mut(&(host, ip)) {
            *hint = (*hint).min(local.port()).max(FIRST_EPHEMERAL);
            if *hint == FIRST_EPHEMERAL {
                self.port_hints.remove(&(host, ip));
            }
        }
    }

    pub(crate) fn is_free(&self, host: HostId, port: u16, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.bound_to(host, port).all(|(bound, _)| bound != address)
    }

    /// The lowest free port of the dynamic range.
    pub(crate) fn free_port(&self, host: HostId, address: IpAddr) -> Option<u16> {
        let address = address.to_canonical();
        let first = self.port_hints.get(&(host, address)).copied().unwrap_or(FIRST_EPHEMERAL);
        (first..=u16::MAX).find(|port| self.is_free(host, *port, address))
    }

    /// The sockets that are bound to a port, with their addresses.
    pub(crate) fn bound_to(&self, host: HostId, port: u16) -> impl Iterator<Item = (IpAddr, SocketId)> {
        const LOWEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let first = (host, port, LOWEST, SocketId(0));
        self.ports
            .range(first..)
            .take_while(move |(h, p, ..)| (*h, *p) == (host, port))
            .map(|(_, _, address, id)| (*address, *id))
    }
}
