//! Control codes that go pending: who is told of their end, when, and what of.

use rstest::rstest;

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

#[test]
fn pending_call_leaves_the_word_alone_and_its_event_tells_the_end() {
    let mut s = Stalled::default();
    let event = s.event();
    s.m.w.wsa_set_event(s.service, event).unwrap();
    let overlapped = s.overlapped(Some(event));
    s.ask(s.buffers(overlapped));
    assert!(!s.is_signaled(event), "the call resets it");
    assert_eq!((s.result(overlapped), s.word()), (INCOMPLETE, POISONED));
    assert!(s.wrote_nothing());
    s.resume();
    assert!(s.is_signaled(event));
    assert_eq!((s.result(overlapped), s.word()), (Ok(NEEDED), POISONED));
    let expected = s.m.w.query_redirect_records(s.service, s.socket).unwrap();
    assert_eq!(s.m.w.read_memory(s.service, s.output, NEEDED), Some(expected));
}

#[test]
fn call_that_completes_at_once_returns_the_size_and_is_told_of_all_the_same() {
    let mut s = Stalled::default();
    s.resume();
    let event = s.event();
    let overlapped = s.overlapped(Some(event));
    let buffers = s.buffers(overlapped);
    assert_eq!(s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers), Ok(Completion::Done(())));
    assert_eq!((s.word(), s.is_signaled(event), s.result(overlapped)), (NEEDED, true, Ok(NEEDED)));
}

#[test]
fn call_that_fails_at_once_is_told_of_by_its_return_value_alone() {
    let mut s = Stalled::default();
    let event = s.event();
    let overlapped = s.overlapped(Some(event));
    let buffers = IoctlBuffers { output_length: 3, ..s.buffers(overlapped) };
    let result = s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers);
    assert_eq!(result, Err(WinsockError::WSAEINVAL), "too short, whatever there will be to store");
    s.resume();
    let buffers = IoctlBuffers { output_length: 4, ..buffers };
    let result = s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers);
    assert_eq!(result, Err(WinsockError::ERROR_INSUFFICIENT_BUFFER));
    assert_eq!((s.is_signaled(event), s.result(overlapped)), (false, Ok(0)), "as it was made");
}

#[rstest]
#[case::documented("documented", NEEDED)]
#[case::at_its_word("doc-parameters", 0)]
fn buffer_that_is_found_too_small_after_the_call_went_pending(#[case] profile: &str, #[case] bytes: u32) {
    let mut s = Stalled::of(Machine::new(Profile::built_in(profile).unwrap()));
    let overlapped = s.overlapped(None);
    s.ask(IoctlBuffers { output_length: 127, ..s.buffers(overlapped) });
    s.resume();
    let error = s.m.w.profile().too_small.error;
    assert_eq!(s.result(overlapped), Err(error));
    let transferred = s.m.w.read_memory(s.service, overlapped.offset(8), 4).unwrap();
    assert_eq!(transferred, bytes.to_le_bytes());
    assert!(s.wrote_nothing());
}

#[test]
fn several_operations_on_one_socket_end_in_the_order_they_were_asked() {
    let mut s = Stalled::default();
    let port = s.m.w.create_io_completion_port(s.service).unwrap();
    s.m.w.associate_with_port(s.service, s.socket, port, 9).unwrap();
    let asked = [s.ask_overlapped(), s.ask_overlapped(), s.ask_overlapped()];
    s.resume();
    for overlapped in asked {
        let packet = CompletionPacket { key: 9, overlapped, result: Ok(()), bytes: NEEDED };
        assert_eq!(s.m.w.get_queued_completion_status(s.service, port), Ok(packet));
    }
    let empty = Err(WinsockError::WAIT_TIMEOUT);
    assert_eq!(s.m.w.get_queued_completion_status(s.service, port), empty);
}

