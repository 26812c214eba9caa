//! The command line as a child process: what its users, scripts and dashboards rely on.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::process::Stdio;

use indexmap::IndexMap;
use rstest::rstest;
use serde::Deserialize;
use wfp_conformance::scenario::Suite;
use wfp_sim::Profile;

use self::common::{Called, Folder};

/// A careful service, one that forgets the records, and an expectation that does not hold.
const MIXED: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts: {driver: {redirect-to: proxy}}
services: {proxy: {listen: 'loopback:1001'}}
cases:
  - id: careful
    requirements: [chains.bounded]
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached, connects: 2}}
  - id: hopes
    requirements: [chains.never-set, chains.bounded]
    services: {proxy: {set: never}}
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached}}
  - id: forgets
    requirements: [chains.never-set]
    services: {proxy: {set: never}}
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: loop, cycle: {services: [proxy], records-lost-at: proxy, why: never-set}}}
";

/// What a query with a buffer that is too small answers depends on the profile.
const BY_PROFILE: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}, proxy: {}}
callouts: {driver: {redirect-to-endpoint: {at: 'loopback:1001', process: proxy}}}
cases:
  - id: insufficient-buffer
    steps:
      - {name: listening, process: proxy, op: {socket: {}}}
      - {process: proxy, op: {bind: {socket: listening, to: 'loopback:1001'}}}
      - {process: proxy, op: {listen: {socket: listening}}}
      - {name: client, process: app, op: {socket: {}}}
      - {process: app, op: {connect: {socket: client, to: 'server:443'}}}
      - {name: accepted, process: proxy, op: {accept: {socket: listening}}}
      - process: proxy
        op: {query-records: {socket: accepted, out: {length: needed-1}}}
        expect: {error: {code: ERROR_INSUFFICIENT_BUFFER, bytes-returned: needed}}
";

fn built_in() -> Vec<String> {
    Suite::built_in(&Profile::default()).unwrap().cases.into_iter().map(|case| case.name).collect()
}

/// The names that `list` prints.
fn listed(called: &Called) -> Vec<&str> {
    called.stdout.lines().map(|line| line.split("  ").next().unwrap()).collect()
}

/// The report without the one value that differs from run to run.
fn masked(report: &str) -> String {
    let mask = |line: &str| match line.trim_start().strip_prefix("\"duration_us\": ") {
        Some(number) => {
            assert!(number.trim_end_matches(',').parse::<u64>().is_ok(), "{line}");
            line.replace(number, "0,")
        }
        None => line.to_owned(),
    };
    report.lines().map(mask).collect::<Vec<_>>().join("\n")
}

// run

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
fn run_takes_a_profile_by_name_or_from_a_file() {
    let folder = Folder::with("mine.yaml", BY_PROFILE);
    let file = "schema: wfp-conformance/profile/v1\nbase: nt-mapped\nfields:\n  \
                too-small: ERROR_INSUFFICIENT_BUFFER, needed\n";
    folder.write("own.yaml", file);
    let under = |profile: &str| folder.call(&["run", "mine.yaml", "--profile", profile]);
    assert_eq!(folder.call(&["run", "mine.yaml"]).exit, 0);
    assert_eq!(under("documented").exit, 0);
    let nt_mapped = under("nt-mapped");
    assert_eq!(nt_mapped.exit, 1);
    assert!(
        nt_mapped.stdout.contains("observed: WSAEFAULT, bytes returned 128 (needed)"),
        "{}",
        nt_mapped.stdout
    );
    assert!(nt_mapped.stdout.contains(", on sim with the profile nt-mapped, seed "), "{}", nt_mapped.stdout);
    assert_eq!(under("doc-parameters").exit, 1);
    let own = under("own.yaml");
    assert_eq!(own.exit, 0, "{}", own.stdout);
    assert!(own.stdout.contains(", on sim with the profile own.yaml, seed "), "{}", own.stdout);
}

