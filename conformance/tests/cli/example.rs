//! The backend of `docs/write-a-backend.md`, which others start from.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::Folder;

/// What the page goes through.
const OWN: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}, other: {}}
cases:
  - id: followed
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached, connects: 1}}
  - id: refused
    steps:
      - follow: {from: app, to: 'server:80'}
        expect: {outcome: {end: refused}}
  - id: data
    steps:
      - {process: other, name: listening, op: {socket: {}}}
      - {process: other, op: {bind: {socket: listening, to: 'loopback:1001'}}}
      - {process: other, op: {listen: {socket: listening}}}
      - {process: other, name: accepted, op: {accept: {socket: listening}}, expect: pending}
      - {process: app, name: dialling, op: {socket: {}}}
      - {process: app, op: {connect: {socket: dialling, to: 'loopback:1001'}}}
      - {process: other, op: {wait: {for: [accepted]}}, expect: {completes: {call: accepted}}}
      - {process: app, op: {peer-name: {socket: dialling}}, expect: {ok: {address: 'loopback:1001'}}}
      - {process: other, name: got, op: {receive: {socket: accepted}}, expect: pending}
      - {process: app, op: {send: {socket: dialling, data: hello}}}
      - {process: other, op: {wait: {for: [got]}}, expect: {completes: {call: got, with: {ok: {data: hello}}}}}
      - {process: app, op: {close: {socket: dialling}}}
      - {process: other, op: {receive: {socket: accepted}}, expect: {ok: {data: ''}}}
";

/// Cargo puts examples into a folder beside the program.
fn example() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_wfp-conformance"));
    let name = format!("loopback{}", std::env::consts::EXE_SUFFIX);
    let example = program.with_file_name("examples").join(name);
    let missing = "`cargo test` builds it; with `--test`, say `cargo build -p wfp-conformance --example loopback` first";
    assert!(example.is_file(), "{} is missing: {missing}", example.display());
    example
}

fn backend() -> String {
    format!("exec:'{}'", example().display())
}

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/write-a-backend.md");
    std::fs::read_to_string(path).unwrap().replace("\r\n", "\n")
}

#[test]
fn example_fits_on_a_few_screens() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/loopback.rs")).unwrap();
    assert!(text.lines().count() <= 200, "{} lines", text.lines().count());
}

#[test]
fn example_plays_cases_of_its_own_as_the_model_does() {
    let folder = Folder::with("own.yaml", OWN);
    let verdicts = |backend: &str| {
        let called = folder.call(&["run", "own.yaml", "--seed", "1", "--backend", backend]);
        assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
        called.stdout.split("\n\n").next().unwrap().to_owned()
    };
    assert_eq!(verdicts(&backend()), verdicts("sim"));
}

#[test]
fn example_passes_what_it_can_of_the_suite_and_skips_the_rest_with_a_reason() {
    let folder = Folder::new();
    let called =
        folder.call(&["run", "--seed", "1", "--backend", &backend(), "--report", "json=report.json"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));

    let report: serde_json::Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    assert_eq!(report["verdict"], "partial");
    let cases = report["cases"].as_array().unwrap();
    let of = |status: &str| -> Vec<&str> {
        let cases = cases.iter().filter(|case| case["status"] == status);
        cases.map(|case| case["name"].as_str().unwrap()).collect()
    };
    let expected =
        ["sockets/bind#connect-binds@v4", "sockets/bind#names-of-a-new-socket", "sockets/bind#twice"];
    assert_eq!((of("passed"), of("failed")), (expected.to_vec(), Vec::new()));
    let reason = |name: &str| {
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        case["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("sockets/bind#connect-binds@v6"), "the backend lacks ipv6");
    assert_eq!(
        reason("sockets/bind#connect-keeps-the-port@v4"),
        "the backend does not support a connect of a socket that is bound"
    );
}

/// The lines of the page that start with `> ` are sent, those with `< ` are what the example answers.
#[test]
fn page_shows_what_the_example_answers() {
    let page = page().replace("\"os\":\"linux\"", &format!("\"os\":\"{}\"", std::env::consts::OS));
    let lines = |mark: &str| -> String {
        page.split_inclusive('\n').filter_map(|line| line.strip_prefix(mark)).collect()
    };
    assert_eq!(lines("> ").lines().count(), lines("< ").lines().count());

    let mut child = Command::new(example()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines("> ").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines("< "));
    assert!(output.status.success());
}
