use rstest::rstest;

use super::*;
use crate::address::Family;
use crate::engine::{
    Condition, Decision, Filter, Handles, LayerKind, Policy, Processes, Redirect, Rule, States, Target, Test,
};
use crate::ids::Pid;
use crate::ids::{Caller, SocketHandle, SublayerId};
use crate::records::Records;
use crate::socket::SocketKind;
use crate::testing::{Machine, SERVER, SERVER_MAPPED, SERVER_V6, address, both};
use crate::trace::ConnectTrace;

fn deciding(decision: Decision) -> Policy {
    Policy { heeds_earlier_redirect: false, rules: vec![Rule::always(decision)], ..Policy::default() }
}

/// A filter at the V4 layer whose callout, of this name, decides so on every connect.
fn filter(m: &mut Machine, name: &str, sublayer: SublayerId, weight: u64, decision: Decision) -> FilterId {
    let callout = m.callout(name, deciding(decision));
    let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
    m.w.fwpm_filter_add(Filter { weight, ..Filter::asking(layer, sublayer, callout) }).unwrap()
}

fn names(hop: &ConnectTrace) -> Vec<&str> {
    hop.inspections().iter().map(|inspection| &*inspection.name).collect()
}

fn actions(hop: &ConnectTrace) -> Vec<Action> {
    hop.inspections().iter().map(|inspection| inspection.action).collect()
}

// Who is asked, in which order.

#[test]
fn sublayers_are_asked_by_weight_and_equal_ones_by_age() {
    let mut m = Machine::default();
    for (name, weight) in [("light", 1), ("old", 5), ("young", 5), ("heavy", 9)] {
        let sublayer = m.w.fwpm_sublayer_add(weight);
        filter(&mut m, name, sublayer, 0, Decision::Permit);
    }
    assert_eq!(names(&m.trace(SERVER)), ["heavy", "old", "young", "light"]);
}

#[test]
fn filters_of_a_sublayer_are_asked_by_weight_and_equal_ones_by_age_while_they_continue() {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    for (name, weight) in [("light", 1), ("old", 5), ("young", 5), ("heavy", u64::MAX)] {
        filter(&mut m, name, sublayer, weight, Decision::Continue);
    }
    let hop = m.trace(SERVER);
    assert_eq!(names(&hop), ["heavy", "old", "young", "light"]);
    assert_eq!(actions(&hop), [Action::Continue; 4]);
}

#[rstest]
#[case::permit(Decision::Permit)]
#[case::block(Decision::Block)]
#[case::redirect(Decision::Redirect(Redirect { target_pid: 1, ..Redirect::local(Pid(1), address(SERVER)) }))]
#[case::redirect_without_a_target(Decision::Redirect(Redirect::local(Pid(1), Target { v4: None, v6: None })))]
fn decision_ends_its_sublayer_and_no_other(#[case] decision: Decision) {
    let mut m = Machine::default();
    let (first, second) = (m.w.fwpm_sublayer_add(2), m.w.fwpm_sublayer_add(1));
    filter(&mut m, "decides", first, 2, decision);
    filter(&mut m, "not asked", first, 1, Decision::Permit);
    filter(&mut m, "asked", second, 1, Decision::Permit);
    assert_eq!(names(&m.trace(SERVER)), ["decides", "asked"]);
}

#[test]
fn filter_is_asked_at_its_layer_alone() {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    for layer in LayerKind::ConnectRedirect.both() {
        let callout = m.callout(&layer.to_string(), deciding(Decision::Permit));
        m.w.fwpm_filter_add(Filter::asking(layer, sublayer, callout)).unwrap();
    }
    assert_eq!(names(&m.trace(SERVER)), ["ALE_CONNECT_REDIRECT_V4"]);
    assert_eq!(names(&m.trace(SERVER_V6)), ["ALE_CONNECT_REDIRECT_V6"]);
    assert_eq!(names(&m.trace(SERVER_MAPPED)), ["ALE_CONNECT_REDIRECT_V6"], "classified as written");
}