#[test]
fn set_takes_its_input_when_it_is_called_and_has_effect_when_it_ends() {
    let mut s = Stalled::default();
    s.resume();
    let blob = s.m.w.query_redirect_records(s.service, s.socket).unwrap();
    let onward = s.m.w.socket(s.service, SocketKind::V4).unwrap();
    s.m.w.stall(s.service, onward).unwrap();
    let (input, overlapped) = (s.m.w.allocate(s.service, NEEDED.into(), 0), s.overlapped(None));
    s.m.w.write_memory(s.service, input, &blob);
    let buffers = IoctlBuffers { overlapped, ..IoctlBuffers::set(input, NEEDED, s.word) };
    assert_eq!(s.m.w.wsa_ioctl(s.service, onward, SET, &buffers), Err(WinsockError::WSA_IO_PENDING));
    s.m.w.free(s.service, input);
    assert_eq!(s.m.w.records_set(s.service, onward), Ok(None));
    s.m.w.resume(s.service, onward).unwrap();
    let records = s.m.w.records_set(s.service, onward).unwrap();
    assert_eq!(records.map(crate::Records::blob), Some(&blob[..]));
}

#[rstest]
fn socket_without_the_attribute_ignores_both_pointers(#[values(false, true)] invalid: bool) {
    let mut m = Machine::default();
    let plain = SocketKind { overlapped: false, ..SocketKind::V4 };
    let socket = m.w.socket(m.service, plain).unwrap();
    let (word, code) = (m.w.allocate(m.service, 4, 0), m.w.allocate(m.service, 1, 0));
    let event = m.w.wsa_create_event(m.service).unwrap();
    let overlapped = m.w.allocate_overlapped(m.service, Some(event));
    let or_unmapped = |pointer| if invalid { Pointer::UNMAPPED } else { pointer };
    let buffers = IoctlBuffers {
        overlapped: or_unmapped(overlapped),
        routine: or_unmapped(code),
        ..IoctlBuffers::query(Pointer::NULL, 0, word)
    };
    let result = m.w.wsa_ioctl(m.service, socket, ControlCode::SIO_FLUSH, &buffers);
    assert_eq!(result, Ok(Completion::Done(())));
    assert_eq!(m.w.is_signaled(m.service, event), Ok(false));
    assert_eq!(m.w.alertable_wait(m.service), None);
    m.w.stall(m.service, socket).unwrap();
    let result = m.w.wsa_ioctl(m.service, socket, RECORDS, &buffers);
    assert!(matches!(result, Ok(Completion::Pending(_))), "it waits in its thread: {result:?}");
}

#[test]
fn call_without_both_pointers_waits_in_its_thread_and_writes_the_word_when_it_returns() {
    let mut s = Stalled::default();
    let call = s.ask_and_wait();
    assert_eq!((s.m.w.completion(call), s.word()), (None, POISONED));
    s.resume();
    assert_eq!(s.m.w.completion(call), Some(Ok(Completed::Controlled)));
    assert_eq!(s.word(), NEEDED);
}

#[test]
fn call_that_would_wait_on_a_non_blocking_socket_is_refused() {
    let mut m = Machine::default();
    let socket = m.w.socket(m.service, SocketKind { nonblocking: true, ..SocketKind::V4 }).unwrap();
    m.w.stall(m.service, socket).unwrap();
    let (word, overlapped) = (m.w.allocate(m.service, 4, 0), m.w.allocate_overlapped(m.service, None));
    let output = m.w.allocate(m.service, 1024, 0);
    let plain = IoctlBuffers::query(output, 1024, word);
    let result = m.w.wsa_ioctl(m.service, socket, RECORDS, &plain);
    assert_eq!(result, Err(WinsockError::WSAEWOULDBLOCK));
    let result = m.w.wsa_ioctl(m.service, socket, RECORDS, &IoctlBuffers { overlapped, ..plain });
    assert_eq!(result, Err(WinsockError::WSA_IO_PENDING));
    assert_eq!(m.w.query_redirect_records(m.service, socket), Err(WinsockError::WSAEWOULDBLOCK));
}

