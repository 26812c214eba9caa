//! `requirements`: what the documents say that can be checked, and the cases that check it.

use std::io::Write;

use super::{Exit, Stop};
use crate::printable::printable;
use crate::requirements::{Catalogue, Requirement};
use crate::scenario::Suite;

/// The catalogue with the cases of a suite; with `uncovered`, only what none of them covers.
pub(super) fn requirements(suite: &Suite, uncovered: bool, out: &mut dyn Write) -> Result<Exit, Stop> {
    let covering = suite.by_requirement();
    let mut exit = Exit::Success;
    for requirement in Catalogue::built_in().iter() {
        let cases = covering.get(requirement.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        if !uncovered {
            full(requirement, suite, cases, out)?;
        } else if cases.is_empty() {
            writeln!(out, "{}  {}", requirement.id, without_case(requirement))?;
            if requirement.untestable.is_none() {
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn full(
    requirement: &Requirement,
    suite: &Suite,
    cases: &[usize],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let Requirement { id, text, source, kind, .. } = requirement;
    writeln!(out, "{id}  [{}]\n    {text}\n    Source: {source}", kind.name())?;
    if cases.is_empty() {
        writeln!(out, "    {}", without_case(requirement))?;
    }
    for case in cases.iter().filter_map(|index| suite.cases.get(*index)) {
        writeln!(out, "      {}", printable(&case.name))?;
    }
    Ok(())
}

fn without_case(requirement: &Requirement) -> String {
    match &requirement.untestable {
        Some(reason) => format!("untestable: {reason}"),
        None => "UNCOVERED".to_owned(),
    }
}
