//! For each field of the profile a probe: what a program can see of it, told as the field's value. So no field is
//! there that the model does not heed.

use super::{FIELDS, Field, Profile};
use crate::bug_check::BugCheck;
use crate::engine::{Action, Condition, Context, Decision, Policy, Redirect, Rule, Test};
use crate::ids::SocketHandle;
use crate::memory::Pointer;
use crate::profile::SizeReturned;
use crate::socket::{Completion, SocketKind};
use crate::testing::{Machine, SERVER, SERVER_MAPPED, SILENT, address, at_once, both};
use crate::trace::Redirection;
use crate::wsk::{Irql, WskControl};
use crate::{ControlCode, Entry, IoctlBuffers, NtStatus, Records, RedirectHandle, SpiPointers, WinsockError};

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;

mod datagrams;
mod kernel;

type Probe = fn(Profile) -> String;

const PROBES: &[(&str, Probe)] = &[
    ("size-query", |profile| query_redirected(profile, RECORDS, 0)),
    ("below-ulong", |profile| query_redirected(profile, CONTEXT, 3)),
    ("too-small", |profile| query_redirected(profile, RECORDS, 127)),
    ("records-not-redirected", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        query(&mut m, accepted, RECORDS, 1024)
    }),
    ("context-not-redirected", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        query(&mut m, accepted, CONTEXT, 1024)
    }),
    ("context-absent", |profile| {
        let mut m = Machine::new(profile);
        let redirect = Redirect { context: Context::None, ..to_service(&m) };
        let (_, accepted) = m.redirected(redirect);
        query(&mut m, accepted, CONTEXT, 1024)
    }),
    ("unknown-code", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        let (error, _) = query(&mut m, accepted, ControlCode(1), 1024).split_once(',').map(owned).unwrap();
        error
    }),
    ("bytes-on-error", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        let (_, bytes) = query(&mut m, socket, RECORDS, 1024).split_once(", ").map(owned).unwrap();
        bytes
    }),
    ("query-input-buffer", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (_, accepted) = m.redirected(redirect);
        let buffers = buffers(&mut m, 1024, 1024);
        let result =
            m.w.wsa_ioctl(m.service, accepted, RECORDS, &IoctlBuffers { input_length: 1, ..buffers });
        or_ok(at_once(result), "ignored")
    }),
    ("set-output-length", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        let result = set(&mut m, socket, &stale(1), 4);
        or_ok(result, "ignored")
    }),
    ("out-buffer-probe", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (_, accepted) = m.redirected(redirect);
        let buffers = buffers(&mut m, 200, 1024);
        match at_once(m.w.wsa_ioctl(m.service, accepted, RECORDS, &buffers)) {
            Ok(()) => "written-bytes".to_owned(),
            Err(WinsockError::WSAEFAULT) => "whole-length".to_owned(),
            Err(other) => other.to_string(),
        }
    }),
    ("overlapped-on-plain-socket", |profile| {
        minded(profile, PLAIN, |pointers| pointers.overlapped = Pointer::UNMAPPED)
    }),
    ("routine-on-plain-socket", |profile| {
        minded(profile, PLAIN, |pointers| pointers.routine = Pointer::UNMAPPED)
    }),
    ("routine-without-overlapped", |profile| {
        let (mut m, socket) = fresh_overlapped(profile);
        m.w.stall(m.service, socket).unwrap();
        let buffers = buffers(&mut m, 1024, 1024);
        let routine = IoctlBuffers { routine: buffers.output, ..buffers };
        match m.w.wsa_ioctl(m.service, socket, RECORDS, &routine) {
            Ok(Completion::Pending(_)) => "synchronous".to_owned(),
            other => or_ok(other.map(|_| ()), "").replace("WSA_IO_PENDING", "overlapped"),
        }
    }),
    ("null-word-when-overlapped", |profile| {
        minded(profile, SocketKind::V4, |pointers| pointers.bytes_returned = Pointer::NULL)
    }),
    ("routine-with-completion-port", |profile| {
        let (mut m, socket) = fresh_overlapped(profile);
        let port = m.w.create_io_completion_port(m.service).unwrap();
        m.w.associate_with_port(m.service, socket, port, 7).unwrap();
        let buffers = buffers(&mut m, 1024, 1024);
        let overlapped = m.w.allocate_overlapped(m.service, None);
        let routine = IoctlBuffers { routine: buffers.output, overlapped, ..buffers };
        let result = at_once(m.w.wsa_ioctl(m.service, socket, ControlCode::SIO_FLUSH, &routine));
        let called = m.w.alertable_wait(m.service).is_some();
        or_ok(result, if called { "called" } else { "not called" })
    }),
    ("bytes-of-pended-failure", |profile| {
        let (mut m, overlapped, accepted) = pended(profile, 127);
        m.w.resume(m.service, accepted).unwrap();
        let bytes = m.w.read_memory(m.service, overlapped.offset(8), 1).unwrap()[0];
        if bytes == 0 { "zero" } else { "needed" }.to_owned()
    }),
    ("cancelled-operation", |profile| {
        let (mut m, overlapped, accepted) = pended(profile, 1024);
        m.w.cancel_io_ex(m.service, accepted, overlapped).unwrap();
        or_ok(at_once(m.w.wsa_get_overlapped_result(m.service, accepted, overlapped, false)).map(|_| ()), "")
    }),
    ("blocked-code-on-close", |profile| {
        let (mut m, socket) = fresh_overlapped(profile);
        m.w.stall(m.service, socket).unwrap();
        let buffers = buffers(&mut m, 1024, 1024);
        let Ok(Completion::Pending(call)) = m.w.wsa_ioctl(m.service, socket, RECORDS, &buffers) else {
            panic!("it did not wait")
        };
        m.w.closesocket(m.service, socket).unwrap();
        or_ok(m.w.completion(call).unwrap().map(|_| ()), "")
    }),
    ("in-completion-routine", |profile| {
        let (mut m, socket) = fresh_overlapped(profile);
        let buffers = buffers(&mut m, 1024, 1024);
        let overlapped = m.w.allocate_overlapped(m.service, None);
        let routine = IoctlBuffers { routine: buffers.output, overlapped, ..buffers };
        m.w.wsa_ioctl(m.service, socket, ControlCode::SIO_FLUSH, &routine).unwrap();
        m.w.alertable_wait(m.service).unwrap();
        or_ok(at_once(m.w.wsa_ioctl(m.service, socket, ControlCode::SIO_FLUSH, &buffers)), "answered")
    }),
    ("spi-last-error", |profile| {
        let (mut m, socket) = fresh_overlapped(profile);
        let buffers = buffers(&mut m, 1024, 1024);
        let spi = SpiPointers { thread_id: Pointer::NULL, errno: Pointer::NULL };
        let answer = m.w.wsp_ioctl(m.service, socket, RECORDS, &buffers, &spi);
        if answer.last_error.is_some() { "set" } else { "untouched" }.to_owned()
    }),
    ("query-needs-elevation", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (_, accepted) = m.redirected(redirect);
        let theirs = m.w.wsa_duplicate_socket(m.service, accepted, m.app.pid).unwrap();
        or_ok(m.w.query_redirect_records(m.app, theirs).map(drop), "not-needed")
    }),
    ("set-needs-elevation", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.socket(SocketKind::V4);
        or_ok(m.w.set_redirect_records(m.app, socket, &stale(1)), "not-needed")
    }),
    ("query-while-connecting", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.socket(SocketKind::V4);
        m.connect(socket, SILENT).unwrap();
        match m.w.query_redirect_records(m.app, socket) {
            // As on a connection that was not redirected.
            Err(WinsockError::WSAEINVAL) => "answered".to_owned(),
            other => or_ok(other.map(drop), "with records"),
        }
    }),
    ("query-before-update-context", |profile| {
        let mut m = Machine::new(profile);
        let listener = m.service_at(1001);
        let redirect = to_service(&m);
        m.redirect_all(1, redirect);
        m.connected(SERVER);
        let accepted = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.accept_ex(m.service, listener, accepted).unwrap();
        or_ok(m.w.query_redirect_records(m.service, accepted).map(drop), "answered")
    }),
    ("set-empty-input", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        set(&mut m, socket, &stale(1), 0).unwrap();
        let result = set(&mut m, socket, &[], 0);
        assert_eq!(m.w.records_set(m.service, socket).unwrap().is_none(), result.is_ok());
        or_ok(result, "clears-records")
    }),
    ("set-malformed", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        let result = set(&mut m, socket, &[0; 128], 0);
        assert_eq!(m.w.records_set(m.service, socket), Ok(None));
        or_ok(result, "no-effect")
    }),
    ("set-stale-records", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        or_ok(set(&mut m, socket, &stale(1), 0), "ignored")
    }),
    ("set-after-bind", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.bind(m.service, socket, address("127.0.0.1:9")).unwrap();
        effect_of_set(&mut m, socket)
    }),
    ("set-after-connect", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.connect(m.service, socket, address(SERVER), &mut ()).unwrap();
        effect_of_set(&mut m, socket)
    }),
    ("set-on-accepted", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        effect_of_set(&mut m, accepted)
    }),
    ("set-on-listening", |profile| {
        let mut m = Machine::new(profile);
        let listener = m.service_at(9);
        effect_of_set(&mut m, listener)
    }),
    ("set-twice", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        set(&mut m, socket, &stale(1), 0).unwrap();
        set(&mut m, socket, &stale(2), 0).unwrap();
        let records = m.w.records_set(m.service, socket).unwrap().unwrap();
        match *records.handles() {
            [RedirectHandle(2)] => "replace".to_owned(),
            [RedirectHandle(1), RedirectHandle(2)] => "append".to_owned(),
            ref other => format!("{other:?}"),
        }
    }),
    ("context-lifetime", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (client, accepted) = m.redirected(redirect);
        let handle = m.w.records_arrived(m.service, accepted).unwrap().unwrap().handles()[0];
        let there = |m: &mut Machine| m.w.query_redirect_context(m.service, accepted).is_ok();
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        if !there(&mut m) {
            return "handle-destroyed".to_owned();
        }
        m.w.closesocket(m.app, client).unwrap();
        if there(&mut m) { "both-ends-closed".to_owned() } else { "client-end-closed".to_owned() }
    }),
    ("wsk-size-returned", |profile| {
        let taken = |with_irp: bool, with_word: bool| {
            let (result, _) = wsk_ask(profile.clone(), true, Irql::Passive, [with_irp, with_word], |_| {});
            result.is_ok_and(NtStatus::is_success)
        };
        match [taken(true, true), taken(true, false), taken(false, true)] {
            [true, true, true] => "both".to_owned(),
            [true, false, false] => "with-irp".to_owned(),
            [false, true, true] => "without-irp".to_owned(),
            other => format!("{other:?}"),
        }
    }),
    ("wsk-size-width", |profile| match wsk_word(profile) {
        0x0000_0000_0000_0080 => "SIZE_T".to_owned(),
        0xDEAD_BEEF_0000_0080 => "ULONG".to_owned(),
        other => format!("{other:x}"),
    }),
    ("wsk-size-query", |profile| {
        wsk_status(profile, true, Irql::Passive, |control| {
            control.output = Pointer::NULL;
            control.output_size = 0;
        })
    }),
    ("wsk-irql", |profile| match &*wsk_status(profile, true, Irql::Dispatch, |_| {}) {
        "IRQL_NOT_LESS_OR_EQUAL" => "PASSIVE_LEVEL".to_owned(),
        "STATUS_SUCCESS" => "DISPATCH_LEVEL".to_owned(),
        other => other.to_owned(),
    }),
    ("wsk-level", |profile| {
        match &*wsk_status(profile, true, Irql::Passive, |control| control.level = 0xFFFF) {
            "STATUS_SUCCESS" => "ignored".to_owned(),
            other => other.to_owned(),
        }
    }),
    ("wsk-query-rights", |profile| match &*wsk_status(profile, false, Irql::Passive, |_| {}) {
        "STATUS_SUCCESS" => "not-needed".to_owned(),
        other => other.to_owned(),
    }),
    ("sio-format-alignment", |profile| {
        let mut m = Machine::new(profile.clone());
        let driver = m.w.start_driver("driver.sys", true);
        let output = m.w.allocate(driver, 1024, 0).offset(1);
        let entry = Entry { handle: RedirectHandle(1), context: None, flow: crate::FlowId(999) };
        let records = Records::extended(None, &[entry], &profile);
        let length = records.blob().len() as u64;
        let status = m.w.fwps_query_connection_sio_format_redirect_records(
            driver,
            Irql::Passive,
            Some(&records),
            output,
            length,
            Pointer::NULL,
        );
        match status.unwrap() {
            NtStatus::STATUS_SUCCESS => "ignored".to_owned(),
            other => other.to_string(),
        }
    }),
    ("peer-name-after-redirect", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (client, _) = m.redirected(redirect);
        match m.w.getpeername(m.app, client) {
            Ok(peer) if peer == address(SERVER) => "original".to_owned(),
            Ok(peer) if peer == address("127.0.0.1:1001") => "redirected".to_owned(),
            other => format!("{other:?}"),
        }
    }),
    ("implicit-source-port", |profile| {
        let mut m = Machine::new(profile);
        let rule = Rule {
            conditions: vec![Condition::is(Test::LocalPort(49152..=49152))],
            ..Rule::always(Decision::Continue)
        };
        let handles = crate::engine::Handles::None;
        let policy =
            Policy { handles, heeds_earlier_redirect: false, rules: vec![rule], ..Policy::default() };
        m.vendor("looker", 1, policy);
        let seen = m.trace(SERVER).inspections()[0].action == Action::Continue;
        if seen { "assigned".to_owned() } else { "unassigned".to_owned() }
    }),
    ("unroutable-source", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.bound(SocketKind::V4, "127.0.0.1:9");
        or_ok(m.connect(socket, SERVER).map(drop), "connected")
    }),
    ("mapped-on-v6only", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.socket(SocketKind::V6);
        or_ok(m.connect(socket, SERVER_MAPPED).map(drop), "connected")
    }),
    ("windows-version", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (_, accepted) = m.redirected(redirect);
        match m.w.query_redirect_records(m.service, accepted) {
            Err(WinsockError::WSAEOPNOTSUPP) => "windows-7".to_owned(),
            _ => "windows-8".to_owned(),
        }
    }),
    ("original-destination-level", |profile| {
        let mut m = Machine::new(profile);
        let redirect = to_service(&m);
        let (_, accepted) = m.redirected(redirect);
        let ask = |level| m.w.getsockopt_original_dst(m.service, accepted, level, 128).is_ok();
        match (ask(crate::SOL_IP), ask(crate::SOL_SOCKET)) {
            (true, true) => "any".to_owned(),
            (true, false) => "family".to_owned(),
            (false, true) => "socket".to_owned(),
            (false, false) => "none".to_owned(),
        }
    }),
    ("original-destination-absent", |profile| {
        let mut m = Machine::new(profile);
        let (_, accepted) = m.pair();
        or_ok(m.w.getsockopt_original_dst(m.service, accepted, crate::SOL_IP, 128).map(drop), "local-address")
    }),
    ("record-header-bytes", |profile| {
        let [one, two] = blob_lengths(profile);
        (2 * one - two).to_string()
    }),
    ("record-bytes-per-hop", |profile| {
        let [one, two] = blob_lengths(profile);
        (two - one).to_string()
    }),
    ("context-limit", |profile| {
        let is_taken = |length: usize| {
            let mut m = Machine::new(profile.clone());
            m.service_at(1001);
            let context = Context::Opaque(vec![0; length].into());
            let redirect = Redirect { context, ..to_service(&m) };
            m.redirect_all(1, redirect);
            matches!(m.trace(SERVER).redirect, Some(Redirection::Local(_)))
        };
        greatest(1 << 21, is_taken).to_string()
    }),
    ("connect-timeout-ms", |profile| {
        let mut m = Machine::new(profile);
        let socket = m.socket(SocketKind::V4);
        let Ok(Completion::Pending(pending)) = m.connect(socket, SILENT) else { panic!("done") };
        let waits = |milliseconds: usize| {
            let mut w = m.w.clone();
            w.advance(milliseconds as u64);
            w.completion(pending).is_none()
        };
        (greatest(1 << 20, waits) + 1).to_string()
    }),
];

