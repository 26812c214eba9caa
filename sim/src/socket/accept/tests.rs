use rstest::rstest;

use super::*;
use crate::testing::{Machine, SERVER, SILENT, address};

const INVAL: WinsockError = WinsockError::WSAEINVAL;

#[test]
fn only_a_bound_unconnected_socket_listens() {
    let mut m = Machine::default();
    let (fresh, connected) = (m.socket(SocketKind::V4), m.connected(SERVER));
    let bound = m.bound(SocketKind::V4, "127.0.0.1:80");
    assert_eq!(m.w.listen(m.app, fresh, 5), Err(INVAL));
    assert_eq!(m.w.listen(m.app, connected, 5), Err(WinsockError::WSAEISCONN));
    assert_eq!(m.w.listen(m.app, bound, 5), Ok(()));
    assert_eq!(m.w.listen(m.app, bound, 5), Ok(()), "on a listening socket it does nothing");
    assert_eq!(m.w.listen(m.service, bound, 5), Err(WinsockError::WSAENOTSOCK));
    let connecting = m.bound(SocketKind::V4, "0.0.0.0:81");
    m.connect(connecting, SILENT).unwrap();
    assert_eq!(m.w.listen(m.app, connecting, 5), Err(INVAL));
}

#[rstest]
#[case::moved_up(0, 1)]
#[case::as_given(3, 3)]
#[case::moved_down(u32::MAX, 200)]
fn connections_beyond_the_backlog_are_refused(#[case] backlog: u32, #[case] waiting: usize) {
    let mut m = Machine::default();
    let listener = m.w.socket(m.service, SocketKind::V4).unwrap();
    m.w.bind(m.service, listener, address("127.0.0.1:80")).unwrap();
    m.w.listen(m.service, listener, backlog).unwrap();
    for _ in 0..waiting {
        m.connected("127.0.0.1:80");
    }
    let one_more = m.socket(SocketKind::V4);
    assert_eq!(m.connect(one_more, "127.0.0.1:80"), Err(WinsockError::WSAECONNREFUSED));
    m.accept(listener);
    assert_eq!(m.connect(one_more, "127.0.0.1:80"), Ok(Completion::Done(())));
}

#[test]
fn listen_at_leaves_no_socket_behind_where_it_fails() {
    let mut m = Machine::default();
    let live = m.w.live();
    assert_eq!(m.w.listen_at(m.service, address("192.0.2.7:80")), Err(WinsockError::WSAEADDRNOTAVAIL));
    assert_eq!(m.w.live(), live);
}

#[test]
fn connections_are_accepted_in_the_order_in_which_they_came() {
    let mut m = Machine::default();
    let listener = m.service_at(80);
    let clients = [m.connected("127.0.0.1:80"), m.connected("127.0.0.1:80")];
    for client in clients {
        let accepted = m.accept(listener);
        assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client));
        assert_eq!(m.w.getsockname(m.service, accepted), Ok(address("127.0.0.1:80")));
    }
    assert!(matches!(m.w.accept(m.service, listener), Ok(Completion::Pending(_))));
}

#[test]
fn dual_stack_listener_shows_an_ipv4_peer_v4_mapped() {
    let mut m = Machine::default();
    let listener = m.w.socket(m.service, SocketKind::DUAL).unwrap();
    m.w.bind(m.service, listener, address("[::]:80")).unwrap();
    m.w.listen(m.service, listener, 5).unwrap();
    m.connected("127.0.0.1:80");
    let accepted = m.accept(listener);
    assert_eq!(m.w.getpeername(m.service, accepted), Ok(address("[::ffff:127.0.0.1]:49152")));
    assert_eq!(m.w.getsockname(m.service, accepted), Ok(address("[::ffff:127.0.0.1]:80")));
}

#[test]
fn pending_accepts_are_served_in_the_order_in_which_they_were_called() {
    let mut m = Machine::default();
    let listener = m.service_at(80);
    let pending = [(); 2].map(|()| match m.w.accept(m.service, listener) {
        Ok(Completion::Pending(pending)) => pending,
        other => panic!("{other:?}"),
    });
    assert_eq!(m.w.completion(pending[0]), None);
    let client = m.connected("127.0.0.1:80");
    assert_eq!(m.w.completion(pending[1]), None);
    let Some(Ok(Completed::Accepted(accepted))) = m.w.completion(pending[0]) else { panic!("not accepted") };
    assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client));
    assert_eq!(m.w.completion(pending[0]), Some(Err(INVAL)), "the answer is given once");
}

