//! Files that are no text, or none at all; and how text is stored.

use rstest::rstest;

use crate::common::{Called, Folder};
use crate::{SOUND, assert_message, refuse, refuse_text, sound_but};

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
