//! How an operation that went pending is told of: by its event, its structure, its result.

use rstest::rstest;

use super::*;

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

#[test]
fn query_whose_connection_was_reset_meanwhile_transfers_nothing_however_short_its_buffer() {
    let mut s = Stalled::default();
    s.m.w.send(s.service, s.socket, b"never read").unwrap();
    let overlapped = s.overlapped(None);
    s.ask(IoctlBuffers { output_length: 127, ..s.buffers(overlapped) });
    s.m.w.end_process(s.m.app.pid);
    s.resume();
    assert_eq!(s.result(overlapped), Err(WinsockError::WSAENOTCONN));
    assert_eq!(s.m.w.read_memory(s.service, overlapped.offset(8), 4), Some(vec![0; 4]));
}
