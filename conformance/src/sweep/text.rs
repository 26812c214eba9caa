//! Tables for a person to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use wfp_sim::WinsockError;

use super::{Because, Cell, Table, survives};
use crate::follow::Unanswered;
use crate::run::Status;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();

/// What stands behind a cell that is not as the file expects.
const UNEXPECTED: &str = " (!)";

pub(super) fn render(tables: &[Table<'_>], styled: bool) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut rest = tables;
    while let Some(first) = rest.first() {
        let end = rest.iter().position(|table| table.case != first.case).unwrap_or(rest.len());
        let (of_case, others) = rest.split_at(end);
        let _ = write_case(&mut text, of_case, styled);
        rest = others;
    }
    let _ = write_errors(&mut text, tables);
    let _ = write_count(&mut text, tables, styled);
    text
}

fn write_case(text: &mut String, tables: &[Table<'_>], styled: bool) -> std::fmt::Result {
    let Some(first) = tables.first() else { return Ok(()) };
    writeln!(text, "{}", paint(BOLD, first.case, styled))?;
    if let Some(title) = first.title {
        writeln!(text, "{title}")?;
    }
    for table in tables {
        writeln!(text)?;
        if !table.at.is_empty() {
            let at: Vec<String> =
                table.at.iter().map(|variant| format!("{} {}", variant.axis, variant.name)).collect();
            writeln!(text, "  {}", paint(BOLD, &at.join(", "), styled))?;
        }
        write_table(text, table, styled)?;
    }
    let everywhere =
        |name: &str, holds: &dyn Fn(&Cell<'_>) -> bool| tables.iter().all(|table| table.row(name).all(holds));
    let rows = || first.rows.variants.iter().map(|name| &**name);
    let always: Vec<&str> = rows().filter(|name| everywhere(name, &survives)).collect();
    let never: Vec<&str> = rows().filter(|name| everywhere(name, &|cell| !survives(cell))).collect();
    writeln!(text)?;
    for (word, names) in [("in every cell", always), ("in no cell", never)] {
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        writeln!(text, "  reached {word}: {names}")?;
    }
    writeln!(text)
}

fn write_table(text: &mut String, table: &Table<'_>, styled: bool) -> std::fmt::Result {
    let columns: Vec<&str> = match &table.columns {
        Some(axis) => axis.variants.iter().map(|name| &**name).collect(),
        None => vec![""],
    };
    let cell = |row: &str, column: &str| {
        let found = table.cells.iter().find(|cell| cell.row() == row && cell.column() == column);
        found.map(|cell| {
            let mark = if cell.status() == Status::Failed { UNEXPECTED } else { "" };
            (format!("{}{mark}", outcome(cell)), if survives(cell) { GREEN } else { RED })
        })
    };
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let rows = &table.rows;
    let first = width(&mut rows.variants.iter().map(|name| name.len()).chain([rows.name.len()]));
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let cells = rows.variants.iter().map(|row| cell(row, column).map_or(0, |(text, _)| text.len()));
            width(&mut cells.chain([column.len()]))
        })
        .collect();
    let mut line = format!("  {:first$}", rows.name);
    for (column, width) in columns.iter().zip(&widths) {
        let _ = write!(line, "  {column:width$}");
    }
    writeln!(text, "{}", line.trim_end())?;
    for row in &rows.variants {
        let mut line = format!("  {row:first$}");
        for (index, (column, width)) in columns.iter().zip(&widths).enumerate() {
            let (content, style) = cell(row, column).unwrap_or_default();
            // Nothing follows the last column, and styles count nothing in a width.
            let padding = if index + 1 == columns.len() { 0 } else { width.saturating_sub(content.len()) };
            let _ = write!(line, "  {}{}", paint(style, &content, styled), " ".repeat(padding));
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

/// How the connection ended, and why, in a few words; without a connection whether the case passed.
fn outcome(cell: &Cell<'_>) -> String {
    let Some(ending) = cell.run.ending() else { return cell.run.status.name().to_owned() };
    match Because::of(ending) {
        None => ending.end.to_string(),
        Some(Because::Failed(what, Unanswered::Error(error))) if error.0 > 0 => {
            format!("{}: {what} {}", ending.end, error.0)
        }
        Some(why) => format!("{}: {why}", ending.end),
    }
}

/// The errors that cells name by their numbers.
fn write_errors(text: &mut String, tables: &[Table<'_>]) -> std::fmt::Result {
    let ending = |cell: &Cell<'_>| Because::of(cell.run.ending()?);
    let errors: BTreeSet<WinsockError> = tables
        .iter()
        .flat_map(|table| &table.cells)
        .filter_map(ending)
        .filter_map(|why| match why {
            Because::Failed(_, Unanswered::Error(error)) if error.0 > 0 => Some(error),
            _ => None,
        })
        .collect();
    let named: Vec<String> = errors.iter().map(|error| format!("{} {error}", error.0)).collect();
    if named.is_empty() { Ok(()) } else { writeln!(text, "{}", named.join(", ")) }
}

fn write_count(text: &mut String, tables: &[Table<'_>], styled: bool) -> std::fmt::Result {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut cells, mut unexpected) = (0, Vec::new());
    for cell in tables.iter().flat_map(|table| &table.cells) {
        cells += 1;
        let end = cell.run.ending().map_or(cell.run.status.name(), |ending| ending.end.name());
        *ends.entry(end).or_default() += 1;
        if cell.status() == Status::Failed {
            unexpected.push(cell);
        }
    }
    for cell in &unexpected {
        let reason = cell.reason().unwrap_or_default();
        writeln!(text, "{}: {reason}", paint(RED, &cell.case.name, styled))?;
    }
    let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    write!(text, "{cells} cells: {}", ends.join(", "))?;
    match unexpected.len() {
        0 => writeln!(text),
        count => writeln!(text, "; {count} not as the file expects"),
    }
}

fn paint(style: Style, text: &str, styled: bool) -> String {
    if styled { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
