//! Control codes that go pending: who is told of their end, when, and what of.

mod blocking;
mod cancel;
mod completion;
mod port;
mod routine;

use crate::engine::Redirect;
use crate::ids::{Caller, EventHandle, SocketHandle};
use crate::memory::Pointer;
use crate::socket::{Completed, SocketKind, SocketState};
use crate::testing::{Machine, at_once, both};
use crate::{
    Completion, CompletionPacket, ControlCode, Decided, IoctlBuffers, Profile, RoutineCall, SocketError,
    SpiPointers, WinsockError,
};

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
/// Bytes of the records of one redirect.
const NEEDED: u32 = 128;
const POISON: [u8; 4] = [0xEF, 0xBE, 0xAD, 0xDE];

/// A machine with a redirected connection whose accepted socket is stalled.
struct Stalled {
    m: Machine,
    service: Caller,
    socket: SocketHandle,
    word: Pointer,
    output: Pointer,
}

impl Default for Stalled {
    fn default() -> Self {
        Self::of(Machine::default())
    }
}

impl Stalled {
    fn with(fields: &[(&str, &str)]) -> Self {
        Self::of(Machine::with(fields))
    }

    fn of(mut m: Machine) -> Self {
        let (_, socket) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let service = m.service;
        m.w.stall(service, socket).unwrap();
        let (word, output) = (m.w.allocate(service, 4, 0), m.w.allocate(service, 1024, 0xEE));
        m.w.write_memory(service, word, &POISON);
        Self { m, service, socket, word, output }
    }

    fn event(&mut self) -> EventHandle {
        self.m.w.wsa_create_event(self.service).unwrap()
    }

    fn is_signaled(&self, event: EventHandle) -> bool {
        self.m.w.is_signaled(self.service, event).unwrap()
    }

    fn overlapped(&mut self, event: Option<EventHandle>) -> Pointer {
        self.m.w.allocate_overlapped(self.service, event)
    }

    fn buffers(&self, overlapped: Pointer) -> IoctlBuffers {
        IoctlBuffers { overlapped, ..IoctlBuffers::query(self.output, 1024, self.word) }
    }

    /// Asks for the records, which cannot be answered yet.
    fn ask(&mut self, buffers: IoctlBuffers) {
        let result = self.m.w.wsa_ioctl(self.service, self.socket, RECORDS, &buffers);
        assert_eq!(result, Err(WinsockError::WSA_IO_PENDING));
    }

    /// Asks for them with a new structure and no event.
    fn ask_overlapped(&mut self) -> Pointer {
        let overlapped = self.overlapped(None);
        self.ask(self.buffers(overlapped));
        overlapped
    }

    /// Asks for them in the thread.
    fn ask_and_wait(&mut self) -> crate::PendingId {
        match self.m.w.wsa_ioctl(self.service, self.socket, RECORDS, &self.buffers(Pointer::NULL)) {
            Ok(Completion::Pending(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    fn resume(&mut self) {
        self.m.w.resume(self.service, self.socket).unwrap();
    }

    fn result(&mut self, overlapped: Pointer) -> Result<u32, WinsockError> {
        at_once(self.m.w.wsa_get_overlapped_result(self.service, self.socket, overlapped, false))
    }

    fn word(&self) -> u32 {
        let bytes = self.m.w.read_memory(self.service, self.word, 4).unwrap();
        u32::from_le_bytes(bytes.try_into().unwrap())
    }

    fn wrote_nothing(&self) -> bool {
        let bytes = self.m.w.read_memory(self.service, self.output, 1024).unwrap();
        bytes.iter().all(|byte| *byte == 0xEE)
    }
}

const INCOMPLETE: Result<u32, WinsockError> = Err(WinsockError::WSA_IO_INCOMPLETE);
const ABORTED: Result<u32, WinsockError> = Err(WinsockError::WSA_OPERATION_ABORTED);
const POISONED: u32 = 0xDEAD_BEEF;
