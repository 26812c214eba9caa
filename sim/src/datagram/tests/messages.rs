//! `WSARecvMsg`, `WSASendMsg` and the options: what they refuse, where they write, and control data that lies.

use rstest::rstest;

use super::*;
use crate::control_message::{Header, MSG_CTRUNC, MSG_DONTROUTE, MSG_PEEK, MSG_TRUNC, build};
use crate::datagram::{Buffer, ReceivedMessage, WsaMsg};
use crate::engine::Redirect;
use crate::error::WinsockError;
use crate::memory::Pointer;
use crate::socket::{Completed, Completion, SocketKind};
use crate::testing::{SERVER, address, both};
use crate::{RedirectState, SocketHandle};

const UDP: SocketKind = SocketKind::V4.udp();

/// Memory of the service, all of it 0xEE.
fn buffer(m: &mut Machine, length: u32) -> Buffer {
    Buffer { pointer: m.w.allocate(m.service, length.into(), 0xEE), length }
}

fn read(m: &Machine, buffer: Buffer) -> Vec<u8> {
    m.w.read_memory(m.service, buffer.pointer, buffer.length).unwrap()
}

fn receive(m: &mut Machine, socket: SocketHandle, message: &WsaMsg) -> Result<ReceivedMessage, WinsockError> {
    m.w.wsa_recv_msg(m.service, socket, message).map(|received| received.done().expect("a datagram is there"))
}

/// A datagram that was redirected to this socket of the service: `first`, with 288 bytes of control data.
fn redirected(m: &mut Machine) -> (SocketHandle, SocketHandle) {
    m.udp_redirected(Redirect::local(m.service.pid, both(1001)))
}

#[test]
fn buffers_are_filled_one_after_the_other_and_nothing_beside_them() {
    let mut m = Machine::default();
    let (_, socket) = redirected(&mut m);
    let buffers = [2, 0, 8].map(|length| buffer(&mut m, length));
    let control = buffer(&mut m, 300);
    let message = WsaMsg { name: None, buffers: buffers.to_vec(), control, flags: 0 };
    let received = receive(&mut m, socket, &message).unwrap();
    let from = address("127.0.0.1:49152");
    assert_eq!(received, ReceivedMessage { bytes: 5, from, control_length: 288, flags: 0 });
    assert_eq!(received.result(), Ok(5));
    assert_eq!(buffers.map(|b| read(&m, b)), [&b"fi"[..], b"", b"rst\xEE\xEE\xEE\xEE\xEE"]);
    assert_eq!(read(&m, control)[288..], [0xEE; 12]);
}

#[test]
fn datagram_that_does_not_fit_is_cut_and_the_rest_is_lost() {
    let mut m = Machine::default();
    let (client, socket) = redirected(&mut m);
    m.send(client, SERVER, b"second");
    let [data, control] = [3, 288].map(|length| buffer(&mut m, length));
    let message = WsaMsg { name: None, buffers: vec![data], control, flags: 0 };
    let received = receive(&mut m, socket, &message).unwrap();
    assert_eq!((received.bytes, received.flags, received.control_length), (3, MSG_TRUNC, 288));
    assert_eq!(received.result(), Err(WinsockError::WSAEMSGSIZE));
    assert_eq!(read(&m, data), b"fir");
    assert_eq!(m.message(socket).unwrap().data, b"second");
}

#[test]
fn both_can_be_cut_at_once() {
    let mut m = Machine::default();
    let (_, socket) = redirected(&mut m);
    let message = m.w.receive_message(m.service, socket, 1, 287).unwrap().unwrap();
    assert_eq!((message.flags, message.data), (MSG_TRUNC | MSG_CTRUNC, b"f".to_vec()));
}

