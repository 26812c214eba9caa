//! The control codes, with the buffers that an op describes.

use std::sync::Arc;

use wfp_sim::{ControlCode, WinsockError};

use super::tables::Tables;
use super::work::{Done, Work, cannot};
use crate::vocabulary::{
    BackendFault, Call, Input, Name, Observation, Op, Outcome, Output, Overlapped, PointerKind, Stored, Word,
};
use crate::windows::system::{Event, Ioctl, Memory, OverlappedMemory, Routine, Socket, ioctl};

const RECORDS: u32 = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS.0;
const CONTEXT: u32 = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT.0;
const SET: u32 = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS.0;

/// What the bytes-returned word holds before a call: no size that any call stores.
const POISON: u32 = 0xDEAD_BEEF;
/// What output buffers hold before a call.
const CANARY: u8 = crate::windows::system::CANARY;
/// A buffer that holds whatever a query can store, for asking how much that is.
const ENOUGH: u32 = 1 << 16;

/// A control code that was asked: what it was given, and what is needed to see what came of it.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) call: Ioctl,
    has_output: bool,
    /// Whether the output is a result that can be named.
    is_query: bool,
    needed: Option<u32>,
}

/// What an op says of a control code.
struct Given {
    socket: Socket,
    code: u32,
    out: Option<Output>,
    input: Option<Input>,
    records: Arc<[u8]>,
    bytes_returned: PointerKind,
    overlapped: Option<Overlapped>,
    /// The structure of an earlier operation that is used again.
    reuse: Option<Arc<OverlappedMemory>>,
    /// Whether the records are what the call is about.
    is_set: bool,
    /// Whether to ask first how much would be stored.
    probes: bool,
}

impl Tables {
    pub(super) fn control(&mut self, op: &Op) -> Result<Work, BackendFault> {
        let (overlapped, spi) = op.call.ways();
        if spi.is_some() {
            let what = "WSPIoctl, whose table only a layered provider is given".to_owned();
            return Err(BackendFault::Unsupported(what));
        }
        let reuse = match overlapped {
            Some(Overlapped { reuse: Some(name), .. }) => self.operation(name)?.call.overlapped.clone(),
            _ => None,
        };
        let no_records = Arc::from([]);
        let (socket, code, out, input, records, bytes_returned) = match &op.call {
            Call::QueryRecords(query) => {
                (&query.socket, RECORDS, Some(query.out), query.input, no_records, query.bytes_returned)
            }
            Call::QueryContext(query) => {
                (&query.socket, CONTEXT, Some(query.out), query.input, no_records, query.bytes_returned)
            }
            Call::SetRecords(set) => {
                let records =
                    match &set.records {
                        Some(name) => self.blobs.get(name).cloned().ok_or_else(|| {
                            BackendFault::Misuse(format!("no records `{name}` were fetched"))
                        })?,
                        None => no_records,
                    };
                (&set.socket, SET, set.out, Some(set.input), records, set.bytes_returned)
            }
            Call::Ioctl { socket, code, input, out, bytes_returned, .. } => {
                (socket, code.0, Some(*out), *input, no_records, *bytes_returned)
            }
            other => return Err(BackendFault::Misuse(format!("`{}` is no control code", other.name()))),
        };
        let is_query = matches!(op.call, Call::QueryRecords(_) | Call::QueryContext(_));
        let given = Given {
            socket: self.socket(socket)?.socket,
            code,
            out,
            input,
            records,
            bytes_returned,
            overlapped: overlapped.cloned(),
            reuse,
            is_set: matches!(op.call, Call::SetRecords(_)),
            probes: is_query && self.redirects,
        };
        Ok(Work::lane(move || given.ask()))
    }

    pub(super) fn operation(&self, name: &Name) -> Result<&Arc<Operation>, BackendFault> {
        self.operations
            .get(name)
            .ok_or_else(|| BackendFault::Misuse(format!("`{name}` is no operation that was begun")))
    }
}

impl Given {
    fn ask(self) -> Done {
        let needed = if self.probes { needed(self.socket, self.code) } else { None };
        let Some(operation) = self.prepared(needed) else {
            let what = "buffers of that size, which this machine has no memory for".to_owned();
            return cannot(BackendFault::Unsupported(what));
        };
        let result = ioctl(&operation.call);
        let observation = operation.observe(result);
        Box::new(move |tables, name| {
            tables.name_output(name, &operation, &observation);
            // Whatever may go on, its memory stays.
            if operation.call.overlapped.is_some()
                && matches!(result, Ok(()) | Err(WinsockError::WSA_IO_PENDING))
            {
                tables.keep_operation(name, Arc::new(operation));
            }
            Ok(observation)
        })
    }