#[rstest]
#[case::no_such_profile(
    "nope",
    "error: `nope` is neither a built-in profile nor a file\n |\n \
     = help: built in are documented, doc-parameters, nt-mapped\n"
)]
#[case::unknown_field(
    "field.yaml",
    "error: there is no profile field `set-twize`\n \
      --> field.yaml:3:3\n  |\n3 |   set-twize: append\n  |   ^^^^^^^^^ did you mean `set-twice`?\n"
)]
#[case::unknown_value(
    "value.yaml",
    "error: `often` is no value of the profile field `set-twice`; known are `replace`, `append`\n \
      --> value.yaml:3:14\n  |\n3 |   set-twice: often\n  |              ^^^^^\n"
)]
fn profile_that_is_wrong_is_bad_usage(#[case] profile: &str, #[case] message: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("field.yaml", "schema: wfp-conformance/profile/v1\nfields:\n  set-twize: append\n");
    folder.write("value.yaml", "schema: wfp-conformance/profile/v1\nfields:\n  set-twice: often\n");
    for command in ["run", "list", "check"] {
        let called = folder.call(&[command, "mine.yaml", "--profile", profile]);
        assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message.to_owned() });
    }
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

#[test]
fn cases_of_several_files_and_folders_are_sorted_by_name_bytewise() {
    let one = |id: &str| {
        format!(
            "schema: wfp-conformance/scenario/v1\nprocesses: {{app: {{}}}}\ncases:\n  - id: {id}\n    \
                 steps: [{{process: app, op: {{socket: {{}}}}}}]\n"
        )
    };
    let folder = Folder::new();
    for (file, id) in
        [("b/Z.yaml", "last"), ("b/a.yml", "two"), ("b/c/d.yaml", "one"), ("e.yaml", "x"), ("b/t.txt", "no")]
    {
        folder.write(file, one(id));
    }
    let called = folder.call(&["list", "e.yaml", "b"]);
    assert_eq!(listed(&called), ["Z#last", "a#two", "c/d#one", "e#x"]);
    let named = Folder::with("x/scenarios/y/scenarios/loops/z.yaml", one("x"));
    assert_eq!(listed(&named.call(&["list", "x"])), ["loops/z#x"]);
}

#[test]
fn without_a_path_the_folder_scenarios_is_taken_and_else_the_suite_that_is_built_in() {
    let folder = Folder::with("scenarios/mine.yaml", MIXED);
    assert_eq!(listed(&folder.call(&["list"])), ["mine#careful", "mine#forgets", "mine#hopes"]);
    assert_eq!(folder.call(&["check"]).stdout, "3 cases, nothing wrong\n");
    let bare = Folder::new();
    let names = built_in();
    assert_eq!(listed(&bare.call(&["list"])), names);
    assert_eq!(bare.call(&["check"]).stdout, format!("{} cases, nothing wrong\n", names.len()));
}

// The report.

/// JSON that remembers the order of keys.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Json {
    Object(IndexMap<String, Json>),
    Array(Vec<Json>),
    Other(serde_json::Value),
}

impl Json {
    fn get(&self, key: &str) -> &Json {
        let Json::Object(entries) = self else { panic!("no object: {self:?}") };
        entries.get(key).unwrap_or_else(|| panic!("no `{key}` in {self:?}"))
    }

    fn keys(&self) -> Vec<&str> {
        let Json::Object(entries) = self else { panic!("no object: {self:?}") };
        entries.keys().map(String::as_str).collect()
    }

    fn items(&self) -> &[Json] {
        let Json::Array(items) = self else { panic!("no array: {self:?}") };
        items
    }

    fn text(&self) -> &str {
        let Json::Other(serde_json::Value::String(text)) = self else { panic!("no text: {self:?}") };
        text
    }
}

#[test]
fn report_has_the_keys_in_the_order_that_scripts_rely_on() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json"]);
    let report: Json = serde_json::from_str(&folder.read("report.json")).unwrap();
    assert_eq!(
        report.keys(),
        ["schema", "backend", "profile", "seed", "verdict", "summary", "cases", "requirements"]
    );
    assert_eq!(report.get("backend").keys(), ["name", "version", "os", "features"]);
    assert_eq!(
        report.get("summary").keys(),
        ["passed", "failed", "skipped", "expected_failures", "unexpected_passes"]
    );
    for case in report.get("cases").items() {
        let keys = [
            "name",
            "file",
            "line",
            "status",
            "reason",
            "requirements",
            "features",
            "duration_us",
            "failure",
            "outcome",
        ];
        assert_eq!(case.keys(), keys);
    }
    for requirement in report.get("requirements").items() {
        assert_eq!(requirement.keys(), ["id", "text", "source", "kind", "status", "observed", "cases"]);
    }
}

