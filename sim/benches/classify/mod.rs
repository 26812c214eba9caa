//! A classify with 8 sublayers of 4 filters each: nothing matching, and every filter matching.
//!
//! Measured is `connect` of a UDP socket, which asks CONNECT_REDIRECT and makes no flow: the figure holds the call around
//! the classify too, which the bench without filters tells.

use criterion::Criterion;
use wfp_sim::engine::{Condition, Decision, Filter, LayerKind, Policy, Rule, Test};
use wfp_sim::{Caller, Profile, SocketHandle, SocketKind, World};

const SUBLAYERS: u16 = 8;
const FILTERS: u16 = 4;

/// A machine whose filters match connects to this port, or no filters at all.
fn machine(port: Option<u16>) -> (World, Caller, SocketHandle) {
    let mut w = World::new(Profile::documented());
    let app = w.start_process("app.exe", false);
    let driver = w.load_driver("driver");
    for sublayer in (0..SUBLAYERS).filter(|_| port.is_some()) {
        let weight = w.fwpm_sublayer_add(sublayer);
        for number in 0..FILTERS {
            // All but the last leave it to the next, so that each is asked.
            let last = number + 1 == FILTERS;
            let decision = if last { Decision::Permit } else { Decision::Continue };
            let policy = Policy { rules: vec![Rule::always(decision)], ..Policy::default() };
            let name = format!("{sublayer}.{number}");
            let callout = w.fwps_callout_register(driver, &name, policy).expect("no other has its name");
            for layer in LayerKind::ConnectRedirect.both() {
                let ports = port.unwrap_or_default();
                let filter = Filter {
                    weight: (FILTERS - number).into(),
                    conditions: vec![Condition::is(Test::RemotePort(ports..=ports))],
                    ..Filter::asking(layer, weight, callout)
                };
                w.fwpm_filter_add(filter).expect("its sublayer and its callout are there");
            }
        }
    }
    let socket = w.socket(app, SocketKind::V4.udp()).expect("the process is there");
    (w, app, socket)
}

pub(crate) fn arbitrated(c: &mut Criterion) {
    let destination = "203.0.113.9:443".parse().expect("an address");
    let mut group = c.benchmark_group("classify with 8 sublayers of 4 filters");
    for (name, port) in [("no filters", None), ("nothing matches", Some(80)), ("all match", Some(443))] {
        let (mut w, app, socket) = machine(port);
        group.bench_function(name, |b| b.iter(|| w.connect(app, socket, destination, &mut ())));
    }
}
