//! Ops without sense: any call, on anything that was named before, and on what never was.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use wfp_conformance::vocabulary::{
    Call, CalloutSpec, ContextSpec, DecisionSpec, Dial, Endpoint, HandleSpec, HostSpec, Input, IoctlCode,
    IpProtocol, KernelCall, KernelFunction, Length, Match, Name, OnUnload, Op, OptionLevel, Output, Place,
    PointerKind, ProcessSpec, ProviderKind, Query, RedirectTo, RuleSpec, SetRecords, SetUp, ShutdownHow,
    SocketFamily, SocketProtocol, StateName, SublayerGiven, TargetPidSpec,
};
use wfp_sim::Profile;
use wfp_sim::profile::FIELDS;

use super::datagrams::{
    RECEIVING, datagram_call, datagram_client, datagram_onward, datagram_service, protocol, receives,
};
use super::operations::{operation_call, ways, wsk_call};

/// The processes that exist from the start, and behind them those that seldom are: an op may start them.
pub(crate) const PROCESSES: [&str; 6] = ["app", "proxy", "other", "remote", "later", "never"];

const CALLOUTS: [&str; 4] = ["a", "b", "c", "never"];

/// A profile that says anything that a profile can say.
pub(crate) fn profile() -> BoxedStrategy<Profile> {
    let change = (any::<Index>(), any::<Index>());
    (select(&Profile::BUILT_IN[..]), prop::collection::vec(change, 0..6))
        .prop_map(|(base, changes)| {
            let mut profile = Profile::built_in(base).unwrap_or_default();
            for (field, value) in changes {
                let field = field.get(FIELDS);
                let (value, _) = field.values[value.index(field.values.len())];
                assert_eq!(field.set(&mut profile, value), Ok(()), "{field:?}");
            }
            profile
        })
        .boxed()
}

/// Sockets that listen from the start, for as long as they are left alone.
const LISTENING: [&str; 3] = ["l0", "l1", "l2"];

