//! The control codes, with the buffers that an op describes.

use std::sync::Arc;

use wfp_sim::{Caller, Completion, ControlCode, IoctlBuffers, Pointer, WinsockError};

use super::SimBackend;
use crate::vocabulary::{
    BackendFault, Call, Input, Name, Observation, Outcome, Output, PointerKind, Query, SetRecords, Stored,
    Word,
};

pub(super) const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
pub(super) const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

/// What the bytes-returned word holds before a call: no size that any call stores.
const POISON: u32 = 0xDEAD_BEEF;
/// What output buffers hold before a call.
const CANARY: u8 = 0xCC;
/// Bytes behind a buffer that are watched.
const WATCHED: u32 = 64;

/// Memory that a call is given, and that is given back afterwards.
#[derive(Clone, Copy)]
struct Buffer {
    pointer: Pointer,
    /// Bytes that are there.
    region: u64,
}

impl SimBackend {
    pub(super) fn query(
        &mut self,
        caller: Caller,
        name: Option<&Name>,
        query: &Query,
        code: ControlCode,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(&query.socket)?.handle;
        let needed = self.needed(caller, socket, code);
        let length = query.out.length.bytes(needed);
        let output = self.output_buffer(caller, query.out, needed);
        let input = query.input.map(|input| self.input_buffer(caller, input, &[]));
        let word = self.word(caller, query.bytes_returned);
        let buffers = IoctlBuffers {
            input: input.map_or(Pointer::NULL, |(buffer, _)| buffer.pointer),
            input_length: input.map_or(0, |(_, length)| length),
            ..IoctlBuffers::query(output.pointer, length, word.pointer)
        };
        let result = at_once(&self.world.wsa_ioctl(caller, socket, code, &buffers))?;

        let observation = Observation { needed, ..self.observe(caller, result, word) };
        let stored = self.stored(caller, &observation, output, length);
        if let (Ok(()), Some(name)) = (result, name) {
            self.blobs.insert(Name::clone(name), Arc::clone(&stored.bytes));
        }
        let observation = Observation { stored: Some(stored), ..observation };
        self.free(caller, &[Some(output), input.map(|(buffer, _)| buffer), Some(word)]);
        Ok(observation)
    }

    pub(super) fn set_records(
        &mut self,
        caller: Caller,
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
        let (input, input_length) = self.input_buffer(caller, set.input, &records);
        let output = set.out.map(|out| (self.output_buffer(caller, out, None), out.length.bytes(None)));
        let word = self.word(caller, set.bytes_returned);
        let buffers = IoctlBuffers {
            output: output.map_or(Pointer::NULL, |(buffer, _)| buffer.pointer),
            output_length: output.map_or(0, |(_, length)| length),
            ..IoctlBuffers::set(input.pointer, input_length, word.pointer)
        };
        let result = at_once(&self.world.wsa_ioctl(caller, socket, SET, &buffers))?;
        let needed = u32::try_from(records.len()).ok();
        let observation = Observation { needed, ..self.observe(caller, result, word) };
        let stored = output.map(|(buffer, length)| self.stored(caller, &observation, buffer, length));
        let observation = Observation { stored, ..observation };
        self.free(caller, &[Some(input), output.map(|(buffer, _)| buffer), Some(word)]);
        Ok(observation)
    }

    pub(super) fn any_code(&mut self, caller: Caller, call: &Call) -> Result<Observation, BackendFault> {
        let Call::Ioctl { socket, code, input, out, bytes_returned } = call else {
            return Err(BackendFault::Misuse("not a control code".to_owned()));
        };
        let socket = self.socket(socket)?.handle;
        let output = self.output_buffer(caller, *out, None);
        let length = out.length.bytes(None);
        let input = input.map(|input| self.input_buffer(caller, input, &[]));
        let word = self.word(caller, *bytes_returned);
        let buffers = IoctlBuffers {
            input: input.map_or(Pointer::NULL, |(buffer, _)| buffer.pointer),
            input_length: input.map_or(0, |(_, length)| length),
            ..IoctlBuffers::query(output.pointer, length, word.pointer)
        };
        let result = at_once(&self.world.wsa_ioctl(caller, socket, ControlCode(code.0), &buffers))?;
        let observation = self.observe(caller, result, word);
        let stored = Some(self.stored(caller, &observation, output, length));
        let observation = Observation { stored, ..observation };
        self.free(caller, &[Some(output), input.map(|(buffer, _)| buffer), Some(word)]);
        Ok(observation)
    }

