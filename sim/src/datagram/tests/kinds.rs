//! Which raw traffic is classified, where it goes, and what raw sockets are asked in vain.

use rstest::rstest;

use super::*;
use crate::SocketHandle;
use crate::engine::{Condition, Decision, Redirect, Rule, Test};
use crate::error::WinsockError;
use crate::socket::{Completion, Protocol, SocketKind};
use crate::testing::{SERVER, SERVER_MAPPED, SERVER_V6, address, both};

/// A raw socket of the service, which may have one.
fn raw(m: &mut Machine, kind: SocketKind, number: u8, header_included: bool) -> SocketHandle {
    let kind = SocketKind { protocol: Protocol::Raw { number, header_included }, ..kind };
    m.w.socket(m.service, kind).unwrap()
}

/// A UDP header from port 5000 to 443, and data.
const UDP_PACKET: [u8; 10] = [0x13, 0x88, 0x01, 0xBB, 0, 10, 0, 0, 7, 8];

#[rstest]
#[case::udp_v4(SocketKind::V4, 17, false, SERVER, true)]
#[case::udp_mapped(SocketKind::DUAL, 17, false, SERVER_MAPPED, true)]
#[case::udp_with_header(SocketKind::V4, 17, true, SERVER, false)]
#[case::udp_v6(SocketKind::V6, 17, false, SERVER_V6, false)]
#[case::icmp(SocketKind::V4, 1, false, SERVER, true)]
#[case::icmp_v6(SocketKind::V6, 58, false, SERVER_V6, true)]
#[case::igmp(SocketKind::V4, 2, false, SERVER, false)]
#[case::ospf(SocketKind::V4, 89, false, SERVER, false)]
fn raw_traffic_is_classified_or_goes_where_it_was_sent(
    #[case] kind: SocketKind,
    #[case] number: u8,
    #[case] header_included: bool,
    #[case] to: &str,
    #[case] classified: bool,
) {
    let mut m = Machine::default();
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let socket = raw(&mut m, kind, number, header_included);
    let mut traces = Vec::new();
    assert_eq!(m.w.sendto(m.service, socket, &UDP_PACKET, Some(address(to)), &mut traces), Ok(10));
    assert_eq!(traces.len(), usize::from(classified));
    assert_eq!(m.w.live_contexts(), usize::from(classified));
    m.w.connect(m.service, socket, address(to), &mut traces).unwrap();
    assert_eq!(traces.len(), 2 * usize::from(classified), "connect is no other matter");
}

#[test]
fn raw_udp_reaches_the_redirect_service_and_its_reply_comes_back_with_a_header() {
    let mut m = Machine::default();
    let service = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let socket = raw(&mut m, SocketKind::V4, Protocol::UDP, false);
    m.w.sendto(m.service, socket, &UDP_PACKET, Some(address(SERVER)), &mut ()).unwrap();
    let message = m.message(service).unwrap();
    assert_eq!((&*message.data, message.from), (&[7, 8][..], address("127.0.0.1:5000")));
    assert_eq!(shown(&message), [(IP, RECORDS, 128), (IP, CONTEXT, 128)]);
    m.w.sendto(m.service, service, &[9], Some(message.from), &mut ()).unwrap();
    let reply = m.w.recv(m.service, socket, 99);
    assert_eq!(reply, Ok(Completion::Done(vec![0x01, 0xBB, 0x13, 0x88, 0, 9, 0, 0, 9])));
}

#[test]
fn raw_udp_with_its_own_ip_header_goes_to_the_server() {
    let mut m = Machine::default();
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let server = m.udp_server(SERVER);
    let socket = raw(&mut m, SocketKind::V4, Protocol::UDP, true);
    let packet = [&[0x45; 20][..], &UDP_PACKET].concat();
    m.w.sendto(m.service, socket, &packet, Some(address(SERVER)), &mut ()).unwrap();
    let arrived = m.w.receive_message(m.server, server, 99, 0).unwrap().unwrap();
    assert_eq!((&*arrived.data, arrived.from), (&[7, 8][..], address("192.0.2.1:5000")));
}

