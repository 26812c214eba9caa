//! The kind and state of a socket, for whoever looks at the machine from outside.

use super::{Connection, Side, State};
use crate::ids::{Caller, FlowId, SocketHandle};
use crate::records::Records;
use crate::world::World;

/// The kind and state of a socket, as far as the control codes tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketState {
    /// The descriptor is not, or no longer, a socket of the process.
    NotASocket,
    /// Neither bound nor connected, though an AcceptEx may wait to connect it.
    Fresh,
    /// Bound, and not connected.
    Bound,
    /// Listening.
    Listening,
    /// A connect that nobody answered yet.
    Connecting,
    /// The end that connected.
    Connected,
    /// The end that was accepted; `redirected`: and the connection was redirected to it.
    Accepted {
        /// Whether there are records to be asked for.
        redirected: bool,
        /// Whether the socket knows that it is connected: not between AcceptEx and SO_UPDATE_ACCEPT_CONTEXT.
        updated: bool,
        /// Whether the peer closed its end, or will send no more.
        peer_closed: bool,
    },
    /// The connection was ended abruptly by the peer.
    Reset,
}

impl World {
    /// The records that the acceptor of a connection can ask for.
    #[must_use]
    pub fn flow_records(&self, flow: FlowId) -> Option<&Records> {
        self.flows.get(&flow)?.records.as_deref()
    }

    /// The kind and state of a socket.
    #[must_use]
    pub fn socket_state(&self, caller: Caller, socket: SocketHandle) -> SocketState {
        let Some(socket) = self.descriptor(caller, socket) else { return SocketState::NotASocket };
        match &socket.state {
            State::Datagram(datagrams) if datagrams.peer.is_some() => SocketState::Connected,
            State::Unconnected | State::Failed(_) | State::Datagram(_) if socket.local.is_none() => {
                SocketState::Fresh
            }
            State::Accepting(_) => SocketState::Fresh,
            State::Unconnected | State::Failed(_) | State::Datagram(_) => SocketState::Bound,
            State::Listening(_) => SocketState::Listening,
            State::Connecting { .. } => SocketState::Connecting,
            State::Connected(connection) if self.is_reset(connection) => SocketState::Reset,
            State::Connected(Connection { side: Side::Client, .. }) => SocketState::Connected,
            State::Connected(Connection { flow, updated, .. }) => SocketState::Accepted {
                redirected: self.flow_records(*flow).is_some(),
                updated: *updated,
                peer_closed: self.flows.get(flow).is_none_or(|flow| flow.server.finished),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Redirect;
    use crate::socket::{Shutdown, SocketKind};
    use crate::testing::{Machine, SERVER, SILENT, both};

    #[test]
    fn each_state_is_told_from_the_others() {
        let mut m = Machine::default();
        let fresh = m.socket(SocketKind::V4);
        let bound = m.bound(SocketKind::V4, "127.0.0.1:0");
        let connecting = m.socket(SocketKind::V4);
        m.connect(connecting, SILENT).unwrap();
        let connected = m.connected(SERVER);
        let (reset, _) = m.pair();
        m.w.end_process(m.service.pid);
        let expected = [
            (fresh, SocketState::Fresh),
            (bound, SocketState::Bound),
            (connecting, SocketState::Connecting),
            (connected, SocketState::Connected),
            (reset, SocketState::Connected),
        ];
        for (socket, state) in expected {
            assert_eq!(m.w.socket_state(m.app, socket), state);
        }
        let _ = m.w.send(m.app, reset, b"into the void");
        assert_eq!(m.w.socket_state(m.app, reset), SocketState::Reset);
        assert_eq!(m.w.socket_state(m.server, fresh), SocketState::NotASocket);
    }

    #[test]
    fn accepted_socket_tells_of_its_connection() {
        let accepted =
            |redirected, updated, peer_closed| SocketState::Accepted { redirected, updated, peer_closed };
        let mut m = Machine::default();
        let (client, socket) = m.pair();
        assert_eq!(m.w.socket_state(m.service, socket), accepted(false, true, false));
        m.w.shutdown(m.app, client, Shutdown::Send).unwrap();
        assert_eq!(m.w.socket_state(m.service, socket), accepted(false, true, true));

        let mut m = Machine::default();
        let (_, socket) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        assert_eq!(m.w.socket_state(m.service, socket), accepted(true, true, false));

        let mut m = Machine::default();
        let listener = m.service_at(7);
        assert_eq!(m.w.socket_state(m.service, listener), SocketState::Listening);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.accept_ex(m.service, listener, socket).unwrap();
        assert_eq!(m.w.socket_state(m.service, socket), SocketState::Fresh);
        m.connected("127.0.0.1:7");
        assert_eq!(m.w.socket_state(m.service, socket), accepted(false, false, false));
    }

    #[test]
    fn records_of_a_connection_are_those_of_its_acceptor() {
        let mut m = Machine::default();
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let arrived = m.w.records_arrived(m.service, accepted).unwrap();
        assert_eq!(arrived.map(|records| records.entries().len()), Some(1));
        assert_eq!(m.w.records_arrived(m.app, client), Ok(None), "the client is told nothing");
        let flow = arrived.map(|records| records.entries()[0].flow).unwrap();
        assert_eq!(m.w.flow_records(flow), arrived);
        assert_eq!(m.w.flow_records(FlowId(999)), None);
    }
}
