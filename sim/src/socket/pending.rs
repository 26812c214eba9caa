//! Calls that did not complete at once, and who waits for them.

use super::{Side, State};
use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{FlowId, PendingId, Pid, SocketHandle, SocketId};
use crate::world::World;

/// What a call that can block gives at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completion<T> {
    /// It is done.
    Done(T),
    /// It goes on; ask [`World::completion`] later.
    Pending(PendingId),
}

impl<T> Completion<T> {
    /// The result, unless the call is pending.
    #[must_use]
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Pending(_) => None,
        }
    }
}

/// What a pending call gave in the end. A pending connect can only fail: who answers does so at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completed {
    /// `accept`: the new socket.
    Accepted(SocketHandle),
    /// `AcceptEx`: the socket that was given is connected now.
    AcceptedEx,
    /// `recv`: the bytes; none at the end of the stream.
    Received(Vec<u8>),
}

/// A call that its process has not been told the end of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) owner: Pid,
    pub(crate) call: PendingCall,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PendingCall {
    Accept { listener: SocketId },
    AcceptEx { listener: SocketId, socket: SocketId },
    Connect { socket: SocketId, overlapped: bool },
    Receive { flow: FlowId, side: Side },
    Completed(Result<Completed, WinsockError>),
}

impl Pending {
    pub(crate) fn renumbered(&self, renumber: &Renumber) -> Self {
        let mut pending = self.clone();
        match &mut pending.call {
            PendingCall::Accept { listener } => *listener = renumber.socket(*listener),
            PendingCall::AcceptEx { listener, socket } => {
                *listener = renumber.socket(*listener);
                *socket = renumber.socket(*socket);
            }
            PendingCall::Connect { socket, .. } => *socket = renumber.socket(*socket),
            PendingCall::Receive { flow, .. } => *flow = renumber.flow(*flow),
            PendingCall::Completed(Ok(Completed::Accepted(handle))) => {
                *handle = renumber.descriptor(self.owner, *handle);
            }
            PendingCall::Completed(_) => {}
        }
        pending
    }

    /// The error of a call that ends with its socket: an overlapped one was aborted, a blocking one interrupted.
    pub(crate) fn error_on_close(&self) -> WinsockError {
        match self.call {
            PendingCall::AcceptEx { .. } | PendingCall::Connect { overlapped: true, .. } => {
                WinsockError::WSA_OPERATION_ABORTED
            }
            _ => WinsockError::WSAEINTR,
        }
    }
}

impl World {
    /// What became of a pending call; `None` while it goes on. The answer is given once: afterwards the number
    /// is unknown, and WSAEINVAL. So it is once the process that called has ended.
    pub fn completion(&mut self, pending: PendingId) -> Option<Result<Completed, WinsockError>> {
        let Some(waiting) = self.pending.get(&pending) else { return Some(Err(WinsockError::WSAEINVAL)) };
        let PendingCall::Completed(result) = &waiting.call else { return None };
        let result = result.clone();
        self.pending.remove(&pending);
        Some(result)
    }

    pub(crate) fn pend(&mut self, owner: Pid, call: PendingCall) -> PendingId {
        let id = self.next_pending();
        self.pending.insert(id, Pending { owner, call });
        id
    }

    pub(crate) fn complete(&mut self, pending: PendingId, result: Result<Completed, WinsockError>) {
        if let Some(pending) = self.pending.get_mut(&pending) {
            pending.call = PendingCall::Completed(result);
        }
    }

    /// A call ends with its socket.
    pub(crate) fn abort(&mut self, pending: PendingId) {
        if let Some(error) = self.pending.get(&pending).map(Pending::error_on_close) {
            self.complete(pending, Err(error));
        }
    }

    /// A process ended: nobody will ask what became of its calls, and nothing may be given to them any more.
    pub(crate) fn abandon_calls(&mut self, owner: Pid) {
        let calls: Vec<PendingId> =
            self.pending.iter().filter(|(_, call)| call.owner == owner).map(|(id, _)| *id).collect();
        for id in calls {
            match self.pending.remove(&id).map(|pending| pending.call) {
                Some(PendingCall::Accept { listener }) => self.stop_accepting(listener, id),
                Some(PendingCall::AcceptEx { listener, socket }) => {
                    self.stop_accepting(listener, id);
                    self.set_state(socket, State::Unconnected);
                }
                Some(PendingCall::Connect { socket, .. }) => self.set_state(socket, State::Unconnected),
                Some(PendingCall::Receive { flow, side }) => {
                    if let Some(flow) = self.flow_mut(flow) {
                        flow.end_mut(side).waiting = None;
                    }
                }
                Some(PendingCall::Completed(_)) | None => {}
            }
        }
    }

    /// An accept no longer waits for a connection.
    pub(crate) fn stop_accepting(&mut self, listener: SocketId, pending: PendingId) {
        if let Some(listening) = self.listening_mut(listener) {
            listening.waiting.retain(|waiting| *waiting != pending);
        }
    }

    pub(crate) fn set_state(&mut self, socket: SocketId, state: State) {
        if let Some(socket) = self.socket_mut(socket) {
            socket.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Machine;

    #[test]
    fn number_that_was_never_given_is_invalid() {
        let mut m = Machine::default();
        assert_eq!(m.w.completion(PendingId(99)), Some(Err(WinsockError::WSAEINVAL)));
    }

    #[test]
    fn call_of_a_process_that_ended_is_unknown_and_takes_no_data() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        let kept = m.w.wsa_duplicate_socket(m.service, accepted, m.app.pid).unwrap();
        let Ok(Completion::Pending(pending)) = m.w.recv(m.service, accepted, 5) else { panic!("done") };
        m.w.end_process(m.service.pid);
        assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSAEINVAL)));
        m.w.send(m.app, client, b"kept").unwrap();
        assert_eq!(m.w.recv(m.app, kept, 5), Ok(Completion::Done(b"kept".to_vec())));
    }

    #[test]
    fn result_that_nobody_fetched_goes_with_its_process() {
        let mut m = Machine::default();
        let (client, accepted) = m.pair();
        m.w.recv(m.service, accepted, 5).unwrap();
        m.w.send(m.app, client, b"x").unwrap();
        m.w.end_process(m.service.pid);
        m.w.end_process(m.app.pid);
        assert_eq!(m.w.live(), 2, "the server's two sockets");
    }

    #[test]
    fn done_is_the_value_of_a_call_that_is() {
        assert_eq!(Completion::Done(1).done(), Some(1));
        assert_eq!(Completion::<u8>::Pending(PendingId(1)).done(), None);
    }
}
