//! What somebody reads who made a mistake in a scenario file: one message, with its place, and nothing was run.
//!
//! Each mistake is one change to a sound file. The messages are in `snapshots/`, one file for each kind of mistake.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rstest::rstest;

use self::common::{Called, Folder};

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
    assert_eq!(message.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{message}");
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
#[case("port-of-a-list-twice", "listen: [443]", "listen: [443, 80, 443]")]
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

// Files that are no text, or none at all.

#[rstest]
#[case("file-that-is-empty", b"")]
#[case("file-of-comments", b"# nothing\n\n# but comments\n")]
#[case("file-of-a-list", b"- schema: wfp-conformance/scenario/v1\n")]
#[case("file-of-a-text", b"schema=wfp-conformance/scenario/v1\n")]
#[case("file-with-zero-bytes", b"MZ\x90\0\x03\0\0\0")]
#[case("file-in-utf-16", b"\xFF\xFEs\0c\0h\0e\0m\0a\0")]
#[case("file-in-latin-1", b"schema: wfp-conformance/scenario/v1\ntitle: Verbindung \xFCber Proxy\n")]
#[case("control-character", b"schema: wfp-conformance/scenario/v1\ntitle: bell \x07\n")]
#[case("cases-that-are-no-list", b"schema: wfp-conformance/scenario/v1\ncases: {id: mine}\n")]
#[case("case-that-is-no-map", b"schema: wfp-conformance/scenario/v1\ncases: [mine]\n")]
fn file_that_is_no_scenario_is_refused(#[case] name: &str, #[case] bytes: &[u8]) {
    let message = refuse(&Folder::with("mine.yaml", bytes), "mine.yaml");
    assert_eq!(message.matches("error: ").count(), 1, "{message}");
    assert_message(name, &message);
}

#[test]
fn file_without_cases_is_ground_for_others_and_nothing_to_run() {
    let folder = Folder::with("mine.yaml", "schema: wfp-conformance/scenario/v1\ncases: []\n");
    let called = folder.call(&["run", "mine.yaml"]);
    let stderr = "error: there are no cases in these files\n".to_owned();
    assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr });
    assert_eq!(folder.call(&["check", "mine.yaml"]).stdout, "0 cases, nothing wrong\n");
}

#[rstest]
#[case::missing_file("nothing.yaml", "error: nothing.yaml: there is no such file\n")]
#[case::missing_folder("nothing/at/all", "error: nothing/at/all: there is no such file\n")]
#[case::folder_without_yaml("folder", "error: folder: no YAML file is in this folder\n")]
fn path_without_scenarios_is_refused(#[case] path: &str, #[case] message: &str) {
    let folder = Folder::with("folder/notes.txt", "schema: wfp-conformance/scenario/v1\n");
    // What an editor keeps beside a file is none of ours.
    folder.write("folder/.#mine.yaml", "");
    folder.write("folder/.git/mine.yaml", "");
    assert_eq!(refuse(&folder, path), message);
}

#[test]
fn sound_file_beside_a_wrong_one_is_not_run_either() {
    let folder = Folder::with("all/sound.yaml", SOUND);
    folder.write("all/wrong.yaml", sound_but("from: app", "from: ape"));
    let message = refuse(&folder, "all");
    assert!(message.contains("--> all/wrong.yaml:27:24"), "{message}");
}

// Where a line begins, and what it ends with.

#[rstest]
#[case("connects: 2", "connects: two")]
#[case("set: before-bind", "set: befor-bind")]
#[case("cases:\n  - id: followed", "cases:\n    id: followed")]
fn byte_order_mark_and_crlf_move_no_place(#[case] right: &str, #[case] wrong: &str) {
    let windows = |text: &str| format!("\u{FEFF}{}", text.replace('\n', "\r\n"));
    let sound = Folder::with("mine.yaml", windows(SOUND)).call(&["check", "mine.yaml"]);
    assert_eq!((sound.exit, sound.stderr.as_str()), (0, ""));
    let text = sound_but(right, wrong);
    assert_eq!(refuse_text(&windows(&text)), refuse_text(&text));
    let first = refuse_text("\u{FEFF}shema: wfp-conformance/scenario/v1\r\n");
    assert!(first.contains("--> mine.yaml:1:1\n"), "{first}");
}

