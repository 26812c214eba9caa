//! What drivers ask.

use std::sync::Arc;

use wfp_sim::wsk::{Irql, RequestType};
use wfp_sim::{BugCheck, Caller, ControlCode, IrpHandle, NtStatus, Pointer, Records};

use super::SimBackend;
use super::buffers::{Buffer, POISON};
use super::control::{CONTEXT, RECORDS};
use crate::vocabulary::{
    BackendFault, Call, Input, IrpKind, IrqlName, Name, Observation, Op, Outcome, Output, PointerKind,
    SioFormat, SizeReturned, Stored, Word, WskCode, WskControl, WskRequest,
};

/// A call through WSK: what it was given, and what is needed to see what came of it.
#[derive(Clone, Debug)]
pub(super) struct WskAsked {
    caller: Caller,
    irp: Option<IrpHandle>,
    output: Option<(Buffer, u32)>,
    /// `OutputSizeReturned`, and the memory behind it.
    word: Buffer,
    needed: Option<u32>,
    is_query: bool,
    memory: Vec<Buffer>,
}

impl SimBackend {
    pub(super) fn wsk_call(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        match &op.call {
            Call::WskControl(control) => self.wsk_control(caller, op, control),
            Call::SioFormatRecords(asked) => self.sio_format(caller, op, asked),
            Call::CancelIrp { of } => {
                let unknown = || BackendFault::Misuse(format!("`{of}` is no call that waits with an IRP"));
                let irp = self.irps.get(of).ok_or_else(unknown)?.irp;
                if let Some(irp) = irp {
                    self.world.io_cancel_irp(caller, irp);
                }
                Ok(Observation::new(Outcome::Ok))
            }
            other => Ok(Observation::new(Outcome::Unsupported(format!("`{}`", other.name())))),
        }
    }

    /// Gives the memory of a call that waits with its IRP back; `false` where there is no such call.
    pub(super) fn free_of_irp(&mut self, of: &Name) -> bool {
        let Some(asked) = self.irps.get_mut(of) else { return false };
        let (caller, memory) = (asked.caller, std::mem::take(&mut asked.memory));
        self.free(caller, memory);
        true
    }

    fn wsk_control(
        &mut self,
        caller: Caller,
        op: &Op,
        control: &WskControl,
    ) -> Result<Observation, BackendFault> {
        let word = match control.size_returned {
            SizeReturned::Either if control.code == WskCode::SetRecords => PointerKind::NullPointer,
            SizeReturned::Either | SizeReturned::Valid | SizeReturned::Ulong => PointerKind::Valid,
            SizeReturned::NullPointer => PointerKind::NullPointer,
            SizeReturned::Unmapped => PointerKind::Unmapped,
        };
        let observation = self.wsk_ask(caller, op, control, word)?;
        let refused = observation.outcome == Outcome::Status(NtStatus::STATUS_INVALID_PARAMETER);
        if refused && control.size_returned == SizeReturned::Either && word == PointerKind::Valid {
            return self.wsk_ask(caller, op, control, PointerKind::NullPointer);
        }
        Ok(observation)
    }

