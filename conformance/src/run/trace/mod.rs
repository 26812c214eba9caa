//! What a case did, and above all the connections that it followed: as lines, as data and as sequence diagrams.

mod data;
mod mermaid;
mod sequence;
mod text;

use std::fmt::Write as _;

pub(super) use data::Trace;
pub use mermaid::diagram;
pub(super) use mermaid::diagrams;
pub(super) use sequence::Sequence;
pub use text::hops;
pub(crate) use text::in_a_line;
pub(super) use text::lines;

use crate::follow::{Cycle, Ending, HopReport, redirects};
use crate::run::Event;
use crate::vocabulary::{
    Classified, ClassifyEnd, DidName, Hop, Inspected, LayerName, Name, Redirected, SocketFamily,
};

/// What a case did as diagrams: one for each connection that was followed, and one for the calls between two of them.
pub(super) fn sequences(events: &[Event]) -> impl Iterator<Item = Sequence> {
    let are_calls = |one: &Event, next: &Event| matches!((one, next), (Event::Called(_), Event::Called(_)));
    events.chunk_by(are_calls).map(|chunk| match chunk {
        [Event::Followed(followed)] => {
            Sequence { step: Some(followed.step), ..Sequence::of(&followed.ending) }
        }
        calls => Sequence::of_calls(calls),
    })
}

/// The layers whose filters matched in the course of a connect, in their order.
fn classified(hop: &Hop) -> impl Iterator<Item = &Classified> {
    hop.classifies.iter().filter(|classified| !classified.inspections.is_empty())
}

/// The layer and what it showed, where that is more than the connect itself.
fn layer(classified: &Classified) -> String {
    let mut text = classified.layer_name();
    if let Some(remote) =
        classified.remote.as_ref().filter(|_| classified.layer != LayerName::ConnectRedirect)
    {
        let _ = write!(text, " to {remote}");
    }
    let flags: Vec<&str> = classified.flags.iter().map(|flag| flag.name()).collect();
    if !flags.is_empty() {
        let _ = write!(text, " ({})", flags.join(", "));
    }
    text
}

/// What arbitration made of it; a permit goes without saying.
fn end(classified: &Classified) -> Option<&'static str> {
    match classified.end {
        ClassifyEnd::Permit => None,
        ClassifyEnd::Block => Some("blocked"),
        ClassifyEnd::Pended => Some("waits for the driver"),
        ClassifyEnd::Never => Some("never completes"),
        ClassifyEnd::BugCheck => Some("Windows crashes"),
    }
}

/// How a connect wrote its destination.
fn family(family: SocketFamily) -> &'static str {
    match family {
        SocketFamily::Ipv4 => "IPv4",
        SocketFamily::Ipv6 => "IPv6",
        SocketFamily::Dual => "v4-mapped",
    }
}

/// What a callout was told; a filter is told nothing.
fn state(seen: &Inspected) -> &'static str {
    if seen.is_filter { "" } else { wfp_sim::RedirectState::from(seen.state).name() }
}

/// What a callout did; without which right, and which others had redirected before it in the same classify, as
/// `previousVersion` told it.
fn did(seen: &Inspected) -> String {
    let says_so = matches!(seen.did.what, DidName::NoRight | DidName::Veto | DidName::PermitWithoutRight);
    let right = if seen.write_right || says_so { "" } else { " (no right to write)" };
    match seen.previous.as_slice() {
        [] => format!("{}{right}", seen.did),
        [one] => format!("{}{right} (previous version: {one})", seen.did),
        several => format!("{}{right} (previous versions: {})", seen.did, several.join(", ")),
    }
}

fn records(handles: &[Name]) -> String {
    if handles.is_empty() { "no records".to_owned() } else { format!("records [{}]", handles.join(", ")) }
}

/// What came of the redirect, where that is not what it should be.
fn redirect(hop: &Hop) -> Option<String> {
    match hop.redirected.as_ref()? {
        Redirected::NotAccepted(why) => Some(format!("the redirect is not accepted: {why}")),
        Redirected::Remotely => Some("redirected to another host, without records".to_owned()),
        Redirected::Locally { handle: None } => {
            Some("redirected to an own address that is not loopback, without records".to_owned())
        }
        Redirected::Locally { handle: Some(_) } => None,
    }
}

fn connects(count: u32) -> String {
    if count == 1 { "1 connect".to_owned() } else { format!("{count} connects") }
}

/// The connects of a loop: from the one that comes again to the one that is the same.
fn round(ending: &Ending) -> &[HopReport] {
    let first = ending.repeats.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
    first.and_then(|first| ending.hops.get(first..)).unwrap_or_default()
}

/// The services of a loop, in the order in which they repeat.
fn services(cycle: &Cycle) -> String {
    let around = cycle.services.iter().chain(cycle.services.first());
    around.map(|name| &**name).collect::<Vec<_>>().join(" -> ")
}

/// Why it goes round.
fn why(cycle: &Cycle, ending: &Ending) -> String {
    match &cycle.records_lost_at {
        None if !redirects(round(ending)) => {
            "no callout redirects in it: the services lead to each other by themselves".to_owned()
        }
        Some(at) => format!("the records are lost at {at}: {}", cycle.why.explanation()),
        None => format!("the records are not lost: {}", cycle.why.explanation()),
    }
}
