//! How a followed connection is expected to end, and who is expected to see what on the way.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use wfp_sim::WinsockError;

use super::classify::ClassifyExpect;
use crate::follow::{Cycle, End, Ending, ErrorName, HopReport, Note, Why};
use crate::vocabulary::{Name, StateName};

/// How a followed connection ends. What is not named is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutcomeExpect {
    /// How.
    pub end: End,
    /// After how many connect attempts.
    #[serde(default)]
    pub connects: Option<u32>,
    /// Of a loop: who is in it, and why.
    #[serde(default)]
    pub cycle: Option<CycleExpect>,
    /// Who sees what at each connect attempt, in their order; there may be more of them.
    #[serde(default)]
    pub hops: Vec<HopExpect>,
}

/// Who is in a loop, and why.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CycleExpect {
    /// The services in the order in which they repeat.
    #[serde(default)]
    pub services: Option<Vec<Name>>,
    /// The service at which the records were lost.
    #[serde(default)]
    pub records_lost_at: Option<Name>,
    /// Why.
    #[serde(default)]
    pub why: Option<Why>,
}

/// One connect attempt.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HopExpect {
    /// Who dials: a process, or a service.
    #[serde(default)]
    pub by: Option<Name>,
    /// The redirect state that each callout is told.
    #[serde(default)]
    pub sees: IndexMap<Name, StateName>,
    /// How often each callout is asked at the redirect layer: twice where a UDP socket is connected before it sends.
    #[serde(default)]
    pub asked: IndexMap<Name, u32>,
    /// The bytes of its own context that each callout is given back.
    #[serde(default)]
    pub own_context: IndexMap<Name, u32>,
    /// The callouts that redirected earlier in the same classify, as each callout sees them in `previousVersion`,
    /// latest first.
    #[serde(default)]
    pub sees_redirects_by: IndexMap<Name, Vec<Name>>,
    /// The callouts that redirect, in their order.
    #[serde(default)]
    pub redirected_by: Option<Vec<Name>>,
    /// The handles in the records on the socket that dials, oldest first.
    #[serde(default)]
    pub records: Option<Vec<Name>>,
    /// The classifies at the layers that are named here: just these, in this order.
    #[serde(default)]
    pub classifies: Vec<ClassifyExpect>,
    /// Who accepts the connection: a service, or a destination.
    #[serde(default)]
    pub accepted_by: Option<Name>,
    /// What the service that accepts it fetches, of what it asks for.
    #[serde(default)]
    pub fetches: Option<Vec<Fetched>>,
    /// How the connect fails.
    #[serde(default)]
    pub error: Option<ErrorName>,
}

/// What a service fetches from a connection that it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fetched {
    /// The redirect records.
    Records,
    /// The redirect context.
    Context,
}

impl Fetched {
    /// What a service fetched, in the order in which it asked.
    #[must_use]
    pub fn all(notes: &[Note]) -> Vec<Self> {
        let of = |note: &Note| match note {
            Note::Records(Ok(_)) => Some(Self::Records),
            Note::Context(Ok(_)) => Some(Self::Context),
            _ => None,
        };
        notes.iter().filter_map(of).collect()
    }

    fn name(self) -> Name {
        match self {
            Self::Records => "records".into(),
            Self::Context => "context".into(),
        }
    }
}

/// Something that came otherwise than expected.
pub(crate) struct Difference {
    /// The keys that lead to it, from the expectation on.
    pub(crate) path: Vec<String>,
    /// What was expected.
    pub(crate) expected: String,
    /// What came instead.
    pub(crate) observed: String,
}

impl Difference {
    pub(super) fn at(key: &str, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        Self { path: vec![key.to_owned()], expected: expected.into(), observed: observed.into() }
    }

    /// The same, seen from further out.
    pub(super) fn below(mut self, keys: &[&str]) -> Self {
        self.path.splice(..0, keys.iter().map(|key| (*key).to_owned()));
        self
    }
}

impl OutcomeExpect {
    /// An end, and nothing else.
    pub(crate) fn ends(end: End) -> Self {
        Self { end, connects: None, cycle: None, hops: Vec::new() }
    }

    pub(super) fn check(&self, ending: &Ending) -> Option<Difference> {
        if self.end != ending.end {
            return Some(Difference::at("end", format!("end {}", self.end), ending.to_string()));
        }
        if let Some(expected) = self.connects.filter(|connects| *connects != ending.connects) {
            return Some(Difference::at("connects", connects(expected), connects(ending.connects)));
        }
        if let Some(expected) = &self.cycle {
            let Some(cycle) = &ending.cycle else { return Some(Difference::at("cycle", "a cycle", "none")) };
            if let Some(difference) = expected.check(cycle) {
                return Some(difference.below(&["cycle"]));
            }
        }
        for (index, expected) in self.hops.iter().enumerate() {
            let (number, below) = (index + 1, index.to_string());
            let Some(hop) = ending.hops.get(index) else {
                let observed = format!("only {}", connects(ending.connects));
                return Some(
                    Difference::at(&below, format!("a connect {number}"), observed).below(&["hops"]),
                );
            };
            if let Some(mut difference) = expected.check(hop) {
                difference.expected = format!("connect {number}: {}", difference.expected);
                return Some(difference.below(&["hops", &below]));
            }
        }
        None
    }
}

