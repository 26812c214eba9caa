//! `closesocket`, and everything that ends with a socket.

use super::{Connection, PendingCall, Side, Socket, State};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, Pid, SocketHandle};
use crate::profile::ContextLifetime;
use crate::world::World;

impl World {
    /// `closesocket`: gives the descriptor back; with the last one the socket ends. Data that was not read makes
    /// that abrupt for the peer. Calls that wait on the socket end: AcceptEx and ConnectEx with
    /// WSA_OPERATION_ABORTED, blocking ones with WSAEINTR.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn closesocket(&mut self, caller: Caller, socket: SocketHandle) -> Result<(), WinsockError> {
        if self.release_descriptor(caller.pid, socket) { Ok(()) } else { Err(WinsockError::WSAENOTSOCK) }
    }

    /// Whether there was such a descriptor.
    pub(crate) fn release_descriptor(&mut self, pid: Pid, handle: SocketHandle) -> bool {
        let Some(id) = self.descriptors.remove(&(pid, handle)) else { return false };
        let last = self.socket_mut(id).is_none_or(|socket| {
            socket.descriptors -= 1;
            socket.descriptors == 0
        });
        if last && let Some(socket) = self.sockets.remove(&id) {
            if let Some(local) = socket.local {
                self.give_port_back(id, socket.host, local);
            }
            self.end_socket(&socket);
        }
        true
    }

    fn end_socket(&mut self, socket: &Socket) {
        match &socket.state {
            State::Unconnected | State::Failed(_) | State::Connecting { pending: None, .. } => {}
            State::Connecting { pending: Some(pending), .. } => self.abort(*pending),
            State::Accepting(pending) => {
                if let Some(PendingCall::AcceptEx { listener, .. }) =
                    self.pending.get(pending).map(|p| &p.call)
                {
                    self.stop_accepting(*listener, *pending);
                }
                self.abort(*pending);
            }
            State::Listening(listening) => {
                for pending in &listening.waiting {
                    if let Some(PendingCall::AcceptEx { socket, .. }) =
                        self.pending.get(pending).map(|p| &p.call)
                    {
                        self.set_state(*socket, State::Unconnected);
                    }
                    self.abort(*pending);
                }
                for flow in &listening.queue {
                    self.end_side(*flow, Side::Server, true);
                }
            }
            State::Connected(Connection { flow, side, .. }) => self.end_side(*flow, *side, false),
        }
    }

    /// One end of a connection is closed. With the second one the connection is gone, and its contexts are freed.
    fn end_side(&mut self, id: FlowId, side: Side, abruptly: bool) {
        let lifetime = self.profile.context_lifetime;
        let Some(flow) = self.flow_mut(id) else { return };
        let end = flow.end_mut(side);
        end.closed = true;
        let abruptly = abruptly || !end.received.is_empty();
        let waiting = end.waiting.take();
        let peer = flow.end_mut(side.other());
        peer.finished = true;
        let gone = peer.closed;
        let freed = if gone || (side == Side::Client && lifetime == ContextLifetime::ClientEnd) {
            std::mem::take(&mut flow.contexts)
        } else {
            Vec::new()
        };
        for context in freed {
            self.contexts.remove(&context);
        }
        if let Some(receiver) = waiting {
            self.abort(receiver.pending);
        }
        if gone {
            self.flows.remove(&id);
        } else if abruptly {
            self.reset_end(id, side.other());
        } else {
            self.serve_receive(id, side.other());
        }
    }
}
