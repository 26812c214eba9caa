//! What somebody reads who made a mistake in a scenario file: one message, with its place, and nothing was run.
//!
//! Each mistake is one change to a sound file. The messages are in `snapshots/`, one file for each kind of mistake.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use rstest::rstest;

use self::common::Folder;

/// A sound file, in which each mistake is made.
const SOUND: &str = "\
schema: wfp-conformance/scenario/v1
title: My driver and my service
hosts:
  server: {listen: [443]}
processes:
  app: {}
callouts:
  driver:
    match: {remote-host: server, remote-port: 443}
    redirect-to: proxy
    exempt: []
    context: destination
services:
  proxy: {listen: 'loopback:1001', set: before-bind}
variants:
  family:
    v4: {}
    v6: {steps: [{name: journey, follow: {family: ipv6}}]}

cases:
  - id: followed
    title: The connection reaches its destination.
    requirements: [chains.bounded]
    profile: {set-twice: replace}
    steps:
      - name: journey
        follow: {from: app, to: 'server:443'}
        expect:
          outcome:
            end: reached
            connects: 2
            hops:
              - {by: app, sees: {driver: not-redirected}, records: [], accepted-by: proxy}
              - {by: proxy, records: [driver], accepted-by: 'server:443'}
  - id: by-hand
    title: A socket that was not accepted has no records.
    variants: {}
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - {process: app, op: {bind: {socket: client, to: 'any:2000'}}}
      - process: app
        op: {query-records: {socket: client, out: {length: 1024}}}
        expect: {error: WSAENOTCONN}
      - process: app
        sweep:
          op: {query-context: {socket: client}}
          state: bound
          rows:
            - {lengths: [4, needed-1, 1024], expect: {error: WSAENOTCONN}}
";

/// `run` and `check` refuse what is in the folder in the same words, and leave the folder as it was.
fn refuse(folder: &Folder, path: &str) -> String {
    let before = folder.content();
    let run = folder.call(&["run", path, "--report", "json=report.json"]);
    assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    let check = folder.call(&["check", path]);
    assert_eq!(check, run);
    assert_eq!(folder.content(), before, "something was written");
    run.stderr
}

/// The same, where there is only one thing to say, and the text to show it in.
fn refuse_text(text: &str) -> String {
    let message = refuse(&Folder::with("mine.yaml", text), "mine.yaml");
    assert_eq!(message.matches("error: ").count(), 1, "{message}");
    assert_eq!(message.matches("--> mine.yaml:").count(), 1, "{message}");
    message
}

/// The sound file with one mistake in it.
fn sound_but(right: &str, wrong: &str) -> String {
    assert_eq!(SOUND.matches(right).count(), 1, "`{right}` is to be there once");
    SOUND.replace(right, wrong)
}

/// Compares with the message in `snapshots/NAME.snap`.
fn assert_message(name: &str, message: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, message));
}