#[test]
fn filter_is_asked_while_it_and_its_callout_are_there() {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    let id = filter(&mut m, "deleted", sublayer, 0, Decision::Continue);
    let callout = m.callout("unregistered", deciding(Decision::Permit));
    let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
    m.w.fwpm_filter_add(Filter::asking(layer, sublayer, callout)).unwrap();
    assert_eq!(names(&m.trace(SERVER)), ["deleted", "unregistered"]);
    m.w.fwpm_filter_delete(id).unwrap();
    assert_eq!(names(&m.trace(SERVER)), ["unregistered"]);
    m.w.fwps_callout_unregister(callout).unwrap();
    let hop = m.trace(SERVER);
    assert_eq!(
        (names(&hop), actions(&hop)),
        (vec!["a filter"], vec![Action::HardBlock]),
        "nobody is there to ask"
    );
    let filter = Filter { permit_if_callout_unregistered: true, ..Filter::asking(layer, sublayer, callout) };
    m.w.fwpm_filter_add(Filter { weight: 1, ..filter }).unwrap();
    assert_eq!(
        actions(&m.trace(SERVER)),
        [Action::Permit],
        "the flag has it permit, and that decides the sublayer"
    );
}

// Conditions.

#[rstest]
#[case::app_id(Test::AppId("APP.exe".into()), true)]
#[case::other_app_id(Test::AppId("app".into()), false)]
#[case::process(Test::ProcessId(Pid(4)), true)]
#[case::other_process(Test::ProcessId(Pid(12)), false)]
#[case::address(Test::RemoteAddress { address: address(SERVER).ip(), prefix: 32 }, true)]
#[case::network(Test::RemoteAddress { address: [203, 0, 113, 0].into(), prefix: 24 }, true)]
#[case::other_network(Test::RemoteAddress { address: [203, 0, 112, 0].into(), prefix: 24 }, false)]
#[case::port(Test::RemotePort(443..=443), true)]
#[case::ports(Test::RemotePort(80..=442), false)]
#[case::local_port(Test::LocalPort(5000..=5000), true)]
#[case::other_local_port(Test::LocalPort(0..=4999), false)]
#[case::loopback(Test::Loopback, false)]
fn condition_of_a_filter_holds_or_not(#[case] test: Test, #[case] holds: bool) {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    let callout = m.callout("asked", deciding(Decision::Continue));
    let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
    for condition in [Condition::is(test.clone()), Condition::is_not(test)] {
        let conditions = vec![condition];
        m.w.fwpm_filter_add(Filter { conditions, ..Filter::asking(layer, sublayer, callout) }).unwrap();
    }
    let socket = m.bound(SocketKind::V4, "0.0.0.0:5000");
    let hop = m.trace_of(m.app, socket, SERVER);
    let filters: Vec<u64> = hop.inspections().iter().map(|inspection| inspection.filter.0).collect();
    assert_eq!(filters, [if holds { 3 } else { 4 }]);
}

#[test]
fn conditions_must_all_hold() {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    for (name, port) in [("both", 443), ("one", 80)] {
        let callout = m.callout(name, deciding(Decision::Continue));
        let conditions =
            vec![Condition::is(Test::AppId("app.exe".into())), Condition::is(Test::RemotePort(port..=port))];
        let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
        m.w.fwpm_filter_add(Filter { conditions, ..Filter::asking(layer, sublayer, callout) }).unwrap();
    }
    assert_eq!(names(&m.trace(SERVER)), ["both"]);
}

#[rstest]
#[case("127.0.0.1:7", true)]
#[case("[::1]:7", true)]
#[case("[::ffff:127.0.0.1]:7", true)]
#[case(SERVER_MAPPED, false)]
fn loopback_is_seen_through_v4_mapping(#[case] to: &str, #[case] seen: bool) {
    let mut m = Machine::default();
    let sublayer = m.w.fwpm_sublayer_add(1);
    let callout = m.callout("asked", deciding(Decision::Continue));
    for layer in LayerKind::ConnectRedirect.both() {
        let conditions = vec![Condition::is(Test::Loopback)];
        m.w.fwpm_filter_add(Filter { conditions, ..Filter::asking(layer, sublayer, callout) }).unwrap();
    }
    assert_eq!(m.trace(to).inspections().len(), usize::from(seen));
}

