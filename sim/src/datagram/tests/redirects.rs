//! What a redirect of datagrams leaves: records, contexts, two of them for connected UDP, and what is lost on the way.

use rstest::rstest;

use super::*;
use crate::RedirectState;
use crate::engine::{Context, Redirect};
use crate::error::WinsockError;
use crate::socket::{Completion, SocketKind};
use crate::testing::{SERVER, SERVER_MAPPED, SERVER_V6, address, both};
use crate::trace::{ConnectTrace, Redirection};

const UDP: SocketKind = SocketKind::V4.udp();

#[rstest]
#[case::v4(SocketKind::V4, SERVER, "127.0.0.1:1001", IP)]
#[case::v6(SocketKind::V6, SERVER_V6, "[::1]:1001", IPV6)]
#[case::mapped(SocketKind::DUAL, SERVER_MAPPED, "127.0.0.1:1001", IP)]
fn first_datagram_brings_records_and_context_at_the_level_of_its_family(
    #[case] kind: SocketKind,
    #[case] to: &str,
    #[case] at: &str,
    #[case] level: i32,
) {
    let mut m = Machine::default();
    let service_kind = if address(at).is_ipv4() { SocketKind::V4 } else { SocketKind::V6 };
    let service = m.udp_service(service_kind, at);
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let client = m.socket(kind.udp());
    m.send(client, to, b"first");
    m.send(client, to, b"second");
    let first = m.message(service).unwrap();
    assert_eq!(
        (shown(&first), &*first.data),
        (vec![(level, RECORDS, 128), (level, CONTEXT, 128)], &b"first"[..])
    );
    let destination = data(&first, CONTEXT).and_then(|bytes| crate::address::from_sockaddr_storage(&bytes));
    assert_eq!(destination, Some(address(to)));
    let second = m.message(service).unwrap();
    assert_eq!((second.control, second.data), (vec![], b"second".to_vec()));
    end(&mut m);
}

#[test]
fn dual_stack_socket_receives_each_family_at_its_own_level() {
    let mut m = Machine::default();
    let service = m.udp_service(SocketKind::DUAL, "[::]:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    for (kind, to, level) in [(SocketKind::V4, SERVER, IP), (SocketKind::V6, SERVER_V6, IPV6)] {
        let client = m.socket(kind.udp());
        m.send(client, to, b"x");
        assert_eq!(shown(&m.message(service).unwrap()), [(level, RECORDS, 128), (level, CONTEXT, 128)]);
    }
    for option in [RECORDS, CONTEXT] {
        m.w.setsockopt(m.service, service, IP, option, 0).unwrap();
    }
    for (kind, to, count) in [(SocketKind::V4, SERVER, 0), (SocketKind::V6, SERVER_V6, 2)] {
        let client = m.socket(kind.udp());
        m.send(client, to, b"x");
        assert_eq!(shown(&m.message(service).unwrap()).len(), count, "IPPROTO_IPV6 alone serves IPv6 alone");
    }
}

/// A chain over UDP: what the callouts see at each flow, the service sending on what `forward` gives.
fn chain(m: &mut Machine) -> Vec<ConnectTrace> {
    let services = [1001, 1002].map(|port| m.udp_service(SocketKind::V4, &format!("127.0.0.1:{port}")));
    m.cooperative_vendor("a", 200, 1001);
    m.cooperative_vendor("b", 100, 1002);
    let client = m.socket(UDP);
    let mut traces = vec![m.send(client, SERVER, b"hello").unwrap()];
    for service in services {
        let message = m.message(service).unwrap();
        let blob = data(&message, RECORDS).unwrap();
        let onward = m.w.socket(m.service, UDP).unwrap();
        m.w.bind(m.service, onward, address("0.0.0.0:0")).unwrap();
        let control = [ControlMessage { level: IP, kind: RECORDS, data: &blob }];
        m.w.send_message(m.service, onward, Some(address(SERVER)), &message.data, &control, &mut traces)
            .unwrap();
    }
    traces
}

