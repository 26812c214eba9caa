//! Every case of the folder `scenarios` as a test of its own.
//!
//! `loops/x#id@variant` is a case under the profile `documented`; `nt-mapped: loops/x` is all cases of a file under
//! another profile. A test that fails prints what `wfp-conformance run` prints.

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wfp_conformance::run::Status;
use wfp_conformance::scenario::{LoadedCase, Suite};
use wfp_sim::Profile;
use wfp_tests::{play, scenario_files, workspace};

/// The profile under which every case is a test.
const DOCUMENTED: &str = "documented";

/// The profiles under which every file is a test.
const OTHERS: [&str; 2] = ["doc-parameters", "nt-mapped"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Messages name files as the command line does that is run in the root of the workspace.
    if let Err(error) = std::env::set_current_dir(workspace()) {
        eprintln!("{}: {error}", workspace().display());
        return ExitCode::FAILURE;
    }
    let mut files = scenario_files();
    // A process that nextest starts for one test reads no other file.
    if let Some(name) = arguments.filter.as_deref().filter(|_| arguments.exact) {
        files.retain(|file| path_of(file) == file_of(name));
    }
    let trials = files.iter().flat_map(|file| trials(file)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The path in the names of a file's cases.
fn path_of(file: &str) -> &str {
    file.trim_start_matches("scenarios/").trim_end_matches(".yaml")
}

/// The same from the name of a test.
fn file_of(test: &str) -> &str {
    let path = test.split('#').next().unwrap_or_default();
    path.split_once(": ").map_or(path, |(_, path)| path)
}

fn trials(file: &str) -> Vec<Trial> {
    let suite = match load(file, DOCUMENTED) {
        Ok(suite) => suite,
        Err(failed) => return vec![Trial::test(path_of(file), move || Err(failed))],
    };
    // A file without cases is ground that others use.
    let others: &[&'static str] = if suite.cases.is_empty() { &[] } else { &OTHERS };
    let under = |profile: &'static str| {
        let file = file.to_owned();
        Trial::test(format!("{profile}: {}", path_of(&file)), move || {
            pass(load(&file, profile)?.cases, profile)
        })
    };
    let others: Vec<Trial> = others.iter().copied().map(under).collect();
    let cases = suite
        .cases
        .into_iter()
        .map(|case| Trial::test(case.name.clone(), move || pass(vec![case], DOCUMENTED)));
    cases.chain(others).collect()
}

fn load(file: &str, profile: &str) -> Result<Suite, Failed> {
    let profile = Profile::built_in(profile).ok_or("this profile is not built in")?;
    Suite::load(&[PathBuf::from(file)], &profile).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
        errors.join("\n\n").into()
    })
}

/// The model has every feature, so a case that it skips is as wrong as one that fails.
fn pass(cases: Vec<LoadedCase>, profile: &str) -> Result<(), Failed> {
    let played = play(Suite { cases, ..Suite::default() }, profile);
    let passed = played.runs.iter().all(|run| run.status == Status::Passed);
    if passed { Ok(()) } else { Err(played.summary(false).into()) }
}
