//! `listen`, `accept`, `AcceptEx` and `SO_UPDATE_ACCEPT_CONTEXT`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Completed, Completion, Connection, Listening, PendingCall, Side, Socket, State};
use crate::address;
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, PendingId, Pid, SocketHandle, SocketId};
use crate::world::World;

/// The largest backlog. Source: sdk-api "listen": a reasonable maximum, up to some hundreds.
const MAX_BACKLOG: usize = 200;

impl World {
    /// `listen`. A backlog outside 1 to 200 is moved into that range; on a listening socket it does nothing.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is not bound; WSAEISCONN where it is connected.
    pub fn listen(&mut self, caller: Caller, socket: SocketHandle, backlog: u32) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Listening(_) => Ok(()),
            State::Unconnected if socket.local.is_some() => {
                socket.state = State::Listening(Box::new(Listening {
                    backlog: (backlog as usize).clamp(1, MAX_BACKLOG),
                    queue: VecDeque::new(),
                    waiting: VecDeque::new(),
                }));
                Ok(())
            }
            State::Unconnected | State::Connecting { .. } | State::Failed(_) => Err(WinsockError::WSAEINVAL),
            State::Connected(_) => Err(WinsockError::WSAEISCONN),
        }
    }

    /// `accept`: the socket of the oldest connection that waits. Its kind is the listening socket's.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket does not listen; WSAEWOULDBLOCK on a non-blocking socket.
    pub fn accept(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Completion<SocketHandle>, WinsockError> {
        let listener = self.lookup(caller, socket)?;
        let nonblocking = self.view(caller, socket)?.kind.nonblocking;
        match self.next_connection(listener)? {
            Some(flow) => self.accept_flow(caller.pid, listener, flow).map(Completion::Done),
            None if nonblocking => Err(WinsockError::WSAEWOULDBLOCK),
            None => {
                let pending = self.pend(PendingCall::Accept { listener, pid: caller.pid });
                self.wait_for_connection(listener, pending);
                Ok(Completion::Pending(pending))
            }
        }
    }

    /// `AcceptEx` without a first block of data: connects `accepting`, a socket that is neither bound nor
    /// connected. Pending while no connection waits, on non-blocking sockets too.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where one of the sockets does not suit.
    pub fn accept_ex(
        &mut self,
        caller: Caller,
        listening: SocketHandle,
        accepting: SocketHandle,
    ) -> Result<Completion<()>, WinsockError> {
        let listener = self.lookup(caller, listening)?;
        let socket = self.lookup(caller, accepting)?;
        let (kind, view) = (self.view(caller, listening)?.kind, self.view(caller, accepting)?);
        let suits = view.state == State::Unconnected
            && view.local.is_none()
            && (view.kind.family, view.kind.is_dual()) == (kind.family, kind.is_dual());
        if !suits {
            return Err(WinsockError::WSAEINVAL);
        }
        match self.next_connection(listener)? {
            Some(flow) => self.accept_flow_on(socket, listener, flow).map(|()| Completion::Done(())),
            None => {
                let pending = self.pend(PendingCall::AcceptEx { listener, socket });
                self.wait_for_connection(listener, pending);
                Ok(Completion::Pending(pending))
            }
        }
    }

    /// `setsockopt(SO_UPDATE_ACCEPT_CONTEXT)`: until then a socket of AcceptEx can do little but send and receive.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket was not accepted by the listening one.
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

    /// `setsockopt(SO_UPDATE_CONNECT_CONTEXT)`, for a socket that ConnectEx connected.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN.
    pub fn update_connect_context(&mut self, caller: Caller, socket: SocketHandle) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.mark_updated(id, Side::Client).ok_or(WinsockError::WSAENOTCONN)
    }

    fn mark_updated(&mut self, id: SocketId, wanted: Side) -> Option<()> {
        match &mut self.socket_mut(id)?.state {
            State::Connected(Connection { side, updated, .. }) if *side == wanted => {
                *updated = true;
                Some(())
            }
            _ => None,
        }
    }

    fn next_connection(&mut self, listener: SocketId) -> Result<Option<FlowId>, WinsockError> {
        match self.socket_mut(listener).map(|socket| &mut socket.state) {
            Some(State::Listening(listening)) => Ok(listening.queue.pop_front()),
            _ => Err(WinsockError::WSAEINVAL),
        }
    }

    fn wait_for_connection(&mut self, listener: SocketId, pending: PendingId) {
        if let Some(State::Listening(listening)) = self.socket_mut(listener).map(|socket| &mut socket.state) {
            listening.waiting.push_back(pending);
        }
    }

    fn accept_flow(
        &mut self,
        pid: Pid,
        listener: SocketId,
        flow: FlowId,
    ) -> Result<SocketHandle, WinsockError> {
        let listening = self.sockets.get(&listener).ok_or(WinsockError::WSAENOTSOCK)?;
        let socket = Socket::new(listening.host, listening.kind);
        let id = self.next_socket();
        self.sockets.insert(id, Arc::new(socket));
        self.accept_flow_on(id, listener, flow)?;
        if let Some(State::Connected(connection)) = self.socket_mut(id).map(|socket| &mut socket.state) {
            connection.updated = true;
        }
        Ok(self.describe(pid, id))
    }

    fn accept_flow_on(&mut self, id: SocketId, listener: SocketId, flow: FlowId) -> Result<(), WinsockError> {
        let family = self.sockets.get(&listener).ok_or(WinsockError::WSAENOTSOCK)?.kind.family;
        let ends = self.flows.get(&flow).ok_or(WinsockError::WSAECONNRESET)?;
        let local = address::written_in(family, ends.server.address);
        let peer = address::written_in(family, ends.client.address);
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        socket.local = Some(local);
        socket.state = State::Connected(Connection { flow, side: Side::Server, peer, updated: false });
        Ok(())
    }

    /// A connection reached a listening socket: whoever waits longest gets it.
    pub(crate) fn connection_arrived(&mut self, listener: SocketId, flow: FlowId) {
        let Some(State::Listening(listening)) = self.socket_mut(listener).map(|socket| &mut socket.state) else {
            return;
        };
        let Some(pending) = listening.waiting.pop_front() else {
            listening.queue.push_back(flow);
            return;
        };
        let result = match self.pending.get(&pending) {
            Some(PendingCall::Accept { pid, .. }) => {
                let pid = *pid;
                self.accept_flow(pid, listener, flow).map(Completed::Accepted)
            }
            Some(PendingCall::AcceptEx { socket, .. }) => {
                let socket = *socket;
                self.accept_flow_on(socket, listener, flow).map(|()| Completed::AcceptedEx)
            }
            _ => return,
        };
        self.complete(pending, result);
    }
}
