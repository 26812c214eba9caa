//! What becomes of a case on a backend that cannot do all of it.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use rstest::rstest;
use wfp_conformance::SimBackend;
use wfp_conformance::run::{Options, Status, run_case};
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Features, Identity, Observation, Op, Outcome, Settings,
};
use wfp_sim::Profile;
use wfp_tests::suite;

/// The model, without one of its calls.
struct Without {
    machine: SimBackend,
    call: &'static str,
}

impl Backend for Without {
    fn identify(&self) -> Identity {
        self.machine.identify()
    }

    fn features(&self) -> &Features {
        self.machine.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.machine.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        if op.call.name() == self.call {
            return Ok(Observation::new(Outcome::Unsupported(format!("`{}`", self.call))));
        }
        self.machine.apply(op)
    }
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
    let options = Options {
        profile: Profile::default(),
        profile_name: "documented".to_owned(),
        seed: 1,
        jobs: 1,
        trace: false,
    };
    let mut backend = Without { machine: SimBackend::default(), call };
    let run = run_case(&mut backend, &suite.cases[0], &options, 1).unwrap();
    let reason = format!("the backend does not support `{call}`");
    assert_eq!((run.status, run.reason, run.failure.is_none()), (Status::Skipped, Some(reason), true));

    backend.call = "nothing";
    let run = run_case(&mut backend, &suite.cases[0], &options, 1).unwrap();
    assert_eq!(run.status, Status::Passed, "{:?}", run.failure);
}
