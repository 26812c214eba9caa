//! One mistake in a sound file.

use rstest::rstest;

use crate::common::Folder;
use crate::{SOUND, assert_message, refuse_text, sound_but};

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
#[case(
    "nothing-expected",
    "expect: {error: WSAENOTCONN}\n      - process",
    "expect: {one-of: []}\n      - process"
)]
#[case(
    "name-of-an-earlier-call-inside-a-callback",
    "query-records: {socket: client, out: {length: 1024}}",
    "alertable-wait: {inside: [{name: client, op: {socket: {}}}]}"
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
#[case("role-that-is-none", "requirements: [chains.bounded]", "regressions: {R1: cause}")]
#[case("list-of-regressions", "requirements: [chains.bounded]", "regressions: [R1]")]
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
#[case("port-of-a-list-twice", "listen: [443]", "listen: [443, 80, 443]")]
#[case("port-0-to-listen-at", "loopback:1001", "loopback:0")]
#[case("port-0-to-follow-to", "'server:443'}\n        expect", "'server:0'}\n        expect")]
#[case("socket-that-dials-no-such-address", "follow: {family: ipv6}", "follow: {family: ipv6, socket: ipv4}")]
#[case(
    "connect-before-a-connect",
    "from: app, to: 'server:443'}\n        expect",
    "from: app, to: 'server:443', connect: true}\n        expect"
)]
#[case(
    "unknown-host-to-bind-to",
    "from: app, to: 'server:443'}\n        expect",
    "from: app, to: 'server:443', bind: 'lokal:0'}\n        expect"
)]
#[case("endpoint-without-a-port", "'server:443'}\n        expect", "server}\n        expect")]
#[case("context-over-the-limit", "context: destination", "context: {padded: 65537}")]
// Names.
#[case("unknown-regression", "requirements: [chains.bounded]", "regressions: {R32: fault}")]
#[case("misspelt-regression", "requirements: [chains.bounded]", "regressions: {r1: rule}")]
#[case("unknown-socket", "query-records: {socket: client", "query-records: {socket: cleint")]
#[case("unknown-service", "redirect-to: proxy", "redirect-to: proxi")]
#[case("unknown-process-of-a-step", "- process: app\n        op", "- process: application\n        op")]
#[case("unknown-process-to-follow-from", "from: app", "from: ap")]
#[case("unknown-process-to-exempt", "exempt: []", "exempt: [apps]")]
#[case("unknown-host-of-an-endpoint", "'server:443'}\n        expect", "'sever:443'}\n        expect")]
#[case("unknown-host-of-a-match", "remote-host: server", "remote-host: srv")]
#[case("unknown-process-of-a-service", "set: before-bind", "process: pro")]
#[case("unknown-process-that-dials", "set: before-bind", "dial-process: ap")]
#[case("unknown-acceptor", "accepted-by: proxy", "accepted-by: proxi")]
#[case("unknown-port-of-an-acceptor", "accepted-by: 'server:443'", "accepted-by: 'server:80'")]
#[case("unknown-callout", "sees: {driver", "sees: {drivers")]
#[case(
    "unknown-callout-of-a-leak",
    "    title: The connection",
    "    leaks: {diver: {contexts: 1}}\n    title: The connection"
)]
#[case(
    "leak-that-is-none",
    "    title: The connection",
    "    leaks: {driver: {context: 1}}\n    title: The connection"
)]
#[case(
    "misspelt-function",
    "bind: {socket: client, to: 'any:2000'}",
    "kernel-call: {callout: driver, function: FwpmFilterAdd}"
)]
#[case("unknown-handle", "records: [driver]", "records: [driver.v4]")]
#[case("driver-on-another-host", "app: {}", "app: {driver: true, host: server}")]
#[case("unknown-client", "set: before-bind", "client: envoi")]
#[case("client-that-is-no-text", "set: before-bind", "client: [envoy]")]
#[case("errors-that-are-no-list", "set: before-bind", "not-redirected: all")]
#[case("unknown-base-of-a-profile", "set-twice: replace", "base: nt-maped")]
#[case("unknown-profile-field", "set-twice: replace", "set-twize: replace")]
#[case("unknown-profile-value", "set-twice: replace", "set-twice: often")]
#[case("unknown-requirement", "chains.bounded", "chains.bound")]
// What does not go together.
#[case("callout-that-redirects-to-nothing", "redirect-to: proxy", "in-state: {not-redirected: redirect}")]
#[case("step-that-does-nothing", "op: {bind: {socket: client, to: 'any:2000'}}", "thread: 0")]
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
#[case("unknown-callout-that-redirects", "records: [], accepted-by", "redirected-by: [diver], accepted-by")]
// Variants and cases.
#[case("variant-with-an-unknown-step", "{name: journey, follow: {family", "{name: jurney, follow: {family")]
#[case("mistake-in-a-variant", "{family: ipv6}", "{family: ipv7}")]
#[case("unknown-name-in-a-variant", "{family: ipv6}", "{from: nobody}")]
#[case("variant-that-is-no-map", "v4: {}", "v4: ipv4")]
#[case("axis-without-variants", "variants: {}", "variants: {family: {}}")]
#[case("misspelt-variants-of-a-case", "    variants: {}", "    variant: {}")]
#[case(
    "two-cases-of-one-name",
    "cases:\n",
    "cases:\n  - {id: by-hand, variants: {}, steps: [{process: app, op: {socket: {}}}]}\n"
)]
#[case("case-without-an-id", "- id: by-hand\n    title", "- title")]
#[case("id-that-is-none", "id: by-hand", "id: By Hand")]
// The file.
#[case("unknown-schema", "scenario/v1", "scenario/v2")]
#[case("missing-schema", "schema: wfp-conformance/scenario/v1\n", "")]
#[case("item-among-keys", "cases:\n  - id: followed", "cases:\n    id: followed")]
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

#[rstest]
#[case::services(
    "{}",
    "{a: {listen: 'loopback:9', families: ipv4}, b: {listen: 'loopback:9'}}",
    "`a` listens at loopback:9 already"
)]
#[case::dual_stack_at_the_wildcard(
    "{}",
    "{a: {listen: 'any:9', families: ipv6}, b: {listen: 'loopback:9', families: dual}}",
    "`a` listens at loopback:9 already"
)]
#[case::host(
    "{local: {listen: [7, 9]}}",
    "{a: {listen: 'any:9', families: ipv6}}",
    "`local` listens at any:9 already"
)]
fn two_listeners_at_one_address_are_shown(
    #[case] hosts: &str,
    #[case] services: &str,
    #[case] message: &str,
) {
    let ground = format!("schema: wfp-conformance/scenario/v1\nhosts: {hosts}\nservices: {services}\n");
    let cases =
        "processes: {app: {}}\ncases: [{id: x, steps: [{process: app, op: {socket: {}}}]}]\n".to_owned();
    let shown = refuse_text(&(ground + &cases));
    assert!(shown.starts_with(&format!("error: {message}\n")), "{shown}");
}

#[test]
fn listeners_at_one_port_with_different_addresses_are_sound() {
    let text = "\
schema: wfp-conformance/scenario/v1
hosts: {local: {listen: [9]}, server: {listen: [9]}}
processes: {app: {}}
services:
  a: {listen: 'loopback:9', families: ipv4}
  b: {listen: 'loopback:9', families: ipv6}
  c: {listen: 'local:9'}
cases: [{id: x, steps: [{process: app, op: {socket: {}}}]}]
";
    let called = Folder::with("mine.yaml", text).call(&["run", "mine.yaml"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
}
