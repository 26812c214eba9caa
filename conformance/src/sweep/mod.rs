//! Cases over their axes of variants, as tables: which client survives which reading of the documents.
//!
//! The first axis of a case makes the rows of its tables, the last one the columns, and each combination of those
//! between them a table of its own. A table is a result: only what the file itself expects can fail.

mod report;
mod text;

use std::fmt;
use std::sync::Arc;

pub use report::{Backend, SweepReport};

use crate::follow::{End, Ending, Note, Unanswered, Why};
use crate::run::{CaseRun, Status};
use crate::scenario::{LoadedCase, Suite, Variant};

/// The cells of one case, for one combination of the axes that are neither its rows nor its columns.
#[derive(Debug)]
pub struct Table<'a> {
    /// The case, as its name has it before the variants.
    pub case: &'a str,
    /// The file that it stands in.
    pub file: &'a str,
    /// The line of its `id`.
    pub line: usize,
    /// What it shows.
    pub title: Option<&'a str>,
    /// The variants that all cells share.
    pub at: &'a [Variant],
    /// The axis of the rows, and its variants.
    pub rows: Axis,
    /// The axis of the columns, and its variants; none where the case has one axis.
    pub columns: Option<Axis>,
    /// Row by row.
    pub cells: Vec<Cell<'a>>,
}

/// An axis of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: Arc<str>,
    /// Its variants, in their order.
    pub variants: Vec<Arc<str>>,
}

/// What came of one case.
#[derive(Debug)]
pub struct Cell<'a> {
    /// The case.
    pub case: &'a LoadedCase,
    /// What came of it.
    pub run: &'a CaseRun,
}

impl<'a> Table<'a> {
    /// The tables of the cases that have variants, in the order of their files.
    #[must_use]
    pub fn of(suite: &'a Suite, runs: &'a [CaseRun]) -> Vec<Self> {
        let mut cells: Vec<Cell<'a>> = suite
            .cases
            .iter()
            .zip(runs)
            .filter(|(case, _)| !case.variants.is_empty())
            .map(|(case, run)| Cell { case, run })
            .collect();
        cells.sort_by_key(|Cell { case, .. }| {
            let (row, at, column) = split(&case.variants);
            (case.file.as_str(), case.line, at, row, column)
        });
        let mut tables: Vec<Self> = Vec::new();
        for cell in cells {
            let (row, at, column) = split(&cell.case.variants);
            let case = cell.case.name.split('@').next().unwrap_or_default();
            let is_same =
                |table: &Self| table.file == cell.case.file && table.line == cell.case.line && table.at == at;
            if !tables.last().is_some_and(is_same) {
                let axis = |variant: &Variant| Axis { name: Arc::clone(&variant.axis), variants: Vec::new() };
                let Some(row) = row else { continue };
                tables.push(Self {
                    case,
                    file: &cell.case.file,
                    line: cell.case.line,
                    title: cell.case.case.title.as_deref(),
                    at,
                    rows: axis(row),
                    columns: column.map(axis),
                    cells: Vec::new(),
                });
            }
            let Some(table) = tables.last_mut() else { continue };
            for (axis, variant) in [(Some(&mut table.rows), row), (table.columns.as_mut(), column)] {
                if let (Some(axis), Some(variant)) = (axis, variant)
                    && !axis.variants.contains(&variant.name)
                {
                    axis.variants.push(Arc::clone(&variant.name));
                }
            }
            table.cells.push(cell);
        }
        tables
    }

    /// The cells of a row, in the order of the columns.
    fn row(&self, name: &str) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(move |cell| cell.row() == name)
    }
}

/// The variant of the rows; those between; and that of the columns, where there is one.
fn split(variants: &[Variant]) -> (Option<&Variant>, &[Variant], Option<&Variant>) {
    match variants {
        [] => (None, &[], None),
        [row] => (Some(row), &[], None),
        [row, at @ .., column] => (Some(row), at, Some(column)),
    }
}

impl Cell<'_> {
    /// Its row.
    #[must_use]
    pub fn row(&self) -> &str {
        self.case.variants.first().map_or("", |variant| &variant.name)
    }

    /// Its column; empty where the table has one column alone.
    #[must_use]
    pub fn column(&self) -> &str {
        split(&self.case.variants).2.map_or("", |variant| &variant.name)
    }

    /// How it ended as a case. A connection of which the file expects nothing may end as it likes.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.run.failure {
            Some(failure) if !self.is_expected(failure.step) => Status::Passed,
            _ => self.run.status,
        }
    }

    /// Whether the file expects anything of this step, or takes for granted that a call succeeds.
    fn is_expected(&self, step: usize) -> bool {
        let step = step.checked_sub(1).and_then(|step| self.case.case.steps.get(step));
        step.is_none_or(|step| step.follow.is_none() || step.expect.is_some())
    }

    /// Why it failed or was skipped.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match (self.status(), &self.run.failure) {
            (Status::Failed, Some(failure)) => {
                Some(format!("expected {}; observed {}", failure.expected, failure.observed))
            }
            (Status::Skipped, _) => self.run.reason.clone(),
            _ => None,
        }
    }
}

/// Why a connection ended short of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Because {
    /// It goes round.
    Loops(Why),
    /// This call of the last that had it failed so.
    Failed(&'static str, Unanswered),
}

impl Because {
    /// What a loop is for; else what the last connect or service met.
    fn of(ending: &Ending) -> Option<Self> {
        if let Some(cycle) = &ending.cycle {
            return Some(Self::Loops(cycle.why));
        }
        let last = ending.hops.last().filter(|_| ending.end != End::Reached)?;
        if let Some(error) = last.error {
            return Some(Self::Failed("connect", Unanswered::Error(error)));
        }
        last.then.iter().rev().find_map(|note| match note {
            Note::Records(Err(why)) => Some(Self::Failed("records", *why)),
            Note::Context(Err(why)) => Some(Self::Failed("context", *why)),
            Note::Set(_, Err(error)) => Some(Self::Failed("set", Unanswered::Error(*error))),
            Note::NotBound(error) => Some(Self::Failed("bind", Unanswered::Error(*error))),
            _ => None,
        })
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loops(why) => why.fmt(f),
            Self::Failed(what, why) => write!(f, "{what} {why}"),
        }
    }
}

/// Whether anything in these tables is not as its file expects.
#[must_use]
pub fn fails(tables: &[Table<'_>]) -> bool {
    tables.iter().flat_map(|table| &table.cells).any(|cell| cell.status() == Status::Failed)
}

/// Tables as text.
#[must_use]
pub fn render(tables: &[Table<'_>], styled: bool) -> String {
    text::render(tables, styled)
}

/// Whether a cell's connection reached its destination; without a connection whether the case passed.
fn survives(cell: &Cell<'_>) -> bool {
    match cell.run.ending() {
        Some(ending) => ending.end == End::Reached,
        None => cell.run.status == Status::Passed,
    }
}