#[test]
fn raw_icmp_reaches_a_raw_socket_of_the_redirect_service_with_records() {
    let mut m = Machine::default();
    let service = raw(&mut m, SocketKind::V4, Protocol::ICMP, false);
    let other = raw(&mut m, SocketKind::V4, 2, false);
    for socket in [service, other] {
        m.w.bind(m.service, socket, address("127.0.0.1:7")).unwrap();
        m.receive_control(socket);
    }
    assert_eq!(m.w.getsockname(m.service, service), Ok(address("127.0.0.1:0")), "a raw socket has no port");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let client = raw(&mut m, SocketKind::V4, Protocol::ICMP, false);
    m.w.sendto(m.service, client, b"echo", Some(address("203.0.113.9:0")), &mut ()).unwrap();
    let message = m.message(service).unwrap();
    assert_eq!((&*message.data, message.from), (&b"echo"[..], address("127.0.0.1:0")));
    assert_eq!(shown(&message).len(), 2);
    assert_eq!(m.message(other), None, "of another protocol");
}

#[test]
fn raw_socket_needs_administrative_rights() {
    let mut m = Machine::default();
    let kind = SocketKind::V4.raw(Protocol::ICMP);
    assert_eq!(m.w.socket(m.app, kind), Err(WinsockError::WSAEACCES));
    assert!(m.w.socket(m.service, kind).is_ok());
}

#[rstest]
#[case::udp("query-on-udp", "set-on-udp", SocketKind::V4.udp())]
#[case::raw("query-on-raw", "set-on-raw", SocketKind::V4.raw(Protocol::ICMP))]
fn control_code_on_a_socket_that_is_not_tcps(
    #[case] query: &str,
    #[case] set: &str,
    #[case] kind: SocketKind,
    #[values("WSAENOPROTOOPT", "WSAEINVAL", "WSAEOPNOTSUPP")] value: &str,
) {
    let mut m = Machine::with(&[(query, value), (set, value)]);
    let error = WinsockError::by_name(value).unwrap();
    let socket = m.w.socket(m.service, kind).unwrap();
    assert_eq!(m.w.query_redirect_records(m.service, socket), Err(error));
    assert_eq!(m.w.query_redirect_context(m.service, socket), Err(error));
    assert_eq!(m.w.set_redirect_records(m.service, socket, &[0; 128]), Err(error));
}

#[test]
fn condition_on_the_protocol_tells_tcp_from_udp() {
    let mut m = Machine::default();
    m.service_at(1001);
    let handle = m.handle("udp alone");
    let redirect = Decision::Redirect(Redirect::local(m.service.pid, both(1001)));
    let conditions = vec![Condition::is(Test::Protocol(Protocol::UDP))];
    let policy = crate::engine::Policy {
        handles: crate::engine::Handles::One(handle),
        rules: vec![Rule { conditions, ..Rule::always(redirect) }],
        ..Default::default()
    };
    m.vendor("udp alone", 1, policy);
    let socket = m.socket(SocketKind::V4.udp());
    assert_eq!(m.send(socket, SERVER, b"x").unwrap().target, address("127.0.0.1:1001"));
    assert_eq!(m.trace(SERVER).target, address(SERVER));
}

#[test]
fn target_process_of_raw_traffic_is_who_receives_it() {
    let mut m = Machine::with(&[("target-pid", "must-listen")]);
    m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    let icmp = raw(&mut m, SocketKind::V4, Protocol::ICMP, false);
    m.w.bind(m.service, icmp, address("127.0.0.1:0")).unwrap();
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    for number in [Protocol::ICMP, Protocol::UDP] {
        let socket = raw(&mut m, SocketKind::V4, number, false);
        let mut traces = Vec::new();
        m.w.sendto(m.service, socket, &UDP_PACKET, Some(address(SERVER)), &mut traces).unwrap();
        assert_eq!(traces[0].target, address("127.0.0.1:1001"), "{number}");
    }
}

#[rstest]
#[case::of_the_service(0, "127.0.0.1:1001")]
#[case::of_another_process(4, SERVER)]
fn target_process_must_be_bound_there_where_the_profile_minds(#[case] off: u32, #[case] target: &str) {
    let mut m = Machine::with(&[("target-pid", "must-listen")]);
    m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    let pid = crate::Pid(m.service.pid.0 + off);
    m.redirect_all(1, Redirect::local(pid, both(1001)));
    let socket = m.socket(SocketKind::V4.udp());
    assert_eq!(m.send(socket, SERVER, b"x").unwrap().target, address(target));
}
