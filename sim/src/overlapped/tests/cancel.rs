//! What cancels operations: each ends once, and nothing is written late.

use rstest::rstest;

use super::*;
use crate::testing::{SERVER, SILENT, address};

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
    let transferred = s.m.w.read_memory(s.service, kept.offset(8), 4).unwrap();
    assert_eq!(transferred, [0; 4], "the buffer was large enough");
    assert!(s.m.w.notifications.requests.is_empty(), "nothing is remembered of what has ended");
}

#[rstest]
#[case::of_a_thread_that_ends(|m: &mut Machine| assert!(m.w.end_thread(m.app)))]
#[case::that_is_interrupted(|m: &mut Machine| assert_eq!(m.w.wsa_cancel_blocking_call(m.app), Ok(())))]
fn context_of_a_connect_that_nobody_answers_goes_with_the_call(#[case] ends: fn(&mut Machine)) {
    let mut m = Machine::default();
    m.w.start_thread(m.app).unwrap();
    m.redirect_all(1, Redirect::local(m.service.pid, address(SILENT)));
    let socket = m.w.socket(m.app, SocketKind::V4).unwrap();
    assert!(matches!(m.connect(socket, SERVER), Ok(Completion::Pending(_))));
    assert_eq!(m.w.live_contexts(), 1);
    ends(&mut m);
    assert_eq!(m.w.live_contexts(), 0);
}
