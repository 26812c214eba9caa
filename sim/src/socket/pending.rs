//! Calls that did not complete at once, and who waits for them.

use super::{Side, State};
use crate::canonical::Renumber;
use crate::datagram::{ReceivedDatagram, ReceivedMessage};
use crate::error::WinsockError;
use crate::ids::{Caller, EventHandle, FlowId, PendingId, Pid, SocketHandle, SocketId};
use crate::ioctl::Request;
use crate::memory::Pointer;
use crate::profile::Profile;
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

/// What a pending call gave in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completed {
    /// `connect` and `ConnectEx` that a driver had pended. One that nobody answered can only fail: who answers does so at
    /// once.
    Connected,
    /// `accept`: the new socket.
    Accepted(SocketHandle),
    /// `AcceptEx`: the socket that was given is connected now.
    AcceptedEx,
    /// `recv`: the bytes; none at the end of the stream.
    Received(Vec<u8>),
    /// `recvfrom`.
    ReceivedFrom(ReceivedDatagram),
    /// `WSARecvMsg`: what it left; the rest is in the caller's memory.
    ReceivedMessage(ReceivedMessage),
    /// `WSAIoctl` that waited in its thread: it succeeded.
    Controlled,
    /// `WSAGetOverlappedResult`: the bytes transferred.
    Transferred(u32),
}

/// A call that its process has not been told the end of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) owner: Caller,
    pub(crate) call: PendingCall,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PendingCall {
    Accept { listener: SocketId },
    AcceptEx { listener: SocketId, socket: SocketId },
    Connect { socket: SocketId, overlapped: bool },
    Receive { flow: FlowId, side: Side },
    ReceiveDatagram { socket: SocketId },
    Ioctl(Box<Request>),
    OverlappedResult { event: EventHandle, overlapped: Pointer },
    Completed(Result<Completed, WinsockError>),
}

impl Pending {
    pub(crate) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let mut pending = self.clone();
        match &mut pending.call {
            PendingCall::Accept { listener } => *listener = renumber.socket(*listener),
            PendingCall::AcceptEx { listener, socket } => {
                *listener = renumber.socket(*listener);
                *socket = renumber.socket(*socket);
            }
            PendingCall::Connect { socket, .. } | PendingCall::ReceiveDatagram { socket } => {
                *socket = renumber.socket(*socket);
            }
            PendingCall::Receive { flow, .. } => *flow = renumber.flow(*flow),
            PendingCall::Ioctl(request) => {
                **request = request.renumbered(self.owner.pid, renumber, profile);
            }
            PendingCall::OverlappedResult { event, overlapped } => {
                *event = renumber.event(self.owner.pid, *event);
                *overlapped = renumber.pointer(*overlapped);
            }
            PendingCall::Completed(Ok(Completed::Accepted(handle))) => {
                *handle = renumber.descriptor(self.owner.pid, *handle);
            }
            PendingCall::Completed(_) => {}
        }
        pending
    }
}

impl PendingCall {
    /// Whether it goes on without its thread.
    pub(crate) fn is_overlapped(&self) -> bool {
        match self {
            Self::AcceptEx { .. } | Self::Connect { overlapped: true, .. } => true,
            Self::Ioctl(request) => request.notify().is_some(),
            _ => false,
        }
    }

    /// `lpOverlapped`, if this is an overlapped call on that socket; NULL where the model has no structure.
    pub(crate) fn overlapped_on(&self, id: SocketId) -> Option<Pointer> {
        match self {
            Self::AcceptEx { listener, .. } if *listener == id => Some(Pointer::NULL),
            Self::Connect { socket, overlapped: true } if *socket == id => Some(Pointer::NULL),
            Self::Ioctl(request) if request.socket == id => Some(request.notify()?.overlapped),
            _ => None,
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

    pub(crate) fn pend(&mut self, owner: Caller, call: PendingCall) -> PendingId {
        let id = self.next_pending();
        self.pending.insert(id, Pending { owner, call });
        id
    }

    pub(crate) fn complete(&mut self, pending: PendingId, result: Result<Completed, WinsockError>) {
        if let Some(pending) = self.pending.get_mut(&pending) {
            pending.call = PendingCall::Completed(result);
        }
    }

    /// A call ends with its socket: an overlapped one was cancelled, a blocking one interrupted.
    pub(crate) fn abort(&mut self, pending: PendingId) {
        let Some(call) = self.pending.get(&pending).map(|pending| &pending.call) else { return };
        let error = match call {
            PendingCall::Ioctl(request) if request.notify().is_none() => self.profile.blocked_code_on_close,
            call if call.is_overlapped() => self.profile.cancelled_operation,
            _ => WinsockError::WSAEINTR,
        };
        self.end_early(pending, error);
    }

    /// A call ends before it could do what it was made for. It is told so once.
    pub(crate) fn end_early(&mut self, id: PendingId, error: WinsockError) {
        let Some(Pending { owner, call }) = self.withdraw(id) else { return };
        match call {
            PendingCall::Ioctl(request) => self.end_request(id, owner, &request, Err(error), 0),
            PendingCall::Completed(result) => self.tell(id, owner, result),
            _ => self.tell(id, owner, Err(error)),
        }
    }

    /// Keeps the result of a call that was taken out, until its process asks for it.
    pub(crate) fn tell(&mut self, id: PendingId, owner: Caller, result: Result<Completed, WinsockError>) {
        self.pending.insert(id, Pending { owner, call: PendingCall::Completed(result) });
    }

    /// A process ended: nobody will ask what became of its calls, and nothing may be given to them any more.
    pub(crate) fn abandon_calls(&mut self, owner: Pid) {
        let calls: Vec<PendingId> =
            self.pending.iter().filter(|(_, call)| call.owner.pid == owner).map(|(id, _)| *id).collect();
        for id in calls {
            self.withdraw(id);
        }
    }

    /// Takes a call out, and what it waits for no longer knows of it.
    pub(crate) fn withdraw(&mut self, id: PendingId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        match &pending.call {
            PendingCall::Accept { listener } => self.stop_accepting(*listener, id),
            PendingCall::AcceptEx { listener, socket } => {
                self.stop_accepting(*listener, id);
                self.set_state(*socket, State::Unconnected);
            }
            PendingCall::Connect { socket, .. } => self.stop_connecting(*socket),
            PendingCall::Receive { flow, side } => {
                if let Some(flow) = self.flow_mut(*flow) {
                    flow.end_mut(*side).waiting = None;
                }
            }
            PendingCall::ReceiveDatagram { socket } => self.stop_receiving(*socket),
            PendingCall::Ioctl(request) => {
                self.notifications.requests.remove(&(request.socket, id));
            }
            PendingCall::OverlappedResult { .. } | PendingCall::Completed(_) => {}
        }
        Some(pending)
    }

    /// A connect no longer waits for an answer: its contexts serve nothing any more.
    fn stop_connecting(&mut self, id: SocketId) {
        let Some(socket) = self.socket_mut(id) else { return };
        let before = std::mem::replace(&mut socket.state, State::Unconnected);
        if let State::Connecting { contexts, .. } = before {
            self.give_contexts_up(&contexts);
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
