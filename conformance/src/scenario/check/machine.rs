//! What is wrong with the machine of a case: its hosts, callouts and services.

use std::collections::BTreeMap;

use super::Check;
use crate::follow::{Destination, Service, SetWhen, Transport};
use crate::scenario::format::Callout;
use crate::vocabulary::{ContextSpec, DecisionSpec, Endpoint, LOCAL, Match, Name, Place, SocketFamily};
use crate::yaml::Diagnostic;

impl Check<'_> {
    /// No two sockets can listen at one address and port.
    pub(super) fn listeners(&mut self) {
        /// The host, the protocol, whether it is IPv6, the place and the port.
        type Address<'a> = (&'a str, Transport, bool, Place, Option<u16>);
        let mut taken: BTreeMap<Address<'_>, &str> = BTreeMap::new();
        let is_v6 = |family: SocketFamily| family != SocketFamily::Ipv4;
        for (host, spec) in &self.case.hosts {
            let listens =
                [("listen", Transport::Tcp, &spec.listen), ("listen-udp", Transport::Udp, &spec.listen_udp)];
            for (key, protocol, ports) in listens {
                for (index, port) in ports.iter().enumerate() {
                    for family in spec.families.of_sockets() {
                        let address = (&**host, protocol, is_v6(*family), Place::Any, Some(*port));
                        if taken.insert(address, host).is_some() {
                            let message = format!("`{host}` listens at port {port} already");
                            self.error(&["hosts", host, key, &index.to_string()], message);
                            break;
                        }
                    }
                }
            }
        }
        for (name, service) in &self.case.services {
            let Endpoint { place, port } = &service.listen;
            for family in service.families.of_sockets() {
                let place = if *family == SocketFamily::Dual { Place::Any } else { place.clone() };
                let address = (LOCAL, service.protocol, is_v6(*family), place, *port);
                if let Some(other) = taken.insert(address, name) {
                    let message = format!("`{other}` listens at {} already", service.listen);
                    self.error(&["services", name, "listen"], message);
                    break;
                }
            }
        }
    }

    fn matching(&mut self, matching: &Match, path: &[&str]) {
        if let Some(host) = &matching.remote_host {
            let path: Vec<&str> = path.iter().copied().chain(["remote-host"]).collect();
            self.host(host, &path);
        }
    }

    pub(super) fn callout(&mut self, name: &Name, callout: &Callout) {
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

    pub(super) fn service(&mut self, name: &Name, service: &Service) {
        let at = |key: &'static str| ["services", name, key];
        for (key, process) in [("process", &service.process), ("dial-process", &service.dial_process)] {
            if let Some(process) = process {
                self.process(process, &at(key));
            }
        }
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
        if service.protocol == Transport::Udp && service.set == SetWhen::AfterConnect {
            let message = "over UDP records go with the first datagram, or never";
            self.error(&at("set"), message.to_owned());
        }
        if service.dial.is_empty() {
            let error = Diagnostic::at(&self.place(&at("dial")), "a service dials in at least one family");
            self.errors.push(error.with_help("`dial: [same]` is the default"));
        }
    }
}
