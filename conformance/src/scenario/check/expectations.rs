//! What is wrong with what a case expects.

use std::collections::BTreeSet;

use wfp_sim::profile::Field;

use super::Check;
use crate::scenario::expect::{Completes, Expect, OutcomeExpect};
use crate::vocabulary::{Name, Role};
use crate::yaml::Diagnostic;

impl Check<'_> {
    pub(super) fn expect(&mut self, expect: &Expect, path: &[&str], follows: bool) {
        let below = |key: &'static str| path.iter().copied().chain([key]).collect::<Vec<&str>>();
        let field = |check: &mut Self, name: &str, path: &[&str]| {
            if Field::by_name(name).is_none() {
                check.unknown_field(&check.place(path), name);
            }
        };
        match expect {
            Expect::ByProfile(by) => {
                let named: Vec<&str> = path.iter().copied().chain(["by-profile", "field"]).collect();
                field(self, &by.field, &named);
                let values = Field::by_name(&by.field).map(|field| field.values).unwrap_or_default();
                let missing: Vec<&str> = values
                    .iter()
                    .map(|(value, _)| *value)
                    .filter(|value| !by.values.contains_key(*value))
                    .collect();
                if !missing.is_empty() {
                    let message = format!("nothing is expected for `{}`", missing.join("`, `"));
                    let error = Diagnostic::at(&self.place(&below("by-profile")), message);
                    self.errors.push(
                        error.with_help("a `by-profile` says what comes under each value of its field"),
                    );
                }
                for (value, expect) in &by.values {
                    let path: Vec<&str> =
                        path.iter().copied().chain(["by-profile", "values", value]).collect();
                    if Field::by_name(&by.field).is_some() && !values.iter().any(|(known, _)| known == value)
                    {
                        let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
                        self.unknown_at(&self.key(&path), "value", value, &known);
                    }
                    self.expect(expect, &path, follows);
                }
            }
            Expect::OneOf(all) => {
                if all.is_empty() {
                    let error = Diagnostic::at(&self.place(&below("one-of")), "nothing is expected");
                    self.errors.push(error.with_help("a `one-of` lists what may come"));
                }
                for (index, one) in all.iter().enumerate() {
                    let index = index.to_string();
                    let path: Vec<&str> = path.iter().copied().chain(["one-of", &index]).collect();
                    self.expect(one, &path, follows);
                }
            }
            Expect::Outcome(outcome) if follows => self.outcome(outcome, path),
            _ if follows => {
                let error =
                    Diagnostic::at(&self.place(path), "what is expected of a `follow` is an `outcome`");
                self.errors.push(error.with_help("`expect: {outcome: {end: reached, connects: 3}}`"));
            }
            Expect::Outcome(_) => {
                let error = Diagnostic::at(&self.place(path), "an `outcome` is expected of a `follow` only");
                self.errors.push(error);
            }
            Expect::Profile(name) => field(self, name, &below("profile")),
            Expect::Ok(ok) => {
                if let Some(name) = ok.same_as.as_ref().filter(|name| !self.made.contains_key(*name)) {
                    let made: Vec<Name> = self.made.keys().cloned().collect();
                    let known: Vec<&str> = made.iter().map(|name| &**name).collect();
                    let path: Vec<&str> = path.iter().copied().chain(["ok", "same-as"]).collect();
                    self.unknown(&path, "earlier result", name, &known);
                }
                for (index, called) in ok.called.iter().flatten().enumerate() {
                    let index = index.to_string();
                    let path: Vec<&str> = path.iter().copied().chain(["ok", "called", &index]).collect();
                    self.completes(called, &path);
                }
                for (index, inside) in ok.inside.iter().flatten().enumerate() {
                    let index = index.to_string();
                    let path: Vec<&str> = path.iter().copied().chain(["ok", "inside", &index]).collect();
                    self.expect(inside, &path, false);
                }
            }
            Expect::Completes(completes) => self.completes(completes, &below("completes")),
            Expect::Error(_)
            | Expect::Status(_)
            | Expect::BugCheck(_)
            | Expect::NotDocumented
            | Expect::Truncated(_)
            | Expect::Pending => {}
        }
    }

    /// Who can accept a connection that is followed.
    fn acceptors(&self) -> Vec<Name> {
        let hosts = self.case.hosts.iter().flat_map(|(name, host)| {
            let ports = host.listen.iter().chain(&host.listen_udp);
            ports.map(move |port| format!("{name}:{port}").into())
        });
        self.case.services.keys().cloned().chain(hosts).collect()
    }

    fn completes(&mut self, completes: &Completes, path: &[&str]) {
        if let Some(with) = &completes.with {
            let path: Vec<&str> = path.iter().copied().chain(["with"]).collect();
            self.expect(with, &path, false);
        }
    }

    fn outcome(&mut self, outcome: &OutcomeExpect, path: &[&str]) {
        let callouts: Vec<&str> = self.case.callouts.keys().map(|name| &**name).collect();
        for (index, hop) in outcome.hops.iter().enumerate() {
            let index = index.to_string();
            let at = |key: &'static str| {
                path.iter().copied().chain(["outcome", "hops", &index, key]).collect::<Vec<&str>>()
            };
            for callout in hop
                .sees
                .keys()
                .chain(hop.own_context.keys())
                .chain(hop.sees_redirects_by.keys())
                .filter(|name| !self.case.callouts.contains_key(*name))
            {
                let path: Vec<&str> = at("sees").into_iter().chain([&**callout]).collect();
                self.unknown_at(&self.key(&path), "callout", callout, &callouts);
            }
            for (number, callout) in hop.redirected_by.iter().flatten().enumerate() {
                if !self.case.callouts.contains_key(callout) {
                    let number = number.to_string();
                    let path: Vec<&str> = at("redirected-by").into_iter().chain([&*number]).collect();
                    self.unknown(&path, "callout", callout, &callouts);
                }
            }
            for (number, classify) in hop.classifies.iter().enumerate() {
                let names = classify
                    .did
                    .keys()
                    .chain(classify.write_right.keys())
                    .chain(classify.asked.iter().flatten());
                for name in names {
                    let known = self.case.callouts.contains_key(name) || self.case.filters.contains_key(name);
                    if !known && !self.made.get(name).is_some_and(|roles| roles.contains(&Role::Filter)) {
                        let number = number.to_string();
                        let path: Vec<&str> = at("classifies").into_iter().chain([&*number]).collect();
                        self.unknown(&path, "callout or filter", name, &callouts);
                    }
                }
            }
            if let Some(by) = &hop.by {
                let known: BTreeSet<Name> =
                    self.processes().into_iter().chain(self.case.services.keys().cloned()).collect();
                if !known.contains(by) {
                    let known: Vec<&str> = known.iter().map(|name| &**name).collect();
                    self.unknown(&at("by"), "process or service", by, &known);
                }
            }
            if let Some(by) = &hop.accepted_by {
                let known = self.acceptors();
                if !known.contains(by) {
                    let known: Vec<&str> = known.iter().map(|name| &**name).collect();
                    self.unknown(&at("accepted-by"), "service or listening host", by, &known);
                }
            }
            let handles = self.handles();
            for (number, handle) in hop.records.iter().flatten().enumerate() {
                if !handles.iter().any(|known| *known == **handle) {
                    let known: Vec<&str> = handles.iter().map(String::as_str).collect();
                    let number = number.to_string();
                    let path: Vec<&str> = at("records").into_iter().chain([&*number]).collect();
                    self.unknown(&path, "redirect handle", handle, &known);
                }
            }
        }
        if let Some(cycle) = &outcome.cycle {
            let services: Vec<&str> = self.case.services.keys().map(|name| &**name).collect();
            for service in cycle.services.iter().flatten().chain(&cycle.records_lost_at) {
                if !self.case.services.contains_key(service) {
                    let path: Vec<&str> = path.iter().copied().chain(["outcome", "cycle"]).collect();
                    self.unknown(&path, "service", service, &services);
                }
            }
        }
    }
}
