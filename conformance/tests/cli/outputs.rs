//! What is written takes the place neither of another output nor of what is read.

use rstest::rstest;

use crate::MIXED;
use crate::common::{Called, Folder};

const PROFILE: &str = "schema: wfp-conformance/profile/v1\nbase: nt-mapped\n";

/// Every kind of file that a run reads.
fn folder() -> Folder {
    let folder = Folder::with("mine.yaml", MIXED.replace("cases:\n", "use: [lib/ground.yaml]\ncases:\n"));
    folder.write("lib/ground.yaml", "schema: wfp-conformance/scenario/v1\nhosts: {other: {listen: [80]}}\n");
    folder.write("own.yaml", PROFILE);
    folder.write("known.yaml", "schema: wfp-conformance/expectations/v1\nexpectations: []\n");
    assert_eq!(folder.call(&["run", "mine.yaml", "--record", "mine.trace"]).exit, 1);
    folder
}

#[rstest]
#[case::two_reports(
    &["--report", "json=a.json", "--report", "junit=a.json"],
    "--report a.json is the same file as --report a.json"
)]
#[case::spelt_otherwise(
    &["--report", "json=a.json", "--report", "json=lib/.././a.json"],
    "--report lib/.././a.json is the same file as --report a.json"
)]
#[case::report_and_recording(
    &["--report", "json=a.json", "--record", "./a.json"],
    "--record ./a.json is the same file as --report a.json"
)]
#[case::scenario(
    &["--report", "json=./mine.yaml"],
    "--report ./mine.yaml is the same file as the scenario file mine.yaml"
)]
#[case::scenario_that_another_uses(
    &["--record", "lib/ground.yaml"],
    "--record lib/ground.yaml is the same file as the scenario file lib/ground.yaml"
)]
#[case::profile(
    &["--profile", "own.yaml", "--report", "json=./own.yaml"],
    "--report ./own.yaml is the same file as --profile own.yaml"
)]
#[case::expectations(
    &["--expectations", "known.yaml", "--report", "markdown=known.yaml"],
    "--report known.yaml is the same file as --expectations known.yaml"
)]
#[case::recording(
    &["--backend", "diff:sim,replay:mine.trace", "--record", "mine.trace"],
    "--record mine.trace is the same file as the recording mine.trace"
)]
fn output_that_is_another_file_of_the_run_is_refused_before_anything_runs(
    #[case] args: &[&str],
    #[case] what: &str,
) {
    let folder = folder();
    let before = folder.content();
    let called = folder.call(&[&["run", "mine.yaml"], args].concat());
    let called = Called { stderr: called.stderr.replace('\\', "/"), ..called };
    assert_eq!(called, refused(what));
    assert_eq!(folder.content(), before);
}

fn refused(what: &str) -> Called {
    let stderr = format!("error: {what}; an output needs a file of its own\n");
    Called { exit: 2, stdout: String::new(), stderr }
}

#[test]
fn output_of_sweep_and_probe_is_refused_likewise() {
    let folder =
        Folder::with("mine.yaml", MIXED.replace("cases:\n", "variants: {one: {a: {}, b: {}}}\ncases:\n"));
    folder.write("own.yaml", PROFILE);
    let swept = folder.call(&["sweep", "mine.yaml", "--report", "json=./mine.yaml"]);
    assert_eq!(swept, refused("--report ./mine.yaml is the same file as the scenario file mine.yaml"));
    let probed = folder.call(&["probe", "--profile", "own.yaml", "--output", "./own.yaml"]);
    assert_eq!(probed, refused("--output ./own.yaml is the same file as --profile own.yaml"));
}

#[cfg(unix)]
#[test]
fn several_reports_may_go_to_one_device() {
    let folder = Folder::with("mine.yaml", MIXED);
    let reports = ["--report", "json=/dev/null", "--report", "junit=/dev/null"];
    let called = folder.call(&[&["run", "mine.yaml", "--filter", "careful"], &reports[..]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn file_behind_a_link_is_the_same_file() {
    let folder = folder();
    std::os::unix::fs::symlink("mine.yaml", folder.path().join("link.yaml")).unwrap();
    let called = folder.call(&["run", "link.yaml", "--report", "json=mine.yaml"]);
    assert_eq!(called, refused("--report mine.yaml is the same file as the scenario file link.yaml"));
}

#[test]
fn every_output_that_cannot_be_written_is_named() {
    let folder = Folder::with("mine.yaml", MIXED);
    let outputs = ["--report", "json=no/a.json", "--record", "no/b.trace", "--report", "junit=c.xml"];
    let called = folder.call(&[&["run", "mine.yaml"], &outputs[..]].concat());
    let told = "error: no/a.json could not be written: there is no folder no; no/b.trace could not be written: there \
                is no folder no\n";
    assert_eq!((called.exit, called.stderr.as_str()), (5, told));
    assert_eq!(folder.content().keys().collect::<Vec<_>>(), ["c.xml", "mine.yaml"]);
}
