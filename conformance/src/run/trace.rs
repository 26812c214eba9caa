//! A followed connection as lines, hop by hop.

use std::fmt::Write as _;

use crate::follow::{Ending, HopReport, redirects};
use crate::vocabulary::{Hop, Name, Redirected, SocketFamily};

/// Every hop: who dialled what, what each callout saw and did, who accepted it, and what the acceptor did then.
#[must_use]
pub fn hops(ending: &Ending) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for (index, hop) in ending.hops.iter().enumerate() {
        let _ = write_hop(&mut text, index + 1, hop);
    }
    let _ = write_end(&mut text, ending);
    text
}

/// What each callout saw and did at a connect that a step made, and what came of it.
pub(super) fn hop(hop: &Hop) -> String {
    let mut text = String::new();
    let _ = write_classify(&mut text, hop);
    text
}

fn write_hop(text: &mut String, number: usize, report: &HopReport) -> std::fmt::Result {
    let family = match report.family {
        SocketFamily::Ipv4 => "IPv4",
        SocketFamily::Ipv6 => "IPv6",
        SocketFamily::Dual => "v4-mapped",
    };
    write!(text, "connect {number}: {}", report.by)?;
    if report.by != report.process {
        write!(text, " (in {})", report.process)?;
    }
    write!(text, " dials {} over {family}", report.to)?;
    if let Some(hop) = &report.hop {
        writeln!(text, ", {}", records(&hop.records))?;
        write_classify(text, hop)?;
    } else {
        writeln!(text)?;
    }
    match (&report.accepted_by, report.error) {
        (_, Some(error)) => writeln!(text, "  fails: {error}")?,
        (Some(by), None) => {
            write!(text, "  accepted by {by}")?;
            match report.hop.as_ref().filter(|hop| !hop.delivered.is_empty()) {
                Some(hop) => {
                    writeln!(text, ", {} in {} bytes", records(&hop.delivered), hop.delivered_bytes)?;
                }
                None => writeln!(text)?,
            }
        }
        (None, None) => {}
    }
    for note in &report.then {
        writeln!(text, "    {note}")?;
    }
    Ok(())
}

fn write_classify(text: &mut String, hop: &Hop) -> std::fmt::Result {
    let width = hop.inspections.iter().map(|seen| seen.callout.len()).max().unwrap_or(0);
    for seen in &hop.inspections {
        let state = wfp_sim::RedirectState::from(seen.state);
        writeln!(text, "  {:width$}  {:<29}  {}", seen.callout, state.name(), seen.did)?;
    }
    write_redirect(text, hop)
}

fn write_redirect(text: &mut String, hop: &Hop) -> std::fmt::Result {
    match &hop.redirected {
        Some(Redirected::NotAccepted(why)) => writeln!(text, "  the redirect is not accepted: {why}"),
        Some(Redirected::Remotely) => writeln!(text, "  redirected to another host, without records"),
        Some(Redirected::Locally { handle: None }) => {
            writeln!(text, "  redirected to an own address that is not loopback, without records")
        }
        Some(Redirected::Locally { handle: Some(_) }) | None => Ok(()),
    }
}

fn records(handles: &[Name]) -> String {
    if handles.is_empty() { "no records".to_owned() } else { format!("records [{}]", handles.join(", ")) }
}

fn write_end(text: &mut String, ending: &Ending) -> std::fmt::Result {
    let Some(cycle) = &ending.cycle else {
        return writeln!(text, "end: {} after {}", ending.end, count(ending.connects));
    };
    let same = ending.repeats.unwrap_or_default();
    writeln!(text, "end: {}: connect {} is connect {same} again", ending.end, ending.hops.len())?;
    writeln!(
        text,
        "  the cycle: {} -> {}",
        cycle.services.join(" -> "),
        cycle.services.first().map_or("", |name| name)
    )?;
    let round = usize::try_from(same).ok().and_then(|same| ending.hops.get(same.checked_sub(1)?..));
    match &cycle.records_lost_at {
        None if !redirects(round.unwrap_or_default()) => {
            writeln!(text, "  no callout redirects in it: the services lead to each other by themselves")
        }
        Some(at) => writeln!(text, "  the records are lost at {at}: {}", cycle.why.explanation()),
        None => writeln!(text, "  the records are not lost: {}", cycle.why.explanation()),
    }
}

fn count(connects: u32) -> String {
    if connects == 1 { "1 connect".to_owned() } else { format!("{connects} connects") }
}
