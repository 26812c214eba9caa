//! What the command line looks like.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::reports::ReportTo;
use crate::backends::BackendName;

/// Scenarios for connection redirection in the Windows Filtering Platform: redirect services, callouts and proxy
/// loops, on a model of the machine.
#[derive(Debug, Parser)]
#[command(name = "wfp-conformance", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenario files or folders, and print the verdicts.
    Run(Run),
    /// Print the names of cases, with the features that they need and the requirements that they cover.
    List(Inputs),
    /// Read scenario files and say what is wrong with them; run nothing.
    Check(Inputs),
    /// Print the JSON Schema of a scenario file.
    Schema,
    /// Print the requirements, with their sources and the cases that cover each.
    Requirements(Requirements),
    /// Measure every doubtful behaviour on a backend, and print it as a profile.
    Probe(Probe),
    /// Say what an error code, state, feature, requirement, regression or profile field means, and where it comes from.
    Explain {
        /// The name; `errors`, `statuses`, `states`, `features`, `requirements`, `regressions`, `profile`, `ends`, `clients`,
        /// `vendors`, `codes`, `precedence` list them.
        name: String,
    },
    /// Print the drivers of the field that scenarios can use, or the file of one.
    Vendors {
        /// The vendor whose file is printed, to be read or to start from; without it, all are listed.
        name: Option<String>,
    },
    /// Run a file over the variants of its cases, and print what came of each as tables.
    Sweep(Sweep),
    /// Write a first scenario for "my driver and my service", with comments.
    Init {
        /// The folder that it is written to.
        #[arg(default_value = "scenarios")]
        dir: PathBuf,
    },
    /// Serve this machine's backend as JSON lines on stdin and stdout, for `--backend exec:…` elsewhere.
    Agent(Agent),
    /// Play a process of a scenario, for the backend `windows`.
    #[cfg(windows)]
    #[command(hide = true)]
    Process,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct Inputs {
    /// Scenario files or folders [default: the folder `scenarios`, else the suite that is built in].
    pub(super) paths: Vec<PathBuf>,
    /// The behaviour profile of the model: documented, doc-parameters, nt-mapped, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "documented")]
    pub(super) profile: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Requirements {
    #[command(flatten)]
    pub(super) inputs: Inputs,
    /// Only those that no case covers; exits with 1 unless each of them is listed as untestable.
    #[arg(long)]
    pub(super) uncovered: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Probe {
    /// What is measured: sim, windows, or exec:COMMAND.
    #[arg(long, value_name = "NAME", default_value = "sim")]
    pub(super) backend: BackendName,
    #[command(flatten)]
    pub(super) reach: Reach,
    /// How the model answers where it is the model that is measured: documented, doc-parameters, nt-mapped, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "documented")]
    pub(super) profile: String,
    /// The built-in profile that says what cannot be measured: documented, doc-parameters or nt-mapped.
    #[arg(long, value_name = "NAME", default_value = "documented")]
    pub(super) base: String,
    /// A field that is not measured, but known; repeatable.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(super) given: Vec<String>,
    /// Write the profile to FILE, whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) inputs: Inputs,
    /// What the cases run on: sim, windows, exec:COMMAND, replay:FILE, or diff:A,B.
    #[arg(long, value_name = "NAME", default_value = "sim")]
    pub(super) backend: BackendName,
    #[command(flatten)]
    pub(super) reach: Reach,
    /// Only cases whose name contains TEXT; repeatable, any of them.
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Vec<String>,
    /// Write a report, whole or not at all: json=FILE, junit=FILE, markdown=FILE, html=FILE; repeatable.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub(super) report: Vec<ReportTo>,
    /// What the backend is known to do otherwise than the documents say.
    #[arg(long, value_name = "FILE")]
    pub(super) expectations: Option<PathBuf>,
    /// Write every call and what came of it to FILE, for `--backend replay:FILE`.
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// A skipped case fails the run.
    #[arg(long)]
    pub(super) deny_skips: bool,
    /// Stop at the first case that fails; those behind it are skipped.
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// For everything that is random; printed when it is not given.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Cases at once; the result never depends on it [default: the number of cores; with a driver 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Print the trace of each case, hop by hop.
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Print that trace in this form [default with -v: text].
    #[arg(long, value_enum, value_name = "FORM")]
    pub(super) trace: Option<TraceName>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Agent {
    /// Which one: sim or windows [default: windows on Windows, elsewhere sim].
    #[arg(long, value_name = "NAME")]
    pub(super) backend: Option<BackendName>,
    /// What installs redirection on Windows: a command, see docs/driver-adapter.md.
    #[arg(long, value_name = "COMMAND")]
    pub(super) driver: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Sweep {
    /// The scenario file; the first axis of a case's variants makes the rows, the last one the columns.
    pub(super) file: PathBuf,
    /// The behaviour profile of the model, where a case has none: documented, doc-parameters, nt-mapped, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "documented")]
    pub(super) profile: String,
    /// Write a report: json=FILE; repeatable.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = report)]
    pub(super) report: Vec<PathBuf>,
    /// For everything that is random.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Cases at once; the result never depends on it [default: the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
}

/// What it takes to reach a backend.
#[derive(Debug, ClapArgs)]
pub(super) struct Reach {
    /// What installs redirection on Windows: a command, see docs/driver-adapter.md.
    #[arg(long, value_name = "COMMAND")]
    pub(super) driver: Option<String>,
    /// Seconds that a backend elsewhere has for an answer, up to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(super) time_limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TraceName {
    /// Every call and every hop in lines.
    Text,
    /// Sequence diagrams in the notation of Mermaid.
    Mermaid,
}

/// The longest limit, in seconds: a day.
const LONGEST: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok().filter(|seconds| *seconds <= LONGEST);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| format!("a limit is a number of seconds above 0 and up to {LONGEST}"))
}

/// The file of `json=FILE`.
fn report(text: &str) -> Result<PathBuf, String> {
    match text.split_once('=') {
        Some(("json", file)) if !file.is_empty() => Ok(file.into()),
        _ => Err("a report is written as json=FILE".to_owned()),
    }
}
