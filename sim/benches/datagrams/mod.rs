//! Datagrams of one flow that a vendor redirects: the application sends, the service receives with WSARecvMsg into
//! buffers that it allocated once and sends on with WSASendMsg, the server receives.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput};
use wfp_sim::control_message::{
    IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, Layout, messages,
};
use wfp_sim::datagram::{Buffer, WsaMsg};
use wfp_sim::engine::{Policy, Redirect};
use wfp_sim::{Caller, Host, Profile, SocketHandle, SocketKind, Vendor, World};

const UDP: SocketKind = SocketKind::V4.udp();
/// Bytes of a datagram.
const SIZE: u32 = 512;

struct Relay {
    w: World,
    destination: SocketAddr,
    app: (Caller, SocketHandle),
    service: (Caller, SocketHandle),
    onward: SocketHandle,
    server: (Caller, SocketHandle),
    received: WsaMsg,
    sent: WsaMsg,
}

impl Relay {
    fn new() -> Self {
        let mut w = World::new(Profile::documented());
        let destination = SocketAddr::from(([203, 0, 113, 9], 53));
        let local = SocketAddr::from(([127, 0, 0, 1], 1001));
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let host =
            w.add_host(Host { name: "server".into(), addresses: vec![destination.ip()], silent: false });
        let callers = [
            w.start_process("app.exe", false),
            w.start_process("service.exe", true),
            w.start_process_on(host, "server.exe", false),
        ];
        let [app, service, server] = callers;
        let [client, listening, serving] =
            callers.map(|caller| w.socket(caller, UDP).expect("the process is there"));
        let onward = w.socket(service, UDP).expect("the process is there");
        for (caller, socket, at) in
            [(service, listening, local), (service, onward, any), (server, serving, destination)]
        {
            w.bind(caller, socket, at).expect("the port is free");
        }
        for option in [IP_WFP_REDIRECT_RECORDS, IP_WFP_REDIRECT_CONTEXT] {
            w.setsockopt(service, listening, IPPROTO_IP, option, 1).expect("a UDP socket has it");
        }
        let driver = w.load_driver("vendor");
        let handle = w.fwps_redirect_handle_create(driver, "vendor", 0).expect("it is loaded");
        let policy = Policy::cooperative(handle, Redirect::local(service.pid, local));
        let name = "vendor".into();
        w.install(Vendor { driver, name, sublayer_weight: 1, policy }).expect("no other has its name");
        let mut buffer = |length: u32| Buffer { pointer: w.allocate(service, length.into(), 0), length };
        let (data, control) = (buffer(2048), buffer(2048));
        let received = WsaMsg { name: None, buffers: vec![data], control, flags: 0 };
        let sent = Buffer { length: SIZE, ..data };
        let sent = WsaMsg { name: Some(destination), buffers: vec![sent], control: Buffer::NONE, flags: 0 };
        let (app, service, server) = ((app, client), (service, listening), (server, serving));
        let mut relay = Self { w, destination, app, service, onward, server, received, sent };
        relay.carry_records();
        relay
    }

    /// The first datagram of both flows: the service sends on with the records that it was told.
    fn carry_records(&mut self) {
        let Self { w, destination, app, service, onward, server, .. } = self;
        w.sendto(app.0, app.1, b"first", Some(*destination), &mut ()).expect("it is sent");
        let first = w.receive_message(service.0, service.1, 99, 2048).expect("the socket is bound");
        let first = first.expect("a datagram has arrived");
        let mut told = messages(Layout::Bits64, &first.control).flatten();
        let records = told.find(|message| message.kind == IP_WFP_REDIRECT_RECORDS).expect("it was told");
        w.send_message(service.0, *onward, Some(*destination), &first.data, &[records], &mut ())
            .expect("it is sent on");
        let arrived = w.recvfrom(server.0, server.1, 99).expect("the socket is bound").done();
        assert!(arrived.is_some(), "it reached the server");
    }

    /// One datagram from the application to the server.
    fn pass(&mut self, data: &[u8]) -> usize {
        let Self { w, destination, app, service, onward, server, received, sent } = self;
        w.sendto(app.0, app.1, data, Some(*destination), &mut ()).expect("it is sent");
        let there = w.wsa_recv_msg(service.0, service.1, received).expect("the socket is bound");
        assert!(there.done().is_some(), "a datagram has arrived");
        w.wsa_send_msg(service.0, *onward, sent, 0, &mut ()).expect("it is sent on");
        let arrived = w.recvfrom(server.0, server.1, 2048).expect("the socket is bound");
        arrived.done().map_or(0, |datagram| datagram.data.len())
    }
}

/// The datagrams behind the first one.
pub(crate) fn through_one_service(c: &mut Criterion) {
    let mut relay = Relay::new();
    let data = [7; SIZE as usize];
    c.benchmark_group("datagrams through one redirecting service")
        .throughput(Throughput::Elements(1))
        .bench_function("datagram", |b| b.iter(|| assert_eq!(relay.pass(black_box(&data)), data.len())));
}