#[test]
fn conditions_see_the_destination_of_the_caller_whatever_was_redirected_before() {
    let mut m = Machine::default();
    m.redirect_all(9, Redirect::local(Pid(1), address("203.0.113.77:80")));
    let sublayer = m.w.fwpm_sublayer_add(1);
    let conditions = vec![Condition::is(Test::RemotePort(443..=443))];
    let rule = Rule { conditions: conditions.clone(), ..Rule::always(Decision::Continue) };
    let policy = Policy { rules: vec![rule], ..deciding(Decision::Permit) };
    let callout = m.callout("sees 443", policy);
    let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
    m.w.fwpm_filter_add(Filter { conditions, ..Filter::asking(layer, sublayer, callout) }).unwrap();
    let hop = m.trace(SERVER);
    assert_eq!(names(&hop), ["redirector 0", "sees 443"]);
    assert_eq!(actions(&hop)[1], Action::Continue, "so do the conditions of a rule");
}

// Rules.

/// A callout with these rules and this handle.
fn ruled(m: &mut Machine, handles: Handles, rules: Vec<Rule>) {
    let policy = Policy { handles, heeds_earlier_redirect: false, rules, ..Policy::default() };
    m.vendor("ruled", 1, policy);
}

#[test]
fn first_rule_that_fits_decides_and_without_one_the_callout_permits() {
    let mut m = Machine::default();
    let only = |pid| Rule { processes: Processes::Only([pid].into()), ..Rule::always(Decision::Block) };
    let port = Condition::is(Test::RemotePort(80..=80));
    let rules = vec![
        only(m.service.pid),
        Rule { conditions: vec![port], ..Rule::always(Decision::Continue) },
        only(m.app.pid),
        Rule::always(Decision::Continue),
    ];
    ruled(&mut m, Handles::None, rules);
    let decided = |m: &mut Machine, caller: Caller, to: &str| {
        let socket = m.w.socket(caller, SocketKind::V4).unwrap();
        m.trace_of(caller, socket, to).inspections()[0].action
    };
    let (app, service) = (m.app, m.service);
    assert_eq!(decided(&mut m, service, "203.0.113.9:80"), Action::Block);
    assert_eq!(decided(&mut m, app, "203.0.113.9:80"), Action::Continue);
    assert_eq!(decided(&mut m, app, SERVER), Action::Block);
    let child = m.w.start_process("service.exe", true);
    assert_eq!(decided(&mut m, child, SERVER), Action::Continue, "a child is another process");

    let mut m = Machine::default();
    ruled(&mut m, Handles::None, Vec::new());
    assert_eq!(m.trace(SERVER).inspections()[0].action, Action::Permit);
}

#[rstest]
#[case::not_redirected(&[], RedirectState::NotRedirected)]
#[case::by_self(&[0], RedirectState::RedirectedBySelf)]
#[case::by_other(&[1], RedirectState::RedirectedByOther)]
#[case::previously(&[0, 1], RedirectState::PreviouslyRedirectedBySelf)]
fn rule_fits_in_its_states(#[case] redirected_by: &[u64], #[case] state: RedirectState) {
    for fits in RedirectState::ALL {
        let mut m = Machine::default();
        let own = m.handle("own");
        let rule = Rule { states: States::of(&[fits]), ..Rule::always(Decision::Continue) };
        ruled(&mut m, Handles::One(own), vec![rule]);
        let socket = carrying(&mut m, redirected_by, own);
        let hop = m.trace_of(m.service, socket, SERVER);
        assert_eq!(hop.states(), [state]);
        let expected = if fits == state { Action::Continue } else { Action::Permit };
        assert_eq!(actions(&hop), [expected], "rule for {fits}");
    }
}

/// A socket of the service on which records of these handles are set, counted from `first`.
fn carrying(m: &mut Machine, handles: &[u64], first: RedirectHandle) -> SocketHandle {
    use crate::ids::FlowId;
    use crate::records::Entry;
    let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
    let entry =
        |nth: &u64| Entry { handle: RedirectHandle(first.0 + 8 * nth), context: None, flow: FlowId(0) };
    let entries: Vec<Entry> = handles.iter().map(entry).collect();
    if !entries.is_empty() {
        let blob = Records::extended(None, &entries, m.w.profile());
        m.w.set_redirect_records(m.service, socket, blob.blob()).unwrap();
    }
    socket
}

#[test]
fn callout_is_given_its_own_context_back_while_that_exists() {
    let mut m = Machine::default();
    let listener = m.service_at(1001);
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let client = m.connected(SERVER);
    let accepted = m.accept(listener);
    let blob = m.w.query_redirect_records(m.service, accepted).unwrap();
    for (context, expected) in [("there", Some(128)), ("freed", None)] {
        let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        let hop = m.trace_of(m.service, onward, "203.0.113.77:80");
        assert_eq!(hop.states(), [RedirectState::RedirectedBySelf]);
        assert_eq!(hop.inspections()[0].context_bytes, expected, "{context}");
        let _ = (m.w.closesocket(m.app, client), m.w.closesocket(m.service, accepted));
    }
}

