//! `run`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::args::{BackendName, Run};
use super::{Exit, Stop, load, stdout};
use crate::SimBackend;
use crate::run::{Options, Report, Status, Summary};
use crate::vocabulary::Backend;

pub(super) fn run(args: &Run) -> Result<Exit, Stop> {
    let profile = crate::profile_file::load(&args.inputs.profile)?;
    let mut suite = load(&args.inputs.paths, &args.inputs.profile)?;
    if !args.filter.is_empty() {
        suite.cases.retain(|case| args.filter.iter().any(|text| case.name.contains(text.as_str())));
    }
    if suite.cases.is_empty() {
        let message = match args.filter.as_slice() {
            [] => "there are no cases in these files".to_owned(),
            filters => format!("no case's name contains {}", filters.join(" or ")),
        };
        return Err(Stop::Because(Exit::Usage, message));
    }
    let options = Options {
        profile: profile.clone(),
        profile_name: args.inputs.profile.clone(),
        seed: args.seed.unwrap_or_else(fresh_seed),
        jobs: args
            .jobs
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from),
        trace: args.verbose,
    };
    let new_backend: Box<dyn Fn() -> Box<dyn Backend> + Sync> = match args.backend {
        BackendName::Sim => Box::new(move || Box::new(SimBackend::new(profile.clone()))),
    };
    let backend = new_backend();

    let start = Instant::now();
    let runs = crate::run::run(&suite, &options, &*new_backend)
        .map_err(|fault| Stop::Because(Exit::Fault, format!("the backend broke: {fault}")))?;
    let identity = backend.identify();
    let summary = Summary {
        suite: &suite,
        runs: &runs,
        options: &options,
        identity: &identity,
        elapsed: start.elapsed(),
        verbose: args.verbose,
        styled: std::io::stdout().is_terminal(),
    };
    let report = Report::new(&suite, &runs, &options, &identity, backend.features());
    for file in &args.report {
        write_whole(file, &report)?;
    }
    stdout().write_all(summary.render().as_bytes())?;
    let failed = runs.iter().any(|run| run.status == Status::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

/// A report is written whole or not at all: beside its place first, then moved there.
fn write_whole(file: &Path, report: &Report) -> Result<(), Stop> {
    let failed = |error: &dyn std::fmt::Display| {
        Stop::Because(Exit::Output, format!("{} could not be written: {error}", file.display()))
    };
    let text = report.to_json().map_err(|error| failed(&error))?;
    // Nothing can take the place of a device or a pipe.
    if file.metadata().is_ok_and(|there| !there.is_file()) {
        return std::fs::write(file, text).map_err(|error| failed(&error));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(failed(&format_args!("there is no folder {}", folder.display())));
    }
    let mut beside = readable_by_others().tempfile_in(folder).map_err(|error| failed(&error))?;
    beside.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    beside.persist(file).map_err(|error| failed(&error.error))?;
    Ok(())
}

/// Makes files with the permissions that any new file has, where temporary ones are their owner's alone.
fn readable_by_others() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is nothing to set"))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xFFFF)
}
