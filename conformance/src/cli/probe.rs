//! `probe`: measures the doubtful behaviour of a machine, and writes it down as a profile.

use std::collections::BTreeMap;
use std::io::Write as _;

use wfp_sim::Profile;
use wfp_sim::profile::Field;

use super::args::Probe;
use super::outputs::Named;
use super::report_file::write_whole;
use super::{Exit, Stop, outputs, stdout};
use crate::backends::{self, BackendName, Making};
use crate::probe::file;
use crate::probe::measure::{Probing, measure};
use crate::probe::table::Table;
use crate::scenario::Suite;
use crate::vocabulary::BackendFault;

pub(super) fn probe(args: &Probe) -> Result<Exit, Stop> {
    if matches!(args.backend, BackendName::Replay(_) | BackendName::Diff(..)) {
        let message = format!("`{}` cannot be probed: it is no machine that can be asked", args.backend);
        return Err(Stop::Because(Exit::Usage, message));
    }
    args.backend.check(args.reach.driver.as_deref()).map_err(|what| Stop::Because(Exit::Usage, what))?;
    let answers_by = crate::profile_file::load(&args.profile)?;
    let base = Profile::built_in(&args.base).ok_or_else(|| {
        let known = Profile::BUILT_IN.join(", ");
        let message = format!("`{}` is no built-in profile; built in are {known}", args.base);
        Stop::Because(Exit::Usage, message)
    })?;
    let given = given(&args.given)?;
    let output: Vec<Named<'_>> = args.output.iter().map(|file| Named::new("--output", file)).collect();
    outputs::check(&output, Named::profile(&args.profile).as_slice())?;
    let suite = Suite::built_in(&Profile::documented())?;
    let making = Making {
        profile: answers_by.clone(),
        driver: args.reach.driver.clone(),
        limit: args.reach.time_limit,
        recordings: BTreeMap::new(),
    };
    let mut machine = backends::make(&args.backend, &making).map_err(|fault| broke(&fault))?;
    let probing = Probing { suite: &suite, table: Table::built_in(), base, given, answers_by };
    let measured = measure(&mut *machine, &probing).map_err(|fault| broke(&fault))?;
    let text = file::written(&measured, &args.base);
    match &args.output {
        Some(path) => write_whole(path, Ok::<_, std::io::Error>(text))
            .map_err(|message| Stop::Because(Exit::Output, message))?,
        None => stdout().write_all(text.as_bytes())?,
    }
    writeln!(anstream::stderr(), "{}", file::summary(&measured))?;
    Ok(Exit::Success)
}

/// The fields of `FIELD=VALUE`, with their values.
fn given(all: &[String]) -> Result<BTreeMap<&'static str, String>, Stop> {
    let mut given = BTreeMap::new();
    for text in all {
        let wrong = |what: String| Stop::Because(Exit::Usage, format!("--given {text}: {what}"));
        let (name, value) =
            text.split_once('=').ok_or_else(|| wrong("a field is given as FIELD=VALUE".to_owned()))?;
        let field =
            Field::by_name(name).ok_or_else(|| wrong(format!("there is no profile field `{name}`")))?;
        field.set(&mut Profile::documented(), value).map_err(|error| wrong(error.to_string()))?;
        if given.insert(field.name, value.to_owned()).is_some() {
            return Err(wrong(format!("`{name}` is given twice")));
        }
    }
    Ok(given)
}

fn broke(fault: &BackendFault) -> Stop {
    Stop::Because(Exit::Fault, format!("the backend broke: {fault}"))
}
