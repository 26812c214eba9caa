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
    /// `send`: all of `data` has arrived when it returns. On a datagram socket it is [`World::sendto`] without a destination,
    /// and without a trace.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN; WSAESHUTDOWN after `shutdown`; WSAECONNRESET where the peer is gone, or receives
    /// no more; WSAECONNABORTED where the filters have changed since, and block the connection when it is authorized
    /// again.
    pub fn send(&mut self, caller: Caller, socket: SocketHandle, data: &[u8]) -> Result<usize, WinsockError> {
        if matches!(self.view(caller, socket)?.state, State::Datagram(_)) {
            return self.sendto(caller, socket, data, None, &mut ());
        }
        let (id, side) = self.connection(caller, socket)?;
        if self.is_blocked_now(id) {
            self.reset_end(id, side);
            self.reset_end(id, side.other());
            return Err(WinsockError::WSAECONNABORTED);
        }
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

    /// `recv`: up to `length` bytes, none at the end of the stream. One receive can wait at a time. On a datagram socket it
    /// gives the next datagram, and WSAEMSGSIZE where that is longer.
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
        let view = self.view(caller, socket)?;
        if matches!(view.state, State::Datagram(_)) {
            let id = self.lookup(caller, socket)?;
            return self.recv_datagram(caller, id, length);
        }
        let nonblocking = view.kind.nonblocking;
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
        let pending = self.pend(caller, PendingCall::Receive { flow: id, side });
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::ids::PendingId;
    use crate::socket::SocketKind;
    use crate::testing::{Machine, SERVER, SILENT};

    fn done(bytes: &[u8]) -> Completion<Vec<u8>> {
        Completion::Done(bytes.to_vec())
    }

    fn pending(result: Result<Completion<Vec<u8>>, WinsockError>) -> PendingId {
        match result {
            Ok(Completion::Pending(pending)) => pending,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_sent_is_received_in_pieces_of_the_receivers_choice() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        assert_eq!(m.w.send(m.app, client, b"abc"), Ok(3));
        assert_eq!(m.w.send(m.app, client, b"de"), Ok(2));
        assert_eq!(m.w.recv(m.service, accepted, 4), Ok(done(b"abcd")));
        assert_eq!(m.w.recv(m.service, accepted, 4), Ok(done(b"e")));
        assert_eq!(m.w.recv(m.service, accepted, 0), Ok(done(b"")));
    }

    #[rstest]
    #[case::fresh(None)]
    #[case::connecting(Some(SILENT))]
    fn unconnected_socket_does_not_transfer(#[case] to: Option<&str>) {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        if let Some(to) = to {
            m.connect(socket, to).unwrap();
        }
        assert_eq!(m.w.send(m.app, socket, b"x"), Err(WinsockError::WSAENOTCONN));
        assert_eq!(m.w.recv(m.app, socket, 1), Err(WinsockError::WSAENOTCONN));
        assert_eq!(m.w.shutdown(m.app, socket, Shutdown::Both), Err(WinsockError::WSAENOTCONN));
        assert_eq!(m.w.send(m.service, socket, b"x"), Err(WinsockError::WSAENOTSOCK));
        assert_eq!(m.w.recv(m.service, socket, 1), Err(WinsockError::WSAENOTSOCK));
        assert_eq!(m.w.shutdown(m.service, socket, Shutdown::Both), Err(WinsockError::WSAENOTSOCK));
    }

    #[test]
    fn receive_waits_for_data_one_at_a_time() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let waiting = pending(m.w.recv(m.service, accepted, 2));
        assert_eq!(m.w.recv(m.service, accepted, 2), Err(WinsockError::WSAEINPROGRESS));
        assert_eq!(m.w.completion(waiting), None);
        m.w.send(m.app, client, b"abc").unwrap();
        assert_eq!(m.w.completion(waiting), Some(Ok(Completed::Received(b"ab".to_vec()))));
        assert_eq!(m.w.recv(m.service, accepted, 2), Ok(done(b"c")));
    }

    #[test]
    fn non_blocking_receive_does_not_wait() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind { nonblocking: true, ..SocketKind::V4 });
        assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAEWOULDBLOCK));
        assert_eq!(m.w.recv(m.app, socket, 1), Err(WinsockError::WSAEWOULDBLOCK));
    }

    #[rstest]
    #[case(Shutdown::Send)]
    #[case(Shutdown::Both)]
    fn after_the_end_of_the_stream_receives_are_empty(#[case] how: Shutdown) {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        m.w.send(m.app, client, b"a").unwrap();
        m.w.shutdown(m.app, client, how).unwrap();
        assert_eq!(m.w.send(m.app, client, b"b"), Err(WinsockError::WSAESHUTDOWN));
        assert_eq!(m.w.recv(m.service, accepted, 9), Ok(done(b"a")));
        assert_eq!(m.w.recv(m.service, accepted, 9), Ok(done(b"")));
    }

    #[test]
    fn end_of_the_stream_completes_a_waiting_receive() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let waiting = pending(m.w.recv(m.service, accepted, 2));
        m.w.shutdown(m.app, client, Shutdown::Send).unwrap();
        assert_eq!(m.w.completion(waiting), Some(Ok(Completed::Received(Vec::new()))));
        assert_eq!(m.w.send(m.service, accepted, b"x"), Ok(1), "the other direction goes on");
        assert_eq!(m.w.recv(m.app, client, 9), Ok(done(b"x")));
    }

    #[rstest]
    #[case(Shutdown::Receive)]
    #[case(Shutdown::Both)]
    fn data_that_comes_after_a_shutdown_of_receiving_resets_both_ends(#[case] how: Shutdown) {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        m.w.shutdown(m.service, accepted, how).unwrap();
        assert_eq!(m.w.recv(m.service, accepted, 1), Err(WinsockError::WSAESHUTDOWN));
        assert_eq!(m.w.send(m.app, client, b"x"), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.recv(m.app, client, 1), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.getpeername(m.service, accepted), Err(WinsockError::WSAENOTCONN));
    }

    #[test]
    fn data_that_is_there_at_a_shutdown_of_receiving_resets_both_ends() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let waiting = pending(m.w.recv(m.app, client, 2));
        m.w.send(m.app, client, b"x").unwrap();
        m.w.shutdown(m.service, accepted, Shutdown::Receive).unwrap();
        assert_eq!(m.w.completion(waiting), Some(Err(WinsockError::WSAECONNRESET)));
        assert_eq!(m.w.send(m.app, client, b"y"), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.send(m.service, accepted, b"y"), Err(WinsockError::WSAECONNRESET));
    }

    #[test]
    fn peer_that_closed_is_the_end_of_the_stream_and_refuses_data() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        m.w.send(m.service, accepted, b"last").unwrap();
        m.w.closesocket(m.service, accepted).unwrap();
        assert_eq!(m.w.recv(m.app, client, 4), Ok(done(b"last")));
        assert_eq!(m.w.recv(m.app, client, 4), Ok(done(b"")));
        assert_eq!(m.w.send(m.app, client, b"x"), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.recv(m.app, client, 4), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.getpeername(m.app, client), Err(WinsockError::WSAENOTCONN));
    }
}
