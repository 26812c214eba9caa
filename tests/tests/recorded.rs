//! Machines that were recorded, played again: what is known of them holds, and the model differs where it is known to.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wfp_conformance::SimBackend;
use wfp_conformance::diff::Diff;
use wfp_conformance::expectations::Expectations;
use wfp_conformance::record::Recording;
use wfp_conformance::replay::Replay;
use wfp_conformance::run::{CaseRun, Options, Status, run};
use wfp_conformance::scenario::Suite;
use wfp_conformance::vocabulary::Backend;
use wfp_sim::Profile;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cases of the recording, and what came of them.
fn played(profile: &Profile, compares: bool) -> Vec<(String, CaseRun)> {
    let recording = Arc::new(Recording::load(&root().join("fixtures/traces/wine-8.0.trace")).unwrap());
    let known = root().join("conformance/expectations/wine.yaml");
    let mut suite = Suite::load(&[root().join("scenarios")], profile).unwrap();
    suite.cases.retain(|case| recording.cases.contains_key(case.name.as_str()));
    let options = Options {
        profile: profile.clone(),
        expectations: Expectations::load(&known, &recording.identity, compares).unwrap(),
        ..Options::default()
    };
    let new_backend = || {
        let machine = Box::new(Replay::new(Arc::clone(&recording)));
        Ok(if compares {
            let model = Box::new(SimBackend::new(profile.clone()));
            Box::new(Diff::new(model, machine)) as Box<dyn Backend>
        } else {
            machine
        })
    };
    let runs = run(&suite, &options, &new_backend).unwrap();
    suite.cases.into_iter().map(|case| case.name).zip(runs).collect()
}

/// What should not be: a failure that nobody expects, a pass that nobody does, a recording that the suite has outgrown.
fn surprises(played: &[(String, CaseRun)]) -> Vec<String> {
    let surprises = played.iter().filter(|(_, run)| {
        let outgrown = run.reason.as_ref().is_some_and(|reason| reason.contains("record"));
        run.status.fails() || run.status == Status::Skipped && outgrown
    });
    surprises.map(|(name, run)| format!("{name}: {:?} {:?}", run.reason, run.failure)).collect()
}

#[test]
fn wine_as_it_was_recorded_does_what_is_known_of_it() {
    let played = played(&Profile::documented(), false);
    assert_eq!(surprises(&played), [""; 0]);
    let count = |status| played.iter().filter(|(_, run)| run.status == status).count();
    assert!(count(Status::Passed) > 30 && count(Status::ExpectedFailure) > 60);
}

#[test]
fn model_and_wine_as_it_was_recorded_differ_where_it_is_known() {
    let played = played(&Profile::documented(), true);
    assert_eq!(surprises(&played), [""; 0]);
    assert!(played.iter().filter(|(_, run)| run.status == Status::ExpectedFailure).count() > 65);
}
