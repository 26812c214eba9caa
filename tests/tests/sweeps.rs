//! The tables of the suite's sweep: which client survives which reading of the documents.

use std::path::PathBuf;

use insta::assert_snapshot;
use wfp_conformance::scenario::Suite;
use wfp_conformance::sweep::{Table, fails, render};
use wfp_sim::Profile;
use wfp_tests::{play, workspace};

/// What `wfp-conformance sweep scenarios/sweeps/clients.yaml` prints under a profile.
fn clients_under(name: &str) -> String {
    let file: PathBuf = workspace().join("scenarios/sweeps/clients.yaml");
    let profile = Profile::built_in(name).unwrap_or_else(|| panic!("no profile {name}"));
    let suite = Suite::load(&[file], &profile).unwrap_or_else(|errors| panic!("{errors:?}"));
    let played = play(suite, name);
    let tables = Table::of(&played.suite, &played.runs);
    assert!(!fails(&tables), "{}", render(&tables, false));
    render(&tables, false)
}

#[test]
fn clients_survive_the_readings_that_the_table_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| assert_snapshot!("sweep-of-clients", clients_under("documented")));
}

#[test]
fn table_is_the_same_whatever_the_profile_of_the_run() {
    let [first, others @ ..] = Profile::BUILT_IN.map(clients_under);
    for other in others {
        assert_eq!(other, first);
    }
}
