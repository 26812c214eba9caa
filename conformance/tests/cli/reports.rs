//! `--report` in its other forms: JUnit, Markdown, HTML, and several at once.

use rstest::rstest;
use serde_json::json;

use crate::common::Folder;
use crate::{MIXED, masked};

/// One case passes, one fails, and one is skipped on Windows 7.
const OLD: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
cases:
  - id: direct
    steps:
      - follow: {from: app, to: 'server:443'}
  - id: refused
    requirements: [chains.bounded]
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: refused}}
  - id: redirected
    callouts: {driver: {redirect-to: proxy}}
    services: {proxy: {listen: 'loopback:1001'}}
    steps:
      - follow: {from: app, to: 'server:443'}
";

pub(crate) fn old() -> Folder {
    let folder = Folder::with("mine.yaml", OLD);
    folder.write("old.yaml", "schema: wfp-conformance/profile/v1\nfields: {windows-version: windows-7}\n");
    folder
}

pub(crate) const ON_OLD: [&str; 6] = ["run", "mine.yaml", "--profile", "old.yaml", "--seed", "7"];

#[test]
fn junit_has_a_suite_for_each_file_and_a_test_for_each_case() {
    let folder = old();
    let called = folder.call(&[&ON_OLD[..], &["--report", "junit=report.xml"]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""));
    let report = folder.read("report.xml");
    let without_times = report.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"…\"");
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"wfp-conformance\" tests=\"3\" skipped=\"1\" failures=\"1\" errors=\"0\">
    <testsuite name=\"mine\" tests=\"3\" skipped=\"1\" errors=\"0\" failures=\"1\" file=\"mine.yaml\">
        <properties>
            <property name=\"backend\" value=\"sim\"/>
            <property name=\"version\" value=\"…\"/>
            <property name=\"profile\" value=\"old.yaml\"/>
            <property name=\"seed\" value=\"7\"/>
        </properties>
        <testcase name=\"direct\" classname=\"mine\" file=\"mine.yaml\" line=\"5\"/>
        <testcase name=\"redirected\" classname=\"mine\" file=\"mine.yaml\" line=\"13\">
            <skipped message=\"the backend lacks redirect-records\" type=\"skipped\"/>
        </testcase>
        <testcase name=\"refused\" classname=\"mine\" file=\"mine.yaml\" line=\"8\">
            <failure message=\"step 1: expected end refused; observed end reached after 1 connect\" type=\"failed\">step 1
expected: end refused
observed: end reached after 1 connect
at: mine.yaml:12:33</failure>
        </testcase>
    </testsuite>
</testsuites>
";
    assert_eq!(without_time(&without_times), expected);
}

/// Without the one attribute that differs from run to run.
fn without_time(xml: &str) -> String {
    let mut parts = xml.split(" time=\"");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        assert!(time.parse::<f64>().is_ok(), "{time}");
        text.push_str(rest);
    }
    text
}

#[test]
fn markdown_has_the_verdict_and_tables_of_what_failed_and_what_was_skipped() {
    let folder = old();
    let called = folder.call(&[&ON_OLD[..], &["--report", "markdown=report.md"]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""));
    let expected = format!(
        "\
## wfp-conformance: not conformant

Backend `sim` {}, profile `old.yaml`, seed 7.

| passed | failed | skipped | expected failures | unexpected passes |
|---|---|---|---|---|
| 1 | 1 | 1 | 0 | 0 |

### Failed

| case | place | expected | observed |
|---|---|---|---|
| `mine#refused` | `mine.yaml:12:33` | step 1: end refused | end reached after 1 connect |
",
        env!("CARGO_PKG_VERSION")
    );
    let report = folder.read("report.md");
    assert!(report.starts_with(&expected), "{report}");
    assert!(report.contains("\n### Requirements broken\n"), "{report}");
    assert!(report.ends_with(
        "\n### Skipped\n\n| cases | why |\n|---|---|\n| 1 | the backend lacks redirect-records |\n"
    ));
}

#[test]
fn markdown_is_added_to_the_summary_of_a_step_on_github_and_takes_the_place_of_any_other_file() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("summary.md", "what was said before");
    folder.write("other.md", "what was said before");
    for summary in ["summary.md", "./summary.md"] {
        let summary = format!("markdown={summary}");
        let reports = ["--report", &summary, "--report", "markdown=other.md"];
        let args = [&["run", "mine.yaml", "--seed", "7"], &reports[..]].concat();
        let output = folder.command(&args).env("GITHUB_STEP_SUMMARY", "summary.md").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
    let once = folder.read("other.md");
    assert!(once.starts_with("## wfp-conformance: not conformant\n"), "{once}");
    assert_eq!(folder.read("summary.md"), format!("what was said before\n\n{once}\n{once}"));
}

#[test]
fn summary_of_a_step_is_left_alone_where_nobody_asks() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("summary.md", "what was said before");
    let mut command = folder.command(&["run", "mine.yaml"]);
    assert_eq!(command.env("GITHUB_STEP_SUMMARY", "summary.md").output().unwrap().status.code(), Some(1));
    assert_eq!(folder.read("summary.md"), "what was said before");
}

/// A case that every machine should take, and one that only a model can.
const CORE: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
cases:
  - id: direct
    steps:
      - follow: {from: app, to: 'server:443'}
  - id: later
    steps:
      - {process: app, op: {advance: {milliseconds: 1}}}
";

