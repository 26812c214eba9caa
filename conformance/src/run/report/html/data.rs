//! The cases of the page, as its script reads them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{CaseReport, Report};
use super::HtmlPage;
use crate::run::trace::{Sequence, sequences};

#[derive(Serialize)]
pub(super) struct Data<'a> {
    /// What is shown first: `cases` where something went wrong, else `requirements`.
    view: &'static str,
    /// The cases as their files write them; several cases come from one text where there are variants.
    sources: Vec<&'a str>,
    cases: Vec<Case<'a>>,
}

#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    file: &'a str,
    line: usize,
    status: &'static str,
    reason: Option<&'a str>,
    requirements: &'a [String],
    features: &'a [&'static str],
    us: u64,
    failure: Option<Failure<'a>>,
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Answer<'a>>,
    /// The number of its text.
    source: Option<usize>,
    parts: Vec<Sequence>,
}

#[derive(Serialize)]
struct Failure<'a> {
    step: usize,
    expected: &'a str,
    observed: &'a str,
    at: String,
    behind: &'a [String],
}

/// What came of the same case on the model.
#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    reason: Option<&'a str>,
}

impl<'a> Data<'a> {
    pub(super) fn of(page: &HtmlPage<'a>) -> Self {
        let Report { cases: reports, .. } = page.report;
        let mut sources = Sources::default();
        let model: BTreeMap<&str, &CaseReport> =
            page.model.iter().flat_map(|model| &model.cases).map(|case| (case.name.as_str(), case)).collect();
        let cases = reports.iter().enumerate().map(|(index, report)| Case {
            name: &report.name,
            file: &report.file,
            line: report.line,
            status: report.status,
            reason: report.reason.as_deref(),
            requirements: &report.requirements,
            features: &report.features,
            us: report.duration_us,
            failure: report.failure.as_ref().map(|failure| Failure {
                step: failure.step,
                expected: &failure.expected,
                observed: &failure.observed,
                at: report.place().to_string(),
                behind: &failure.behind,
            }),
            outcome: report.outcome.as_ref().map(ToString::to_string),
            model: model
                .get(report.name.as_str())
                .map(|case| Answer { status: case.status, reason: case.reason.as_deref() }),
            source: page.suite.cases.get(index).map(|case| sources.number(case.tree.span.text())),
            parts: page.runs.get(index).map_or_else(Vec::new, |run| sequences(&run.events).collect()),
        });
        let cases = cases.collect();
        let view = if reports.iter().any(CaseReport::fails) { "cases" } else { "requirements" };
        Self { view, sources: sources.texts, cases }
    }

    /// As JSON that can stand in a `script` element: nothing in it ends the element or begins a comment.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)?.replace('<', r"\u003c"))
    }
}

/// Texts, each of them once.
#[derive(Default)]
struct Sources<'a> {
    texts: Vec<&'a str>,
    numbers: BTreeMap<&'a str, usize>,
}

impl<'a> Sources<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}
