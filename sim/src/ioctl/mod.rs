//! `WSAIoctl` and `WSPIoctl` with the three control codes.
//!
//! Which answer a call gets where several causes hold at once stands in one table, [`PRECEDENCE`]. What a code
//! does when nothing is in the way stands in its own module. On a socket that is stalled a call waits: in its
//! thread, or overlapped.
//!
//! Source: sdk-api "WSAIoctl"; the win32 pages of the codes; docs/behaviour.md, "Parameters", "Errors", "Buffer
//! sizes" and "Overlapped calls".

mod precedence;
mod query_context;
mod query_records;
mod request;
pub(crate) mod set_records;
mod spi;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::control_code::ControlCode;
use crate::engine::RedirectContext;
use crate::error::WinsockError;
use crate::ids::{Caller, ContextId, FlowId, Pid, SocketHandle, SocketId, Tid};
use crate::memory::{Memory, Pointer};
use crate::overlapped::Callback;
use crate::profile::{Availability, BytesReturned, Failure, LoneRoutine, OtherKind, Profile};
use crate::records::Records;
use crate::socket::{Completion, Connection, Flow, Protocol, Side, Socket, State};
use crate::world::{Process, World};

use self::precedence::{Stage, Whole};

pub use precedence::{Cause, PRECEDENCE};
pub(crate) use request::Request;
pub(crate) use set_records::{is_stale, records_at};
pub use spi::{SocketError, SpiAnswer, SpiPointers};

/// The pointers and lengths of a `WSAIoctl` call.
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
    /// `lpOverlapped`: the address of a `WSAOVERLAPPED`, 32 bytes; see [`World::allocate_overlapped`].
    pub overlapped: Pointer,
    /// `lpCompletionRoutine`: where the code of the routine is. One byte of it must be there.
    pub routine: Pointer,
}

impl IoctlBuffers {
    const NONE: Self = Self {
        input: Pointer::NULL,
        input_length: 0,
        output: Pointer::NULL,
        output_length: 0,
        bytes_returned: Pointer::NULL,
        overlapped: Pointer::NULL,
        routine: Pointer::NULL,
    };

    /// What a query passes: an output buffer and the bytes-returned word.
    #[must_use]
    pub fn query(output: Pointer, output_length: u32, bytes_returned: Pointer) -> Self {
        Self { output, output_length, bytes_returned, ..Self::NONE }
    }

    /// What SET passes: an input buffer and the bytes-returned word.
    #[must_use]
    pub fn set(input: Pointer, input_length: u32, bytes_returned: Pointer) -> Self {
        Self { input, input_length, bytes_returned, ..Self::NONE }
    }
}

/// The operation that a control code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    QueryRecords,
    QueryContext,
    SetRecords,
    /// SIO_FLUSH.
    Flush,
}

impl Operation {
    pub(crate) fn of(code: ControlCode) -> Option<Self> {
        match code {
            ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS => Some(Self::QueryRecords),
            ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT => Some(Self::QueryContext),
            ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS => Some(Self::SetRecords),
            ControlCode::SIO_FLUSH => Some(Self::Flush),
            _ => None,
        }
    }

    pub(crate) fn is_query(self) -> bool {
        matches!(self, Self::QueryRecords | Self::QueryContext)
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
    network_down: bool,
    /// The callback that the calling thread is in.
    callback: Option<Callback>,
    /// Whether the call is overlapped.
    overlapped: bool,
    /// Whether completions of the socket go to a completion port.
    has_port: bool,
    /// What a query would store, where there is something.
    output: Option<&'w [u8]>,
    /// What SET was given, where that is records.
    records: Option<Arc<Records>>,
}

/// What a call asks.
#[derive(Clone, Copy)]
struct Asked<'a> {
    caller: Caller,
    id: Option<SocketId>,
    operation: Option<Operation>,
    buffers: &'a IoctlBuffers,
    overlapped: bool,
}

/// How a call came out.
struct Settled {
    result: Result<(), Failure>,
    /// Bytes that the call is about.
    needed: u32,
    /// What SET was given, where that is records.
    records: Option<Arc<Records>>,
}

impl World {
    /// `WSAIoctl`. `Ok` is a return value of 0; an error is SOCKET_ERROR, with what `WSAGetLastError` returns, and
    /// WSA_IO_PENDING where an overlapped operation was begun. A call that waits in its thread is pending. The
    /// bytes-returned word is in the caller's memory.
    ///
    /// # Errors
    /// WSA_IO_PENDING; WSAEWOULDBLOCK on a non-blocking socket where the call would wait; every error of
    /// [`PRECEDENCE`], each for its cause.
    pub fn wsa_ioctl(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        code: ControlCode,
        buffers: &IoctlBuffers,
    ) -> Result<Completion<()>, WinsockError> {
        self.control(caller, socket, code, buffers, caller.tid)
    }

    /// The same, with the thread that the completion routine is called in.
    #[inline]
    fn control(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        code: ControlCode,
        buffers: &IoctlBuffers,
        routine_thread: Tid,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.descriptors.get(&(caller.pid, socket)).copied();
        let operation = Operation::of(code);
        let overlapped = self.is_overlapped_call(id, buffers);
        let asked = Asked { caller, id, operation, buffers, overlapped };
        let routine = (overlapped && !buffers.routine.is_null()).then_some((buffers.routine, routine_thread));
        if self.is_stalled(id) && operation != Some(Operation::Flush) {
            return self.wait(&asked, routine);
        }
        let settled = self.settle::<Whole>(&asked, None);
        self.report(caller.pid, buffers, &settled);
        settled.result.map_err(|failure| failure.error)?;
        if let Some(id) = id {
            if operation == Some(Operation::Flush) {
                self.flush(id);
            }
            if overlapped {
                let notify = self.begin_overlapped(caller.pid, buffers.overlapped, routine);
                self.end_overlapped(caller.pid, id, &notify, Ok(()), settled.needed);
            }
        }
        Ok(Completion::Done(()))
    }

