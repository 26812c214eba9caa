//! How a followed connection is expected to end, and who is expected to see what on the way.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use wfp_sim::WinsockError;

use crate::follow::{Cycle, End, Ending, ErrorName, HopReport, Why};
use crate::vocabulary::{Did, Name, StateName};

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
    /// The callouts that redirect, in their order.
    #[serde(default)]
    pub redirected_by: Option<Vec<Name>>,
    /// The handles in the records on the socket that dials, oldest first.
    #[serde(default)]
    pub records: Option<Vec<Name>>,
    /// Who accepts the connection: a service, or a destination.
    #[serde(default)]
    pub accepted_by: Option<Name>,
    /// How the connect fails.
    #[serde(default)]
    pub error: Option<ErrorName>,
}

/// What was expected, and what came instead.
type Difference = (String, String);

impl OutcomeExpect {
    pub(super) fn check(&self, ending: &Ending) -> Option<Difference> {
        if self.end != ending.end {
            return Some((format!("end {}", self.end), ending.to_string()));
        }
        if let Some(connects) = self.connects.filter(|connects| *connects != ending.connects) {
            return Some((format!("{connects} connects"), format!("{} connects", ending.connects)));
        }
        if let Some(expected) = &self.cycle {
            let Some(cycle) = &ending.cycle else { return Some(("a cycle".to_owned(), "none".to_owned())) };
            if let Some(difference) = expected.check(cycle) {
                return Some(difference);
            }
        }
        for (index, expected) in self.hops.iter().enumerate() {
            let number = index + 1;
            let Some(hop) = ending.hops.get(index) else {
                return Some((format!("a connect {number}"), format!("only {} connects", ending.connects)));
            };
            if let Some((expected, observed)) = expected.check(hop) {
                return Some((format!("connect {number}: {expected}"), observed));
            }
        }
        None
    }
}

impl CycleExpect {
    fn check(&self, cycle: &Cycle) -> Option<Difference> {
        if let Some(services) = self.services.as_ref().filter(|services| **services != cycle.services) {
            return Some((
                format!("a cycle of {}", list(services)),
                format!("one of {}", list(&cycle.services)),
            ));
        }
        if let Some(at) =
            self.records_lost_at.as_ref().filter(|at| Some(*at) != cycle.records_lost_at.as_ref())
        {
            let observed =
                cycle.records_lost_at.as_ref().map_or("nowhere".to_owned(), |at| format!("at {at}"));
            return Some((format!("records lost at {at}"), observed));
        }
        let why = self.why.filter(|why| *why != cycle.why)?;
        Some((format!("the reason {why}"), cycle.why.to_string()))
    }
}

impl HopExpect {
    fn check(&self, hop: &HopReport) -> Option<Difference> {
        if let Some(by) = self.by.as_ref().filter(|by| **by != hop.by) {
            return Some((format!("by {by}"), format!("by {}", hop.by)));
        }
        if let Some(accepted) = self.accepted_by.as_ref().filter(|by| Some(*by) != hop.accepted_by.as_ref()) {
            let observed = hop.accepted_by.as_ref().map_or("by nobody".to_owned(), |by| format!("by {by}"));
            return Some((format!("accepted by {accepted}"), observed));
        }
        let error = self.error.map(|name| name.0);
        if error != hop.error {
            let text =
                |error: Option<WinsockError>| error.map_or("no error".to_owned(), |error| error.to_string());
            return Some((text(error), text(hop.error)));
        }
        let view = hop.hop.as_ref()?;
        for (callout, state) in &self.sees {
            let seen = view.inspections.iter().find(|seen| seen.callout == *callout).map(|seen| seen.state);
            if seen != Some(*state) {
                let observed = seen.map_or("is not asked", StateName::name);
                return Some((format!("{callout} sees {}", state.name()), format!("{callout}: {observed}")));
            }
        }
        if let Some(expected) = &self.redirected_by {
            let redirects = view.inspections.iter().filter(|seen| matches!(seen.did, Did::Redirect(_)));
            let observed: Vec<Name> = redirects.map(|seen| Name::clone(&seen.callout)).collect();
            if observed != *expected {
                return Some((
                    format!("redirected by {}", list(expected)),
                    format!("by {}", list(&observed)),
                ));
            }
        }
        let records = self.records.as_ref().filter(|records| **records != view.records)?;
        Some((format!("the records {}", list(records)), list(&view.records)))
    }
}

fn list(names: &[Name]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "end {} after {} connects", self.end, self.connects)?;
        if let Some(cycle) = &self.cycle {
            write!(f, " ({} go round: {})", cycle.services.join(", "), cycle.why)?;
        }
        Ok(())
    }
}
