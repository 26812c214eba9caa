//! Chains of vendors: what holds whatever their number, order, families and weights.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use wfp_sim::engine::{Context, Policy, Redirect, Target};
use wfp_sim::trace::ConnectTrace;
use wfp_sim::{Caller, Host, Profile, RedirectState, SocketHandle, SocketKind, Vendor, World};

const V4: &str = "203.0.113.9:443";
const V6: &str = "[2001:db8:9::9]:443";
const MAPPED: &str = "[::ffff:203.0.113.9]:443";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// How somebody dials the server: over which kind of socket, and whereto.
#[derive(Clone, Copy, Debug)]
enum Dial {
    V4,
    Mapped,
    V6,
    V6OnDual,
}

impl Dial {
    fn parts(self) -> (SocketKind, SocketAddr) {
        match self {
            Self::V4 => (SocketKind::V4, address(V4)),
            Self::Mapped => (SocketKind::DUAL, address(MAPPED)),
            Self::V6 => (SocketKind::V6, address(V6)),
            Self::V6OnDual => (SocketKind::DUAL, address(V6)),
        }
    }
}

/// One vendor: the weight of its sublayer, and how its service dials.
#[derive(Clone, Copy, Debug)]
struct Plan {
    weight: u16,
    dial: Dial,
}

/// A machine with these vendors, each with a callout that cooperates and a service.
struct Chain {
    w: World,
    app: Caller,
    services: Vec<(Caller, [SocketHandle; 2], Plan)>,
    /// Sockets in the order in which they were opened.
    open: Vec<(Caller, SocketHandle)>,
}

/// How a connection ended.
struct Followed {
    trace: Vec<ConnectTrace>,
    /// The vendors whose services saw it, in this order.
    visited: Vec<usize>,
}

impl Chain {
    fn new(profile: Profile, plans: &[Plan]) -> Self {
        let mut w = World::new(profile);
        let addresses = [V4, V6].map(|text| address(text).ip()).to_vec();
        let host = w.add_host(Host { name: "server".into(), addresses, silent: false });
        let server = w.start_process_on(host, "server.exe", false);
        for text in [V4, V6] {
            w.listen_at(server, address(text)).expect("the address is its own");
        }
        let app = w.start_process("app.exe", false);
        let mut services = Vec::new();
        for (plan, port) in plans.iter().zip(1001..) {
            let service = w.start_process("service.exe", true);
            let locals = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")].map(|text| address(&text));
            let listeners = locals.map(|local| w.listen_at(service, local).expect("the port is free"));
            let [SocketAddr::V4(v4), SocketAddr::V6(v6)] = locals else { unreachable!("one of each family") };
            let context = Context::Opaque(format!("context of {port}").into_bytes().into());
            let target = Target { v4: Some(v4), v6: Some(v6) };
            let driver = w.load_driver("vendor");
            let handle = w.fwps_redirect_handle_create(driver, "vendor", 0).expect("it is loaded");
            let redirect = Redirect { context, ..Redirect::local(service.pid, target) };
            let policy = Policy::cooperative(handle, redirect);
            let name = format!("vendor {port}").into();
            w.install(Vendor { driver, name, sublayer_weight: plan.weight, policy })
                .expect("no other has its name");
            services.push((service, listeners, *plan));
        }
        Self { w, app, services, open: Vec::new() }
    }