    /// Finds out how a call comes out, and does what it is to do unless only its arguments are asked about.
    /// `taken` is the input of a SET that was made before.
    #[inline]
    fn settle<S: Stage>(&mut self, asked: &Asked<'_>, taken: Option<Arc<Records>>) -> Settled {
        let Asked { caller: Caller { pid, tid }, id, operation, buffers, overlapped } = *asked;
        // What is lent from the rest of the world is written to memory, so they are taken apart here.
        let Self {
            profile, processes, memory, sockets, flows, contexts, notifications, network_down, ..
        } = self;
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
            network_down: *network_down,
            callback: notifications.callback_of(tid),
            overlapped,
            has_port: overlapped && id.is_some_and(|id| notifications.has_port(id)),
            output,
            records: match operation {
                Some(Operation::SetRecords) if S::AT_ONCE => {
                    set_records::input(memory, pid, buffers, profile, flows)
                }
                _ => taken,
            },
        };
        let failure = call.first_failure::<S>();
        let needed = u32::try_from(output.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX);
        let mut settled = Settled { result: Ok(()), needed, records: call.records };
        if let Some(failure) = failure {
            settled.result = Err(failure);
        } else if S::WHEN_ANSWERED {
            if let Some(output) = output
                && !memory.write(pid, buffers.output, output)
            {
                // The buffer was given back while the call waited.
                settled.result = Err(Failure::new(WinsockError::WSAEFAULT, BytesReturned::Zero));
            }
            if let (Some(Operation::SetRecords), Some(id)) = (operation, id) {
                self.set_records(id, settled.records.take(), buffers.input_length == 0);
            }
        }
        settled
    }

    /// Writes the bytes-returned word.
    #[inline]
    fn report(&mut self, pid: Pid, buffers: &IoctlBuffers, settled: &Settled) {
        let bytes = match settled.result {
            Ok(()) | Err(Failure { bytes: BytesReturned::Needed, .. }) => settled.needed,
            Err(Failure { bytes: BytesReturned::Zero, .. }) => 0,
            Err(Failure { bytes: BytesReturned::Unchanged, .. }) => return,
        };
        self.memory.write(pid, buffers.bytes_returned, &bytes.to_le_bytes());
    }

    /// Whether a call is overlapped: by the socket, the pointers, and the profile field
    /// `routine-without-overlapped`.
    #[inline]
    fn is_overlapped_call(&self, id: Option<SocketId>, buffers: &IoctlBuffers) -> bool {
        let asked = !buffers.overlapped.is_null()
            || (!buffers.routine.is_null()
                && self.profile.routine_without_overlapped == LoneRoutine::Overlapped);
        asked && id.and_then(|id| self.sockets.get(&id)).is_some_and(|socket| socket.kind.overlapped)
    }

    #[inline]
    pub(crate) fn is_stalled(&self, id: Option<SocketId>) -> bool {
        !self.notifications.stalled.is_empty()
            && id.is_some_and(|id| self.notifications.stalled.contains(&id))
    }
}

/// The connection that a socket accepted.
#[inline]
pub(crate) fn accepted<'w>(socket: &Socket, flows: &'w BTreeMap<FlowId, Arc<Flow>>) -> Option<&'w Flow> {
    match &socket.state {
        State::Connected(Connection { flow, side: Side::Server, .. }) => flows.get(flow).map(|flow| &**flow),
        // A connected socket of a service: the flow that its peer made to it.
        State::Datagram(datagrams) => flows.get(&datagrams.flow_from_peer()?).map(|flow| &**flow),
        _ => None,
    }
}

/// What a query would store.
#[inline]
pub(crate) fn output<'w>(
    operation: Option<Operation>,
    accepted: Option<&'w Flow>,
    contexts: &'w BTreeMap<ContextId, RedirectContext>,
) -> Option<&'w [u8]> {
    let records = accepted?.records.as_deref()?;
    match operation? {
        Operation::QueryRecords => Some(query_records::output(records)),
        Operation::QueryContext => query_context::output(records, contexts),
        Operation::SetRecords | Operation::Flush => None,
    }
}

/// Whether a query is answered on a socket at all.
#[inline]
pub(crate) fn is_connected(
    socket: &Socket,
    accepted: Option<&Flow>,
    flows: &BTreeMap<FlowId, Arc<Flow>>,
    profile: &Profile,
) -> bool {
    match &socket.state {
        State::Connected(Connection { flow, side, updated, .. }) => {
            let answers = *updated
                || *side == Side::Client
                || profile.query_before_update_context == Availability::Answered;
            let flow = accepted.or_else(|| flows.get(flow).map(|flow| &**flow));
            answers && flow.is_some_and(|flow| !flow.end(*side).reset)
        }
        State::Connecting { .. } => profile.query_while_connecting == Availability::Answered,
        State::Datagram(datagrams) => datagrams.peer.is_some(),
        _ => false,
    }
}

/// How the codes are answered on this kind of socket.
#[inline]
pub(crate) fn on_kind(socket: &Socket, query: bool, profile: &Profile) -> OtherKind {
    match socket.kind.protocol {
        Protocol::Tcp => OtherKind::Served,
        Protocol::Udp if query => profile.query_on_udp,
        Protocol::Udp => profile.set_on_udp,
        Protocol::Raw { .. } if query => profile.query_on_raw,
        Protocol::Raw { .. } => profile.set_on_raw,
    }
}
