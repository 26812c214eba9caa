//! IRPs: how a driver learns what became of a call.
//!
//! Source: driver-docs "Using IRPs with Winsock Kernel Functions"; ddi "PFN_WSK_CONTROL_SOCKET", Irp and Return value.

use std::collections::BTreeMap;

use super::control::Request;
use crate::bug_check::BugCheck;
use crate::canonical::Renumber;
use crate::ids::{Caller, IrpHandle, Pid, SocketId};
use crate::ntstatus::NtStatus;
use crate::profile::Profile;
use crate::world::World;

/// `IoStatus` of an IRP that completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoStatus {
    /// `Status`.
    pub status: NtStatus,
    /// `Information`: bytes, as `SIZE_T` has them.
    pub information: u64,
}

/// Every IRP of every driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Irps {
    irps: BTreeMap<(Pid, IrpHandle), Irp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Irp {
    /// Whether `IoSetCompletionRoutine` was called.
    has_routine: bool,
    state: State,
    /// How often the completion routine was called.
    completions: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Given to no call.
    Idle,
    Pending(Box<Request>),
    /// Its completion routine was called.
    Completed(Result<IoStatus, BugCheck>),
}

impl Irps {
    /// IRPs that are allocated now.
    pub(crate) fn live(&self) -> usize {
        self.irps.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &(Pid, IrpHandle)> {
        self.irps.keys()
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let irps = self.irps.iter().map(|((pid, handle), irp)| {
            let mut irp = irp.clone();
            if let State::Pending(request) = &mut irp.state {
                **request = request.renumbered(renumber, profile);
            }
            ((*pid, renumber.irp(*pid, *handle)), irp)
        });
        Self { irps: irps.collect() }
    }

    /// The IRPs that wait on a socket, oldest first.
    fn pending_on(&self, socket: SocketId) -> Vec<(Pid, IrpHandle)> {
        let waits = |irp: &Irp| matches!(&irp.state, State::Pending(request) if request.socket == socket);
        self.irps.iter().filter(|(_, irp)| waits(irp)).map(|(key, _)| *key).collect()
    }

    fn forget(&mut self, pid: Pid) {
        self.irps.retain(|(owner, _), _| *owner != pid);
    }
}

impl World {
    /// `IoAllocateIrp`; `routine`: and `IoSetCompletionRoutine`, which a WSK call needs. `None` where the driver has
    /// ended.
    pub fn io_allocate_irp(&mut self, caller: Caller, routine: bool) -> Option<IrpHandle> {
        if !self.is_driver(caller.pid) {
            return None;
        }
        let handle = IrpHandle(self.next_descriptor().0);
        let irp = Irp { has_routine: routine, state: State::Idle, completions: 0 };
        self.irps.irps.insert((caller.pid, handle), irp);
        Some(handle)
    }

    /// `IoFreeIrp`.
    ///
    /// # Errors
    /// MULTIPLE_IRP_COMPLETE_REQUESTS while the IRP is pending; PAGE_FAULT_IN_NONPAGED_AREA where there is none.
    pub fn io_free_irp(&mut self, caller: Caller, irp: IrpHandle) -> Result<(), BugCheck> {
        self.check_irp(caller, irp)?;
        self.irps.irps.remove(&(caller.pid, irp));
        Ok(())
    }

    /// `IoCancelIrp`: an IRP that waits completes with STATUS_CANCELLED. `false` where it does not wait.
    pub fn io_cancel_irp(&mut self, caller: Caller, irp: IrpHandle) -> bool {
        self.cancel_irp(caller.pid, irp)
    }

    /// What the completion routine of an IRP finds in its `IoStatus`; `None` where it was not called yet. A bug check
    /// where what WSK was to write is not there any more.
    #[must_use]
    pub fn io_status(&self, caller: Caller, irp: IrpHandle) -> Option<Result<IoStatus, BugCheck>> {
        match &self.irps.irps.get(&(caller.pid, irp))?.state {
            State::Completed(result) => Some(*result),
            State::Idle | State::Pending(_) => None,
        }
    }

    /// How often the completion routine of an IRP was called.
    #[must_use]
    pub fn irp_completions(&self, caller: Caller, irp: IrpHandle) -> u32 {
        self.irps.irps.get(&(caller.pid, irp)).map_or(0, |irp| irp.completions)
    }

    /// Whether an IRP can be given to a call: whether it has a completion routine.
    pub(super) fn check_irp(&self, caller: Caller, irp: IrpHandle) -> Result<bool, BugCheck> {
        match self.irps.irps.get(&(caller.pid, irp)) {
            None => Err(BugCheck::PageFaultInNonpagedArea),
            Some(Irp { state: State::Pending(_), .. }) => Err(BugCheck::MultipleIrpCompleteRequests),
            Some(irp) => Ok(irp.has_routine),
        }
    }

    pub(super) fn pend_irp(&mut self, pid: Pid, irp: IrpHandle, request: Request) {
        if let Some(irp) = self.irps.irps.get_mut(&(pid, irp)) {
            irp.state = State::Pending(Box::new(request));
        }
    }

    pub(super) fn complete_irp(&mut self, pid: Pid, irp: IrpHandle, result: Result<IoStatus, BugCheck>) {
        if let Some(irp) = self.irps.irps.get_mut(&(pid, irp)) {
            irp.state = State::Completed(result);
            irp.completions = irp.completions.saturating_add(1);
        }
    }

    pub(super) fn take_request(&mut self, pid: Pid, irp: IrpHandle) -> Option<Request> {
        let irp = self.irps.irps.get_mut(&(pid, irp))?;
        if !matches!(irp.state, State::Pending(_)) {
            return None;
        }
        match std::mem::replace(&mut irp.state, State::Idle) {
            State::Pending(request) => Some(*request),
            State::Idle | State::Completed(_) => None,
        }
    }

    /// A socket answers again: what waited on it completes, oldest first.
    pub(crate) fn answer_irps(&mut self, socket: SocketId) {
        for (pid, irp) in self.irps.pending_on(socket) {
            if let Some(request) = self.take_request(pid, irp) {
                let result = self.answer_request(pid, &request);
                self.complete_irp(pid, irp, result);
            }
        }
    }

    /// A socket has ended: what waited on it is cancelled.
    pub(crate) fn cancel_irps(&mut self, socket: SocketId) {
        for (pid, irp) in self.irps.pending_on(socket) {
            self.cancel_irp(pid, irp);
        }
    }

    fn cancel_irp(&mut self, pid: Pid, irp: IrpHandle) -> bool {
        let waits = self.take_request(pid, irp).is_some();
        if waits {
            let cancelled = IoStatus { status: NtStatus::STATUS_CANCELLED, information: 0 };
            self.complete_irp(pid, irp, Ok(cancelled));
        }
        waits
    }

    /// A driver has ended.
    pub(crate) fn forget_irps(&mut self, pid: Pid) {
        self.irps.forget(pid);
    }
}
