//! `requirements`.

use crate::MIXED;
use crate::common::{Called, Folder};

#[test]
fn requirements_are_listed_with_kind_source_and_the_cases_that_cover_each() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["requirements", "mine.yaml"]);
    let bounded = "\nchains.bounded  [exact]\n    \
        A chain of services that all carry their records ends after at most one connect more than there are handles.\n    \
        Source: driver-docs: Using Proxied Connections Tracking, Querying the Redirect State; docs/behaviour.md, \"Chains\"\n      \
        mine#careful\n      mine#hopes\nchains.by-other-stop  [exact]\n";
    assert!(called.stdout.contains(bounded), "{}", called.stdout);
    let without = "\n    UNCOVERED\ncallout.acquire-effect  [one_of]\n";
    assert!(called.stdout.contains(without), "{}", called.stdout);
    let untestable =
        "\nrecords.header  [exact]\n    The three codes are declared in mstcpip.h.\n    Source: ";
    let (_, rest) = called.stdout.split_once(untestable).unwrap();
    let reason = "untestable: the name of a header is seen when a program is built, and by no call";
    assert_eq!(rest.lines().nth(1).map(str::trim), Some(reason));
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn uncovered_shows_what_the_suite_that_is_built_in_cannot_test_and_why_and_nothing_else() {
    let called = Folder::new().call(&["requirements", "--uncovered"]);
    let header =
        "records.header  untestable: the name of a header is seen when a program is built, and by no call";
    assert!(called.stdout.lines().any(|line| line == header), "{}", called.stdout);
    assert!(called.stdout.lines().all(|line| line.contains("  untestable: ")), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn uncovered_fails_where_a_requirement_has_neither_a_case_nor_a_reason() {
    let folder = Folder::with("mine.yaml", MIXED);
    let called = folder.call(&["requirements", "--uncovered", "mine.yaml"]);
    let lines: Vec<&str> = called.stdout.lines().filter(|line| line.starts_with("chains.")).collect();
    assert_eq!(lines.first(), Some(&"chains.by-other-stop  UNCOVERED"));
    assert!(
        !lines.iter().any(|line| line.starts_with("chains.bounded") || line.starts_with("chains.never-set "))
    );
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""));
}

#[test]
fn case_that_covers_a_requirement_which_cannot_be_tested_is_invalid() {
    let folder =
        Folder::with("mine.yaml", MIXED.replace("[chains.bounded]", "[chains.bounded, records.header]"));
    let called = folder.call(&["requirements", "mine.yaml"]);
    let Called { exit, stdout, stderr } = called;
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(
        stderr.starts_with("error: `records.header` is a requirement that no case can check\n"),
        "{stderr}"
    );
    assert!(stderr.contains("--> mine.yaml:8:36\n"), "{stderr}");
    let help = "= help: the catalogue says why: the name of a header is seen when a program is built, and by no call";
    assert!(stderr.contains(help), "{stderr}");
}

#[test]
fn explain_says_why_no_case_can_check_a_requirement() {
    let called = Folder::new().call(&["explain", "records.header"]);
    let last = called.stdout.lines().last();
    let reason = "No case can check it: the name of a header is seen when a program is built, and by no call";
    assert_eq!(last, Some(reason));
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}
