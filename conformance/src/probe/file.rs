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
        let _ = writeln!(text, "  {}: {}", requirement.id, quoted(&standing(requirement, measured)));
    }
    text
}

/// How much was measured, in a line.
#[must_use]
pub fn summary(measured: &Measured) -> String {
    let fields = measured.fields.iter().filter(|(_, finding)| finding.value().is_some()).count();
    let all = doubtful().filter(|requirement| !requirement.values.is_empty()).count();
    let known = doubtful().filter(|requirement| standing(requirement, measured) == MEASURED).count();
    format!(
        "{fields} of {} profile fields measured, and with them {known} of the {all} doubtful requirements that \
         fields decide",
        measured.fields.len()
    )
}

const MEASURED: &str = "measured";

/// The requirements that a machine decides.
fn doubtful() -> impl Iterator<Item = &'static Requirement> {
    Catalogue::built_in().iter().filter(|requirement| requirement.kind != Kind::Exact)
}

/// Whether the fields that a requirement leaves the answer to were measured.
fn standing(requirement: &Requirement, measured: &Measured) -> String {
    if requirement.values.is_empty() {
        return "decided by no field: the report of `run` says what was observed".to_owned();
    }
    let is_missing = |name: &&String| {
        let finding = measured.fields.iter().find(|(field, _)| field.name == **name);
        finding.is_none_or(|(_, finding)| finding.value().is_none())
    };
    let missing: Vec<&str> = requirement.values.iter().filter(is_missing).map(String::as_str).collect();
    if missing.is_empty() { MEASURED.to_owned() } else { format!("not measured: {}", missing.join(", ")) }
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
