//! Control codes that wait: on a socket that is stalled they cannot be answered at once.
//!
//! Whether a call waits is the choice of whoever sets the machine up. Its arguments are looked at when it is made, and
//! SET takes its input then; what the socket has to tell is looked at when it is answered.

use std::sync::Arc;

use super::precedence::{Answered, Made};
use super::{Asked, IoctlBuffers, Operation};
use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{Caller, PendingId, Pid, SocketHandle, SocketId, Tid};
use crate::memory::Pointer;
use crate::overlapped::Notify;
use crate::profile::{Failure, PendedBytes, Profile};
use crate::records::Records;
use crate::socket::{Completed, Completion, Pending, PendingCall};
use crate::world::World;

/// A control code that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) socket: SocketId,
    operation: Operation,
    buffers: IoctlBuffers,
    /// What SET was given.
    records: Option<Arc<Records>>,
    /// Who is told of its end; `None` where its thread waits.
    notify: Option<Notify>,
}

impl Request {
    pub(crate) fn notify(&self) -> Option<&Notify> {
        self.notify.as_ref()
    }

    pub(crate) fn renumbered(&self, pid: Pid, renumber: &Renumber, profile: &Profile) -> Self {
        let pointer = |pointer: Pointer| renumber.pointer(pointer);
        Self {
            socket: renumber.socket(self.socket),
            operation: self.operation,
            buffers: IoctlBuffers {
                input: pointer(self.buffers.input),
                output: pointer(self.buffers.output),
                bytes_returned: pointer(self.buffers.bytes_returned),
                overlapped: pointer(self.buffers.overlapped),
                routine: pointer(self.buffers.routine),
                ..self.buffers
            },
            records: self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile))),
            notify: self.notify.as_ref().map(|notify| notify.renumbered(pid, renumber)),
        }
    }
}

impl World {
    /// From now on the three control codes cannot be answered at once on this socket: overlapped calls go pending,
    /// others wait in their thread, or fail with WSAEWOULDBLOCK on a non-blocking socket. Windows has no such
    /// function: it stands for whatever keeps the network stack busy.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENETDOWN.
    pub fn stall(&mut self, caller: Caller, socket: SocketHandle) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.notifications.stalled.insert(id);
        Ok(())
    }

    /// The socket answers at once again; the calls that waited are answered now, oldest first.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENETDOWN.
    pub fn resume(&mut self, caller: Caller, socket: SocketHandle) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.notifications.stalled.remove(&id);
        for request in self.notifications.requests_on(id) {
            self.answer(request);
        }
        self.answer_irps(id);
        Ok(())
    }

    /// A call cannot be answered yet: it waits, unless it is refused for what shows at once.
    #[cold]
    pub(super) fn wait(
        &mut self,
        asked: &Asked<'_>,
        routine: Option<(Pointer, Tid)>,
    ) -> Result<Completion<()>, WinsockError> {
        let Asked { caller, id, operation, buffers, overlapped } = *asked;
        let mut settled = self.settle::<Made>(asked, None);
        let nonblocking = |id| self.sockets.get(&id).is_some_and(|socket| socket.kind.nonblocking);
        if settled.result.is_ok() && !overlapped && id.is_some_and(nonblocking) {
            settled.result = Err(Failure::new(WinsockError::WSAEWOULDBLOCK, self.profile.bytes_on_error));
        }
        if let Err(failure) = settled.result {
            self.report(caller.pid, buffers, &settled);
            return Err(failure.error);
        }
        let (Some(socket), Some(operation)) = (id, operation) else { return Err(WinsockError::WSAENOTSOCK) };
        let notify = overlapped.then(|| self.begin_overlapped(caller.pid, buffers.overlapped, routine));
        let records = settled.records;
        let request = Request { socket, operation, buffers: *buffers, records, notify };
        let pending = self.pend(caller, PendingCall::Ioctl(Box::new(request)));
        self.notifications.requests.insert((socket, pending));
        if overlapped { Err(WinsockError::WSA_IO_PENDING) } else { Ok(Completion::Pending(pending)) }
    }

    /// Answers a call that waited.
    fn answer(&mut self, id: PendingId) {
        let Some(Pending { owner, call: PendingCall::Ioctl(request) }) = self.withdraw(id) else { return };
        let Request { socket, operation, buffers, records, notify } = &*request;
        let asked = Asked {
            caller: owner,
            id: Some(*socket),
            operation: Some(*operation),
            buffers,
            overlapped: notify.is_some(),
        };
        let settled = self.settle::<Answered>(&asked, records.clone());
        if notify.is_none() {
            self.report(owner.pid, buffers, &settled);
        }
        // A connection that was reset has its records still, and cannot be asked about them.
        let asked_about = settled.result.map_err(|failure| failure.error) != Err(WinsockError::WSAENOTCONN);
        let too_small = asked_about && settled.needed > buffers.output_length;
        let bytes = match settled.result {
            Ok(()) => settled.needed,
            Err(_) if too_small && self.profile.bytes_of_pended_failure == PendedBytes::Needed => {
                settled.needed
            }
            Err(_) => 0,
        };
        let result = settled.result.map_err(|failure| failure.error);
        self.end_request(id, owner, &request, result, bytes);
    }

    /// A call that waited, and was taken out, has ended.
    pub(crate) fn end_request(
        &mut self,
        id: PendingId,
        owner: Caller,
        request: &Request,
        result: Result<(), WinsockError>,
        bytes: u32,
    ) {
        match &request.notify {
            Some(notify) => self.end_overlapped(owner.pid, request.socket, notify, result, bytes),
            None => self.tell(id, owner, result.map(|()| Completed::Controlled)),
        }
    }
}
