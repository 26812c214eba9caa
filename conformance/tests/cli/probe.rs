//! `probe`: what a machine is found to answer, as a profile.

use rstest::rstest;

use crate::common::Folder;

#[test]
fn measured_profile_is_one_that_run_takes() {
    let folder = Folder::with("mine.yaml", crate::MIXED);
    let probed = folder.call(&["probe", "--profile", "nt-mapped", "-o", "measured.yaml"]);
    assert_eq!((probed.exit, probed.stdout.as_str()), (0, ""), "{}", probed.stderr);
    assert!(probed.stderr.starts_with("91 of 91 profile fields measured"), "{}", probed.stderr);
    let text = folder.read("measured.yaml");
    let start = "schema: wfp-conformance/profile/v1\nbase: documented\nmeasured-on:\n  name: \"sim\"\n";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("\n  too-small: WSAEFAULT, needed\n"), "{text}");
    let evidence = "\n  unknown-code: \"buffers/unknown-codes#";
    assert!(text.contains(evidence), "{text}");
    let run = folder.call(&["run", "mine.yaml", "--filter", "careful", "--profile", "measured.yaml"]);
    assert_eq!(run.exit, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("with the profile measured.yaml"), "{}", run.stdout);
}

#[test]
fn given_field_is_taken_as_it_is_said() {
    let probed = Folder::new().call(&["probe", "--given", "windows-version=windows-7"]);
    assert_eq!(probed.exit, 0, "{}", probed.stderr);
    assert!(probed.stdout.contains("\n  windows-version: windows-7\n"), "{}", probed.stdout);
    let evidence = "\n  windows-version: \"given, not measured\"\n";
    assert!(probed.stdout.contains(evidence), "{}", probed.stdout);
}

#[test]
fn given_field_is_not_counted_as_measured() {
    let given = ["--given", "set-twice=append", "--given", "query-on-raw=WSAENOPROTOOPT"];
    let probed = Folder::new().call(&[&["probe"], &given[..]].concat());
    assert_eq!(probed.exit, 0, "{}", probed.stderr);
    let told = "89 of 91 profile fields measured, 2 given, and with them 112 of the 114 doubtful requirements that \
                fields decide, 2 given\n";
    assert_eq!(probed.stderr, told);
    for standing in
        ["set.twice: \"given\"", "datagrams.codes-on-raw: \"measured in part; given: query-on-raw\""]
    {
        assert!(probed.stdout.contains(&format!("\n  {standing}\n")), "{}", probed.stdout);
    }
}

#[rstest]
#[case::no_machine(&["--backend", "replay:a.trace"], 2, "`replay:a.trace` cannot be probed")]
#[case::no_base(&["--base", "nope"], 2, "`nope` is no built-in profile; built in are documented, ")]
#[case::no_value(&["--given", "set-twice"], 2, "--given set-twice: a field is given as FIELD=VALUE")]
#[case::no_field(&["--given", "set-twize=append"], 2, "there is no profile field `set-twize`")]
#[case::no_such_value(&["--given", "set-twice=often"], 2, "known are `replace`, `append`")]
#[case::no_number(&["--given", "context-limit=7"], 2, "it is a number from 256 to 1048576")]
#[case::dead_machine(&["--backend", "exec:wfp-no-such-command"], 3, "the backend broke: ")]
#[case::no_folder(&["-o", "nowhere/out.yaml"], 5, "nowhere/out.yaml could not be written: there is no folder nowhere")]
fn what_cannot_be_done_is_told_and_nothing_is_written(
    #[case] arguments: &[&str],
    #[case] exit: i32,
    #[case] message: &str,
) {
    let folder = Folder::new();
    let mut all = vec!["probe"];
    all.extend(arguments);
    let probed = folder.call(&all);
    assert_eq!(probed.exit, exit, "{}", probed.stderr);
    let stderr = probed.stderr.replace('\\', "/");
    assert!(stderr.contains(message), "{stderr}");
    assert_eq!(probed.stdout, "");
    assert!(folder.content().is_empty());
}

#[rstest]
#[case::machine("measured-on: {colour: red}", "p.yaml:2:15", "unknown key `colour`")]
#[case::evidence("evidence: {set-twize: x}", "p.yaml:2:12", "there is no profile field `set-twize`")]
#[case::requirement("requirements: {nope: measured}", "p.yaml:2:16", "there is no requirement `nope`")]
#[case::fields_in_a_list("fields: [a]", "p.yaml:2:9", "`fields` is a map of texts")]
#[case::fields_in_a_word("fields: hello", "p.yaml:2:9", "`fields` is a map of texts")]
#[case::fields_in_a_number("fields: 3", "p.yaml:2:9", "`fields` is a map of texts")]
#[case::no_value("fields: {set-twice: [append]}", "p.yaml:2:21", "a text is expected here")]
#[case::no_map("evidence: [a]", "p.yaml:2:11", "`evidence` is a map of texts")]
#[case::no_text("evidence: {set-twice: [a]}", "p.yaml:2:23", "a text is expected here")]
fn mistake_in_a_profile_file_is_told_with_its_place(
    #[case] line: &str,
    #[case] place: &str,
    #[case] message: &str,
) {
    let folder = Folder::with("mine.yaml", crate::MIXED);
    folder.write("p.yaml", format!("schema: wfp-conformance/profile/v1\n{line}\n"));
    let run = folder.call(&["run", "mine.yaml", "--profile", "p.yaml"]);
    assert_eq!(run.exit, 2, "{}", run.stdout);
    assert!(run.stderr.contains(&format!("error: {message}\n")), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("--> {place}\n")), "{}", run.stderr);
}
