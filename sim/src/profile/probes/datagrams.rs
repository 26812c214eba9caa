//! The probes of the fields that datagrams show.

use super::super::Profile;
use super::{Probe, greatest, or_ok, to_service};
use crate::WinsockError;
use crate::control_message::{
    ControlMessage, IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, Layout, MSG_CTRUNC,
    MSG_PEEK, messages,
};
use crate::datagram::{Buffer, Message, WsaMsg};
use crate::engine::Redirect;
use crate::ids::SocketHandle;
use crate::socket::{Protocol, SocketKind};
use crate::testing::{Machine, SERVER, address};
use crate::trace::Redirection;

const UDP: SocketKind = SocketKind::V4.udp();

pub(super) const PROBES: &[(&str, Probe)] = &[
    ("query-on-udp", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        let message = m.message(service).unwrap();
        m.w.connect(m.service, service, message.from, &mut ()).unwrap();
        or_ok(m.w.query_redirect_records(m.service, service).map(drop), "served")
    }),
    ("query-on-raw", |profile| {
        let mut m = Machine::new(profile);
        let raw = m.w.socket(m.service, SocketKind::V4.raw(Protocol::ICMP)).unwrap();
        served(m.w.query_redirect_records(m.service, raw).map(drop), WinsockError::WSAENOTCONN)
    }),
    ("set-on-udp", |profile| set_on(profile, UDP)),
    ("set-on-raw", |profile| set_on(profile, SocketKind::V4.raw(Protocol::ICMP))),
    ("local-address-redirect", |profile| match to_own_address(profile).1 {
        Some(Redirection::LocalWithoutRecords) => "without-records".to_owned(),
        _ => "with-records".to_owned(),
    }),
    ("datagram-unset-source", |profile| {
        let arrived = to_own_address(profile).0;
        if arrived { "delivered".to_owned() } else { "dropped".to_owned() }
    }),
    ("reply-source-after-redirect", |profile| {
        let mut m = Machine::new(profile);
        let (client, service) = redirected(&mut m);
        let source = m.message(service).unwrap().from;
        m.w.sendto(m.service, service, b"reply", Some(source), &mut ()).unwrap();
        let shown = m.w.recvfrom(m.app, client, 9).unwrap().done().unwrap().from;
        if shown == address(SERVER) { "original".to_owned() } else { "redirected".to_owned() }
    }),
    ("reception-decided", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        m.w.setsockopt(m.service, service, IPPROTO_IP, IP_WFP_REDIRECT_CONTEXT, 0).unwrap();
        m.w.setsockopt(m.service, service, IPPROTO_IP, IP_WFP_REDIRECT_RECORDS, 0).unwrap();
        let late = m.message(service).unwrap().control.is_empty();
        if late { "at-receive".to_owned() } else { "at-arrival".to_owned() }
    }),
    ("both-control-messages", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        match *kinds(&m.message(service).unwrap()) {
            [IP_WFP_REDIRECT_RECORDS, IP_WFP_REDIRECT_CONTEXT] => "records-first".to_owned(),
            [IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS] => "context-first".to_owned(),
            [IP_WFP_REDIRECT_RECORDS] => "records-alone".to_owned(),
            [IP_WFP_REDIRECT_CONTEXT] => "context-alone".to_owned(),
            ref other => format!("{other:?}"),
        }
    }),
    ("truncated-control", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        let message = m.w.receive_message(m.service, service, 9, 100).unwrap().unwrap();
        match (message.control.len(), messages(Layout::Bits64, &message.control).next()) {
            (0, None) => "nothing".to_owned(),
            (100, Some(Ok(_))) => "cut-to-fit".to_owned(),
            (100, Some(Err(_))) => "as-it-is".to_owned(),
            other => format!("{other:?}"),
        }
    }),
    ("last-control-padding", |profile| {
        // A blob of 24 + 27 bytes, so that the padding behind it is not empty.
        let mut m = Machine::new(Profile { record_header_bytes: 24, record_bytes_per_hop: 27, ..profile });
        let service = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
        m.w.setsockopt(m.service, service, IPPROTO_IP, IP_WFP_REDIRECT_CONTEXT, 0).unwrap();
        let redirect = to_service(&m);
        m.redirect_all(1, redirect);
        let client = m.socket(UDP);
        m.send(client, SERVER, b"x");
        let message = m.w.receive_message(m.service, service, 9, 67).unwrap().unwrap();
        if message.flags == MSG_CTRUNC { "needed".to_owned() } else { "not-needed".to_owned() }
    }),
    ("no-control-buffer", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        let message = m.w.receive_message(m.service, service, 9, 0).unwrap().unwrap();
        if message.flags == MSG_CTRUNC { "MSG_CTRUNC".to_owned() } else { "ignored".to_owned() }
    }),
    ("send-control-malformed", |profile| {
        let mut m = Machine::new(profile);
        let socket = bound(&mut m);
        let control = Buffer { pointer: m.w.allocate(m.service, 16, 0), length: 16 };
        let message = WsaMsg { name: Some(address(SERVER)), buffers: Vec::new(), control, flags: 0 };
        or_ok(m.w.wsa_send_msg(m.service, socket, &message, 0, &mut ()).map(drop), "ignored")
    }),
    ("peek-on-overlapped", |profile| {
        let mut m = Machine::new(profile);
        let (_, service) = redirected(&mut m);
        let message = WsaMsg { name: None, buffers: Vec::new(), control: Buffer::NONE, flags: MSG_PEEK };
        or_ok(m.w.wsa_recv_msg(m.service, service, &message).map(drop), "works")
    }),
    ("message-call-on-stream", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        let message = WsaMsg { name: None, buffers: Vec::new(), control: Buffer::NONE, flags: 0 };
        or_ok(m.w.wsa_recv_msg(m.service, accepted, &message).map(drop), "received")
    }),
    ("connected-udp-context", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        m.redirect_all(1, redirect);
        let client = m.socket(UDP);
        m.connect(client, SERVER).unwrap();
        m.w.send(m.app, client, b"x").unwrap();
        m.w.advance(86_400_000);
        let after_the_flow = m.w.live_contexts();
        m.w.closesocket(m.app, client).unwrap();
        match (after_the_flow, m.w.live_contexts()) {
            (0, 0) => "with-the-flow".to_owned(),
            (1, 0) => "with-the-socket".to_owned(),
            (1, 1) => "never".to_owned(),
            other => format!("{other:?}"),
        }
    }),
    ("udp-idle-timeout-ms", |profile| {
        let mut m = Machine::new(profile);
        redirected(&mut m);
        let lives = |milliseconds: usize| {
            let mut w = m.w.clone();
            w.advance(milliseconds as u64);
            w.live_contexts() == 1
        };
        (greatest(1 << 27, lives) + 1).to_string()
    }),
];

