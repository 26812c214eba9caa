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
        let Ok(socket) = self.view(caller, socket) else { return SocketState::NotASocket };
        match &socket.state {
            State::Unconnected | State::Failed(_) if socket.local.is_none() => SocketState::Fresh,
            State::Accepting(_) => SocketState::Fresh,
            State::Unconnected | State::Failed(_) => SocketState::Bound,
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