#[rstest]
#[case::all_that_there_are(&[], "conformant", None)]
#[case::without_what_only_a_model_can(&["--filter", "direct"], "conformant", None)]
#[case::without_the_core(&["--filter", "later"], "partial", None)]
#[case::without_a_core_feature(
    &["--profile", "old.yaml"],
    "partial",
    Some("partial: every machine should have redirect-records too")
)]
fn verdict_is_conformant_only_where_nothing_of_the_core_is_left_open(
    #[case] args: &[&str],
    #[case] verdict: &str,
    #[case] line: Option<&str>,
) {
    let folder = old();
    folder.write("mine.yaml", CORE);
    let called = folder.call(&[&["run", "mine.yaml", "--report", "json=report.json"], args].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    let report: serde_json::Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    assert_eq!(report["verdict"], verdict);
    assert_eq!(called.stdout.lines().find(|line| line.starts_with("partial: ")), line);
}

/// The data in a page.
fn data(page: &str) -> serde_json::Value {
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

const CALLS: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
cases:
  - id: calls
    steps:
      - {process: app, name: s, op: {socket: {}}}
      - follow: {from: app, to: 'server:443'}
      - {process: app, op: {connect: {socket: s, to: 'server:443'}}}
      - {process: app, op: {close: {socket: s}}}
";

#[test]
fn page_has_the_steps_of_each_case_with_what_was_called_and_seen() {
    let folder = Folder::with("mine.yaml", CALLS);
    let called = folder.call(&["run", "mine.yaml", "--report", "html=report.html"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    let data = data(&folder.read("report.html"));
    let [before, followed, after] = data["cases"][0]["parts"].as_array().unwrap().as_slice() else {
        panic!("{data}")
    };
    assert_eq!(before["lanes"], json!([{"name": "app"}, {"name": "Windows"}]));
    let call =
        |step: u32, text: &str| json!({"step": step, "from": 0, "to": 1, "text": text, "seen": "success"});
    assert_eq!(before["items"], json!([call(1, "socket")]));
    assert_eq!(after["items"], json!([call(3, "connect server:443"), call(4, "close")]));
    assert_eq!((&followed["step"], &followed["lanes"][2]["name"]), (&json!(2), &json!("server:443")));
    assert_eq!(
        followed["items"],
        json!([
            {"from": 0, "to": 1, "text": "connect 1 to server:443 over IPv4, no records"},
            {"from": 1, "to": 2, "text": "accepted"},
            {"over": [0, 2], "lines": ["reached after 1 connect"]},
        ])
    );
    let source = data["sources"][0].as_str().unwrap();
    assert!(source.starts_with("id: calls\n    steps:\n"), "{source}");
    assert_eq!(data["cases"][0]["source"], 0);
}

#[test]
fn page_changes_neither_the_other_reports_nor_what_is_printed() {
    let folder = Folder::with("mine.yaml", CALLS);
    let run = |reports: &[&str]| {
        let called = folder.call(&[&["run", "mine.yaml", "--seed", "1"], reports].concat());
        (masked(&folder.read("report.json")), called.stdout.split(" in ").next().unwrap().to_owned())
    };
    let alone = run(&["--report", "json=report.json"]);
    assert_eq!(run(&["--report", "json=report.json", "--report", "html=report.html"]), alone);
}

#[test]
fn page_of_the_whole_suite_is_not_too_large_for_a_browser() {
    let folder = Folder::new();
    folder.call(&["run", "--report", "html=report.html"]);
    let page = folder.read("report.html");
    assert!(page.len() < 10_000_000, "{} bytes", page.len());
    assert!(data(&page)["cases"].as_array().unwrap().len() > 3_000);
}

#[test]
fn report_that_cannot_be_written_is_named_and_keeps_no_other_from_its_file() {
    let folder = Folder::with("mine.yaml", MIXED);
    let reports = ["--report", "junit=a.xml", "--report", "json=no/b.json", "--report", "markdown=c.md"];
    let called = folder.call(&[&["run", "mine.yaml"], &reports[..]].concat());
    assert_eq!(called.exit, 5);
    assert_eq!(called.stderr, "error: no/b.json could not be written: there is no folder no\n");
    assert!(called.stdout.contains("\n3 cases: 2 passed, 1 failed"), "{}", called.stdout);
    assert_eq!(folder.content().keys().collect::<Vec<_>>(), ["a.xml", "c.md", "mine.yaml"]);
}

#[cfg(target_os = "linux")]
#[rstest]
#[case("json")]
#[case("junit")]
#[case("markdown")]
#[case("html")]
fn report_on_a_full_disk_exits_with_5_and_one_message(#[case] form: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml", "--report", &format!("{form}=/dev/full")]);
    assert_eq!(called.exit, 5);
    assert!(called.stderr.starts_with("error: /dev/full could not be written: "), "{}", called.stderr);
    assert_eq!(called.stderr.lines().count(), 1);
    assert_eq!(folder.content().keys().collect::<Vec<_>>(), ["mine.yaml"]);
}

#[rstest]
#[case::misspelt(
    "junti=a",
    "there is no report `junti`, only json, junit, markdown or html; did you mean `junit`?"
)]
#[case::unknown("pdf=a", "there is no report `pdf`, only json, junit, markdown or html")]
#[case::no_file("junit=", "a report is written as FORMAT=FILE; FORMAT is json, junit, markdown or html")]
#[case::no_form("a.xml", "a report is written as FORMAT=FILE; FORMAT is json, junit, markdown or html")]
fn report_in_no_known_form_is_refused_with_those_that_there_are(#[case] report: &str, #[case] why: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml", "--report", report]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    assert!(called.stderr.contains(why), "{}", called.stderr);
}
