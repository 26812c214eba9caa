//! Bad usage, help, and output that nobody reads.

use std::process::Stdio;

use rstest::rstest;

use crate::MIXED;
use crate::common::Folder;

#[rstest]
#[case::no_command(&[])]
#[case::unknown_command(&["rune"])]
#[case::explore(&["explore", "mine.yaml"])]
#[case::beside(&["beside", "mine.yaml"])]
#[case::sweep(&["sweep", "mine.yaml"])]
#[case::unknown_option(&["run", "mine.yaml", "--nonsense"])]
#[case::report_without_format(&["run", "mine.yaml", "--report", "report.json"])]
#[case::report_without_file(&["run", "mine.yaml", "--report", "json="])]
#[case::one_report_of_two(&["run", "mine.yaml", "--report", "json=report.json", "--report", "pdf=report.pdf"])]
#[case::unknown_backend(&["run", "mine.yaml", "--backend", "simm"])]
#[case::exec_without_command(&["run", "mine.yaml", "--backend", "exec:"])]
#[case::no_time(&["run", "mine.yaml", "--time-limit", "0"])]
#[case::agent_of_another_machine(&["agent", "--backend", "exec:true"])]
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
