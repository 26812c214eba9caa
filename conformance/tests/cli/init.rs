//! `init`.

use rstest::rstest;

use crate::common::{Called, Folder};

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
    assert!(run.stdout.contains("\n4 cases: 4 passed, 0 failed, 0 skipped in "), "{}", run.stdout);
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