    fn prepared(self, needed: Option<u32>) -> Option<Operation> {
        let Self { socket, code, out, input, records, bytes_returned, overlapped, reuse, is_set, .. } = self;
        let of_records = u32::try_from(records.len()).ok();
        let (output, output_length) = match out {
            Some(out) => (output_buffer(out, needed)?, out.length.bytes(needed)),
            None => (Memory::null(), 0),
        };
        let (input, input_length) = match input {
            Some(input) => input_buffer(input, &records)?,
            None => (Memory::null(), 0),
        };
        let word = Memory::new(bytes_returned, 4, Some(4), 0)?;
        word.write(0, &POISON.to_le_bytes());
        let routine = match overlapped.as_ref().and_then(|overlapped| overlapped.routine) {
            None | Some(PointerKind::NullPointer) => Routine::None,
            Some(PointerKind::Valid) => Routine::Ours,
            Some(kind) => Routine::At(Memory::new(kind, 1, Some(1), 0)?),
        };
        let overlapped = match (reuse, overlapped) {
            (Some(reuse), _) => Some(reuse),
            (None, None | Some(Overlapped { pointer: PointerKind::NullPointer, .. })) => None,
            (None, Some(Overlapped { pointer, event, .. })) => {
                let event = if event && pointer == PointerKind::Valid { Event::new().ok() } else { None };
                Some(Arc::new(OverlappedMemory::new(pointer, event)?))
            }
        };
        let call = Ioctl {
            socket,
            code,
            input,
            input_length,
            output,
            output_length,
            bytes_returned: word,
            overlapped,
            routine,
        };
        Some(Operation {
            call,
            has_output: out.is_some(),
            is_query: code == RECORDS || code == CONTEXT,
            needed: if is_set { of_records } else { needed },
        })
    }
}

/// How many bytes a query would store: asks with a buffer that holds everything, which changes nothing.
fn needed(socket: Socket, code: u32) -> Option<u32> {
    let call = Ioctl {
        socket,
        code,
        input: Memory::null(),
        input_length: 0,
        output: Memory::new(PointerKind::Valid, ENOUGH, None, 0)?,
        output_length: ENOUGH,
        bytes_returned: Memory::new(PointerKind::Valid, 4, Some(4), 0)?,
        overlapped: None,
        routine: Routine::None,
    };
    ioctl(&call).ok()?;
    // Where nothing is stored, nothing is needed.
    call.bytes_returned.word(0).filter(|needed| *needed > 0)
}

pub(super) fn output_buffer(out: Output, needed: Option<u32>) -> Option<Memory> {
    let region = out.region.map(|region| region.bytes(needed));
    Memory::new(out.pointer, out.length.bytes(needed), region, CANARY)
}

/// The buffer with the records in it, and the length that the call is told.
pub(super) fn input_buffer(input: Input, records: &[u8]) -> Option<(Memory, u32)> {
    let needed = u32::try_from(records.len()).ok().filter(|length| *length > 0);
    let length = input.length.bytes(needed);
    let region = input.region.unwrap_or(input.length).bytes(needed);
    let memory = Memory::new(input.pointer, length, Some(region), 0)?;
    let mut bytes = records.to_vec();
    if let Some(byte) = input.corrupt.and_then(|at| bytes.get_mut(at as usize)) {
        *byte ^= 1;
    }
    memory.write(0, &bytes);
    Some((memory, length))
}

impl Operation {
    /// Whether the system may still write to its memory.
    pub(super) fn goes_on(&self) -> bool {
        self.call.overlapped.as_ref().is_some_and(|overlapped| overlapped.goes_on())
    }

    /// What the caller sees when the call returns.
    fn observe(&self, result: Result<(), WinsockError>) -> Observation {
        let word = self.call.bytes_returned.word(0);
        let word = word.map(|value| if value == POISON { Word::Unchanged } else { Word::Value(value) });
        self.observe_output(result, word)
    }

    /// What the caller sees when it is told that so many bytes were transferred.
    pub(super) fn observe_output(&self, result: Result<(), WinsockError>, word: Option<Word>) -> Observation {
        let Ioctl { output, output_length, .. } = &self.call;
        // Without a word a caller cannot tell how much of the buffer was written.
        let count = match (result, word) {
            (Ok(()), Some(Word::Value(bytes))) => bytes.min(*output_length),
            (Ok(()), None) => *output_length,
            _ => 0,
        };
        let stored = self.has_output.then(|| Stored {
            bytes: match word {
                Some(_) => output.read(0, count as usize).into(),
                None => Arc::default(),
            },
            rest_untouched: output.is_untouched(count) && output.is_untouched(*output_length),
        });
        Observation {
            bytes_returned: word,
            stored,
            needed: self.needed,
            ..Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok))
        }
    }
}

impl Tables {
    /// What a query stored can be referred to by the name of the call.
    pub(super) fn name_output(
        &mut self,
        name: Option<&Name>,
        operation: &Operation,
        observation: &Observation,
    ) {
        if let (true, true, Some(stored)) = (operation.is_query, observation.is_ok(), &observation.stored) {
            let bytes = Arc::clone(&stored.bytes);
            self.name_blob(name, &bytes);
        }
    }
}