    fn wsk_ask(
        &mut self,
        caller: Caller,
        op: &Op,
        control: &WskControl,
        word: PointerKind,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(&control.socket)?.handle;
        let (code, is_query) = match control.code {
            WskCode::QueryRecords => (RECORDS, true),
            WskCode::QueryContext => (CONTEXT, true),
            WskCode::SetRecords => (ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, false),
            WskCode::Number(number) => (ControlCode(number), false),
        };
        let records: Arc<[u8]> = match &control.records {
            Some(name) => {
                let blob = self.blobs.get(name);
                let unknown = || BackendFault::Misuse(format!("no records `{name}` were fetched"));
                Arc::clone(blob.ok_or_else(unknown)?)
            }
            None => Arc::from([]),
        };
        let needed =
            if is_query { self.needed(caller, socket, code) } else { u32::try_from(records.len()).ok() };
        let out = control.out.or_else(|| is_query.then(Output::default));
        let input = control.input.or_else(|| (code == SET).then(Input::default));
        let output = out.map(|out| {
            let length = out.length.bytes(needed);
            // A length of 0 that is asked for as such goes with NULL.
            let pointer = if length == 0 { PointerKind::NullPointer } else { out.pointer };
            (self.output_buffer(caller, Output { pointer, ..out }, needed), length)
        });
        let input = input.map(|input| self.input_buffer(caller, input, &records));
        let word_bytes = if control.size_returned == SizeReturned::Ulong { 4 } else { 8 };
        let word = self.buffer(caller, word, word_bytes, word_bytes.into(), 0);
        self.world.write_memory(caller, word.pointer, &POISON.to_le_bytes());
        let irp = match control.irp {
            IrpKind::None => None,
            kind => self.world.io_allocate_irp(caller, kind == IrpKind::WithRoutine),
        };
        let size = |given: Option<(Buffer, u32)>| {
            given.map_or(0, |(_, length)| u64::from(length).saturating_add(control.size_beyond))
        };
        let pointer =
            |given: Option<(Buffer, u32)>| given.map_or(Pointer::NULL, |(buffer, _)| buffer.pointer);
        let parameters = wfp_sim::wsk::WskControl {
            request_type: match control.request {
                WskRequest::SetOption => RequestType::SetOption,
                WskRequest::GetOption => RequestType::GetOption,
                WskRequest::Ioctl => RequestType::Ioctl,
            },
            code,
            level: control.level,
            input_size: size(input),
            input: pointer(input),
            output_size: size(output),
            output: pointer(output),
            output_size_returned: word.pointer,
        };
        let result = self.world.wsk_control_socket(caller, irql(control.irql), socket, &parameters, irp);
        let buffers = [output, input].into_iter().flatten().map(|(buffer, _)| buffer);
        let memory = buffers.chain([word]).collect();
        let asked = WskAsked { caller, irp, output, word, needed, is_query, memory };
        if result == Ok(NtStatus::STATUS_PENDING) {
            if let Some(name) = &op.name {
                self.irps.insert(Name::clone(name), asked);
            }
            return Ok(Observation::new(Outcome::Pending));
        }
        Ok(self.wsk_ended(op.name.as_ref(), asked, result))
    }

    /// What a driver sees of a call that has ended, whose memory and IRP it then gives back.
    fn wsk_ended(
        &mut self,
        name: Option<&Name>,
        asked: WskAsked,
        result: Result<NtStatus, BugCheck>,
    ) -> Observation {
        let WskAsked { caller, irp, output, word, needed, is_query, memory } = asked;
        let information = irp
            .and_then(|irp| self.world.io_status(caller, irp))
            .and_then(Result::ok)
            .map(|io_status| io_status.information);
        let bytes = self.world.read_memory(caller, word.pointer, 4);
        let returned = bytes.and_then(|bytes| {
            let value = u32::from_le_bytes(bytes.try_into().ok()?);
            Some(if value == POISON { Word::Unchanged } else { Word::Value(value) })
        });
        let outcome = outcome_of(result);
        // The size stands in one place or in both.
        let told = match (outcome == Outcome::Ok, returned, information) {
            (true, Some(Word::Value(bytes)), _) => bytes,
            (true, _, Some(bytes)) => u32::try_from(bytes).unwrap_or(u32::MAX),
            _ => 0,
        };
        let stored = output.map(|(output, length)| {
            let count = told.min(length);
            Stored {
                bytes: self.world.read_memory(caller, output.pointer, count).unwrap_or_default().into(),
                rest_untouched: self.is_untouched(caller, output, count)
                    && self.is_untouched(caller, output, length),
            }
        });
        if let (true, Outcome::Ok, Some(stored), Some(name)) = (is_query, &outcome, &stored, name) {
            self.blobs.insert(Name::clone(name), Arc::clone(&stored.bytes));
        }
        self.free(caller, memory);
        if let Some(irp) = irp {
            // It was pending before only if the driver did not wait for it.
            let _ = self.world.io_free_irp(caller, irp);
        }
        Observation { bytes_returned: returned, information, needed, stored, ..Observation::new(outcome) }
    }

