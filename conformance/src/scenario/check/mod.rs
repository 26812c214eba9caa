//! What is wrong with a case that has the right form: names that nothing has, values that do not exist, things
//! that contradict each other.

mod expectations;
mod machine;
mod steps;

use std::collections::BTreeMap;

use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};

use super::format::{BASE, Case};
use crate::regressions::Regression;
use crate::requirements::Catalogue;
use crate::vocabulary::{Endpoint, HandleSpec, LOCAL, Name, Place, Role};
use crate::yaml::{Diagnostic, Node, Span, nearest};

/// Everything that is wrong with a case. `tree` is what it was read from.
pub(super) fn check(case: &Case, tree: &Node, catalogue: &Catalogue, profile: &Profile) -> Vec<Diagnostic> {
    let mut check = Check { case, tree, profile: profile.clone(), errors: Vec::new(), made: BTreeMap::new() };
    check.requirements(catalogue);
    check.regressions();
    check.profile();
    for (name, process) in &case.processes {
        check.host(&process.host, &["processes", name, "host"]);
        if process.driver && &*process.host != LOCAL {
            let message = format!("`{name}` is a driver, and drivers run on this machine alone");
            check.error(&["processes", name, "driver"], message);
        }
    }
    for (name, callout) in &case.callouts {
        check.callout(name, callout);
    }
    for (name, service) in &case.services {
        check.service(name, service);
    }
    for name in case.leaks.keys().filter(|name| !case.callouts.contains_key(*name)) {
        let known: Vec<&str> = case.callouts.keys().map(|name| &**name).collect();
        check.unknown_at(&check.key(&["leaks", name]), "callout", name, &known);
    }
    check.listeners();
    for (index, step) in case.steps.iter().enumerate() {
        check.step(index, step);
    }
    if case.steps.is_empty() {
        let error = Diagnostic::at(&tree.span, format!("the case `{}` has no steps", case.id));
        check
            .errors
            .push(error.with_help("a case with a `follow` and what is expected of it is a good start"));
    }
    check.errors
}

struct Check<'a> {
    case: &'a Case,
    tree: &'a Node,
    profile: Profile,
    errors: Vec<Diagnostic>,
    /// What the steps so far have made: names, and what they can stand for.
    made: BTreeMap<Name, &'static [Role]>,
}

impl<'a> Check<'a> {
    /// The place of a value; of the nearest thing around it that was written.
    fn place(&self, path: &[&str]) -> Span {
        self.node(path).span.clone()
    }

    /// The place of the key at the end of a path.
    fn key(&self, path: &[&str]) -> Span {
        let key = path.split_last().and_then(|(key, above)| self.node(above).entry(key));
        key.map_or_else(|| self.place(path), |entry| entry.key_span.clone())
    }

