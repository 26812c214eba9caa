//! The control codes, with the buffers that an op describes.

use std::sync::Arc;

use wfp_sim::{
    Caller, Completion, ControlCode, EventHandle, IoctlBuffers, Pointer, SocketHandle, SpiPointers,
    WinsockError,
};

use super::buffers::{Buffer, POISON};
use super::{Pending, SimBackend};
use crate::vocabulary::{
    BackendFault, Call, Name, Observation, Op, Outcome, Output, Overlapped, PointerKind, Query, SetRecords,
    Spi, Stored, Word,
};

pub(super) const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
pub(super) const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

/// A control code that was asked: what it was given, and what is needed to see what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) socket: SocketHandle,
    /// `cbOutBuffer`.
    output_length: u32,
    /// The output buffer, where the call has one.
    output: Option<Buffer>,
    /// Whether the output is a result that can be named.
    is_query: bool,
    word: Buffer,
    /// The `WSAOVERLAPPED`, where there is one.
    pub(super) overlapped: Pointer,
    pub(super) event: Option<EventHandle>,
    needed: Option<u32>,
    /// All memory that was allocated for it.
    pub(super) memory: Vec<Buffer>,
}

/// What a control code is given. A buffer is the memory and the length that the call is told.
struct Given<'a> {
    socket: SocketHandle,
    code: ControlCode,
    output: Option<(Buffer, u32)>,
    input: Option<(Buffer, u32)>,
    needed: Option<u32>,
    bytes_returned: PointerKind,
    overlapped: Option<&'a Overlapped>,
    spi: Option<Spi>,
}

impl SimBackend {
    pub(super) fn control(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        // What an op names is looked up before anything is allocated for it.
        let (overlapped, spi) = op.call.ways();
        if let Some(Overlapped { reuse: Some(reuse), .. }) = overlapped {
            self.operation(reuse)?;
        }
        if let Some(Spi { thread: Some(thread), .. }) = spi {
            self.thread(&op.process, thread)?;
        }
        match &op.call {
            Call::QueryRecords(query) => self.query(caller, op, query, RECORDS),
            Call::QueryContext(query) => self.query(caller, op, query, CONTEXT),
            Call::SetRecords(set) => self.set_records(caller, op, set),
            Call::Ioctl { socket, code, input, out, bytes_returned, overlapped, spi } => {
                let socket = self.socket(socket)?.handle;
                let given = Given {
                    socket,
                    code: ControlCode(code.0),
                    output: Some((self.output_buffer(caller, *out, None), out.length.bytes(None))),
                    input: input.map(|input| self.input_buffer(caller, input, &[])),
                    needed: None,
                    bytes_returned: *bytes_returned,
                    overlapped: overlapped.as_ref(),
                    spi: *spi,
                };
                self.ask(caller, op, &given)
            }
            other => Err(BackendFault::Misuse(format!("`{}` is no control code", other.name()))),
        }
    }

    fn query(
        &mut self,
        caller: Caller,
        op: &Op,
        query: &Query,
        code: ControlCode,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(&query.socket)?.handle;
        let needed = self.needed(caller, socket, code);
        let output = Some((self.output_buffer(caller, query.out, needed), query.out.length.bytes(needed)));
        let input = query.input.map(|input| self.input_buffer(caller, input, &[]));
        let Query { bytes_returned, overlapped, spi, .. } = query;
        let (bytes_returned, overlapped, spi) = (*bytes_returned, overlapped.as_ref(), *spi);
        self.ask(caller, op, &Given { socket, code, output, input, needed, bytes_returned, overlapped, spi })
    }

