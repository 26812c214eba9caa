//! What a case did in lines; a followed connection hop by hop.

use std::fmt::Write as _;

use super::{classified, connects, did, end, family, layer, records, redirect, services, state, why};
use crate::follow::{Ending, HopReport};
use crate::run::{Called, Event};
use crate::vocabulary::Hop;

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

/// What a case did: each call in a line, with what each callout saw and did where it was classified; each followed
/// connection hop by hop.
pub(in crate::run) fn lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Called(Called { process, what, observed, hop, .. }) => {
                let _ = writeln!(text, "{process}: {what} -> {observed}");
                if let Some(hop) = hop {
                    let _ = write_classified(&mut text, hop);
                }
            }
            Event::Followed(followed) => text.push_str(&hops(&followed.ending)),
        }
    }
    text
}

fn write_hop(text: &mut String, number: usize, report: &HopReport) -> std::fmt::Result {
    write!(text, "connect {number}: {}", report.by)?;
    if report.by != report.process {
        write!(text, " (in {})", report.process)?;
    }
    write!(text, " dials {} over {}", report.to, family(report.family))?;
    if let Some(hop) = &report.hop {
        writeln!(text, ", {}", records(&hop.records))?;
        if let Some(before) = &report.at_connect {
            writeln!(text, "  when the socket is connected:")?;
            write_classified(text, before)?;
            writeln!(text, "  when it sends the first datagram:")?;
        }
        write_classified(text, hop)?;
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

/// What callouts were told and did in the course of a connect, in one line.
pub(crate) fn in_a_line(hop: &Hop) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_classified(&mut text, hop);
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = lines.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "no callout is asked".to_owned() } else { text }
}

fn write_classified(text: &mut String, hop: &Hop) -> std::fmt::Result {
    // The redirect layer goes without saying where it is the only one.
    let names_layers = classified(hop).nth(1).is_some();
    for asked in classified(hop) {
        if names_layers {
            writeln!(text, "  {}", layer(asked))?;
        }
        let indent = if names_layers { "    " } else { "  " };
        let width = asked.inspections.iter().map(|seen| seen.callout.len()).max().unwrap_or(0);
        for seen in &asked.inspections {
            writeln!(text, "{indent}{:width$}  {:<29}  {}", seen.callout, state(seen), did(seen))?;
        }
        if let Some(end) = end(asked) {
            writeln!(text, "{indent}{end}")?;
        }
    }
    match redirect(hop) {
        Some(what) => writeln!(text, "  {what}"),
        None => Ok(()),
    }
}

fn write_end(text: &mut String, ending: &Ending) -> std::fmt::Result {
    let Some(cycle) = &ending.cycle else {
        return writeln!(text, "end: {} after {}", ending.end, connects(ending.connects));
    };
    let same = ending.repeats.unwrap_or_default();
    writeln!(text, "end: {}: connect {} is connect {same} again", ending.end, ending.hops.len())?;
    writeln!(text, "  the cycle: {}", services(cycle))?;
    writeln!(text, "  {}", why(cycle, ending))
}
