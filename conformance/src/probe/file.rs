//! What was measured, as a profile file.

use std::fmt::Write as _;

use super::measure::{Finding, Measured};
use crate::profile_file::SCHEMA;
use crate::requirements::{Catalogue, Kind, Requirement};

/// The profile file: the fields that were measured, and for every field what was seen or why nothing was.
#[must_use]
pub fn written(measured: &Measured, base: &str) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "schema: {SCHEMA}\nbase: {base}\nmeasured-on:");
    let identity = &measured.identity;
    let _ = writeln!(text, "  name: {}\n  version: {}", quoted(&identity.name), quoted(&identity.version));
    if let Some(os) = &identity.os {
        let _ = writeln!(text, "  os: {}", quoted(os));
    }
    let found: Vec<_> =
        measured.fields.iter().filter_map(|(field, finding)| Some((field, finding.value()?))).collect();
    let _ = writeln!(text, "fields:{}", if found.is_empty() { " {}" } else { "" });
    for (field, value) in found {
        let _ = writeln!(text, "  {}: {value}", field.name);
    }
    let _ = writeln!(text, "evidence:");
    for (field, finding) in &measured.fields {
        let _ = writeln!(text, "  {}: {}", field.name, quoted(&words(finding)));
    }
    let _ = writeln!(text, "requirements:");
    for requirement in doubtful() {
        let _ = writeln!(text, "  {}: {}", requirement.id, quoted(&standing_words(requirement, measured)));
    }
    text
}

/// How much was measured, in a line.
#[must_use]
pub fn summary(measured: &Measured) -> String {
    let given = measured.fields.iter().filter(|(_, finding)| is_given(finding)).count();
    let fields = measured.fields.iter().filter(|(_, finding)| finding.value().is_some()).count() - given;
    let standings: Vec<Standing<'_>> =
        doubtful().filter(|all| !all.values.is_empty()).map(|one| standing(one, measured)).collect();
    let known = standings.iter().filter(|standing| matches!(standing, Standing::Measured)).count();
    let said = standings.iter().filter(|standing| matches!(standing, Standing::Given(_))).count();
    format!(
        "{fields} of {} profile fields measured{}, and with them {known} of the {} doubtful requirements that \
         fields decide{}",
        measured.fields.len(),
        also_given(given),
        standings.len(),
        also_given(said),
    )
}

fn also_given(count: usize) -> String {
    if count == 0 { String::new() } else { format!(", {count} given") }
}

/// The requirements that a machine decides.
fn doubtful() -> impl Iterator<Item = &'static Requirement> {
    Catalogue::built_in().iter().filter(|requirement| requirement.kind != Kind::Exact)
}

/// Where the answer to a requirement comes from.
enum Standing<'a> {
    /// No field decides it.
    NoField,
    /// Every field that decides it was measured.
    Measured,
    /// Nobody measured these fields of it, but their values were said; the others were measured.
    Given(Vec<&'a str>),
    /// These fields of it are not known.
    Missing(Vec<&'a str>),
}

fn is_given(finding: &Finding) -> bool {
    matches!(finding, Finding::Given { .. })
}

/// Whether the fields that a requirement leaves the answer to were measured.
fn standing<'a>(requirement: &'a Requirement, measured: &Measured) -> Standing<'a> {
    if requirement.values.is_empty() {
        return Standing::NoField;
    }
    let finding = |name: &str| {
        let mut all = measured.fields.iter();
        all.find(|(field, _)| field.name == name).map(|(_, finding)| finding)
    };
    let names = || requirement.values.iter().map(String::as_str);
    let missing: Vec<&str> =
        names().filter(|name| finding(name).and_then(Finding::value).is_none()).collect();
    let given: Vec<&str> = names().filter(|name| finding(name).is_some_and(is_given)).collect();
    match (missing.is_empty(), given.is_empty()) {
        (false, _) => Standing::Missing(missing),
        (true, false) => Standing::Given(given),
        (true, true) => Standing::Measured,
    }
}

/// The standing of a requirement, in words.
fn standing_words(requirement: &Requirement, measured: &Measured) -> String {
    match standing(requirement, measured) {
        Standing::NoField => "decided by no field: the report of `run` says what was observed".to_owned(),
        Standing::Measured => "measured".to_owned(),
        Standing::Given(fields) if fields.len() == requirement.values.len() => "given".to_owned(),
        Standing::Given(fields) => format!("measured in part; given: {}", fields.join(", ")),
        Standing::Missing(fields) => format!("not measured: {}", fields.join(", ")),
    }
}

fn words(finding: &Finding) -> String {
    match finding {
        Finding::Measured { evidence, .. } => evidence.clone(),
        Finding::OneOf { alike, evidence, .. } => {
            format!("not told apart: {}; {evidence}", alike.join(" | "))
        }
        Finding::None { evidence } => format!("none of the known values: {evidence}"),
        Finding::NotMeasured { why } => format!("not measured: {why}"),
        Finding::Given { .. } => "given, not measured".to_owned(),
    }
}

/// A text in double quotes, as JSON and YAML both have it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
