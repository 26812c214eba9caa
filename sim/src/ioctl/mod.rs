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
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::control_code::ControlCode;
use crate::error::WinsockError;
use crate::ids::{Caller, ContextId, FlowId, Pid, SocketHandle};
use crate::memory::{Memory, Pointer};
use crate::profile::{BytesReturned, Failure, Profile};
use crate::records::Records;
use crate::socket::{Connection, Flow, Side, Socket, State};
use crate::world::{Process, World};

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
    profile: &'w Profile,
    memory: &'w Memory,
    flows: &'w BTreeMap<FlowId, Arc<Flow>>,
    pid: Pid,
    buffers: &'w IoctlBuffers,
    operation: Option<Operation>,
    socket: Option<&'w Socket>,
    /// The connection that the socket accepted, if it is an accepted one.
    accepted: Option<&'w Flow>,
    processes: &'w BTreeMap<Pid, Arc<Process>>,
    /// What a query would store, where there is something.
    output: Option<&'w [u8]>,
    /// What SET was given, where that is records.
    records: Option<Arc<Records>>,
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
        let pid = caller.pid;
        let id = self.descriptors.get(&(pid, socket)).copied();
        // What is lent from the rest of the world is written to memory, so they are taken apart here.
        let Self { profile, processes, memory, sockets, flows, contexts, .. } = self;
        let operation = Operation::of(code);
        let socket = id.and_then(|id| sockets.get(&id)).map(|socket| &**socket);
        let accepted = socket.and_then(|socket| accepted(socket, flows));
        let output = output(operation, accepted, contexts);
        let call = Call {
            profile,
            memory,
            flows,
            pid,
            buffers,
            operation,
            socket,
            accepted,
            processes,
            output,
            records: match operation {
                Some(Operation::SetRecords) => set_records::input(memory, pid, buffers, profile, flows),
                _ => None,
            },
        };
        let needed = output.map_or(0, <[u8]>::len);
        let (result, bytes) = match call.first_failure() {
            None => (Ok(()), Some(needed)),
            Some(Failure { error, bytes: BytesReturned::Needed }) => (Err(error), Some(needed)),
            Some(Failure { error, bytes: BytesReturned::Zero }) => (Err(error), Some(0)),
            Some(Failure { error, bytes: BytesReturned::Unchanged }) => (Err(error), None),
        };
        let records = call.records;
        if let (Ok(()), Some(output)) = (result, output) {
            memory.write(pid, buffers.output, output);
        }
        if let Some(bytes) = bytes {
            let word = u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
            memory.write(pid, buffers.bytes_returned, &word);
        }
        if let (Ok(()), Some(Operation::SetRecords), Some(id)) = (result, operation, id) {
            self.set_records(id, records, buffers.input_length == 0);
        }
        result
    }
}

/// The connection that a socket accepted.
#[inline]
fn accepted<'w>(socket: &Socket, flows: &'w BTreeMap<FlowId, Arc<Flow>>) -> Option<&'w Flow> {
    match &socket.state {
        State::Connected(Connection { flow, side: Side::Server, .. }) => flows.get(flow).map(|flow| &**flow),
        _ => None,
    }
}

/// What a query would store.
#[inline]
fn output<'w>(
    operation: Option<Operation>,
    accepted: Option<&'w Flow>,
    contexts: &'w BTreeMap<ContextId, Arc<[u8]>>,
) -> Option<&'w [u8]> {
    let records = accepted?.records.as_deref()?;
    match operation? {
        Operation::QueryRecords => Some(query_records::output(records)),
        Operation::QueryContext => query_context::output(records, contexts),
        Operation::SetRecords => None,
    }
}