    fn node(&self, path: &[&str]) -> &'a Node {
        self.tree.descend(path)
    }

    fn error(&mut self, path: &[&str], message: String) {
        self.errors.push(Diagnostic::at(&self.place(path), message));
    }

    /// An error about a name that nothing has, with those that there are.
    fn unknown(&mut self, path: &[&str], what: &str, name: &str, known: &[&str]) {
        self.unknown_at(&self.place(path), what, name, known);
    }

    fn unknown_at(&mut self, span: &Span, what: &str, name: &str, known: &[&str]) {
        let mut error = Diagnostic::at(span, format!("there is no {what} `{name}`"));
        if let Some(near) = nearest(name, known.iter().copied()) {
            error = error.with_label(format!("did you mean `{near}`?"));
        }
        error = if known.is_empty() {
            error.with_help(format!("the case has no {what} here"))
        } else {
            error.with_help(format!("known here: {}", known.join(", ")))
        };
        self.errors.push(error);
    }

    fn requirements(&mut self, catalogue: &Catalogue) {
        let known: Vec<&str> = catalogue.iter().map(|requirement| requirement.id.as_str()).collect();
        for (index, id) in self.case.requirements.iter().enumerate() {
            let path = ["requirements", &index.to_string()];
            let Some(requirement) = catalogue.get(id) else {
                let mut error = Diagnostic::at(&self.place(&path), format!("there is no requirement `{id}`"));
                if let Some(near) = nearest(id, known.iter().copied()) {
                    error = error.with_label(format!("did you mean `{near}`?"));
                }
                self.errors.push(error.with_help("`wfp-conformance explain requirements` lists them"));
                continue;
            };
            if let Some(reason) = &requirement.untestable {
                let place = self.place(&path);
                let error = Diagnostic::at(&place, format!("`{id}` is a requirement that no case can check"));
                self.errors.push(error.with_help(format!("the catalogue says why: {reason}")));
            }
        }
    }

    fn regressions(&mut self) {
        for id in self.case.regressions.keys().filter(|id| Regression::by_id(id).is_none()) {
            let place = self.key(&["regressions", id]);
            let mut error = Diagnostic::at(&place, format!("there is no regression `{id}`"));
            // A number that is near is another number.
            if let Some(near) = Regression::ids().into_iter().find(|known| known.eq_ignore_ascii_case(id)) {
                error = error.with_label(format!("did you mean `{near}`?"));
            }
            self.errors.push(error.with_help("`wfp-conformance explain regressions` lists them"));
        }
    }

    fn unknown_field(&mut self, span: &Span, name: &str) {
        let error = Diagnostic::at(span, format!("there is no profile field `{name}`"));
        let error = match nearest(name, FIELDS.iter().map(|field| field.name)) {
            Some(near) => error.with_label(format!("did you mean `{near}`?")),
            None => error,
        };
        self.errors.push(error.with_help("`wfp-conformance explain profile` lists them"));
    }

    fn profile(&mut self) {
        self.profile = self.case.under(&self.profile);
        for (name, value) in &self.case.profile {
            match Field::by_name(name) {
                None if name == BASE => {
                    if Profile::built_in(&value.0).is_none() {
                        self.unknown(&["profile", name], "built-in profile", &value.0, &Profile::BUILT_IN);
                    }
                }
                None => self.unknown_field(&self.key(&["profile", name]), name),
                Some(field) => {
                    if let Err(error) = field.set(&mut self.profile, &value.0) {
                        self.error(&["profile", name], error.to_string());
                    }
                }
            }
        }
    }

    fn hosts(&self) -> Vec<&'a str> {
        let mut hosts: Vec<&'a str> = self.case.hosts.keys().map(|name| &**name).collect();
        if !hosts.contains(&LOCAL) {
            hosts.push(LOCAL);
        }
        hosts
    }

    fn host(&mut self, name: &Name, path: &[&str]) {
        let hosts = self.hosts();
        if !hosts.contains(&&**name) {
            self.unknown(path, "host", name, &hosts);
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint, path: &[&str]) {
        if let Place::Host(name) = &endpoint.place {
            self.host(name, path);
        }
    }

    /// Processes are those of the case, and one for each service that names no other.
    fn processes(&self) -> Vec<Name> {
        let services = self.case.services.iter();
        let own = services.filter(|(name, service)| service.runs_in(name) == *name).map(|(name, _)| name);
        self.case.processes.keys().chain(own).cloned().collect()
    }

    fn process(&mut self, name: &Name, path: &[&str]) {
        let processes = self.processes();
        if !processes.contains(name) {
            let known: Vec<&str> = processes.iter().map(|name| &**name).collect();
            self.unknown(path, "process", name, &known);
        }
    }

    /// The names of redirect handles.
    fn handles(&self) -> Vec<String> {
        let names = self.case.callouts.iter().map(|(name, callout)| match callout.handle {
            HandleSpec::One => vec![name.to_string()],
            HandleSpec::PerFamily => vec![format!("{name}.v4"), format!("{name}.v6")],
            HandleSpec::None => Vec::new(),
        });
        names.flatten().collect()
    }
}
