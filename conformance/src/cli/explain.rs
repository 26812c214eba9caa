//! `explain`: what a name means, and where it comes from.

use std::io::Write;

use wfp_sim::ntstatus::StatusTable;
use wfp_sim::profile::{FIELDS, Field};
use wfp_sim::{BugCheck, ControlCode, NtStatus, PRECEDENCE, Profile, RedirectState, WinsockError};

use super::{Exit, Stop};
use crate::clients::Client;
use crate::follow::{End, Why};
use crate::regressions::{Regression, Role};
use crate::requirements::Catalogue;
use crate::scenario::Suite;
use crate::vendors::Vendor;
use crate::vocabulary::{Feature, StateName};
use crate::yaml::nearest;

/// The lists that a name can stand for.
const LISTS: [&str; 12] = [
    "errors",
    "statuses",
    "states",
    "features",
    "requirements",
    "regressions",
    "profile",
    "ends",
    "clients",
    "vendors",
    "codes",
    "precedence",
];

pub(super) fn explain(name: &str, out: &mut dyn Write) -> Result<Exit, Stop> {
    if list(name, out)? || one(name, out)? || super::vendors::explain(name, out)? {
        return Ok(Exit::Success);
    }
    let names = all_names();
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; {} list what there is", LISTS.join(", ")),
    };
    Err(Stop::Because(Exit::Usage, format!("nothing here is named `{name}`{hint}")))
}

fn all_names() -> Vec<String> {
    let mut names: Vec<String> = LISTS.iter().map(|name| (*name).to_owned()).collect();
    names.extend(WinsockError::ALL.iter().map(|(name, _, _)| (*name).to_owned()));
    names.extend(NtStatus::ALL.iter().map(|(name, _, _)| (*name).to_owned()));
    names.extend(BugCheck::ALL.iter().map(|(_, _, name)| (*name).to_owned()));
    names.extend(StateName::ALL.iter().map(|state| state.name().to_owned()));
    names.extend(Feature::ALL.iter().map(|(feature, _)| feature.name().to_owned()));
    names.extend(Catalogue::built_in().iter().map(|requirement| requirement.id.clone()));
    names.extend(Regression::all().iter().map(|regression| regression.id.clone()));
    names.extend(FIELDS.iter().map(|field| field.name.to_owned()));
    names.extend(ENDS.iter().map(|(end, _)| end.name().to_owned()));
    names.extend(WHYS.iter().map(|why| why.name().to_owned()));
    names.extend(Client::all().iter().map(|client| client.name.clone()));
    names.extend(Vendor::all().iter().map(|vendor| vendor.name.to_owned()));
    names.extend(ControlCode::ALL.iter().map(|(name, _)| (*name).to_owned()));
    names
}

