//! What the suites of this crate share: playing cases as the command line does, and telling of them as it does.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use wfp_conformance::SimBackend;
use wfp_conformance::run::{CaseRun, Options, Report, Summary, TraceForm, run};
use wfp_conformance::scenario::Suite;
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Feature, Features, Identity, Observation, Op, Settings,
};
use wfp_sim::Profile;

/// What a Windows machine can do without a driver.
pub const WINDOWS_ALONE: [Feature; 11] = [
    Feature::Tcp,
    Feature::Udp,
    Feature::Ipv6,
    Feature::DualStack,
    Feature::ExtensionFunctions,
    Feature::Overlapped,
    Feature::Duplicate,
    Feature::RedirectRecords,
    Feature::OriginalDestination,
    Feature::RemoteHost,
    Feature::InvalidPointers,
];

/// A backend that answers in a way of its own: each call goes through a function, which has the machine to ask.
pub struct Through<B, F> {
    /// The machine.
    pub machine: B,
    /// What answers.
    pub answer: F,
}

impl<B, F> Backend for Through<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &Op) -> Result<Observation, BackendFault> + Send,
{
    fn identify(&self) -> Identity {
        self.machine.identify()
    }

    fn features(&self) -> &Features {
        self.machine.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.machine.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        (self.answer)(&mut self.machine, op)
    }
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Every scenario file of the workspace, as `scenarios/FOLDER/NAME.yaml` with `/` on every OS, sorted.
///
/// # Panics
/// Where the folder cannot be read.
#[must_use]
pub fn scenario_files() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![("scenarios".to_owned(), workspace().join("scenarios"))];
    while let Some((name, folder)) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        for entry in entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
            let path = entry.path();
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                folders.push((name, path));
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(name);
            }
        }
    }
    files.sort();
    files
}

/// A suite that was run on the model, and everything to tell of it.
pub struct Played {
    /// The cases.
    pub suite: Suite,
    /// What came of each.
    pub runs: Vec<CaseRun>,
    options: Options,
}

/// Runs a suite on the model, one case at a time, with a trace and the seed 1.
///
/// # Panics
/// Where the profile is not built in, or the model breaks.
#[must_use]
pub fn play(suite: Suite, profile_name: &str) -> Played {
    let Some(profile) = Profile::built_in(profile_name) else {
        panic!("no profile `{profile_name}` is built in")
    };
    let options = Options {
        profile: profile.clone(),
        profile_name: profile_name.to_owned(),
        trace: true,
        ..Options::default()
    };
    let new_backend = move || Ok(Box::new(SimBackend::new(profile.clone())) as Box<dyn Backend>);
    match run(&suite, &options, &new_backend) {
        Ok(runs) => Played { suite, runs, options },
        Err(fault) => panic!("the backend broke: {fault}"),
    }
}

/// Reads a suite from a text as from the file `scenarios/mine.yaml`.
///
/// # Panics
/// Where something is wrong with it, with all of that in full.
#[must_use]
pub fn suite(text: &str) -> Suite {
    let suite = Suite::from_text("scenarios/mine.yaml", text, &Profile::default());
    suite.unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
        panic!("{}", errors.join("\n\n"))
    })
}

impl Played {
    /// What `run` prints, without styles and as if no time had passed.
    #[must_use]
    pub fn summary(&self, verbose: bool) -> String {
        Summary {
            suite: &self.suite,
            runs: &self.runs,
            options: &self.options,
            identity: &SimBackend::default().identify(),
            features: SimBackend::default().features(),
            elapsed: Duration::ZERO,
            trace: verbose.then_some(TraceForm::Text),
            styled: false,
        }
        .render()
    }

    /// What `run --report json=FILE` writes.
    ///
    /// # Panics
    /// Where the report cannot be serialized.
    #[must_use]
    pub fn report(&self) -> String {
        let backend = SimBackend::default();
        let report =
            Report::new(&self.suite, &self.runs, &self.options, &backend.identify(), backend.features());
        report.to_json().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The README's Rust, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
