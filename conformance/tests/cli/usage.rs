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
#[case::run(&["run", "mine.yaml"])]
#[case::probe(&["probe"])]
fn backend_that_cannot_be_here_is_bad_usage_and_no_broken_backend(#[case] command: &[&str]) {
    let folder = Folder::with("mine.yaml", MIXED);
    for (args, what) in [
        (&["--backend", "exec:'x y"][..], "`exec:'x y`: a quotation mark is missing"),
        (&["--driver", "d"], "--driver is for the backend `windows`, and here it is `sim`; with `exec:` it"),
        (
            &["--driver", "d", "--backend", "exec:x agent"],
            "--driver is for the backend `windows`, and here it is `exec:x agent`; with `exec:` it belongs inside \
             the quotes: 'exec:… agent --driver COMMAND'\n",
        ),
    ] {
        let called = folder.call(&[command, args].concat());
        assert_eq!((called.exit, called.stdout.as_str()), (2, ""), "{}", called.stderr);
        assert!(called.stderr.starts_with(&format!("error: {what}")), "{}", called.stderr);
    }
}

#[cfg(not(windows))]
#[rstest]
#[case::run(&["run", "mine.yaml", "--backend", "windows"])]
#[case::one_of_two(&["run", "mine.yaml", "--backend", "diff:sim,windows"])]
#[case::probe(&["probe", "--backend", "windows", "--driver", "d"])]
#[case::agent(&["agent", "--backend", "windows"])]
fn windows_elsewhere_is_bad_usage_and_says_how_to_reach_it(#[case] args: &[&str]) {
    let called = Folder::with("mine.yaml", MIXED).call(args);
    let told = "error: the backend `windows` is there on Windows only; from elsewhere it is reached with `exec:`, as \
                in 'exec:ssh HOST wfp-conformance agent'\n";
    assert_eq!((called.exit, called.stdout.as_str(), called.stderr.as_str()), (2, "", told));
}

#[test]
fn agent_of_the_model_has_no_driver() {
    let called = Folder::new().call(&["agent", "--backend", "sim", "--driver", "d"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    let start = "error: --driver is for the backend `windows`, and here it is `sim`; ";
    assert!(called.stderr.starts_with(start), "{}", called.stderr);
}

#[test]
fn help_names_the_backends_that_a_command_takes() {
    let backends = |command: &str| {
        let help = Folder::new().call(&[command, "--help"]).stdout;
        let (_, told) = help.split_once("--backend").unwrap();
        told.split("--driver").next().unwrap().to_owned()
    };
    assert!(backends("run").contains("sim, windows, exec:COMMAND, replay:FILE, or diff:A,B"));
    for (command, all) in [("probe", "sim, windows, or exec:COMMAND"), ("agent", "sim or windows")] {
        let told = backends(command);
        assert!(told.contains(all) && !told.contains("replay"), "{told}");
    }
}

#[rstest]
#[case::nothing("0")]
#[case::less("-1")]
#[case::no_time("1e-12")]
#[case::too_long("86401")]
#[case::far_too_long("1e300")]
#[case::endless("inf")]
#[case::no_number("nan")]
#[case::word("soon")]
fn time_limit_out_of_bounds_is_told_with_them(#[case] limit: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["run", "mine.yaml", &format!("--time-limit={limit}")]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    assert!(
        called.stderr.contains("a limit is a number of seconds above 0 and up to 86400\n"),
        "{}",
        called.stderr
    );
    let longest = folder.call(&["run", "mine.yaml", "--filter", "careful", "--time-limit", "86400"]);
    assert_eq!((longest.exit, longest.stderr.as_str()), (0, ""));
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