#[rstest]
#[case::null_control(Pointer::NULL, 1, Err(WinsockError::WSAEFAULT))]
#[case::unmapped_control(Pointer::UNMAPPED, 288, Err(WinsockError::WSAEFAULT))]
#[case::null_control_without_length(Pointer::NULL, 0, Ok(5))]
#[case::unmapped_control_without_length(Pointer::UNMAPPED, 0, Ok(5))]
fn control_pointer_is_looked_at_where_it_has_a_length(
    #[case] pointer: Pointer,
    #[case] length: u32,
    #[case] expected: Result<u32, WinsockError>,
) {
    let mut m = Machine::default();
    let (client, socket) = redirected(&mut m);
    let data = buffer(&mut m, 9);
    let control = Buffer { pointer, length };
    let message = WsaMsg { name: Some(address(SERVER)), buffers: vec![data], control, flags: 0 };
    let received = m.w.wsa_recv_msg(m.service, socket, &message);
    assert_eq!(received.map(|r| r.done().unwrap().bytes), expected);
    let first_is_there = expected.is_err();
    m.send(client, SERVER, b"second");
    let next = if first_is_there { &b"first"[..] } else { b"second" };
    assert_eq!(m.message(socket).unwrap().data, next, "a call that is refused takes nothing");
    let sent = m.w.wsa_send_msg(m.service, socket, &message, 0, &mut ());
    assert_eq!(sent, expected.map(|_| 9));
}

#[rstest]
#[case::null(|_: Buffer| Buffer { pointer: Pointer::NULL, length: 1 })]
#[case::one_byte_more(|b: Buffer| Buffer { length: b.length + 1, ..b })]
#[case::four_gib(|b: Buffer| Buffer { length: u32::MAX, ..b })]
fn buffer_that_is_not_wholly_there_is_a_fault(#[case] spoil: fn(Buffer) -> Buffer) {
    let mut m = Machine::default();
    let (_, socket) = redirected(&mut m);
    let [data, control] = [9, 288].map(|length| buffer(&mut m, length));
    let good = WsaMsg { name: Some(address(SERVER)), buffers: vec![data], control, flags: 0 };
    let spoiled = [
        WsaMsg { buffers: vec![data, spoil(data)], ..good.clone() },
        WsaMsg { control: spoil(control), ..good },
    ];
    for message in spoiled {
        assert_eq!(receive(&mut m, socket, &message), Err(WinsockError::WSAEFAULT));
        let sent = m.w.wsa_send_msg(m.service, socket, &message, 0, &mut ());
        assert_eq!(sent, Err(WinsockError::WSAEFAULT));
    }
    assert_eq!(m.message(socket).unwrap().control.len(), 288);
}

#[test]
fn receive_that_waits_writes_when_the_datagram_comes_or_faults_if_its_memory_is_gone() {
    let mut m = Machine::default();
    let socket = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let [data, control] = [9, 288].map(|length| buffer(&mut m, length));
    let message = WsaMsg { name: None, buffers: vec![data], control, flags: 0 };
    let client = m.socket(UDP);
    for (gone, expected) in [(false, Ok(5)), (true, Err(WinsockError::WSAEFAULT))] {
        let Ok(Completion::Pending(pending)) = m.w.wsa_recv_msg(m.service, socket, &message) else {
            panic!("done")
        };
        if gone {
            m.w.free(m.service, data.pointer);
        }
        m.send(client, SERVER, b"later");
        let result = match m.w.completion(pending) {
            Some(Ok(Completed::ReceivedMessage(received))) => received.result(),
            Some(Err(error)) => Err(error),
            other => panic!("{other:?}"),
        };
        assert_eq!(result, expected);
    }
}

#[test]
fn peek_leaves_the_datagram_with_its_control_data() {
    let mut m = Machine::default();
    let (_, socket) = redirected(&mut m);
    let [data, control] = [9, 288].map(|length| buffer(&mut m, length));
    let peek = WsaMsg { name: None, buffers: vec![data], control, flags: MSG_PEEK };
    for flags in [MSG_PEEK, MSG_PEEK, 0] {
        let received = receive(&mut m, socket, &WsaMsg { flags, ..peek.clone() }).unwrap();
        assert_eq!((received.bytes, received.control_length), (5, 288));
    }
    assert_eq!(m.message(socket), None);
}

