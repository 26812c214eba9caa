//! A followed connection as data, for the report that scripts read.

use serde::Serialize;

use super::{Classified, classified, diagram};
use crate::follow::{Ending, HopReport, Note};
use crate::vocabulary::{Did, Endpoint, Hop, Name, Redirected, SocketFamily, StateName};

/// A connection that a step followed, and its diagram.
#[derive(Clone, Debug, Serialize)]
pub(in crate::run) struct Trace {
    /// The number of the step, from 1.
    step: usize,
    end: &'static str,
    connects: u32,
    /// For a loop: the number of the connect that the last one is again.
    repeats: Option<u32>,
    hops: Vec<Connect>,
    mermaid: String,
}

/// A connect attempt, and what its acceptor did.
#[derive(Clone, Debug, Serialize)]
struct Connect {
    by: Name,
    process: Name,
    to: Endpoint,
    family: SocketFamily,
    /// Of a first datagram on a UDP socket that was connected: what the filter engine did at its connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_before: Option<Engine>,
    /// What the filter engine did; null where the backend does not show it.
    engine: Option<Engine>,
    error: Option<String>,
    accepted_by: Option<Name>,
    then: Vec<Done>,
}

#[derive(Clone, Debug, Serialize)]
struct Engine {
    records: Vec<Name>,
    classifies: Vec<Classify>,
    redirect: Option<Redirect>,
    target: Endpoint,
    delivered: Vec<Name>,
    delivered_bytes: u32,
}

/// What the callouts of a layer were told and did.
#[derive(Clone, Debug, Serialize)]
struct Classify {
    layer: String,
    flags: Vec<&'static str>,
    local: Endpoint,
    remote: Option<Endpoint>,
    original_destination: Option<Endpoint>,
    callouts: Vec<Asked>,
    end: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Asked {
    callout: Name,
    write_right: bool,
    handle: Option<Name>,
    state: Option<StateName>,
    own_context_bytes: Option<u32>,
    previous_versions: Vec<Name>,
    did: Did,
}

/// What came of the redirect.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "came_of_it", rename_all = "kebab-case")]
enum Redirect {
    Local { handle: Option<Name> },
    Remote,
    NotAccepted { why: String },
}

/// Something that a service did: null bytes where it got none.
#[derive(Clone, Debug, Serialize)]
struct Done {
    did: &'static str,
    bytes: Option<u32>,
    error: Option<String>,
}

impl Trace {
    pub(in crate::run) fn of(step: usize, ending: &Ending) -> Self {
        Self {
            step,
            end: ending.end.name(),
            connects: ending.connects,
            repeats: ending.repeats,
            hops: ending.hops.iter().map(Connect::of).collect(),
            mermaid: diagram(ending),
        }
    }
}

impl Connect {
    fn of(report: &HopReport) -> Self {
        Self {
            by: Name::clone(&report.by),
            process: Name::clone(&report.process),
            to: report.to.clone(),
            family: report.family,
            engine_before: report.at_connect.as_deref().map(Engine::of),
            engine: report.hop.as_deref().map(Engine::of),
            error: report.error.map(|error| error.to_string()),
            accepted_by: report.accepted_by.clone(),
            then: report.then.iter().map(Done::of).collect(),
        }
    }
}

impl Engine {
    fn of(hop: &Hop) -> Self {
        Self {
            records: hop.records.clone(),
            classifies: classified(hop).map(Classify::of).collect(),
            redirect: hop.redirected.as_ref().map(|redirected| match redirected {
                Redirected::Locally { handle } => Redirect::Local { handle: handle.clone() },
                Redirected::Remotely => Redirect::Remote,
                Redirected::NotAccepted(why) => Redirect::NotAccepted { why: why.clone() },
            }),
            target: hop.target.clone(),
            delivered: hop.delivered.clone(),
            delivered_bytes: hop.delivered_bytes,
        }
    }
}

impl Classify {
    fn of(classified: &Classified) -> Self {
        let callouts = classified.inspections.iter().map(|seen| Asked {
            callout: Name::clone(&seen.callout),
            write_right: seen.write_right,
            handle: seen.handle.clone(),
            state: (!seen.is_filter).then_some(seen.state),
            own_context_bytes: seen.own_context_bytes,
            previous_versions: seen.previous.clone(),
            did: seen.did.clone(),
        });
        Self {
            layer: classified.layer_name(),
            flags: classified.flags.iter().map(|flag| flag.name()).collect(),
            local: classified.local.clone(),
            remote: classified.remote.clone(),
            original_destination: classified.original_destination.clone(),
            callouts: callouts.collect(),
            end: classified.end.name(),
        }
    }
}

impl Done {
    fn of(note: &Note) -> Self {
        let done = |did, bytes, error: Option<String>| Self { did, bytes, error };
        match note {
            Note::Records(got) => done("query-records", got.ok(), got.err().map(|why| why.to_string())),
            Note::Context(got) => done("query-context", got.ok(), got.err().map(|why| why.to_string())),
            Note::ServesItself => done("serves-itself", None, None),
            Note::OriginalDestination(got) => {
                done("original-destination", None, got.err().map(|error| error.to_string()))
            }
            Note::NotBound(error) => done("bind", None, Some(error.to_string())),
            Note::Set(_, set) => done("set-records", None, set.err().map(|error| error.to_string())),
        }
    }
}
