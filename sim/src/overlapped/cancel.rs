//! What cancels calls that go on: `CancelIoEx`, SIO_FLUSH, the end of their thread, and
//! `WSACancelBlockingCall`.
//!
//! Source: sdk-api "CancelIoEx", "WSACancelBlockingCall", "ExitThread"; win32 SIO_FLUSH.

use std::sync::Arc;

use crate::error::WinsockError;
use crate::ids::{Caller, PendingId, SocketHandle, SocketId};
use crate::memory::Pointer;
use crate::socket::PendingCall;
use crate::world::World;

impl World {
    /// `CancelIoEx`: cancels the overlapped operations of the calling process on a socket: the one with this
    /// `WSAOVERLAPPED`, or all of them for NULL. AcceptEx and ConnectEx have no structure in the model, so NULL alone
    /// names them.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE where there is no such socket; ERROR_NOT_FOUND where nothing was to be cancelled.
    pub fn cancel_io_ex(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        overlapped: Pointer,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket).map_err(|_| WinsockError::WSA_INVALID_HANDLE)?;
        let cancelled: Vec<PendingId> = self
            .pending
            .iter()
            .filter(|(_, pending)| {
                pending.owner.pid == caller.pid
                    && pending
                        .call
                        .overlapped_on(id)
                        .is_some_and(|own| overlapped.is_null() || own == overlapped)
            })
            .map(|(id, _)| *id)
            .collect();
        if cancelled.is_empty() {
            return Err(WinsockError::ERROR_NOT_FOUND);
        }
        for pending in cancelled {
            self.cancel(pending);
        }
        Ok(())
    }

    /// `ExitThread`: what the thread waits for is gone with it, its overlapped operations are cancelled, and no
    /// completion routine of it is called any more. With its last thread a process ends. `false` where there is no such
    /// thread.
    pub fn end_thread(&mut self, caller: Caller) -> bool {
        let Some(process) = self.processes.get_mut(&caller.pid) else { return false };
        if !process.threads.contains(&caller.tid) {
            return false;
        }
        if process.threads.len() == 1 {
            return self.end_process(caller.pid);
        }
        Arc::make_mut(process).threads.remove(&caller.tid);
        let calls: Vec<PendingId> =
            self.pending.iter().filter(|(_, call)| call.owner == caller).map(|(id, _)| *id).collect();
        for id in calls {
            if self.pending.get(&id).is_some_and(|pending| pending.call.is_overlapped()) {
                self.cancel(id);
            } else {
                self.withdraw(id);
            }
        }
        self.forget_thread(caller.tid);
        true
    }

    /// `WSACancelBlockingCall`, as a blocking hook of Winsock 1.1 calls it: the call that the thread waits in ends
    /// with WSAEINTR. Winsock 2 has no such function; interrupted a call can be all the same.
    ///
    /// # Errors
    /// WSAEINVAL where the thread waits in no call.
    pub fn wsa_cancel_blocking_call(&mut self, caller: Caller) -> Result<(), WinsockError> {
        let blocking =
            |call: &PendingCall| !call.is_overlapped() && !matches!(call, PendingCall::Completed(_));
        let waiting =
            self.pending.iter().find(|(_, pending)| pending.owner == caller && blocking(&pending.call));
        let id = *waiting.ok_or(WinsockError::WSAEINVAL)?.0;
        self.end_early(id, WinsockError::WSAEINTR);
        Ok(())
    }

    /// Cancels the control codes that wait on a socket, as SIO_FLUSH does.
    pub(crate) fn flush(&mut self, id: SocketId) {
        for request in self.notifications.requests_on(id) {
            if self.pending.get(&request).is_some_and(|pending| pending.call.is_overlapped()) {
                self.cancel(request);
            }
        }
    }

    fn cancel(&mut self, id: PendingId) {
        self.end_early(id, self.profile.cancelled_operation);
    }
}
