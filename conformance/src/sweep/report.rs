//! Tables for scripts, schema `wfp-conformance/sweep/v1`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Because, Table};
use crate::follow::Cycle;
use crate::run::{Options, Status};
use crate::vocabulary::Identity;

/// The version of the report's format.
const SCHEMA: &str = "wfp-conformance/sweep/v1";

/// What a sweep found, in the order in which it is written.
#[derive(Clone, Debug, Serialize)]
pub struct SweepReport {
    schema: &'static str,
    backend: Backend,
    profile: String,
    seed: u64,
    summary: Summary,
    tables: Vec<TableReport>,
}

/// What the cells were run on.
#[derive(Clone, Debug, Serialize)]
pub struct Backend {
    name: String,
    version: String,
    os: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Summary {
    cells: usize,
    unexpected: usize,
    ends: BTreeMap<&'static str, usize>,
}

#[derive(Clone, Debug, Serialize)]
struct TableReport {
    case: String,
    file: String,
    line: usize,
    title: Option<String>,
    at: Vec<At>,
    rows: AxisReport,
    columns: Option<AxisReport>,
    cells: Vec<CellReport>,
}

#[derive(Clone, Debug, Serialize)]
struct At {
    axis: String,
    variant: String,
}

#[derive(Clone, Debug, Serialize)]
struct AxisReport {
    axis: String,
    variants: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct CellReport {
    case: String,
    row: String,
    column: Option<String>,
    status: &'static str,
    reason: Option<String>,
    outcome: Option<OutcomeReport>,
}

#[derive(Clone, Debug, Serialize)]
struct OutcomeReport {
    end: &'static str,
    connects: u32,
    cycle: Option<Cycle>,
    because: Option<String>,
}

impl SweepReport {
    /// What a sweep on this backend found.
    #[must_use]
    pub fn new(tables: &[Table<'_>], options: &Options, identity: &Identity) -> Self {
        let mut summary = Summary::default();
        for cell in tables.iter().flat_map(|table| &table.cells) {
            summary.cells += 1;
            summary.unexpected += usize::from(cell.status() == Status::Failed);
            let end = cell.run.ending().map_or(cell.run.status.name(), |ending| ending.end.name());
            *summary.ends.entry(end).or_default() += 1;
        }
        Self {
            schema: SCHEMA,
            backend: Backend {
                name: identity.name.clone(),
                version: identity.version.clone(),
                os: identity.os.clone(),
            },
            profile: options.profile_name.clone(),
            seed: options.seed,
            summary,
            tables: tables.iter().map(TableReport::of).collect(),
        }
    }

    /// The report as JSON, with a line break at its end.
    ///
    /// # Errors
    /// Where the report cannot be serialized.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl TableReport {
    fn of(table: &Table<'_>) -> Self {
        let axis = |axis: &super::Axis| AxisReport {
            axis: axis.name.to_string(),
            variants: axis.variants.iter().map(ToString::to_string).collect(),
        };
        let cells = table.cells.iter().map(|cell| CellReport {
            case: cell.case.name.clone(),
            row: cell.row().to_owned(),
            column: table.columns.as_ref().map(|_| cell.column().to_owned()),
            status: cell.status().name(),
            reason: cell.reason(),
            outcome: cell.run.ending().map(|ending| OutcomeReport {
                end: ending.end.name(),
                connects: ending.connects,
                cycle: ending.cycle.clone(),
                because: Because::of(ending).map(|why| why.to_string()),
            }),
        });
        Self {
            case: table.case.to_owned(),
            file: table.file.to_owned(),
            line: table.line,
            title: table.title.map(str::to_owned),
            at: table
                .at
                .iter()
                .map(|variant| At { axis: variant.axis.to_string(), variant: variant.name.to_string() })
                .collect(),
            rows: axis(&table.rows),
            columns: table.columns.as_ref().map(axis),
            cells: cells.collect(),
        }
    }
}
