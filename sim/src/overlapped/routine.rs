//! Completion routines: they run in the thread that asked, and only while it waits alertably.
//!
//! Source: sdk-api "WSAIoctl", "SleepEx", "WSAAccept"; docs/behaviour.md, "Overlapped calls", C-47.

use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{Caller, Tid};
use crate::memory::Pointer;
use crate::world::World;

/// A call of a completion routine: its arguments. `dwFlags` is always 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutineCall {
    /// The routine.
    pub routine: Pointer,
    /// `dwError`; `None` is 0.
    pub error: Option<WinsockError>,
    /// `cbTransferred`.
    pub bytes: u32,
    /// `lpOverlapped`, as the call had it.
    pub overlapped: Pointer,
}

impl RoutineCall {
    pub(super) fn renumbered(&self, renumber: &Renumber) -> Self {
        let (routine, overlapped) = (renumber.pointer(self.routine), renumber.pointer(self.overlapped));
        Self { routine, overlapped, ..*self }
    }
}

/// Code of the program that Windows calls, and that is to return before its thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Callback {
    /// A completion routine.
    CompletionRoutine,
    /// The condition function of `WSAAccept`.
    ConditionFunction,
}

impl World {
    /// An alertable wait (`SleepEx`, `WSAWaitForMultipleEvents` with `fAlertable`): the routine that waits longest
    /// for this thread is called, if there is one. The thread is in it until
    /// [`World::return_from_routine`]; it can wait alertably in there too.
    pub fn alertable_wait(&mut self, caller: Caller) -> Option<RoutineCall> {
        let waiting = self.notifications.routines.get_mut(&caller.tid)?;
        let call = waiting.pop_front()?;
        if waiting.is_empty() {
            self.notifications.routines.remove(&caller.tid);
        }
        self.enter(caller, Callback::CompletionRoutine);
        Some(call)
    }

    /// The completion routine that the thread is in returns; `false` where it is in none.
    pub fn return_from_routine(&mut self, caller: Caller) -> bool {
        self.leave(caller, Callback::CompletionRoutine)
    }

    pub(crate) fn enter(&mut self, caller: Caller, callback: Callback) {
        self.notifications.callbacks.entry(caller.tid).or_default().push(callback);
    }

    /// Leaves the innermost callback, if it is of this kind.
    pub(crate) fn leave(&mut self, caller: Caller, callback: Callback) -> bool {
        let Some(callbacks) = self.notifications.callbacks.get_mut(&caller.tid) else { return false };
        let left = callbacks.pop_if(|innermost| *innermost == callback).is_some();
        if callbacks.is_empty() {
            self.notifications.callbacks.remove(&caller.tid);
        }
        left
    }

    /// An APC for a thread; it is lost where the thread has ended.
    pub(super) fn queue_routine(&mut self, thread: Tid, call: RoutineCall) {
        if self.processes.values().any(|process| process.threads.contains(&thread)) {
            self.notifications.routines.entry(thread).or_default().push_back(call);
        }
    }

    pub(super) fn forget_thread(&mut self, thread: Tid) {
        self.notifications.routines.remove(&thread);
        self.notifications.callbacks.remove(&thread);
    }
}
