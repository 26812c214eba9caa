//! What a run found, as data. As JSON it is the report that scripts read, schema `wfp-conformance/report/v1`; the other
//! forms are made from the same data.

mod github;
mod html;
mod junit;
mod markdown;
#[cfg(test)]
mod sample;

use std::collections::BTreeSet;
use std::fmt;

pub use html::HtmlPage;
pub use markdown::MARKDOWN_LIMIT;

use indexmap::IndexMap;
use serde::Serialize;

use super::trace::Trace;
use super::{CaseRun, Failure, NOT_RUN, Options, Status};
use crate::follow::{Cycle, Ending};
use crate::regressions::Role;
use crate::requirements::{Catalogue, Kind};
use crate::scenario::Suite;
use crate::vocabulary::{Feature, Features, Identity};

/// The version of the report's format.
const SCHEMA: &str = "wfp-conformance/report/v1";

/// What a run found, in the order in which it is written.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    backend: BackendReport,
    profile: String,
    seed: u64,
    verdict: Verdict,
    summary: Counts,
    cases: Vec<CaseReport>,
    requirements: Vec<RequirementReport>,
}

#[derive(Clone, Debug, Serialize)]
struct BackendReport {
    name: String,
    version: String,
    os: Option<String>,
    features: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Conformant,
    Partial,
    NotConformant,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::Partial => "partial",
            Self::NotConformant => "not conformant",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    expected_failures: usize,
    unexpected_passes: usize,
}

#[derive(Clone, Debug, Serialize)]
struct CaseReport {
    name: String,
    file: String,
    line: usize,
    status: &'static str,
    reason: Option<String>,
    requirements: Vec<String>,
    features: Vec<&'static str>,
    duration_us: u64,
    failure: Option<FailureReport>,
    outcome: Option<OutcomeReport>,
    /// The regressions that it shows, and what of each.
    regressions: IndexMap<String, Role>,
    /// Each connection that it followed, hop by hop.
    traces: Vec<Trace>,
}

#[derive(Clone, Debug, Serialize)]
struct FailureReport {
    step: usize,
    line: usize,
    /// The file of that line, which is another than the case's where it `use`s one; not in the JSON.
    #[serde(skip)]
    file: String,
    /// The column in that line, from 1; not in the JSON.
    #[serde(skip)]
    column: usize,
    expected: String,
    observed: String,
    /// The fewest calls up to where two backends differ; not in the JSON.
    #[serde(skip)]
    behind: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct OutcomeReport {
    end: &'static str,
    connects: u32,
    cycle: Option<Cycle>,
}

impl fmt::Display for OutcomeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} {}",
            self.end,
            self.connects,
            if self.connects == 1 { "connect" } else { "connects" }
        )?;
        match &self.cycle {
            Some(cycle) => write!(f, ": {} ({})", cycle.services.join(" -> "), cycle.why),
            None => Ok(()),
        }
    }
}

impl OutcomeReport {
    fn of(ending: &Ending) -> Self {
        Self { end: ending.end.name(), connects: ending.connects, cycle: ending.cycle.clone() }
    }
}

#[derive(Clone, Debug, Serialize)]
struct RequirementReport {
    id: String,
    text: String,
    source: String,
    kind: Kind,
    status: RequirementStatus,
    observed: Vec<String>,
    cases: Vec<String>,
}

/// What the cases say of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementStatus {
    /// Every case that covers it and ran has passed.
    Met,
    /// One has failed.
    Broken,
    /// All of them were skipped.
    Skipped,
    /// No case covers it.
    Uncovered,
}

