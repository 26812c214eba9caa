//! `WSAIoctl` with the three control codes, called synchronously.
//!
//! Which answer a call gets where several causes hold at once stands in one table, [`PRECEDENCE`]. What a code
//! does when nothing is in the way stands in its own module.
//!
//! Source: sdk-api "WSAIoctl"; the win32 pages of the codes; docs/behaviour.md, "Parameters", "Errors" and
//! "Buffer sizes".

mod precedence;
mod query_context;
mod query_records;
mod set_records;
mod typed;

use crate::control_code::ControlCode;
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle, SocketId};
use crate::memory::Pointer;
use crate::profile::{BytesReturned, Failure};
use crate::socket::Socket;
use crate::world::World;

pub use precedence::{Cause, PRECEDENCE};

/// The buffers of a `WSAIoctl` call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoctlBuffers {
    /// `lpvInBuffer`.
    pub input: Pointer,
    /// `cbInBuffer`, in bytes.
    pub input_length: u32,
    /// `lpvOutBuffer`.
    pub output: Pointer,
    /// `cbOutBuffer`, in bytes.
    pub output_length: u32,
    /// `lpcbBytesReturned`: the address of a 4-byte little-endian word.
    pub bytes_returned: Pointer,
}

impl IoctlBuffers {
    /// What a query passes: an output buffer and the bytes-returned word.
    #[must_use]
    pub fn query(output: Pointer, output_length: u32, bytes_returned: Pointer) -> Self {
        Self { input: Pointer::NULL, input_length: 0, output, output_length, bytes_returned }
    }

    /// What SET passes: an input buffer and the bytes-returned word.
    #[must_use]
    pub fn set(input: Pointer, input_length: u32, bytes_returned: Pointer) -> Self {
        Self { input, input_length, output: Pointer::NULL, output_length: 0, bytes_returned }
    }
}

/// The operation that a control code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    QueryRecords,
    QueryContext,
    SetRecords,
}

impl Operation {
    fn of(code: ControlCode) -> Option<Self> {
        match code {
            ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS => Some(Self::QueryRecords),
            ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT => Some(Self::QueryContext),
            ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS => Some(Self::SetRecords),
            _ => None,
        }
    }

    fn is_query(self) -> bool {
        self != Self::SetRecords
    }
}

/// A call, looked at from all sides before anything is done.
struct Call<'w> {
    world: &'w World,
    caller: Caller,
    buffers: &'w IoctlBuffers,
    operation: Option<Operation>,
    socket: Option<&'w Socket>,
    /// What a query would store, where there is something.
    output: Option<&'w [u8]>,
}

/// What a call that nothing stands in the way of is to do.
enum Effect {
    Store { bytes: usize },
    Set,
    Nothing,
}

impl World {
    /// `WSAIoctl` with `lpOverlapped` and `lpCompletionRoutine` NULL. `Ok` is a return value of 0; an error is
    /// SOCKET_ERROR, with what `WSAGetLastError` returns. The bytes-returned word is in the caller's memory.
    ///
    /// # Errors
    /// Every error of [`PRECEDENCE`], each for its cause.
    pub fn wsa_ioctl(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        code: ControlCode,
        buffers: &IoctlBuffers,
    ) -> Result<(), WinsockError> {
        let operation = Operation::of(code);
        let id = self.lookup(caller, socket).ok();
        let effect = self.judge(caller, id, operation, buffers);
        match effect {
            Ok(Effect::Nothing) => {
                self.return_bytes(caller, buffers.bytes_returned, 0);
                Ok(())
            }
            Ok(Effect::Store { bytes }) => {
                // Lent from the world that is written to, so it is copied on the way.
                self.store_output(caller, id, operation, buffers.output);
                self.return_bytes(caller, buffers.bytes_returned, bytes);
                Ok(())
            }
            Ok(Effect::Set) => {
                self.set_records(caller, id, buffers);
                self.return_bytes(caller, buffers.bytes_returned, 0);
                Ok(())
            }
            Err((failure, needed)) => {
                match failure.bytes {
                    BytesReturned::Unchanged => {}
                    BytesReturned::Zero => self.return_bytes(caller, buffers.bytes_returned, 0),
                    BytesReturned::Needed => self.return_bytes(caller, buffers.bytes_returned, needed),
                }
                Err(failure.error)
            }
        }
    }

    /// What the call is to do, or how it fails and how many bytes its output would take.
    fn judge(
        &self,
        caller: Caller,
        id: Option<SocketId>,
        operation: Option<Operation>,
        buffers: &IoctlBuffers,
    ) -> Result<Effect, (Failure, usize)> {
        let socket = id.and_then(|id| self.sockets.get(&id)).map(|socket| &**socket);
        let call = Call { world: self, caller, buffers, operation, socket, output: self.output(socket, operation) };
        let needed = call.output.map_or(0, <[u8]>::len);
        if let Some(failure) = call.first_failure() {
            return Err((failure, needed));
        }
        Ok(match operation {
            Some(Operation::QueryRecords | Operation::QueryContext) if needed > 0 => Effect::Store { bytes: needed },
            Some(Operation::SetRecords) => Effect::Set,
            _ => Effect::Nothing,
        })
    }

    /// What a query would store.
    #[inline]
    fn output<'w>(&'w self, socket: Option<&'w Socket>, operation: Option<Operation>) -> Option<&'w [u8]> {
        match operation? {
            Operation::QueryRecords => query_records::output(self, socket?),
            Operation::QueryContext => query_context::output(self, socket?),
            Operation::SetRecords => None,
        }
    }

    fn store_output(
        &mut self,
        caller: Caller,
        id: Option<SocketId>,
        operation: Option<Operation>,
        output: Pointer,
    ) {
        let Some(socket) = id.and_then(|id| self.sockets.get(&id)).cloned() else { return };
        let World { flows, contexts, memory, .. } = self;
        let bytes = match operation {
            Some(Operation::QueryRecords) => query_records::stored(flows, &socket),
            Some(Operation::QueryContext) => query_context::stored(flows, contexts, &socket),
            Some(Operation::SetRecords) | None => None,
        };
        if let Some(bytes) = bytes {
            memory.write(caller.pid, output, bytes);
        }
    }

    /// Writes the bytes-returned word, where the caller gave one.
    #[inline]
    fn return_bytes(&mut self, caller: Caller, word: Pointer, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.memory.write(caller.pid, word, &bytes.to_le_bytes());
    }
}
