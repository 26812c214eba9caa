//! The catalogue of requirements: what the documents say that a case can check.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::{Diagnostic, Source, from_node, parse};

/// The version of the catalogue's format.
const SCHEMA: &str = "wfp-conformance/requirements/v1";

/// A statement of the documents, in our own words.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Requirement {
    /// Its name. It never changes.
    pub id: String,
    /// What is required.
    pub text: String,
    /// Where it stands.
    pub source: String,
    /// How sure it is.
    pub kind: Kind,
    /// Entries of `docs/behaviour.md` that say more.
    #[serde(default)]
    pub see: Vec<String>,
    /// The fields of the behaviour profile that choose the answer.
    #[serde(default)]
    pub values: Vec<String>,
    /// Why no case can check it. Such a requirement has no case; every other one has.
    #[serde(default)]
    pub untestable: Option<String>,
}

/// How sure a requirement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The documents agree.
    Exact,
    /// They contradict each other, or say nothing while code expects one of several answers.
    OneOf,
    /// Nothing is known.
    Probe,
}

impl Kind {
    /// As reports and the catalogue have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::OneOf => "one_of",
            Self::Probe => "probe",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    requirements: Vec<Requirement>,
}

/// All requirements, by id.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    requirements: BTreeMap<String, Requirement>,
}

/// The files of the catalogue.
const FILES: &[(&str, &str)] = &[
    ("callout.yaml", include_str!("../requirements/callout.yaml")),
    ("chains.yaml", include_str!("../requirements/chains.yaml")),
    ("context.yaml", include_str!("../requirements/context.yaml")),
    ("datagrams.yaml", include_str!("../requirements/datagrams.yaml")),
    ("drivers.yaml", include_str!("../requirements/drivers.yaml")),
    ("kernel.yaml", include_str!("../requirements/kernel.yaml")),
    ("records.yaml", include_str!("../requirements/records.yaml")),
    ("set.yaml", include_str!("../requirements/set.yaml")),
    ("overlapped.yaml", include_str!("../requirements/overlapped.yaml")),
    ("sockets.yaml", include_str!("../requirements/sockets.yaml")),
];

static BUILT_IN: LazyLock<Result<Catalogue, Diagnostic>> = LazyLock::new(|| Catalogue::read(FILES));
static EMPTY: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

impl Catalogue {
    /// The catalogue that is built in.
    #[must_use]
    pub fn built_in() -> &'static Self {
        // That it can be read is held by a test.
        BUILT_IN.as_ref().unwrap_or_else(|_| LazyLock::force(&EMPTY))
    }

    fn read(files: &[(&str, &str)]) -> Result<Self, Diagnostic> {
        let mut requirements = BTreeMap::new();
        for (name, text) in files {
            let root = parse(&Source::new(*name, *text))?;
            let file: File = from_node(&root)?;
            if file.schema != SCHEMA {
                return Err(Diagnostic::at(&root.span, format!("the schema is not `{SCHEMA}`")));
            }
            for requirement in file.requirements {
                if let Some(twice) = requirements.insert(requirement.id.clone(), requirement) {
                    return Err(Diagnostic::new(format!("{name}: `{}` is there twice", twice.id)));
                }
            }
        }
        Ok(Self { requirements })
    }

    /// A requirement by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wfp_sim::profile::Field;

    #[test]
    fn built_in_catalogue_can_be_read_and_names_known_profile_fields() {
        let catalogue = Catalogue::read(FILES).unwrap();
        assert!(catalogue.requirements.len() > 100);
        for requirement in catalogue.iter() {
            for field in &requirement.values {
                assert!(Field::by_name(field).is_some(), "{}: {field}", requirement.id);
            }
            assert!(requirement.values.is_empty() || requirement.kind != Kind::Exact, "{}", requirement.id);
        }
    }

    #[test]
    fn requirement_that_is_there_twice_is_refused() {
        let text = "schema: wfp-conformance/requirements/v1\nrequirements:\n\
                    - {id: a, text: t, source: s, kind: exact}\n- {id: a, text: t, source: s, kind: probe}\n";
        let error = Catalogue::read(&[("x.yaml", text)]).unwrap_err();
        assert_eq!(error.to_string(), "x.yaml: `a` is there twice");
    }
}
