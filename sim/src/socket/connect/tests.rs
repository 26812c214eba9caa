use rstest::rstest;

use super::*;
use crate::socket::{Completed, Shutdown};
use crate::testing::{Machine, SERVER, SERVER_MAPPED, SERVER_V6, SILENT, address, profile};
use crate::world::Host;

const DONE: Result<Completion<()>, WinsockError> = Ok(Completion::Done(()));

#[rstest]
#[case::v4(SocketKind::V4, SERVER, DONE)]
#[case::v6(SocketKind::V6, SERVER_V6, DONE)]
#[case::dual(SocketKind::DUAL, SERVER_V6, DONE)]
#[case::mapped(SocketKind::DUAL, SERVER_MAPPED, DONE)]
#[case::mapped_on_v6_only(SocketKind::V6, SERVER_MAPPED, Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::v6_on_v4(SocketKind::V4, SERVER_V6, Err(WinsockError::WSAEAFNOSUPPORT))]
#[case::v4_on_dual(SocketKind::DUAL, SERVER, Err(WinsockError::WSAEAFNOSUPPORT))]
#[case::address_0(SocketKind::V4, "0.0.0.0:80", Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::mapped_0(SocketKind::DUAL, "[::ffff:0.0.0.0]:80", Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::port_0(SocketKind::V4, "203.0.113.9:0", Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::nobody_listens(SocketKind::V4, "203.0.113.9:444", Err(WinsockError::WSAECONNREFUSED))]
#[case::nobody_listens_here(SocketKind::V4, "127.0.0.1:444", Err(WinsockError::WSAECONNREFUSED))]
#[case::no_such_host(SocketKind::V4, "203.0.113.10:443", Err(WinsockError::WSAEHOSTUNREACH))]
fn connect_reaches_what_listens_in_a_family_of_the_socket(
    #[case] kind: SocketKind,
    #[case] to: &str,
    #[case] expected: Result<Completion<()>, WinsockError>,
) {
    let mut m = Machine::default();
    let socket = m.socket(kind);
    assert_eq!(m.connect(socket, to), expected);
    let peer = expected.map(|_| address(to)).map_err(|_| WinsockError::WSAENOTCONN);
    assert_eq!(m.w.getpeername(m.app, socket), peer);
}

#[rstest]
#[case::remote(SocketKind::V4, SERVER, "192.0.2.1:49152")]
#[case::remote_v6(SocketKind::V6, SERVER_V6, "[2001:db8::1]:49152")]
#[case::mapped(SocketKind::DUAL, SERVER_MAPPED, "[::ffff:192.0.2.1]:49152")]
#[case::loopback(SocketKind::V4, "127.0.0.1:7", "127.0.0.1:49152")]
#[case::own_address(SocketKind::V4, "192.0.2.1:7", "192.0.2.1:49152")]
fn unbound_socket_gets_the_address_that_leads_to_the_target(
    #[case] kind: SocketKind,
    #[case] to: &str,
    #[case] local: &str,
) {
    let mut m = Machine::default();
    m.w.listen_at(m.service, address("0.0.0.0:7")).unwrap();
    let socket = m.socket(kind);
    assert_eq!(m.connect(socket, to), DONE);
    assert_eq!(m.w.getsockname(m.app, socket), Ok(address(local)));
}

#[test]
fn failed_connect_leaves_the_socket_bound_to_the_wildcard_and_able_to_connect_elsewhere() {
    let mut m = Machine::default();
    let socket = m.socket(SocketKind::V4);
    assert_eq!(m.connect(socket, "127.0.0.1:444"), Err(WinsockError::WSAECONNREFUSED));
    assert_eq!(m.w.getsockname(m.app, socket), Ok(address("0.0.0.0:49152")));
    assert_eq!(m.connect(socket, SERVER), DONE);
    assert_eq!(m.w.getsockname(m.app, socket), Ok(address("192.0.2.1:49152")));
}

