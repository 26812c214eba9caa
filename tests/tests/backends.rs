//! What becomes of a case on a backend that cannot do all of it.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use rstest::rstest;
use wfp_conformance::diff::Diff;
use wfp_conformance::run::{Options, Status, run, run_case};
use wfp_conformance::scenario::Suite;
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Features, Identity, Observation, Op, Outcome, Settings,
};
use wfp_conformance::{Only, SimBackend};
use wfp_sim::{Profile, WinsockError};
use wfp_tests::{Through, WINDOWS_ALONE, suite};

/// The model, without one of its calls.
fn without(call: &'static str) -> impl Backend {
    let answer = move |machine: &mut SimBackend, op: &Op| {
        if op.call.name() == call {
            return Ok(Observation::new(Outcome::Unsupported(format!("`{call}`"))));
        }
        machine.apply(op)
    };
    Through { machine: SimBackend::default(), answer }
}

/// A connection that is followed, a call by hand, and a sweep.
const CASE: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts: {driver: {redirect-to: proxy}}
services: {proxy: {listen: 'loopback:1001', bind: 'any:0'}}
cases:
  - id: all-kinds
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached, connects: 2}}
      - {name: s, process: app, op: {socket: {}}}
      - {process: app, op: {local-name: {socket: s}}, expect: {error: WSAEINVAL}}
      - process: app
        sweep:
          op: {query-context: {socket: s}}
          state: fresh
          rows: [{lengths: [1024], expect: {error: WSAENOTCONN}}]
";

#[rstest]
#[case::by_which_a_service_listens("listen")]
#[case::by_which_a_service_asks("query-records")]
#[case::by_which_a_service_binds("bind")]
#[case::by_which_a_service_sets("set-records")]
#[case::by_which_everybody_dials("connect")]
#[case::of_a_step("local-name")]
#[case::of_a_sweep("describe")]
fn case_that_needs_a_call_which_the_backend_cannot_make_is_skipped(#[case] call: &'static str) {
    let suite = suite(CASE);
    let options = Options::default();
    let run = run_case(&mut without(call), &suite.cases[0], &options, 1).unwrap();
    let reason = format!("the backend does not support `{call}`");
    assert_eq!((run.status, run.reason, run.failure.is_none()), (Status::Skipped, Some(reason), true));

    let run = run_case(&mut without("nothing"), &suite.cases[0], &options, 1).unwrap();
    assert_eq!(run.status, Status::Passed, "{:?}", run.failure);
}

#[test]
fn cases_that_ask_no_callout_run_on_a_machine_without_a_driver() {
    let suite = Suite::built_in(&Profile::default()).unwrap();
    let options = Options::default();
    let features = WINDOWS_ALONE.into();
    let new_backend = || Ok(Box::new(Only::new(SimBackend::default(), &features)) as Box<dyn Backend>);
    let runs = run(&suite, &options, &new_backend).unwrap();
    let status = |name: &str| {
        let at = suite.cases.iter().position(|case| case.name == name).unwrap();
        (runs[at].status, runs[at].reason.as_deref())
    };
    let unasked = "buffers/query-without-connection#bound@as-it-is+v4";
    assert_eq!(status(unasked), (Status::Passed, None));
    let redirected = "buffers/query-records#accept-waited@as-it-is+v4";
    assert_eq!(status(redirected), (Status::Skipped, Some("the backend lacks redirect")));
    assert_eq!(runs.iter().filter(|run| run.status == Status::Failed).count(), 0);
}

/// The model, which answers one call otherwise once another was made.
struct Otherwise {
    machine: SimBackend,
    listens: bool,
}

impl Backend for Otherwise {
    fn identify(&self) -> Identity {
        Identity { name: "otherwise".to_owned(), ..self.machine.identify() }
    }

    fn features(&self) -> &Features {
        self.machine.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.listens = false;
        self.machine.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let observation = self.machine.apply(op)?;
        self.listens |= op.call.name() == "listen";
        if self.listens && op.call.name() == "query-records" {
            return Ok(Observation::new(Outcome::Error(WinsockError::WSAEOPNOTSUPP)));
        }
        Ok(observation)
    }
}

#[test]
fn machines_that_differ_are_shown_with_the_fewest_calls_that_it_takes() {
    let suite = suite(
        "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}, other: {}}
cases:
  - id: asks
    steps:
      - {name: idle, process: other, op: {socket: {}}}
      - {name: l, process: app, op: {socket: {}}}
      - {process: app, op: {bind: {socket: l, to: 'any:5000'}}}
      - {process: app, op: {listen: {socket: l}}}
      - {name: s, process: app, op: {socket: {}}}
      - {process: app, op: {query-records: {socket: s}}, expect: {error: WSAENOTCONN}}
",
    );
    let machine = Otherwise { machine: SimBackend::default(), listens: false };
    let mut both = Diff::new(Box::new(SimBackend::default()), Box::new(machine));
    let run = run_case(&mut both, &suite.cases[0], &Options::default(), 1).unwrap();
    let failure = run.failure.unwrap();
    let [expected, observed] =
        [failure.expected, failure.observed].map(|text| text.split(',').next().unwrap().to_owned());
    assert_eq!((expected.as_str(), observed.as_str()), ("sim: WSAENOTCONN", "otherwise: WSAEOPNOTSUPP"));
    let calls: Vec<&str> = failure.behind.iter().map(|call| call.split('"').nth(1).unwrap()).collect();
    // The server on its host, which listens; and the socket that is asked.
    let words = ["set-up", "set-up", "set-up", "socket", "listen", "socket", "query-records"];
    assert_eq!(calls, words, "{:#?}", failure.behind);
}