#[test]
fn records_that_each_service_sends_on_end_the_chain_at_the_server() {
    use RedirectState::{NotRedirected, PreviouslyRedirectedBySelf, RedirectedByOther, RedirectedBySelf};
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    let traces = chain(&mut m);
    let states: Vec<_> = traces.iter().map(ConnectTrace::states).collect();
    assert_eq!(
        states,
        [
            [NotRedirected, NotRedirected],
            [RedirectedBySelf, RedirectedByOther],
            [PreviouslyRedirectedBySelf, RedirectedBySelf],
        ]
    );
    let arrived = m.w.receive_message(m.server, server, 9, 0).unwrap().unwrap();
    assert_eq!(arrived.data, b"hello");
    end(&mut m);
}

#[test]
fn trace_tells_of_datagrams_what_it_tells_of_connects() {
    let mut m = Machine::default();
    let text = chain(&mut m)[0].to_string();
    let expected = "\
app.exe (pid 4) sends the first datagram (udp) to 203.0.113.9:443, without records
  ALE_CONNECT_REDIRECT_V4
    a (handle 4096): NOT_REDIRECTED; redirects to 127.0.0.1:1001
    b (handle 4104): NOT_REDIRECTED, after filter 3 changed it to 127.0.0.1:1001 with handle 4096; permits, as another redirected already
  redirected to this host with handle 4096: sent to 127.0.0.1:1001, flow 2";
    assert_eq!(text, expected);
    let client = m.socket(UDP);
    let connect = m.trace_of(m.app, client, SERVER).to_string();
    let (first, last) = (connect.lines().next().unwrap(), connect.lines().last().unwrap());
    assert!(
        first.starts_with("app.exe (pid 4) connects a datagram socket (udp) to 203.0.113.9:443"),
        "{first}"
    );
    assert_eq!(last, "  redirected to this host with handle 4096: connected to 127.0.0.1:1001, no flow yet");
}

#[rstest]
#[case::with_the_flow("with-the-flow", [2, 0, 0])]
#[case::with_the_socket("with-the-socket", [2, 1, 0])]
#[case::leaked("never", [2, 1, 1])]
fn connected_udp_is_classified_twice_and_leaves_two_contexts(#[case] value: &str, #[case] left: [usize; 3]) {
    let mut m = Machine::with(&[("connected-udp-context", value)]);
    let service = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let client = m.socket(UDP);
    let mut traces = Vec::new();
    assert_eq!(m.w.connect(m.app, client, address(SERVER), &mut traces), Ok(Completion::Done(())));
    assert_eq!((traces.len(), traces[0].result), (1, Err(WinsockError::WSA_IO_PENDING)));
    assert_eq!((m.w.live_contexts(), m.message(service)), (1, None));
    m.w.sendto(m.app, client, b"first", None, &mut traces).unwrap();
    m.w.sendto(m.app, client, b"second", None, &mut traces).unwrap();
    assert_eq!(traces.len(), 2, "at connect and at the first send");
    assert_eq!(m.message(service).map(|message| shown(&message).len()), Some(2));
    let mut seen = vec![m.w.live_contexts()];
    m.w.advance(60_000);
    seen.push(m.w.live_contexts());
    m.w.closesocket(m.app, client).unwrap();
    seen.push(m.w.live_contexts());
    assert_eq!(seen, left);
}

#[test]
fn context_of_a_connect_without_a_send_goes_with_the_socket() {
    let mut m = Machine::default();
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let client = m.socket(UDP);
    m.connect(client, SERVER).unwrap();
    m.connect(client, "203.0.113.9:80").unwrap();
    assert_eq!(m.w.live_contexts(), 2);
    end(&mut m);
}

