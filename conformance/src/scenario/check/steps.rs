//! What is wrong with the steps of a case.

use super::Check;
use crate::follow::Transport;
use crate::scenario::format::{Follow, Step, Sweep};
use crate::vocabulary::{Call, Inside, Name, Role, SocketFamily};
use crate::yaml::Diagnostic;

impl Check<'_> {
    pub(super) fn step(&mut self, index: usize, step: &Step) {
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
        for (index, Inside { name, op }) in call.inside().iter().enumerate() {
            let index = index.to_string();
            let path: Vec<&str> = path.iter().copied().chain(["inside", &index, "op", op.name()]).collect();
            self.call(op, &path);
            if let Some(name) = name
                && self.made.insert(Name::clone(name), op.results()).is_some()
            {
                let path: Vec<&str> = path[..path.len() - 2].iter().copied().chain(["name"]).collect();
                let error =
                    Diagnostic::at(&self.place(&path), format!("a call before this one is named `{name}`"));
                self.errors.push(error);
            }
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
                Role::Filter if self.case.filters.contains_key(name) => {}
                Role::Filter | Role::Socket | Role::Blob | Role::Pending | Role::Operation | Role::Port => {
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
        for part in call.named_parts() {
            self.made.insert(Name::clone(part), &[Role::Blob]);
        }
        if let Some(endpoint) = call.endpoint() {
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
        if sweep.rows.iter().all(|row| row.lengths.is_empty()) {
            let error =
                Diagnostic::at(&self.place(&["steps", number, "sweep", "rows"]), "no length is tried");
            self.errors.push(error.with_help("`rows: [{lengths: [0, needed], expect: …}]`"));
        }
        for (index, row) in sweep.rows.iter().enumerate() {
            let expected = [("expect", Some(&row.expect)), ("if-short", row.if_short.as_ref())];
            for (key, expect) in expected {
                let Some(expect) = expect else { continue };
                self.expect(expect, &["steps", number, "sweep", "rows", &index.to_string(), key], false);
            }
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
        if let Some(bind) = &follow.bind {
            self.endpoint(bind, &["steps", number, "follow", "bind"]);
        }
        if follow.connect && follow.protocol == Transport::Tcp {
            let message = "a TCP connection is connected anyway: `connect` is about UDP".to_owned();
            self.error(&["steps", number, "follow", "connect"], message);
        }
        let written = (follow.socket, follow.family);
        if matches!(written, (Some(SocketFamily::Ipv4), SocketFamily::Ipv6 | SocketFamily::Dual)) {
            let message = format!("an IPv4 socket dials no {} address", follow.family);
            self.error(&["steps", number, "follow", "socket"], message);
        }
    }
}
