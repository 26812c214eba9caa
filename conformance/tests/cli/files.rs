//! Which files are read, and what their cases are named.

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