    /// The first of these calls whose IRP has completed.
    pub(super) fn first_completed_irp(&mut self, calls: &[Name]) -> Option<(Name, Observation)> {
        for name in calls {
            let Some(WskAsked { caller, irp: Some(irp), .. }) = self.irps.get(name) else { continue };
            let Some(result) = self.world.io_status(*caller, *irp) else { continue };
            let Some(asked) = self.irps.remove(name) else { continue };
            let observation = self.wsk_ended(Some(name), asked, result.map(|io_status| io_status.status));
            return Some((Name::clone(name), observation));
        }
        None
    }

    fn sio_format(
        &mut self,
        caller: Caller,
        op: &Op,
        asked: &SioFormat,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(&asked.socket)?.handle;
        let mut callers = self.threads.values().filter_map(|threads| threads.values().next());
        let records =
            callers.find_map(|owner| self.world.records_set(*owner, socket).ok()).flatten().cloned();
        let needed = records.as_ref().and_then(|records: &Records| u32::try_from(records.blob().len()).ok());
        let length = asked.out.length.bytes(needed);
        let region = asked.out.region.map_or(length, |region| region.bytes(needed));
        let memory = self.buffer(caller, asked.out.pointer, length, u64::from(region) + 72, 0xCC);
        let offset = u64::from(!asked.aligned);
        let output = if memory.pointer.is_null() { memory.pointer } else { memory.pointer.offset(offset) };
        let word = self.buffer(caller, asked.bytes_transferred, 8, 8, 0);
        self.world.write_memory(caller, word.pointer, &POISON.to_le_bytes());
        let result = self.world.fwps_query_connection_sio_format_redirect_records(
            caller,
            irql(asked.irql),
            records.as_ref(),
            output,
            length.into(),
            word.pointer,
        );
        let outcome = outcome_of(result);
        let bytes = self.world.read_memory(caller, word.pointer, 4);
        let returned = bytes.and_then(|bytes| {
            let value = u32::from_le_bytes(bytes.try_into().ok()?);
            Some(if value == POISON { Word::Unchanged } else { Word::Value(value) })
        });
        let count = if outcome == Outcome::Ok { needed.unwrap_or(0).min(length) } else { 0 };
        let bytes: Arc<[u8]> = self.world.read_memory(caller, output, count).unwrap_or_default().into();
        let behind = self.world.read_memory(caller, output.offset(count.into()), 64);
        let rest_untouched = behind.is_none_or(|behind| behind.iter().all(|byte| *byte == 0xCC));
        if let (Outcome::Ok, Some(name)) = (&outcome, &op.name) {
            self.blobs.insert(Name::clone(name), Arc::clone(&bytes));
        }
        self.free(caller, [memory, word]);
        let stored = Some(Stored { bytes, rest_untouched });
        Ok(Observation { bytes_returned: returned, needed, stored, ..Observation::new(outcome) })
    }
}

const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

fn outcome_of(result: Result<NtStatus, BugCheck>) -> Outcome {
    match result {
        Ok(status) if status.is_success() => Outcome::Ok,
        Ok(status) => Outcome::Status(status),
        Err(bug_check) => Outcome::BugCheck(bug_check),
    }
}

fn irql(name: IrqlName) -> Irql {
    match name {
        IrqlName::Passive => Irql::Passive,
        IrqlName::Apc => Irql::Apc,
        IrqlName::Dispatch => Irql::Dispatch,
        IrqlName::High => Irql::High,
    }
}
