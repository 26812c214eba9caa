//! `run`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::args::{Run, TraceName};
use super::outputs::Named;
use super::report_file::write_whole;
use super::{Exit, Stop, github, load, outputs, reports, stdout};
use crate::SimBackend;
use crate::backends::{self, BackendName, Making};
use crate::expectations::Expectations;
use crate::printable::printable;
use crate::record::{Recorder, Traced};
use crate::run::{CaseRun, HtmlPage, Options, Report, Summary, TraceForm};
use crate::scenario::Suite;
use crate::vocabulary::{Backend, BackendFault, Identity};

pub(super) fn run(args: &Run) -> Result<Exit, Stop> {
    args.backend.check(args.reach.driver.as_deref()).map_err(|what| Stop::Because(Exit::Usage, what))?;
    let profile = crate::profile_file::load(&args.inputs.profile)?;
    let mut suite = load(&args.inputs.paths, &args.inputs.profile)?;
    if !args.filter.is_empty() {
        suite.filter(&args.filter);
    }
    if suite.cases.is_empty() {
        let message = match args.filter.as_slice() {
            [] => "there are no cases in these files".to_owned(),
            filters => format!("no case's name contains {}", filters.join(" or ")),
        };
        return Err(Stop::Because(Exit::Usage, message));
    }
    let trace = match args.trace {
        Some(TraceName::Mermaid) => Some(TraceForm::Mermaid),
        Some(TraceName::Text) => Some(TraceForm::Text),
        None => args.verbose.then_some(TraceForm::Text),
    };
    check_files(args, &suite)?;
    let recordings = args.backend.recordings()?;
    let driver = args.reach.driver.clone();
    let making = Making { profile: profile.clone(), driver, limit: args.reach.time_limit, recordings };
    let first = backends::make(&args.backend, &making).map_err(|fault| broke(&fault))?;
    let (identity, features) = (first.identify(), first.features().clone());
    let expectations = match &args.expectations {
        Some(file) => Expectations::load(file, &identity, matches!(args.backend, BackendName::Diff(..)))?,
        None => Expectations::default(),
    };
    let unused = if args.filter.is_empty() { expectations.unused(&suite) } else { Vec::new() };
    let options = Options {
        profile: profile.clone(),
        profile_name: args.inputs.profile.clone(),
        seed: args.seed.unwrap_or_else(fresh_seed),
        // A driver may have one redirect handle, and its redirections of two cases would be there at once.
        jobs: jobs(args.jobs.or(args.reach.driver.as_ref().map(|_| 1))),
        expectations,
        fail_fast: args.fail_fast,
        trace: trace.is_some() || reports::shows_calls(&args.report),
        goes_on: None,
    };
    let recorder = Recorder::default();
    let first = Mutex::new(Some(first));
    let new_backend = || {
        let first = first.lock().ok().and_then(|mut first| first.take());
        let backend = first.map_or_else(|| backends::make(&args.backend, &making), Ok)?;
        Ok(match &args.record {
            Some(_) => Box::new(Traced::new(backend, recorder.clone())) as Box<dyn Backend>,
            None => backend,
        })
    };

    let start = Instant::now();
    let runs = crate::run::run(&suite, &options, &new_backend).map_err(|fault| broke(&fault))?;
    let summary = Summary {
        suite: &suite,
        runs: &runs,
        options: &options,
        identity: &identity,
        features: &features,
        elapsed: start.elapsed(),
        trace,
        styled: std::io::stdout().is_terminal(),
    };
    let report = Report::new(&suite, &runs, &options, &identity, &features);
    let model = beside(args, &suite, &options, &identity)?;
    let page = HtmlPage { report: &report, model: model.as_ref(), suite: &suite, runs: &runs };
    let mut unwritten = reports::write(&page, &args.report);
    if let Some(file) = &args.record {
        unwritten.extend(write_whole(file, recorder.recording(&identity, &features).to_text()).err());
    }
    let denied = if args.deny_skips { skips(&suite, &runs) } else { Vec::new() };
    let mut out = stdout();
    out.write_all(summary.render().as_bytes())?;
    out.write_all(denied_words(&denied).as_bytes())?;
    out.write_all(github::annotations(&report, args.deny_skips).as_bytes())?;
    for error in &unused {
        writeln!(anstream::stderr(), "{}", error.render(true))?;
    }
    if !unwritten.is_empty() {
        return Err(Stop::Because(Exit::Output, unwritten.join("; ")));
    }
    let failed = !unused.is_empty() || !denied.is_empty() || runs.iter().any(|run| run.status.fails());
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

/// What the run writes is refused where it would take the place of something else.
fn check_files(args: &Run, suite: &Suite) -> Result<(), Stop> {
    let record = args.record.iter().map(|file| Named::new("--record", file));
    let outputs: Vec<Named<'_>> = reports::files(&args.report).chain(record).collect();
    let mut inputs = Named::read(suite, &args.inputs.profile);
    inputs.extend(args.expectations.iter().map(|file| Named::new("--expectations", file)));
    inputs.append(&mut Named::played(&args.backend));
    outputs::check(&outputs, &inputs)
}

/// The cases that were skipped, with the reasons.
fn skips<'a>(suite: &'a Suite, runs: &'a [CaseRun]) -> Vec<(&'a str, &'a str)> {
    let pairs = suite.cases.iter().zip(runs).filter(|(_, run)| run.is_skipped_for_itself());
    pairs.map(|(case, run)| (case.name.as_str(), run.reason.as_deref().unwrap_or_default())).collect()
}

fn denied_words(denied: &[(&str, &str)]) -> String {
    let cases = match denied.len() {
        0 => return String::new(),
        1 => "1 case was".to_owned(),
        many => format!("{many} cases were"),
    };
    let lines = denied.iter().map(|(name, reason)| format!("  {}: {}\n", printable(name), printable(reason)));
    format!("\n{cases} skipped, and --deny-skips is given:\n{}", lines.collect::<String>())
}

/// What the model answers, for a report that shows it beside what another backend does.
fn beside(args: &Run, suite: &Suite, options: &Options, other: &Identity) -> Result<Option<Report>, Stop> {
    let model = SimBackend::new(options.profile.clone());
    let identity = model.identify();
    if !reports::shows_calls(&args.report) || *other == identity {
        return Ok(None);
    }
    let options =
        Options { trace: false, fail_fast: false, expectations: Expectations::default(), ..options.clone() };
    let new_backend = || Ok(Box::new(SimBackend::new(options.profile.clone())) as Box<dyn Backend>);
    let runs = crate::run::run(suite, &options, &new_backend).map_err(|fault| broke(&fault))?;
    Ok(Some(Report::new(suite, &runs, &options, &identity, model.features())))
}

fn broke(fault: &BackendFault) -> Stop {
    Stop::Because(Exit::Fault, format!("the backend broke: {fault}"))
}

pub(super) fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xFFFF)
}

/// As many cases at once as there are cores, unless it is said.
pub(super) fn jobs(said: Option<u16>) -> usize {
    said.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}
