//! Probes of the fields about the filter engine, and what it makes of redirects.

use super::{Probe, after_all_ended, or_ok, to_service};
use crate::address::Family;
use crate::engine::{
    AfterAcquire, Decision, Filter, FilterAction, Habits, Handles, LayerKind, Policy, Rebind, Redirect, Rule,
    WriteRight,
};
use crate::profile::{Profile, RedirectLayerBlock, SameClassify, TargetPid};
use crate::socket::{Completion, SocketKind};
use crate::testing::{Machine, SERVER, SERVER_MAPPED, address, both};
use crate::trace::{ClassifyEnd, ConnectTrace, Redirection};

const CONNECT_REDIRECT: &[LayerKind] = &[LayerKind::ConnectRedirect];
const AUTH_CONNECT: &[LayerKind] = &[LayerKind::AuthConnect];

fn deciding(decision: Decision) -> Policy {
    Policy { rules: vec![Rule::always(decision)], ..Policy::default() }
}

/// A machine whose service is redirected to, by a callout with these habits.
fn redirected(profile: Profile, habits: Habits) -> Machine {
    let mut m = Machine::new(profile);
    m.service_at(1001);
    redirect(&mut m, habits, 9);
    m
}

fn redirect(m: &mut Machine, habits: Habits, weight: u16) {
    let name = format!("redirector {weight}");
    let driver = m.w.load_driver(&name);
    let handle = m.w.fwps_redirect_handle_create(driver, &name, 0).unwrap();
    let rules = vec![Rule::always(Decision::Redirect(to_service(m)))];
    let policy = Policy { handles: Handles::One(handle), heeds_earlier_redirect: false, habits, rules };
    m.asked_at(CONNECT_REDIRECT, &name, weight, policy);
}

fn calls_at(hop: &ConnectTrace, kind: LayerKind) -> usize {
    hop.classifies.iter().filter(|classify| classify.layer.kind == kind).count()
}