// Files that use others.

const GROUND: &str = "schema: wfp-conformance/scenario/v1\nprocesses: {app: {}}\n";

fn using(used: &str) -> String {
    format!("{GROUND}use: {used}\ncases:\n  - {{id: x, steps: [{{process: app, op: {{socket: {{}}}}}}]}}\n")
}

#[rstest]
#[case("use-of-a-missing-file", "[ground.yaml, other.yaml]", GROUND)]
#[case("use-of-a-folder", "[.]", GROUND)]
#[case("use-of-itself", "[mine.yaml]", GROUND)]
#[case("use-in-a-circle", "[ground.yaml]", "schema: wfp-conformance/scenario/v1\nuse: [mine.yaml]\n")]
#[case("use-that-is-no-list", "ground.yaml", GROUND)]
#[case("use-of-no-name", "[{ground: yaml}]", GROUND)]
#[case("mistake-in-a-used-file", "[ground.yaml]", "schema: wfp-conformance/scenario/v1\nhots: {}\n")]
#[case(
    "wrong-type-in-a-used-file",
    "[ground.yaml]",
    "schema: wfp-conformance/scenario/v1\nhosts: {server: 1}\n"
)]
#[case(
    "unknown-name-in-a-used-file",
    "[ground.yaml]",
    "schema: wfp-conformance/scenario/v1\ncallouts: {c: {redirect-to: d}}\n"
)]
fn use_that_does_not_work_is_shown_where_it_is(#[case] name: &str, #[case] used: &str, #[case] ground: &str) {
    let folder = Folder::with("mine.yaml", using(used));
    folder.write("ground.yaml", ground);
    let message = refuse(&folder, "mine.yaml");
    assert_eq!(message.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{message}");
    assert_message(name, &message);
}

// What would take for ever, or all of the memory.

/// The file is refused in a second; twice that for a slow machine and a build without optimization.
fn refuse_soon(folder: &Folder) -> String {
    let start = Instant::now();
    folder.call(&["check", "mine.yaml"]);
    let time = start.elapsed();
    assert!(time < Duration::from_secs(2), "{time:?}");
    refuse(folder, "mine.yaml")
}

#[rstest]
#[case("brackets-100000-deep", "[".repeat(100_000))]
#[case("braces-100000-deep", "{a: ".repeat(100_000))]
#[case("items-100000-deep", "- ".repeat(100_000))]
#[case("keys-of-keys-100000-deep", "? ".repeat(100_000))]
#[case("bomb-of-lists", bomb("[", "]"))]
#[case("bomb-of-maps", bomb("{", "}"))]
#[case("bomb-of-text", format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(50_000)))]
#[case("bomb-of-variants", variants_bomb())]
#[case("bomb-of-cases", cases_bomb())]
fn text_that_would_take_too_much_is_refused_soon(#[case] name: &str, #[case] text: String) {
    assert_message(name, &refuse_soon(&Folder::with("mine.yaml", text)));
}

/// Nine levels, each nine times the one before.
fn bomb(open: &str, close: &str) -> String {
    let mut text = String::from("a0: &a0 boom\n");
    for level in 1..10 {
        let inner: Vec<String> = (0..9)
            .map(|number| match open {
                "{" => format!("k{number}: *a{}", level - 1),
                _ => format!("*a{}", level - 1),
            })
            .collect();
        let _ = writeln!(text, "a{level}: &a{level} {open}{}{close}", inner.join(", "));
    }
    text
}

/// Twenty axes of two variants: a million combinations.
fn variants_bomb() -> String {
    let mut text = String::from("schema: wfp-conformance/scenario/v1\nvariants:\n");
    for axis in 0..20 {
        let _ = writeln!(text, "  axis-{axis}: {{on: , off: }}");
    }
    text + "cases: [{id: x, steps: []}]\n"
}

/// A thousand combinations for each of a thousand cases.
fn cases_bomb() -> String {
    let variants: Vec<String> = (0..1000).map(|number| format!("v{number}: ")).collect();
    let mut text = format!("{GROUND}variants: {{axis: {{{}}}}}\ncases:\n", variants.join(", "));
    for case in 0..1000 {
        let _ = writeln!(text, "  - {{id: c{case}, steps: [{{process: app, op: {{socket: {{}}}}}}]}}");
    }
    text
}

#[test]
fn file_of_50_megabytes_is_refused_unread() {
    let folder = Folder::with("mine.yaml", SOUND);
    let file = std::fs::File::options().write(true).open(folder.path().join("mine.yaml")).unwrap();
    file.set_len(50 << 20).unwrap();
    let message = "error: mine.yaml: the file is larger than the limit of 1048576 bytes\n";
    assert_eq!(refuse_soon(&folder), message);
}

/// The largest numbers that a file can hold, wherever it can hold one.
#[test]
fn huge_numbers_cost_neither_time_nor_memory() {
    let text = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts:
  opaque: {redirect-to: proxy, context: {opaque: 4294967295}, weight: 18446744073709551615, sublayer: 65535}
  padded: {redirect-to: proxy, context: {padded: 4294967295}}
services: {proxy: {listen: 'loopback:1001', records: {fixed: 4294967295}, context: {fixed: 4294967295}}}
profile: {context-limit: 1048576}
cases:
  - id: huge
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached, connects: 1}}
      - {name: s, process: app, thread: 4294967295, op: {socket: {}}}
      - {process: app, op: {bind: {socket: s, to: 'any:65535'}}}
      - {process: app, op: {listen: {socket: s, backlog: 4294967295}}}
      - process: app
        op: {query-records: {socket: s, out: {length: 4294967295, region: 4294967295}}}
        expect: {error: WSAENOTCONN}
      - process: app
        op: {receive: {socket: s, length: 4294967295}}
        expect: {error: WSAENOTCONN}
      - {process: app, op: {advance: {milliseconds: 18446744073709551615}}}
