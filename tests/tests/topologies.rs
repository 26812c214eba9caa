//! What holds for every set of vendors on one machine, followed as `run` follows a connection.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "topologies/vendors.rs"]
mod vendors;

use proptest::prelude::*;
use wfp_conformance::SimBackend;
use wfp_conformance::follow::{
    Carried, End, Ending, FirstSocket, Follower, Journey, ListenFamilies, Note, Service, SetWhen, Transport,
    Why,
};
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Call, Endpoint, HandleSpec, HostSpec, Name, Op, Place, ProcessSpec, SetUp,
    SocketFamily, StateName,
};
use wfp_sim::Profile;
use wfp_sim::profile::RedirectLayerBlock;
use wfp_tests::Through;

use self::vendors::{Vendor, any_vendors, careful, cooperating};

/// Ops after which a search counts as endless. What is found here takes some hundreds.
const MOST_OPS: u32 = 20_000;

/// A backend that breaks when it is asked for too much, so that an endless search fails instead of hanging.
fn bounded(machine: SimBackend) -> impl Backend {
    let mut ops = 0;
    let answer = move |machine: &mut SimBackend, op: &Op| {
        ops += 1;
        if ops > MOST_OPS {
            return Err(BackendFault::Broken("the search does not end".to_owned()));
        }
        machine.apply(op)
    };
    Through { machine, answer }
}

fn op(process: &Name, call: Call) -> Op {
    Op { process: Name::clone(process), thread: 0, name: None, call }
}

/// The processes beside those of the vendors.
const PROCESSES: [&str; 4] = ["app", "helper", "server:443", "server:80"];

/// Puts the vendors onto a machine and follows these journeys, one after the other; afterwards nothing is left.
fn follow(profile: &Profile, vendors: &[Vendor], journeys: &[Journey]) -> Result<Vec<Ending>, BackendFault> {
    let mut backend = bounded(SimBackend::new(profile.clone()));
    let server: Name = "server".into();
    backend.apply(&op(
        &server,
        Call::SetUp(SetUp::AddHost(HostSpec { name: Name::clone(&server), silent: false })),
    ))?;
    let mut processes: Vec<Name> = PROCESSES.map(Name::from).to_vec();
    processes.extend(vendors.iter().map(|vendor| vendor.service_name.clone()));
    for process in &processes {
        let host = if process.starts_with("server") { Name::clone(&server) } else { "local".into() };
        let spec = ProcessSpec { elevated: true, host, ..ProcessSpec::default() };
        backend.apply(&op(process, Call::SetUp(SetUp::StartProcess(spec))))?;
    }
    for vendor in vendors {
        backend
            .apply(&op(&vendor.callout.name, Call::SetUp(SetUp::InstallCallout(vendor.callout.clone()))))?;
    }
    let mut follower = Follower::new();
    let families = [SocketFamily::Ipv4, SocketFamily::Ipv6];
    for at in [destination(), Endpoint { port: Some(80), ..destination() }] {
        let process = at.to_string().into();
        for protocol in [Transport::Tcp, Transport::Udp] {
            follower.start_destination(&mut backend, &process, &at, &families, protocol)?;
        }
    }
    for vendor in vendors {
        follower.start_service(&mut backend, &vendor.service_name, vendor.service.clone())?;
    }
    let endings = journeys.iter().map(|journey| follower.follow(&mut backend, journey)).collect();
    for process in &processes {
        backend.apply(&op(process, Call::EndProcess {}))?;
    }
    for count in [Call::CountContexts {}, Call::CountAll {}] {
        assert_eq!(backend.apply(&op(&server, count))?.count, Some(0), "something is left");
    }
    endings
}

fn destination() -> Endpoint {
    Endpoint::new(Place::Host("server".into()), 443)
}

fn journey(family: SocketFamily) -> Journey {
    let socket = FirstSocket::default();
    Journey {
        from: "app".into(),
        to: destination(),
        family,
        keep_open: false,
        protocol: Transport::Tcp,
        socket,
    }
}

fn families() -> impl Strategy<Value = SocketFamily> {
    prop_oneof![Just(SocketFamily::Ipv4), Just(SocketFamily::Ipv6), Just(SocketFamily::Dual)]
}

