//! `sweep`: tables, what fails, and the report.

use serde_json::{Value, json};

use crate::common::Folder;

/// Two clients under three readings, with nothing expected of them.
const SWEEP: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts: {driver: {redirect-to: proxy}}
services: {proxy: {listen: 'loopback:1001'}}
cases:
  - id: clients
    title: Who is still there.
    variants:
      client:
        grows: {services: {proxy: {client: grows-on-10014}}}
        size-first: {services: {proxy: {client: size-first}}}
      set:
        in-time: {}
        late: {services: {proxy: {set: after-connect}}}
      reading:
        nt-mapped: {profile: {base: nt-mapped}}
        documented: {profile: {base: documented}}
    steps: [{name: journey, follow: {from: app, to: 'server:443'}}]
";

const TABLE: &str = "\
mine#clients
Who is still there.

  set in-time
  client      nt-mapped  documented
  grows       reached    closed: records 122
  size-first  reached    reached

  set late
  client      nt-mapped                documented
  grows       loop: set-after-connect  closed: records 122
  size-first  loop: set-after-connect  loop: set-after-connect

  reached in every cell: none
  reached in no cell: none

122 ERROR_INSUFFICIENT_BUFFER
8 cells: 2 closed, 3 loop, 3 reached
";

#[test]
fn table_has_a_row_for_each_variant_of_the_first_axis_and_a_column_for_each_of_the_last() {
    let folder = Folder::with("mine.yaml", SWEEP);
    for arguments in [vec![], vec!["--profile", "doc-parameters"], vec!["--jobs", "1"]] {
        let called = folder.call(&[&["sweep", "mine.yaml"], &arguments[..]].concat());
        assert_eq!(called.stdout, TABLE);
        assert_eq!((called.exit, called.stderr.as_str()), (0, ""), "a table is a result, and no failure");
    }
}

#[test]
fn case_with_one_axis_is_a_table_of_one_column() {
    let one = "    variants: {client: {careful: {}, forgets: {services: {proxy: {set: never}}}}}\n";
    let (before, after) = SWEEP.split_once("    variants:").unwrap();
    let (_, after) = after.split_once("    steps:").unwrap();
    let folder = Folder::with("mine.yaml", format!("{before}{one}    steps:{after}"));
    let called = folder.call(&["sweep", "mine.yaml"]);
    assert_eq!(
        called.stdout,
        "mine#clients\nWho is still there.\n\n  client\n  careful  reached\n  forgets  loop: never-set\n\n  \
         reached in every cell: careful\n  reached in no cell: forgets\n\n2 cells: 1 loop, 1 reached\n"
    );
}

#[test]
fn cell_that_is_not_as_the_file_expects_is_marked_told_of_and_exits_with_1() {
    let expects = SWEEP.replace("'server:443'}}]", "'server:443'}, expect: {outcome: {end: reached}}}]");
    let folder = Folder::with("mine.yaml", expects);
    let called = folder.call(&["sweep", "mine.yaml"]);
    assert!(
        called.stdout.contains("\n  grows       reached    closed: records 122 (!)\n"),
        "{}",
        called.stdout
    );
    assert!(called.stdout.contains(
        "\nmine#clients@grows+in-time+documented: expected end reached; observed end closed after 1 connect\n"
    ));
    assert!(called.stdout.ends_with("\n8 cells: 2 closed, 3 loop, 3 reached; 5 not as the file expects\n"));
    assert_eq!((called.exit, called.stderr.as_str()), (1, ""));
}

#[test]
fn report_has_every_cell_with_its_row_its_column_and_why() {
    let folder = Folder::with("mine.yaml", SWEEP);
    let called = folder.call(&["sweep", "mine.yaml", "--seed", "7", "--report", "json=sweep.json"]);
    assert_eq!((called.exit, called.stdout.as_str()), (0, TABLE));
    let report: Value = serde_json::from_str(&folder.read("sweep.json")).unwrap();
    assert_eq!(report["schema"], "wfp-conformance/sweep/v1");
    assert_eq!((&report["profile"], &report["seed"]), (&json!("documented"), &json!(7)));
    assert_eq!(
        report["summary"],
        json!({"cells": 8, "unexpected": 0, "ends": {"closed": 2, "loop": 3, "reached": 3}})
    );
    let table = &report["tables"][1];
    assert_eq!(table["at"], json!([{"axis": "set", "variant": "late"}]));
    assert_eq!(table["rows"], json!({"axis": "client", "variants": ["grows", "size-first"]}));
    assert_eq!(table["columns"], json!({"axis": "reading", "variants": ["nt-mapped", "documented"]}));
    let outcomes: Vec<&Value> =
        table["cells"].as_array().unwrap().iter().map(|cell| &cell["outcome"]).collect();
    let cycle = json!({"services": ["proxy"], "records_lost_at": "proxy", "why": "set-after-connect"});
    let looping = json!({"end": "loop", "connects": 3, "cycle": cycle, "because": "set-after-connect"});
    let closed = json!({
        "end": "closed", "connects": 1, "cycle": null, "because": "records ERROR_INSUFFICIENT_BUFFER"
    });
    assert_eq!(outcomes, [&looping, &closed, &looping, &looping]);
    assert_eq!(
        table["cells"][1],
        json!({
            "case": "mine#clients@grows+late+documented", "row": "grows", "column": "documented",
            "status": "passed", "reason": null, "outcome": closed
        })
    );
}

#[test]
fn report_that_cannot_be_written_exits_with_5() {
    let folder = Folder::with("mine.yaml", SWEEP);
    let called = folder.call(&["sweep", "mine.yaml", "--report", "json=nowhere/sweep.json"]);
    assert_eq!(called.exit, 5);
    assert!(called.stderr.contains("nowhere/sweep.json could not be written"), "{}", called.stderr);
}

#[test]
fn file_without_variants_is_nothing_to_sweep_over() {
    let folder = Folder::with("mine.yaml", crate::MIXED);
    let called = folder.call(&["sweep", "mine.yaml"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    assert_eq!(
        called.stderr,
        "error: mine.yaml: no case has variants, so there is nothing to sweep over; an axis of `variants` makes the \
         rows of a table, another one its columns\n"
    );
}

#[test]
fn mistake_in_a_file_is_told_with_its_place_and_nothing_is_run() {
    let folder = Folder::with("mine.yaml", SWEEP.replace("client: size-first", "client: size-furst"));
    let called = folder.call(&["sweep", "mine.yaml"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    assert!(called.stderr.starts_with("error: there is no client `size-furst`\n"), "{}", called.stderr);
    let called = folder.call(&["sweep", "none.yaml"]);
    assert_eq!((called.exit, called.stdout.as_str()), (2, ""));
    assert!(called.stderr.contains("none.yaml"), "{}", called.stderr);
}
