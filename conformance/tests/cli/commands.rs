//! `list`, `check`, `schema`, `vendors` and `completions`.

use rstest::rstest;

use crate::MIXED;
use crate::common::{Called, Folder};

#[test]
fn list_prints_each_case_with_its_features_and_requirements_and_runs_nothing() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["list", "mine.yaml"]);
    assert_eq!(
        called.stdout,
        "mine#careful  [tcp, redirect, redirect-records, remote-host]  chains.bounded\n\
         mine#forgets  [tcp, redirect, redirect-records, remote-host, kernel-view]  chains.never-set\n\
         mine#hopes  [tcp, redirect, redirect-records, remote-host]  chains.never-set, chains.bounded\n"
    );
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn list_prints_the_regressions_that_a_case_shows() {
    let folder = Folder::with(
        "mine.yaml",
        MIXED.replace("  - id: forgets\n", "  - id: forgets\n    regressions: {R3: rule, R2: fault}\n"),
    );
    let called = folder.call(&["list", "mine.yaml"]);
    let line = called.stdout.lines().find(|line| line.starts_with("mine#forgets")).unwrap();
    assert!(line.ends_with("  chains.never-set  R3: rule  R2: fault"), "{line}");
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
            "filters",
            "hosts",
            "leaks",
            "processes",
            "profile",
            "regressions",
            "requirements",
            "schema",
            "services",
            "source",
            "title",
            "use",
            "variants"
        ]
    );
    assert!(called.stdout.ends_with("}\n"));
}

#[test]
fn vendors_are_listed_and_the_file_of_one_can_be_used_as_ones_own() {
    let folder = Folder::new();
    let listed = folder.call(&["vendors"]);
    let cooperative = "\ncooperative\n    A driver and a service that do what the documents ask\n";
    assert!(listed.stdout.contains(cooperative), "{}", listed.stdout);
    assert_eq!((listed.exit, listed.stderr.as_str()), (0, ""));
    let names: Vec<&str> = listed.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let shown = folder.call(&["vendors", name]);
        assert!(shown.stdout.starts_with("schema: wfp-conformance/scenario/v1\ntitle: "), "{}", shown.stdout);
        folder.write("mine.yaml", shown.stdout);
        let case = "schema: wfp-conformance/scenario/v1\nuse: [mine.yaml]\nprocesses: {app: {}}\n\
                    cases: [{id: x, steps: [{process: app, op: {socket: {}}}]}]\n";
        folder.write("uses-mine.yaml", case);
        assert_eq!(folder.call(&["check", "uses-mine.yaml"]).stdout, "1 case, nothing wrong\n");
    }
}

#[rstest]
#[case::near("wfp-sampl", "error: there is no vendor `wfp-sampl`; did you mean `wfp-sampler`?\n")]
#[case::far("xyzzy", "error: there is no vendor `xyzzy`; `wfp-conformance vendors` lists them\n")]
#[case::as_in_a_file(
    "vendor:cooperativ",
    "error: there is no vendor `cooperativ`; did you mean `cooperative`?\n"
)]
fn unknown_vendor_is_bad_usage_and_the_nearest_is_named(#[case] name: &str, #[case] message: &str) {
    let called = Folder::new().call(&["vendors", name]);
    assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message.to_owned() });
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
