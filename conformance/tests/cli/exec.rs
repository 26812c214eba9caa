//! Backends behind a command.

use std::io::Write as _;
use std::process::Stdio;

use rstest::rstest;

use crate::MIXED;
use crate::common::Folder;

/// The command line that serves the model.
fn agent() -> String {
    format!("exec:'{}' agent --backend sim", env!("CARGO_BIN_EXE_wfp-conformance"))
}

#[test]
fn cases_run_through_an_agent_as_they_do_here() {
    let folder = Folder::with("mine.yaml", MIXED);
    let here = folder.call(&["run", "mine.yaml", "--seed", "1", "--report", "json=here.json"]);
    let there = folder.call(&[
        "run",
        "mine.yaml",
        "--seed",
        "1",
        "--report",
        "json=there.json",
        "--backend",
        &agent(),
    ]);
    assert_eq!((here.exit, there.exit), (1, 1));
    let report = |file| {
        let mut report: serde_json::Value = serde_json::from_str(&folder.read(file)).unwrap();
        for case in report["cases"].as_array_mut().unwrap() {
            case["duration_us"] = 0.into();
        }
        report
    };
    assert_eq!(report("here.json"), report("there.json"));
}

#[test]
fn profile_reaches_the_agent() {
    let called =
        Folder::new().call(&["run", "--profile", "nt-mapped", "--filter", "buffers/", "--backend", &agent()]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[cfg(unix)]
#[rstest]
#[case::garbage("echo garbage", "its first line is no JSON: garbage")]
#[case::no_hello("echo '{}'", "its first line has no `hello`: {}")]
#[case::another_version(
    r#"echo '{"hello": "wfp-conformance/agent/v9"}'"#,
    "it speaks `wfp-conformance/agent/v9`, and not `wfp-conformance/agent/v1`"
)]
#[case::half_a_line(
    "printf '{\"hello\": \"wfp-conf'",
    "it ended with exit status: 0 in the middle of a line"
)]
#[case::no_end_of_line("cat /dev/zero", "it printed more than 16 MiB without the end of a line")]
#[case::no_text(r"printf '\377\n'", "it printed what is no UTF-8")]
#[case::dies("echo the disk is gone >&2; exit 7", "it ended with exit status: 7; it said: the disk is gone")]
#[case::silent("exec sleep 1000", "it did not answer within 0.5 s")]
fn child_that_does_not_say_hello_is_a_broken_backend(#[case] script: &str, #[case] what: &str) {
    let command = format!("sh -c {}", shlex::try_quote(script).unwrap());
    breaks(&command, &format!("error: the backend broke: `{command}`: {what}\n"));
}

/// The run ends because of the backend, and leaves no report.
#[cfg(unix)]
fn breaks(command: &str, expected: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    let backend = format!("exec:{command}");
    let limit = ["--time-limit", "0.5", "--jobs", "1"];
    let run = ["run", "mine.yaml", "--backend", &backend, "--report", "json=report.json"];
    let called = folder.call(&[&run[..], &limit].concat());
    assert_eq!((called.exit, called.stdout.as_str(), called.stderr.as_str()), (3, "", expected));
    assert!(!folder.path().join("report.json").exists());
}

/// What a script answers after its welcome.
#[cfg(unix)]
#[rstest]
#[case::garbage("echo what", "what it answered is no reply (expected value at line 1 column 1): what")]
#[case::another_answer(r#"echo '{"id": 7}'"#, "it answered 7 where 1 was asked")]
#[case::half_a_line(r#"printf '{"id"'"#, "it ended with exit status: 0 in the middle of a line")]
#[case::dies("exit 1", "it ended with exit status: 1")]
#[case::silent("exec sleep 1000", "it did not answer within 0.5 s")]
#[case::answers_one_and_dies(r#"echo '{"id": 1}'; exit 3"#, "it ended with exit status: 3")]
fn child_that_breaks_midway_is_a_broken_backend(#[case] then: &str, #[case] what: &str) {
    let welcome = r#"{"hello":"wfp-conformance/agent/v1","identity":{"name":"x","version":"1","os":null},"features":["tcp","redirect","redirect-records","remote-host","kernel-view","multi-vendor"]}"#;
    let script = format!("read line; echo '{welcome}'; read line; {then}");
    let command = format!("sh -c {}", shlex::try_quote(&script).unwrap());
    breaks(&command, &format!("error: the backend broke: `{command}`: {what}\n"));
}