#[test]
fn report_has_cases_and_requirements_sorted_bytewise() {
    let folder = Folder::new();
    folder.call(&["run", "--report", "json=report.json"]);
    let report: Json = serde_json::from_str(&folder.read("report.json")).unwrap();
    for (list, key) in [("cases", "name"), ("requirements", "id")] {
        let names: Vec<&str> = report.get(list).items().iter().map(|item| item.get(key).text()).collect();
        assert!(names.len() > 50, "{list}: {}", names.len());
        assert!(names.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{list}");
    }
}

/// A report from its profile to its cases.
const FAILURE_AND_LOOP: &str = "
  \"profile\": \"documented\",
  \"seed\": 1,
  \"verdict\": \"not_conformant\",
  \"summary\": {
    \"passed\": 2,
    \"failed\": 1,
    \"skipped\": 0,
    \"expected_failures\": 0,
    \"unexpected_passes\": 0
  },
  \"cases\": [
    {
      \"name\": \"mine#careful\",
      \"file\": \"mine.yaml\",
      \"line\": 7,
      \"status\": \"passed\",
      \"reason\": null,
      \"requirements\": [
        \"chains.bounded\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"remote-host\"
      ],
      \"duration_us\": 0,
      \"failure\": null,
      \"outcome\": {
        \"end\": \"reached\",
        \"connects\": 2,
        \"cycle\": null
      }
    },
    {
      \"name\": \"mine#forgets\",
      \"file\": \"mine.yaml\",
      \"line\": 18,
      \"status\": \"passed\",
      \"reason\": null,
      \"requirements\": [
        \"chains.never-set\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"remote-host\",
        \"kernel-view\"
      ],
      \"duration_us\": 0,
      \"failure\": null,
      \"outcome\": {
        \"end\": \"loop\",
        \"connects\": 3,
        \"cycle\": {
          \"services\": [
            \"proxy\"
          ],
          \"records_lost_at\": \"proxy\",
          \"why\": \"never-set\"
        }
      }
    },
    {
      \"name\": \"mine#hopes\",
      \"file\": \"mine.yaml\",
      \"line\": 12,
      \"status\": \"failed\",
      \"reason\": \"step 1: expected end reached; observed end loop after 3 connects (proxy goes round: never-set)\",
      \"requirements\": [
        \"chains.never-set\",
        \"chains.bounded\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"remote-host\"
      ],
      \"duration_us\": 0,
      \"failure\": {
        \"step\": 1,
        \"line\": 17,
        \"expected\": \"end reached\",
        \"observed\": \"end loop after 3 connects (proxy goes round: never-set)\"
      },
      \"outcome\": {
        \"end\": \"loop\",
        \"connects\": 3,
        \"cycle\": {
          \"services\": [
            \"proxy\"
          ],
          \"records_lost_at\": \"proxy\",
          \"why\": \"never-set\"
        }
      }
    }
  ],
  \"requirements\": [
";

#[test]
fn report_tells_of_a_failure_and_of_a_loop_as_scripts_rely_on() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json", "--seed", "1"]);
    let report = masked(&folder.read("report.json"));
    let head = format!(
        "{{\n  \"schema\": \"wfp-conformance/report/v1\",\n  \"backend\": {{\n    \"name\": \"sim\",\n    \
         \"version\": \"{}\",\n    \"os\": null,\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(report.starts_with(&head), "{report}");
    assert!(report.contains(FAILURE_AND_LOOP), "{report}");
    // A requirement is broken as soon as one of its cases failed; one that no case covers is in the report too.
    let requirement = |id: &str| {
        let from = report.find(&format!("\"id\": \"{id}\"")).unwrap();
        let text = &report[from..];
        let from = text.find("\"kind\"").unwrap();
        text[from..=text.find('}').unwrap()].to_owned()
    };
    let bounded = "\"kind\": \"exact\",\n      \"status\": \"broken\",\n      \"observed\": [],\n      \
                   \"cases\": [\n        \"mine#careful\",\n        \"mine#hopes\"\n      ]\n    }";
    assert_eq!(requirement("chains.bounded"), bounded);
    assert!(requirement("chains.never-set").contains("\"status\": \"broken\""));
    assert!(requirement("chains.two-vendors").contains("\"status\": \"uncovered\""));
}

