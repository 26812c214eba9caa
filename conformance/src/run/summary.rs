//! What a person reads after a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::report::left_open;
use super::{CaseRun, Options, Status, TraceForm, trace};
use crate::follow::Ending;
use crate::printable::printable;
use crate::scenario::{LoadedCase, Suite};
use crate::vocabulary::{Features, Identity};
use crate::yaml::Diagnostic;

/// The text of a run: a block for each file, what failed in full, and the count.
pub struct Summary<'a> {
    /// What was run.
    pub suite: &'a Suite,
    /// What came of it.
    pub runs: &'a [CaseRun],
    /// How.
    pub options: &'a Options,
    /// On what.
    pub identity: &'a Identity,
    /// What that can do.
    pub features: &'a Features,
    /// How long it took.
    pub elapsed: Duration,
    /// In which form to show the trace of each case, if at all.
    pub trace: Option<TraceForm>,
    /// Whether to style the text for a terminal.
    pub styled: bool,
}

/// Runs with more cases than this show a line for each file instead of one for each case.
const FULL_RUN: usize = 40;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();

impl Summary<'_> {
    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut pairs: Vec<(&LoadedCase, &CaseRun)> = self.suite.cases.iter().zip(self.runs).collect();
        while let Some((first, _)) = pairs.first() {
            let file = path(first);
            let end = pairs.iter().position(|(case, _)| path(case) != file).unwrap_or(pairs.len());
            let rest = pairs.split_off(end);
            self.write_file(&mut text, file, &pairs);
            pairs = rest;
        }
        self.write_failures(&mut text);
        self.write_count(&mut text);
        text
    }

    /// Each case in a line; in a long run only those that did not pass, and the rest in one.
    fn write_file(&self, text: &mut String, file: &str, cases: &[(&LoadedCase, &CaseRun)]) {
        let in_full = self.trace.is_some() || self.runs.len() <= FULL_RUN;
        // Writing to a string does not fail.
        if in_full {
            let _ = writeln!(text, "{}", printable(file));
        } else {
            let passed = cases.iter().map(|(_, run)| *run).filter(|run| run.status == Status::Passed);
            let all = cases.iter().all(|(_, run)| run.status == Status::Passed);
            let word = if all { self.paint(GREEN, "ok  ") } else { "    ".to_owned() };
            let _ = writeln!(text, "{word} {}  {}", printable(file), endings(passed));
        }
        for (case, run) in cases.iter().filter(|(_, run)| in_full || run.status != Status::Passed) {
            self.write_case(text, case, run);
        }
    }

    fn write_case(&self, text: &mut String, case: &LoadedCase, run: &CaseRun) {
        let (style, word) = match run.status {
            Status::Passed => (GREEN, "ok  "),
            Status::Failed => (RED, "FAIL"),
            Status::Skipped => (YELLOW, "skip"),
            Status::ExpectedFailure => (YELLOW, "fail, as expected"),
            Status::UnexpectedPass => (RED, "PASS, unexpected"),
        };
        let id = case.name.split_once('#').map_or(case.name.as_str(), |(_, id)| id);
        let _ = write!(text, "  {} {id}", self.paint(style, word));
        match (run.ending(), &run.reason) {
            (Some(ending), _) => {
                let _ = write!(text, "  {}", printable(&outcome(ending)));
            }
            (None, Some(reason)) => {
                let _ = write!(text, "  {}", printable(reason));
            }
            (None, None) => {}
        }
        text.push('\n');
        match self.trace {
            None => {}
            Some(TraceForm::Text) => {
                for line in trace::lines(&run.events).lines() {
                    let _ = writeln!(text, "         {}", printable(line));
                }
            }
            Some(TraceForm::Mermaid) => {
                for line in run.diagrams().iter().flat_map(|diagram| diagram.lines()) {
                    let _ = writeln!(text, "         {line}");
                }
            }
        }
    }

    fn write_failures(&self, text: &mut String) {
        for (case, run) in self.suite.cases.iter().zip(self.runs) {
            let Some(failure) = run.failure.as_ref().filter(|_| run.status == Status::Failed) else {
                continue;
            };
            let step = if failure.step == 0 {
                "outside its steps".to_owned()
            } else {
                format!("step {}", failure.step)
            };
            let error = Diagnostic::at(&failure.span, format!("{}, {step}", case.name))
                .with_label(format!("expected: {}", failure.expected))
                .with_help(format!("observed: {}", failure.observed));
            let _ = writeln!(text, "\n{}", error.render(self.styled));
            if !failure.behind.is_empty() {
                let _ = writeln!(text, "  the calls up to the difference, as few as were found:");
            }
            for call in &failure.behind {
                let _ = writeln!(text, "    {}", printable(call));
            }
            if let Some(ending) = run.ending().filter(|_| self.trace != Some(TraceForm::Text)) {
                for line in trace::hops(ending).lines() {
                    let _ = writeln!(text, "  {}", printable(line));
                }
            }
        }
    }

    fn write_count(&self, text: &mut String) {
        let count = |status| self.runs.iter().filter(|run| run.status == status).count();
        let (passed, failed, skipped) =
            (count(Status::Passed), count(Status::Failed), count(Status::Skipped));
        let (expected, unexpected) = (count(Status::ExpectedFailure), count(Status::UnexpectedPass));
        let style = if failed + unexpected > 0 { RED } else { GREEN };
        let mut counted = format!("{passed} passed, {failed} failed, {skipped} skipped");
        if expected > 0 {
            let _ = write!(counted, ", {expected} failed as expected");
        }
        if unexpected > 0 {
            let _ = write!(counted, ", {unexpected} passed unexpectedly");
        }
        let cases = if self.runs.len() == 1 { "case" } else { "cases" };
        let _ = writeln!(
            text,
            "\n{} {cases}: {} in {:.2} s, on {} with the profile {}, seed {}",
            self.runs.len(),
            self.paint(style, &counted),
            self.elapsed.as_secs_f64(),
            self.identity.name,
            printable(&self.options.profile_name),
            self.options.seed,
        );
        if let Some(what) = left_open(self.suite, self.runs, self.features) {
            let _ = writeln!(text, "partial: {what}");
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.styled { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The part of a case's name that its file gives.
fn path(case: &LoadedCase) -> &str {
    case.name.split('#').next().unwrap_or_default()
}

/// How many cases passed, and how the connections ended that they followed.
fn endings<'a>(runs: impl Iterator<Item = &'a CaseRun>) -> String {
    let mut passed = 0;
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        passed += 1;
        if let Some(ending) = run.ending() {
            *ends.entry(ending.end.name()).or_default() += 1;
        }
    }
    let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    if ends.is_empty() { format!("{passed} passed") } else { format!("{passed} passed: {}", ends.join(", ")) }
}

/// How a connection ended, in half a line.
fn outcome(ending: &Ending) -> String {
    let connects = if ending.connects == 1 { "connect" } else { "connects" };
    match &ending.cycle {
        None => format!("{}, {} {connects}", ending.end, ending.connects),
        Some(cycle) => {
            let services = cycle.services.join(" -> ");
            match &cycle.records_lost_at {
                Some(at) => format!("loop of {services}: records lost at {at}, {}", cycle.why),
                None => format!("loop of {services}: {}", cycle.why),
            }
        }
    }
}
