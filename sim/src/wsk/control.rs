//! `WskControlSocket` with the three control codes.
//!
//! Source: the WSK pages of the control codes; ddi "PFN_WSK_CONTROL_SOCKET". Where the two disagree (C-09, C-49, C-50)
//! a profile field decides.

use std::sync::Arc;

use super::{IoStatus, Irql, RequestType, WskControl};
use crate::bug_check::BugCheck;
use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{Caller, IrpHandle, Pid, SocketHandle, SocketId};
use crate::ioctl::{self, IoctlBuffers, Operation, set_records};
use crate::memory::{Memory, Pointer};
use crate::ntstatus::NtStatus as S;
use crate::profile::{
    Answer, Effect, Elevation, EmptyInput, KernelRights, Level, Malformed, OtherKind, Profile, SizeReturned,
    SizeWidth, Usage, WindowsVersion, WskIrql,
};
use crate::records::Records;
use crate::world::World;

/// A call that waits with its IRP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) socket: SocketId,
    operation: Operation,
    control: WskControl,
    /// What SET was given.
    records: Option<Arc<Records>>,
}

impl Request {
    pub(super) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let pointer = |pointer: Pointer| renumber.pointer(pointer);
        Self {
            socket: renumber.socket(self.socket),
            operation: self.operation,
            control: WskControl {
                input: pointer(self.control.input),
                output: pointer(self.control.output),
                output_size_returned: pointer(self.control.output_size_returned),
                ..self.control
            },
            records: self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile))),
        }
    }
}

/// What came of a call: its status, and the bytes that it is about.
struct Answered {
    status: S,
    /// Bytes for `OutputSizeReturned` and, as far as the profile has it so, `IoStatus.Information`.
    bytes: u64,
}

impl Answered {
    fn fails(status: S) -> Self {
        Self { status, bytes: 0 }
    }
}

impl World {
    /// `WskControlSocket` with `WskIoctl`, called by a driver at this level. STATUS_PENDING where the socket is stalled:
    /// then the IRP completes later, and the buffers must stay until then. Otherwise the IRP, where there is one, has
    /// completed with the status that is returned.
    ///
    /// # Errors
    /// What Windows does not survive: IRQL_NOT_LESS_OR_EQUAL above the level that the profile field `wsk-irql` allows;
    /// MULTIPLE_IRP_COMPLETE_REQUESTS where the IRP is pending; PAGE_FAULT_IN_NONPAGED_AREA for an IRP or a socket
    /// that is not the driver's, and for memory that is to be read or written and is not there.
    pub fn wsk_control_socket(
        &mut self,
        caller: Caller,
        irql: Irql,
        socket: SocketHandle,
        control: &WskControl,
        irp: Option<IrpHandle>,
    ) -> Result<S, BugCheck> {
        if !self.is_driver(caller.pid) {
            return Ok(S::STATUS_INVALID_DEVICE_REQUEST);
        }
        let allowed = match self.profile.wsk_irql {
            WskIrql::Passive => Irql::Passive,
            WskIrql::Dispatch => Irql::Dispatch,
        };
        if irql > allowed {
            return Err(BugCheck::IrqlNotLessOrEqual);
        }
        let has_routine = irp.map(|irp| self.check_irp(caller, irp)).transpose()?;
        let id = self.descriptors.get(&(caller.pid, socket)).copied();
        let id = id.ok_or(BugCheck::PageFaultInNonpagedArea)?;
        let answered = match self.refuse(caller.pid, id, control, has_routine)? {
            Err(status) => Answered::fails(status),
            Ok((operation, records)) if self.is_stalled(Some(id)) => {
                let Some(irp) = irp else { return Ok(S::STATUS_DEVICE_BUSY) };
                self.pend_irp(caller.pid, irp, Request { socket: id, operation, control: *control, records });
                return Ok(S::STATUS_PENDING);
            }
            Ok((operation, records)) => self.answer_control(caller.pid, id, operation, control, records)?,
        };
        self.report_size(caller.pid, control, &answered)?;
        if let Some(irp) = irp {
            let io_status = self.io_status_of(&answered);
            self.complete_irp(caller.pid, irp, Ok(io_status));
        }
        Ok(answered.status)
    }