#[test]
fn handle_is_the_one_of_the_layer() {
    let mut m = Machine::default();
    let (v4, v6) = (RedirectHandle(1), RedirectHandle(2));
    ruled(&mut m, Handles::PerFamily { v4, v6 }, Vec::new());
    for (to, handle) in [(SERVER, v4), (SERVER_V6, v6), (SERVER_MAPPED, v6)] {
        assert_eq!(m.trace(to).inspections()[0].handle, Some(handle), "{to}");
    }
}

#[test]
fn callout_without_a_handle_never_learns_of_a_redirect() {
    let mut m = Machine::default();
    ruled(&mut m, Handles::None, Vec::new());
    let socket = carrying(&mut m, &[0], RedirectHandle(0x1000));
    let hop = m.trace_of(m.service, socket, SERVER);
    assert_eq!((hop.inspections()[0].handle, hop.states()), (None, vec![RedirectState::NotRedirected]));
}

// The request.

#[test]
fn previous_versions_show_latest_first_and_to_later_callouts_alone() {
    let mut m = Machine::default();
    let first = m.redirect_all(9, Redirect::local(m.service.pid, both(1001)));
    m.redirect_all(8, Redirect { with_handle: false, ..Redirect::local(m.service.pid, address(SERVER)) });
    let sublayer = m.w.fwpm_sublayer_add(7);
    filter(&mut m, "last", sublayer, 0, Decision::Permit);
    let hop = m.trace("203.0.113.77:80");
    let seen: Vec<_> = hop.inspections().iter().map(|i| i.previous_versions.as_slice()).collect();
    let version = |modifier, remote: &str, handle| PreviousVersion {
        modifier: FilterId(modifier),
        address: address(remote),
        handle,
    };
    let (a, b) = (version(3, "127.0.0.1:1001", Some(first)), version(7, SERVER, None));
    assert_eq!(seen, [&[][..], &[a], &[b, a]]);
}

#[rstest]
#[case::local(true, Action::PermitEarlierRedirect)]
#[case::without_a_handle(false, Action::Redirect(address("127.0.0.1:1002")))]
fn cooperative_callout_heeds_an_earlier_redirect_with_a_handle(
    #[case] with_handle: bool,
    #[case] action: Action,
) {
    let mut m = Machine::default();
    m.redirect_all(9, Redirect { with_handle, ..Redirect::local(m.service.pid, both(1001)) });
    m.cooperative_vendor("b", 8, 1002);
    assert_eq!(actions(&m.trace(SERVER))[1], action);
}

#[test]
fn callout_without_a_target_of_the_family_permits() {
    let mut m = Machine::default();
    m.redirect_all(9, Redirect::local(m.service.pid, address("127.0.0.1:1001")));
    let hop = m.trace(SERVER_V6);
    assert_eq!((actions(&hop), hop.target), (vec![Action::NoTarget], address(SERVER_V6)));
}

#[rstest]
#[case::redirect_behind_block(&["block", "redirect"], false)]
#[case::block_behind_redirect(&["redirect", "block"], true)]
#[case::permit_behind_block(&["block", "permit"], false)]
#[case::permit(&["permit"], false)]
#[case::nobody_asked(&[], false)]
fn block_counts_unless_a_lower_sublayer_permits(#[case] order: &[&str], #[case] blocked: bool) {
    let mut m = Machine::with(&[("block-at-redirect-layer", "WSAEACCES")]);
    m.service_at(1001);
    for (weight, what) in (1..).zip(order.iter().rev()) {
        let sublayer = m.w.fwpm_sublayer_add(weight);
        match *what {
            "block" => drop(filter(&mut m, "blocks", sublayer, 0, Decision::Block)),
            "permit" => drop(filter(&mut m, "permits", sublayer, 0, Decision::Permit)),
            _ => drop(m.redirect_all(weight, Redirect::local(m.service.pid, both(1001)))),
        }
    }
    let error = m.trace(SERVER).result.err();
    assert_eq!(error, blocked.then_some(crate::WinsockError::WSAEACCES));
}
