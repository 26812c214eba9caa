//! Ops about datagrams.

use proptest::prelude::*;
use proptest::sample::select;
use wfp_conformance::vocabulary::{
    Call, ControlType, Dial, Endpoint, Input, Length, Level, Name, Op, Place, ProviderKind, ReceiveMessage,
    SendMessage, SocketFamily, SocketProtocol,
};

use super::ops::{dial, family, input, name, named, output, plain, result};

pub(crate) fn protocol() -> BoxedStrategy<SocketProtocol> {
    let number = select(vec![1, 2, 17, 58, 255]);
    prop_oneof![
        10 => Just(SocketProtocol::Tcp),
        6 => Just(SocketProtocol::Udp),
        1 => number.clone().prop_map(SocketProtocol::Raw),
        1 => number.prop_map(SocketProtocol::RawWithHeader),
    ]
    .boxed()
}

fn level() -> BoxedStrategy<Level> {
    select(vec![Level::Ip, Level::Ipv6]).boxed()
}

fn option() -> BoxedStrategy<ControlType> {
    select(vec![ControlType::Records, ControlType::Context]).boxed()
}

fn to() -> BoxedStrategy<Option<Dial>> {
    prop::option::weighted(0.8, prop_oneof![3 => dial(), 1 => name().prop_map(Dial::Source)]).boxed()
}

fn message_length() -> BoxedStrategy<Option<Length>> {
    let length = prop_oneof![
        (-20..20_i32).prop_map(Length::Needed),
        prop_oneof![0..40_u32, Just(u32::MAX), Just(1 << 31)].prop_map(Length::Bytes),
    ];
    prop::option::weighted(0.3, length).boxed()
}

pub(crate) fn datagram_call() -> BoxedStrategy<Call> {
    let send_to = (name(), to(), prop::option::of(family()), ".{0,3}")
        .prop_map(|(socket, to, family, data)| Call::SendTo { socket, to, family, data });
    let receive_from = (name(), prop_oneof![0..9_u32, Just(u32::MAX)])
        .prop_map(|(socket, length)| Call::ReceiveFrom { socket, length });
    let flags = prop_oneof![8 => Just(0), 1 => Just(4), 1 => any::<u32>()];
    let parts = (prop::option::of(name()), prop::option::of(level()), message_length(), input(), flags);
    let send_message = (name(), to(), prop::option::of(family()), ".{0,3}", parts).prop_map(
        |(socket, to, family, data, (records, level, message_length, control, flags))| {
            Call::SendMessage(SendMessage {
                socket,
                to,
                family,
                data,
                records,
                level,
                message_length,
                control,
                flags,
                message_flags: flags,
            })
        },
    );
    let lengths = prop_oneof![0..9_u32, Just(4096), Just(u32::MAX)];
    let names = (prop::option::of(result()), prop::option::of(result()));
    let receive_message = (name(), lengths, output(), any::<bool>(), names).prop_map(
        |(socket, length, control, peek, (records, context))| {
            Call::ReceiveMessage(ReceiveMessage { socket, length, control, peek, records, context })
        },
    );
    prop_oneof![
        3 => send_to,
        3 => receive_from,
        3 => send_message,
        4 => receive_message,
        2 => (name(), level(), option(), any::<bool>())
            .prop_map(|(socket, level, option, on)| Call::SetOption { socket, level, option, on }),
        1 => (name(), level(), option()).prop_map(|(socket, level, option)| Call::GetOption { socket, level, option }),
    ]
    .boxed()
}

// What makes sense.

/// Sockets of the proxy that receive what is redirected, for as long as they are left alone.
pub(crate) const RECEIVING: [(&str, u16); 2] = [("d0", 1001), ("d1", 1002)];

/// A socket of the proxy that is told to receive control data, where callouts redirect to.
pub(crate) fn datagram_service() -> BoxedStrategy<Vec<Op>> {
    (result(), family(), select(vec![1001, 1002]))
        .prop_map(|(socket, family, port)| receives(&socket, family, port))
        .boxed()
}

pub(crate) fn receives(socket: &Name, family: SocketFamily, port: u16) -> Vec<Op> {
    let proxy = Name::from("proxy");
    let at = Endpoint::new(Place::Any, port);
    let protocol = SocketProtocol::Udp;
    let mut ops = vec![
        named(
            &proxy,
            socket,
            Call::Socket {
                family,
                overlapped: true,
                nonblocking: true,
                protocol,
                provider: ProviderKind::Tcpip,
            },
        ),
        plain("proxy", Call::Bind { socket: Name::clone(socket), to: at, mapped: false }),
    ];
    for level in [Level::Ip, Level::Ipv6] {
        for option in [ControlType::Records, ControlType::Context] {
            let socket = Name::clone(socket);
            ops.push(plain("proxy", Call::SetOption { socket, level, option, on: true }));
        }
    }
    ops
}

/// The application sends, and may have connected before.
pub(crate) fn datagram_client() -> BoxedStrategy<Vec<Op>> {
    (result(), family(), select(vec!["server", "local"]), any::<bool>())
        .prop_map(|(socket, family, host, connects)| {
            let app = Name::from("app");
            let to = || Dial::Endpoint(Endpoint::new(Place::Host(host.into()), 443));
            let protocol = SocketProtocol::Udp;
            let mut ops = vec![named(
                &app,
                &socket,
                Call::Socket {
                    family,
                    overlapped: true,
                    nonblocking: true,
                    protocol,
                    provider: ProviderKind::Tcpip,
                },
            )];
            if connects {
                let socket = Name::clone(&socket);
                ops.push(plain("app", Call::Connect { socket, to: to(), family: None, ex: false }));
            }
            let to = (!connects).then(to);
            for data in ["first", "second"] {
                let (socket, to) = (Name::clone(&socket), to.clone());
                ops.push(plain("app", Call::SendTo { socket, to, family: None, data: data.to_owned() }));
            }
            ops
        })
        .boxed()
}

/// The proxy receives a datagram, and sends it on with what came of records.
pub(crate) fn datagram_onward() -> BoxedStrategy<Vec<Op>> {
    let socket = select(&RECEIVING[..]).prop_map(|(socket, _)| Name::from(socket));
    (socket, [result(), result(), result(), result()], prop_oneof![3 => Just(2048), 1 => 0..400_u32])
        .prop_map(|(socket, [message, records, context, next], room)| {
            let proxy = Name::from("proxy");
            let (family, protocol) = (SocketFamily::Dual, SocketProtocol::Udp);
            let receive = ReceiveMessage::of(socket, room, Name::clone(&records), Name::clone(&context));
            let send = SendMessage {
                socket: Name::clone(&next),
                to: Some(Dial::Context(context)),
                family: Some(family),
                data: "on".to_owned(),
                records: Some(records),
                level: None,
                message_length: None,
                control: Input::default(),
                flags: 0,
                message_flags: 0,
            };
            vec![
                named(&proxy, &message, Call::ReceiveMessage(receive)),
                named(
                    &proxy,
                    &next,
                    Call::Socket {
                        family,
                        overlapped: true,
                        nonblocking: true,
                        protocol,
                        provider: ProviderKind::Tcpip,
                    },
                ),
                plain("proxy", Call::Bind { socket: next, to: Endpoint::new(Place::Any, 0), mapped: false }),
                plain("proxy", Call::SendMessage(send)),
            ]
        })
        .boxed()
}
