//! What is known of a backend, and what the run makes of it.

use rstest::rstest;

use crate::MIXED;
use crate::common::Folder;

fn run(entries: &str, more: &[&str]) -> (i32, String, String, Folder) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("known.yaml", format!("schema: wfp-conformance/expectations/v1\nexpectations:\n{entries}"));
    let args =
        ["run", "mine.yaml", "--seed", "1", "--expectations", "known.yaml", "--report", "json=report.json"];
    let called = folder.call(&[&args[..], more].concat());
    (called.exit, called.stdout, called.stderr, folder)
}

/// Status and reason of each case in the report, and the verdict.
fn reported(folder: &Folder) -> (Vec<(String, String)>, String) {
    let report: serde_json::Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let cases = report["cases"].as_array().unwrap().iter();
    (cases.map(|case| (text(&case["status"]), text(&case["reason"]))).collect(), text(&report["verdict"]))
}

fn statuses(said: &[(&str, &str)]) -> Vec<(String, String)> {
    said.iter().map(|(status, reason)| ((*status).to_owned(), (*reason).to_owned())).collect()
}

#[test]
fn failure_that_is_expected_does_not_fail_the_run_and_is_no_conformance() {
    let (exit, stdout, stderr, folder) =
        run("- {cases: ['mine#hopes'], observed: loop, reason: it forgets}\n", &[]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert!(stdout.contains("2 passed, 0 failed, 0 skipped, 1 failed as expected"), "{stdout}");
    let cases = statuses(&[("passed", ""), ("passed", ""), ("expected_failure", "it forgets")]);
    assert_eq!(reported(&folder), (cases, "not_conformant".to_owned()));
}

#[test]
fn failure_with_another_observation_is_not_the_expected_one() {
    let (exit, ..) = run("- {cases: ['mine#hopes'], observed: WSAEACCES, reason: it forgets}\n", &[]);
    assert_eq!(exit, 1);
}

#[test]
fn pass_where_a_failure_is_expected_fails_the_run() {
    let (exit, stdout, _, folder) = run("- {cases: ['mine#*'], reason: known}\n", &[]);
    assert_eq!(exit, 1);
    assert!(
        stdout.contains("0 passed, 0 failed, 0 skipped, 1 failed as expected, 2 passed unexpectedly"),
        "{stdout}"
    );
    let unexpected = ("unexpected_pass", "expected to fail: known");
    assert_eq!(reported(&folder).0, statuses(&[unexpected, unexpected, ("expected_failure", "known")]));
}

#[test]
fn case_that_is_to_be_skipped_is_not_run() {
    let entries = "- {cases: ['mine#hopes'], status: skipped, reason: it hangs}\n";
    let (exit, stdout, _, folder) = run(entries, &[]);
    assert_eq!(exit, 0);
    assert!(
        stdout.ends_with("\npartial: skipped were also cases that every machine should take\n"),
        "{stdout}"
    );
    let cases = statuses(&[("passed", ""), ("passed", ""), ("skipped", "it hangs")]);
    assert_eq!(reported(&folder), (cases, "partial".to_owned()));
}

#[rstest]
#[case::no_case("- {cases: ['mine#none', 'mine#hopes'], reason: r}\n", "mine#none")]
#[case::taken_by_an_earlier_one(
    "- {cases: ['mine#h*'], reason: r}\n- {cases: ['mine#hopes'], reason: r}\n",
    "mine#hopes"
)]
fn entry_that_no_case_needs_fails_the_run(#[case] entries: &str, #[case] pattern: &str) {
    let (exit, _, stderr, _) = run(entries, &[]);
    let error = format!("no case is left that `{pattern}` matches: the expectation is not used");
    assert_eq!(exit, 1);
    assert!(stderr.contains(&error), "{stderr}");
    assert!(stderr.contains("known.yaml:"), "{stderr}");
    let (exit, _, stderr, _) = run(entries, &["--filter", "hopes"]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
}

#[rstest]
#[case::os("os: Wine")]
#[case::build("from-build: 19041")]
#[case::last_build("to-build: 19045")]
fn entry_for_another_machine_is_passed_over(#[case] condition: &str) {
    let (exit, ..) = run(&format!("- {{cases: ['mine#hopes'], {condition}, reason: r}}\n"), &[]);
    assert_eq!(exit, 1);
}

#[rstest]
#[case::no_reason("- cases: [a]\n", "3:3", "the key `reason` is missing")]
#[case::empty_reason(
    "- {cases: [a], reason: ' '}\n",
    "3:3",
    "a reason is missing: say why the backend does so"
)]
#[case::no_cases("- {cases: [], reason: r}\n", "3:3", "an expectation names the cases that it is about")]
#[case::observed_of_nothing(
    "- {cases: [a], status: skipped, observed: x, reason: r}\n",
    "3:3",
    "of a case that is not run nothing is `observed`"
)]
#[case::no_build(
    "- {cases: [a], reason: r, from-build: 20000, to-build: 19999}\n",
    "3:39",
    "no build is from 20000 on and up to 19999"
)]
#[case::unknown_key("- {cases: [a], reson: r, reason: r}\n", "3:16", "unknown key `reson`")]
#[case::unknown_status("- {cases: [a], status: flaky, reason: r}\n", "3:24", "unknown")]
fn mistake_in_the_file_is_told_at_its_place(#[case] entries: &str, #[case] place: &str, #[case] what: &str) {
    let (exit, stdout, stderr, folder) = run(entries, &[]);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains(&format!("known.yaml:{place}")) && stderr.contains(what), "{stderr}");
    assert!(!folder.path().join("report.json").exists());
}