#[test]
fn routine_is_called_in_an_alertable_wait_of_the_thread_that_asked_and_nowhere_else() {
    let mut s = Stalled::default();
    let event = s.event();
    let (overlapped, routine) = (s.overlapped(Some(event)), s.output.offset(8));
    s.ask(IoctlBuffers { routine, ..s.buffers(overlapped) });
    assert_eq!(s.m.w.alertable_wait(s.service), None, "it has not ended");
    s.resume();
    let other = s.m.w.start_thread(s.service).unwrap();
    assert_eq!(s.m.w.alertable_wait(other), None);
    let call = RoutineCall { routine, error: None, bytes: NEEDED, overlapped };
    assert_eq!(s.m.w.alertable_wait(s.service), Some(call));
    assert_eq!(s.m.w.alertable_wait(s.service), None, "once");
    assert!(!s.is_signaled(event), "with a routine the event is the program's own");
    assert!(s.m.w.return_from_routine(s.service));
    assert!(!s.m.w.return_from_routine(s.service));
}

#[test]
fn routine_can_ask_the_same_again() {
    let mut s = Stalled::default();
    s.resume();
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    at_once(s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers)).unwrap();
    for _ in 0..3 {
        assert!(s.m.w.alertable_wait(s.service).is_some());
        at_once(s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers)).unwrap();
    }
    assert!((0..3).all(|_| s.m.w.return_from_routine(s.service)), "one in the other");
}

#[test]
fn structure_used_twice_tells_of_whichever_ended_last() {
    let mut s = Stalled::default();
    let overlapped = s.overlapped(None);
    s.ask(s.buffers(overlapped));
    s.ask(IoctlBuffers { output_length: 4, ..s.buffers(overlapped) });
    s.resume();
    assert_eq!(s.result(overlapped), Err(WinsockError::ERROR_INSUFFICIENT_BUFFER));
}

#[test]
fn waiting_for_the_result_ends_with_the_event() {
    let mut s = Stalled::default();
    let event = s.event();
    let overlapped = s.overlapped(Some(event));
    s.ask(s.buffers(overlapped));
    let wait = |s: &mut Stalled| s.m.w.wsa_get_overlapped_result(s.service, s.socket, overlapped, true);
    let Ok(Completion::Pending(waiting)) = wait(&mut s) else { panic!("it did not wait") };
    assert_eq!(s.m.w.completion(waiting), None);
    s.resume();
    assert_eq!(s.m.w.completion(waiting), Some(Ok(Completed::Transferred(NEEDED))));
    assert_eq!(wait(&mut s), Ok(Completion::Done(NEEDED)));
}

#[test]
fn waiting_for_the_result_needs_an_event_and_a_structure() {
    let mut s = Stalled::default();
    let overlapped = s.ask_overlapped();
    let ask = |s: &mut Stalled, at| s.m.w.wsa_get_overlapped_result(s.service, s.socket, at, true);
    assert_eq!(ask(&mut s, overlapped), Err(WinsockError::WSA_INVALID_HANDLE));
    assert_eq!(ask(&mut s, Pointer::NULL), Err(WinsockError::WSAEFAULT));
    assert_eq!(ask(&mut s, overlapped.offset(1)), Err(WinsockError::WSAEFAULT), "it ends behind its memory");
    let other = SocketHandle(1);
    let result = s.m.w.wsa_get_overlapped_result(s.service, other, overlapped, false);
    assert_eq!(result, Err(WinsockError::WSAENOTSOCK));
}

