//! `listen`, `accept`, `AcceptEx` and `SO_UPDATE_ACCEPT_CONTEXT`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{
    Completed, Completion, Connection, Flow, Listening, PendingCall, Side, Socket, SocketKind, State,
};
use crate::address::{self, Family};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, PendingId, Pid, SocketHandle, SocketId};
use crate::world::World;

/// The largest backlog. Source: sdk-api "listen": a reasonable maximum, up to some hundreds.
const MAX_BACKLOG: u32 = 200;

impl Socket {
    /// Makes this the accepted end of a connection.
    fn accept(&mut self, flow: FlowId, ends: &Flow, updated: bool) {
        let peer = address::written_in(self.kind.family, ends.client.address);
        self.local = Some(address::written_in(self.kind.family, ends.server.address));
        self.state = State::Connected(Connection { flow, side: Side::Server, peer, updated });
    }
}

impl World {
    /// A socket that listens at `address`, for IPv4 or for IPv6 alone: `socket`, `bind` and `listen` in one.
    ///
    /// # Errors
    /// As [`World::socket`], [`World::bind`] and [`World::listen`]; no socket is left then.
    pub fn listen_at(&mut self, caller: Caller, address: SocketAddr) -> Result<SocketHandle, WinsockError> {
        let kind = match Family::of(&address) {
            Family::Ipv4 => SocketKind::V4,
            Family::Ipv6 => SocketKind::V6,
        };
        let socket = self.socket(caller, kind)?;
        match self.bind(caller, socket, address).and_then(|()| self.listen(caller, socket, MAX_BACKLOG)) {
            Ok(()) => Ok(socket),
            Err(error) => {
                self.release_descriptor(caller.pid, socket);
                Err(error)
            }
        }
    }

