//! Calls that wait in their thread, callbacks, and a network that fails.

use super::*;

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
