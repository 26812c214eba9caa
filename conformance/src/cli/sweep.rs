//! `sweep`.

use std::io::{IsTerminal as _, Write as _};

use super::args::Sweep;
use super::outputs::Named;
use super::report_file::write_whole;
use super::run::{fresh_seed, jobs};
use super::{Exit, Stop, outputs, stdout};
use crate::SimBackend;
use crate::run::{Options, run};
use crate::scenario::Suite;
use crate::sweep::{SweepReport, Table, fails, render};
use crate::vocabulary::Backend;

pub(super) fn sweep(args: &Sweep) -> Result<Exit, Stop> {
    let profile = crate::profile_file::load(&args.profile)?;
    let mut suite = Suite::load(std::slice::from_ref(&args.file), &profile)?;
    suite.cases.retain(|case| !case.variants.is_empty());
    if suite.cases.is_empty() {
        let message = format!(
            "{}: no case has variants, so there is nothing to sweep over; an axis of `variants` makes the rows of a \
             table, another one its columns",
            args.file.display()
        );
        return Err(Stop::Because(Exit::Usage, message));
    }
    let reports: Vec<Named<'_>> = args.report.iter().map(|file| Named::new("--report", file)).collect();
    outputs::check(&reports, &Named::read(&suite, &args.profile))?;
    let options = Options {
        profile: profile.clone(),
        profile_name: args.profile.clone(),
        seed: args.seed.unwrap_or_else(fresh_seed),
        jobs: jobs(args.jobs),
        ..Options::default()
    };
    let identity = SimBackend::new(profile.clone()).identify();
    let new_backend = move || Ok(Box::new(SimBackend::new(profile.clone())) as Box<dyn Backend>);
    let runs = run(&suite, &options, &new_backend)
        .map_err(|fault| Stop::Because(Exit::Fault, format!("the backend broke: {fault}")))?;
    let tables = Table::of(&suite, &runs);
    let report = SweepReport::new(&tables, &options, &identity);
    for file in &args.report {
        write_whole(file, report.to_json()).map_err(|why| Stop::Because(Exit::Output, why))?;
    }
    stdout().write_all(render(&tables, std::io::stdout().is_terminal()).as_bytes())?;
    Ok(if fails(&tables) { Exit::Failed } else { Exit::Success })
}
