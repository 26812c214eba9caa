//! `closesocket`, and everything that ends with a socket.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::{Connection, PortSpace, Side, Socket, State};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, Pid, SocketHandle, SocketId};
use crate::profile::ContextLifetime;
use crate::world::World;

impl World {
    /// `closesocket`: gives the descriptor back; with the last one the socket ends. Data that was not read makes
    /// that abrupt for the peer. Calls that wait on the socket end: overlapped ones by the profile field
    /// `cancelled-operation`, blocking ones with WSAEINTR, and blocking control codes by `blocked-code-on-close`.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn closesocket(&mut self, caller: Caller, socket: SocketHandle) -> Result<(), WinsockError> {
        if self.release_descriptor(caller.pid, socket) { Ok(()) } else { Err(WinsockError::WSAENOTSOCK) }
    }

    /// Whether there was such a descriptor.
    pub(crate) fn release_descriptor(&mut self, pid: Pid, handle: SocketHandle) -> bool {
        let Some(id) = self.descriptors.remove(&(pid, handle)) else { return false };
        let Entry::Occupied(mut entry) = self.sockets.entry(id) else { return true };
        if entry.get().descriptors > 1 {
            Arc::make_mut(entry.get_mut()).descriptors -= 1;
            return true;
        }
        let socket = entry.remove();
        if let Some(local) = socket.local {
            self.give_port_back(id, PortSpace::new(socket.host, socket.kind.protocol), local);
        }
        self.end_socket(id, &socket);
        true
    }

    fn end_socket(&mut self, id: SocketId, socket: &Socket) {
        for request in self.notifications.requests_on(id) {
            self.abort(request);
        }
        self.cancel_irps(id);
        self.forget_socket(id);
        if let State::Connecting { contexts, .. } = &socket.state {
            self.give_contexts_up(contexts);
        }
        match &socket.state {
            State::Unconnected | State::Failed(_) | State::Connecting { pending: None, .. } => {}
            State::Connecting { pending: Some(pending), .. } | State::Accepting(pending) => {
                self.abort(*pending);
            }
            State::Listening(listening) => {
                for pending in &listening.waiting {
                    self.abort(*pending);
                }
                for flow in &listening.queue {
                    self.end_side(*flow, Side::Server, true);
                }
            }
            State::Connected(Connection { flow, side, .. }) => self.end_side(*flow, *side, false),
            State::Datagram(datagrams) => self.end_datagram_socket(datagrams),
        }
    }

    /// One end of a connection is closed. With the second one the connection is gone, and its contexts are freed.
    pub(super) fn end_side(&mut self, id: FlowId, side: Side, abruptly: bool) {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::engine::Redirect;
    use crate::socket::{Completed, Completion, SocketKind};
    use crate::testing::{Machine, SERVER, SILENT, address, both};

    #[test]
    fn descriptor_is_closed_once_and_by_its_process() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        assert_eq!(m.w.closesocket(m.service, socket), Err(WinsockError::WSAENOTSOCK));
        assert_eq!(m.w.closesocket(m.app, socket), Ok(()));
        assert_eq!(m.w.closesocket(m.app, socket), Err(WinsockError::WSAENOTSOCK));
    }

    #[test]
    fn port_is_free_again_after_close() {
        let mut m = Machine::default();
        let socket = m.bound(SocketKind::V4, "127.0.0.1:80");
        m.w.closesocket(m.app, socket).unwrap();
        m.bound(SocketKind::V4, "127.0.0.1:80");
    }

    #[test]
    fn data_that_was_not_read_makes_the_close_abrupt() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        m.w.send(m.service, accepted, b"unread").unwrap();
        m.w.send(m.app, client, b"lost").unwrap();
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.recv(m.service, accepted, 9), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.send(m.service, accepted, b"x"), Err(WinsockError::WSAECONNRESET));
        assert_eq!(m.w.getpeername(m.service, accepted), Err(WinsockError::WSAENOTCONN));
    }

    #[test]
    fn receive_that_waits_on_a_closed_socket_was_interrupted_and_one_at_the_peer_ends() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let Ok(Completion::Pending(own)) = m.w.recv(m.app, client, 1) else { panic!("done") };
        let Ok(Completion::Pending(peers)) = m.w.recv(m.service, accepted, 1) else { panic!("done") };
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.completion(own), Some(Err(WinsockError::WSAEINTR)));
        assert_eq!(m.w.completion(peers), Some(Ok(Completed::Received(Vec::new()))));
    }

    #[test]
    fn connect_that_waits_on_a_closed_socket_was_interrupted_or_aborted() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        let Ok(Completion::Pending(blocking)) = m.connect(socket, SILENT) else { panic!("done") };
        m.w.closesocket(m.app, socket).unwrap();
        assert_eq!(m.w.completion(blocking), Some(Err(WinsockError::WSAEINTR)));

        let socket = m.bound(SocketKind::V4, "0.0.0.0:0");
        let Ok(Completion::Pending(overlapped)) = m.w.connect_ex(m.app, socket, address(SILENT), &mut ())
        else {
            panic!("done")
        };
        m.w.closesocket(m.app, socket).unwrap();
        assert_eq!(m.w.completion(overlapped), Some(Err(WinsockError::WSA_OPERATION_ABORTED)));
    }

    #[test]
    fn duplicated_socket_lives_until_its_last_descriptor_is_closed() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let other = m.w.wsa_duplicate_socket(m.app, client, m.service.pid).unwrap();
        assert_eq!(m.w.socket_id(m.service, other), m.w.socket_id(m.app, client));
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.send(m.service, other, b"x"), Ok(1));
        m.w.closesocket(m.service, other).unwrap();
        assert_eq!(m.w.recv(m.service, accepted, 1), Ok(Completion::Done(b"x".to_vec())));
        assert_eq!(m.w.recv(m.service, accepted, 1), Ok(Completion::Done(Vec::new())));
    }

    #[test]
    fn socket_is_duplicated_into_a_process_of_the_same_host() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        let foreign = m.w.wsa_duplicate_socket(m.app, socket, m.server.pid);
        assert_eq!(foreign, Err(WinsockError::WSAEINVAL));
        assert_eq!(m.w.wsa_duplicate_socket(m.app, socket, Pid(1)), Err(WinsockError::WSAEINVAL));
        let not_ours = m.w.wsa_duplicate_socket(m.service, socket, m.app.pid);
        assert_eq!(not_ours, Err(WinsockError::WSAENOTSOCK));
    }

    /// Who closes, in which order.
    #[rstest]
    #[case::client_first(&["client", "accepted"])]
    #[case::service_first(&["accepted", "client"])]
    #[case::listener_between(&["client", "listener", "accepted"])]
    #[case::not_accepted(&["listener", "queued client", "client", "accepted"])]
    #[case::client_left_before_accept(&["queued client", "listener", "client", "accepted"])]
    #[case::application_ends(&["app", "accepted"])]
    #[case::service_ends(&["service", "client"])]
    #[case::both_end(&["service", "app"])]
    fn context_is_freed_with_its_connection(#[case] order: &[&str]) {
        let mut m = Machine::default();
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let queued = m.connected(SERVER);
        let listener = m.w.descriptors.keys().find(|(pid, _)| *pid == m.service.pid).unwrap().1;
        assert_eq!(m.w.live_contexts(), 2);
        for what in order {
            match *what {
                "client" => m.w.closesocket(m.app, client).unwrap(),
                "queued client" => m.w.closesocket(m.app, queued).unwrap(),
                "accepted" => m.w.closesocket(m.service, accepted).unwrap(),
                "listener" => m.w.closesocket(m.service, listener).unwrap(),
                "app" => assert!(m.w.end_process(m.app.pid)),
                _ => assert!(m.w.end_process(m.service.pid)),
            }
        }
        let closed = |m: &Machine, pid: Pid, socket| !m.w.descriptors.contains_key(&(pid, socket));
        let first_gone = closed(&m, m.app.pid, client) && closed(&m, m.service.pid, accepted);
        let queue_gone = closed(&m, m.app.pid, queued) && closed(&m, m.service.pid, listener);
        assert_eq!(m.w.live_contexts(), usize::from(!first_gone) + usize::from(!queue_gone));
        for pid in [m.app.pid, m.service.pid, m.server.pid] {
            m.w.end_process(pid);
        }
        assert_eq!((m.w.live(), m.w.live_contexts()), (0, 0));
        assert!(m.w.ports.is_empty() && m.w.descriptors.is_empty());
    }
}