    /// Bytes that a query would store, as the kernel knows it.
    fn needed(&self, caller: Caller, socket: wfp_sim::SocketHandle, code: ControlCode) -> Option<u32> {
        let records = self.world.records_arrived(caller, socket).ok()??;
        let length = if code == RECORDS {
            records.blob().len()
        } else {
            let last = records.entries().last()?;
            self.world.fwps_query_connection_redirect_state(Some(records), last.handle).1?.len()
        };
        u32::try_from(length).ok()
    }

    fn output_buffer(&mut self, caller: Caller, out: Output, needed: Option<u32>) -> Buffer {
        let length = out.length.bytes(needed);
        let behind = u64::from(length) + u64::from(WATCHED);
        let region = out.region.map_or(behind, |region| region.bytes(needed).into());
        self.buffer(caller, out.pointer, length, region, CANARY)
    }

    /// The buffer with the records in it, and the length that the call is told.
    fn input_buffer(&mut self, caller: Caller, input: Input, records: &[u8]) -> (Buffer, u32) {
        let needed = u32::try_from(records.len()).ok().filter(|length| *length > 0);
        let length = input.length.bytes(needed);
        let region = input.region.unwrap_or(input.length).bytes(needed);
        let buffer = self.buffer(caller, input.pointer, length, region.into(), 0);
        let mut bytes = records.to_vec();
        if let Some(byte) = input.corrupt.and_then(|at| bytes.get_mut(at as usize)) {
            *byte ^= 1;
        }
        bytes.truncate(usize::try_from(buffer.region).unwrap_or(usize::MAX));
        self.world.write_memory(caller, buffer.pointer, &bytes);
        (buffer, length)
    }

    fn word(&mut self, caller: Caller, pointer: PointerKind) -> Buffer {
        let word = self.buffer(caller, pointer, 4, 4, 0);
        self.world.write_memory(caller, word.pointer, &POISON.to_le_bytes());
        word
    }

    fn buffer(&mut self, caller: Caller, pointer: PointerKind, length: u32, region: u64, fill: u8) -> Buffer {
        let region = match pointer {
            PointerKind::NullPointer => return Buffer { pointer: Pointer::NULL, region: 0 },
            PointerKind::Unmapped => return Buffer { pointer: Pointer::UNMAPPED, region: 0 },
            PointerKind::Partly => u64::from(length / 2),
            PointerKind::Valid => region,
        };
        Buffer { pointer: self.world.allocate(caller, region, fill), region }
    }

    fn free(&mut self, caller: Caller, buffers: &[Option<Buffer>]) {
        for buffer in buffers.iter().flatten() {
            self.world.free(caller, buffer.pointer);
        }
    }

    /// Whether the bytes from `from` on are what they were, as far as they are watched.
    fn is_untouched(&self, caller: Caller, buffer: Buffer, from: u32) -> bool {
        let watched = buffer.region.saturating_sub(from.into()).min(WATCHED.into());
        let bytes = self.world.read_memory(
            caller,
            buffer.pointer.offset(from.into()),
            u32::try_from(watched).unwrap_or(WATCHED),
        );
        watched == 0 || bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == CANARY))
    }

    /// What a call stored in its output buffer, and whether it left alone what is behind that and behind the buffer.
    fn stored(&self, caller: Caller, observed: &Observation, output: Buffer, length: u32) -> Stored {
        let count = match observed.bytes_returned {
            Some(Word::Value(bytes)) if observed.is_ok() => bytes.min(length),
            _ => 0,
        };
        let bytes = self.world.read_memory(caller, output.pointer, count).unwrap_or_default().into();
        let rest_untouched =
            self.is_untouched(caller, output, count) && self.is_untouched(caller, output, length);
        Stored { bytes, rest_untouched }
    }

    fn observe(&self, caller: Caller, result: Result<(), WinsockError>, word: Buffer) -> Observation {
        let bytes_returned = self.world.read_memory(caller, word.pointer, 4).and_then(|bytes| {
            let value = u32::from_le_bytes(bytes.try_into().ok()?);
            Some(if value == POISON { Word::Unchanged } else { Word::Value(value) })
        });
        let outcome = result.map_or_else(Outcome::Error, |()| Outcome::Ok);
        Observation { bytes_returned, ..Observation::new(outcome) }
    }
}

/// No op stalls a socket yet, so no call waits.
fn at_once(result: &Result<Completion<()>, WinsockError>) -> Result<Result<(), WinsockError>, BackendFault> {
    match result {
        Ok(Completion::Done(())) => Ok(Ok(())),
        Ok(Completion::Pending(_)) => Err(BackendFault::Broken("a control code waits".to_owned())),
        Err(error) => Ok(Err(*error)),
    }
}
