//! What is wrong with a case that has the right form: names that nothing has, values that do not exist, things
//! that contradict each other.

mod expectations;

use std::collections::BTreeMap;

use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};

use super::format::{Callout, Case, Follow, Step, Sweep};
use crate::follow::{Destination, Service};
use crate::requirements::Catalogue;
use crate::vocabulary::{
    Call, ContextSpec, DecisionSpec, Dial, Endpoint, HandleSpec, Match, Name, Place, Role, SocketFamily,
};
use crate::yaml::{Diagnostic, Node, Span, nearest};

/// The name of the machine that the callouts are on.
const LOCAL: &str = "local";

/// Everything that is wrong with a case. `tree` is what it was read from.
pub(super) fn check(case: &Case, tree: &Node, catalogue: &Catalogue, profile: &Profile) -> Vec<Diagnostic> {
    let mut check = Check { case, tree, profile: profile.clone(), errors: Vec::new(), made: BTreeMap::new() };
    check.requirements(catalogue);
    check.profile();
    for (name, host) in &case.hosts {
        check.listens_once(name, &host.listen);
    }
    for (name, process) in &case.processes {
        check.host(&process.host, &["processes", name, "host"]);
    }
    for (name, callout) in &case.callouts {
        check.callout(name, callout);
    }
    check.services();
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
        let mut node = self.tree;
        for part in path {
            let next = match part.parse::<usize>() {
                Ok(index) if !node.items().is_empty() => node.items().get(index),
                _ => node.get(part),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
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
            if catalogue.get(id).is_none() {
                let path = ["requirements", &index.to_string()];
                let mut error = Diagnostic::at(&self.place(&path), format!("there is no requirement `{id}`"));
                if let Some(near) = nearest(id, known.iter().copied()) {
                    error = error.with_label(format!("did you mean `{near}`?"));
                }
                self.errors.push(error.with_help("`wfp-conformance explain requirements` lists them"));
            }
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
        for (name, value) in &self.case.profile {
            match Field::by_name(name) {
                None => self.unknown_field(&self.key(&["profile", name]), name),
                Some(field) => {
                    if let Err(error) = field.set(&mut self.profile, &value.0) {
                        self.error(&["profile", name], error.to_string());
                    }
                }
            }
        }
    }

    fn listens_once(&mut self, host: &Name, ports: &[u16]) {
        for (index, port) in ports.iter().enumerate() {
            if ports[..index].contains(port) {
                let message = format!("`{host}` listens at port {port} already");
                self.error(&["hosts", host, "listen", &index.to_string()], message);
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

    /// Processes are those of the case, and one for each service.
    fn processes(&self) -> Vec<Name> {
        let services = self.case.services.iter().flat_map(|(name, service)| {
            let own = service.process.as_ref().unwrap_or(name);
            std::iter::once(own).chain(service.dial_process.as_ref())
        });
        self.case.processes.keys().chain(services).cloned().collect()
    }

    fn process(&mut self, name: &Name, path: &[&str]) {
        let processes = self.processes();
        if !processes.contains(name) {
            let known: Vec<&str> = processes.iter().map(|name| &**name).collect();
            self.unknown(path, "process", name, &known);
        }
    }

    fn matching(&mut self, matching: &Match, path: &[&str]) {
        if let Some(host) = &matching.remote_host {
            let path: Vec<&str> = path.iter().copied().chain(["remote-host"]).collect();
            self.host(host, &path);
        }
    }

    fn callout(&mut self, name: &Name, callout: &Callout) {
        let at = |key: &'static str| ["callouts", name, key];
        match (&callout.redirect_to, &callout.redirect_to_endpoint) {
            (Some(_), Some(_)) => {
                let message = "a callout has either `redirect-to` or `redirect-to-endpoint`".to_owned();
                self.error(&at("redirect-to-endpoint"), message);
            }
            (Some(service), None) if !self.case.services.contains_key(service) => {
                let known: Vec<&str> = self.case.services.keys().map(|name| &**name).collect();
                self.unknown(&at("redirect-to"), "service", service, &known);
            }
            (None, Some(to)) => {
                self.endpoint(&to.at, &["callouts", name, "redirect-to-endpoint", "at"]);
                if let Some(process) = &to.process {
                    self.process(process, &["callouts", name, "redirect-to-endpoint", "process"]);
                }
            }
            _ => {}
        }
        let redirects = |decision: &DecisionSpec| *decision == DecisionSpec::Redirect;
        let asked = callout.in_state.values().any(redirects)
            || callout.rules.iter().any(|rule| redirects(&rule.r#do));
        if asked && !callout.redirects() {
            let key =
                if callout.rules.iter().any(|rule| redirects(&rule.r#do)) { "rules" } else { "in-state" };
            let error = Diagnostic::at(
                &self.place(&at(key)),
                format!("`{name}` redirects, and does not say where to"),
            );
            let help = "`redirect-to` names a service, or `redirect-to-endpoint` another host and port";
            self.errors.push(error.with_help(help));
        }
        if let Some(other) = &callout.sublayer_of {
            let before: Vec<&str> =
                self.case.callouts.keys().take_while(|known| *known != name).map(|name| &**name).collect();
            if !before.contains(&&**other) {
                self.unknown(&at("sublayer-of"), "callout before this one", other, &before);
            }
        }
        for (index, process) in callout.exempt.iter().enumerate() {
            self.process(process, &["callouts", name, "exempt", &index.to_string()]);
        }
        self.matching(&callout.r#match, &at("match"));
        for (index, rule) in callout.rules.iter().enumerate() {
            let index = index.to_string();
            self.matching(&rule.r#match, &["callouts", name, "rules", &index, "match"]);
            for (number, process) in rule.processes.iter().enumerate() {
                self.process(process, &["callouts", name, "rules", &index, "processes", &number.to_string()]);
            }
        }
        let length = match callout.context {
            ContextSpec::None => 0,
            ContextSpec::Destination => 128,
            ContextSpec::DestinationAndSource => 256,
            ContextSpec::Padded(length) => length.max(128),
            ContextSpec::Opaque(length) => length,
        };
        let limit = self.profile.context_limit;
        if length > limit {
            let message = format!("a context of {length} bytes is over the limit of {limit} bytes");
            let help = "the limit is the profile field `context-limit`; a case about a larger one sets it in `profile`";
            let error = Diagnostic::at(&self.place(&at("context")), message).with_help(help);
            // A case that is about the limit says so.
            if !self.case.profile.contains_key("context-limit") {
                self.errors.push(error);
            }
        }
    }

    fn services(&mut self) {
        let mut taken: BTreeMap<(Endpoint, SocketFamily), Name> = BTreeMap::new();
        for (name, service) in &self.case.services {
            self.service(name, service);
            for family in super::families(service.families) {
                if let Some(other) = taken.insert((service.listen.clone(), *family), Name::clone(name)) {
                    let message = format!("`{other}` listens at {} already", service.listen);
                    self.error(&["services", name, "listen"], message);
                }
            }
        }
    }

    fn service(&mut self, name: &Name, service: &Service) {
        let at = |key: &'static str| ["services", name, key];
        let place_is_own = match &service.listen.place {
            Place::Any | Place::Loopback => true,
            Place::Host(host) => &**host == LOCAL,
        };
        if !place_is_own || service.listen.port.is_none_or(|port| port == 0) {
            let message = format!("a service cannot listen at {}", service.listen);
            let error = Diagnostic::at(&self.place(&at("listen")), message);
            self.errors.push(
                error.with_help("it listens on this machine, at a port from 1 to 65535: `loopback:1001`"),
            );
        }
        if let Destination::Fixed(endpoint) = &service.destination {
            self.endpoint(endpoint, &["services", name, "destination", "fixed"]);
        }
        if let Some(bind) = &service.bind {
            self.endpoint(bind, &at("bind"));
        }
        if service.dial.is_empty() {
            let error = Diagnostic::at(&self.place(&at("dial")), "a service dials in at least one family");
            self.errors.push(error.with_help("`dial: [same]` is the default"));
        }
    }

    fn step(&mut self, index: usize, step: &Step) {
        let number = index.to_string();
        let at = |key: &'static str| ["steps", &number, key];
        let kinds = [step.op.is_some(), step.sweep.is_some(), step.follow.is_some()];
        if kinds.iter().filter(|kind| **kind).count() != 1 {
            let error = Diagnostic::at(
                &self.place(&["steps", &number]),
                "a step is one of `op`, `sweep` and `follow`",
            );
            self.errors.push(error);
            return;
        }
        match &step.process {
            Some(process) => self.process(process, &at("process")),
            None if step.follow.is_none() => {
                let error = Diagnostic::at(
                    &self.place(&["steps", &number]),
                    "this step does not say which `process` calls",
                );
                let processes = self.processes();
                let known: Vec<&str> = processes.iter().map(|name| &**name).collect();
                self.errors.push(error.with_help(format!("known here: {}", known.join(", "))));
            }
            None => {}
        }
        let mut results: &'static [Role] = &[];
        if let Some(call) = &step.op {
            self.call(call, &["steps", &number, "op", call.name()]);
            results = call.results();
        }
        if let Some(sweep) = &step.sweep {
            self.sweep(sweep, &number);
        }
        if let Some(follow) = &step.follow {
            self.follow(follow, &number);
        }
        if let Some(expect) = &step.expect {
            if step.sweep.is_some() {
                let error =
                    Diagnostic::at(&self.place(&at("expect")), "what a sweep expects stands in its rows");
                self.errors.push(error);
            } else {
                self.expect(expect, &["steps", &number, "expect"], step.follow.is_some());
            }
        }
        if let Some(name) = &step.name {
            let roles: &'static [Role] = if step.op.is_some() { results } else { &[] };
            if self.made.contains_key(name) {
                let error = Diagnostic::at(
                    &self.place(&at("name")),
                    format!("a step before this one is named `{name}`"),
                );
                self.errors.push(error);
            } else {
                self.made.insert(Name::clone(name), roles);
            }
        }
    }

    fn call(&mut self, call: &Call, path: &[&str]) {
        if matches!(call, Call::SetUp(_)) {
            let message = format!("`{}` is not for steps", call.name());
            let error = Diagnostic::at(&self.place(path), message);
            self.errors.push(error.with_help("`hosts`, `processes` and `callouts` of the case set these up"));
            return;
        }
        for (field, role, name) in call.references() {
            let path: Vec<&str> = path.iter().copied().chain([field]).collect();
            match role {
                Role::Process => self.process(name, &path),
                Role::Callout if !self.case.callouts.contains_key(name) => {
                    let known: Vec<&str> = self.case.callouts.keys().map(|name| &**name).collect();
                    self.unknown(&path, "callout", name, &known);
                }
                Role::Callout => {}
                Role::Socket | Role::Blob | Role::Pending => {
                    if !self.made.get(name).is_some_and(|roles| roles.contains(&role)) {
                        let made = self.made.clone();
                        let known: Vec<&str> = made
                            .iter()
                            .filter(|(_, roles)| roles.contains(&role))
                            .map(|(name, _)| &**name)
                            .collect();
                        self.unknown(&path, &role.to_string(), name, &known);
                    }
                }
            }
        }
        if let Call::Connect { to: Dial::Endpoint(endpoint), .. } | Call::Bind { to: endpoint, .. } = call {
            let path: Vec<&str> = path.iter().copied().chain(["to"]).collect();
            self.endpoint(endpoint, &path);
        }
    }

    fn sweep(&mut self, sweep: &Sweep, number: &str) {
        let path = ["steps", number, "sweep", "op"];
        if !matches!(sweep.op, Call::QueryRecords(_) | Call::QueryContext(_) | Call::SetRecords(_)) {
            let error = Diagnostic::at(
                &self.place(&path),
                format!("`{}` has no buffer to sweep over", sweep.op.name()),
            );
            self.errors
                .push(error.with_help("a sweep is over `query-records`, `query-context` or `set-records`"));
            return;
        }
        self.call(&sweep.op, &["steps", number, "sweep", "op", sweep.op.name()]);
        for (index, row) in sweep.rows.iter().enumerate() {
            self.expect(
                &row.expect,
                &["steps", number, "sweep", "rows", &index.to_string(), "expect"],
                false,
            );
        }
    }

    fn follow(&mut self, follow: &Follow, number: &str) {
        self.process(&follow.from, &["steps", number, "follow", "from"]);
        self.endpoint(&follow.to, &["steps", number, "follow", "to"]);
        if follow.to.port.is_none_or(|port| port == 0) {
            let error = Diagnostic::at(
                &self.place(&["steps", number, "follow", "to"]),
                "a destination has a port from 1 to 65535",
            );
            self.errors.push(error);
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