#[rstest]
#[case::loopback_to_remote("127.0.0.1:0", SERVER, Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::own_to_loopback("192.0.2.1:0", "127.0.0.1:7", Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::own_to_remote("192.0.2.1:0", SERVER, DONE)]
#[case::loopback_to_loopback("127.0.0.9:0", "127.0.0.1:7", DONE)]
#[case::wildcard_to_loopback("0.0.0.0:0", "127.0.0.1:7", DONE)]
#[case::v6_to_mapped("[2001:db8::1]:0", SERVER_MAPPED, Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::mapped_to_v6("[::ffff:192.0.2.1]:0", SERVER_V6, Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::mapped_wildcard_to_v6("[::ffff:0.0.0.0]:0", SERVER_V6, Err(WinsockError::WSAEADDRNOTAVAIL))]
#[case::wildcard_to_mapped("[::]:0", SERVER_MAPPED, DONE)]
#[case::mapped_to_mapped("[::ffff:0.0.0.0]:0", SERVER_MAPPED, DONE)]
fn bound_socket_stays_in_its_family_and_on_its_side_of_loopback(
    #[case] local: &str,
    #[case] to: &str,
    #[case] expected: Result<Completion<()>, WinsockError>,
) {
    let mut m = Machine::default();
    m.service_at(7);
    let kind = if address(local).is_ipv4() { SocketKind::V4 } else { SocketKind::DUAL };
    let socket = m.bound(kind, local);
    assert_eq!(m.connect(socket, to), expected);
}

#[test]
fn wildcard_is_narrowed_at_connect_unless_the_port_is_taken_there() {
    let mut m = Machine::default();
    m.service_at(7);
    let (taken, free) = (m.bound(SocketKind::V4, "0.0.0.0:5000"), m.bound(SocketKind::V4, "0.0.0.0:5001"));
    m.bound(SocketKind::V4, "127.0.0.1:5000");
    assert_eq!(m.connect(taken, "127.0.0.1:7"), Err(WinsockError::WSAEADDRINUSE));
    assert_eq!(m.w.getsockname(m.app, taken), Ok(address("0.0.0.0:5000")));
    assert_eq!(m.connect(free, "127.0.0.1:7"), DONE);
    assert_eq!(m.w.getsockname(m.app, free), Ok(address("127.0.0.1:5001")));
    m.bound(SocketKind::V4, "0.0.0.0:5001");
}

#[test]
fn without_a_free_port_connect_fails_with_wsaenobufs() {
    let mut m = Machine::default();
    for port in 49152..=u16::MAX {
        m.bound(SocketKind::V4, &format!("127.0.0.2:{port}"));
    }
    let socket = m.socket(SocketKind::V4);
    assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAENOBUFS));
}

#[test]
fn without_an_own_address_of_the_family_the_network_is_out_of_reach() {
    let mut w = World::with_local_addresses(profile(&[]), vec![address("192.0.2.1:0").ip()]);
    w.add_host(Host { name: "v6".into(), addresses: vec![address(SERVER_V6).ip()], silent: false });
    let app = w.start_process("app", false);
    let socket = w.socket(app, SocketKind::V6).unwrap();
    assert_eq!(w.connect(app, socket, address(SERVER_V6), &mut ()), Err(WinsockError::WSAENETUNREACH));
}

#[test]
fn of_several_own_addresses_the_first_of_the_family_is_the_source() {
    let own = ["[2001:db8::1]:0", "192.0.2.1:0", "192.0.2.2:0"].map(|text| address(text).ip());
    let mut w = World::with_local_addresses(profile(&[]), own.to_vec());
    let host = w.add_host(Host { name: "v4".into(), addresses: vec![address(SERVER).ip()], silent: false });
    let server = w.start_process_on(host, "server", false);
    w.listen_at(server, address(SERVER)).unwrap();
    let app = w.start_process("app", false);
    let socket = w.socket(app, SocketKind::V4).unwrap();
    assert_eq!(w.connect(app, socket, address(SERVER), &mut ()), DONE);
    assert_eq!(w.getsockname(app, socket), Ok(address("192.0.2.1:49152")));
}

#[test]
fn connect_asks_the_state_of_the_socket_first() {
    let mut m = Machine::default();
    let nowhere = "0.0.0.0:0";
    let connected = m.connected(SERVER);
    assert_eq!(m.connect(connected, nowhere), Err(WinsockError::WSAEISCONN));
    let listener = m.w.listen_at(m.app, address("127.0.0.1:80")).unwrap();
    assert_eq!(m.connect(listener, nowhere), Err(WinsockError::WSAEINVAL));
    let connecting = m.socket(SocketKind::V4);
    m.connect(connecting, SILENT).unwrap();
    assert_eq!(m.connect(connecting, nowhere), Err(WinsockError::WSAEALREADY));
    let foreign = m.w.connect(m.service, connecting, address(SERVER), &mut ());
    assert_eq!(foreign, Err(WinsockError::WSAENOTSOCK));
}