#[test]
fn event_that_somebody_else_sets_ends_the_wait_before_the_operation() {
    let mut s = Stalled::default();
    let event = s.event();
    let overlapped = s.overlapped(Some(event));
    s.ask(s.buffers(overlapped));
    let wait = s.m.w.wsa_get_overlapped_result(s.service, s.socket, overlapped, true);
    let Ok(Completion::Pending(waiting)) = wait else { panic!("{wait:?}") };
    s.m.w.wsa_set_event(s.service, event).unwrap();
    assert_eq!(s.m.w.completion(waiting), Some(Err(WinsockError::WSA_IO_INCOMPLETE)));
}

/// What cancels an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cancels {
    Close,
    Flush,
    CancelThis,
    CancelAll,
    EndThread,
}

#[rstest]
fn cancelled_operation_ends_once_and_writes_nothing(
    #[values(Cancels::Close, Cancels::Flush, Cancels::CancelThis, Cancels::CancelAll, Cancels::EndThread)]
    how: Cancels,
) {
    let mut s = Stalled::default();
    let port = s.m.w.create_io_completion_port(s.service).unwrap();
    s.m.w.associate_with_port(s.service, s.socket, port, 1).unwrap();
    let event = s.event();
    let (overlapped, other) = (s.overlapped(Some(event)), s.ask_overlapped());
    let main = s.service;
    let asker = s.m.w.start_thread(main).unwrap();
    let result = s.m.w.wsa_ioctl(asker, s.socket, RECORDS, &s.buffers(overlapped));
    assert_eq!(result, Err(WinsockError::WSA_IO_PENDING));
    let word = s.m.w.allocate(main, 4, 0);
    match how {
        Cancels::Close => s.m.w.closesocket(main, s.socket).unwrap(),
        Cancels::Flush => {
            let nothing = IoctlBuffers::query(Pointer::NULL, 0, word);
            at_once(s.m.w.wsa_ioctl(main, s.socket, ControlCode::SIO_FLUSH, &nothing)).unwrap();
        }
        Cancels::CancelThis => s.m.w.cancel_io_ex(main, s.socket, overlapped).unwrap(),
        Cancels::CancelAll => s.m.w.cancel_io_ex(main, s.socket, Pointer::NULL).unwrap(),
        Cancels::EndThread => assert!(s.m.w.end_thread(asker)),
    }
    let aborted = |overlapped| CompletionPacket {
        key: 1,
        overlapped,
        result: Err(WinsockError::WSA_OPERATION_ABORTED),
        bytes: 0,
    };
    let both = !matches!(how, Cancels::CancelThis | Cancels::EndThread);
    if both {
        assert_eq!(s.m.w.get_queued_completion_status(main, port), Ok(aborted(other)));
    }
    assert_eq!(s.m.w.get_queued_completion_status(main, port), Ok(aborted(overlapped)));
    let none = Err(WinsockError::WAIT_TIMEOUT);
    assert_eq!(s.m.w.get_queued_completion_status(main, port), none);
    assert!(s.is_signaled(event) && s.wrote_nothing());
    if how == Cancels::Close {
        return;
    }
    assert_eq!(s.result(overlapped), ABORTED);
    let missing = Err(WinsockError::ERROR_NOT_FOUND);
    assert_eq!(s.m.w.cancel_io_ex(main, s.socket, overlapped), missing, "it has ended");
    s.resume();
    assert_eq!(s.result(overlapped), ABORTED, "it ended once");
    assert_eq!(s.result(other), if both { ABORTED } else { Ok(NEEDED) });
    assert_eq!(
        s.m.w.query_redirect_records(main, s.socket).map(|blob| blob.len()),
        Ok(128),
        "it answers still"
    );
}

#[test]
fn cancelling_what_is_not_there_is_refused() {
    let mut s = Stalled::default();
    let cancel = |s: &mut Stalled, socket| s.m.w.cancel_io_ex(s.service, socket, Pointer::NULL);
    let socket = s.socket;
    assert_eq!(cancel(&mut s, socket), Err(WinsockError::ERROR_NOT_FOUND));
    assert_eq!(cancel(&mut s, SocketHandle(1)), Err(WinsockError::WSA_INVALID_HANDLE));
    s.ask_and_wait();
    assert_eq!(cancel(&mut s, socket), Err(WinsockError::ERROR_NOT_FOUND), "a thread waits in that call");
}