#[test]
fn report_can_be_written_several_times_and_over_an_older_one() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("a.json", "an older report, longer than nothing");
    let reports = ["--report", "json=a.json", "--report", "json=b.json"];
    let called = folder.call(&[&["run", "mine.yaml", "--filter", "careful"], &reports[..]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert_eq!(folder.read("a.json"), folder.read("b.json"));
    assert!(folder.read("a.json").starts_with("{\n  \"schema\": \"wfp-conformance/report/v1\",\n"));
    assert!(folder.read("a.json").ends_with("\n}\n"));
    assert_eq!(folder.content().keys().collect::<Vec<_>>(), ["a.json", "b.json", "mine.yaml"]);
}

#[rstest]
#[case::missing_folder("missing/report.json", "there is no folder missing\n")]
#[case::below_a_file("mine.yaml/report.json", "there is no folder mine.yaml\n")]
// What the system says here differs from system to system.
#[case::onto_a_folder("folder", "")]
fn report_that_cannot_be_written_exits_with_5_and_leaves_nothing_behind(
    #[case] file: &str,
    #[case] why: &str,
) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("folder/other.txt", "is left alone");
    let before = folder.content();
    // A case fails too: what could not be written counts for more.
    let called = folder.call(&["run", "mine.yaml", "--report", &format!("json={file}")]);
    assert_eq!(called.exit, 5);
    let message = format!("error: {file} could not be written: {why}");
    assert!(called.stderr.starts_with(&message), "{}", called.stderr);
    assert_eq!(called.stderr.lines().count(), 1, "{}", called.stderr);
    assert_eq!(folder.content(), before);
}

#[cfg(unix)]
#[test]
fn report_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json"]);
    let mode = |file: &str| folder.path().join(file).metadata().unwrap().permissions().mode();
    assert_eq!(mode("report.json"), mode("mine.yaml"));
}

#[cfg(unix)]
#[test]
fn report_goes_to_a_device_and_does_not_take_its_place() {
    let folder = Folder::with("mine.yaml", MIXED);
    let device = folder.path().join("device");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    let called = folder.call(&["run", "mine.yaml", "--filter", "careful", "--report", "json=device"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert_eq!(device.read_link().unwrap(), std::path::Path::new("/dev/null"));
}

// Bad usage.

#[rstest]
#[case::no_command(&[])]
#[case::unknown_command(&["rune"])]
#[case::probe(&["probe"])]
#[case::explore(&["explore", "mine.yaml"])]
#[case::beside(&["beside", "mine.yaml"])]
#[case::sweep(&["sweep", "mine.yaml"])]
#[case::requirements(&["requirements"])]
#[case::agent(&["agent"])]
#[case::unknown_option(&["run", "mine.yaml", "--nonsense"])]
#[case::record(&["run", "mine.yaml", "--record", "trace.json"])]
#[case::driver(&["run", "mine.yaml", "--driver", "true"])]
#[case::expectations(&["run", "mine.yaml", "--expectations", "known.yaml"])]
#[case::deny_skips(&["run", "mine.yaml", "--deny-skips"])]
#[case::fail_fast(&["run", "mine.yaml", "--fail-fast"])]
#[case::report_without_format(&["run", "mine.yaml", "--report", "report.json"])]
#[case::report_without_file(&["run", "mine.yaml", "--report", "json="])]
#[case::junit(&["run", "mine.yaml", "--report", "junit=report.xml"])]
#[case::markdown(&["run", "mine.yaml", "--report", "markdown=report.md"])]
#[case::html(&["run", "mine.yaml", "--report", "html=report.html"])]
#[case::one_report_of_two(&["run", "mine.yaml", "--report", "json=report.json", "--report", "junit=report.xml"])]
#[case::unknown_backend(&["run", "mine.yaml", "--backend", "simm"])]
#[case::windows(&["run", "mine.yaml", "--backend", "windows"])]
#[case::exec(&["run", "mine.yaml", "--backend", "exec:true"])]
#[case::replay(&["run", "mine.yaml", "--backend", "replay:trace.json"])]
#[case::diff(&["run", "mine.yaml", "--backend", "diff:sim,sim"])]
#[case::no_jobs(&["run", "mine.yaml", "--jobs", "0"])]
#[case::too_many_jobs(&["run", "mine.yaml", "--jobs", "1025"])]
#[case::negative_seed(&["run", "mine.yaml", "--seed", "-1"])]
#[case::seed_is_no_number(&["run", "mine.yaml", "--seed", "lucky"])]
#[case::filter_without_text(&["run", "mine.yaml", "--filter"])]
#[case::explain_without_name(&["explain"])]
#[case::unknown_shell(&["completions", "clamshell"])]
#[case::two_folders_to_init(&["init", "a", "b"])]
fn bad_usage_exits_with_2_and_does_nothing(#[case] args: &[&str]) {
    let folder = Folder::with("mine.yaml", MIXED);
    let before = folder.content();
    let called = folder.call(args);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""), "{}", called.stderr);
    assert!(called.stderr.starts_with("error: ") || args.is_empty(), "{}", called.stderr);
    assert_eq!(folder.content(), before);
}