#[test]
fn listener_at_just_the_address_comes_before_one_at_all_and_the_own_family_before_dual_stack() {
    let mut m = Machine::default();
    let mut listen = |kind, local: &str| {
        let listener = m.w.socket(m.service, kind).unwrap();
        m.w.bind(m.service, listener, address(local)).unwrap();
        m.w.listen(m.service, listener, 9).unwrap();
        listener
    };
    let dual = listen(SocketKind::DUAL, "[::]:80");
    let wildcard = listen(SocketKind::V4, "0.0.0.0:80");
    let exact = listen(SocketKind::V4, "127.0.0.1:80");
    let not_listening = m.w.socket(m.service, SocketKind::V4).unwrap();
    m.w.bind(m.service, not_listening, address("127.0.0.2:80")).unwrap();
    for (to, listener) in [("127.0.0.1:80", exact), ("127.0.0.2:80", wildcard), ("192.0.2.1:80", wildcard)] {
        let client = m.connected(to);
        let accepted = m.accept(listener);
        assert_eq!(m.w.getpeername(m.service, accepted), m.w.getsockname(m.app, client), "{to}");
    }
    m.w.closesocket(m.service, wildcard).unwrap();
    m.connected("192.0.2.1:80");
    m.accept(dual);
    m.w.closesocket(m.service, exact).unwrap();
    m.connected("127.0.0.1:80");
    m.accept(dual);
}

#[test]
fn v6_only_listener_is_not_reached_over_ipv4() {
    let mut m = Machine::default();
    m.w.listen_at(m.service, address("[::]:80")).unwrap();
    let socket = m.socket(SocketKind::V4);
    assert_eq!(m.connect(socket, "127.0.0.1:80"), Err(WinsockError::WSAECONNREFUSED));
}

#[test]
fn process_of_another_host_connects_to_this_one_without_being_classified() {
    let mut m = Machine::default();
    m.cooperative_vendor("a", 100, 1001);
    let listener = m.w.listen_at(m.service, address("192.0.2.1:80")).unwrap();
    let socket = m.w.socket(m.server, SocketKind::V4).unwrap();
    let mut trace = Vec::new();
    assert_eq!(m.w.connect(m.server, socket, address("192.0.2.1:80"), &mut trace), DONE);
    assert_eq!(trace, []);
    let accepted = m.accept(listener);
    assert_eq!(m.w.getpeername(m.service, accepted), Ok(address("203.0.113.9:49152")));
}

// Hosts that never answer.

#[test]
fn connect_to_a_silent_host_ends_after_the_time_of_the_profile() {
    let mut m = Machine::default();
    let socket = m.socket(SocketKind::V4);
    let Ok(Completion::Pending(pending)) = m.connect(socket, SILENT) else { panic!("done") };
    assert_eq!(m.w.getsockname(m.app, socket), Ok(address("0.0.0.0:49152")));
    m.w.advance(20_999);
    assert_eq!(m.w.completion(pending), None);
    m.w.advance(1);
    assert_eq!(m.w.now(), 21_000);
    assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSAETIMEDOUT)));
    assert_eq!(m.connect(socket, SERVER), DONE, "and can be tried again");
}

#[test]
fn connect_of_a_process_that_ended_waits_no_more() {
    let mut m = Machine::default();
    let socket = m.socket(SocketKind::V4);
    m.connect(socket, SILENT).unwrap();
    let kept = m.w.wsa_duplicate_socket(m.app, socket, m.service.pid).unwrap();
    m.w.end_process(m.app.pid);
    assert_eq!(m.w.connect(m.service, kept, address(SERVER), &mut ()), DONE);
}

// Non-blocking sockets.

fn nonblocking(m: &mut Machine) -> SocketHandle {
    m.socket(SocketKind { nonblocking: true, ..SocketKind::V4 })
}

#[test]
fn non_blocking_connect_tells_its_success_by_the_next_one() {
    let mut m = Machine::default();
    let socket = nonblocking(&mut m);
    assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAEWOULDBLOCK));
    assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAEISCONN));
    assert_eq!(m.w.getpeername(m.app, socket), Ok(address(SERVER)));
}

#[rstest]
#[case::refused("203.0.113.9:444", WinsockError::WSAECONNREFUSED)]
#[case::no_such_host("203.0.113.10:443", WinsockError::WSAEHOSTUNREACH)]
fn non_blocking_connect_tells_its_failure_once_by_the_next_one(
    #[case] to: &str,
    #[case] error: WinsockError,
) {
    let mut m = Machine::default();
    let socket = nonblocking(&mut m);
    assert_eq!(m.connect(socket, to), Err(WinsockError::WSAEWOULDBLOCK));
    assert_eq!(m.w.connect_ex(m.app, socket, address(to), &mut ()), Err(WinsockError::WSAEINVAL));
    assert_eq!(m.connect(socket, to), Err(error));
    assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAEWOULDBLOCK));
    assert_eq!(m.connect(socket, SERVER), Err(WinsockError::WSAEISCONN));
}

