//! Who gets a datagram, who is asked about it, and how long a flow lasts.

use rstest::rstest;

use super::*;
use crate::engine::Redirect;
use crate::error::WinsockError;
use crate::socket::{Completed, Completion, SocketKind};
use crate::testing::{SERVER, SERVER_MAPPED, SERVER_V6, SILENT, address, both};
use crate::{RedirectState, SocketHandle};

const UDP: SocketKind = SocketKind::V4.udp();

/// What the server's socket has received: bytes and source.
fn received(m: &mut Machine, socket: SocketHandle) -> Option<(Vec<u8>, String)> {
    let message = m.w.receive_message(m.server, socket, 2048, 0).unwrap()?;
    Some((message.data, message.from.to_string()))
}

#[test]
fn datagrams_arrive_whole_in_order_and_show_their_source() {
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    let client = m.bound(UDP, "192.0.2.1:5000");
    m.send(client, SERVER, b"one");
    m.send(client, SERVER, b"");
    m.send(client, SERVER, b"three");
    let source = "192.0.2.1:5000".to_owned();
    assert_eq!(received(&mut m, server), Some((b"one".to_vec(), source.clone())));
    assert_eq!(received(&mut m, server), Some((vec![], source.clone())));
    assert_eq!(received(&mut m, server), Some((b"three".to_vec(), source)));
    assert_eq!(received(&mut m, server), None);
}

#[test]
fn socket_that_is_not_bound_is_bound_by_its_first_datagram_to_the_wildcard_address() {
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    let client = m.socket(UDP);
    assert_eq!(m.w.getsockname(m.app, client), Err(WinsockError::WSAEINVAL));
    m.send(client, SERVER, b"x");
    assert_eq!(m.w.getsockname(m.app, client), Ok(address("0.0.0.0:49152")));
    assert_eq!(received(&mut m, server).map(|(_, from)| from), Some("192.0.2.1:49152".to_owned()));
    m.bound(SocketKind::V4, "127.0.0.1:49152");
    let same_port = m.socket(UDP);
    let taken = m.w.bind(m.app, same_port, address("0.0.0.0:49152"));
    assert_eq!(taken, Err(WinsockError::WSAEADDRINUSE), "TCP and UDP have ports of their own");
}

#[test]
fn only_the_first_datagram_of_a_flow_is_classified() {
    let mut m = Machine::default();
    m.udp_server(SERVER);
    m.cooperative_vendor("a", 1, 1001);
    let client = m.socket(UDP);
    let trace = m.send(client, SERVER, b"x").unwrap();
    assert_eq!(trace.states(), [RedirectState::NotRedirected]);
    assert_eq!((trace.target, trace.destination), (address("127.0.0.1:1001"), address(SERVER)));
    assert!(trace.result.is_ok());
    assert_eq!(m.send(client, SERVER, b"y"), None);
    assert!(m.send(client, "203.0.113.9:80", b"z").is_some(), "another destination is another flow");
    let other = m.socket(UDP);
    assert!(m.send(other, SERVER, b"z").is_some(), "another socket is another flow");
}

#[rstest]
#[case::just_before(59_999, false)]
#[case::at_the_timeout(60_000, true)]
fn flow_that_is_idle_ends_and_a_new_one_is_classified_again(#[case] waited: u64, #[case] ended: bool) {
    let mut m = Machine::default();
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    assert_eq!(m.message(service).unwrap().control.len(), 288);
    assert_eq!(m.w.live_contexts(), 1);
    m.w.advance(waited);
    assert_eq!(m.w.live_contexts(), usize::from(!ended));
    assert_eq!(m.send(client, SERVER, b"again").is_some(), ended);
    let control = m.message(service).unwrap().control.len();
    assert_eq!(control, if ended { 288 } else { 0 }, "control data comes with the first datagram alone");
    end(&mut m);
}

#[test]
fn datagram_either_way_keeps_a_flow() {
    let mut m = Machine::default();
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    let source = m.message(service).unwrap().from;
    for _ in 0..3 {
        m.w.advance(40_000);
        assert_eq!(m.send(client, SERVER, b"x"), None);
        m.w.advance(40_000);
        m.w.sendto(m.service, service, b"y", Some(source), &mut ()).unwrap();
    }
    m.w.advance(60_000);
    assert_eq!(m.w.live_contexts(), 0);
    assert!(m.send(client, SERVER, b"x").is_some());
}