#[test]
fn accept_and_connect_that_are_overlapped_can_be_cancelled_too() {
    let mut m = Machine::default();
    let listener = m.service_at(9);
    let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
    let Ok(Completion::Pending(accept)) = m.w.accept_ex(m.service, listener, socket) else { panic!() };
    m.w.cancel_io_ex(m.service, listener, Pointer::NULL).unwrap();
    assert_eq!(m.w.completion(accept), Some(Err(WinsockError::WSA_OPERATION_ABORTED)));
    assert_eq!(m.w.socket_state(m.service, socket), SocketState::Fresh);
    m.connected("127.0.0.1:9");
    assert!(m.w.accept(m.service, listener).unwrap().done().is_some(), "the connection is not lost");

    let bound = m.bound(SocketKind::V4, "0.0.0.0:0");
    let silent = crate::testing::address(crate::testing::SILENT);
    let Ok(Completion::Pending(connect)) = m.w.connect_ex(m.app, bound, silent, &mut ()) else { panic!() };
    m.w.cancel_io_ex(m.app, bound, Pointer::NULL).unwrap();
    assert_eq!(m.w.completion(connect), Some(Err(WinsockError::WSA_OPERATION_ABORTED)));
    assert_eq!(m.w.socket_state(m.app, bound), SocketState::Bound);
}

#[test]
fn routine_of_a_cancelled_operation_is_told_the_error() {
    let mut s = Stalled::default();
    let (overlapped, routine) = (s.overlapped(None), s.output);
    s.ask(IoctlBuffers { routine, ..s.buffers(overlapped) });
    s.m.w.closesocket(s.service, s.socket).unwrap();
    let call = s.m.w.alertable_wait(s.service).unwrap();
    assert_eq!((call.error, call.bytes), (Some(WinsockError::WSA_OPERATION_ABORTED), 0));
}

#[test]
fn thread_that_ends_takes_its_routines_and_its_waits_with_it() {
    let mut s = Stalled::default();
    let thread = s.m.w.start_thread(s.service).unwrap();
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let result = s.m.w.wsa_ioctl(thread, s.socket, RECORDS, &buffers);
    assert_eq!(result, Err(WinsockError::WSA_IO_PENDING));
    let waiting = s.m.w.wsa_ioctl(thread, s.socket, RECORDS, &s.buffers(Pointer::NULL));
    let Ok(Completion::Pending(waiting)) = waiting else { panic!("{waiting:?}") };
    let live = s.m.w.live();
    assert!(s.m.w.end_thread(thread));
    assert!(!s.m.w.end_thread(thread));
    assert_eq!(s.m.w.live(), live - 2, "both calls");
    assert_eq!(s.result(overlapped), ABORTED);
    assert_eq!(s.m.w.alertable_wait(thread), None);
    assert_eq!(s.m.w.completion(waiting), Some(Err(WinsockError::WSAEINVAL)));
}

#[test]
fn process_ends_with_its_last_thread() {
    let mut m = Machine::default();
    let other = m.w.start_thread(m.app).unwrap();
    assert!(m.w.end_thread(m.app));
    assert_eq!(m.w.image(m.app.pid), Some("app.exe"));
    assert!(m.w.end_thread(other));
    assert_eq!(m.w.image(m.app.pid), None);
    assert!(!m.w.end_thread(other));
}