/// Who closes what; whether the context is there then.
#[rstest]
#[case::client("client", 0)]
#[case::application("app", 0)]
#[case::service("service", 1)]
fn context_of_a_flow_is_freed_with_the_socket_that_made_it(#[case] what: &str, #[case] left: usize) {
    let mut m = Machine::default();
    let (client, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    match what {
        "client" => m.w.closesocket(m.app, client).unwrap(),
        "app" => assert!(m.w.end_process(m.app.pid)),
        _ => m.w.closesocket(m.service, service).unwrap(),
    }
    assert_eq!(m.w.live_contexts(), left);
    end(&mut m);
}

#[test]
fn redirect_without_a_context_brings_records_alone() {
    let mut m = Machine::default();
    let redirect = Redirect { context: Context::None, ..Redirect::local(m.service.pid, both(1001)) };
    let (_, service) = m.udp_redirected(redirect);
    assert_eq!(shown(&m.message(service).unwrap()), [(IP, RECORDS, 128)]);
}

#[test]
fn remote_redirect_brings_nothing() {
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    m.redirect_all(1, Redirect::local(m.service.pid, address(SERVER)));
    let client = m.socket(UDP);
    let trace = m.send(client, "203.0.113.77:80", b"x").unwrap();
    assert_eq!(trace.redirect, Some(Redirection::Remote));
    m.w.setsockopt(m.server, server, IP, RECORDS, 1).unwrap();
    assert_eq!(m.w.receive_message(m.server, server, 9, 999).unwrap().map(|m| m.control), Some(vec![]));
}

/// A redirect to an own address that is not loopback: of a socket whose bind gave it no address, and of one that has one.
#[rstest]
#[case::loses_records("without-records", "delivered", None, Some(0))]
#[case::keeps_records("with-records", "delivered", None, Some(2))]
#[case::bound_keeps_records("without-records", "dropped", Some("192.0.2.1:5000"), Some(2))]
#[case::bound_to_all_loses_records("without-records", "delivered", Some("0.0.0.0:5000"), Some(0))]
#[case::is_lost("without-records", "dropped", None, None)]
#[case::is_lost_with_records("with-records", "dropped", None, None)]
fn redirect_to_an_own_address_that_is_not_loopback(
    #[case] records: &str,
    #[case] unset: &str,
    #[case] bound: Option<&str>,
    #[case] messages: Option<usize>,
) {
    let mut m = Machine::with(&[("local-address-redirect", records), ("datagram-unset-source", unset)]);
    let service = m.udp_service(SocketKind::V4, "0.0.0.0:1001");
    let handle = m.redirect_all(1, Redirect::local(m.service.pid, address("192.0.2.1:1001")));
    let client = match bound {
        Some(at) => m.bound(UDP, at),
        None => m.socket(UDP),
    };
    let trace = m.send(client, SERVER, b"x").unwrap();
    let travels = records == "with-records" || bound == Some("192.0.2.1:5000");
    let expected = if travels { Redirection::Local(handle) } else { Redirection::LocalWithoutRecords };
    assert_eq!(trace.redirect, Some(expected));
    m.send(client, SERVER, b"y");
    assert_eq!(m.message(service).map(|message| shown(&message).len()), messages);
    end(&mut m);
}

#[test]
fn records_set_by_the_control_code_count_where_the_profile_serves_udp() {
    let mut m = Machine::with(&[("set-on-udp", "served")]);
    let (_, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    let blob = data(&m.message(service).unwrap(), RECORDS).unwrap();
    let onward = m.w.socket(m.service, UDP).unwrap();
    assert_eq!(m.w.set_redirect_records(m.service, onward, &blob), Ok(()));
    let mut traces = Vec::new();
    m.w.sendto(m.service, onward, b"x", Some(address(SERVER)), &mut traces).unwrap();
    assert_eq!(traces[0].states(), [RedirectState::RedirectedBySelf]);
}

#[test]
fn control_codes_answer_on_a_connected_socket_of_a_redirected_flow() {
    let mut m = Machine::default();
    let (_, service) = m.udp_redirected(Redirect::local(m.service.pid, both(1001)));
    assert_eq!(m.w.query_redirect_records(m.service, service), Err(WinsockError::WSAENOTCONN));
    let message = m.message(service).unwrap();
    m.w.connect(m.service, service, message.from, &mut ()).unwrap();
    assert_eq!(m.w.query_redirect_records(m.service, service).ok(), data(&message, RECORDS));
    assert_eq!(m.w.query_redirect_context(m.service, service).ok(), data(&message, CONTEXT));
    m.w.advance(60_000);
    assert_eq!(
        m.w.query_redirect_records(m.service, service),
        Err(WinsockError::WSAEINVAL),
        "the flow is gone"
    );
}