impl RequirementStatus {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
            Self::Uncovered => "uncovered",
        }
    }
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn new(
        suite: &Suite,
        runs: &[CaseRun],
        options: &Options,
        identity: &Identity,
        features: &Features,
    ) -> Self {
        let mut summary = Counts::default();
        for run in runs {
            match run.status {
                Status::Passed => summary.passed += 1,
                Status::Failed => summary.failed += 1,
                Status::Skipped => summary.skipped += 1,
                Status::ExpectedFailure => summary.expected_failures += 1,
                Status::UnexpectedPass => summary.unexpected_passes += 1,
            }
        }
        let cases = suite
            .cases
            .iter()
            .zip(runs)
            .map(|(case, run)| CaseReport {
                name: case.name.clone(),
                file: case.file.clone(),
                line: case.line,
                status: run.status.name(),
                reason: run.reason.clone().or_else(|| run.failure.as_ref().map(reason)),
                requirements: case.case.requirements.clone(),
                features: case.features.iter().map(|feature| feature.name()).collect(),
                duration_us: u64::try_from(run.duration.as_micros()).unwrap_or(u64::MAX),
                failure: run.failure.as_ref().map(|failure| FailureReport {
                    step: failure.step,
                    line: failure.span.line(),
                    file: failure.span.source.name.clone(),
                    column: failure.span.column(),
                    expected: failure.expected.clone(),
                    observed: failure.observed.clone(),
                    behind: failure.behind.clone(),
                }),
                outcome: run.ending().map(OutcomeReport::of),
                regressions: case.case.regressions.clone(),
                traces: run.followed().map(|followed| Trace::of(followed.step, &followed.ending)).collect(),
            })
            .collect();
        Self {
            schema: SCHEMA,
            backend: BackendReport {
                name: identity.name.clone(),
                version: identity.version.clone(),
                os: identity.os.clone(),
                features: features.iter().copied().map(Feature::name).collect(),
            },
            profile: options.profile_name.clone(),
            seed: options.seed,
            verdict: verdict(suite, runs, features),
            summary,
            cases,
            requirements: requirements(suite, runs),
        }
    }

    fn requirement(&self, id: &str) -> Option<&RequirementReport> {
        self.requirements.iter().find(|requirement| requirement.id == id)
    }

    /// The report as JSON, with a line break at its end.
    ///
    /// # Errors
    /// Where the report cannot be serialized.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl CaseReport {
    /// The parts of its name: what its file gives, and its own.
    fn name_parts(&self) -> (&str, &str) {
        self.name.split_once('#').unwrap_or(("", &self.name))
    }

    /// Whether it fails the run.
    fn fails(&self) -> bool {
        !matches!(self.status, "passed" | "skipped" | "expected_failure")
    }

    /// Whether it was skipped for what it is, and not because another failed before it.
    fn is_skipped_for_itself(&self) -> bool {
        self.status == "skipped" && !self.reason.as_ref().is_some_and(|why| why.starts_with(NOT_RUN))
    }

    /// Where it went wrong, else where it begins.
    fn place(&self) -> Place<'_> {
        match &self.failure {
            Some(FailureReport { file, line, column, .. }) => {
                Place { file, line: *line, column: Some(*column) }
            }
            None => Place { file: &self.file, line: self.line, column: None },
        }
    }
}

/// A place in a file of scenarios.
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match self.column {
            Some(column) => write!(f, ":{column}"),
            None => Ok(()),
        }
    }
}

/// Where nothing deviates: what the backend left open of what every machine has to show.
pub(super) fn left_open(suite: &Suite, runs: &[CaseRun], features: &Features) -> Option<String> {
    if deviates(runs) {
        return None;
    }
    let mut pairs = suite.cases.iter().zip(runs);
    if pairs.any(|(case, run)| run.status == Status::Skipped && case.is_core()) {
        return Some("skipped were also cases that every machine should take".to_owned());
    }
    let core = Feature::ALL.iter().map(|(feature, _)| *feature).filter(|feature| feature.is_core());
    let lacks: Vec<&str> = core.filter(|feature| !features.contains(feature)).map(Feature::name).collect();
    (!lacks.is_empty()).then(|| format!("every machine should have {} too", lacks.join(", ")))
}

fn deviates(runs: &[CaseRun]) -> bool {
    runs.iter().any(|run| matches!(run.status, Status::Failed | Status::ExpectedFailure))
}

/// A known deviation is a deviation; and who was not asked about the core cannot be called conformant.
fn verdict(suite: &Suite, runs: &[CaseRun], features: &Features) -> Verdict {
    if deviates(runs) {
        Verdict::NotConformant
    } else if suite.is_cut || left_open(suite, runs, features).is_some() {
        Verdict::Partial
    } else {
        Verdict::Conformant
    }
}

/// A failure in a line.
fn reason(failure: &Failure) -> String {
    let Failure { step, expected, observed, .. } = failure;
    format!("{}: expected {expected}; observed {observed}", step_words(*step))
}

fn step_words(step: usize) -> String {
    if step == 0 { "after the last step".to_owned() } else { format!("step {step}") }
}

fn requirements(suite: &Suite, runs: &[CaseRun]) -> Vec<RequirementReport> {
    let covering = suite.by_requirement();
    let report = |requirement: &crate::requirements::Requirement| {
        let indexes = covering.get(requirement.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let any = |status| indexes.iter().any(|index| runs[*index].status == status);
        let status = if indexes.is_empty() {
            RequirementStatus::Uncovered
        } else if any(Status::Failed) || any(Status::ExpectedFailure) {
            RequirementStatus::Broken
        } else if any(Status::Passed) || any(Status::UnexpectedPass) {
            RequirementStatus::Met
        } else {
            RequirementStatus::Skipped
        };
        let seen: BTreeSet<&String> = indexes.iter().flat_map(|index| &runs[*index].observed).collect();
        RequirementReport {
            id: requirement.id.clone(),
            text: requirement.text.clone(),
            source: requirement.source.clone(),
            kind: requirement.kind,
            status,
            observed: seen.into_iter().cloned().collect(),
            cases: indexes.iter().map(|index| suite.cases[*index].name.clone()).collect(),
        }
    };
    Catalogue::built_in().iter().map(report).collect()
}