#[test]
fn process_that_ends_leaves_no_operation_behind() {
    let mut s = Stalled::default();
    let app = s.m.app;
    let kept = s.m.w.wsa_duplicate_socket(s.service, s.socket, app.pid).unwrap();
    s.ask_overlapped();
    s.ask_and_wait();
    s.event();
    s.m.w.create_io_completion_port(s.service).unwrap();
    s.m.w.end_process(s.service.pid);
    s.m.w.resume(app, kept).unwrap();
    s.m.w.closesocket(app, kept).unwrap();
    s.m.w.end_process(app.pid);
    assert_eq!(s.m.w.live(), 2, "the server's two sockets");
}

#[test]
fn memory_that_is_gone_is_not_written() {
    let mut s = Stalled::default();
    let event = s.event();
    let overlapped = s.overlapped(Some(event));
    s.ask(s.buffers(overlapped));
    let kept = s.ask_overlapped();
    for pointer in [overlapped, s.output, s.word] {
        assert!(s.m.w.free(s.service, pointer));
    }
    s.resume();
    assert!(s.is_signaled(event), "the event was taken when the call was made");
    assert_eq!(s.result(kept), Err(WinsockError::WSAEFAULT));
}

#[test]
fn blocking_call_is_interrupted_by_its_own_thread() {
    let mut s = Stalled::default();
    let nothing = Err(WinsockError::WSAEINVAL);
    assert_eq!(s.m.w.wsa_cancel_blocking_call(s.service), nothing);
    s.ask_overlapped();
    assert_eq!(s.m.w.wsa_cancel_blocking_call(s.service), nothing, "nobody waits in an overlapped call");
    let call = s.ask_and_wait();
    let other = s.m.w.start_thread(s.service).unwrap();
    assert_eq!(s.m.w.wsa_cancel_blocking_call(other), nothing);
    assert_eq!(s.m.w.wsa_cancel_blocking_call(s.service), Ok(()));
    assert_eq!(s.m.w.completion(call), Some(Err(WinsockError::WSAEINTR)));
    s.resume();
    assert_eq!(s.m.w.query_redirect_records(s.service, s.socket).map(|blob| blob.len()), Ok(128));
}

#[test]
fn accept_that_is_interrupted_takes_no_connection() {
    let mut m = Machine::default();
    let listener = m.service_at(9);
    let Ok(Completion::Pending(accept)) = m.w.accept(m.service, listener) else { panic!() };
    m.w.wsa_cancel_blocking_call(m.service).unwrap();
    m.connected("127.0.0.1:9");
    assert_eq!(m.w.completion(accept), Some(Err(WinsockError::WSAEINTR)));
    m.accept(listener);
}

#[test]
fn network_that_is_down_fails_every_call_until_it_is_mended() {
    let mut s = Stalled::default();
    s.resume();
    s.m.w.set_network_down(true);
    let down = WinsockError::WSAENETDOWN;
    assert_eq!(s.m.w.query_redirect_records(s.service, s.socket), Err(down));
    assert_eq!(s.m.w.query_redirect_context(s.service, s.socket), Err(down));
    assert_eq!(s.m.w.set_redirect_records(s.service, s.socket, &[1]), Err(down));
    assert_eq!(s.m.w.send(s.service, s.socket, b"x"), Err(down));
    assert_eq!(s.m.w.socket(s.service, SocketKind::V4), Err(down));
    assert_eq!(s.m.w.query_redirect_records(s.m.server, SocketHandle(1)), Err(WinsockError::WSAENOTSOCK));
    let (socket, service) = (s.socket, s.service);
    assert!(matches!(s.m.w.socket_state(service, socket), SocketState::Accepted { .. }), "it is there still");
    s.m.w.set_network_down(false);
    assert_eq!(s.m.w.query_redirect_records(service, socket).map(|blob| blob.len()), Ok(128));
    s.m.w.set_network_down(true);
    assert_eq!(s.m.w.closesocket(service, socket), Ok(()), "what is broken can be closed");
}