fn list(name: &str, out: &mut dyn Write) -> Result<bool, Stop> {
    match name {
        "errors" => {
            for (name, code, meaning) in WinsockError::ALL {
                writeln!(out, "{name} ({})\n    {meaning}", code.0)?;
            }
        }
        "statuses" => {
            for (name, status, meaning) in NtStatus::ALL {
                writeln!(out, "{name} ({:#010X})\n    {meaning}", status.0)?;
            }
            for (bug_check, code, name) in BugCheck::ALL {
                writeln!(out, "{name} ({code:#X})\n    {}", meaning_of_bug_check(bug_check))?;
            }
        }
        "states" => {
            for state in StateName::ALL {
                writeln!(out, "{}\n    {}", state.name(), meaning_of_state(state))?;
            }
        }
        "features" => {
            for (feature, meaning) in Feature::ALL {
                writeln!(out, "{feature}\n    {meaning}")?;
            }
        }
        "requirements" => {
            for requirement in Catalogue::built_in().iter() {
                writeln!(out, "{}\n    {}", requirement.id, requirement.text)?;
            }
        }
        "regressions" => {
            for regression in Regression::all() {
                writeln!(out, "{}\n    {}", regression.id, regression.title)?;
            }
        }
        "profile" => {
            for field in FIELDS {
                writeln!(out, "{}\n    {}", field.name, field.summary)?;
            }
        }
        "ends" => {
            for (end, meaning) in ENDS {
                writeln!(out, "{end}\n    {meaning}")?;
            }
            for why in WHYS {
                writeln!(out, "{why}\n    A reason of a loop: {}.", why.explanation())?;
            }
        }
        "clients" => {
            for client in Client::all() {
                writeln!(out, "{}\n    {}", client.name, client.title)?;
            }
        }
        "vendors" => super::vendors::list(out)?,
        "codes" => {
            for (name, code) in ControlCode::ALL {
                writeln!(out, "{name} ({:#010X})\n    {}", code.0, meaning_of_code(code))?;
            }
        }
        "precedence" => {
            writeln!(out, "Where several causes hold at once, the first of these decides:")?;
            for (number, (cause, source)) in PRECEDENCE.iter().enumerate() {
                writeln!(out, "{:2}. {cause:?}\n    {source}", number + 1)?;
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn one(name: &str, out: &mut dyn Write) -> Result<bool, Stop> {
    let error =
        WinsockError::ALL.iter().find(|(known, code, _)| *known == name || code.0.to_string() == name);
    if let Some((known, code, meaning)) = error {
        writeln!(out, "{known} ({})\n\n{meaning}\nSource: win32, Windows Sockets Error Codes", code.0)?;
        return Ok(true);
    }
    if let Some((known, status, meaning)) = NtStatus::ALL.iter().find(|(known, _, _)| *known == name) {
        writeln!(out, "{known} ({:#010X})\n\n{meaning}\nSource: ntstatus.h", status.0)?;
        for table in StatusTable::ALL {
            if let Some(error) = table.error_of(*status) {
                writeln!(out, "  {error} by {}\n      {}", table.name, table.source)?;
            }
        }
        return Ok(true);
    }
    if let Some((bug_check, code, known)) = BugCheck::ALL.into_iter().find(|(_, _, known)| *known == name) {
        let meaning = meaning_of_bug_check(bug_check);
        writeln!(
            out,
            "{known} ({code:#X}): a bug check\n\n{meaning}\nSource: driver-docs, Bug Check Code Reference"
        )?;
        return Ok(true);
    }
    if let Some((known, code)) = ControlCode::ALL.iter().find(|(known, _)| *known == name) {
        writeln!(
            out,
            "{known} ({:#010X})\n\n{}\nSource: mstcpip.h; win32, {known}",
            code.0,
            meaning_of_code(*code)
        )?;
        return Ok(true);
    }
    let state = StateName::ALL.into_iter().find(|state| {
        let long = RedirectState::from(*state).name();
        state.name() == name || long == name || format!("FWPS_CONNECTION_{long}") == name
    });
    if let Some(state) = state {
        let long = RedirectState::from(state).name();
        let meaning = meaning_of_state(state);
        writeln!(
            out,
            "{} (FWPS_CONNECTION_{long})\n\n{meaning}\nSource: ddi, FWPS_CONNECTION_REDIRECT_STATE",
            state.name()
        )?;
        return Ok(true);
    }
    if let Some((feature, meaning)) = Feature::ALL.iter().find(|(feature, _)| feature.name() == name) {
        writeln!(out, "{feature}: a feature of backends\n\n{meaning}.")?;
        return Ok(true);
    }
    if let Some((end, meaning)) = ENDS.iter().find(|(end, _)| end.name() == name) {
        writeln!(out, "{end}: how a followed connection ends\n\n{meaning}")?;
        return Ok(true);
    }
    if let Some(why) = WHYS.iter().find(|why| why.name() == name) {
        writeln!(out, "{why}: why a connection goes round\n\nWhere it happens, {}.", why.explanation())?;
        return Ok(true);
    }
    if let Some(client) = Client::by_name(name) {
        let Client { name, title, text, source, kind, .. } = client;
        writeln!(
            out,
            "{name}: a client, for a service's `client`\n\n{title}.\n{text}\nSource: {source} [{kind}]"
        )?;
        return Ok(true);
    }
    if let Some(requirement) = Catalogue::built_in().get(name) {
        writeln!(
            out,
            "{}: a requirement\n\n{}\nSource: {}",
            requirement.id, requirement.text, requirement.source
        )?;
        for (word, list) in [("See docs/behaviour.md", &requirement.see), ("Decided by", &requirement.values)]
        {
            if !list.is_empty() {
                writeln!(out, "{word}: {}", list.join(", "))?;
            }
        }
        if let Some(reason) = &requirement.untestable {
            writeln!(out, "No case can check it: {reason}")?;
        }
        return Ok(true);
    }
    if let Some(regression) = Regression::by_id(name) {
        explain_regression(regression, out)?;
        return Ok(true);
    }
    if let Some(field) = Field::by_name(name) {
        explain_field(field, out)?;
        return Ok(true);
    }
    Ok(false)
}

/// What a profile field asks, and each answer with the built-in profiles that give it.
fn explain_field(field: &Field, out: &mut dyn Write) -> Result<(), Stop> {
    writeln!(
        out,
        "{}: a field of the behaviour profile\n\n{}\nSource: {}\n",
        field.name, field.summary, field.source
    )?;
    for (value, evidence) in field.values {
        let profiles: Vec<&str> = Profile::BUILT_IN
            .into_iter()
            .filter(|name| Profile::built_in(name).is_some_and(|profile| field.get(&profile) == *value))
            .collect();
        let says = if profiles.is_empty() { String::new() } else { format!(" [{}]", profiles.join(", ")) };
        writeln!(out, "  {value}{says}\n      {evidence}")?;
    }
    Ok(())
}

/// What a regression is, and the cases of the suite that is built in by what they show of it.
fn explain_regression(regression: &Regression, out: &mut dyn Write) -> Result<(), Stop> {
    let Regression { id, title, cause, expected, source } = regression;
    writeln!(
        out,
        "{id}: a regression: {title}\n\nCause: {cause}.\nWhat happens, or must happen: {expected}."
    )?;
    writeln!(out, "Source: {source}")?;
    let suite = Suite::built_in(&Profile::default())?;
    for role in Role::ALL {
        let mut cases =
            suite.cases.iter().filter(|case| case.case.regressions.get(id) == Some(&role)).peekable();
        if cases.peek().is_some() {
            writeln!(out, "\n{role}:")?;
        }
        for case in cases {
            writeln!(out, "  {}", case.name)?;
        }
    }
    Ok(())
}

fn meaning_of_state(state: StateName) -> &'static str {
    match state {
        StateName::NotRedirected => {
            "As far as the records say, nobody redirected this connection. The callout may redirect it."
        }
        StateName::RedirectedBySelf => "The last redirect was by the asking handle. The callout permits.",
        StateName::RedirectedByOther => {
            "Others redirected it, and the asking handle never did. The callout may redirect it, if it does not trust them."
        }
        StateName::PreviouslyRedirectedBySelf => {
            "The asking handle redirected it, and another one did later. The callout must not redirect it again."
        }
    }
}

fn meaning_of_bug_check(bug_check: BugCheck) -> &'static str {
    match bug_check {
        BugCheck::NotReported => "A crash that somebody reported without its code.",
        BugCheck::IrqlNotLessOrEqual => "A driver called a function at a level that it does not allow.",
        BugCheck::DriverVerifierDetectedViolation => {
            "A driver was unloaded while pool memory that it had allocated, a redirect context for instance, was not freed (first parameter 0x62, Driver Verifier with pool tracking)."
        }
        BugCheck::MultipleIrpCompleteRequests => {
            "A driver used or freed an IRP before it had completed, so that it would complete twice."
        }
        BugCheck::PageFaultInNonpagedArea => {
            "A driver had memory touched that is not there: a bad pointer, or a buffer that it freed before its IRP completed."
        }
    }
}

fn meaning_of_code(code: ControlCode) -> &'static str {
    match code {
        ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS => {
            "Fetches the redirect records of an accepted connection, an opaque blob of varying length."
        }
        ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT => {
            "Fetches what the redirecting callout left for its service, usually the original destination."
        }
        _ => {
            "Puts redirect records on a socket that is about to connect, so that callouts see who redirected before."
        }
    }
}

const ENDS: [(End, &str); 8] = [
    (End::Reached, "The destination accepted the connection."),
    (End::WrongDestination, "Somebody accepted it who is neither a service nor the destination."),
    (End::Refused, "A connect failed."),
    (End::Blocked, "A filter blocked a connect."),
    (End::Closed, "A service closed it instead of dialling on."),
    (End::Stalled, "It goes on, and nothing happens any more."),
    (
        End::Loop,
        "It goes round for ever: a connect came again that was the same in everything that decides what follows.",
    ),
    (
        End::NotEnded,
        "The backend does not show enough to tell a loop, and the bound of connects was reached.",
    ),
];

const WHYS: [Why; 7] = [
    Why::NeverSet,
    Why::SetAfterConnect,
    Why::ForeignRecords,
    Why::Truncated,
    Why::DifferentHandle,
    Why::OwnStateIgnored,
    Why::NoRecords,
];