#[test]
fn non_blocking_connect_tells_wrong_arguments_at_once() {
    let mut m = Machine::default();
    let socket = nonblocking(&mut m);
    assert_eq!(m.connect(socket, SERVER_V6), Err(WinsockError::WSAEAFNOSUPPORT));
}

#[test]
fn non_blocking_connect_to_a_silent_host_times_out_by_the_next_one() {
    let mut m = Machine::default();
    let socket = nonblocking(&mut m);
    let live = m.w.live();
    assert_eq!(m.connect(socket, SILENT), Err(WinsockError::WSAEWOULDBLOCK));
    assert_eq!(m.w.live(), live, "no call waits");
    assert_eq!(m.connect(socket, SILENT), Err(WinsockError::WSAEALREADY));
    m.w.advance(21_000);
    assert_eq!(m.connect(socket, SILENT), Err(WinsockError::WSAETIMEDOUT));
}

// ConnectEx.

#[test]
fn connect_ex_needs_a_bound_socket() {
    let mut m = Machine::default();
    let socket = m.socket(SocketKind::V4);
    assert_eq!(m.w.connect_ex(m.app, socket, address(SERVER), &mut ()), Err(WinsockError::WSAEINVAL));
    assert_eq!(m.w.connect_ex(m.service, socket, address(SERVER), &mut ()), Err(WinsockError::WSAENOTSOCK));
}

#[test]
fn socket_of_connect_ex_knows_its_peer_after_the_update() {
    let mut m = Machine::default();
    let socket = m.bound(SocketKind::V4, "0.0.0.0:0");
    assert_eq!(m.w.update_connect_context(m.app, socket), Err(WinsockError::WSAENOTCONN));
    assert_eq!(m.w.connect_ex(m.app, socket, address(SERVER), &mut ()), DONE);
    assert_eq!(m.w.getpeername(m.app, socket), Err(WinsockError::WSAENOTCONN));
    assert_eq!(m.w.shutdown(m.app, socket, Shutdown::Send), Err(WinsockError::WSAENOTCONN));
    assert_eq!(m.w.send(m.app, socket, b"x"), Ok(1));
    assert_eq!(m.w.update_connect_context(m.service, socket), Err(WinsockError::WSAENOTSOCK));
    assert_eq!(m.w.update_connect_context(m.app, socket), Ok(()));
    assert_eq!(m.w.getpeername(m.app, socket), Ok(address(SERVER)));
    assert_eq!(m.w.connect_ex(m.app, socket, address(SERVER), &mut ()), Err(WinsockError::WSAEISCONN));
}

#[test]
fn accepted_socket_has_no_connect_context() {
    let mut m = Machine::default();
    let (_, accepted) = m.pair();
    assert_eq!(m.w.update_connect_context(m.service, accepted), Err(WinsockError::WSAENOTCONN));
}

#[test]
fn connect_ex_never_says_wsaewouldblock() {
    let mut m = Machine::default();
    let socket = m.socket(SocketKind { nonblocking: true, ..SocketKind::V4 });
    m.w.bind(m.app, socket, address("0.0.0.0:0")).unwrap();
    let Ok(Completion::Pending(pending)) = m.w.connect_ex(m.app, socket, address(SILENT), &mut ()) else {
        panic!("done")
    };
    assert_eq!(m.w.connect_ex(m.app, socket, address(SILENT), &mut ()), Err(WinsockError::WSAEALREADY));
    m.w.advance(21_000);
    assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSAETIMEDOUT)));
}

#[test]
fn connection_completes_an_accept_that_waits_for_it() {
    let mut m = Machine::default();
    let listener = m.service_at(7);
    let Ok(Completion::Pending(pending)) = m.w.accept(m.service, listener) else { panic!("done") };
    let client = m.connected("127.0.0.1:7");
    let Some(Ok(Completed::Accepted(accepted))) = m.w.completion(pending) else { panic!("not accepted") };
    m.w.send(m.service, accepted, b"x").unwrap();
    assert_eq!(m.w.recv(m.app, client, 1), Ok(Completion::Done(b"x".to_vec())));
}