#[rstest]
#[case::peek_overlapped("works", true, MSG_PEEK, None)]
#[case::peek_overlapped_minded("WSAEOPNOTSUPP", true, MSG_PEEK, Some(WinsockError::WSAEOPNOTSUPP))]
#[case::peek_plain("WSAEOPNOTSUPP", false, MSG_PEEK, None)]
#[case::peek_and_more("works", true, MSG_PEEK | 1, Some(WinsockError::WSAEOPNOTSUPP))]
#[case::other_flag("works", true, 0x8000, Some(WinsockError::WSAEOPNOTSUPP))]
fn flags_of_a_receive(
    #[case] value: &str,
    #[case] overlapped: bool,
    #[case] flags: u32,
    #[case] error: Option<WinsockError>,
) {
    let mut m = Machine::with(&[("peek-on-overlapped", value)]);
    let socket = m.w.socket(m.service, SocketKind { overlapped, nonblocking: true, ..UDP }).unwrap();
    m.w.bind(m.service, socket, address("127.0.0.1:9")).unwrap();
    let message = WsaMsg { name: None, buffers: vec![], control: Buffer::NONE, flags };
    let refused = m.w.wsa_recv_msg(m.service, socket, &message).unwrap_err();
    assert_eq!(refused, error.unwrap_or(WinsockError::WSAEWOULDBLOCK));
}

#[rstest]
#[case::none(true, true, 0, Ok(2))]
#[case::dont_route(true, true, MSG_DONTROUTE, Ok(2))]
#[case::partial(true, true, 0x8000, Err(WinsockError::WSAEOPNOTSUPP))]
#[case::out_of_band(true, true, 1, Err(WinsockError::WSAEOPNOTSUPP))]
#[case::unknown(true, true, 0x4000_0000, Err(WinsockError::WSAEOPNOTSUPP))]
#[case::not_bound(false, true, 0, Err(WinsockError::WSAEINVAL))]
#[case::not_overlapped(true, false, 0, Err(WinsockError::WSAEINVAL))]
fn send_is_refused_by_its_flags_and_by_the_socket(
    #[case] bound: bool,
    #[case] overlapped: bool,
    #[case] flags: u32,
    #[case] expected: Result<usize, WinsockError>,
) {
    let mut m = Machine::default();
    let socket = m.w.socket(m.service, SocketKind { overlapped, ..UDP }).unwrap();
    if bound {
        m.w.bind(m.service, socket, address("0.0.0.0:0")).unwrap();
    }
    let data = buffer(&mut m, 2);
    // The member of the same name is not looked at.
    let name = Some(address(SERVER));
    let message = WsaMsg { name, buffers: vec![data], control: Buffer::NONE, flags: 0xFFFF_FFFF };
    assert_eq!(m.w.wsa_send_msg(m.service, socket, &message, flags, &mut ()), expected);
}

#[test]
fn name_counts_on_a_socket_that_is_not_connected() {
    let mut m = Machine::default();
    let server = m.udp_server(SERVER);
    let socket = m.w.socket(m.service, UDP).unwrap();
    m.w.bind(m.service, socket, address("0.0.0.0:0")).unwrap();
    let none = m.w.send_message(m.service, socket, None, b"x", &[], &mut ());
    assert_eq!(none, Err(WinsockError::WSAENOTCONN));
    m.w.connect(m.service, socket, address(SERVER), &mut ()).unwrap();
    m.w.send_message(m.service, socket, Some(address("203.0.113.9:9")), b"x", &[], &mut ()).unwrap();
    assert!(m.w.receive_message(m.server, server, 9, 0).unwrap().is_some());
}