#[rstest]
#[case::help(&["--help"])]
#[case::help_of_run(&["run", "--help"])]
#[case::version(&["--version"])]
fn asking_for_help_is_no_mistake(#[case] args: &[&str]) {
    let called = Folder::new().call(args);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert!(
        called.stdout.contains("wfp-conformance") || called.stdout.contains("--filter"),
        "{}",
        called.stdout
    );
}

// The other commands.

#[test]
fn list_prints_each_case_with_its_features_and_requirements_and_runs_nothing() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["list", "mine.yaml"]);
    assert_eq!(
        called.stdout,
        "mine#careful  [tcp, redirect, remote-host]  chains.bounded\n\
         mine#forgets  [tcp, redirect, remote-host, kernel-view]  chains.never-set\n\
         mine#hopes  [tcp, redirect, remote-host]  chains.never-set, chains.bounded\n"
    );
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn check_counts_the_cases_of_sound_files_and_runs_nothing() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["check", "mine.yaml"]);
    let stdout = "3 cases, nothing wrong\n".to_owned();
    assert_eq!(called, Called { exit: 0, stdout, stderr: String::new() });
}

#[test]
fn check_shows_every_error_of_every_file() {
    let folder = Folder::with("one.yaml", MIXED.replace("from: app", "from: ape"));
    folder.write("two.yaml", "schema: wfp-conformance/scenario/v1\ncases: 7\n");
    let called = folder.call(&["check", "one.yaml", "two.yaml"]);
    let places: Vec<&str> =
        called.stderr.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(places, ["one.yaml:10:24", "one.yaml:16:24", "one.yaml:22:24", "two.yaml:2:8"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
}

#[test]
fn schema_prints_a_json_schema_that_names_the_keys_of_a_file() {
    let called = Folder::new().call(&["schema"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    let schema: serde_json::Value = serde_json::from_str(&called.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["schema"]["const"], "wfp-conformance/scenario/v1");
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "callouts",
            "cases",
            "features",
            "hosts",
            "processes",
            "profile",
            "requirements",
            "schema",
            "services",
            "title",
            "use",
            "variants"
        ]
    );
    assert!(called.stdout.ends_with("}\n"));
}

#[rstest]
#[case::error("WSAENOTCONN", "WSAENOTCONN (10057)\n\nThe socket is not connected.\n")]
#[case::error_by_number("10057", "WSAENOTCONN (10057)\n\nThe socket is not connected.\n")]
#[case::state(
    "redirected-by-self",
    "redirected-by-self (FWPS_CONNECTION_REDIRECTED_BY_SELF)\n\nThe last redirect was by the asking handle."
)]
#[case::state_by_its_constant(
    "FWPS_CONNECTION_REDIRECTED_BY_SELF",
    "redirected-by-self (FWPS_CONNECTION_REDIRECTED_BY_SELF)\n"
)]
#[case::feature("dual-stack", "dual-stack: a feature of backends\n\nIPv6 sockets that serve IPv4 too.\n")]
#[case::requirement("chains.bounded", "chains.bounded: a requirement\n\n")]
#[case::profile_field("set-twice", "set-twice: a field of the behaviour profile\n\n")]
#[case::end("stalled", "stalled: how a followed connection ends\n\n")]
#[case::why("never-set", "never-set: why a connection goes round\n\n")]
#[case::code(
    "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS",
    "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS (0x980000DE)\n\n"
)]
fn explain_says_what_a_name_means(#[case] name: &str, #[case] begins: &str) {
    let called = Folder::new().call(&["explain", name]);
    assert!(called.stdout.starts_with(begins), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[rstest]
#[case("errors", "WSAENOTCONN (10057)")]
#[case("states", "previously-redirected-by-self")]
#[case("features", "dual-stack")]
#[case("requirements", "chains.bounded")]
#[case("profile", "set-twice")]
#[case("ends", "stalled")]
#[case("codes", "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS (0x980000DE)")]
#[case("precedence", "Where several causes hold at once, the first of these decides:")]
fn explain_lists_the_names_of_a_kind(#[case] kind: &str, #[case] name: &str) {
    let called = Folder::new().call(&["explain", kind]);
    assert!(called.stdout.lines().any(|line| line == name), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[rstest]
#[case::near("set-twize", "error: nothing here is named `set-twize`; did you mean `set-twice`?\n")]
#[case::far(
    "xyzzy",
    "error: nothing here is named `xyzzy`; errors, states, features, requirements, profile, ends, codes, precedence \
     list what there is\n"
)]
fn explain_of_an_unknown_name_is_bad_usage_and_names_the_nearest(#[case] name: &str, #[case] message: &str) {
    let called = Folder::new().call(&["explain", name]);
    assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message.to_owned() });
}