    fn set_records(
        &mut self,
        caller: Caller,
        op: &Op,
        set: &SetRecords,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(&set.socket)?.handle;
        let records = match &set.records {
            Some(name) => {
                let blob = self.blobs.get(name);
                Arc::clone(
                    blob.ok_or_else(|| BackendFault::Misuse(format!("no records `{name}` were fetched")))?,
                )
            }
            None => Arc::from([]),
        };
        let input = Some(self.input_buffer(caller, set.input, &records));
        let output =
            set.out.map(|out: Output| (self.output_buffer(caller, out, None), out.length.bytes(None)));
        let needed = u32::try_from(records.len()).ok();
        let SetRecords { bytes_returned, overlapped, spi, .. } = set;
        let (bytes_returned, overlapped, spi, code) = (*bytes_returned, overlapped.as_ref(), *spi, SET);
        self.ask(caller, op, &Given { socket, code, output, input, needed, bytes_returned, overlapped, spi })
    }

    /// Makes the call. Its memory is kept as long as the operation can go on.
    fn ask(&mut self, caller: Caller, op: &Op, given: &Given<'_>) -> Result<Observation, BackendFault> {
        let Given { socket, code, needed, .. } = *given;
        let word = self.word(caller, given.bytes_returned);
        let (output, output_length) = given.output.unwrap_or((Buffer::NULL, 0));
        let (input, input_length) = given.input.unwrap_or((Buffer::NULL, 0));
        let mut asked = Asked {
            caller,
            socket,
            output_length,
            output: given.output.map(|(buffer, _)| buffer),
            is_query: code == RECORDS || code == CONTEXT,
            word,
            overlapped: Pointer::NULL,
            event: None,
            needed,
            memory: vec![output, input, word],
        };
        let routine = self.make_overlapped(given.overlapped, &mut asked)?;
        let buffers = IoctlBuffers {
            input: input.pointer,
            input_length,
            overlapped: asked.overlapped,
            routine,
            ..IoctlBuffers::query(output.pointer, output_length, word.pointer)
        };
        let (result, last_error_set) = match given.spi {
            None => (self.world.wsa_ioctl(caller, socket, code, &buffers), None),
            Some(spi) => self.ask_provider(op, spi, code, &buffers, &asked)?,
        };
        if let Ok(Completion::Pending(id)) = result {
            let family = crate::vocabulary::SocketFamily::default();
            return Ok(self.name_pending(op, Pending { id, family, asked: Some(asked), receiving: None }));
        }
        let observation = self.observe(&asked, result.map(|_| ()));
        if let Some(name) = &op.name {
            self.name_output(name, &asked, &observation);
        }
        let goes_on = result_is_pending(&observation) || observation.is_ok();
        if given.overlapped.is_some() && goes_on {
            if let Some(name) = &op.name {
                self.operations.insert(Name::clone(name), asked);
            }
        } else {
            let memory = std::mem::take(&mut asked.memory);
            self.free(caller, memory);
        }
        Ok(Observation { last_error_set, ..observation })
    }

    /// The `WSAOVERLAPPED` and the routine that an op asks for; gives the routine.
    fn make_overlapped(
        &mut self,
        overlapped: Option<&Overlapped>,
        asked: &mut Asked,
    ) -> Result<Pointer, BackendFault> {
        let Some(Overlapped { pointer, event, reuse, routine }) = overlapped else {
            return Ok(Pointer::NULL);
        };
        if let Some(name) = reuse {
            let earlier = self.operation(name)?;
            (asked.overlapped, asked.event) = (earlier.overlapped, earlier.event);
        } else if *pointer == PointerKind::Valid {
            asked.event = if *event { self.world.wsa_create_event(asked.caller).ok() } else { None };
            asked.overlapped = self.world.allocate_overlapped(asked.caller, asked.event);
            asked.memory.push(Buffer::at(asked.overlapped));
        } else {
            let buffer = self.buffer(asked.caller, *pointer, 32, 32, 0);
            asked.overlapped = buffer.pointer;
            asked.memory.push(buffer);
        }
        let Some(routine) = routine else { return Ok(Pointer::NULL) };
        // A routine that is there in part ends before its first byte.
        let routine = self.buffer(asked.caller, *routine, 1, 1, 0);
        asked.memory.push(routine);
        Ok(routine.pointer)
    }