#[test]
fn accept_needs_a_listening_socket() {
    let mut m = Machine::default();
    let bound = m.bound(SocketKind::V4, "127.0.0.1:80");
    assert_eq!(m.w.accept(m.app, bound), Err(INVAL));
    assert_eq!(m.w.accept(m.service, bound), Err(WinsockError::WSAENOTSOCK));
}

#[test]
fn non_blocking_accept_does_not_wait_and_hands_its_kind_on() {
    let mut m = Machine::default();
    let kind = SocketKind { nonblocking: true, ..SocketKind::V4 };
    let listener = m.w.socket(m.service, kind).unwrap();
    m.w.bind(m.service, listener, address("127.0.0.1:80")).unwrap();
    m.w.listen(m.service, listener, 5).unwrap();
    assert_eq!(m.w.accept(m.service, listener), Err(WinsockError::WSAEWOULDBLOCK));
    m.connected("127.0.0.1:80");
    let accepted = m.accept(listener);
    assert_eq!(m.w.recv(m.service, accepted, 1), Err(WinsockError::WSAEWOULDBLOCK));
}

// AcceptEx.

/// A listening socket and one for AcceptEx, both of the service.
fn listening(m: &mut Machine) -> (SocketHandle, SocketHandle) {
    (m.service_at(80), m.w.socket(m.service, SocketKind::V4).unwrap())
}

#[rstest]
#[case::bound(SocketKind::V4, Some("127.0.0.1:81"))]
#[case::of_the_other_family(SocketKind::V6, None)]
#[case::dual_stack(SocketKind::DUAL, None)]
fn accept_ex_refuses_a_socket_that_does_not_suit(#[case] kind: SocketKind, #[case] local: Option<&str>) {
    let mut m = Machine::default();
    let (listener, suits) = listening(&mut m);
    let socket = m.w.socket(m.service, kind).unwrap();
    if let Some(local) = local {
        m.w.bind(m.service, socket, address(local)).unwrap();
    }
    assert_eq!(m.w.accept_ex(m.service, listener, socket), Err(INVAL));
    assert_eq!(m.w.accept_ex(m.service, listener, listener), Err(INVAL));
    assert_eq!(m.w.accept_ex(m.service, suits, suits), Err(INVAL), "who accepts must listen");
}

#[test]
fn socket_of_accept_ex_sends_and_receives_and_knows_nothing_before_the_update() {
    let mut m = Machine::default();
    let (listener, accepted) = listening(&mut m);
    let client = m.connected("127.0.0.1:80");
    assert_eq!(m.w.accept_ex(m.service, listener, accepted), Ok(Completion::Done(())));
    assert_eq!(m.w.getsockname(m.service, accepted), Err(INVAL));
    assert_eq!(m.w.getpeername(m.service, accepted), Err(WinsockError::WSAENOTCONN));
    let both = crate::socket::Shutdown::Both;
    assert_eq!(m.w.shutdown(m.service, accepted, both), Err(WinsockError::WSAENOTCONN));
    assert_eq!(m.w.send(m.service, accepted, b"x"), Ok(1));
    assert_eq!(m.w.recv(m.app, client, 9), Ok(Completion::Done(b"x".to_vec())));

    assert_eq!(m.w.update_accept_context(m.service, accepted, listener), Ok(()));
    assert_eq!(m.w.getsockname(m.service, accepted), Ok(address("127.0.0.1:80")));
    assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client));
    assert_eq!(m.w.shutdown(m.service, accepted, both), Ok(()));
}

#[test]
fn accept_context_is_updated_of_an_accepted_socket_by_a_listening_one() {
    let mut m = Machine::default();
    let (listener, fresh) = listening(&mut m);
    let client = m.connected("127.0.0.1:80");
    let accepted = m.accept(listener);
    assert_eq!(m.w.update_accept_context(m.service, fresh, listener), Err(INVAL));
    assert_eq!(m.w.update_accept_context(m.service, accepted, fresh), Err(INVAL));
    assert_eq!(m.w.update_accept_context(m.service, accepted, client), Err(WinsockError::WSAENOTSOCK));
    assert_eq!(m.w.update_accept_context(m.service, client, listener), Err(WinsockError::WSAENOTSOCK));
    assert_eq!(m.w.update_accept_context(m.service, accepted, listener), Ok(()));
}