#[test]
fn condition_function_is_a_callback() {
    let mut m = Machine::default();
    let listener = m.service_at(9);
    let begin = |m: &mut Machine| m.w.begin_condition_function(m.service, listener);
    let end = |m: &mut Machine, decided| m.w.end_condition_function(m.service, listener, decided);
    assert_eq!(begin(&mut m), Err(WinsockError::WSAEWOULDBLOCK));
    assert_eq!(end(&mut m, Decided::Accept), Err(WinsockError::WSAEINVAL));
    let client = m.connected("127.0.0.1:9");
    begin(&mut m).unwrap();
    let busy = WinsockError::WSAEINPROGRESS;
    assert_eq!(begin(&mut m), Err(busy));
    for code in [RECORDS, CONTEXT, SET] {
        let word = m.w.allocate(m.service, 4, 0);
        let result = m.w.wsa_ioctl(m.service, listener, code, &IoctlBuffers::query(Pointer::NULL, 0, word));
        assert_eq!(result, Err(busy), "{code}");
    }
    let other = m.w.start_thread(m.service).unwrap();
    assert_eq!(m.w.query_redirect_records(other, listener), Err(WinsockError::WSAENOTCONN), "another thread");
    assert_eq!(end(&mut m, Decided::Defer), Err(WinsockError::WSATRY_AGAIN));
    begin(&mut m).unwrap();
    let accepted = end(&mut m, Decided::Accept).unwrap();
    assert_eq!(
        m.w.query_redirect_records(m.service, accepted),
        Err(WinsockError::WSAEINVAL),
        "not redirected"
    );
    assert_eq!(m.w.send(m.app, client, b"x"), Ok(1));

    let refused = m.connected("127.0.0.1:9");
    begin(&mut m).unwrap();
    assert_eq!(end(&mut m, Decided::Reject), Err(WinsockError::WSAECONNREFUSED));
    assert_eq!(m.w.send(m.app, refused, b"x"), Err(WinsockError::WSAECONNRESET));
}

#[test]
fn port_hears_of_no_call_whose_event_says_so() {
    let mut s = Stalled::default();
    let port = s.m.w.create_io_completion_port(s.service).unwrap();
    s.m.w.associate_with_port(s.service, s.socket, port, 1).unwrap();
    let event = s.event();
    let overlapped = s.overlapped(Some(EventHandle(event.0 | 1)));
    s.ask(s.buffers(overlapped));
    s.resume();
    assert!(s.is_signaled(event));
    assert_eq!(s.m.w.get_queued_completion_status(s.service, port), Err(WinsockError::WAIT_TIMEOUT));
}

#[test]
fn socket_has_one_port_and_the_port_is_its_processs() {
    let mut m = Machine::default();
    let port = m.w.create_io_completion_port(m.app).unwrap();
    let (socket, plain) =
        (m.socket(SocketKind::V4), m.socket(SocketKind { overlapped: false, ..SocketKind::V4 }));
    let unsuitable = Err(WinsockError::WSA_INVALID_PARAMETER);
    let unknown = Err(WinsockError::WSA_INVALID_HANDLE);
    assert_eq!(m.w.associate_with_port(m.app, plain, port, 1), unsuitable);
    assert_eq!(m.w.associate_with_port(m.app, socket, port, 1), Ok(()));
    assert_eq!(m.w.associate_with_port(m.app, socket, port, 1), unsuitable);
    assert_eq!(m.w.associate_with_port(m.app, SocketHandle(1), port, 1), unknown);
    assert_eq!(m.w.close_port(m.service, port), unknown);
    assert_eq!(m.w.close_port(m.app, port), Ok(()));
    assert_eq!(m.w.close_port(m.app, port), unknown);
    assert_eq!(m.w.get_queued_completion_status(m.app, port), Err(WinsockError::WSA_INVALID_HANDLE));
    let other = m.socket(SocketKind::V4);
    assert_eq!(m.w.associate_with_port(m.app, other, port, 1), unknown);
}