    /// `WSPIoctl`: its result, with the code that is found through `lpErrno`.
    #[expect(clippy::type_complexity, reason = "what `ask` makes of both functions")]
    fn ask_provider(
        &mut self,
        op: &Op,
        spi: Spi,
        code: ControlCode,
        buffers: &IoctlBuffers,
        asked: &Asked,
    ) -> Result<(Result<Completion<()>, WinsockError>, Option<bool>), BackendFault> {
        let Asked { caller, socket, .. } = *asked;
        let thread = self.thread(&op.process, spi.thread.unwrap_or(op.thread))?;
        let thread_id = self.buffer(caller, spi.thread_id, 16, 16, 0);
        self.world.write_memory(caller, thread_id.pointer, &u64::from(thread.tid.0).to_le_bytes());
        let errno = self.buffer(caller, spi.errno, 4, 4, 0);
        let pointers = SpiPointers { thread_id: thread_id.pointer, errno: errno.pointer };
        let answer = self.world.wsp_ioctl(caller, socket, code, buffers, &pointers);
        let code = self.world.read_memory(caller, errno.pointer, 4).and_then(|bytes| bytes.try_into().ok());
        let code = WinsockError(i32::from_le_bytes(code.unwrap_or_default()));
        let last_error_set = answer.returned.is_err().then_some(answer.last_error.is_some());
        self.free(caller, [thread_id, errno]);
        Ok((answer.returned.map_err(|_| code), last_error_set))
    }

    /// Bytes that a query would store, as the kernel knows it.
    pub(super) fn needed(&self, caller: Caller, socket: SocketHandle, code: ControlCode) -> Option<u32> {
        let records = self.world.records_arrived(caller, socket).ok()??;
        let length = if code == RECORDS {
            records.blob().len()
        } else {
            let last = records.entries().last()?;
            self.world.fwps_query_connection_redirect_state(Some(records), last.handle).1?.len()
        };
        u32::try_from(length).ok()
    }

    /// What the caller sees when the call returns.
    pub(super) fn observe(&self, asked: &Asked, result: Result<(), WinsockError>) -> Observation {
        let bytes = self.world.read_memory(asked.caller, asked.word.pointer, 4);
        let word = bytes.and_then(|bytes| {
            let value = u32::from_le_bytes(bytes.try_into().ok()?);
            Some(if value == POISON { Word::Unchanged } else { Word::Value(value) })
        });
        self.observe_output(asked, result, word)
    }

    /// What the caller sees when it is told that so many bytes were transferred.
    pub(super) fn observe_output(
        &self,
        asked: &Asked,
        result: Result<(), WinsockError>,
        word: Option<Word>,
    ) -> Observation {
        let Asked { caller, output_length, .. } = *asked;
        // Without a word a caller cannot tell how much of the buffer was written.
        let count = match (result, word) {
            (Ok(()), Some(Word::Value(bytes))) => bytes.min(output_length),
            (Ok(()), None) => output_length,
            _ => 0,
        };
        let stored = asked.output.map(|output| Stored {
            bytes: match word {
                Some(_) => self.world.read_memory(caller, output.pointer, count).unwrap_or_default().into(),
                None => Arc::default(),
            },
            rest_untouched: self.is_untouched(caller, output, count)
                && self.is_untouched(caller, output, output_length),
        });
        Observation {
            bytes_returned: word,
            stored,
            needed: asked.needed,
            ..Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok))
        }
    }

    /// What a query stored can be referred to by the name of the call.
    pub(super) fn name_output(&mut self, name: &Name, asked: &Asked, observation: &Observation) {
        if let (true, true, Some(stored)) = (asked.is_query, observation.is_ok(), &observation.stored) {
            self.blobs.insert(Name::clone(name), Arc::clone(&stored.bytes));
        }
    }
}

fn result_is_pending(observation: &Observation) -> bool {
    observation.error() == Some(WinsockError::WSA_IO_PENDING)
}
