//! `run`: verdicts, traces, filters, seeds and jobs.

use rstest::rstest;

use crate::common::{Called, Folder};
use crate::{MIXED, masked};

#[test]
fn run_prints_the_verdict_of_each_case_by_name_and_the_count() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called =
        folder.call(&["run", "mine.yaml", "--filter", "careful", "--filter", "forgets", "--seed", "7"]);
    let (verdicts, time) = called.stdout.split_once(" in ").unwrap();
    assert_eq!(
        verdicts,
        "mine\n  \
           ok   careful  reached, 2 connects\n  \
           ok   forgets  loop of proxy: records lost at proxy, never-set\n\
         \n\
         2 cases: 2 passed, 0 failed, 0 skipped"
    );
    assert!(time.ends_with(" s, on sim with the profile documented, seed 7\n"), "{time}");
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn run_exits_with_1_where_a_case_fails_and_shows_its_line_and_the_hops() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml"]);
    assert_eq!(called.exit, 1);
    assert!(called.stdout.contains("\n  FAIL hopes  loop of proxy: records lost at proxy, never-set\n"));
    assert!(called.stdout.contains("\n3 cases: 2 passed, 1 failed, 0 skipped in "));
    let failure = "\
error: mine#hopes, step 1
  --> mine.yaml:17:33
   |
17 |         expect: {outcome: {end: reached}}
   |                                 ^^^^^^^ expected: end reached
   |
   = help: observed: end loop after 3 connects (proxy goes round: never-set)
  connect 1: app dials server:443 over IPv4, no records
";
    assert!(called.stdout.contains(failure), "{}", called.stdout);
    assert_eq!(called.stderr, "");
}

#[rstest]
#[case::short("-v")]
#[case::long("--verbose")]
fn run_with_v_prints_the_trace_hop_by_hop_and_without_it_none(#[case] option: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    let hop = "connect 2: proxy dials server:443 over IPv4, records [driver]";
    let quiet = folder.call(&["run", "mine.yaml", "--filter", "careful"]);
    assert!(!quiet.stdout.contains(hop), "{}", quiet.stdout);
    let verbose = folder.call(&["run", "mine.yaml", "--filter", "careful", option]);
    assert!(verbose.stdout.contains(hop), "{}", verbose.stdout);
    assert_eq!((quiet.exit, verbose.exit), (0, 0));
}

#[test]
fn run_prints_the_trace_as_diagrams_where_that_form_is_asked_for() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml", "--filter", "careful", "--trace", "mermaid"]);
    let (_, shown) = called.stdout.split_once("  ok   careful  reached, 2 connects\n").unwrap();
    let (diagram, _) = shown.split_once("\n\n1 case: 1 passed").unwrap();
    let lines: Vec<&str> = diagram.lines().map(|line| line.strip_prefix("         ").unwrap()).collect();
    assert_eq!(
        lines,
        [
            "sequenceDiagram",
            "    participant P as app",
            "    participant K as filter engine",
            "    participant S1 as proxy",
            "    participant D as server:443",
            "    P->>K: connect 1 to server:443 over IPv4, no records",
            "    Note over K: ALE_CONNECT_REDIRECT_V4<br/>driver: NOT_REDIRECTED, redirects to loopback:1001",
            "    K->>S1: accepted, records [driver] in 128 bytes",
            "    Note over S1: fetches the records: 128 bytes<br/>fetches the context: 128 bytes<br/>sets the records",
            "    S1->>K: connect 2 to server:443 over IPv4, records [driver]",
            "    Note over K: ALE_CONNECT_REDIRECT_V4 (IS_PROXY_CONNECTION)<br/>driver: REDIRECTED_BY_SELF, permits",
            "    K->>D: accepted",
            "    Note over P,D: reached after 2 connects",
        ]
    );
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn run_prints_the_trace_in_lines_where_that_form_is_asked_for() {
    let folder = Folder::with("mine.yaml", MIXED);
    let args = ["run", "mine.yaml", "--filter", "careful", "--seed", "1"];
    let verdicts = |more: &[&str]| {
        let called = folder.call(&[&args, more].concat());
        called.stdout.split(" in 0.").next().unwrap().to_owned()
    };
    assert_eq!(verdicts(&["--trace", "text"]), verdicts(&["-v"]));
}

