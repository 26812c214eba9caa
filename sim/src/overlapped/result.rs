//! `WSAGetOverlappedResult`.
//!
//! Source: sdk-api "WSAGetOverlappedResult".

use super::{H_EVENT, INTERNAL_HIGH, status};
use crate::error::WinsockError;
use crate::ids::{Caller, EventHandle, PendingId, Pid, SocketHandle};
use crate::memory::Pointer;
use crate::socket::{Completed, Completion, PendingCall};
use crate::world::World;

impl World {
    /// `WSAGetOverlappedResult`: the bytes that the operation of this `WSAOVERLAPPED` transferred, once it has
    /// ended. With `wait` it is pending until the event in the structure is signaled, and then tells what the
    /// structure says.
    ///
    /// # Errors
    /// WSAENETDOWN; WSAENOTSOCK; WSAEFAULT where the structure is not wholly valid; WSA_IO_INCOMPLETE where the
    /// operation goes on, and the call is not to wait; WSA_INVALID_HANDLE where it is to, and the structure has no
    /// event; else the error of the operation.
    pub fn wsa_get_overlapped_result(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        overlapped: Pointer,
        wait: bool,
    ) -> Result<Completion<u32>, WinsockError> {
        self.lookup(caller, socket)?;
        match self.overlapped_result(caller.pid, overlapped)? {
            Some((result, bytes)) => result.map(|()| Completion::Done(bytes)),
            None if !wait => Err(WinsockError::WSA_IO_INCOMPLETE),
            None => {
                let handle = self.memory.read_u64(caller.pid, overlapped.offset(H_EVENT));
                let event = EventHandle(handle.unwrap_or(0) & !1);
                if self.is_signaled(caller, event)? {
                    return Err(WinsockError::WSA_IO_INCOMPLETE);
                }
                let call = PendingCall::OverlappedResult { event, overlapped };
                Ok(Completion::Pending(self.pend(caller, call)))
            }
        }
    }

    /// What a `WSAOVERLAPPED` says; `None` inside where the operation is pending.
    #[expect(clippy::type_complexity, reason = "named nowhere else")]
    fn overlapped_result(
        &self,
        pid: Pid,
        overlapped: Pointer,
    ) -> Result<Option<(Result<(), WinsockError>, u32)>, WinsockError> {
        let read = |at| self.memory.read_u64(pid, overlapped.offset(at)).ok_or(WinsockError::WSAEFAULT);
        let (internal, bytes, _) = (read(0)?, read(INTERNAL_HIGH)?, read(H_EVENT)?);
        let low = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Ok(status::read(low(internal)).map(|result| (result, low(bytes))))
    }

    /// An event is signaled: calls that wait for it tell what their structure says.
    pub(super) fn serve_result_waiters(&mut self, pid: Pid, event: EventHandle) {
        // Hardly ever does a call wait at all.
        if self.pending.is_empty() {
            return;
        }
        let waits = |call: &PendingCall| match call {
            PendingCall::OverlappedResult { event: awaited, overlapped } if *awaited == event => {
                Some(*overlapped)
            }
            _ => None,
        };
        let waiting: Vec<(PendingId, Pointer)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.owner.pid == pid)
            .filter_map(|(id, pending)| Some((*id, waits(&pending.call)?)))
            .collect();
        for (id, overlapped) in waiting {
            let result = match self.overlapped_result(pid, overlapped) {
                Ok(Some((result, bytes))) => result.map(|()| Completed::Transferred(bytes)),
                Ok(None) => Err(WinsockError::WSA_IO_INCOMPLETE),
                Err(error) => Err(error),
            };
            self.complete(id, result);
        }
    }
}