#[test]
fn command_that_is_not_there_is_a_broken_backend() {
    let called =
        Folder::with("mine.yaml", MIXED).call(&["run", "mine.yaml", "--backend", "exec:no-such-program x"]);
    assert_eq!((called.exit, called.stdout.as_str()), (3, ""));
    assert!(
        called.stderr.starts_with("error: the backend broke: `no-such-program x`: it cannot be started: "),
        "{}",
        called.stderr
    );
}

/// What an agent answers to these lines, its exit status, and what it says.
fn served(lines: &str) -> (String, i32, String) {
    let mut agent = Folder::new()
        .command(&["agent", "--backend", "sim"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    agent.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = agent.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let answers = stdout.split_once('\n').map_or("", |(_, answers)| answers).to_owned();
    (answers, output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

const HELLO: &str = "{\"hello\":\"wfp-conformance/agent/v1\"}\n";

#[rstest]
#[case::reset(r#""reset": {"case": "x"}"#, "")]
#[case::call(
    r#""apply": {"process": "p", "call": {"count-all": {}}}"#,
    r#","observation":{"outcome":"ok","count":0}"#
)]
#[case::unknown_call(
    r#""apply": {"process": "p", "call": {"dance": {}}}"#,
    r#","observation":{"outcome":{"unsupported":"`dance`"}}"#
)]
#[case::unknown_part(
    r#""apply": {"process": "p", "call": {"listen": {"socket": "s", "loud": true}}}"#,
    r#","observation":{"outcome":{"unsupported":"`listen` so (unknown field `loud`, expected `socket` or `backlog`)"}}"#
)]
#[case::misuse(
    r#""apply": {"process": "p", "call": {"socket": {}}}"#,
    r#","fault":{"misuse":"no process `p` runs"}"#
)]
#[case::unknown_field(
    r#""reset": {"case": "x", "profile": {"set-twize": "append"}}"#,
    r#","fault":{"broken":"there is no profile field `set-twize`"}"#
)]
#[case::nothing(r#""other": 1"#, r#","fault":{"broken":"a request has either `reset` or `apply`"}"#)]
fn agent_answers_each_request(#[case] request: &str, #[case] answer: &str) {
    let (answers, exit, said) = served(&format!("{HELLO}{{\"id\": 5, {request}}}\n"));
    assert_eq!((answers, exit, said.as_str()), (format!("{{\"id\":5{answer}}}\n"), 0, ""));
}

#[rstest]
#[case::another_version(
    "{\"hello\":\"v0\"}\n",
    "the other side speaks `v0`, and not `wfp-conformance/agent/v1`"
)]
#[case::no_hello("{}\n", "the first line is not {\"hello\":\"wfp-conformance/agent/v1\"}")]
#[case::no_json("hello\n", "the first line is not {\"hello\":\"wfp-conformance/agent/v1\"}")]
#[case::half_a_line("{\"hello\":", "the last line has no end")]
fn agent_ends_with_2_where_the_other_side_speaks_something_else(#[case] lines: &str, #[case] what: &str) {
    let (_, exit, said) = served(lines);
    assert_eq!((exit, said), (2, format!("error: {what}\n")));
}

#[test]
fn agent_ends_with_2_at_a_line_that_is_no_request() {
    let (answers, exit, said) = served(&format!("{HELLO}{{\"id\":1,\"reset\":{{\"case\":\"x\"}}}}\nwhat\n"));
    let what = "a line is no request: expected value at line 1 column 1";
    assert_eq!((answers.as_str(), exit, said), ("{\"id\":1}\n", 2, format!("error: {what}\n")));
}
