use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::{ClassifyFn, Completion, Decision, LayerKind, Pend, Policy, Program, Rule};
use crate::socket::{Completed, SocketKind};
use crate::testing::{Machine, SERVER, SILENT, address};
use crate::trace::ClassifyEnd;

/// Lets every second connect pass.
struct EverySecond;

impl ClassifyFn for EverySecond {
    fn name(&self) -> &'static str {
        "every second"
    }

    fn classify(&self, call: &mut Classify<'_>) {
        let pass = call.state().is_empty();
        call.set_state(if pass { b"x" } else { b"" });
        call.set_action(Some(if pass { Verdict::Permit } else { Verdict::Block }));
    }
}

#[test]
fn callout_in_rust_keeps_its_state_in_the_world() {
    let mut m = Machine::default();
    m.asked_at(&[LayerKind::AuthConnect], "every second", 1, Program::code(EverySecond));
    let before = m.w.clone();
    assert!(m.trace(SERVER).result.is_ok());
    assert!(m.w.callout_states != before.callout_states);
    assert_eq!(m.trace(SERVER).result, Err(crate::WinsockError::WSAEACCES));
    assert!(m.w.callout_states == before.callout_states);
    let mut again = before.clone();
    assert!(again == before);
    let socket = again.socket(m.app, SocketKind::V4).unwrap();
    assert!(again.connect(m.app, socket, address(SERVER), &mut ()).is_ok());
}

type Told = Arc<Mutex<Vec<String>>>;

/// Calls each function where it may not be called, and writes down what it is told.
struct Careless(Told);

impl ClassifyFn for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn classify(&self, call: &mut Classify<'_>) {
        let mut told = self.0.lock().unwrap();
        let mut tell = |what: &str, result: Result<(), KernelError>| {
            told.push(format!(
                "{what}: {}",
                result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
            ));
        };
        let handle = call.acquire_classify_handle();
        let data = call.run.current(call.seen);
        tell("apply", call.apply_modified_layer_data(handle, data, ApplyFlags::default()));
        tell("acquire", call.acquire_writable_layer_data(handle).map(drop));
        tell("pend", call.pend_classify(handle));
        tell("release", call.release_classify_handle(handle));
        tell("release", call.release_classify_handle(handle));
        tell("acquire", call.acquire_writable_layer_data(handle).map(drop));
        tell("pend", call.pend_classify(handle));
    }
}

#[test]
fn function_that_may_not_be_called_says_so_by_its_status_or_that_none_is_documented() {
    let told = Told::default();
    let mut m = Machine::default();
    m.asked_at(&[LayerKind::AuthConnect], "careless", 1, Program::code(Careless(Arc::clone(&told))));
    assert!(m.trace(SERVER).result.is_ok());
    assert_eq!(
        *told.lock().unwrap(),
        [
            "apply: not documented: FwpsApplyModifiedLayerData0 without FwpsAcquireWritableLayerDataPointer0",
            "acquire: STATUS_INVALID_PARAMETER",
            "pend: STATUS_FWP_CANNOT_PEND",
            "release: done",
            "release: not documented: a classify handle that is not open",
            "acquire: not documented: a classify handle that is not open",
            "pend: not documented: a classify handle that is not open",
        ]
    );
}

/// A callout that pends every connect until it is told to complete it.
fn pending(m: &mut Machine) -> CalloutId {
    let pend = Pend { redirect: None, completion: Completion::Reauthorize, at_once: false };
    let policy = Policy { rules: vec![Rule::always(Decision::Pend(pend))], ..Policy::default() };
    m.asked_at(&[LayerKind::ConnectRedirect], "pends", 1, policy)
}

#[test]
fn pended_connect_waits_until_the_driver_completes_it() {
    for (completion, error) in
        [(Completion::Reauthorize, None), (Completion::Final(ClassifyOut::soft(Verdict::Permit)), None)]
    {
        let mut m = Machine::default();
        let callout = pending(&mut m);
        let socket = m.socket(SocketKind::V4);
        let Ok(crate::Completion::Pending(connect)) = m.connect(socket, SERVER) else { panic!("done") };
        assert_eq!(m.w.completion(connect), None);
        let [handle] = m.w.pended_by(callout)[..] else { panic!("one is pended") };
        let mut traces = Vec::new();
        m.w.fwps_complete_classify(handle, completion, &mut traces).unwrap();
        assert_eq!(m.w.completion(connect), Some(error.map_or(Ok(Completed::Connected), Err)));
        assert_eq!(traces[0].target, address(SERVER));
        assert!(m.w.pended_by(callout).is_empty());
        let again = m.w.fwps_complete_classify(handle, completion, &mut ());
        assert_eq!(again.unwrap_err().to_string(), "not documented: a request that is not pended");
    }
}

#[test]
fn pended_connect_whose_socket_is_closed_is_completed_into_nothing() {
    let mut m = Machine::default();
    let callout = pending(&mut m);
    let socket = m.socket(SocketKind::V4);
    let Ok(crate::Completion::Pending(connect)) = m.connect(socket, SILENT) else { panic!("done") };
    m.w.closesocket(m.app, socket).unwrap();
    assert_eq!(m.w.completion(connect), Some(Err(crate::WinsockError::WSAEINTR)));
    let handle = m.w.pended_by(callout)[0];
    assert!(m.w.canonical().canonical() == m.w.canonical());
    m.w.fwps_complete_classify(handle, Completion::Reauthorize, &mut ()).unwrap();
    m.w.end_process(m.server.pid);
    assert_eq!(m.w.live(), 0);
}

#[test]
fn pended_request_is_what_the_driver_applies_before_it_completes_it() {
    let mut m = Machine::default();
    m.w.listen_at(m.server, address("203.0.113.9:80")).unwrap();
    let callout = pending(&mut m);
    let socket = m.socket(SocketKind::V4);
    m.connect(socket, SERVER).unwrap();
    let handle = m.w.pended_by(callout)[0];
    let mut data = m.w.fwps_acquire_writable_layer_data(handle).unwrap();
    assert_eq!(data.remote, Some(address(SERVER)));
    data.remote = Some(address("203.0.113.9:80"));
    m.w.fwps_apply_modified_layer_data(handle, data.clone(), ApplyFlags::default()).unwrap();
    assert_eq!(m.w.fwps_acquire_writable_layer_data(handle).as_ref(), Ok(&data));
    let mut traces = Vec::new();
    m.w.fwps_complete_classify(handle, Completion::Reauthorize, &mut traces).unwrap();
    assert_eq!(traces[0].target, address("203.0.113.9:80"));
    let none = [
        m.w.fwps_acquire_writable_layer_data(handle).map(drop),
        m.w.fwps_apply_modified_layer_data(handle, data, ApplyFlags::default()),
    ];
    assert!(none.iter().all(|answer| matches!(answer, Err(KernelError::NotDocumented(_)))), "{none:?}");
}

#[test]
fn trace_tells_that_a_request_waits() {
    let mut m = Machine::default();
    pending(&mut m);
    let hop = m.trace(SERVER);
    assert_eq!(hop.classifies[0].end, ClassifyEnd::Pended);
    assert!(hop.to_string().contains("waits for the driver"), "{hop}");
}
