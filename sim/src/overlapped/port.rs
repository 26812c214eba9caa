//! Completion ports: queues that completions of associated sockets are posted to.
//!
//! Source: sdk-api "CreateIoCompletionPort", "GetQueuedCompletionStatus".

use std::collections::VecDeque;

use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{Caller, Pid, PortHandle, SocketHandle, SocketId};
use crate::memory::Pointer;
use crate::world::World;

/// What a port tells of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompletionPacket {
    /// The key that the socket was associated with.
    pub key: u64,
    /// `lpOverlapped` of the call.
    pub overlapped: Pointer,
    /// How it ended.
    pub result: Result<(), WinsockError>,
    /// The bytes transferred.
    pub bytes: u32,
}

impl CompletionPacket {
    pub(super) fn renumbered(&self, renumber: &Renumber) -> Self {
        Self { overlapped: renumber.pointer(self.overlapped), ..*self }
    }
}

/// Where completions of a socket go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Association {
    pub(super) pid: Pid,
    pub(super) port: PortHandle,
    pub(super) key: u64,
}

impl World {
    /// `CreateIoCompletionPort` without a file: a new port.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE where the calling process has ended.
    pub fn create_io_completion_port(&mut self, caller: Caller) -> Result<PortHandle, WinsockError> {
        if !self.processes.contains_key(&caller.pid) {
            return Err(WinsockError::WSA_INVALID_HANDLE);
        }
        let port = PortHandle(self.next_descriptor().0);
        self.notifications.ports.insert((caller.pid, port), VecDeque::new());
        Ok(port)
    }

    /// `CreateIoCompletionPort` with a socket and a port that exists: completions of the socket's overlapped calls
    /// go there from now on. A socket has one port for ever.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE where there is no such socket or port; WSA_INVALID_PARAMETER where the socket has a port,
    /// or is not overlapped.
    pub fn associate_with_port(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        port: PortHandle,
        key: u64,
    ) -> Result<(), WinsockError> {
        let invalid = WinsockError::WSA_INVALID_HANDLE;
        let id = self.lookup(caller, socket).map_err(|_| invalid)?;
        let overlapped = self.view(caller, socket).map_err(|_| invalid)?.kind.overlapped;
        if !self.notifications.ports.contains_key(&(caller.pid, port)) {
            return Err(invalid);
        }
        if !overlapped || self.notifications.associations.contains_key(&id) {
            return Err(WinsockError::WSA_INVALID_PARAMETER);
        }
        self.notifications.associations.insert(id, Association { pid: caller.pid, port, key });
        Ok(())
    }

    /// `GetQueuedCompletionStatus` with a timeout of 0: the oldest packet.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE; WAIT_TIMEOUT where there is none.
    pub fn get_queued_completion_status(
        &mut self,
        caller: Caller,
        port: PortHandle,
    ) -> Result<CompletionPacket, WinsockError> {
        let packets = self.notifications.ports.get_mut(&(caller.pid, port));
        packets.ok_or(WinsockError::WSA_INVALID_HANDLE)?.pop_front().ok_or(WinsockError::WAIT_TIMEOUT)
    }

    /// `CloseHandle` of a port: packets that nobody fetched are lost.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE.
    pub fn close_port(&mut self, caller: Caller, port: PortHandle) -> Result<(), WinsockError> {
        let closed = self.notifications.ports.remove(&(caller.pid, port));
        closed.map(|_| ()).ok_or(WinsockError::WSA_INVALID_HANDLE)
    }

    pub(super) fn post(
        &mut self,
        socket: SocketId,
        overlapped: Pointer,
        result: Result<(), WinsockError>,
        bytes: u32,
    ) {
        let Some(Association { pid, port, key }) = self.notifications.associations.get(&socket) else {
            return;
        };
        if let Some(packets) = self.notifications.ports.get_mut(&(*pid, *port)) {
            packets.push_back(CompletionPacket { key: *key, overlapped, result, bytes });
        }
    }
}