impl CycleExpect {
    fn check(&self, cycle: &Cycle) -> Option<Difference> {
        if let Some(expected) = self.services.as_ref().filter(|services| **services != cycle.services) {
            let observed = format!("one of {}", list(&cycle.services));
            return Some(Difference::at("services", format!("a cycle of {}", list(expected)), observed));
        }
        let lost_at = cycle.records_lost_at.as_ref();
        if let Some(at) = self.records_lost_at.as_ref().filter(|at| Some(*at) != lost_at) {
            let observed = lost_at.map_or("nowhere".to_owned(), |at| format!("at {at}"));
            return Some(Difference::at("records-lost-at", format!("records lost at {at}"), observed));
        }
        let why = self.why.filter(|why| *why != cycle.why)?;
        Some(Difference::at("why", format!("the reason {why}"), cycle.why.to_string()))
    }
}

impl HopExpect {
    fn check(&self, hop: &HopReport) -> Option<Difference> {
        if let Some(by) = self.by.as_ref().filter(|by| **by != hop.by) {
            return Some(Difference::at("by", format!("by {by}"), format!("by {}", hop.by)));
        }
        if let Some(accepted) = self.accepted_by.as_ref().filter(|by| Some(*by) != hop.accepted_by.as_ref()) {
            let observed = hop.accepted_by.as_ref().map_or("by nobody".to_owned(), |by| format!("by {by}"));
            return Some(Difference::at("accepted-by", format!("accepted by {accepted}"), observed));
        }
        let error = self.error.map(|name| name.0);
        if error != hop.error {
            let text =
                |error: Option<WinsockError>| error.map_or("no error".to_owned(), |error| error.to_string());
            return Some(Difference::at("error", text(error), text(hop.error)));
        }
        if let Some(expected) = &self.fetches {
            let observed = Fetched::all(&hop.then);
            if *expected != observed {
                let text = |fetched: &[Fetched]| match fetched {
                    [] => "nothing".to_owned(),
                    some => list(&some.iter().map(|one| one.name()).collect::<Vec<_>>()),
                };
                return Some(Difference::at(
                    "fetches",
                    format!("{} fetched", text(expected)),
                    text(&observed),
                ));
            }
        }
        let view = hop.hop.as_ref()?;
        if let Some(difference) = super::classify::check(&self.classifies, view) {
            return Some(difference);
        }
        let seen = |callout: &Name| view.inspections().find(|seen| seen.callout == *callout);
        for (callout, state) in &self.sees {
            let observed = seen(callout).map(|seen| seen.state);
            if observed != Some(*state) {
                let observed = format!("{callout}: {}", observed.map_or("is not asked", StateName::name));
                let expected = format!("{callout} sees {}", state.name());
                return Some(Difference::at(callout, expected, observed).below(&["sees"]));
            }
        }
        for (callout, times) in &self.asked {
            let observed = asked(hop, callout);
            if observed != *times {
                let text = |times: u32| if times == 1 { "once".to_owned() } else { format!("{times} times") };
                let expected = format!("{callout} is asked {}", text(*times));
                return Some(Difference::at(callout, expected, text(observed)).below(&["asked"]));
            }
        }
        for (callout, bytes) in &self.own_context {
            let observed = seen(callout).and_then(|seen| seen.own_context_bytes);
            if observed != Some(*bytes) {
                let observed = observed.map_or("none".to_owned(), |bytes| format!("one of {bytes} bytes"));
                let expected = format!("{callout} is given its context of {bytes} bytes");
                return Some(Difference::at(callout, expected, observed).below(&["own-context"]));
            }
        }
        for (callout, earlier) in &self.sees_redirects_by {
            let observed = seen(callout).map(|seen| seen.previous.as_slice()).unwrap_or_default();
            if observed != earlier.as_slice() {
                let expected = format!("{callout} sees earlier redirects by {}", list(earlier));
                let difference = Difference::at(callout, expected, format!("by {}", list(observed)));
                return Some(difference.below(&["sees-redirects-by"]));
            }
        }
        if let Some(expected) = &self.redirected_by {
            let redirects = view.inspections().filter(|seen| seen.did.is_redirect());
            let observed: Vec<Name> = redirects.map(|seen| Name::clone(&seen.callout)).collect();
            if observed != *expected {
                let observed = format!("by {}", list(&observed));
                return Some(Difference::at(
                    "redirected-by",
                    format!("redirected by {}", list(expected)),
                    observed,
                ));
            }
        }
        let records = self.records.as_ref().filter(|records| **records != view.records)?;
        Some(Difference::at("records", format!("the records {}", list(records)), list(&view.records)))
    }
}

/// How often a callout is asked at the redirect layer, when the socket is connected and when the datagram is sent.
fn asked(hop: &HopReport, callout: &Name) -> u32 {
    let views = hop.at_connect.iter().chain(&hop.hop);
    let seen = views.flat_map(|view| view.inspections()).filter(|seen| seen.callout == *callout);
    u32::try_from(seen.count()).unwrap_or(u32::MAX)
}

fn connects(count: u32) -> String {
    if count == 1 { "1 connect".to_owned() } else { format!("{count} connects") }
}

fn list(names: &[Name]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "end {} after {}", self.end, connects(self.connects))?;
        match &self.cycle {
            Some(Cycle { services, why, .. }) if services.len() == 1 => {
                write!(f, " ({} goes round: {why})", services[0])
            }
            Some(Cycle { services, why, .. }) => write!(f, " ({} go round: {why})", services.join(", ")),
            None => Ok(()),
        }
    }
}
