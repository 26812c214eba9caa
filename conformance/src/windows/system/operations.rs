//! Overlapped operations: their structures, events, completion routines and ports; and condition functions.

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;

use wfp_sim::WinsockError;
use windows_sys::Win32::Foundation::{
    CloseHandle, HANDLE, INVALID_HANDLE_VALUE, STATUS_PENDING, WAIT_EVENT, WAIT_IO_COMPLETION, WAIT_OBJECT_0,
};
use windows_sys::Win32::Networking::WinSock::{
    CF_ACCEPT, CF_DEFER, CF_REJECT, INVALID_SOCKET, QOS, WSA_WAIT_TIMEOUT, WSAAccept, WSABUF,
    WSACancelBlockingCall, WSACloseEvent, WSACreateEvent, WSAGetOverlappedResult, WSAWaitForMultipleEvents,
};
use windows_sys::Win32::System::IO::{
    CancelIoEx, CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED,
};
use windows_sys::Win32::System::Threading::SleepEx;

use super::{Memory, Socket, check, check_bool, last_error};
use crate::vocabulary::{Condition, PointerKind};

const TIMEOUT: WAIT_EVENT = WSA_WAIT_TIMEOUT;

/// An event of Winsock.
#[derive(Debug)]
pub(in crate::windows) struct Event(pub(super) HANDLE);

// SAFETY: handles belong to the process, not to a thread.
unsafe impl Send for Event {}
// SAFETY: the system takes care of calls at the same time.
unsafe impl Sync for Event {}

impl Event {
    pub(in crate::windows) fn new() -> Result<Self, WinsockError> {
        // SAFETY: there are no pointers.
        let event = unsafe { WSACreateEvent() };
        if event == 0 { Err(last_error()) } else { Ok(Self(event as HANDLE)) }
    }

    pub(in crate::windows) fn is_signaled(&self) -> Result<bool, WinsockError> {
        // SAFETY: the handle is there for the length of the call.
        let waited = unsafe { WSAWaitForMultipleEvents(1, &raw const self.0, 0, 0, 0) };
        match waited {
            WAIT_OBJECT_0 => Ok(true),
            TIMEOUT => Ok(false),
            _ => Err(last_error()),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle is ours. There is nobody to tell of a failure.
        let _ = unsafe { WSACloseEvent(self.0 as isize) };
    }
}

/// A `WSAOVERLAPPED`, or an address where none is.
#[derive(Debug)]
pub(in crate::windows) struct OverlappedMemory {
    memory: Memory,
    event: Option<Event>,
}

impl OverlappedMemory {
    /// `None` where the system has no memory left.
    pub(in crate::windows) fn new(pointer: PointerKind, event: Option<Event>) -> Option<Self> {
        let memory = match pointer {
            PointerKind::Valid => Memory::of(&[0; size_of::<OVERLAPPED>()])?,
            other => Memory::new(other, u32::try_from(size_of::<OVERLAPPED>()).ok()?, None, 0)?,
        };
        if let Some(event) = &event {
            memory.write(std::mem::offset_of!(OVERLAPPED, hEvent), &(event.0 as usize).to_ne_bytes());
        }
        Some(Self { memory, event })
    }

    pub(super) fn pointer(&self) -> *mut OVERLAPPED {
        self.memory.pointer()
    }

    pub(in crate::windows) fn address(&self) -> usize {
        self.memory.address()
    }

    pub(in crate::windows) fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// Whether the system may still write to it, and to the buffers of its operation.
    pub(in crate::windows) fn goes_on(&self) -> bool {
        self.memory.word(0) == u32::try_from(STATUS_PENDING).ok()
    }

    /// `WSAGetOverlappedResult`: the bytes that were transferred.
    pub(in crate::windows) fn result(&self, socket: Socket, wait: bool) -> Result<u32, WinsockError> {
        let (mut bytes, mut flags) = (0, 0);
        let (to, flags) = (&raw mut bytes, &raw mut flags);
        // SAFETY: the structure is a `Memory`, the words are there for the length of the call.
        let done = unsafe { WSAGetOverlappedResult(socket.0, self.pointer(), to, wait.into(), flags) };
        check_bool(done).map(|()| bytes)
    }

    /// `CancelIoEx` of this operation; without one, of all of the socket.
    pub(in crate::windows) fn cancel(socket: Socket, this: Option<&Self>) -> Result<(), WinsockError> {
        let overlapped = this.map_or(ptr::null(), |this| this.pointer().cast_const());
        // SAFETY: the system compares the pointer, and does not read there.
        check_bool(unsafe { CancelIoEx(socket.0 as HANDLE, overlapped) })
    }
}

/// What a completion routine or a port is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::windows) struct Told {
    pub(in crate::windows) error: Option<WinsockError>,
    pub(in crate::windows) bytes: u32,
    /// The address of the `WSAOVERLAPPED`.
    pub(in crate::windows) overlapped: usize,
}

type OnCall = Box<dyn FnMut(Told)>;
type OnAsked = Box<dyn FnMut() -> Condition>;

thread_local! {
    /// What is done where a completion routine is called in this thread.
    static ON_CALL: RefCell<Option<OnCall>> = const { RefCell::new(None) };
    /// Routines that were called before the thread waited for them: calls of Winsock that block may wait alertably.
    static EARLY: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    /// What a condition function does in this thread.
    static ON_ASKED: RefCell<Option<OnAsked>> = const { RefCell::new(None) };
}

