//! `send`, `recv` and `shutdown`.

use super::{Completed, Completion, Connection, PendingCall, Receiver, Side, State};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, SocketHandle};
use crate::world::World;

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shutdown {
    /// `SD_RECEIVE`: data that is there unread, or comes later, resets the connection.
    Receive,
    /// `SD_SEND`: the peer reads the end of the stream.
    Send,
    /// `SD_BOTH`.
    Both,
}

impl World {
    /// `send`: all of `data` has arrived when it returns.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN; WSAESHUTDOWN after `shutdown`; WSAECONNRESET where the peer is gone, or receives
    /// no more.
    pub fn send(&mut self, caller: Caller, socket: SocketHandle, data: &[u8]) -> Result<usize, WinsockError> {
        let (id, side) = self.connection(caller, socket)?;
        let flow = self.flow_mut(id).ok_or(WinsockError::WSAENOTCONN)?;
        if flow.end(side).reset {
            return Err(WinsockError::WSAECONNRESET);
        }
        let peer = flow.end_mut(side.other());
        if peer.finished {
            return Err(WinsockError::WSAESHUTDOWN);
        }
        if peer.closed || peer.shut_receive {
            self.reset_end(id, side);
            self.reset_end(id, side.other());
            return Err(WinsockError::WSAECONNRESET);
        }
        peer.received.extend_from_slice(data);
        self.serve_receive(id, side.other());
        Ok(data.len())
    }

    /// `recv`: up to `length` bytes, none at the end of the stream. One receive can wait at a time.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN; WSAESHUTDOWN after `shutdown`; WSAECONNRESET; WSAEWOULDBLOCK on a non-blocking
    /// socket; WSAEINPROGRESS where another receive waits on it.
    pub fn recv(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        length: usize,
    ) -> Result<Completion<Vec<u8>>, WinsockError> {
        let nonblocking = self.view(caller, socket)?.kind.nonblocking;
        let (id, side) = self.connection(caller, socket)?;
        let end = self.flow_mut(id).ok_or(WinsockError::WSAENOTCONN)?.end_mut(side);
        if end.shut_receive {
            return Err(WinsockError::WSAESHUTDOWN);
        }
        if end.waiting.is_some() {
            return Err(WinsockError::WSAEINPROGRESS);
        }
        if !end.received.is_empty() {
            let taken = length.min(end.received.len());
            return Ok(Completion::Done(end.received.drain(..taken).collect()));
        }
        if end.reset {
            return Err(WinsockError::WSAECONNRESET);
        }
        if end.finished || length == 0 {
            return Ok(Completion::Done(Vec::new()));
        }
        if nonblocking {
            return Err(WinsockError::WSAEWOULDBLOCK);
        }
        let pending = self.pend(caller.pid, PendingCall::Receive { flow: id, side });
        if let Some(flow) = self.flow_mut(id) {
            flow.end_mut(side).waiting = Some(Receiver { pending, length });
        }
        Ok(Completion::Pending(pending))
    }

    /// `shutdown`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN, also between AcceptEx or ConnectEx and the update of the socket's context.
    pub fn shutdown(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        how: Shutdown,
    ) -> Result<(), WinsockError> {
        if !matches!(&self.view(caller, socket)?.state, State::Connected(connection) if connection.updated) {
            return Err(WinsockError::WSAENOTCONN);
        }
        let (id, side) = self.connection(caller, socket)?;
        let flow = self.flow_mut(id).ok_or(WinsockError::WSAENOTCONN)?;
        if how != Shutdown::Receive {
            flow.end_mut(side.other()).finished = true;
        }
        let end = flow.end_mut(side);
        end.shut_receive |= how != Shutdown::Send;
        if end.shut_receive && !end.received.is_empty() {
            self.reset_end(id, side);
            self.reset_end(id, side.other());
        }
        self.serve_receive(id, side.other());
        Ok(())
    }

    fn connection(&self, caller: Caller, socket: SocketHandle) -> Result<(FlowId, Side), WinsockError> {
        match &self.view(caller, socket)?.state {
            State::Connected(Connection { flow, side, .. }) => Ok((*flow, *side)),
            _ => Err(WinsockError::WSAENOTCONN),
        }
    }

    /// The connection ends abruptly at one end: what it had not read is lost.
    pub(crate) fn reset_end(&mut self, flow: FlowId, side: Side) {
        if let Some(end) = self.flow_mut(flow).map(|flow| flow.end_mut(side)) {
            end.reset = true;
            end.received.clear();
            self.serve_receive(flow, side);
        }
    }

    /// Something happened at an end: a receive that waits there can go on.
    pub(crate) fn serve_receive(&mut self, flow: FlowId, side: Side) {
        let Some(end) = self.flow_mut(flow).map(|flow| flow.end_mut(side)) else { return };
        let Some(Receiver { pending, length }) = end.waiting else { return };
        let result = if !end.received.is_empty() {
            let taken = length.min(end.received.len());
            Ok(Completed::Received(end.received.drain(..taken).collect()))
        } else if end.reset {
            Err(WinsockError::WSAECONNRESET)
        } else if end.finished {
            Ok(Completed::Received(Vec::new()))
        } else {
            return;
        };
        end.waiting = None;
        self.complete(pending, result);
    }
}
