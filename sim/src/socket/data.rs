//! `send`, `recv` and `shutdown`.

use super::{Completed, Completion, Connection, PendingCall, Side, State};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, SocketHandle};
use crate::world::World;

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shutdown {
    /// `SD_RECEIVE`.
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
    /// WSAENOTSOCK; WSAENOTCONN; WSAESHUTDOWN after `shutdown`; WSAECONNRESET where the peer is gone.
    pub fn send(&mut self, caller: Caller, socket: SocketHandle, data: &[u8]) -> Result<usize, WinsockError> {
        let (flow_id, side) = self.connection(caller, socket)?;
        let flow = self.flow_mut(flow_id).ok_or(WinsockError::WSAENOTCONN)?;
        if flow.end(side).reset {
            return Err(WinsockError::WSAECONNRESET);
        }
        let peer = flow.end_mut(side.other());
        if peer.end_of_stream {
            return Err(WinsockError::WSAESHUTDOWN);
        }
        if peer.closed || peer.shut_receive {
            flow.end_mut(side).reset = true;
            return Err(WinsockError::WSAECONNRESET);
        }
        peer.received.extend_from_slice(data);
        self.serve_receive(flow_id, side.other());
        Ok(data.len())
    }

    /// `recv`: up to `length` bytes, none at the end of the stream.
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
        let (flow_id, side) = self.connection(caller, socket)?;
        let nonblocking = self.view(caller, socket)?.kind.nonblocking;
        let end = self.flow_mut(flow_id).ok_or(WinsockError::WSAENOTCONN)?.end_mut(side);
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
        if end.end_of_stream || length == 0 {
            return Ok(Completion::Done(Vec::new()));
        }
        if nonblocking {
            return Err(WinsockError::WSAEWOULDBLOCK);
        }
        let pending = self.pend(PendingCall::Receive { length });
        if let Some(flow) = self.flow_mut(flow_id) {
            flow.end_mut(side).waiting = Some(pending);
        }
        Ok(Completion::Pending(pending))
    }

    /// `shutdown`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN.
    pub fn shutdown(&mut self, caller: Caller, socket: SocketHandle, how: Shutdown) -> Result<(), WinsockError> {
        let (flow_id, side) = self.connection(caller, socket)?;
        let flow = self.flow_mut(flow_id).ok_or(WinsockError::WSAENOTCONN)?;
        if how != Shutdown::Send {
            flow.end_mut(side).shut_receive = true;
        }
        if how != Shutdown::Receive {
            flow.end_mut(side.other()).end_of_stream = true;
            self.serve_receive(flow_id, side.other());
        }
        Ok(())
    }

    fn connection(&self, caller: Caller, socket: SocketHandle) -> Result<(FlowId, Side), WinsockError> {
        match &self.view(caller, socket)?.state {
            State::Connected(Connection { flow, side, .. }) => Ok((*flow, *side)),
            _ => Err(WinsockError::WSAENOTCONN),
        }
    }

    /// Something happened at an end: a receive that waits there can go on.
    pub(crate) fn serve_receive(&mut self, flow: FlowId, side: Side) {
        let Some(end) = self.flow_mut(flow).map(|flow| flow.end_mut(side)) else { return };
        let Some(pending) = end.waiting.take() else { return };
        let result = if !end.received.is_empty() {
            let length = match self.pending.get(&pending) {
                Some(PendingCall::Receive { length }) => *length,
                _ => return,
            };
            let Some(end) = self.flow_mut(flow).map(|flow| flow.end_mut(side)) else { return };
            let taken = length.min(end.received.len());
            Ok(Completed::Received(end.received.drain(..taken).collect()))
        } else if end.reset {
            Err(WinsockError::WSAECONNRESET)
        } else if end.end_of_stream {
            Ok(Completed::Received(Vec::new()))
        } else {
            end.waiting = Some(pending);
            return;
        };
        self.complete(pending, result);
    }
}