#[rstest]
#[case("original", SERVER)]
#[case("redirected", "127.0.0.1:1001")]
fn reply_through_a_redirected_flow_reaches_the_client(#[case] value: &str, #[case] shown: &str) {
    let mut m = Machine::with(&[("reply-source-after-redirect", value)]);
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    let source = m.message(service).unwrap().from;
    let mut trace = Vec::new();
    assert_eq!(m.w.sendto(m.service, service, b"reply", Some(source), &mut trace), Ok(5));
    assert_eq!(trace, [], "a reply makes no flow, and nobody is asked");
    let reply = m.w.recvfrom(m.app, client, 9).unwrap().done().unwrap();
    assert_eq!((reply.data, reply.from), (b"reply".to_vec(), address(shown)));
}

#[test]
fn reply_without_a_redirect_shows_who_sent_it() {
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    let client = m.socket(UDP);
    m.send(client, SERVER, b"x");
    let (_, source) = received(&mut m, server).unwrap();
    m.w.sendto(m.server, server, b"reply", Some(address(&source)), &mut ()).unwrap();
    let reply = m.w.recvfrom(m.app, client, 9).unwrap().done().unwrap();
    assert_eq!(reply.from, address(SERVER));
}

#[test]
fn reply_after_the_flow_has_ended_is_a_flow_of_the_services_own() {
    let mut m = Machine::default();
    let (_, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    let source = m.message(service).unwrap().from;
    m.w.advance(60_000);
    let mut trace = Vec::new();
    m.w.sendto(m.service, service, b"late", Some(source), &mut trace).unwrap();
    assert_eq!((trace.len(), trace[0].destination), (1, source));
}

#[rstest]
#[case::v4(SocketKind::V4, SERVER, SERVER)]
#[case::v6(SocketKind::V6, SERVER_V6, SERVER_V6)]
#[case::mapped(SocketKind::DUAL, SERVER_MAPPED, SERVER)]
#[case::v6_on_dual(SocketKind::DUAL, SERVER_V6, SERVER_V6)]
fn each_family_reaches_the_server_and_back(#[case] kind: SocketKind, #[case] to: &str, #[case] at: &str) {
    let mut m = Machine::default();
    let server = m.udp_server(at);
    let client = m.socket(kind.udp());
    m.send(client, to, b"x");
    let (_, source) = received(&mut m, server).unwrap();
    m.w.sendto(m.server, server, b"y", Some(address(&source)), &mut ()).unwrap();
    let reply = m.w.recvfrom(m.app, client, 9).unwrap().done().unwrap();
    assert_eq!(reply.from, address(to), "written as the socket's family writes it");
}

#[rstest]
#[case::other_family(UDP, SERVER_V6, WinsockError::WSAEAFNOSUPPORT)]
#[case::mapped_on_v6only(SocketKind::V6.udp(), SERVER_MAPPED, WinsockError::WSAEADDRNOTAVAIL)]
#[case::unspecified(UDP, "0.0.0.0:80", WinsockError::WSAEADDRNOTAVAIL)]
#[case::port_0(UDP, "203.0.113.9:0", WinsockError::WSAEADDRNOTAVAIL)]
fn destination_that_does_not_suit_is_refused(
    #[case] kind: SocketKind,
    #[case] to: &str,
    #[case] error: WinsockError,
) {
    let mut m = Machine::default();
    let socket = m.socket(kind);
    assert_eq!(m.w.sendto(m.app, socket, b"x", Some(address(to)), &mut ()), Err(error));
}

#[test]
fn datagram_takes_so_much_data_and_no_more() {
    let mut m = Machine::default();
    let data = vec![7; 65_528];
    for (kind, to, most) in [(SocketKind::V4, SERVER, 65_507), (SocketKind::DUAL, SERVER_V6, 65_527)] {
        let socket = m.socket(kind.udp());
        let mut send = |length: usize| m.w.sendto(m.app, socket, &data[..length], Some(address(to)), &mut ());
        assert_eq!(send(most), Ok(most));
        assert_eq!(send(most + 1), Err(WinsockError::WSAEMSGSIZE));
    }
}

#[rstest]
#[case::nobody_is_bound("203.0.113.9:9")]
#[case::silent_host(SILENT)]
#[case::no_such_host("198.51.100.7:9")]
fn datagram_to_nowhere_is_lost_in_silence(#[case] to: &str) {
    let mut m = Machine::default();
    let client = m.socket(UDP);
    assert!(m.send(client, to, b"x").unwrap().result.is_ok());
    m.w.closesocket(m.app, client).unwrap();
    end(&mut m);
}

#[test]
fn bound_source_that_does_not_lead_there_is_an_error() {
    let mut m = Machine::default();
    let client = m.bound(UDP, "127.0.0.1:5000");
    let refused = m.w.sendto(m.app, client, b"x", Some(address(SERVER)), &mut ());
    assert_eq!(refused, Err(WinsockError::WSAEADDRNOTAVAIL));
}

#[test]
fn socket_that_is_bound_to_the_address_goes_before_one_that_is_bound_to_all() {
    let mut m = Machine::default();
    let all = m.udp_service(SocketKind::DUAL, "[::]:9");
    let one = m.udp_service(SocketKind::V4, "127.0.0.1:9");
    let client = m.socket(UDP);
    m.send(client, "127.0.0.1:9", b"one");
    m.send(client, "192.0.2.1:9", b"all");
    assert_eq!(m.message(one).unwrap().data, b"one");
    let message = m.message(all).unwrap();
    assert_eq!((message.data, message.from), (b"all".to_vec(), address("[::ffff:192.0.2.1]:49152")));
}

#[test]
fn connected_socket_takes_what_its_peer_sends_alone() {
    let mut m = Machine::default();
    let service = m.udp_service(SocketKind::V4, "127.0.0.1:9");
    let [friend, stranger] = ["127.0.0.1:5000", "127.0.0.1:5001"].map(|at| m.bound(UDP, at));
    assert_eq!(m.w.connect(m.service, service, address("127.0.0.1:5000"), &mut ()), Ok(Completion::Done(())));
    assert_eq!(m.w.getpeername(m.service, service), Ok(address("127.0.0.1:5000")));
    m.send(stranger, "127.0.0.1:9", b"stranger");
    m.send(friend, "127.0.0.1:9", b"friend");
    assert_eq!(m.w.recv(m.service, service, 9), Ok(Completion::Done(b"friend".to_vec())));
    assert_eq!(m.w.send(m.service, service, b"back"), Ok(4));
    assert_eq!(m.w.recv(m.app, friend, 9), Ok(Completion::Done(b"back".to_vec())));
    m.w.connect(m.service, service, address("0.0.0.0:0"), &mut ()).unwrap();
    assert_eq!(m.w.getpeername(m.service, service), Err(WinsockError::WSAENOTCONN));
    m.send(stranger, "127.0.0.1:9", b"stranger");
    assert_eq!(m.w.recv(m.service, service, 9), Ok(Completion::Done(b"stranger".to_vec())));
    assert_eq!(m.w.send(m.service, service, b"x"), Err(WinsockError::WSAENOTCONN));
}

#[test]
fn receive_waits_for_a_datagram_one_at_a_time() {
    let mut m = Machine::default();
    let service = m.udp_service(SocketKind::V4, "127.0.0.1:9");
    let client = m.socket(UDP);
    let Ok(Completion::Pending(pending)) = m.w.recvfrom(m.service, service, 2) else { panic!("done") };
    assert_eq!(m.w.recvfrom(m.service, service, 2), Err(WinsockError::WSAEINPROGRESS));
    assert_eq!(m.w.completion(pending), None);
    m.send(client, "127.0.0.1:9", b"long");
    let Some(Ok(Completed::ReceivedFrom(datagram))) = m.w.completion(pending) else { panic!("waits") };
    assert_eq!((datagram.data, datagram.truncated), (b"lo".to_vec(), true));
    let Ok(Completion::Pending(pending)) = m.w.recv(m.service, service, 9) else { panic!("done") };
    m.send(client, "127.0.0.1:9", b"x");
    assert_eq!(m.w.completion(pending), Some(Ok(Completed::Received(b"x".to_vec()))));
    let Ok(Completion::Pending(pending)) = m.w.recv(m.service, service, 0) else { panic!("done") };
    m.send(client, "127.0.0.1:9", b"x");
    assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSAEMSGSIZE)));
    let Ok(Completion::Pending(pending)) = m.w.recv(m.service, service, 0) else { panic!("done") };
    m.w.closesocket(m.service, service).unwrap();
    assert_eq!(m.w.completion(pending), Some(Err(WinsockError::WSAEINTR)));
    m.w.closesocket(m.app, client).unwrap();
    end(&mut m);
}