/// Those whose service can be redirected to in this family, in the order in which their callouts are asked.
fn asked(vendors: &[Vendor], family: SocketFamily) -> Vec<&Vendor> {
    let serves = |vendor: &&Vendor| match vendor.service.families {
        // To a v4-mapped destination both targets are as good.
        _ if family == SocketFamily::Dual => true,
        ListenFamilies::Ipv4 => family == SocketFamily::Ipv4,
        ListenFamilies::Ipv6 => family == SocketFamily::Ipv6,
        ListenFamilies::Both | ListenFamilies::Dual => true,
    };
    let mut asked: Vec<&Vendor> = vendors.iter().filter(serves).collect();
    // The sort is stable: of two sublayers of one weight the older one is first.
    asked.sort_by_key(|vendor| std::cmp::Reverse(vendor.callout.sublayer));
    asked
}

/// A socket that is bound to an IPv4 address, v4-mapped, cannot be redirected to a service that has none.
fn unbind(vendors: &mut [Vendor], family: SocketFamily) {
    for vendor in vendors.iter_mut().filter(|_| family == SocketFamily::Dual) {
        vendor.service.bind = None;
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { default } else { ProptestConfig { cases: 128, ..default } }
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![
        Just(Profile::documented()),
        Just(Profile::doc_parameters()),
        Just(Profile::nt_mapped()),
        Just(blocking()),
    ]
}

/// The one doubtful behaviour that an end of its own comes of.
fn blocking() -> Profile {
    Profile { block_at_redirect_layer: RedirectLayerBlock::Denied, ..Profile::documented() }
}

proptest! {
    #![proptest_config(config())]

    /// N services that carry their records end in N + 1 connects, each visited once, each with its own context, and
    /// at the last connect each vendor recognises itself.
    #[test]
    fn cooperating_services_are_visited_once_each_and_the_destination_is_reached(
        profile in profile(), mut vendors in cooperating(0..9), family in families(),
    ) {
        unbind(&mut vendors, family);
        let endings = follow(&profile, &vendors, &[journey(family)]).unwrap();
        let ending = &endings[0];
        let visited = asked(&vendors, family);
        prop_assert_eq!(ending.end, End::Reached, "{:?}", ending);
        prop_assert_eq!(ending.hops.len(), visited.len() + 1);
        prop_assert_eq!(ending.connects as usize, visited.len() + 1);
        for (number, (hop, vendor)) in ending.hops.iter().zip(&visited).enumerate() {
            prop_assert_eq!(hop.accepted_by.as_ref(), Some(&vendor.service_name));
            let [records, context, set] = hop.then.as_slice() else { panic!("{hop:?}") };
            prop_assert!(matches!(records, Note::Records(Ok(bytes)) if *bytes > 0), "{:?}", hop);
            prop_assert_eq!(*context, Note::Context(Ok(vendor.context_bytes)));
            prop_assert_eq!(*set, Note::Set(vendor.service.set, Ok(())));
            prop_assert_eq!(&handles(ending, number), &visited[..number].iter().map(|v| v.handle(family)).collect::<Vec<_>>());
        }
        let last = ending.hops.last().unwrap();
        prop_assert_eq!(last.accepted_by.as_deref(), Some("server:443"));
        for (number, vendor) in visited.iter().enumerate() {
            let seen = last.hop.as_ref().unwrap().inspections().find(|seen| seen.callout == vendor.callout.name);
            let state = if number + 1 == visited.len() {
                StateName::RedirectedBySelf
            } else {
                StateName::PreviouslyRedirectedBySelf
            };
            prop_assert_eq!(seen.map(|seen| seen.state), Some(state));
        }
    }

    #[test]
    fn one_service_that_never_sets_is_named_by_the_loop_that_it_makes(
        profile in profile(),
        mut vendors in cooperating(1..6),
        family in families(),
        which in any::<prop::sample::Index>(),
    ) {
        unbind(&mut vendors, family);
        let names: Vec<Name> = asked(&vendors, family).iter().map(|vendor| vendor.service_name.clone()).collect();
        prop_assume!(!names.is_empty());
        let at = which.index(names.len());
        for vendor in vendors.iter_mut().filter(|vendor| vendor.service_name == names[at]) {
            vendor.service.set = SetWhen::Never;
        }
        let endings = follow(&profile, &vendors, &[journey(family)]).unwrap();
        let ending = &endings[0];
        prop_assert_eq!(ending.end, End::Loop, "{:?}", ending);
        let cycle = ending.cycle.as_ref().unwrap();
        // Who is asked behind it is never reached.
        prop_assert_eq!(&cycle.services, &names[..=at]);
        prop_assert_eq!(cycle.records_lost_at.as_ref(), Some(&names[at]));
        prop_assert_eq!(cycle.why, Why::NeverSet);
        prop_assert_eq!(ending.connects as usize, at + 3);
        prop_assert_eq!(ending.hops[at + 1].carried, Carried::Never);
    }

    /// Whatever services and callouts do, and whatever stays open: a search ends, its ending says what it means, and
    /// it is the same the next time.
    #[test]
    fn every_search_ends_and_twice_the_same_way(
        profile in profile(),
        vendors in any_vendors(0..5),
        journeys in prop::collection::vec((families(), any::<bool>()), 1..4),
    ) {
        let journeys: Vec<Journey> =
            journeys.into_iter().map(|(family, keep_open)| Journey { keep_open, ..journey(family) }).collect();
        let endings = follow(&profile, &vendors, &journeys).unwrap();
        for ending in &endings {
            prop_assert_eq!(ending.connects as usize, ending.hops.len());
            prop_assert_eq!(ending.cycle.is_some(), ending.end == End::Loop);
            prop_assert_ne!(ending.end, End::NotEnded, "the backend shows everything");
            if let Some(cycle) = &ending.cycle {
                let known = |name: &Name| vendors.iter().any(|vendor| vendor.service_name == *name);
                prop_assert!(!cycle.services.is_empty() && cycle.services.iter().all(known), "{:?}", cycle);
                prop_assert!(cycle.records_lost_at.iter().all(|at| cycle.services.contains(at)), "{:?}", cycle);
            }
        }
        prop_assert_eq!(follow(&profile, &vendors, &journeys).unwrap(), endings);
    }
}

/// The property above would hold for vendors that never do anything.
#[test]
fn searches_end_in_every_way_that_the_model_can_show() {
    use std::collections::BTreeMap;

    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = (any_vendors(0..5), families());
    let mut ends: BTreeMap<End, u32> = BTreeMap::new();
    let mut reasons: BTreeMap<Why, u32> = BTreeMap::new();
    for _ in 0..600 {
        let (vendors, family) = strategy.new_tree(&mut runner).unwrap().current();
        for ending in follow(&blocking(), &vendors, &[journey(family)]).unwrap() {
            *ends.entry(ending.end).or_default() += 1;
            if let Some(cycle) = ending.cycle {
                *reasons.entry(cycle.why).or_default() += 1;
            }
        }
    }
    let seen: Vec<End> = ends.keys().copied().collect();
    let all = [
        End::Reached,
        End::WrongDestination,
        End::Refused,
        End::Blocked,
        End::Closed,
        End::Stalled,
        End::Loop,
    ];
    assert_eq!(seen, all, "{ends:?}");
    assert!(reasons.len() >= 4, "{reasons:?}");
}

#[test]
fn journey_after_a_loop_is_not_mistaken_for_the_end_of_it() {
    let vendor =
        Vendor::new(0, 0, HandleSpec::One, Service { set: SetWhen::Never, ..Service::at(1) }, careful());
    let journeys = [SocketFamily::Ipv4, SocketFamily::Ipv6, SocketFamily::Ipv4].map(journey);
    let endings = follow(&Profile::documented(), &[vendor], &journeys).unwrap();
    assert_eq!(endings[0].end, End::Loop);
    assert_eq!(endings[0], endings[2]);
    assert_eq!((endings[1].end, endings[1].connects), (End::Loop, 3));
}

/// The handles in the records at a connect.
fn handles(ending: &Ending, number: usize) -> Vec<Name> {
    ending.hops[number].hop.as_ref().map(|hop| hop.records.clone()).unwrap_or_default()
}
