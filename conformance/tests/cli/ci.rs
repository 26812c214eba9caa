//! `run` in CI: annotations on GitHub, `--deny-skips` and `--fail-fast`.

use rstest::rstest;

use crate::MIXED;
use crate::common::Folder;
use crate::reports::{ON_OLD, old};

const GITHUB: [(&str, &str); 2] = [("GITHUB_ACTIONS", "true"), ("GITHUB_WORKSPACE", "/nowhere")];

#[test]
fn failures_are_annotations_on_github_and_nowhere_else() {
    let folder = Folder::with("mine.yaml", MIXED);
    let stdout = |variables: &[(&str, &str)]| {
        let mut command = folder.command(&["run", "mine.yaml"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let annotation = "\n::error file=mine.yaml,line=17,col=33,title=mine#hopes::step 1: expected end reached; observed \
                      end loop after 3 connects (proxy goes round: never-set)\n";
    assert!(stdout(&GITHUB).ends_with(annotation));
    for elsewhere in [&[][..], &[("GITHUB_ACTIONS", "false")]] {
        assert!(!stdout(elsewhere).contains("::error"));
    }
}

#[test]
fn passes_are_no_annotations() {
    let folder = Folder::with("mine.yaml", MIXED);
    let output = folder.command(&["run", "mine.yaml", "--filter", "careful"]).envs(GITHUB).output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("::"), "an annotation of nothing");
}

#[test]
fn skip_fails_the_run_where_skips_are_denied_and_is_named_with_its_reason() {
    let folder = old();
    let args =
        [&ON_OLD[..], &["--filter", "direct", "--filter", "redirected", "--report", "json=a.json"]].concat();
    let allowed = folder.call(&args);
    assert_eq!((allowed.exit, allowed.stderr.as_str()), (0, ""));
    let report = folder.read("a.json");
    let denied = folder.call(&[&args[..], &["--deny-skips"]].concat());
    assert_eq!((denied.exit, denied.stderr.as_str()), (1, ""));
    let told = "\n1 case was skipped, and --deny-skips is given:\n  mine#redirected: the backend lacks redirect-records\n";
    assert!(denied.stdout.ends_with(told), "{}", denied.stdout);
    assert!(!allowed.stdout.contains("--deny-skips"), "{}", allowed.stdout);
    // What is reported stays the same: it was skipped.
    assert_eq!(crate::masked(&folder.read("a.json")), crate::masked(&report));
}

#[test]
fn denied_skips_change_nothing_where_nothing_is_skipped() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml", "--filter", "careful", "--deny-skips"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert!(!called.stdout.contains("--deny-skips"), "{}", called.stdout);
}

/// The first two words of each call of the program in the steps that the page says the workflow does.
#[test]
fn workflow_for_windows_calls_what_the_page_says_with_a_driver_and_without() {
    let page = include_str!("../../../docs/run-on-windows.md");
    let (_, steps) = page.split_once("\n## 2. ").unwrap();
    let (steps, _) = steps.split_once("\n## 4. ").unwrap();
    let calls = steps.lines().filter_map(|line| line.strip_prefix("> wfp-conformance "));
    let calls: Vec<String> =
        calls.map(|call| call.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(calls, ["run --backend", "probe --backend", "run --profile"]);
    let workflow = include_str!("../../../.github/workflows/windows-conformance.yaml");
    for call in calls {
        assert_eq!(workflow.matches(&format!("wfp-conformance.exe {call} ")).count(), 2, "{call}");
    }
}

/// Ten cases, of which the fourth and the seventh fail.
fn ten() -> Folder {
    let case = |number: usize| {
        let end = if number == 3 || number == 6 { "refused" } else { "reached" };
        format!(
            "  - id: c{number}\n    steps:\n      - follow: {{from: app, to: 'server:443'}}\n        \
             expect: {{outcome: {{end: {end}}}}}\n"
        )
    };
    let head = "schema: wfp-conformance/scenario/v1\nhosts: {server: {listen: [443]}}\nprocesses: {app: {}}\ncases:\n";
    let text = head.to_owned() + &(0..10).map(case).collect::<String>();
    Folder::with("mine.yaml", text)
}

#[rstest]
#[case("1")]
#[case("2")]
#[case("8")]
fn run_stops_at_the_first_failure_of_the_suite_whatever_the_number_of_jobs(#[case] jobs: &str) {
    let folder = ten();
    let args = ["run", "mine.yaml", "--fail-fast", "--jobs", jobs, "--report", "json=report.json"];
    let called = folder.call(&args);
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""));
    assert!(called.stdout.contains("\n10 cases: 3 passed, 1 failed, 6 skipped in "), "{}", called.stdout);
    let report: serde_json::Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    let cases = report["cases"].as_array().unwrap();
    let statuses: Vec<&str> = cases.iter().map(|case| case["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[..4], ["passed", "passed", "passed", "failed"]);
    for case in &cases[4..] {
        assert_eq!(
            (&case["status"], &case["reason"]),
            (&"skipped".into(), &"not run: mine#c3 failed before it".into())
        );
        assert_eq!((&case["outcome"], &case["duration_us"]), (&serde_json::Value::Null, &0.into()));
    }
    assert_eq!(report["verdict"], "not_conformant");
}

#[test]
fn failure_that_is_expected_does_not_stop_the_run() {
    let folder = ten();
    folder.write(
        "known.yaml",
        "schema: wfp-conformance/expectations/v1\nexpectations:\n\
         - {cases: ['mine#c3'], reason: it is known}\n",
    );
    let called = folder.call(&["run", "mine.yaml", "--fail-fast", "--expectations", "known.yaml"]);
    assert!(
        called.stdout.contains("\n10 cases: 5 passed, 1 failed, 3 skipped, 1 failed as expected in "),
        "{}{}",
        called.stdout,
        called.stderr
    );
}

#[test]
fn case_that_was_not_run_is_no_denied_skip() {
    let folder = ten();
    let called = folder.call(&["run", "mine.yaml", "--fail-fast", "--deny-skips"]);
    assert_eq!(called.exit, 1);
    assert!(!called.stdout.contains("--deny-skips"), "{}", called.stdout);
}
