//! What would take for ever, or all of the memory.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::common::Folder;
use crate::uses::{GROUND, using};
use crate::{SOUND, assert_message, refuse};

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