";
    let folder = Folder::with("mine.yaml", text);
    let start = Instant::now();
    let called = folder.call(&["run", "mine.yaml", "--seed", "18446744073709551615"]);
    let time = start.elapsed();
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "{}", called.stdout);
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn files_that_use_each_other_twice_are_read_once() {
    let folder = Folder::with("mine.yaml", using("[g0.yaml, g0.yaml]"));
    for number in 0..30 {
        folder.write(&format!("g{number}.yaml"), using(&format!("[g{0}.yaml, g{0}.yaml]", number + 1)));
    }
    folder.write("g30.yaml", GROUND);
    let start = Instant::now();
    assert_eq!(folder.call(&["check", "mine.yaml"]).stdout, "1 case, nothing wrong\n");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn files_that_use_each_other_too_far_are_refused() {
    let folder = Folder::with("mine.yaml", using("[g0.yaml]"));
    for number in 0..100 {
        folder.write(&format!("g{number}.yaml"), using(&format!("[g{}.yaml]", number + 1)));
    }
    assert_message("use-over-too-many-steps", &refuse_soon(&folder));
}

#[test]
fn thousands_of_mistakes_are_counted_and_the_first_20_shown() {
    let mut text = GROUND.to_owned() + "cases:\n";
    for case in 0..2000 {
        let _ = writeln!(text, "  - {{id: c{case}, steps: [{{process: ape, op: {{socket: {{}}}}}}]}}");
    }
    let message = refuse_soon(&Folder::with("mine.yaml", text));
    assert_eq!(message.lines().filter(|line| *line == "error: there is no process `ape`").count(), 20);
    assert!(message.ends_with("\nand 1980 more\n"), "{message}");
}

#[cfg(unix)]
#[test]
fn link_that_leads_back_to_its_folder_is_not_followed() {
    let folder = Folder::with("all/mine.yaml", SOUND);
    for link in ["one", "two"] {
        std::os::unix::fs::symlink(".", folder.path().join("all").join(link)).unwrap();
    }
    let start = Instant::now();
    assert_eq!(folder.call(&["check", "all"]).stdout, "3 cases, nothing wrong\n");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