    /// What shows as soon as a call is made: why it is refused, or what it is to do.
    #[expect(clippy::type_complexity, reason = "a status, or what is to be done; or the machine has ended")]
    fn refuse(
        &self,
        pid: Pid,
        id: SocketId,
        control: &WskControl,
        has_routine: Option<bool>,
    ) -> Result<Result<(Operation, Option<Arc<Records>>), S>, BugCheck> {
        let profile = &*self.profile;
        let refused = |status: S| Ok(Err(status));
        if self.network_down {
            return refused(S::STATUS_FILE_FORCED_CLOSED);
        }
        if control.request_type != RequestType::Ioctl {
            return refused(S::STATUS_NOT_SUPPORTED);
        }
        if control.level != 0 && profile.wsk_level == Level::Zero {
            return refused(S::STATUS_INVALID_PARAMETER);
        }
        let operation = match Operation::of(control.code) {
            Some(_) if profile.windows_version == WindowsVersion::Seven => {
                return refused(S::STATUS_NOT_SUPPORTED);
            }
            Some(operation) if operation != Operation::Flush => operation,
            _ if profile.unknown_code == WinsockError::WSAEINVAL => {
                return refused(S::STATUS_INVALID_PARAMETER);
            }
            _ => return refused(S::STATUS_NOT_SUPPORTED),
        };
        let socket = self.sockets.get(&id);
        match socket.map(|socket| ioctl::on_kind(socket, operation.is_query(), profile)) {
            None => return refused(S::STATUS_FILE_FORCED_CLOSED),
            Some(OtherKind::Served) => {}
            Some(OtherKind::Invalid) => return refused(S::STATUS_INVALID_PARAMETER),
            Some(OtherKind::NoProtocolOption | OtherKind::NotSupported) => {
                return refused(S::STATUS_NOT_SUPPORTED);
            }
        }
        let word = !control.output_size_returned.is_null();
        let suits = match (profile.wsk_size_returned, has_routine) {
            (SizeReturned::WithIrp, Some(_)) => word || !operation.is_query(),
            (SizeReturned::WithIrp, None) => false,
            (SizeReturned::WithoutIrp, Some(_)) => !word,
            (SizeReturned::WithoutIrp, None) | (SizeReturned::Both, _) => true,
        };
        if !suits || has_routine == Some(false) {
            return refused(S::STATUS_INVALID_PARAMETER);
        }
        let (Ok(input_size), Ok(_)) = (u32::try_from(control.input_size), u32::try_from(control.output_size))
        else {
            return refused(S::STATUS_INTEGER_OVERFLOW);
        };
        let unused_is_invalid = if operation.is_query() {
            let given = !control.input.is_null() || control.input_size > 0;
            given && profile.query_input_buffer == Usage::Invalid
        } else {
            let given = !control.output.is_null() || control.output_size > 0;
            given && profile.set_output_length == Usage::Invalid
        };
        let without_buffer = |pointer: Pointer, size: u64| pointer.is_null() && size > 0;
        if unused_is_invalid
            || (operation.is_query() && without_buffer(control.output, control.output_size))
            || (!operation.is_query() && without_buffer(control.input, control.input_size))
        {
            return refused(S::STATUS_INVALID_PARAMETER);
        }
        let mut records = None;
        if !operation.is_query() {
            if input_size == 0 && profile.set_empty_input != EmptyInput::ClearsRecords {
                return refused(S::STATUS_INVALID_PARAMETER);
            }
            if input_size > 0 && !self.memory.is_valid(pid, control.input, input_size.into()) {
                return Err(BugCheck::PageFaultInNonpagedArea);
            }
            let buffers = IoctlBuffers::set(control.input, input_size, Pointer::NULL);
            records = set_records::input(&self.memory, pid, &buffers, profile, &self.flows);
        }
        let asked = if operation.is_query() {
            profile.wsk_query_rights == KernelRights::Needed
        } else {
            profile.set_needs_elevation == Elevation::Needed
        };
        let elevated = self.processes.get(&pid).is_some_and(|process| process.elevated);
        if asked && !elevated {
            return refused(S::STATUS_ACCESS_DENIED);
        }
        Ok(Ok((operation, records)))
    }

    /// Answers a call that waited.
    pub(super) fn answer_request(&mut self, pid: Pid, request: &Request) -> Result<IoStatus, BugCheck> {
        let Request { socket, operation, control, records } = request;
        let answered = self.answer_control(pid, *socket, *operation, control, records.clone())?;
        self.report_size(pid, control, &answered)?;
        Ok(self.io_status_of(&answered))
    }