#[test]
fn pending_accept_ex_completes_with_the_next_connection_on_non_blocking_sockets_too() {
    let mut m = Machine::default();
    let kind = SocketKind { nonblocking: true, ..SocketKind::V4 };
    let (listener, accepting) = (m.service_at(80), m.w.socket(m.service, kind).unwrap());
    let Ok(Completion::Pending(pending)) = m.w.accept_ex(m.service, listener, accepting) else {
        panic!("done")
    };
    let client = m.connected("127.0.0.1:80");
    assert_eq!(m.w.completion(pending), Some(Ok(Completed::AcceptedEx)));
    m.w.update_accept_context(m.service, accepting, listener).unwrap();
    assert_eq!(m.w.getpeername(m.service, accepting), m.w.getsockname(m.app, client));
}

#[test]
fn socket_that_an_accept_ex_holds_can_do_nothing_else() {
    let mut m = Machine::default();
    let (listener, accepting) = listening(&mut m);
    m.w.accept_ex(m.service, listener, accepting).unwrap();
    assert_eq!(m.w.accept_ex(m.service, listener, accepting), Err(INVAL));
    assert_eq!(m.w.bind(m.service, accepting, address("127.0.0.1:81")), Err(INVAL));
    assert_eq!(m.w.connect(m.service, accepting, address(SERVER), &mut ()), Err(INVAL));
    assert_eq!(m.w.listen(m.service, accepting, 1), Err(INVAL));
}

#[test]
fn closing_the_socket_of_a_pending_accept_ex_aborts_it_and_loses_no_connection() {
    let mut m = Machine::default();
    let (listener, accepting) = listening(&mut m);
    let Ok(Completion::Pending(pending)) = m.w.accept_ex(m.service, listener, accepting) else {
        panic!("done")
    };
    m.w.closesocket(m.service, accepting).unwrap();
    assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSA_OPERATION_ABORTED)));
    let client = m.connected("127.0.0.1:80");
    let accepted = m.accept(listener);
    assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client));
}

#[test]
fn accepts_end_with_their_listening_socket_and_its_queue_is_reset() {
    let mut m = Machine::default();
    let (listener, accepting) = listening(&mut m);
    let queued = m.connected("127.0.0.1:80");
    m.w.closesocket(m.service, listener).unwrap();
    assert_eq!(m.w.recv(m.app, queued, 1), Err(WinsockError::WSAECONNRESET));

    let listener = m.service_at(80);
    let Ok(Completion::Pending(blocking)) = m.w.accept(m.service, listener) else { panic!("done") };
    let Ok(Completion::Pending(overlapped)) = m.w.accept_ex(m.service, listener, accepting) else {
        panic!("done")
    };
    m.w.closesocket(m.service, listener).unwrap();
    assert_eq!(m.w.completion(blocking), Some(Err(WinsockError::WSAEINTR)));
    assert_eq!(m.w.completion(overlapped), Some(Err(WinsockError::WSA_OPERATION_ABORTED)));
    assert_eq!(m.w.bind(m.service, accepting, address("127.0.0.1:81")), Ok(()), "free for other use");
}

#[test]
fn accept_of_a_process_that_ended_takes_no_connection() {
    let mut m = Machine::default();
    let listener = m.service_at(80);
    let other = m.w.start_process("other", false);
    let theirs = m.w.wsa_duplicate_socket(m.service, listener, other.pid).unwrap();
    let accepting = m.w.socket(other, SocketKind::V4).unwrap();
    let kept = m.w.wsa_duplicate_socket(other, accepting, m.service.pid).unwrap();
    m.w.accept(other, theirs).unwrap();
    m.w.accept_ex(other, theirs, accepting).unwrap();
    assert!(m.w.end_process(other.pid));
    let client = m.connected("127.0.0.1:80");
    let accepted = m.accept(listener);
    assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client));
    assert_eq!(m.w.bind(m.service, kept, address("127.0.0.1:81")), Ok(()));
}