pub(super) static PROBES: &[(&str, Probe)] = &[
    ("acquire-effect", |profile| {
        let habits = Habits { after_acquire: AfterAcquire::Nothing, ..Habits::default() };
        let hop = redirected(profile, habits).trace(SERVER);
        let untouched = hop.inspections()[0].carried.action.is_none();
        if untouched { "nothing" } else { "block-and-clear-right" }.to_owned()
    }),
    ("acquire-without-apply", |profile| {
        let habits = Habits { applies: false, ..Habits::default() };
        let mut m = redirected(profile, habits);
        let socket = m.socket(SocketKind::V4);
        let done = m.connect(socket, SERVER) == Ok(Completion::Done(()));
        if done { "goes-on" } else { "never-completes" }.to_owned()
    }),
    ("permit-without-right", |profile| {
        let mut m = Machine::new(profile);
        m.asked_at(AUTH_CONNECT, "hard", 9, deciding(Decision::HardPermit));
        let habits = Habits { write_right: WriteRight::Ignored, ..Habits::default() };
        m.asked_at(AUTH_CONNECT, "heedless", 8, Policy { habits, ..Policy::default() });
        let _ = m.trace(SERVER);
        if m.w.take_bug_check().is_some() { "bug-check" } else { "ignored" }.to_owned()
    }),
    ("clear-action-right", |profile| {
        let mut m = Machine::new(profile);
        let layer = LayerKind::AuthConnect.of(Family::Ipv4);
        let sublayer = m.w.fwpm_sublayer_add(9);
        let (conditions, weight) = (Vec::new(), 0);
        let action = FilterAction::Permit;
        let filter = Filter {
            layer,
            sublayer,
            weight,
            conditions,
            action,
            clear_action_right: true,
            permit_if_callout_unregistered: false,
        };
        m.w.fwpm_filter_add(filter).unwrap();
        let hop = m.trace(SERVER);
        let soft = hop.classifies.last().unwrap().inspections[0].carried.write;
        if soft { "cleared-is-hard" } else { "set-is-hard" }.to_owned()
    }),
    ("sublayers-after-block", |profile| {
        let mut m = Machine::new(profile);
        m.asked_at(AUTH_CONNECT, "blocks", 9, deciding(Decision::HardBlock));
        m.asked_at(AUTH_CONNECT, "below", 8, deciding(Decision::Permit));
        let asked = m.trace(SERVER).classifies.last().unwrap().inspections.len();
        if asked == 2 { "evaluated" } else { "skipped" }.to_owned()
    }),
    ("auth-connect-of-redirected", |profile| {
        let mut m = Machine::new(profile);
        m.redirect_all(9, Redirect::local(m.service.pid, address("203.0.113.9:80")));
        m.asked_at(AUTH_CONNECT, "looks on", 8, Policy::default());
        let calls = calls_at(&m.trace(SERVER), LayerKind::AuthConnect);
        if calls == 2 { "twice" } else { "once" }.to_owned()
    }),
    ("mapped-auth-layer", |profile| {
        let mut m = Machine::new(profile);
        m.asked_at(AUTH_CONNECT, "looks on", 8, Policy::default());
        m.trace(SERVER_MAPPED).classifies.last().unwrap().layer.family.to_string()
    }),
    ("auth-connect-metadata", |profile| {
        let mut m = redirected(profile, Habits::default());
        m.asked_at(AUTH_CONNECT, "looks on", 8, Policy::default());
        let there = m.trace(SERVER).classifies.last().unwrap().original_destination.is_some();
        if there { "present" } else { "absent" }.to_owned()
    }),
    ("reauthorize-at-connect-redirect", |profile| {
        let pend = crate::engine::Pend {
            redirect: None,
            completion: crate::engine::Completion::Reauthorize,
            at_once: true,
        };
        let mut m = Machine::new(profile);
        m.asked_at(CONNECT_REDIRECT, "pends", 9, deciding(Decision::Pend(pend)));
        // Where nothing tells that it is asked again, it pends again and again.
        let ended = m.trace(SERVER).classifies.last().unwrap().end;
        if ended == ClassifyEnd::Pended { "hidden" } else { "shown" }.to_owned()
    }),
    ("local-address-at-connect-redirect", |profile| {
        let mut m = Machine::new(profile);
        m.w.listen_at(m.server, address("203.0.113.9:81")).unwrap();
        let rebind = Rebind { v4: Some([127, 0, 0, 1].into()), v6: None };
        m.asked_at(CONNECT_REDIRECT, "rebinds", 9, deciding(Decision::Rebind(rebind)));
        if m.trace(SERVER).result.is_ok() { "ignored" } else { "tcp-only" }.to_owned()
    }),
    ("reauthorize-flag-inline", |profile| {
        let wants = Habits { reauthorize_if_modified_by_others: true, ..Habits::default() };
        let mut m = redirected(profile, wants);
        let other = Redirect::local(m.service.pid, both(1002));
        m.redirect_all(8, other);
        let asked = m.trace(SERVER).inspections().len();
        if asked == 3 { "heeded" } else { "ignored" }.to_owned()
    }),
    ("block-at-recv-accept", |profile| {
        let mut m = Machine::new(profile);
        m.service_at(7);
        m.asked_at(&[LayerKind::AuthRecvAccept], "blocks", 9, deciding(Decision::Block));
        let socket = m.socket(SocketKind::V4);
        match m.connect(socket, "127.0.0.1:7") {
            Ok(Completion::Pending(pending)) => {
                m.w.advance(1 << 30);
                m.w.completion(pending).unwrap().unwrap_err().to_string()
            }
            ended => ended.unwrap_err().to_string(),
        }
    }),
    ("unaccepted-local-redirect", |profile| {
        let mut m = Machine::new(profile);
        m.service_at(1001);
        let redirect = Redirect { target_pid: 0, ..to_service(&m) };
        m.redirect_all(1, redirect);
        let hop = m.trace(SERVER);
        or_ok(hop.result.map(|_| assert_eq!(hop.target, address(SERVER))), "original-destination")
    }),
    ("remote-after-local-redirect", |profile| {
        let mut m = Machine::new(profile);
        m.service_at(1001);
        let redirect = to_service(&m);
        m.redirect_all(2, redirect);
        m.redirect_all(1, Redirect::local(m.service.pid, address(SERVER)));
        match m.trace("203.0.113.77:80").redirect {
            Some(Redirection::Remote) => "remote-wins".to_owned(),
            Some(Redirection::Local(_)) => "local-wins".to_owned(),
            other => format!("{other:?}"),
        }
    }),
    ("same-classify-redirects", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        m.redirect_all(2, redirect.clone());
        let (_, accepted) = m.redirected(redirect);
        let records = m.w.records_arrived(m.service, accepted).unwrap().unwrap();
        match *records.entries() {
            [_] => "last".to_owned(),
            [_, _] => "both".to_owned(),
            ref other => format!("{other:?}"),
        }
    }),
    ("block-at-redirect-layer", |profile| {
        let mut m = Machine::new(profile);
        let policy = Policy { rules: vec![Rule::always(Decision::Block)], ..Policy::default() };
        m.vendor("blocker", 1, policy);
        or_ok(m.trace(SERVER).result.map(drop), "ignored")
    }),
    ("target-pid", |profile| {
        let mut m = Machine::new(profile);
        m.service_at(1001);
        let redirect = Redirect { target_pid: 1234, ..to_service(&m) };
        m.redirect_all(1, redirect);
        match m.trace(SERVER).redirect {
            Some(Redirection::Local(_)) => "non-zero".to_owned(),
            _ => "must-listen".to_owned(),
        }
    }),
    ("handle-required", |profile| {
        let mut m = Machine::new(profile);
        m.redirect_all(1, Redirect { with_handle: false, ..Redirect::local(m.service.pid, address(SERVER)) });
        match m.trace("203.0.113.77:80").redirect {
            Some(Redirection::Remote) => "local".to_owned(),
            _ => "always".to_owned(),
        }
    }),
    ("context-of-refused-redirect", |profile| {
        let mut m = Machine::new(profile);
        let redirect = Redirect { target_pid: 0, ..to_service(&m) };
        m.redirect_all(1, redirect);
        after_all_ended(m)
    }),
    ("context-of-overwritten-redirect", |profile| {
        let mut m = Machine::new(Profile { same_classify_redirects: SameClassify::Last, ..profile });
        m.service_at(1001);
        for weight in [2, 1] {
            let redirect = to_service(&m);
            m.redirect_all(weight, redirect);
        }
        after_all_ended(m)
    }),
    ("context-of-failed-connect", |profile| {
        let mut m = Machine::new(Profile { target_pid: TargetPid::NonZero, ..profile });
        let redirect = to_service(&m);
        m.redirect_all(1, redirect);
        after_all_ended(m)
    }),
    ("context-of-blocked-connect", |profile| {
        let mut m = Machine::new(Profile { block_at_redirect_layer: RedirectLayerBlock::Denied, ..profile });
        m.service_at(1001);
        let redirect = to_service(&m);
        m.redirect_all(2, redirect);
        let rules = vec![Rule::always(Decision::Block)];
        m.vendor("blocker", 1, Policy { rules, ..Policy::default() });
        after_all_ended(m)
    }),
];