#[test]
fn model_answers_as_each_value_of_each_field_says() {
    for field in FIELDS {
        let probe = PROBES
            .iter()
            .chain(datagrams::PROBES)
            .chain(kernel::PROBES)
            .find(|(name, _)| *name == field.name);
        let (_, probe) = probe.unwrap_or_else(|| panic!("no probe for {}", field.name));
        for (value, _) in field.values {
            let mut profile = Profile::documented();
            field.set(&mut profile, value).unwrap();
            assert_eq!(probe(profile), *value, "{}", field.name);
        }
        for name in Profile::BUILT_IN {
            let profile = Profile::built_in(name).unwrap();
            assert_eq!(probe(profile.clone()), field.get(&profile), "{} of {name}", field.name);
        }
    }
}

#[test]
fn every_probe_is_of_a_field() {
    for (name, _) in PROBES.iter().chain(datagrams::PROBES).chain(kernel::PROBES) {
        assert!(Field::by_name(name).is_some(), "{name}");
    }
    assert_eq!(PROBES.len() + datagrams::PROBES.len() + kernel::PROBES.len(), FIELDS.len());
}

// What probes share.

const POISON: u32 = 0xDEAD_BEEF;

fn owned((first, second): (&str, &str)) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

fn or_ok(result: Result<(), WinsockError>, ok: &str) -> String {
    match result {
        Ok(()) => ok.to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Whether a context is left of a connect when everybody has gone.
fn after_all_ended(mut m: Machine) -> String {
    m.trace(SERVER);
    m.w.end_process(m.app.pid);
    m.w.end_process(m.service.pid);
    if m.w.live_contexts() == 0 { "freed".to_owned() } else { "leaked".to_owned() }
}

fn to_service(m: &Machine) -> Redirect {
    Redirect::local(m.service.pid, both(1001))
}

const PLAIN: SocketKind = SocketKind { overlapped: false, ..SocketKind::V4 };

fn fresh_overlapped(profile: Profile) -> (Machine, SocketHandle) {
    let mut m = Machine::new(profile);
    let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
    (m, socket)
}

/// What an overlapped call on a socket of this kind says of a pointer that was changed.
fn minded(profile: Profile, kind: SocketKind, change: impl Fn(&mut IoctlBuffers)) -> String {
    let mut m = Machine::new(profile);
    let socket = m.w.socket(m.service, kind).unwrap();
    let overlapped = m.w.allocate_overlapped(m.service, None);
    let mut pointers = IoctlBuffers { overlapped, ..buffers(&mut m, 1024, 1024) };
    change(&mut pointers);
    or_ok(at_once(m.w.wsa_ioctl(m.service, socket, ControlCode::SIO_FLUSH, &pointers)), "ignored")
}

/// A query for the records that is pending with a buffer of this length: its `WSAOVERLAPPED`, and the socket.
fn pended(profile: Profile, length: u32) -> (Machine, Pointer, SocketHandle) {
    let mut m = Machine::new(profile);
    let redirect = to_service(&m);
    let (_, accepted) = m.redirected(redirect);
    m.w.stall(m.service, accepted).unwrap();
    let overlapped = m.w.allocate_overlapped(m.service, None);
    let pointers = IoctlBuffers { overlapped, ..buffers(&mut m, length.into(), length) };
    assert_eq!(m.w.wsa_ioctl(m.service, accepted, RECORDS, &pointers), Err(WinsockError::WSA_IO_PENDING));
    (m, overlapped, accepted)
}

/// An output buffer of which so many bytes are there, and a poisoned word.
fn buffers(m: &mut Machine, there: u64, output_length: u32) -> IoctlBuffers {
    let output = m.w.allocate(m.service, there, 0);
    let word = m.w.allocate(m.service, 4, 0);
    m.w.write_memory(m.service, word, &POISON.to_le_bytes());
    IoctlBuffers::query(output, output_length, word)
}

/// The answer to a query, as a profile writes it.
fn query(m: &mut Machine, socket: SocketHandle, code: ControlCode, length: u32) -> String {
    let buffers = buffers(m, length.into(), length);
    let result = at_once(m.w.wsa_ioctl(m.service, socket, code, &buffers));
    let word = m.w.read_memory(m.service, buffers.bytes_returned, 4).unwrap();
    let bytes = match u32::from_le_bytes(word.try_into().unwrap()) {
        POISON => "unchanged",
        0 => "zero",
        _ => "needed",
    };
    format!("{}, {bytes}", or_ok(result, "success"))
}

fn query_redirected(profile: Profile, code: ControlCode, length: u32) -> String {
    let mut m = Machine::new(profile);
    let redirect = to_service(&m);
    let (_, accepted) = m.redirected(redirect);
    query(&mut m, accepted, code, length)
}

/// Records of one redirect, whose connection is gone.
fn stale(handle: u64) -> Vec<u8> {
    let entry = Entry { handle: RedirectHandle(handle), context: None, flow: crate::FlowId(999) };
    Records::extended(None, &[entry], &Profile::documented()).blob().to_vec()
}

fn set(m: &mut Machine, socket: SocketHandle, blob: &[u8], output_length: u32) -> Result<(), WinsockError> {
    let input = m.w.allocate(m.service, 1024, 0);
    m.w.write_memory(m.service, input, blob);
    let word = m.w.allocate(m.service, 4, 0);
    let length = u32::try_from(blob.len()).unwrap();
    let output = if output_length > 0 { word } else { Pointer::NULL };
    let buffers = IoctlBuffers { output, output_length, ..IoctlBuffers::set(input, length, word) };
    let code = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
    at_once(m.w.wsa_ioctl(m.service, socket, code, &buffers))
}

fn effect_of_set(m: &mut Machine, socket: SocketHandle) -> String {
    let result = set(m, socket, &stale(1), 0);
    let carries = m.w.records_set(m.service, socket).unwrap().is_some();
    or_ok(result, if carries { "effective" } else { "no-effect" })
}

/// The lengths of the records at the first and the second service of a chain.
fn blob_lengths(profile: Profile) -> [usize; 2] {
    let mut m = Machine::new(profile);
    let listeners = [m.service_at(1001), m.service_at(1002)];
    m.cooperative_vendor("a", 2, 1001);
    m.cooperative_vendor("b", 1, 1002);
    m.connected(SERVER);
    listeners.map(|listener| {
        let accepted = m.accept(listener);
        let blob = m.w.query_redirect_records(m.service, accepted).unwrap();
        dial(&mut m, &blob);
        blob.len()
    })
}

fn dial(m: &mut Machine, blob: &[u8]) {
    let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
    m.w.set_redirect_records(m.service, onward, blob).unwrap();
    m.w.connect(m.service, onward, address(SERVER), &mut ()).unwrap();
}

/// The greatest number below `end` of which `holds` is true; it is of 0.
fn greatest(end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A driver asks through WSK for the records of a connection that was redirected to it: what it is told, and the 8 bytes
/// at `OutputSizeReturned`.
fn wsk_ask(
    profile: Profile,
    elevated: bool,
    irql: Irql,
    [with_irp, with_word]: [bool; 2],
    change: impl Fn(&mut WskControl),
) -> (Result<NtStatus, BugCheck>, u64) {
    let mut m = Machine::new(profile);
    let driver = m.w.start_driver("driver.sys", elevated);
    let listener = m.w.listen_at(driver, address("127.0.0.1:1001")).unwrap();
    m.redirect_all(1, Redirect::local(driver.pid, both(1001)));
    m.connected(SERVER);
    let accepted = m.w.accept(driver, listener).unwrap().done().unwrap();
    let (output, place) = (m.w.allocate(driver, 1024, 0), m.w.allocate(driver, 8, 0));
    m.w.write_memory(driver, place, &[POISON.to_le_bytes(), POISON.to_le_bytes()].concat());
    let word = if with_word { place } else { Pointer::NULL };
    let mut control = WskControl::query(RECORDS, output, 1024, word);
    change(&mut control);
    let irp = with_irp.then(|| m.w.io_allocate_irp(driver, true).unwrap());
    let result = m.w.wsk_control_socket(driver, irql, accepted, &control, irp);
    let word = m.w.read_memory(driver, place, 8).unwrap();
    (result, u64::from_le_bytes(word.try_into().unwrap()))
}

/// The same without an IRP where the profile has it so: the word comes under each.
fn wsk_word(profile: Profile) -> u64 {
    let with_irp = profile.wsk_size_returned != SizeReturned::WithoutIrp;
    wsk_ask(profile, true, Irql::Passive, [with_irp, true], |_| {}).1
}

fn wsk_status(profile: Profile, elevated: bool, irql: Irql, change: impl Fn(&mut WskControl)) -> String {
    let with_irp = profile.wsk_size_returned != SizeReturned::WithoutIrp;
    match wsk_ask(profile, elevated, irql, [with_irp, true], change).0 {
        Ok(status) => status.to_string(),
        Err(bug_check) => bug_check.to_string(),
    }
}