#[test]
fn entry_that_says_differs_counts_where_two_are_compared_alone() {
    let entries =
        "- {cases: ['mine#careful'], status: differs, reason: r}\n- {cases: ['mine#hopes'], reason: r}\n";
    let (exit, _, stderr, _) = run(entries, &[]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    let (exit, stdout, _, _) = run(entries, &["--backend", "diff:sim,sim"]);
    assert_eq!(exit, 1);
    assert!(
        stdout.contains("PASS, unexpected careful") || stdout.contains("1 passed unexpectedly"),
        "{stdout}"
    );
}

#[test]
fn entry_that_says_differs_excuses_no_failure_of_both() {
    let entries = "- {cases: ['mine#hopes'], status: differs, reason: r}\n";
    let (exit, stdout, _, folder) = run(entries, &["--backend", "diff:sim,sim"]);
    assert_eq!(exit, 1);
    assert!(stdout.contains("2 passed, 1 failed, 0 skipped in "), "{stdout}");
    assert_eq!(reported(&folder).0[2].0, "failed");
}

#[test]
fn entry_that_says_differs_excuses_a_difference() {
    let folder = crate::recordings::recorded();
    let other =
        folder.read("mine.trace").replace("{\"error\":\"WSAEINVAL\"}", "{\"error\":\"WSAEOPNOTSUPP\"}");
    folder.write("other.trace", other);
    folder.write(
        "known.yaml",
        "schema: wfp-conformance/expectations/v1\nexpectations:\n\
         - {cases: ['mine#asks'], status: differs, observed: WSAEOPNOTSUPP, reason: r}\n",
    );
    let backend = ["--backend", "diff:sim,replay:other.trace", "--expectations", "known.yaml"];
    let called = folder.call(&[&["run", "mine.yaml"], &backend[..]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    assert!(
        called.stdout.contains("1 passed, 0 failed, 0 skipped, 1 failed as expected in "),
        "{}",
        called.stdout
    );
}

#[test]
fn page_shows_a_file_that_is_read_as_it_says() {
    let page = include_str!("../../../docs/expectations.md").replace("\r\n", "\n");
    let shown = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::with("known.yaml", shown);
    let args = ["run", "--filter", "wsk/set#rights", "--filter", "sockets/bind#in-use@v4", "--seed", "1"];
    let called =
        folder.call(&[&args[..], &["--expectations", "known.yaml", "--report", "json=report.json"]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    // The model is no build of Windows.
    let cases = statuses(&[("passed", ""), ("skipped", "No driver with a WSK client is installed.")]);
    assert_eq!(reported(&folder).0, cases);
}