/// A machine with up to three callouts, most of them of a vendor that works, and then anything.
pub(crate) fn ops(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Op>> {
    let part = prop_oneof![
        6 => op().prop_map(|op| vec![op]),
        1 => service(),
        3 => client(),
        3 => onward(),
        1 => datagram_service(),
        2 => datagram_client(),
        2 => datagram_onward(),
    ];
    (prop::collection::vec(install(), 0..4), prop::collection::vec(part, count))
        .prop_map(|(callouts, parts)| machine().into_iter().chain(callouts).chain(parts.concat()).collect())
}

fn machine() -> Vec<Op> {
    let host = |name: &str, silent| {
        let spec = HostSpec { name: name.into(), silent };
        plain(name, Call::SetUp(SetUp::AddHost(spec)))
    };
    let process = |name: &str, host: &str, elevated| {
        // A driver calls the functions of the kernel, and in the model those of Winsock too.
        let driver = name == "proxy";
        let spec = ProcessSpec { image: None, elevated, wow64: false, driver, host: host.into() };
        plain(name, Call::SetUp(SetUp::StartProcess(spec)))
    };
    let mut set_up = vec![
        host("server", false),
        host("silent", true),
        process("app", "local", false),
        process("proxy", "local", true),
        process("other", "local", true),
        process("remote", "server", true),
    ];
    let listening =
        [("proxy", LISTENING[0], 1001), ("proxy", LISTENING[1], 1002), ("remote", LISTENING[2], 443)];
    set_up.extend(
        listening.iter().flat_map(|(who, socket, port)| listen(who, socket, SocketFamily::Dual, *port)),
    );
    let datagrams = RECEIVING.map(|(socket, port)| receives(&socket.into(), SocketFamily::Dual, port));
    set_up.extend(datagrams.concat());
    set_up
}

fn listen(who: &str, socket: &str, family: SocketFamily, port: u16) -> Vec<Op> {
    let (who, socket) = (Name::from(who), Name::from(socket));
    let to = Endpoint::new(Place::Any, port);
    vec![
        named(&who, &socket, Call::socket(family)),
        named(&who, &socket, Call::Bind { socket: Name::clone(&socket), to, mapped: false }),
        plain(&who, Call::Listen { socket, backlog: 5 }),
    ]
}

pub(crate) fn plain(process: &str, call: Call) -> Op {
    Op { process: process.into(), thread: 0, name: None, call }
}

pub(crate) fn named(process: &Name, name: &Name, call: Call) -> Op {
    Op { process: Name::clone(process), thread: 0, name: Some(Name::clone(name)), call }
}

/// A process; seldom one that is not there.
fn process() -> BoxedStrategy<Name> {
    prop_oneof![40 => select(&PROCESSES[..4]), 2 => Just("later"), 1 => Just("never")]
        .prop_map(Into::into)
        .boxed()
}

/// The name of a result: few of them, so that most stand for something, and each for several things in turn.
pub(crate) fn result() -> BoxedStrategy<Name> {
    (0..8_u8).prop_map(|number| format!("r{number}").into()).boxed()
}

/// Any name that may stand for something, and one that never does.
pub(crate) fn name() -> BoxedStrategy<Name> {
    let listening = select(&LISTENING[..]).prop_map(Name::from);
    let receiving = select(&RECEIVING[..]).prop_map(|(socket, _)| Name::from(socket));
    prop_oneof![30 => result(), 8 => listening, 4 => receiving, 1 => Just(Name::from("never"))].boxed()
}

pub(crate) fn family() -> BoxedStrategy<SocketFamily> {
    select(vec![SocketFamily::Ipv4, SocketFamily::Ipv6, SocketFamily::Dual]).boxed()
}

fn endpoint() -> BoxedStrategy<Endpoint> {
    let host = |name: &str| Place::Host(name.into());
    let place = prop_oneof![
        2 => Just(Place::Any),
        5 => Just(Place::Loopback),
        4 => Just(host("server")),
        2 => Just(host("local")),
        1 => Just(host("silent")),
        1 => Just(host("nowhere")),
    ];
    let port = prop_oneof![8 => select(vec![443, 1001, 1002]), 1 => any::<u16>()].prop_map(Some);
    (place, prop_oneof![20 => port, 1 => Just(None)])
        .prop_map(|(place, port)| Endpoint { place, port })
        .boxed()
}

fn length() -> BoxedStrategy<Length> {
    prop_oneof![
        6 => (-2..3).prop_map(Length::Needed),
        3 => (0..6_u32).prop_map(Length::Bytes),
        2 => Just(Length::Bytes(1024)),
        1 => Just(Length::Bytes(u32::MAX)),
        1 => Just(Length::Needed(i32::MIN)),
        1 => any::<u32>().prop_map(Length::Bytes),
    ]
    .boxed()
}

pub(crate) fn pointer() -> BoxedStrategy<PointerKind> {
    let wrong = select(vec![PointerKind::NullPointer, PointerKind::Unmapped, PointerKind::Partly]);
    prop_oneof![8 => Just(PointerKind::Valid), 1 => wrong].boxed()
}

pub(crate) fn output() -> BoxedStrategy<Output> {
    (length(), prop::option::weighted(0.2, length()), pointer())
        .prop_map(|(length, region, pointer)| Output { length, region, pointer })
        .boxed()
}

pub(crate) fn input() -> BoxedStrategy<Input> {
    let needed = prop_oneof![3 => Just(Length::Needed(0)), 1 => length()];
    // A region of gigabytes would be filled with records, byte for byte.
    let corrupt = prop::option::weighted(0.2, prop_oneof![0..400_u32, any::<u32>()]);
    (needed, prop::option::weighted(0.2, length()), pointer(), corrupt)
        .prop_map(|(length, region, pointer, corrupt)| Input { length, region, pointer, corrupt })
        .boxed()
}

fn query() -> BoxedStrategy<Query> {
    (name(), output(), pointer(), prop::option::weighted(0.1, input()), ways())
        .prop_map(|(socket, out, bytes_returned, input, (overlapped, spi))| Query {
            socket,
            out,
            bytes_returned,
            input,
            overlapped,
            spi,
        })
        .boxed()
}

fn set_records() -> BoxedStrategy<SetRecords> {
    let records = prop::option::weighted(0.8, name());
    (name(), records, input(), pointer(), prop::option::weighted(0.1, output()), ways())
        .prop_map(|(socket, records, input, bytes_returned, out, (overlapped, spi))| SetRecords {
            socket,
            records,
            input,
            bytes_returned,
            out,
            overlapped,
            spi,
        })
        .boxed()
}

pub(crate) fn dial() -> BoxedStrategy<Dial> {
    prop_oneof![4 => endpoint().prop_map(Dial::Endpoint), 1 => name().prop_map(Dial::Context)].boxed()
}

/// One call, by anybody, on anything.
fn op() -> BoxedStrategy<Op> {
    let thread = prop_oneof![20 => Just(0), 2 => 1..3_u32, 1 => any::<u32>()];
    (process(), thread, prop::option::weighted(0.8, result()), call())
        .prop_map(|(process, thread, name, call)| Op { process, thread, name, call })
        .boxed()
}

fn call() -> BoxedStrategy<Call> {
    prop_oneof![
        40 => socket_call(),
        25 => control_call(),
        15 => operation_call(),
        15 => datagram_call(),
        8 => wsk_call(),
        12 => kernel_call(),
        1 => set_up(),
    ]
    .boxed()
}

fn socket_call() -> BoxedStrategy<Call> {
    let provider = prop_oneof![9 => Just(ProviderKind::Tcpip), 1 => Just(ProviderKind::Layered)];
    let socket = (family(), any::<bool>(), any::<bool>(), protocol(), provider).prop_map(
        |(family, overlapped, nonblocking, protocol, provider)| Call::Socket {
            family,
            overlapped,
            nonblocking,
            protocol,
            provider,
        },
    );
    let bind = (name(), endpoint(), any::<bool>()).prop_map(|(socket, to, mapped)| Call::Bind {
        socket,
        to,
        mapped,
    });
    let backlog = prop_oneof![0..4_u32, Just(u32::MAX)];
    let listen = (name(), backlog).prop_map(|(socket, backlog)| Call::Listen { socket, backlog });
    let accept_ex = (name(), name()).prop_map(|(socket, into)| Call::AcceptEx { socket, into });
    let update =
        (name(), name()).prop_map(|(socket, listening)| Call::UpdateAcceptContext { socket, listening });
    let connect = (name(), dial(), prop::option::of(family()), prop::bool::weighted(0.2))
        .prop_map(|(socket, to, family, ex)| Call::Connect { socket, to, family, ex });
    let send = (name(), ".{0,3}").prop_map(|(socket, data)| Call::Send { socket, data });
    let receive = (name(), prop_oneof![0..5_u32, Just(u32::MAX)])
        .prop_map(|(socket, length)| Call::Receive { socket, length });
    let level = select(vec![OptionLevel::Family, OptionLevel::Socket]);
    let original_destination = (name(), level, length())
        .prop_map(|(socket, level, length)| Call::OriginalDestination { socket, level, length });
    let how = select(vec![ShutdownHow::Receive, ShutdownHow::Send, ShutdownHow::Both]);
    let shutdown = (name(), how).prop_map(|(socket, how)| Call::Shutdown { socket, how });
    let duplicate = (name(), process()).prop_map(|(socket, process)| Call::Duplicate { socket, process });
    prop_oneof![
        5 => socket,
        3 => bind,
        2 => listen,
        4 => name().prop_map(|socket| Call::Accept { socket }),
        2 => accept_ex,
        1 => update,
        1 => name().prop_map(|socket| Call::UpdateConnectContext { socket }),
        6 => connect,
        2 => send,
        2 => receive,
        1 => shutdown,
        2 => name().prop_map(|socket| Call::Close { socket }),
        1 => duplicate,
        1 => name().prop_map(|socket| Call::LocalName { socket }),
        1 => name().prop_map(|socket| Call::PeerName { socket }),
        1 => original_destination,
    ]
    .boxed()
}

pub(crate) fn control_call() -> BoxedStrategy<Call> {
    let code = prop_oneof![any::<u32>(), 0x9800_00DB..0x9800_00E0_u32, Just(0x2800_0004)].prop_map(IoctlCode);
    let ioctl = (name(), code, prop::option::weighted(0.3, input()), output(), pointer(), ways()).prop_map(
        |(socket, code, input, out, bytes_returned, (overlapped, spi))| Call::Ioctl {
            socket,
            code,
            input,
            out,
            bytes_returned,
            overlapped,
            spi,
        },
    );
    prop_oneof![
        3 => query().prop_map(Call::QueryRecords),
        3 => query().prop_map(Call::QueryContext),
        3 => set_records().prop_map(Call::SetRecords),
        1 => ioctl,
    ]
    .boxed()
}

fn kernel_call() -> BoxedStrategy<Call> {
    let limit = prop_oneof![Just(0), 1..70_000_u32, Just(u32::MAX)];
    let wait =
        (prop::collection::vec(name(), 0..4), limit).prop_map(|(calls, limit)| Call::Wait { calls, limit });
    let advance =
        prop_oneof![0..70_000_u64, Just(u64::MAX)].prop_map(|milliseconds| Call::Advance { milliseconds });
    let callout = || select(&CALLOUTS[..]).prop_map(Name::from);
    prop_oneof![
        6 => wait,
        1 => advance,
        2 => name().prop_map(|socket| Call::Describe { socket }),
        1 => Just(Call::CountContexts {}),
        1 => Just(Call::CountAll {}),
        1 => Just(Call::EndProcess {}),
        1 => callout().prop_map(|callout| Call::RemoveCallout { callout }),
        1 => callout().prop_map(|callout| Call::DestroyHandles { callout }),
        1 => callout().prop_map(|callout| Call::UnloadDriver { callout }),
        1 => callout().prop_map(|callout| Call::Account { callout }),
        2 => (callout(), select(&KernelFunction::ALL[..]), any::<bool>()).prop_map(|(callout, function, odd)| {
            let sublayer = if odd { SublayerGiven::Missing } else { SublayerGiven::Own };
            Call::KernelCall(KernelCall { callout, function, sublayer, flags: odd.into() })
        }),
    ]
    .boxed()
}

/// What only a set-up does, in the middle of everything.
fn set_up() -> BoxedStrategy<Call> {
    let host = any::<bool>().prop_map(|silent| SetUp::AddHost(HostSpec { name: "late".into(), silent }));
    let process = any::<bool>().prop_map(|elevated| {
        SetUp::StartProcess(ProcessSpec {
            image: Some("later.exe".to_owned()),
            elevated,
            wow64: elevated,
            driver: false,
            host: "local".into(),
        })
    });
    prop_oneof![host, process, callout().prop_map(|spec| SetUp::InstallCallout(Arc::new(spec)))]
        .prop_map(Call::SetUp)
        .boxed()
}

fn install() -> BoxedStrategy<Op> {
    callout()
        .prop_map(|spec| plain(&Name::clone(&spec.name), Call::SetUp(SetUp::InstallCallout(Arc::new(spec)))))
        .boxed()
}

fn callout() -> BoxedStrategy<CalloutSpec> {
    let handle = prop_oneof![
        4 => Just(HandleSpec::One),
        1 => Just(HandleSpec::PerFamily),
        1 => Just(HandleSpec::None),
    ];
    let at = |port| Some(Endpoint::new(Place::Loopback, port));
    let works = select(vec![1001, 1002]).prop_map(move |port| {
        Some(RedirectTo { process: Some("proxy".into()), ipv4: at(port), ipv6: at(port) })
    });
    let any_target =
        (prop::option::of(process()), prop::option::of(endpoint()), prop::option::of(endpoint()))
            .prop_map(|(process, ipv4, ipv6)| Some(RedirectTo { process, ipv4, ipv6 }));
    let redirect = prop_oneof![4 => works, 2 => any_target, 1 => Just(None)];
    let context = prop_oneof![
        4 => Just(ContextSpec::Destination),
        1 => Just(ContextSpec::None),
        1 => Just(ContextSpec::DestinationAndSource),
        1 => prop_oneof![0..300_u32, any::<u32>()].prop_map(ContextSpec::Padded),
        1 => prop_oneof![0..300_u32, any::<u32>()].prop_map(ContextSpec::Opaque),
    ];
    let target_pid = prop_oneof![
        6 => Just(TargetPidSpec::Service),
        1 => Just(TargetPidSpec::Zero),
        1 => Just(TargetPidSpec::Other),
    ];
    let rules = prop_oneof![3 => Just(careful()), 1 => prop::collection::vec(rule(), 0..4)];
    let shared = prop::option::weighted(0.2, select(&CALLOUTS[..]).prop_map(Name::from));
    let on_unload = any::<bool>().prop_map(|destroys_handles| OnUnload { destroys_handles });
    let head = (select(&CALLOUTS[..3]), any::<u16>(), shared, any::<u64>(), handle, any::<bool>(), on_unload);
    (head, prop_oneof![4 => Just(Match::default()), 1 => matching()], rules, redirect, context, target_pid)
        .prop_map(
            |(
                (name, sublayer, sublayer_of, weight, handle, heeds_earlier_redirect, on_unload),
                matching,
                rules,
                redirect,
                context,
                target_pid,
            )| {
                CalloutSpec {
                    sublayer,
                    sublayer_of,
                    weight,
                    handle,
                    heeds_earlier_redirect,
                    matching,
                    rules,
                    redirect,
                    context,
                    target_pid,
                    on_unload,
                    ..CalloutSpec::new(name.into())
                }
            },
        )
        .boxed()
}

/// What a careful callout does.
pub(crate) fn careful() -> Vec<RuleSpec> {
    let states = vec![StateName::NotRedirected, StateName::RedirectedByOther];
    vec![RuleSpec {
        layers: Vec::new(),
        states,
        processes: Vec::new(),
        r#match: Match::default(),
        r#do: DecisionSpec::Redirect,
    }]
}

fn rule() -> BoxedStrategy<RuleSpec> {
    let states = prop::collection::vec(select(&StateName::ALL[..]), 0..3);
    let decision = select(vec![
        DecisionSpec::Permit,
        DecisionSpec::Continue,
        DecisionSpec::Block,
        DecisionSpec::Redirect,
    ]);
    (states, prop::collection::vec(process(), 0..2), matching(), decision)
        .prop_map(|(states, processes, r#match, r#do)| RuleSpec {
            layers: Vec::new(),
            states,
            processes,
            r#match,
            r#do,
        })
        .boxed()
}

fn matching() -> BoxedStrategy<Match> {
    let rare = 0.2;
    let host = select(vec!["server", "local", "nowhere"]).prop_map(Name::from);
    let image = select(vec!["app", "later.exe"]).prop_map(str::to_owned);
    (
        prop::option::weighted(rare, select(vec![443, 1001])),
        prop::option::weighted(rare, host),
        prop::option::weighted(rare, image),
        prop::option::weighted(rare, select(vec![0, 443, 49152])),
        prop::option::weighted(rare, any::<bool>()),
        prop::option::weighted(rare, select(vec![IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Icmp])),
    )
        .prop_map(|(remote_port, remote_host, app_id, local_port, loopback, protocol)| Match {
            remote_port,
            protocol,
            remote_host,
            app_id,
            local_port,
            loopback,
            ..Match::default()
        })
        .boxed()
}

// What makes sense, so that the rest finds something to spoil.

/// Somebody listens where callouts redirect to, or where applications want to go.
fn service() -> BoxedStrategy<Vec<Op>> {
    let who = prop_oneof![3 => Just("proxy"), 1 => Just("remote"), 1 => Just("other")];
    (who, result(), family(), select(vec![443, 1001, 1002]))
        .prop_map(|(who, socket, family, port)| listen(who, &socket, family, port))
        .boxed()
}

fn client() -> BoxedStrategy<Vec<Op>> {
    (result(), family(), select(vec!["server", "local"]), any::<bool>())
        .prop_map(|(socket, family, host, nonblocking)| {
            let app = Name::from("app");
            let to = Dial::Endpoint(Endpoint::new(Place::Host(host.into()), 443));
            vec![
                named(
                    &app,
                    &socket,
                    Call::Socket {
                        family,
                        overlapped: true,
                        nonblocking,
                        protocol: SocketProtocol::Tcp,
                        provider: ProviderKind::Tcpip,
                    },
                ),
                plain("app", Call::Connect { socket, to, family: None, ex: false }),
            ]
        })
        .boxed()
}

/// A service accepts, fetches records and context, sets the records, and dials on.
fn onward() -> BoxedStrategy<Vec<Op>> {
    let listening = select(&LISTENING[..2]).prop_map(Name::from);
    (listening, [result(), result(), result(), result()], family())
        .prop_map(|(listening, names, family)| {
            let [accepted, records, context, next] = names;
            let proxy = Name::from("proxy");
            let to = Dial::Context(Name::clone(&context));
            vec![
                named(&proxy, &accepted, Call::Accept { socket: listening }),
                named(&proxy, &records, Call::QueryRecords(Query::of(Name::clone(&accepted)))),
                named(&proxy, &context, Call::QueryContext(Query::of(accepted))),
                named(&proxy, &next, Call::socket(family)),
                plain("proxy", Call::SetRecords(SetRecords::of(Name::clone(&next), records))),
                plain("proxy", Call::Connect { socket: next, to, family: Some(family), ex: false }),
            ]
        })
        .boxed()
}