    /// What the socket has to tell, or what SET does to it.
    fn answer_control(
        &mut self,
        pid: Pid,
        id: SocketId,
        operation: Operation,
        control: &WskControl,
        records: Option<Arc<Records>>,
    ) -> Result<Answered, BugCheck> {
        let profile = Arc::clone(&self.profile);
        let Some(socket) = self.sockets.get(&id) else {
            return Ok(Answered::fails(S::STATUS_FILE_FORCED_CLOSED));
        };
        if operation == Operation::SetRecords {
            let malformed = records.is_none() && control.input_size > 0;
            let status = match set_records::effect(socket, &profile) {
                Effect::IsConnected | Effect::Invalid => S::STATUS_INVALID_DEVICE_STATE,
                _ if malformed && profile.set_malformed != Malformed::NoEffect => S::STATUS_INVALID_PARAMETER,
                _ if profile.set_stale_records == Usage::Invalid
                    && records
                        .as_ref()
                        .is_some_and(|records| set_records::is_stale(records, &self.flows)) =>
                {
                    S::STATUS_INVALID_PARAMETER
                }
                Effect::Effective | Effect::NoEffect => S::STATUS_SUCCESS,
            };
            if status == S::STATUS_SUCCESS {
                check_word(&self.memory, pid, control, &profile)?;
                self.set_records(id, records, control.input_size == 0);
            }
            return Ok(Answered::fails(status));
        }
        let Self { memory, flows, contexts, .. } = self;
        let accepted = ioctl::accepted(socket, flows);
        if !ioctl::is_connected(socket, accepted, flows, &profile) {
            return Ok(Answered::fails(S::STATUS_INVALID_CONNECTION));
        }
        if accepted.is_none_or(|flow| flow.records.is_none()) {
            return Ok(Answered::fails(S::STATUS_NOT_FOUND));
        }
        let Some(output) =
            ioctl::output(Some(operation), accepted, contexts).filter(|bytes| !bytes.is_empty())
        else {
            return Ok(Answered::fails(match profile.context_absent {
                Answer::Nothing => S::STATUS_SUCCESS,
                Answer::Fails(_) => S::STATUS_NOT_FOUND,
            }));
        };
        let bytes = output.len() as u64;
        if control.output_size == 0 {
            return Ok(Answered { status: profile.wsk_size_query, bytes });
        }
        if control.output_size < bytes {
            return Ok(Answered { status: S::STATUS_BUFFER_TOO_SMALL, bytes });
        }
        check_word(memory, pid, control, &profile)?;
        if !memory.write(pid, control.output, output) {
            return Err(BugCheck::PageFaultInNonpagedArea);
        }
        Ok(Answered { status: S::STATUS_SUCCESS, bytes })
    }

    /// Stores the bytes in `OutputSizeReturned`, where there are any to be told of.
    fn report_size(&mut self, pid: Pid, control: &WskControl, answered: &Answered) -> Result<(), BugCheck> {
        let told = answered.bytes > 0 || answered.status == S::STATUS_SUCCESS;
        if control.output_size_returned.is_null() || !told {
            return Ok(());
        }
        let bytes = answered.bytes.to_le_bytes();
        let stored = bytes.get(..size_width(&self.profile)).unwrap_or(&bytes);
        let there = self.memory.write(pid, control.output_size_returned, stored);
        there.then_some(()).ok_or(BugCheck::PageFaultInNonpagedArea)
    }

    /// What the completion routine finds. The function's own page has the size there only where the operation
    /// succeeded, and so that it was stored.
    fn io_status_of(&self, answered: &Answered) -> IoStatus {
        let stored = answered.status.is_success();
        let told = stored || self.profile.wsk_size_returned != SizeReturned::WithoutIrp;
        IoStatus { status: answered.status, information: if told { answered.bytes } else { 0 } }
    }
}

/// Bytes of `OutputSizeReturned`.
fn size_width(profile: &Profile) -> usize {
    match profile.wsk_size_width {
        SizeWidth::Ulong => 4,
        SizeWidth::SizeT => 8,
    }
}

/// A fault of `OutputSizeReturned` is found before anything is done.
fn check_word(memory: &Memory, pid: Pid, control: &WskControl, profile: &Profile) -> Result<(), BugCheck> {
    let word = control.output_size_returned;
    let there = word.is_null() || memory.is_valid(pid, word, size_width(profile) as u64);
    there.then_some(()).ok_or(BugCheck::PageFaultInNonpagedArea)
}