#[test]
fn more_data_than_a_datagram_takes_is_refused_before_it_is_read() {
    let mut m = Machine::default();
    let (_, socket) = redirected(&mut m);
    let huge = Buffer { pointer: m.w.allocate(m.service, u32::MAX.into(), 0), length: u32::MAX };
    let message =
        WsaMsg { name: Some(address(SERVER)), buffers: vec![huge, huge], control: Buffer::NONE, flags: 0 };
    assert_eq!(m.w.wsa_send_msg(m.service, socket, &message, 0, &mut ()), Err(WinsockError::WSAEMSGSIZE));
}

#[test]
fn calls_are_for_datagram_sockets_alone() {
    for value in ["WSAEOPNOTSUPP", "WSAEINVAL"] {
        let mut m = Machine::with(&[("message-call-on-stream", value)]);
        let error = WinsockError::by_name(value);
        let (_, accepted) = m.pair();
        let message = WsaMsg { name: None, buffers: vec![], control: Buffer::NONE, flags: 0 };
        assert_eq!(m.w.wsa_recv_msg(m.service, accepted, &message).err(), error);
        assert_eq!(m.w.wsa_send_msg(m.service, accepted, &message, 0, &mut ()).err(), error);
        let fresh = m.w.socket(m.service, UDP).unwrap();
        let unbound = m.w.wsa_recv_msg(m.service, fresh, &message);
        assert_eq!(unbound, Err(WinsockError::WSAEINVAL));
        assert_eq!(m.w.wsa_recv_msg(m.app, fresh, &message), Err(WinsockError::WSAENOTSOCK));
    }
}

/// The records of a redirected flow, and a bound socket to send them on with.
fn forwarding(m: &mut Machine) -> (Vec<u8>, SocketHandle) {
    let (_, socket) = redirected(m);
    let blob = data(&m.message(socket).unwrap(), RECORDS).unwrap();
    let onward = m.w.socket(m.service, SocketKind::DUAL.udp()).unwrap();
    m.w.bind(m.service, onward, address("[::]:0")).unwrap();
    (blob, onward)
}

/// What the callout is told of a datagram with this control data, and the result.
fn forward(
    m: &mut Machine,
    socket: SocketHandle,
    control: &[u8],
    length: u32,
) -> Result<Option<RedirectState>, WinsockError> {
    let place = buffer(m, length.max(1));
    m.w.write_memory(m.service, place.pointer, control);
    let control = Buffer { length, ..place };
    let name = Some(address(crate::testing::SERVER_MAPPED));
    let message = WsaMsg { name, buffers: vec![], control, flags: 0 };
    let mut traces = Vec::new();
    m.w.wsa_send_msg(m.service, socket, &message, 0, &mut traces)?;
    Ok(traces.pop().map(|trace| trace.states()[0]))
}

#[rstest]
#[case::ip(IP, RECORDS, RedirectState::RedirectedBySelf)]
#[case::ipv6(IPV6, RECORDS, RedirectState::RedirectedBySelf)]
#[case::another_level(6, RECORDS, RedirectState::NotRedirected)]
#[case::another_type(IP, 61, RedirectState::NotRedirected)]
#[case::context_type(IP, CONTEXT, RedirectState::NotRedirected)]
fn records_count_in_a_message_of_their_type_and_others_are_skipped(
    #[case] level: i32,
    #[case] kind: i32,
    #[case] state: RedirectState,
) {
    let mut m = Machine::default();
    let (blob, socket) = forwarding(&mut m);
    let other = ControlMessage { level: IP, kind: 19, data: &[1, 2, 3] };
    let control = build(Layout::Bits64, &[other, ControlMessage { level, kind, data: &blob }, other]);
    let length = u32::try_from(control.len()).unwrap();
    assert_eq!(forward(&mut m, socket, &control, length), Ok(Some(state)));
    assert_eq!(forward(&mut m, socket, &control, length), Ok(None), "the flow is there");
}

