//! What `run` prints and writes, word for word: a change of it is a change that somebody reads.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use insta::assert_snapshot;
use rstest::rstest;
use wfp_conformance::run::{diagram, hops};
use wfp_conformance::scenario::Suite;
use wfp_sim::Profile;
use wfp_tests::{Played, play, suite, workspace};

/// As many vendors as are named, asked in this order.
fn vendors(names: &[&str]) -> String {
    let callouts = names
        .iter()
        .zip((1..=300).rev().step_by(100))
        .map(|(name, weight)| format!("  {name}: {{sublayer: {weight}, redirect-to: proxy-{name}}}\n"));
    let services = names
        .iter()
        .zip(1001..)
        .map(|(name, port)| format!("  proxy-{name}: {{listen: 'loopback:{port}'}}\n"));
    let (callouts, services) = (callouts.collect::<Vec<_>>().concat(), services.collect::<Vec<_>>().concat());
    format!(
        "schema: wfp-conformance/scenario/v1\nhosts: {{server: {{listen: [443]}}}}\nprocesses: {{app: {{}}}}\n\
         callouts:\n{callouts}services:\n{services}cases:\n"
    )
}

fn played(ground: &str, cases: &str) -> Played {
    play(suite(&format!("{ground}{cases}")), "documented")
}

/// The names of the files say what they show, and not where the test is.
fn assert_text(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| assert_snapshot!(name, text));
}

#[test]
fn trace_of_two_vendors_shows_all_four_states_over_three_connects() {
    let cases = "  - id: all-states\n    steps: [{follow: {from: app, to: 'server:443'}}]\n";
    assert_text("trace-of-two-vendors", &played(&vendors(&["a", "b"]), cases).summary(true));
}

#[test]
fn trace_of_three_vendors_shows_the_mapped_family_and_growing_records() {
    let cases = "  - id: mapped\n    steps: [{follow: {from: app, to: 'server:443', family: dual}}]\n";
    assert_text("trace-of-three-vendors-mapped", &played(&vendors(&["a", "b", "c"]), cases).summary(true));
}

#[test]
fn trace_of_a_loop_shows_who_goes_round_and_where_the_records_are_lost() {
    let cases = "  - id: second-forgets\n    services: {proxy-b: {set: never}}\n    \
                     steps: [{follow: {from: app, to: 'server:443'}, expect: {outcome: {end: loop}}}]\n";
    assert_text("trace-of-a-loop", &played(&vendors(&["a", "b"]), cases).summary(true));
}

/// The diagram of the connection that the first case follows.
fn diagram_of(ground: &str, cases: &str) -> String {
    let played = played(ground, cases);
    diagram(played.runs[0].ending().unwrap())
}

#[test]
fn diagram_of_three_vendors_has_a_lane_for_each_service_and_ends_at_the_destination() {
    let cases = "  - id: chain\n    steps: [{follow: {from: app, to: 'server:443'}}]\n";
    assert_text("diagram-of-three-vendors", &diagram_of(&vendors(&["a", "b", "c"]), cases));
}

#[test]
fn diagram_of_a_loop_draws_its_connects_once_and_says_why() {
    let cases = "  - id: second-forgets\n    services: {proxy-b: {set: never}}\n    \
                     steps: [{follow: {from: app, to: 'server:443'}}]\n";
    assert_text("diagram-of-a-loop", &diagram_of(&vendors(&["a", "b"]), cases));
}

/// Two callouts that look for BY_SELF alone: what goes round is the same but for the records.
#[test]
fn diagram_of_a_loop_tells_the_records_that_have_grown() {
    let ground = vendors(&["a", "b"])
        .replace("redirect-to:", "in-state: {previously-redirected-by-self: redirect}, redirect-to:");
    let cases = "  - id: both-misread\n    steps: [{follow: {from: app, to: 'server:443'}}]\n";
    let text = diagram_of(&ground, cases);
    let again = "    loop for ever: connect 5 is connect 3 again, with records [a, b, a, b]\n";
    assert!(text.contains(again), "{text}");
}

#[test]
fn diagram_of_a_connect_that_fails_leads_back_to_who_dialled() {
    let cases = "  - id: refused\n    steps: [{follow: {from: app, to: 'server:444'}}]\n";
    assert_text("diagram-of-a-refusal", &diagram_of(&vendors(&["a"]), cases));
}

/// A UDP socket that is connected before it sends: both classifies are told, in their order.
#[test]
fn trace_and_diagram_of_connected_udp_tell_both_classifies() {
    let cases = "  - id: x\n    services: {proxy-a: {protocol: udp}}\n    hosts: {server: {listen-udp: [53]}}\n    \
                 steps: [{follow: {from: app, to: 'server:53', protocol: udp, connect: true}}]\n";
    let text = played(&vendors(&["a"]), cases).summary(true);
    let diagram = diagram_of(&vendors(&["a"]), cases);
    assert_text("trace-of-connected-udp", &format!("{text}\n{diagram}"));
}

