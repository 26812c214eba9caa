//! Recording a machine, playing the recording, and comparing two machines.

use rstest::rstest;

use crate::MIXED;
use crate::common::Folder;

/// Connects, and asks a socket that nobody redirected.
const CALLS: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
cases:
  - id: asks
    steps:
      - {name: idle, process: app, op: {socket: {}}}
      - {name: s, process: app, op: {socket: {}}}
      - {process: app, op: {connect: {socket: s, to: 'server:443'}}}
      - process: app
        op: {query-records: {socket: s, out: {length: 100}}}
        expect: {profile: records-not-redirected}
  - id: sends
    steps:
      - {name: s, process: app, op: {socket: {}}}
      - {process: app, op: {connect: {socket: s, to: 'server:443'}}}
";

pub(crate) fn recorded() -> Folder {
    let folder = Folder::with("mine.yaml", CALLS);
    let called = folder.call(&["run", "mine.yaml", "--seed", "1", "--record", "mine.trace"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    folder
}

#[test]
fn recording_is_played_with_the_same_verdicts_and_leaves_the_model_alone() {
    let folder = Folder::with("mine.yaml", MIXED);
    let run = |backend: &str, file: &str| {
        let report = format!("json={file}");
        let args = ["run", "mine.yaml", "--seed", "1", "--record", "again.trace", "--report", &report];
        let called = folder.call(&[&args[..], &["--backend", backend]].concat());
        assert_eq!(called.exit, 1, "{}", called.stderr);
        (folder.read("again.trace"), crate::masked(&folder.read(file)))
    };
    let (trace, report) = run("sim", "here.json");
    folder.write("sim.trace", &trace);
    assert_eq!(run("replay:sim.trace", "there.json"), (trace, report));
}

#[test]
fn recording_of_several_jobs_is_that_of_one() {
    let folder = Folder::new();
    let record = |jobs, file| {
        let called =
            folder.call(&["run", "--seed", "1", "--filter", "sockets/", "--jobs", jobs, "--record", file]);
        assert_eq!(called.exit, 0, "{}", called.stderr);
    };
    record("1", "one.trace");
    record("4", "four.trace");
    assert_eq!(folder.read("one.trace"), folder.read("four.trace"));
}

#[test]
fn case_that_was_not_recorded_or_asks_otherwise_is_skipped() {
    let folder = recorded();
    let more = CALLS.replace("length: 100", "length: 99").replace("id: sends", "id: new");
    folder.write("mine.yaml", more);
    let called = folder.call(&["run", "mine.yaml", "--backend", "replay:mine.trace"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    let skipped = [
        "skip asks  the backend does not support `query-records` as call 15: `query-records` was recorded there",
        "skip new  the backend does not support this case: it was not recorded",
    ];
    for line in skipped {
        assert!(called.stdout.contains(line), "{}", called.stdout);
    }
}

#[test]
fn recording_of_a_model_is_not_played_under_another_profile() {
    let folder = Folder::with("mine.yaml", CALLS);
    let nt = ["--profile", "nt-mapped"];
    let recorded = folder.call(&[&["run", "mine.yaml", "--record", "nt.trace"], &nt[..]].concat());
    assert_eq!((recorded.exit, recorded.stderr.as_str()), (0, ""), "{}", recorded.stdout);
    let play = |backend: &str, profile: &[&str]| {
        let called = folder.call(&[&["run", "mine.yaml", "--backend", backend], profile].concat());
        assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
        called.stdout
    };
    assert!(play("replay:nt.trace", &nt).contains("\n2 cases: 2 passed, 0 failed, 0 skipped in "));
    let reason = "the backend does not support this profile: the case was recorded with `";
    for backend in ["replay:nt.trace", "diff:sim,replay:nt.trace"] {
        let told = play(backend, &[]);
        assert!(told.contains("\n2 cases: 0 passed, 0 failed, 2 skipped in "), "{told}");
        assert_eq!(told.matches(reason).count(), 2, "{told}");
    }
}

#[test]
fn recording_under_a_profile_of_a_newer_version_is_not_played() {
    let folder = recorded();
    let newer = folder.read("mine.trace").replace("\"profile\":{}", "\"profile\":{\"newer\":\"x\"}");
    folder.write("newer.trace", newer);
    let called = folder.call(&["run", "mine.yaml", "--backend", "replay:newer.trace"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    let reason = "this profile: the case was recorded under one with fields that are not known here";
    assert_eq!(called.stdout.matches(reason).count(), 2, "{}", called.stdout);
}

#[test]
fn older_recording_does_not_say_its_profile_and_is_played() {
    let folder = recorded();
    let older = folder.read("mine.trace").replace("\"profile\":{},", "");
    assert_eq!(older.matches("\"profile\":").count(), 0, "{older}");
    folder.write("older.trace", older);
    let called =
        folder.call(&["run", "mine.yaml", "--backend", "replay:older.trace", "--profile", "nt-mapped"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    assert!(called.stdout.contains("\n2 cases: 2 passed, 0 failed, 0 skipped in "), "{}", called.stdout);
}

#[rstest]
#[case::no_recording(
    "what\n",
    "1: a recording starts with a line that has its schema: expected value at line 1 column 1"
)]
#[case::nothing("", "1: the recording was cut: a recording starts with a line that has its schema")]
fn what_is_no_recording_is_told(#[case] text: &str, #[case] what: &str) {
    let folder = Folder::with("mine.yaml", CALLS);
    folder.write("bad.trace", text);
    let called =
        folder.call(&["run", "mine.yaml", "--backend", "replay:bad.trace", "--report", "json=r.json"]);
    assert_eq!(
        (called.exit, called.stdout.as_str(), called.stderr),
        (2, "", format!("error: bad.trace:{what}\n"))
    );
    assert!(!folder.path().join("r.json").exists());
}

#[test]
fn recording_that_is_not_utf8_is_told_with_the_byte_and_the_line() {
    let folder = recorded();
    let mut bytes = folder.read("mine.trace").into_bytes();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 4] = 0xE4;
    folder.write("bad.trace", bytes);
    let called = folder.call(&["run", "mine.yaml", "--backend", "replay:bad.trace"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    let start =
        "error: the file is not in UTF-8: the byte 0xE4 makes no character here\n --> bad.trace:2:5\n";
    assert!(called.stderr.starts_with(start), "{}", called.stderr);
}

#[test]
fn recording_that_was_cut_anywhere_is_told_from_a_whole_one() {
    let folder = recorded();
    let whole = folder.read("mine.trace");
    let cuts = whole.match_indices('\n').flat_map(|(end, _)| [end - 1, end, end + 1]);
    for cut in cuts.filter(|cut| *cut < whole.len()) {
        folder.write("cut.trace", &whole[..cut]);
        let called = folder.call(&["run", "mine.yaml", "--backend", "replay:cut.trace"]);
        assert_eq!((called.exit, called.stdout.as_str()), (2, ""), "cut at {cut}");
        assert!(called.stderr.contains("the recording was cut"), "cut at {cut}: {}", called.stderr);
    }
}

#[test]
fn recording_with_more_than_it_says_or_of_another_version_is_refused() {
    let folder = recorded();
    let whole = folder.read("mine.trace");
    let lines = whole.lines().count();
    folder.write("more.trace", whole.clone() + "{}\n");
    folder.write("newer.trace", whole.replace("trace/v1", "trace/v2"));
    folder.write("other.trace", whole.replacen("\"calls\"", "\"cells\"", 1));
    for (file, start) in [
        ("more.trace", format!("more.trace:{}: there is more than the head says", lines + 1)),
        (
            "newer.trace",
            "newer.trace:1: the schema is `wfp-conformance/trace/v2`, and not `wfp-conformance/trace/v1`"
                .to_owned(),
        ),
        (
            "other.trace",
            "other.trace:2: a line with the name of a case is expected: unknown field `cells`".to_owned(),
        ),
    ] {
        let called = folder.call(&["run", "mine.yaml", "--backend", &format!("replay:{file}")]);
        assert_eq!(called.exit, 2);
        assert!(called.stderr.starts_with(&format!("error: {start}")), "{}", called.stderr);
    }
}

#[test]
fn recording_that_is_not_there_is_bad_usage_and_one_that_cannot_be_written_exits_with_5() {
    let folder = Folder::with("mine.yaml", CALLS);
    let called = folder.call(&["run", "mine.yaml", "--backend", "replay:none.trace"]);
    assert_eq!(called.exit, 2);
    assert!(called.stderr.starts_with("error: none.trace cannot be read: "), "{}", called.stderr);
    let called = folder.call(&["run", "mine.yaml", "--record", "no/folder.trace"]);
    let error = "error: no/folder.trace could not be written: there is no folder no\n";
    assert_eq!((called.exit, called.stderr.as_str()), (5, error));
}

#[test]
fn two_that_answer_alike_do_not_differ() {
    let folder = recorded();
    for backend in ["diff:sim,sim", "diff:sim,replay:mine.trace"] {
        let called = folder.call(&["run", "mine.yaml", "--backend", backend]);
        assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    }
}

#[test]
fn difference_is_shown_with_both_answers_and_the_fewest_calls_up_to_it() {
    let folder = recorded();
    let agent = format!("exec:'{}' agent --backend sim", env!("CARGO_BIN_EXE_wfp-conformance"));
    let traced = folder.read("mine.trace");
    // A machine that leaves the word alone where the model stores 0, or the other way round.
    let answer = "{\"outcome\":{\"error\":\"WSAEINVAL\"}";
    assert_eq!(traced.matches(answer).count(), 1, "{traced}");
    folder.write("other.trace", traced.replace(answer, "{\"outcome\":{\"error\":\"WSAEOPNOTSUPP\"}"));
    let called =
        folder.call(&["run", "mine.yaml", "--seed", "1", "--backend", "diff:sim,replay:other.trace"]);
    assert_eq!(called.exit, 1, "{}", called.stderr);
    insta::assert_snapshot!("difference", called.stdout.split_once(" in 0.").unwrap().0);

    let same = folder.call(&["run", "mine.yaml", "--backend", &format!("diff:sim,{agent}")]);
    assert_eq!((same.exit, same.stderr.as_str()), (0, ""), "{}", same.stdout);
}

/// The bytes of records and contexts differ from machine to machine; what was sent does not, nor does what callouts see.
#[rstest]
#[case::payload_of_a_message("68656c6c6f", "68656c6c30", 1)]
#[case::what_a_callout_is_told("\"state\":\"not-redirected\"", "\"state\":\"redirected-by-other\"", 1)]
#[case::bytes_of_records("\"type\":\"records\",\"bytes\":\"", "\"type\":\"records\",\"bytes\":\"ff", 0)]
fn what_counts_as_a_difference_is_what_machines_have_in_common(
    #[case] one: &str,
    #[case] other: &str,
    #[case] exit: i32,
) {
    let folder = Folder::with(
        "mine.yaml",
        "\
schema: wfp-conformance/scenario/v1
hosts: {server: {}}
processes: {app: {}, proxy: {elevated: true}}
callouts: {driver: {redirect-to-endpoint: {at: 'loopback:1001', process: proxy}, match: {remote-host: server}}}
cases:
  - id: receives
    steps:
      - {name: service, process: proxy, op: {socket: {protocol: udp}}}
      - {process: proxy, op: {bind: {socket: service, to: 'loopback:1001'}}}
      - {process: proxy, op: {set-option: {socket: service, level: ip, option: records}}}
      - {name: client, process: app, op: {socket: {protocol: udp}}}
      - {process: app, op: {send-to: {socket: client, to: 'server:53', data: hello}}}
      - {process: proxy, op: {receive-message: {socket: service}}}
",
    );
    let called = folder.call(&["run", "mine.yaml", "--seed", "1", "--record", "mine.trace"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    let traced = folder.read("mine.trace");
    let changed = traced.replacen(one, other, 1);
    assert_ne!(changed, traced, "{traced}");
    folder.write("other.trace", changed);
    let called = folder.call(&["run", "mine.yaml", "--backend", "diff:sim,replay:other.trace"]);
    assert_eq!((called.exit, called.stderr.as_str()), (exit, ""), "{}", called.stdout);
}