#[test]
fn provider_tells_its_code_through_the_pointer_and_calls_the_thread_it_was_told() {
    let mut s = Stalled::default();
    let thread = s.m.w.start_thread(s.service).unwrap();
    let (errno, thread_id) = (s.m.w.allocate(s.service, 4, 0), s.m.w.allocate(s.service, 16, 0));
    s.m.w.write_memory(s.service, thread_id, &u64::from(thread.tid.0).to_le_bytes());
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let spi = SpiPointers { thread_id, errno };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!((answer.returned, answer.last_error), (Err(SocketError), None));
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(997_u32.to_le_bytes().to_vec()));
    s.m.w.write_memory(s.service, thread_id, &[0; 16]);
    s.resume();
    assert_eq!(s.m.w.alertable_wait(s.service), None);
    let call = s.m.w.alertable_wait(thread).map(|call| (call.overlapped, call.bytes));
    assert_eq!(call, Some((overlapped, NEEDED)), "the thread id was copied");
}

#[test]
fn provider_without_a_routine_looks_at_no_thread_and_succeeds_without_a_code() {
    let mut s = Stalled::default();
    s.resume();
    let errno = s.m.w.allocate(s.service, 4, 0xEE);
    let spi = SpiPointers { thread_id: Pointer::UNMAPPED, errno };
    let buffers = s.buffers(Pointer::NULL);
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Ok(Completion::Done(())));
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(vec![0xEE; 4]));
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Err(SocketError), "a routine needs its thread");
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(10014_u32.to_le_bytes().to_vec()));
}

#[test]
fn routine_of_a_thread_that_is_not_there_is_lost() {
    let mut s = Stalled::default();
    s.resume();
    let thread_id = s.m.w.allocate(s.service, 16, 0xFF);
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let live = s.m.w.live();
    let spi = SpiPointers { thread_id, errno: Pointer::NULL };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Ok(Completion::Done(())));
    assert_eq!(s.m.w.live(), live);
}

#[test]
fn worlds_with_operations_that_differ_in_numbers_are_equal() {
    let busy = |come_and_go: bool| {
        let mut s = Stalled::with(&[("set-after-bind", "no-effect")]);
        if come_and_go {
            let event = s.event();
            s.m.w.wsa_close_event(s.service, event).unwrap();
            let gone = s.m.w.allocate(s.service, 8, 0);
            s.m.w.allocate(s.service, 8, 0);
            s.m.w.free(s.service, gone);
        } else {
            s.m.w.allocate(s.service, 8, 0);
        }
        let event = s.event();
        let port = s.m.w.create_io_completion_port(s.service).unwrap();
        s.m.w.associate_with_port(s.service, s.socket, port, 1).unwrap();
        s.ask_overlapped();
        s.resume();
        s.m.w.stall(s.service, s.socket).unwrap();
        let overlapped = s.overlapped(Some(event));
        // What programs keep in their memory is theirs, and names things of the original.
        s.m.w.write_memory(s.service, overlapped.offset(24), &[0; 8]);
        s.ask(s.buffers(overlapped));
        s.ask_and_wait();
        s.m.w
    };
    let (plain, used) = (busy(false), busy(true));
    assert!(plain != used);
    assert!(plain.canonical() == used.canonical());
    assert!(plain.canonical().canonical() == plain.canonical());
}

#[test]
fn redirected_connection_can_be_asked_about_until_its_socket_is_closed() {
    let mut s = Stalled::default();
    let overlapped = s.ask_overlapped();
    s.m.w.end_process(s.m.app.pid);
    s.resume();
    assert_eq!(s.result(overlapped), Ok(NEEDED), "the peer is gone");
    assert_eq!(s.m.w.closesocket(s.service, s.socket), Ok(()));
    let gone = s.m.w.wsa_get_overlapped_result(s.service, s.socket, overlapped, false);
    assert_eq!(gone, Err(WinsockError::WSAENOTSOCK));
}