#[test]
fn run_takes_any_of_several_filters_and_runs_nothing_where_none_matches() {
    let folder = Folder::with("mine.yaml", MIXED);
    let some = folder.call(&["run", "mine.yaml", "--filter", "nothing", "--filter", "careful"]);
    assert!(some.stdout.contains("\n1 case: 1 passed, 0 failed, 0 skipped in "), "{}", some.stdout);
    assert_eq!(some.exit, 0);
    let none = folder.call(&["run", "mine.yaml", "--filter", "nothing", "--filter", "at-all"]);
    let message = "error: no case's name contains nothing or at-all\n".to_owned();
    assert_eq!(none, Called { exit: 2, stdout: String::new(), stderr: message });
}

#[test]
fn run_takes_the_model_as_backend_by_default() {
    let folder = Folder::with("mine.yaml", MIXED);
    let named = folder.call(&["run", "mine.yaml", "--filter", "careful", "--backend", "sim", "--seed", "1"]);
    assert!(named.stdout.contains(", on sim with the profile documented, seed 1\n"), "{}", named.stdout);
    assert_eq!(named.exit, 0);
}

#[test]
fn seed_is_printed_when_it_is_not_given_and_the_same_run_can_be_had_again() {
    let folder = Folder::with("mine.yaml", MIXED);
    let args = ["run", "mine.yaml", "--report", "json=first.json"];
    let first = folder.call(&args);
    let seed = first.stdout.trim_end().rsplit_once("seed ").unwrap().1;
    let again = folder.call(&["run", "mine.yaml", "--report", "json=again.json", "--seed", seed]);
    assert_eq!((first.exit, again.exit), (1, 1));
    let report = folder.read("first.json");
    assert!(report.contains(&format!("\n  \"seed\": {seed},\n")), "{report}");
    assert_eq!(masked(&report), masked(&folder.read("again.json")));
}

#[test]
fn run_finds_the_same_whatever_the_number_of_jobs_and_however_often() {
    let folder = Folder::new();
    for (file, jobs, seed) in
        [("one", "1", "5"), ("eight", "8", "5"), ("again", "8", "5"), ("other", "8", "6")]
    {
        // In a folder without scenarios this is the whole suite that is built in.
        let called =
            folder.call(&["run", "--jobs", jobs, "--seed", seed, "--report", &format!("json={file}.json")]);
        // Whether the suite passes is for others to say.
        assert!(called.exit < 2 && called.stderr.is_empty(), "{}", called.stderr);
    }
    let report = |file: &str| masked(&folder.read(&format!("{file}.json")));
    assert_eq!(report("one"), report("eight"));
    assert_eq!(report("eight"), report("again"));
    // Nothing in the suite depends on the seed.
    assert_eq!(report("again").replace("\"seed\": 5,", "\"seed\": 6,"), report("other"));
}

/// What only the runner listens at, a step can reach all the same.
#[test]
fn what_a_step_sends_where_followed_connections_arrive_fails_the_case() {
    let folder = Folder::with(
        "mine.yaml",
        "\
schema: wfp-conformance/scenario/v1
title: Steps beside what is followed
hosts: {server: {listen: [443], listen-udp: [53]}}
processes: {app: {}}
cases:
  - id: connection
    steps:
      - {name: s, process: app, op: {socket: {}}}
      - {process: app, op: {connect: {socket: s, to: 'server:443'}}}
      - {follow: {from: app, to: 'server:443'}}
  - id: datagram
    steps:
      - {name: s, process: app, op: {socket: {protocol: udp}}}
      - {process: app, op: {send-to: {socket: s, to: 'server:53', data: x}}}
      - {follow: {from: app, to: 'server:53', protocol: udp}}
",
    );
    let called = folder.call(&["run", "mine.yaml"]);
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""), "{}", called.stdout);
    for told in [
        "error: mine#connection, step 3\n  --> mine.yaml:10:9\n",
        "observed: a step made a connection to `server:443/ipv4`, where only what is followed is accepted\n",
        "error: mine#datagram, step 3\n  --> mine.yaml:15:9\n",
        "observed: a step sent a datagram to `server:53/udp/ipv4`, where only what is followed is received\n",
    ] {
        assert!(called.stdout.contains(told), "{}", called.stdout);
    }
}
