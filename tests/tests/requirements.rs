//! The catalogue and the suite are in step: what the documents say has a case, or a reason why it has none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rstest::rstest;
use wfp_conformance::regressions::Regression;
use wfp_conformance::requirements::{Catalogue, Kind};
use wfp_conformance::scenario::Suite;
use wfp_sim::Profile;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn every_requirement_has_a_case_or_a_reason_why_not_and_none_has_both() {
    let suite = Suite::load(&[root().join("scenarios")], &Profile::documented()).unwrap();
    let covering = suite.by_requirement();
    let wrong: Vec<&str> = Catalogue::built_in()
        .iter()
        .filter(|requirement| {
            covering.contains_key(requirement.id.as_str()) == requirement.untestable.is_some()
        })
        .map(|requirement| requirement.id.as_str())
        .collect();
    assert_eq!(wrong, Vec::<&str>::new());
}

/// What the first column of a table of `docs/behaviour.md` names.
fn listed(section: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/behaviour.md")).expect("the page can be read");
    let (_, table) = page.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    rows.filter(|id| *id != "id").map(str::to_owned).collect()
}

/// Each contradiction leaves a choice to measure, and each unknown something to be seen.
#[rstest]
#[case::contradictions("Contradictions", "C-", Kind::OneOf, 50)]
#[case::unknowns("Unknowns", "U-", Kind::Probe, 22)]
fn every_doubt_of_the_page_is_a_requirement_of_its_kind(
    #[case] section: &str,
    #[case] prefix: &str,
    #[case] kind: Kind,
    #[case] count: usize,
) {
    let named: BTreeSet<String> = Catalogue::built_in()
        .iter()
        .filter(|requirement| requirement.kind == kind)
        .flat_map(|requirement| &requirement.see)
        .filter(|id| id.starts_with(prefix))
        .cloned()
        .collect();
    let listed = listed(section);
    assert_eq!(listed.len(), count);
    assert_eq!(named, listed);
}

#[test]
fn everything_that_a_requirement_points_to_is_on_the_page_of_behaviour() {
    let mut known: BTreeSet<String> =
        Regression::all().iter().map(|regression| regression.id.clone()).collect();
    known.extend(listed("Contradictions"));
    known.extend(listed("Unknowns"));
    for requirement in Catalogue::built_in().iter() {
        for id in &requirement.see {
            assert!(known.contains(id), "{}: {id}", requirement.id);
        }
    }
}