#[test]
fn level_of_the_other_family_means_nothing_on_a_socket_of_one() {
    let mut m = Machine::default();
    let (blob, _) = forwarding(&mut m);
    let socket = m.w.socket(m.service, UDP).unwrap();
    m.w.bind(m.service, socket, address("0.0.0.0:0")).unwrap();
    let control = [ControlMessage { level: IPV6, kind: RECORDS, data: &blob }];
    let mut traces = Vec::new();
    m.w.send_message(m.service, socket, Some(address(SERVER)), b"", &control, &mut traces).unwrap();
    assert_eq!(traces[0].states(), [RedirectState::NotRedirected]);
}

#[test]
fn records_come_too_late_on_the_second_datagram() {
    let mut m = Machine::default();
    let (blob, socket) = forwarding(&mut m);
    assert_eq!(forward(&mut m, socket, &[], 0), Ok(Some(RedirectState::NotRedirected)));
    let control = build(Layout::Bits64, &[ControlMessage { level: IP, kind: RECORDS, data: &blob }]);
    assert_eq!(forward(&mut m, socket, &control, 144), Ok(None));
}

/// The length that the only header claims, and how many bytes of control data there are.
#[rstest]
#[case::nothing(0, 144, "malformed")]
#[case::within_the_header(15, 144, "malformed")]
#[case::one_too_many(145, 144, "malformed")]
#[case::four_gib(0x1_0000_0000, 144, "malformed")]
#[case::wraps_around(u64::MAX, 144, "malformed")]
#[case::wraps_to_the_start(0xFFFF_FFFF_FFFF_FF70, 144, "malformed")]
#[case::ends_inside_the_blob(144, 143, "malformed")]
#[case::ends_inside_the_header(144, 15, "no message")]
#[case::no_data(16, 144, "no records")]
#[case::one_byte_of_the_blob_missing(143, 144, "no records")]
#[case::all_of_it(144, 144, "records")]
#[case::more_room(144, 4096, "malformed")]
fn control_data_that_lies_is_refused_or_left_out(
    #[case] claimed: u64,
    #[case] length: u32,
    #[case] what: &str,
    #[values("WSAEINVAL", "ignored")] malformed: &str,
) {
    let mut m = Machine::with(&[("send-control-malformed", malformed)]);
    let (blob, socket) = forwarding(&mut m);
    let header = Header { length: claimed, level: IP, kind: RECORDS };
    let control = [Layout::Bits64.header_bytes(header), blob].concat();
    let control = &control[..control.len().min(length as usize)];
    let expected = match what {
        "records" => Ok(Some(RedirectState::RedirectedBySelf)),
        "malformed" if length == 4096 && malformed == "ignored" => Ok(Some(RedirectState::RedirectedBySelf)),
        "malformed" if malformed == "ignored" => Ok(Some(RedirectState::NotRedirected)),
        "no message" => Ok(Some(RedirectState::NotRedirected)),
        _ => Err(WinsockError::WSAEINVAL),
    };
    assert_eq!(forward(&mut m, socket, control, length), expected);
}

#[test]
fn control_buffer_of_4_gib_is_read_as_far_as_its_messages_go() {
    let mut m = Machine::with(&[("send-control-malformed", "ignored")]);
    let (blob, socket) = forwarding(&mut m);
    let pointer = m.w.allocate(m.service, u32::MAX.into(), 0);
    let huge = ControlMessage { level: IP, kind: 7, data: &[] };
    let mut control = build(Layout::Bits64, &[huge]);
    control[..8].copy_from_slice(&0xFFFF_0000_u64.to_le_bytes());
    m.w.write_memory(m.service, pointer, &control);
    let records = build(Layout::Bits64, &[ControlMessage { level: IP, kind: RECORDS, data: &blob }]);
    m.w.write_memory(m.service, pointer.offset(0xFFFF_0000), &records);
    let control = Buffer { pointer, length: u32::MAX };
    let message =
        WsaMsg { name: Some(address(crate::testing::SERVER_MAPPED)), buffers: vec![], control, flags: 0 };
    let mut traces = Vec::new();
    m.w.wsa_send_msg(m.service, socket, &message, 0, &mut traces).unwrap();
    assert_eq!(traces[0].states(), [RedirectState::RedirectedBySelf]);
}