#[rstest]
#[case::default(&["init"], "scenarios")]
#[case::named(&["init", "a/new/folder"], "a/new/folder")]
fn init_writes_a_first_scenario_that_passes(#[case] args: &[&str], #[case] dir: &str) {
    let folder = Folder::new();
    let called = folder.call(args);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert!(called.stdout.contains("wfp-conformance run -v "), "{}", called.stdout);
    let files: Vec<String> = folder.content().into_keys().filter(|name| !name.ends_with('/')).collect();
    assert_eq!(files, [format!("{dir}/my-driver.yaml"), format!("{dir}/scenario.schema.json")]);
    // The file names the schema beside it, so that editors complete it.
    let scenario = folder.read(&files[0]);
    assert!(scenario.starts_with("# yaml-language-server: $schema=scenario.schema.json\n"));
    assert_eq!(folder.read(&files[1]), folder.call(&["schema"]).stdout);

    let run = folder.call(&["run", dir]);
    assert!(run.stdout.contains("\n3 cases: 3 passed, 0 failed, 0 skipped in "), "{}", run.stdout);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
}

#[rstest]
#[case("my-driver.yaml")]
#[case("scenario.schema.json")]
fn init_leaves_what_is_there_as_it_is(#[case] there: &str) {
    let folder = Folder::with(&format!("scenarios/{there}"), "mine");
    let before = folder.content();
    let called = folder.call(&["init"]);
    let path = std::path::Path::new("scenarios").join(there);
    let message = format!("error: {} is there already, and was left as it is\n", path.display());
    assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message });
    assert_eq!(folder.content(), before);
}

#[test]
fn init_that_cannot_write_exits_with_5() {
    let folder = Folder::with("scenarios", "a file, where a folder is wanted");
    let called = folder.call(&["init"]);
    assert_eq!((called.exit, called.stdout.as_str()), (5, ""));
    assert!(called.stderr.starts_with("error: scenarios could not be written: "), "{}", called.stderr);
}

#[rstest]
#[case("bash", "complete -F _wfp__conformance ")]
#[case("zsh", "#compdef wfp-conformance")]
#[case("fish", "complete -c wfp-conformance")]
#[case("powershell", "Register-ArgumentCompleter")]
#[case("elvish", "edit:completion:arg-completer[wfp-conformance]")]
fn completions_are_a_script_for_the_shell(#[case] shell: &str, #[case] contains: &str) {
    let called = Folder::new().call(&["completions", shell]);
    assert!(called.stdout.contains(contains), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

// Output that nobody reads.

#[rstest]
#[case::run(&["run"])]
#[case::list(&["list"])]
#[case::check(&["check"])]
#[case::schema(&["schema"])]
#[case::explain(&["explain", "requirements"])]
#[case::completions(&["completions", "bash"])]
fn output_that_nobody_reads_any_more_is_no_error(#[case] args: &[&str]) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let folder = Folder::new();
    let output = folder.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
