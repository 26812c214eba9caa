//! Which cases tell the values of a profile field apart: `probes.yaml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::yaml::{Diagnostic, Source, from_node, parse};

/// The version of the table's format.
pub const SCHEMA: &str = "wfp-conformance/probes/v1";

/// The table that is built in, as text.
pub const TEXT: &str = include_str!("../../probes.yaml");

/// Which cases tell the values of each field apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// [`SCHEMA`].
    pub schema: String,
    /// Names of cases, by the name of the field.
    pub cases: BTreeMap<String, Vec<String>>,
}

static BUILT_IN: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT).unwrap_or_default());

impl Table {
    /// The table that is built in.
    #[must_use]
    pub fn built_in() -> &'static Self {
        // That it can be read is held by a test.
        &BUILT_IN
    }

    /// Reads a table.
    ///
    /// # Errors
    /// Where it is none, with the place.
    pub fn read(text: &str) -> Result<Self, Diagnostic> {
        let root = parse(&Source::new("probes.yaml", text))?;
        let table: Self = from_node(&root)?;
        if table.schema != SCHEMA {
            return Err(Diagnostic::at(&root.span, format!("the schema is not `{SCHEMA}`")));
        }
        Ok(table)
    }

    /// The names of the cases of a field.
    pub fn of<'a>(&'a self, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.cases.get(field).into_iter().flatten().map(String::as_str)
    }
}