    /// `listen`. A backlog outside 1 to 200 is moved into that range; on a listening socket it does nothing.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is not bound; WSAEISCONN where it is connected; WSAEOPNOTSUPP where it is
    /// not TCP's.
    pub fn listen(&mut self, caller: Caller, socket: SocketHandle, backlog: u32) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Listening(_) => Ok(()),
            State::Unconnected if socket.local.is_some() => {
                socket.state = State::Listening(Box::new(Listening {
                    backlog: backlog.clamp(1, MAX_BACKLOG) as usize,
                    queue: VecDeque::new(),
                    waiting: VecDeque::new(),
                }));
                Ok(())
            }
            State::Unconnected | State::Accepting(_) | State::Connecting { .. } | State::Failed(_) => {
                Err(WinsockError::WSAEINVAL)
            }
            State::Connected(_) => Err(WinsockError::WSAEISCONN),
            State::Datagram(_) => Err(WinsockError::WSAEOPNOTSUPP),
        }
    }

    /// `accept`: the socket of the oldest connection that waits. Its kind is the listening socket's.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket does not listen; WSAEOPNOTSUPP where it is not TCP's; WSAEWOULDBLOCK on a
    /// non-blocking socket.
    pub fn accept(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Completion<SocketHandle>, WinsockError> {
        let listener = self.lookup(caller, socket)?;
        let socket = self.socket_mut(listener).ok_or(WinsockError::WSAENOTSOCK)?;
        let nonblocking = socket.kind.nonblocking;
        let listening = match &mut socket.state {
            State::Listening(listening) => listening,
            State::Datagram(_) => return Err(WinsockError::WSAEOPNOTSUPP),
            _ => return Err(WinsockError::WSAEINVAL),
        };
        if let Some(flow) = listening.queue.pop_front() {
            return self.accept_flow(caller.pid, listener, flow).map(Completion::Done);
        }
        if nonblocking {
            return Err(WinsockError::WSAEWOULDBLOCK);
        }
        let pending = self.pend(caller, PendingCall::Accept { listener });
        self.wait_for_connection(listener, pending);
        Ok(Completion::Pending(pending))
    }

    /// `AcceptEx` without a first block of data: connects `accepting`, a socket of the listening one's kind that is
    /// neither bound nor connected. Pending while no connection waits, on non-blocking sockets too; meanwhile
    /// `accepting` can only be closed.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where one of the sockets does not suit.
    pub fn accept_ex(
        &mut self,
        caller: Caller,
        listening: SocketHandle,
        accepting: SocketHandle,
    ) -> Result<Completion<()>, WinsockError> {
        let (listener, socket) = (self.lookup(caller, listening)?, self.lookup(caller, accepting)?);
        let (kind, view) = (self.view(caller, listening)?.kind, self.view(caller, accepting)?);
        let suits = view.state == State::Unconnected
            && view.local.is_none()
            && (view.kind.family, view.kind.is_dual()) == (kind.family, kind.is_dual());
        if !suits {
            return Err(WinsockError::WSAEINVAL);
        }
        let listening = self.listening_mut(listener).ok_or(WinsockError::WSAEINVAL)?;
        if let Some(flow) = listening.queue.pop_front() {
            return self.accept_flow_on(socket, flow).map(Completion::Done);
        }
        let pending = self.pend(caller, PendingCall::AcceptEx { listener, socket });
        self.set_state(socket, State::Accepting(pending));
        self.wait_for_connection(listener, pending);
        Ok(Completion::Pending(pending))
    }

    /// `setsockopt(SO_UPDATE_ACCEPT_CONTEXT)`: until then a socket of AcceptEx can do little but send and receive.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the first socket is not an accepted one, or the second does not listen.
    pub fn update_accept_context(
        &mut self,
        caller: Caller,
        accepted: SocketHandle,
        listening: SocketHandle,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, accepted)?;
        if !matches!(self.view(caller, listening)?.state, State::Listening(_)) {
            return Err(WinsockError::WSAEINVAL);
        }
        self.mark_updated(id, Side::Server).ok_or(WinsockError::WSAEINVAL)
    }

    /// The socket knows from here on that it is connected; `None` where it is not, at this side.
    pub(crate) fn mark_updated(&mut self, id: SocketId, wanted: Side) -> Option<()> {
        match &mut self.socket_mut(id)?.state {
            State::Connected(Connection { side, updated, .. }) if *side == wanted => {
                *updated = true;
                Some(())
            }
            _ => None,
        }
    }

    fn wait_for_connection(&mut self, listener: SocketId, pending: PendingId) {
        if let Some(listening) = self.listening_mut(listener) {
            listening.waiting.push_back(pending);
        }
    }

    /// A new socket for a connection, of the listening one's kind.
    pub(super) fn accept_flow(
        &mut self,
        pid: Pid,
        listener: SocketId,
        flow: FlowId,
    ) -> Result<SocketHandle, WinsockError> {
        let listening = self.sockets.get(&listener).ok_or(WinsockError::WSAENOTSOCK)?;
        let ends = self.flows.get(&flow).ok_or(WinsockError::WSAECONNRESET)?;
        let mut socket = Socket::new(listening.host, listening.kind);
        socket.accept(flow, ends, true);
        let id = self.next_socket();
        self.sockets.insert(id, Arc::new(socket));
        Ok(self.describe(pid, id))
    }

    /// The same on a socket that AcceptEx was given, which is of that kind already.
    fn accept_flow_on(&mut self, id: SocketId, flow: FlowId) -> Result<(), WinsockError> {
        let ends = self.flows.get(&flow).cloned().ok_or(WinsockError::WSAECONNRESET)?;
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        socket.accept(flow, &ends, false);
        Ok(())
    }

    /// A connection reached a listening socket: whoever waits longest gets it.
    pub(crate) fn connection_arrived(&mut self, listener: SocketId, flow: FlowId) {
        let Some(listening) = self.listening_mut(listener) else { return };
        let Some(pending) = listening.waiting.pop_front() else {
            listening.queue.push_back(flow);
            return;
        };
        let Some(waiting) = self.pending.get(&pending).cloned() else { return };
        let result = match waiting.call {
            PendingCall::AcceptEx { socket, .. } => {
                self.accept_flow_on(socket, flow).map(|()| Completed::AcceptedEx)
            }
            _ => self.accept_flow(waiting.owner.pid, listener, flow).map(Completed::Accepted),
        };
        self.complete(pending, result);
    }
}

#[cfg(test)]
mod tests;
