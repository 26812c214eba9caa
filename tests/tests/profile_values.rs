//! The suite passes under every value that a field of the profile can have, not only under the profiles that are
//! built in: a case that is about one value says so. Each field is a test, and starts from `documented`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Failed, Trial};
use wfp_conformance::SimBackend;
use wfp_conformance::run::{Options, Status, run};
use wfp_conformance::scenario::Suite;
use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};
use wfp_tests::workspace;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(error) = std::env::set_current_dir(workspace()) {
        eprintln!("{}: {error}", workspace().display());
        return ExitCode::FAILURE;
    }
    let trials = FIELDS.iter().map(|field| Trial::test(field.name, || passes_under_every_value(field)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// What is documented is one of the values, and many tests run under it.
fn passes_under_every_value(field: &Field) -> Result<(), Failed> {
    let documented = field.get(&Profile::documented());
    let mut wrong = Vec::new();
    for (value, _) in field.values.iter().filter(|(value, _)| *value != documented) {
        let mut profile = Profile::documented();
        field.set(&mut profile, value).map_err(|error| error.to_string())?;
        wrong.extend(failures(field, value, &profile)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

static SUITE: LazyLock<Result<Suite, String>> = LazyLock::new(|| load(&Profile::documented()));

fn load(profile: &Profile) -> Result<Suite, String> {
    Suite::load(&[PathBuf::from("scenarios")], profile).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
        errors.join("\n\n")
    })
}

/// The cases that do not pass, each in a line.
fn failures(field: &Field, value: &str, profile: &Profile) -> Result<Vec<String>, Failed> {
    // Whether a context is too large is looked at when a case is read; the other fields only count when it is run.
    let own = if field.name == "context-limit" { Some(load(profile)?) } else { None };
    let suite = own.as_ref().map_or_else(|| SUITE.as_ref(), Ok)?;
    let name = format!("{}: {value}", field.name);
    let options = Options { profile: profile.clone(), profile_name: name.clone(), ..Options::default() };
    let runs = run(suite, &options, &|| Ok(Box::new(SimBackend::new(profile.clone()))))?;
    // On a machine without records, cases about them are skipped.
    let may_skip = field.name == "windows-version";
    let failed = suite.cases.iter().zip(runs).filter(|(_, run)| match run.status {
        Status::Passed => false,
        Status::Skipped => !may_skip,
        _ => true,
    });
    Ok(failed.map(|(case, run)| format!("{name}: {} {}", case.name, explained(run.failure))).collect())
}

fn explained(failure: Option<wfp_conformance::run::Failure>) -> String {
    failure.map_or_else(String::new, |failure| {
        format!("step {}: expected {}, observed {}", failure.step, failure.expected, failure.observed)
    })
}
