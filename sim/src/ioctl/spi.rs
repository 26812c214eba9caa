//! `WSPIoctl`: the same codes, asked of the provider itself.
//!
//! It differs from `WSAIoctl` in two arguments: the code of a failure goes where `lpErrno` points, and a completion
//! routine is queued by `WPUQueueApc` to the thread that `lpThreadId` names, of which the provider keeps a copy.
//!
//! Source: sdk-api "LPWSPIOCTL", "WPUQueueApc"; docs/behaviour.md, C-38.

use std::fmt;

use super::IoctlBuffers;
use crate::control_code::ControlCode;
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle, Tid};
use crate::memory::Pointer;
use crate::profile::SpiLastError;
use crate::socket::Completion;
use crate::world::World;

/// What `WSPIoctl` is given beside the arguments of `WSAIoctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiPointers {
    /// `lpThreadId`: the address of a `WSATHREADID`, whose first 8 bytes name the thread. NULL is the calling thread.
    pub thread_id: Pointer,
    /// `lpErrno`: the address of a 4-byte little-endian word.
    pub errno: Pointer,
}

/// A return value of SOCKET_ERROR, which says nothing of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketError;

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SOCKET_ERROR")
    }
}

impl std::error::Error for SocketError {}

/// What a caller of `WSPIoctl` sees, beside its memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiAnswer<T> {
    /// The return value.
    pub returned: Result<T, SocketError>,
    /// What `WSAGetLastError` returns from now on, where the call changed it: profile field `spi-last-error`.
    pub last_error: Option<WinsockError>,
}

impl World {
    /// `WSPIoctl`. Fails as [`World::wsa_ioctl`] does, with the code where `lpErrno` points; nowhere, if that is
    /// no valid memory. An `lpThreadId` that is not wholly valid is WSAEFAULT, if there is a routine to be called.
    pub fn wsp_ioctl(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        code: ControlCode,
        buffers: &IoctlBuffers,
        spi: &SpiPointers,
    ) -> SpiAnswer<Completion<()>> {
        let result = match self.thread_named(caller, spi.thread_id) {
            Some(thread) => self.control(caller, socket, code, buffers, thread),
            None if buffers.routine.is_null() => self.control(caller, socket, code, buffers, caller.tid),
            None => Err(WinsockError::WSAEFAULT),
        };
        let error = match result {
            Ok(completion) => return SpiAnswer { returned: Ok(completion), last_error: None },
            Err(error) => error,
        };
        self.memory.write(caller.pid, spi.errno, &error.0.to_le_bytes());
        let told = self.profile.spi_last_error == SpiLastError::Set;
        SpiAnswer { returned: Err(SocketError), last_error: told.then_some(error) }
    }

    fn thread_named(&self, caller: Caller, thread_id: Pointer) -> Option<Tid> {
        /// Bytes of a `WSATHREADID` in a 64-bit process: the handle of the thread, and a reserved word.
        const LENGTH: u64 = 16;
        if thread_id.is_null() {
            return Some(caller.tid);
        }
        if !self.memory.is_valid(caller.pid, thread_id, LENGTH) {
            return None;
        }
        // A number that no thread can have names none: the routine is lost then.
        self.memory.read_u64(caller.pid, thread_id).map(|thread| Tid(u32::try_from(thread).unwrap_or(0)))
    }
}