/// Calls by two processes, and a sweep.
const CALLS: &str = "
  - id: by-hand
    callouts: {hand: {redirect-to-endpoint: {at: 'loopback:2000', process: proxy}, match: {remote-port: 80}}}
    processes: {proxy: {elevated: true}}
    steps:
      - {name: listening, process: proxy, op: {socket: {}}}
      - {process: proxy, op: {bind: {socket: listening, to: 'loopback:2000'}}}
      - {process: proxy, op: {listen: {socket: listening}}}
      - {name: waiting, process: proxy, op: {accept: {socket: listening}}, expect: pending}
      - {name: client, process: app, op: {socket: {nonblocking: true}}}
      - {process: app, op: {connect: {socket: client, to: 'server:80'}}, expect: {error: WSAEWOULDBLOCK}}
      - {process: proxy, op: {wait: {for: [waiting]}}, expect: {completes: {call: waiting}}}
      - {name: records, process: proxy, op: {query-records: {socket: waiting}}}
      - process: proxy
        sweep:
          op: {query-context: {socket: waiting}}
          state: accepted-redirected
          rows:
            - {lengths: [4, needed-1], expect: {profile: too-small}}
            - {lengths: [needed, needed+1], expect: {ok: {bytes-returned: needed}}}
      - {process: app, op: {local-name: {socket: client}}}
      - {process: app, op: {peer-name: {socket: client}}}
      - {process: app, op: {describe: {socket: client}}}
      - {process: proxy, op: {count-contexts: {}}}
";

#[test]
fn trace_of_calls_shows_what_each_gave() {
    assert_text("trace-of-calls", &played(&vendors(&["a"]), CALLS).summary(true));
}

#[test]
fn diagram_of_calls_has_a_lane_for_each_process() {
    let played = played(&vendors(&["a"]), CALLS);
    let [diagram] = played.runs[0].diagrams().try_into().unwrap();
    assert_text("diagram-of-calls", &diagram);
}

/// A connection between two calls: each has a diagram of its own.
#[test]
fn diagrams_of_calls_end_where_a_connection_is_followed() {
    let cases = "
  - id: three
    steps:
      - {name: first, process: app, op: {socket: {}}}
      - {process: app, op: {close: {socket: first}}}
      - follow: {from: app, to: 'server:443'}
      - {process: app, op: {socket: {}}}
";
    let diagrams = played(&vendors(&[]), cases).runs[0].diagrams();
    let last_lines: Vec<&str> = diagrams.iter().map(|diagram| diagram.lines().last().unwrap()).collect();
    let expected = [
        "    P1->>K: close -> success",
        "    Note over P,D: reached after 1 connect",
        "    P1->>K: socket -> success",
    ];
    assert_eq!(last_lines, expected);
}

/// Read line by line against docs/behaviour.md, "Regressions".
#[rstest]
#[case::golden_path("r1-two-vendors", "chains/two-vendors#all-states@v4")]
#[case::neither_sets("r3-neither-of-two-sets", "loops/neither-of-two-sets#each-spares-its-own@faulty+v4")]
#[case::handle_per_family("r5-handle-per-family", "loops/handle-per-family#v6-then-v4@faulty")]
#[case::last_redirect_counts(
    "r8-last-redirect",
    "chains/redirects-over-another#who-is-visited@faulty+last+v4"
)]
#[case::connected_udp(
    "r11-connected-udp",
    "kernel/connect-redirect-matrix#connected-udp@v4+implicit-to-loopback"
)]
#[case::stale_verdict("r11-stale-verdict", "kernel/connected-udp-verdict#blocked-at-connect-alone@faulty+v4")]
#[case::hard_permit_once("r14-hard-permit-once", "kernel/auth-connect#hard-permit@original-alone+v4")]
#[case::both_redirects_count(
    "r8-both-redirects",
    "chains/redirects-over-another#who-is-visited@faulty+both+v4"
)]
fn trace_of_a_regression_is_what_the_field_reported(#[case] snapshot: &str, #[case] name: &str) {
    let file = workspace().join("scenarios").join(format!("{}.yaml", name.split('#').next().unwrap()));
    let mut suite = Suite::load(&[file], &Profile::documented()).unwrap();
    suite.cases.retain(|case| case.name == name);
    let played = play(suite, "documented");
    let ending = played.runs[0].ending().unwrap();
    assert_text(snapshot, &format!("{}\n{}", hops(ending), diagram(ending)));
}

