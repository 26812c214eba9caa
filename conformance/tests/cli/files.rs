//! Which files are read, and what their cases are named.

use rstest::rstest;
use wfp_conformance::scenario::Suite;
use wfp_sim::Profile;

use crate::MIXED;
use crate::common::{Called, Folder};

fn built_in() -> Vec<String> {
    Suite::built_in(&Profile::default()).unwrap().cases.into_iter().map(|case| case.name).collect()
}

/// The names that `list` prints.
fn listed(called: &Called) -> Vec<&str> {
    called.stdout.lines().map(|line| line.split("  ").next().unwrap()).collect()
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

#[rstest]
#[case::twice(&["mine.yaml", "mine.yaml"], "mine.yaml", None)]
#[case::by_another_name(&["mine.yaml", "./mine.yaml"], "./mine.yaml", Some("both `mine.yaml` and `./mine.yaml` name it"))]
#[case::with_its_folder(&["all", "all/one.yaml"], "all/one.yaml", Some("both `all` and `all/one.yaml` name it"))]
#[case::folder_twice(&["all", "all"], "all/one.yaml", None)]
fn file_that_is_named_twice_is_bad_usage_in_one_message(
    #[case] paths: &[&str],
    #[case] file: &str,
    #[case] help: Option<&str>,
) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("all/one.yaml", MIXED);
    folder.write("all/two.yaml", MIXED);
    let help = help.map_or(String::new(), |help| format!(" |\n = help: {help}\n"));
    let stderr = format!("error: {file}: this file is named twice\n{help}");
    for command in ["run", "list", "check"] {
        let called = folder.call(&[&[command], paths].concat());
        assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: stderr.clone() });
    }
}

/// What a terminal would act upon: a change of colour, and of the direction of writing.
#[cfg(unix)]
#[test]
fn names_of_files_and_things_reach_the_terminal_as_text() {
    let text = MIXED.replace("driver", "\"dri\\u202Ever\\e[31m\"");
    let folder = Folder::with("mi\u{1b}[31mne\u{202e}.yaml", text);
    for args in [&["run", "-v", "."][..], &["run", "."], &["list", "."], &["check", "no\u{1b}[31m.yaml"]] {
        let called = folder.call(args);
        let shown = called.stdout + &called.stderr;
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{args:?}: {shown:?}");
        assert!(shown.contains(r"\u{1b}[31m"), "{args:?}: {shown}");
    }
}