    /// Follows a connection of the application through the services, `limit` connects at most. A service in
    /// `forgetful` does not set the records.
    fn follow(&mut self, dial: Dial, limit: usize, forgetful: &[usize]) -> Followed {
        let (mut followed, mut caller, mut dial) =
            (Followed { trace: Vec::new(), visited: Vec::new() }, self.app, dial);
        let mut records: Option<Vec<u8>> = None;
        while followed.trace.len() < limit {
            let (kind, to) = dial.parts();
            let socket = self.w.socket(caller, kind).expect("the process is there");
            self.open.push((caller, socket));
            if let Some(blob) = &records {
                self.w
                    .set_redirect_records(caller, socket, blob)
                    .expect("records of the accepted connection");
            }
            self.w.connect(caller, socket, to, &mut followed.trace).expect("somebody listens");
            let target = followed.trace.last().expect("it was traced").target;
            let Some(visited) = usize::from(target.port()).checked_sub(1001) else { break };
            let (service, listeners, plan) = self.services[visited];
            let listener = listeners[usize::from(target.ip().to_canonical().is_ipv6())];
            let accepted =
                self.w.accept(service, listener).expect("it listens").done().expect("somebody came");
            self.open.push((service, accepted));
            let context = self.w.query_redirect_context(service, accepted).expect("it was redirected");
            assert_eq!(
                context,
                format!("context of {}", target.port()).into_bytes(),
                "each gets its own back"
            );
            let blob = self.w.query_redirect_records(service, accepted).expect("it was redirected");
            records = (!forgetful.contains(&visited)).then_some(blob);
            followed.visited.push(visited);
            (caller, dial) = (service, plan.dial);
        }
        followed
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let dial = select(vec![Dial::V4, Dial::Mapped, Dial::V6, Dial::V6OnDual]);
    (0..4_u16, dial).prop_map(|(weight, dial)| Plan { weight, dial })
}

fn profile() -> impl Strategy<Value = Profile> {
    select(Profile::BUILT_IN.to_vec()).prop_map(|name| Profile::built_in(name).expect("it is built in"))
}

fn dial() -> impl Strategy<Value = Dial> {
    plan().prop_map(|plan| plan.dial)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cooperating_vendors_end_in_as_many_connects_as_they_are_and_one(
        profile in profile(),
        plans in vec(plan(), 1..=8),
        dial in dial(),
    ) {
        let mut chain = Chain::new(profile, &plans);
        let Followed { trace, visited } = chain.follow(dial, 99, &[]);
        prop_assert_eq!(trace.len(), plans.len() + 1);
        prop_assert_eq!(trace.last().map(|hop| hop.target.port()), Some(443));
        let mut each = visited.clone();
        each.sort_unstable();
        prop_assert_eq!(each, (0..plans.len()).collect::<Vec<_>>(), "each service sees it once");
        let mut by_weight = visited.clone();
        by_weight.sort_by_key(|nth| (std::cmp::Reverse(plans[*nth].weight), *nth));
        prop_assert_eq!(visited, by_weight, "heavier sublayers first, equal ones by age");
    }

    #[test]
    fn every_vendor_recognises_itself_at_the_last_connect_and_is_given_its_context(
        profile in profile(),
        plans in vec(plan(), 8..=8),
        dial in dial(),
    ) {
        let mut chain = Chain::new(profile, &plans);
        let Followed { trace, .. } = chain.follow(dial, 99, &[]);
        let last = trace.last().expect("at least one connect");
        let mut expected = vec![RedirectState::PreviouslyRedirectedBySelf; 7];
        expected.push(RedirectState::RedirectedBySelf);
        prop_assert_eq!(last.states(), expected, "the first of them too");
        prop_assert!(last.inspections().iter().all(|inspection| inspection.context_bytes == Some(15)));
        prop_assert_eq!(chain.w.live_contexts(), 8);
    }

    #[test]
    fn contexts_are_freed_in_whatever_order_the_sockets_are_closed(
        plans in vec(plan(), 1..=4),
        dial in dial(),
        order in subsequence((0..9_usize).collect::<Vec<_>>(), 0..=9),
    ) {
        let mut chain = Chain::new(Profile::documented(), &plans);
        chain.follow(dial, 99, &[]);
        let mut open = std::mem::take(&mut chain.open);
        for place in order {
            if place < open.len() {
                let (caller, socket) = open.remove(place);
                prop_assert_eq!(chain.w.closesocket(caller, socket), Ok(()));
            }
        }
        for (caller, socket) in open {
            prop_assert_eq!(chain.w.closesocket(caller, socket), Ok(()));
        }
        prop_assert_eq!(chain.w.live_contexts(), 0);
    }

    #[test]
    fn service_that_forgets_to_set_the_records_keeps_the_connection_going_round(
        plans in vec(plan(), 1..=6),
        dial in dial(),
        forgetful in any::<prop::sample::Index>(),
    ) {
        let forgetful = forgetful.index(plans.len());
        let mut chain = Chain::new(Profile::documented(), &plans);
        let Followed { trace, visited } = chain.follow(dial, 4 * plans.len(), &[forgetful]);
        prop_assert_eq!(trace.len(), 4 * plans.len(), "it never ends");
        let round = visited.iter().position(|nth| *nth == forgetful).expect("each is visited") + 1;
        for (nth, service) in visited.iter().enumerate() {
            prop_assert_eq!(*service, visited[nth % round], "the same services again and again");
        }
    }
}