#[test]
fn call_that_waited_in_a_process_that_ended_takes_no_datagram() {
    let mut m = Machine::default();
    let service = m.udp_service(SocketKind::V4, "127.0.0.1:9");
    let kept = m.w.wsa_duplicate_socket(m.service, service, m.app.pid).unwrap();
    m.w.recvfrom(m.service, service, 9).unwrap();
    m.w.end_process(m.service.pid);
    let client = m.socket(UDP);
    m.send(client, "127.0.0.1:9", b"kept");
    assert_eq!(m.w.recv(m.app, kept, 9), Ok(Completion::Done(b"kept".to_vec())));
}

#[test]
fn calls_that_do_not_suit_are_refused() {
    let mut m = Machine::default();
    let fresh = m.socket(UDP);
    assert_eq!(m.w.recvfrom(m.app, fresh, 1), Err(WinsockError::WSAEINVAL), "not bound");
    assert_eq!(m.w.sendto(m.app, fresh, b"x", None, &mut ()), Err(WinsockError::WSAENOTCONN));
    assert_eq!(m.w.listen(m.app, fresh, 1), Err(WinsockError::WSAEOPNOTSUPP));
    assert_eq!(m.w.accept(m.app, fresh), Err(WinsockError::WSAEOPNOTSUPP));
    let nonblocking = m.bound(SocketKind { nonblocking: true, ..UDP }, "127.0.0.1:9");
    assert_eq!(m.w.recvfrom(m.app, nonblocking, 1), Err(WinsockError::WSAEWOULDBLOCK));
    let tcp = m.connected(SERVER);
    assert_eq!(
        m.w.sendto(m.app, tcp, b"x", Some(address(SERVER)), &mut ()),
        Err(WinsockError::WSAEOPNOTSUPP)
    );
    assert_eq!(m.w.recvfrom(m.app, tcp, 1), Err(WinsockError::WSAEOPNOTSUPP));
    assert_eq!(m.w.recvfrom(m.service, fresh, 1), Err(WinsockError::WSAENOTSOCK));
}

#[test]
fn service_that_comes_back_gets_the_flow_and_no_control_data() {
    let mut m = Machine::default();
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    m.w.closesocket(m.service, service).unwrap();
    m.send(client, SERVER, b"nobody");
    let again = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    m.send(client, SERVER, b"again");
    let message = m.message(again).unwrap();
    assert_eq!((message.data, message.control), (b"again".to_vec(), vec![]));
    m.w.sendto(m.service, again, b"reply", Some(message.from), &mut ()).unwrap();
    assert_eq!(m.w.recv(m.app, client, 9), Ok(Completion::Done(b"reply".to_vec())));
}

#[test]
fn world_with_datagrams_is_its_own_canonical_form() {
    let mut m = Machine::default();
    let passing = m.udp_server("203.0.113.9:9");
    m.w.closesocket(m.server, passing).unwrap();
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    m.connect(client, SERVER).unwrap();
    m.message(service).unwrap();
    let onward = m.udp_service(SocketKind::V4, "127.0.0.1:1002");
    m.w.recvfrom(m.service, onward, 9).unwrap();
    m.send(client, "203.0.113.9:80", b"in the queue");
    let canonical = m.w.canonical();
    assert!(canonical != m.w && canonical.canonical() == canonical);
}