#[test]
fn records_are_checked_as_set_checks_them() {
    let error = |fields: &[(&str, &str)], spoil: bool, elevated: bool| {
        let mut m = Machine::with(fields);
        let (mut blob, socket) = forwarding(&mut m);
        if spoil {
            blob[40] ^= 1;
        }
        let stale = fields.iter().any(|(name, _)| *name == "set-stale-records");
        if stale {
            m.w.advance(60_000);
        }
        let sender = if elevated { m.service } else { m.app };
        let theirs = m.w.wsa_duplicate_socket(m.service, socket, sender.pid).unwrap();
        let control = [ControlMessage { level: IP, kind: RECORDS, data: &blob }];
        let to = Some(address(crate::testing::SERVER_MAPPED));
        m.w.send_message(sender, theirs, to, b"", &control, &mut ()).err()
    };
    assert_eq!(error(&[], false, true), None);
    assert_eq!(error(&[], true, true), Some(WinsockError::WSAEINVAL));
    assert_eq!(error(&[("set-malformed", "WSAEFAULT")], true, true), Some(WinsockError::WSAEFAULT));
    assert_eq!(error(&[("set-malformed", "no-effect")], true, true), None);
    assert_eq!(error(&[], false, false), Some(WinsockError::WSAEACCES));
    assert_eq!(error(&[("set-needs-elevation", "not-needed")], false, false), None);
    assert_eq!(error(&[("set-stale-records", "WSAEINVAL")], false, true), Some(WinsockError::WSAEINVAL));
}

#[test]
fn options_are_read_back_and_belong_to_the_levels_that_the_socket_serves() {
    let mut m = Machine::default();
    let tcp = SocketKind::V4;
    let v6 = SocketKind::V6.udp();
    let dual = SocketKind::DUAL.udp();
    let rows = [(tcp, false, false), (UDP, true, false), (v6, false, true), (dual, true, true)];
    for (kind, ip, ipv6) in rows {
        let socket = m.socket(kind);
        for (level, served) in [(IP, ip), (IPV6, ipv6), (6, false)] {
            for option in [RECORDS, CONTEXT] {
                let refused = Err(WinsockError::WSAENOPROTOOPT);
                let off = m.w.getsockopt(m.app, socket, level, option);
                assert_eq!(off, if served { Ok(0) } else { refused });
                let set = m.w.setsockopt(m.app, socket, level, option, 2);
                assert_eq!(set, off.map(drop));
                let on = m.w.getsockopt(m.app, socket, level, option);
                assert_eq!(on, off.map(|_| 1));
            }
        }
        assert_eq!(m.w.getsockopt(m.app, socket, IP, 19), Err(WinsockError::WSAENOPROTOOPT));
        assert_eq!(m.w.setsockopt(m.service, socket, IP, RECORDS, 1), Err(WinsockError::WSAENOTSOCK));
    }
}

#[test]
fn before_windows_8_there_are_no_such_options() {
    let mut m = Machine::with(&[("windows-version", "windows-7")]);
    let socket = m.socket(UDP);
    for option in [RECORDS, CONTEXT] {
        assert_eq!(m.w.setsockopt(m.app, socket, IP, option, 1), Err(WinsockError::WSAENOPROTOOPT));
        assert_eq!(m.w.getsockopt(m.app, socket, IP, option), Err(WinsockError::WSAENOPROTOOPT));
    }
}