#[test]
fn sound_file_passes() {
    let called = Folder::with("mine.yaml", SOUND).call(&["run", "mine.yaml"]);
    assert!(called.stdout.contains("\n3 cases: 3 passed, 0 failed, 0 skipped in "), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[rstest]
// Keys.
#[case("unknown-key-of-a-file", "title: My driver", "titel: My driver")]
#[case("unknown-key-of-a-case", "    title: The connection", "    summary: The connection")]
#[case("unknown-key-of-a-callout", "redirect-to: proxy", "redirects-to: proxy")]
#[case("unknown-key-of-a-service", "set: before-bind", "sets: before-bind")]
#[case("unknown-key-of-a-call", "bind: {socket: client, to:", "bind: {socket: client, at:")]
#[case("unknown-key-of-a-hop", "records: [driver], accepted-by", "record: [driver], accepted-by")]
#[case("duplicate-key", "redirect-to: proxy", "redirect-to: proxy\n    redirect-to: server")]
#[case("missing-key-of-a-call", "bind: {socket: client, to: 'any:2000'}", "bind: {socket: client}")]
// Values.
#[case("misspelt-op", "query-records: {socket", "query-record: {socket")]
#[case("misspelt-value", "set: before-bind", "set: befor-bind")]
#[case(
    "misspelt-error",
    "expect: {error: WSAENOTCONN}\n      - process",
    "expect: {error: WSAENOTCON}\n      - process"
)]
#[case("misspelt-end", "end: reached", "end: reeched")]
#[case("misspelt-state", "state: bound", "state: bond")]
#[case("text-where-a-number-is-expected", "connects: 2", "connects: two")]
#[case("number-where-a-map-is-expected", "app: {}", "app: 7")]
#[case(
    "map-where-a-list-is-expected",
    "requirements: [chains.bounded]",
    "requirements: {chains.bounded: true}"
)]
#[case("list-where-a-text-is-expected", "redirect-to: proxy", "redirect-to: [proxy]")]
#[case("negative-number", "connects: 2", "connects: -2")]
#[case("length-that-is-none", "needed-1", "need-1")]
#[case("length-out-of-range", "length: 1024", "length: 4294967296")]
#[case(
    "port-of-an-endpoint-out-of-range",
    "'server:443'}\n        expect",
    "'server:65536'}\n        expect"
)]
#[case("port-of-a-list-out-of-range", "listen: [443]", "listen: [443, 70000]")]
#[case("port-of-a-match-out-of-range", "remote-port: 443", "remote-port: 65536")]
#[case("port-0-to-listen-at", "loopback:1001", "loopback:0")]
#[case("port-0-to-follow-to", "'server:443'}\n        expect", "'server:0'}\n        expect")]
#[case("endpoint-without-a-port", "'server:443'}\n        expect", "server}\n        expect")]
#[case("context-over-the-limit", "context: destination", "context: {padded: 65537}")]
// Names.
#[case("unknown-socket", "query-records: {socket: client", "query-records: {socket: cleint")]
#[case("unknown-service", "redirect-to: proxy", "redirect-to: proxi")]
#[case("unknown-process-of-a-step", "- process: app\n        op", "- process: application\n        op")]
#[case("unknown-process-to-follow-from", "from: app", "from: ap")]
#[case("unknown-process-to-exempt", "exempt: []", "exempt: [apps]")]
#[case("unknown-host-of-an-endpoint", "'server:443'}\n        expect", "'sever:443'}\n        expect")]
#[case("unknown-host-of-a-match", "remote-host: server", "remote-host: srv")]
#[case("unknown-callout", "sees: {driver", "sees: {drivers")]
#[case("unknown-handle", "records: [driver]", "records: [driver.v4]")]
#[case("unknown-profile-field", "set-twice: replace", "set-twize: replace")]
#[case("unknown-profile-value", "set-twice: replace", "set-twice: often")]
#[case("unknown-requirement", "chains.bounded", "chains.bound")]
// What does not go together.
#[case("callout-that-redirects-to-nothing", "redirect-to: proxy", "on: {not-redirected: redirect}")]
#[case("step-that-does-nothing", "follow: {from: app, to: 'server:443'}", "process: app")]
#[case("step-without-a-process", "- process: app\n        op", "- op")]
#[case(
    "op-without-a-buffer-to-sweep",
    "op: {query-context: {socket: client}}",
    "op: {close: {socket: client}}"
)]
#[case(
    "outcome-of-a-call",
    "{error: WSAENOTCONN}\n      - process",
    "{outcome: {end: reached}}\n      - process"
)]
#[case("two-steps-of-one-name", "- {process: app, op: {bind", "- {name: client, process: app, op: {bind")]
#[case("service-on-another-host", "loopback:1001", "server:1001")]
// Variants and cases.
#[case("variant-with-an-unknown-step", "{name: journey, follow: {family", "{name: jurney, follow: {family")]
#[case("mistake-in-a-variant", "{family: ipv6}", "{family: ipv7}")]
#[case("unknown-name-in-a-variant", "{family: ipv6}", "{from: nobody}")]
#[case("variant-that-is-no-map", "v4: {}", "v4: ipv4")]
#[case("axis-without-variants", "variants: {}", "variants: {family: {}}")]
#[case(
    "two-cases-of-one-name",
    "id: by-hand",
    "id: followed\n    variants:\n    steps: []\n  - id: followed"
)]
#[case("case-without-an-id", "- id: by-hand\n    title", "- title")]
#[case("id-that-is-none", "id: by-hand", "id: By Hand")]
// The file.
#[case("unknown-schema", "scenario/v1", "scenario/v2")]
#[case("missing-schema", "schema: wfp-conformance/scenario/v1\n", "")]
#[case("cases-that-are-no-list", "cases:\n  - id: followed", "cases:\n    id: followed")]
#[case("tab-in-the-indentation", "  app: {}", "\tapp: {}")]
#[case("bracket-that-is-not-closed", "listen: [443]", "listen: [443")]
#[case("quote-that-is-not-closed", "'any:2000'", "'any:2000")]
#[case("colon-in-a-text", "title: My driver", "title: mine: My driver")]
#[case("alias-without-an-anchor", "set-twice: replace", "set-twice: *replace")]
#[case("tag", "set-twice: replace", "set-twice: !often replace")]
#[case("second-document", "\ncases:", "\n---\ncases:")]
fn mistake_in_a_file_is_shown_where_it_is(#[case] name: &str, #[case] right: &str, #[case] wrong: &str) {
    assert_message(name, &refuse_text(&sound_but(right, wrong)));
}
