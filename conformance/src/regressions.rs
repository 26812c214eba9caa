//! The regressions: what once went wrong in the field, or pins down a rule. Cases say which of them they show.
//!
//! Source: docs/behaviour.md, "Regressions", whose table is made from here.

use std::fmt;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::{Diagnostic, Source, from_node, parse};

/// The version of the list's format.
const SCHEMA: &str = "wfp-conformance/regressions/v1";

const TEXT: &str = include_str!("../regressions.yaml");

/// Something that once went wrong, or that pins down a rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Its name, `R1` and so on. It never changes.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it comes from.
    pub cause: String,
    /// What happens, or must happen.
    pub expected: String,
    /// Where it was seen or stands.
    pub source: String,
}

/// What a case shows of a regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// How it goes wrong.
    Fault,
    /// How it goes right where the fault is mended.
    Mend,
    /// What is right, or pinned down, without a fault.
    Rule,
}

impl Role {
    /// Every role, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Fault, Self::Mend, Self::Rule];

    /// The name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Mend => "mend",
            Self::Rule => "rule",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    regressions: Vec<Regression>,
}

static BUILT_IN: LazyLock<Result<Vec<Regression>, Diagnostic>> = LazyLock::new(|| read(TEXT));

fn read(text: &str) -> Result<Vec<Regression>, Diagnostic> {
    let root = parse(&Source::new("regressions.yaml", text))?;
    let file: File = from_node(&root)?;
    if file.schema != SCHEMA {
        return Err(Diagnostic::at(&root.span, format!("the schema is not `{SCHEMA}`")));
    }
    Ok(file.regressions)
}

impl Regression {
    /// All of them, by their numbers.
    #[must_use]
    pub fn all() -> &'static [Self] {
        // That the list can be read is held by a test.
        BUILT_IN.as_ref().map(Vec::as_slice).unwrap_or_default()
    }

    /// The regression with this id.
    #[must_use]
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|regression| regression.id == id)
    }

    /// The ids of all, for editors.
    pub(crate) fn ids() -> Vec<&'static str> {
        Self::all().iter().map(|regression| regression.id.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regressions_are_numbered_from_1_to_31_and_each_says_what_it_is_and_where_it_stands() {
        let regressions = read(TEXT).unwrap();
        let ids: Vec<&str> = regressions.iter().map(|regression| regression.id.as_str()).collect();
        let numbers: Vec<String> = (1..=31).map(|number| format!("R{number}")).collect();
        assert_eq!(ids, numbers);
        for Regression { id, title, cause, expected, source } in &regressions {
            for text in [title, cause, expected, source] {
                // A `|` would end a cell of the tables that are made from them.
                assert!(!text.is_empty() && !text.contains(['|', '\n']), "{id}: {text}");
            }
        }
    }

    #[test]
    fn list_of_another_version_is_refused() {
        let error = read("schema: wfp-conformance/regressions/v2\nregressions: []\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "regressions.yaml:1:1: the schema is not `wfp-conformance/regressions/v1`"
        );
    }
}