/// The completion routine of every operation that has one.
pub(super) unsafe extern "system" fn on_completion(
    error: u32,
    bytes: u32,
    overlapped: *mut OVERLAPPED,
    _flags: u32,
) {
    let error = (error != 0).then_some(WinsockError(error.cast_signed()));
    let told = Told { error, bytes, overlapped: overlapped as usize };
    // Taken out while it runs: what it does may lead here again.
    let Some(mut on_call) = ON_CALL.with(|cell| cell.try_borrow_mut().ok().and_then(|mut cell| cell.take()))
    else {
        EARLY.with(|cell| cell.borrow_mut().push(told));
        return;
    };
    on_call(told);
    ON_CALL.with(|cell| cell.replace(Some(on_call)));
}

/// `SleepEx` of this thread: `on_call` hears of every routine that is called, or was already, at most of so many.
pub(in crate::windows) fn alertable_wait(at_most: usize, mut on_call: impl FnMut(Told) + 'static) {
    for told in EARLY.take() {
        on_call(told);
    }
    ON_CALL.with(|cell| cell.replace(Some(Box::new(on_call))));
    for _ in 0..at_most {
        // SAFETY: there are no pointers; the routines that it calls are those of operations that are kept.
        if unsafe { SleepEx(0, 1) } != WAIT_IO_COMPLETION {
            break;
        }
    }
    ON_CALL.with(|cell| cell.replace(None));
}

unsafe extern "system" fn condition(
    _caller: *mut WSABUF,
    _caller_data: *mut WSABUF,
    _qos: *mut QOS,
    _group_qos: *mut QOS,
    _callee: *mut WSABUF,
    _callee_data: *mut WSABUF,
    _group: *mut u32,
    _callback_data: usize,
) -> i32 {
    let asked = ON_ASKED.with(|cell| cell.try_borrow_mut().ok().and_then(|mut cell| cell.take()));
    let decided = asked.map_or(Condition::Accept, |mut on_asked| on_asked());
    let number = match decided {
        Condition::Accept => CF_ACCEPT,
        Condition::Reject => CF_REJECT,
        Condition::Defer => CF_DEFER,
    };
    number.cast_signed()
}

/// `WSAAccept` with a condition function.
pub(in crate::windows) fn accept_conditionally(
    socket: Socket,
    on_asked: impl FnMut() -> Condition + 'static,
) -> Result<Socket, WinsockError> {
    ON_ASKED.with(|cell| cell.replace(Some(Box::new(on_asked))));
    // SAFETY: nobody wants the address.
    let accepted = unsafe { WSAAccept(socket.0, ptr::null_mut(), ptr::null_mut(), Some(condition), 0) };
    let result = if accepted == INVALID_SOCKET { Err(last_error()) } else { Ok(Socket(accepted)) };
    ON_ASKED.with(|cell| cell.replace(None));
    result
}

/// `WSACancelBlockingCall`.
pub(in crate::windows) fn cancel_blocking_call() -> Result<(), WinsockError> {
    // SAFETY: there are no pointers.
    check(unsafe { WSACancelBlockingCall() })
}

/// A completion port.
#[derive(Debug)]
pub(in crate::windows) struct CompletionPort(HANDLE);

// SAFETY: handles belong to the process, not to a thread.
unsafe impl Send for CompletionPort {}
// SAFETY: the system takes care of calls at the same time.
unsafe impl Sync for CompletionPort {}

impl CompletionPort {
    pub(in crate::windows) fn new() -> Result<Arc<Self>, WinsockError> {
        // SAFETY: there is no file, and no port yet.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() { Err(last_error()) } else { Ok(Arc::new(Self(port))) }
    }

    pub(in crate::windows) fn associate(&self, socket: Socket) -> Result<(), WinsockError> {
        // SAFETY: a handle that is no socket is refused.
        let port = unsafe { CreateIoCompletionPort(socket.0 as HANDLE, self.0, 0, 0) };
        if port.is_null() { Err(last_error()) } else { Ok(()) }
    }

    /// What waits there, where something does.
    pub(in crate::windows) fn dequeue(&self) -> Result<Told, WinsockError> {
        let (mut bytes, mut key, mut overlapped) = (0, 0, ptr::null_mut());
        let (to, key, at) = (&raw mut bytes, &raw mut key, &raw mut overlapped);
        // SAFETY: the words are there for the length of the call.
        let got = check_bool(unsafe { GetQueuedCompletionStatus(self.0, to, key, at, 0) });
        match got {
            Err(error) if overlapped.is_null() => Err(error),
            got => Ok(Told { error: got.err(), bytes, overlapped: overlapped as usize }),
        }
    }
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        // SAFETY: the handle is ours. There is nobody to tell of a failure.
        let _ = unsafe { CloseHandle(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_routine_that_was_called_before_the_thread_waited_is_told_once_when_it_does() {
        // SAFETY: the structure is an address that is told, and not read.
        unsafe { on_completion(0, 4, ptr::without_provenance_mut(64), 0) };
        let heard: Rc<RefCell<Vec<Told>>> = Rc::default();
        for _ in 0..2 {
            let each = Rc::clone(&heard);
            alertable_wait(1, move |told| each.borrow_mut().push(told));
        }
        assert_eq!(*heard.borrow(), [Told { error: None, bytes: 4, overlapped: 64 }]);
    }
}
