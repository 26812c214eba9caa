//! What holds for every sequence of datagrams that a vendor redirects: records and context come with the first one of
//! each flow, and with no other.

use proptest::prelude::*;
use wfp_sim::control_message::{
    IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, Layout, MSG_CTRUNC, messages,
};
use wfp_sim::engine::{Condition, Policy, Redirect, Test};
use wfp_sim::{Caller, Completion, Profile, SocketHandle, SocketKind, Vendor, World};

const UDP: SocketKind = SocketKind::V4.udp();

#[derive(Clone, Debug)]
enum Step {
    /// A socket sends to one of a few destinations; the number goes with it.
    Send {
        socket: usize,
        destination: u8,
    },
    /// The service receives into a control buffer of so many bytes, and replies or not.
    Receive {
        room: u32,
        replies: bool,
    },
    Wait(u64),
    Close {
        socket: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let room = prop_oneof![3 => Just(2048), 1 => 0..300_u32];
    let step = prop_oneof![
        8 => (0..3_usize, 0..3_u8).prop_map(|(socket, destination)| Step::Send { socket, destination }),
        6 => (room, any::<bool>()).prop_map(|(room, replies)| Step::Receive { room, replies }),
        1 => prop_oneof![Just(20_000), Just(60_000)].prop_map(Step::Wait),
        1 => (0..3_usize).prop_map(|socket| Step::Close { socket }),
    ];
    prop::collection::vec(step, 1..120)
}

struct Machine {
    w: World,
    app: Caller,
    sockets: Vec<SocketHandle>,
    service: (Caller, SocketHandle),
}

impl Machine {
    fn new() -> Self {
        let mut w = World::new(Profile::documented());
        let (app, service) = (w.start_process("app.exe", false), w.start_process("service.exe", true));
        let at = "127.0.0.1:1001".parse().expect("an address");
        let listening = w.socket(service, UDP).expect("the process is there");
        w.bind(service, listening, at).expect("the port is free");
        for option in [IP_WFP_REDIRECT_RECORDS, IP_WFP_REDIRECT_CONTEXT] {
            w.setsockopt(service, listening, IPPROTO_IP, option, 1).expect("a UDP socket has it");
        }
        let driver = w.load_driver("vendor");
        let handle = w.fwps_redirect_handle_create(driver, "vendor", 0).expect("it is loaded");
        let mut policy = Policy::cooperative(handle, Redirect::local(service.pid, at));
        for rule in &mut policy.rules {
            // A reply that comes after its flow has ended is left alone.
            rule.conditions.push(Condition::is_not(Test::Loopback));
        }
        let name = "vendor".into();
        w.install(Vendor { driver, name, sublayer_weight: 1, policy }).expect("no other has its name");
        let sockets = (0..3).map(|_| w.socket(app, UDP).expect("the process is there")).collect();
        Self { w, app, sockets, service: (service, listening) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_with_exactly_one_datagram_of_each_flow(steps in steps()) {
        let mut m = Machine::new();
        let (service, listening) = m.service;
        // What is in the queue: whether each datagram made a flow.
        let mut queue = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Send { socket, destination } => {
                    let to = Some(([203, 0, 113, destination], 53).into());
                    let mut traces = Vec::new();
                    let sent = m.w.sendto(m.app, m.sockets[socket], b"datagram", to, &mut traces);
                    prop_assert_eq!(sent, Ok(8));
                    queue.push_back(!traces.is_empty());
                }
                Step::Receive { room, replies } => {
                    let message = m.w.receive_message(service, listening, 99, room).expect("it is bound");
                    prop_assert_eq!(message.is_some(), !queue.is_empty());
                    let (Some(message), Some(first)) = (message, queue.pop_front()) else { continue };
                    let whole = messages(Layout::Bits64, &message.control).flatten().count();
                    prop_assert!(message.control.len() <= room as usize);
                    let cut = message.flags & MSG_CTRUNC != 0;
                    match (first, room) {
                        (false, _) | (true, 0) => prop_assert_eq!((message.control.len(), cut), (0, false)),
                        // 144 bytes for the records, 144 for the context.
                        (true, 288..) => prop_assert_eq!((whole, cut), (2, false)),
                        (true, _) => prop_assert!(cut, "{} bytes of room", room),
                    }
                    if replies {
                        let mut traces = Vec::new();
                        m.w.sendto(service, listening, b"reply", Some(message.from), &mut traces)
                            .expect("it is sent");
                    }
                }
                Step::Wait(milliseconds) => m.w.advance(milliseconds),
                Step::Close { socket } => {
                    m.w.closesocket(m.app, m.sockets[socket]).expect("it is open");
                    m.sockets[socket] = m.w.socket(m.app, UDP).expect("the process is there");
                }
            }
            // What came back is of no interest.
            for socket in &m.sockets {
                while m.w.getsockname(m.app, *socket).is_ok()
                    && m.w.receive_message(m.app, *socket, 9, 0).is_ok_and(|message| message.is_some())
                {}
            }
        }
        for pid in [m.app.pid, service.pid] {
            m.w.end_process(pid);
        }
        prop_assert_eq!((m.w.live(), m.w.live_contexts()), (0, 0));
    }
}

#[test]
fn plain_receive_that_waits_takes_the_first_datagram_and_its_records_are_lost() {
    let mut m = Machine::new();
    let (service, listening) = m.service;
    let waiting = m.w.recvfrom(service, listening, 9);
    assert!(matches!(waiting, Ok(Completion::Pending(_))));
    let sent = m.w.sendto(m.app, m.sockets[0], b"x", Some(([203, 0, 113, 1], 53).into()), &mut ());
    assert_eq!(sent, Ok(1));
    // recvfrom took it, so nothing is left for who asks for control data.
    assert_eq!(m.w.receive_message(service, listening, 9, 2048), Ok(None));
}
