//! Running cases on a backend, and what comes of it.

mod bare;
mod case;
mod report;
mod summary;
pub(crate) mod trace;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wfp_sim::Profile;

pub(crate) use case::PATIENCE;
pub use case::run_case;
pub use report::{HtmlPage, MARKDOWN_LIMIT, Report, RequirementStatus};
pub use summary::Summary;
pub use trace::{diagram, hops};

use crate::expectations::Expectations;
use crate::follow::Ending;
use crate::scenario::{LoadedCase, Suite};
use crate::vocabulary::{Backend, BackendFault, Hop, Name};
use crate::yaml::Span;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the machine answers in doubtful cases.
    pub profile: Profile,
    /// The name of that profile.
    pub profile_name: String,
    /// For everything random.
    pub seed: u64,
    /// Cases at once.
    pub jobs: usize,
    /// What is known of the backend.
    pub expectations: Expectations,
    /// Whether the first case that fails is the last that counts.
    pub fail_fast: bool,
    /// Whether to keep the calls that steps make, for traces; the connections that they follow are kept in any case.
    pub trace: bool,
    /// Makes a case go on behind what is not as expected, to see what comes of the rest. It fails all the same.
    pub goes_on: Option<Waiting>,
}

/// Which named calls that have not returned are waited for, where time passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Each.
    ForAll,
    /// Each that is expected to return.
    AsExpected,
}

impl Default for Options {
    /// One case after the other, under the profile `documented`.
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            profile_name: "documented".to_owned(),
            seed: 1,
            jobs: 1,
            expectations: Expectations::default(),
            fail_fast: false,
            trace: false,
            goes_on: None,
        }
    }
}

/// How a trace is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceForm {
    /// Every call and every hop in lines.
    Text,
    /// Every connection that is followed, and the calls between two of them, as sequence diagrams in the notation of
    /// Mermaid.
    Mermaid,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseRun {
    /// How it ended.
    pub status: Status,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// Where it failed.
    pub failure: Option<Failure>,
    /// What it did, in this order.
    pub events: Vec<Event>,
    /// What was seen where the documents leave room.
    pub observed: Vec<String>,
    /// How long it took.
    pub duration: Duration,
}

/// Something that a case did.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step called; kept only where it is asked for.
    Called(Called),
    /// A step followed a connection.
    Followed(Followed),
}

/// A call, and what came of it.
#[derive(Clone, Debug)]
pub struct Called {
    /// The number of the step, from 1.
    pub step: usize,
    /// Who called.
    pub process: Name,
    /// The call, in words.
    pub what: String,
    /// What the caller saw, in words.
    pub observed: String,
    /// What the filter engine did, where it was asked and the backend shows it.
    pub hop: Option<Box<Hop>>,
}

/// A connection that a step followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The number of the step, from 1.
    pub step: usize,
    /// How it ended.
    pub ending: Ending,
}

impl CaseRun {
    /// How the last connection that it followed ended.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.followed().last().map(|followed| &followed.ending)
    }

    /// The connections that it followed, in this order.
    #[must_use]
    pub fn followed(&self) -> impl DoubleEndedIterator<Item = &Followed> {
        self.events.iter().filter_map(|event| match event {
            Event::Called(_) => None,
            Event::Followed(followed) => Some(followed),
        })
    }

    /// Whether it was skipped for what it is, and not because another failed before it.
    #[must_use]
    pub fn is_skipped_for_itself(&self) -> bool {
        self.status == Status::Skipped && !self.reason.as_ref().is_some_and(|why| why.starts_with(NOT_RUN))
    }

    /// What it did as sequence diagrams in the notation of Mermaid: one for each connection that it followed, and one
    /// for the calls between two of them, where those were kept.
    #[must_use]
    pub fn diagrams(&self) -> Vec<String> {
        trace::diagrams(&self.events)
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything was as expected.
    Passed,
    /// Something was not.
    Failed,
    /// The backend cannot run it.
    Skipped,
    /// Something was not, as is known of the backend.
    ExpectedFailure,
    /// Everything was as the documents say, where something else is known of the backend.
    UnexpectedPass,
}

impl Status {
    /// Whether the run fails by it.
    #[must_use]
    pub fn fails(self) -> bool {
        matches!(self, Self::Failed | Self::UnexpectedPass)
    }

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::ExpectedFailure => "expected_failure",
            Self::UnexpectedPass => "unexpected_pass",
        }
    }
}

/// What was not as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The number of the step, from 1; 0 for the machine after the last one.
    pub step: usize,
    /// What was expected.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// What the scenario says there.
    pub span: Span,
    /// Where two backends were compared: the fewest calls behind which they differ, and the last.
    pub behind: Vec<String>,
}

/// How the reason begins of a case that was not run since another failed.
const NOT_RUN: &str = "not run: ";

/// Makes the backend that a thread runs its cases on.
pub type NewBackend<'a> = dyn Fn() -> Result<Box<dyn Backend>, BackendFault> + Sync + 'a;

/// Runs all cases of a suite, each on a backend that `new_backend` makes; the results are in the order of the suite,
/// whatever the number of jobs. Where the first failure ends the run, those behind it in that order are skipped.
///
/// # Errors
/// The first fault of a backend.
pub fn run(
    suite: &Suite,
    options: &Options,
    new_backend: &NewBackend<'_>,
) -> Result<Vec<CaseRun>, BackendFault> {
    let (next, last) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let runs: Mutex<Vec<Option<Result<CaseRun, BackendFault>>>> =
        Mutex::new(std::iter::repeat_with(|| None).take(suite.cases.len()).collect());
    let work = || {
        let mut backend = None;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = suite.cases.get(index) else { return };
            // Cases are taken in their order: each before the first that failed is run to its end.
            if index > last.load(Ordering::Relaxed) {
                return;
            }
            let seed = case_seed(options.seed, case);
            let made = match &mut backend {
                Some(backend) => Ok(backend),
                None => new_backend().map(|new| backend.insert(new)),
            };
            let mut run = made.and_then(|backend| run_case(backend, case, options, seed));
            if let Ok(run) = &mut run {
                options.expectations.judge(case, run);
                if options.fail_fast && run.status.fails() {
                    last.fetch_min(index, Ordering::Relaxed);
                }
            }
            let broken = run.is_err();
            // A panic while the lock is held is impossible: nothing but the assignment happens under it.
            if let Ok(mut runs) = runs.lock() {
                runs[index] = Some(run);
            }
            if broken {
                next.store(usize::MAX / 2, Ordering::Relaxed);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.jobs.min(suite.cases.len()) {
            scope.spawn(work);
        }
        work();
    });
    let runs = runs.into_inner().unwrap_or_default();
    let last = last.into_inner();
    let mut runs: Vec<CaseRun> =
        runs.into_iter().take(last.saturating_add(1)).flatten().collect::<Result<_, _>>()?;
    if let Some(failed) = suite.cases.get(last) {
        runs.resize(suite.cases.len(), not_run(failed));
    }
    Ok(runs)
}

/// What came of a case behind the one that ended the run.
fn not_run(failed: &LoadedCase) -> CaseRun {
    CaseRun {
        status: Status::Skipped,
        reason: Some(format!("{NOT_RUN}{} failed before it", failed.name)),
        failure: None,
        events: Vec::new(),
        observed: Vec::new(),
        duration: Duration::ZERO,
    }
}

/// The seed of a case, from that of the run and its name: the same whichever cases run beside it.
fn case_seed(seed: u64, case: &LoadedCase) -> u64 {
    case.name.bytes().fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