// What probes share.

fn redirected(m: &mut Machine) -> (SocketHandle, SocketHandle) {
    let redirect = to_service(m);
    m.udp_redirected(redirect)
}

/// A UDP socket of the service, bound to all addresses.
fn bound(m: &mut Machine) -> SocketHandle {
    let socket = m.w.socket(m.service, UDP).unwrap();
    m.w.bind(m.service, socket, address("0.0.0.0:0")).unwrap();
    socket
}

fn kinds(message: &Message) -> Vec<i32> {
    let all = messages(Layout::Bits64, &message.control);
    all.flatten().map(|message: ControlMessage<'_>| message.kind).collect()
}

/// Served as a TCP socket in this state would be: with this error.
fn served(result: Result<(), WinsockError>, as_tcp: WinsockError) -> String {
    if result == Err(as_tcp) { "served".to_owned() } else { or_ok(result, "served") }
}

fn set_on(profile: Profile, kind: SocketKind) -> String {
    let mut m = Machine::new(profile);
    let socket = m.w.socket(m.service, kind).unwrap();
    or_ok(m.w.set_redirect_records(m.service, socket, &super::stale(1)), "served")
}

/// A datagram of a socket without an address, redirected to an own address that is not loopback: whether it arrives,
/// and what the engine made of the redirect.
fn to_own_address(profile: Profile) -> (bool, Option<Redirection>) {
    let mut m = Machine::new(profile);
    let service = m.udp_service(SocketKind::V4, "192.0.2.1:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, address("192.0.2.1:1001")));
    let client = m.socket(UDP);
    let redirect = m.send(client, SERVER, b"x").and_then(|trace| trace.redirect);
    (m.message(service).is_some(), redirect)
}
