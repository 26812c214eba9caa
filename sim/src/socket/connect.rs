//! `connect` and `ConnectEx`: the classify, what the engine makes of it, and the connection.
//!
//! Source: win32 "TCP Packet Flows"; docs/behaviour.md, "Connect request", "Chains" and "How records travel".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{
    Asking, Classified, Completion, Connection, End, Flow, PendingCall, PortSpace, Protocol, Side, Socket,
    SocketKind, State,
};
use crate::address::{self, Family};
use crate::engine::Version;
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, HostId, PendingId, SocketHandle, SocketId};
use crate::profile::ShownPeer;
use crate::trace::Sink;
use crate::world::{LOCAL_HOST, World};

/// A call of `connect` or `ConnectEx`.
#[derive(Clone, Copy)]
struct Attempt {
    caller: Caller,
    id: SocketId,
    destination: SocketAddr,
    manner: Manner,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// `connect`.
    Blocking,
    /// `connect` on a non-blocking socket: nobody waits for it.
    Nonblocking,
    /// `ConnectEx`.
    Overlapped,
}

/// How far a connect came at once.
enum Reached {
    Connected(FlowId),
    /// Nobody answered yet. On a non-blocking socket no call waits for it.
    Waiting(Option<PendingId>),
}

impl World {
    /// `connect`: classified at the connect-redirect layer first, if this is the local host. A socket that is not
    /// bound is: to an address of this host when it connects, to the wildcard address when it does not. On a
    /// non-blocking socket WSAEWOULDBLOCK stands for a connect under way; the next call tells what became of it.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL on a listening socket, or one given to an AcceptEx; WSAEISCONN; WSAEALREADY;
    /// WSAEAFNOSUPPORT; WSAEADDRNOTAVAIL for an address or port of 0, and by the profile fields `mapped-on-v6only`
    /// and `unroutable-source`; WSAENETUNREACH without an own address of the target's family; WSAEHOSTUNREACH where
    /// no host has the address; WSAECONNREFUSED; WSAEACCES where a block counts (`block-at-redirect-layer`);
    /// WSAENOBUFS without a free port; WSAEADDRINUSE where the socket is bound to the wildcard address and its port
    /// is taken at the one that it would get; WSAEWOULDBLOCK. A pending one ends with WSAETIMEDOUT.
    pub fn connect<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Failed(error) => {
                socket.state = State::Unconnected;
                return Err(error);
            }
            State::Datagram(_) => return self.connect_datagram(caller, id, destination, sink),
            _ => {}
        }
        let manner = if socket.kind.nonblocking { Manner::Nonblocking } else { Manner::Blocking };
        let result = self.attempt(Attempt { caller, id, destination, manner }, sink);
        match result {
            Ok(Reached::Waiting(Some(pending))) => Ok(Completion::Pending(pending)),
            Ok(_) if manner == Manner::Blocking => Ok(Completion::Done(())),
            Ok(_) => Err(WinsockError::WSAEWOULDBLOCK),
            Err(error) if manner == Manner::Nonblocking && is_met_later(error) => {
                self.set_state(id, State::Failed(error));
                Err(WinsockError::WSAEWOULDBLOCK)
            }
            Err(error) => Err(error),
        }
    }

    /// `ConnectEx` without data: as `connect`, on a socket that must be bound, and never WSAEWOULDBLOCK. Until
    /// [`World::update_connect_context`] the socket does not know its peer.
    ///
    /// # Errors
    /// As [`World::connect`]; WSAEINVAL where the socket is not bound.
    pub fn connect_ex<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        if view.local.is_none() || matches!(view.state, State::Failed(_)) {
            return Err(WinsockError::WSAEINVAL);
        }
        let attempt = Attempt { caller, id, destination, manner: Manner::Overlapped };
        Ok(match self.attempt(attempt, sink)? {
            Reached::Waiting(Some(pending)) => Completion::Pending(pending),
            Reached::Waiting(None) | Reached::Connected(_) => Completion::Done(()),
        })
    }

    /// `setsockopt(SO_UPDATE_CONNECT_CONTEXT)`, for a socket that ConnectEx connected.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN where it did not connect.
    pub fn update_connect_context(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.mark_updated(id, Side::Client).ok_or(WinsockError::WSAENOTCONN)
    }

    fn attempt<S: Sink + ?Sized>(&mut self, attempt: Attempt, sink: &mut S) -> Result<Reached, WinsockError> {
        let Attempt { caller: Caller { pid, .. }, id, destination, .. } = attempt;
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Unconnected => {}
            State::Listening(_) | State::Accepting(_) | State::Datagram(_) => {
                return Err(WinsockError::WSAEINVAL);
            }
            State::Connecting { .. } => return Err(WinsockError::WSAEALREADY),
            State::Connected(_) | State::Failed(_) => return Err(WinsockError::WSAEISCONN),
        }
        self.check_destination(socket.kind, destination)?;
        let host = socket.host;
        if host != LOCAL_HOST {
            return self.reach(attempt, destination, Vec::new());
        }

        let (kind, bound, records) = (socket.kind, socket.local, socket.records.as_ref());
        let asking = Asking { pid, socket: id, host, kind, bound, destination, records };
        let Classified { target, recorded, trace, .. } = self.classified(asking, sink.enabled())?;
        let result = recorded.and_then(|recorded| self.reach(attempt, target, recorded));
        if let Some(mut trace) = trace {
            match &result {
                Ok(Reached::Connected(flow)) => trace.result = Ok(*flow),
                Ok(Reached::Waiting(_)) => {}
                Err(error) => trace.result = Err(*error),
            }
            sink.connect(trace);
        }
        result
    }

    /// Whether a socket of this kind can send to `destination` at all.
    pub(crate) fn check_destination(
        &self,
        kind: SocketKind,
        destination: SocketAddr,
    ) -> Result<(), WinsockError> {
        if Family::of(&destination) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        if address::is_mapped(&destination) && !kind.is_dual() {
            return Err(self.profile.mapped_on_v6only);
        }
        let no_port = destination.port() == 0 && !matches!(kind.protocol, Protocol::Raw { .. });
        if destination.ip().to_canonical().is_unspecified() || no_port {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        Ok(())
    }

    /// Makes the connection to `target`, or finds out why there is none.
    fn reach(
        &mut self,
        attempt: Attempt,
        target: SocketAddr,
        recorded: Vec<Version>,
    ) -> Result<Reached, WinsockError> {
        let Attempt { id, destination, manner, .. } = attempt;
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (from, family, bound) = (socket.host, socket.kind.family, socket.local);
        let to = self.host_with(from, target.ip()).ok_or(WinsockError::WSAEHOSTUNREACH)?;
        let local = self.source_of_connection(from, bound, target)?;
        let silent = self.host(to).is_some_and(|host| host.silent);
        let Some(listener) = self.listener(to, target).filter(|id| !silent && !self.backlog_is_full(*id))
        else {
            if bound.is_none() {
                let wildcard = SocketAddr::new(family.unspecified(), local.port());
                self.take_port(id, PortSpace::tcp(from), wildcard);
                if let Some(socket) = self.socket_mut(id) {
                    socket.local = Some(wildcard);
                }
            }
            if !silent {
                return Err(WinsockError::WSAECONNREFUSED);
            }
            let call = PendingCall::Connect { socket: id, overlapped: manner == Manner::Overlapped };
            let pending = (manner != Manner::Nonblocking).then(|| self.pend(attempt.caller, call));
            self.wait_for_answer(id, pending);
            return Ok(Reached::Waiting(pending));
        };

        let flow = self.open_flow(id, local, destination, target, recorded);
        let peer = match self.profile.peer_name_after_redirect {
            ShownPeer::Original => destination,
            ShownPeer::Redirected => address::written_in(family, target),
        };
        // A socket that was bound to all addresses has one of them when it is connected.
        if bound.is_none_or(|bound| bound.ip().to_canonical().is_unspecified()) {
            if let Some(bound) = bound {
                self.give_port_back(id, PortSpace::tcp(from), bound);
            }
            self.take_port(id, PortSpace::tcp(from), local);
        }
        if let Some(socket) = self.socket_mut(id) {
            let updated = manner != Manner::Overlapped;
            socket.local = Some(address::written_in(family, local));
            socket.state = State::Connected(Connection { flow, side: Side::Client, peer, updated });
        }
        self.connection_arrived(listener, flow);
        Ok(Reached::Connected(flow))
    }

    /// A new connection; each redirect in `recorded` leaves an entry in its records.
    fn open_flow(
        &mut self,
        client: SocketId,
        local: SocketAddr,
        destination: SocketAddr,
        target: SocketAddr,
        recorded: Vec<Version>,
    ) -> FlowId {
        let id = self.next_flow();
        // Shared, so that the records can be made while the rest of the world changes.
        let earlier = self.sockets.get(&client).and_then(|socket| socket.records.clone());
        let (records, contexts) = self.leave_records(id, earlier.as_deref(), recorded);
        let flow = Flow {
            client: End::new(local),
            server: End::new(target),
            original: records.is_some().then_some(destination),
            records,
            contexts,
            datagrams: None,
        };
        self.flows.insert(id, Arc::new(flow));
        id
    }

    /// The address that packets to `target` come from; `None` without one of its family.
    pub(crate) fn source_address(&self, from: HostId, target: SocketAddr) -> Option<IpAddr> {
        let ip = target.ip().to_canonical();
        if ip.is_loopback() {
            return Some(match ip {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let addresses = &self.host(from)?.addresses;
        addresses
            .iter()
            .find(|own| **own == ip)
            .or_else(|| addresses.iter().find(|own| own.is_ipv4() == ip.is_ipv4()))
            .copied()
    }

    /// The source address and port of the connection. A bound socket keeps its own, and cannot reach the other
    /// family, nor over the border between loopback and the rest.
    fn source_of_connection(
        &self,
        host: HostId,
        bound: Option<SocketAddr>,
        target: SocketAddr,
    ) -> Result<SocketAddr, WinsockError> {
        let source = self.source_address(host, target).ok_or(WinsockError::WSAENETUNREACH)?;
        let Some(bound) = bound else {
            let port = self.free_port(PortSpace::tcp(host)).ok_or(WinsockError::WSAENOBUFS)?;
            return Ok(SocketAddr::new(source, port));
        };
        if !self.leads_to(bound, target) {
            return Err(self.profile.unroutable_source);
        }
        let (ip, port) = (bound.ip().to_canonical(), bound.port());
        if ip.is_unspecified() {
            let free = self.is_free(PortSpace::tcp(host), port, source);
            return if free { Ok(SocketAddr::new(source, port)) } else { Err(WinsockError::WSAEADDRINUSE) };
        }
        Ok(SocketAddr::new(ip, port))
    }

    /// Whether a socket that is bound there can reach `target`: not in the other family, nor over the border between
    /// loopback and the rest.
    #[expect(clippy::unused_self, reason = "a question about the machine, like those beside it")]
    pub(crate) fn leads_to(&self, bound: SocketAddr, target: SocketAddr) -> bool {
        let (ip, to) = (bound.ip().to_canonical(), target.ip().to_canonical());
        match ip {
            // The wildcard address of an IPv6 socket stands for IPv4 addresses too.
            _ if ip.is_unspecified() => ip.is_ipv6() || to.is_ipv4(),
            _ => ip.is_ipv4() == to.is_ipv4() && ip.is_loopback() == to.is_loopback(),
        }
    }

    /// The socket that listens at `target`.
    pub(super) fn listener(&self, host: HostId, target: SocketAddr) -> Option<SocketId> {
        let listens = |socket: &Socket| matches!(socket.state, State::Listening(_));
        self.best_bound(PortSpace::tcp(host), target, listens)
    }

    /// Of the sockets that are bound so that something for `target` is theirs, and that meet `condition`, the one that
    /// gets it: one bound to just this address before one bound to all of them, and one of its own family before a
    /// dual-stack one.
    pub(crate) fn best_bound(
        &self,
        space: PortSpace,
        target: SocketAddr,
        condition: impl Fn(&Socket) -> bool,
    ) -> Option<SocketId> {
        let ip = target.ip().to_canonical();
        let mut best = None;
        for (bound, id) in self.bound_to(space, target.port()) {
            let Some(socket) = self.sockets.get(&id) else { continue };
            if !condition(socket) {
                continue;
            }
            let rank = if bound == ip {
                0
            } else if !bound.is_unspecified() {
                continue;
            } else if bound.is_ipv4() == ip.is_ipv4() {
                1
            } else if socket.kind.is_dual() {
                2
            } else {
                continue;
            };
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn backlog_is_full(&self, listener: SocketId) -> bool {
        match self.sockets.get(&listener).map(|socket| &socket.state) {
            Some(State::Listening(listening)) => listening.queue.len() >= listening.backlog,
            _ => true,
        }
    }
}

/// Errors that a non-blocking connect meets only after it has returned.
fn is_met_later(error: WinsockError) -> bool {
    matches!(error, WinsockError::WSAECONNREFUSED | WinsockError::WSAEHOSTUNREACH | WinsockError::WSAEACCES)
}

#[cfg(test)]
mod tests;