/// One case for each way to fail.
const FAILING: &str = "
  - id: ends-otherwise
    services: {proxy-a: {on-error: dial, records: {fixed: 16}}}
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached}}
  - id: another-state
    steps:
      - name: journey
        follow: {from: app, to: 'server:443'}
        expect:
          outcome:
            end: reached
            hops:
              - {by: app}
              - {by: proxy-a, sees: {a: not-redirected}}
  - id: another-error
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - process: app
        op: {query-records: {socket: client, out: {length: 1024}}}
        expect: {error: {code: WSAEINVAL, bytes-returned: 0}}
  - id: one-length-of-many
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - process: app
        sweep:
          op: {query-records: {socket: client}}
          state: fresh
          rows:
            - {lengths: [4, 1024], expect: {error: WSAENOTCONN}}
            - {lengths: [needed-1, 2], expect: {profile: too-small}}
  - id: success-was-taken-for-granted
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - {process: app, op: {listen: {socket: client}}}
";

#[test]
fn failing_cases_show_their_lines_what_was_expected_and_the_hops() {
    assert_text("failing-cases", &played(&vendors(&["a"]), FAILING).summary(false));
}

#[test]
fn failing_case_with_its_trace_shows_the_hops_once() {
    let played = played(&vendors(&["a"]), FAILING);
    let text = played.summary(true);
    assert_eq!(text.matches("connect 1: app dials server:443 over IPv4").count(), 2, "{text}");
    assert_text("failing-cases-verbose", &text);
}

/// What reads well and cannot be done is a failure at its line, and no fault of the machine.
#[test]
fn case_that_asks_for_what_cannot_be_done_fails_there() {
    let cases = "
  - id: calls-after-its-end
    steps:
      - {process: app, op: {end-process: {}}}
      - {process: app, op: {socket: {}}}
  - id: uses-what-did-not-come-yet
    steps:
      - {name: listening, process: app, op: {socket: {}}}
      - {process: app, op: {bind: {socket: listening, to: 'loopback:9'}}}
      - {process: app, op: {listen: {socket: listening}}}
      - {name: accepted, process: app, op: {accept: {socket: listening}}, expect: pending}
      - {process: app, op: {close: {socket: accepted}}}
";
    assert_text("cases-that-cannot-be-done", &played(&vendors(&["a"]), cases).summary(false));
}

#[test]
fn report_of_a_passed_a_failed_and_a_looping_case() {
    let cases = "
  - id: careful
    requirements: [chains.bounded]
    steps: [{follow: {from: app, to: 'server:443'}, expect: {outcome: {end: reached, connects: 2}}}]
  - id: forgets
    requirements: [chains.never-set]
    services: {proxy-a: {set: never}}
    steps: [{follow: {from: app, to: 'server:443'}, expect: {outcome: {end: loop, cycle: {why: never-set}}}}]
  - id: hopes
    requirements: [chains.bounded, chains.never-set]
    services: {proxy-a: {set: never}}
    steps: [{follow: {from: app, to: 'server:443'}, expect: {outcome: {end: reached}}}]
  - id: short
    requirements: [records.short-buffer]
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - process: app
        op: {query-records: {socket: client, out: {length: 4}}}
        expect: {one-of: [{error: WSAENOTCONN}, {error: WSAEINVAL}]}
";
    let report = played(&vendors(&["a"]), cases).report();
    assert_text("report", &only_covered(&masked(&report)));
}

/// The report without the values that differ from run to run, and from release to release.
fn masked(report: &str) -> String {
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(report.contains(&version), "{report}");
    let report = report.replace(&version, "\"version\": \"VERSION\"");
    let mask = |line: &str| match line.split_once("\"duration_us\": ") {
        Some((before, _)) => format!("{before}\"duration_us\": 0,"),
        None => line.to_owned(),
    };
    report.lines().map(mask).collect::<Vec<_>>().join("\n")
}

/// The report without the requirements that no case covers: the catalogue grows, and this is not about it.
fn only_covered(report: &str) -> String {
    let (before, requirements) = report.split_once("  \"requirements\": [\n    {\n      \"id\"").unwrap();
    let all = format!("    {{\n      \"id\"{}", requirements.trim_end().trim_end_matches("\n  ]\n}"));
    let covered: Vec<&str> = all
        .split(",\n    {\n")
        .filter(|requirement| !requirement.contains("\"status\": \"uncovered\""))
        .collect();
    assert!(covered.len() < all.split(",\n    {\n").count());
    format!("{before}  \"requirements\": [\n    {{\n{}\n  ]\n}}", covered.join(",\n    {\n"))
}
