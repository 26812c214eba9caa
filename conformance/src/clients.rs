//! Clients of the queries that were seen in the field, and habits of some: ways that a service can take over by name.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::yaml::{Diagnostic, Entry, Kind as NodeKind, Node, Source, from_node, nearest, parse};

/// The version of the library's format.
const SCHEMA: &str = "wfp-conformance/clients/v1";

const TEXT: &str = include_str!("../clients.yaml");

/// A client, and where its ways were seen.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name in scenarios.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it does, in our own words.
    pub text: String,
    /// Where that was seen.
    pub source: String,
    /// How sure it is.
    pub kind: Kind,
    /// The keys of a service that it decides.
    ways: Node,
}

/// How sure it is what a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The documents describe it.
    Documented,
    /// Public code does it.
    Code,
    /// Public code of unknown quality does it.
    #[serde(rename = "code?")]
    Doubtful,
    /// It is no client alone, but one of the ways in which some ask.
    Habit,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented => "documented",
            Self::Code => "code",
            Self::Doubtful => "code?",
            Self::Habit => "habit",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    title: String,
    text: String,
    source: String,
    kind: Kind,
    #[expect(dead_code, reason = "it is kept as a tree, to be laid under the keys of a service")]
    service: serde::de::IgnoredAny,
}

static BUILT_IN: LazyLock<Result<Vec<Client>, Diagnostic>> = LazyLock::new(|| read(TEXT));

fn read(text: &str) -> Result<Vec<Client>, Diagnostic> {
    let root = parse(&Source::new("clients.yaml", text))?;
    if root.get("schema").and_then(Node::as_str) != Some(SCHEMA) {
        return Err(Diagnostic::at(&root.span, format!("the schema is not `{SCHEMA}`")));
    }
    let mut names = BTreeSet::new();
    let mut clients = Vec::new();
    for node in root.get("clients").map(Node::items).unwrap_or_default() {
        let Header { name, title, text, source, kind, .. } = from_node(node)?;
        let Some(ways) = node.get("service").cloned() else { continue };
        if !names.insert(name.clone()) {
            return Err(Diagnostic::at(&node.span, format!("`{name}` is there twice")));
        }
        clients.push(Client { name, title, text, source, kind, ways });
    }
    Ok(clients)
}

impl Client {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        // That the library can be read is held by a test.
        BUILT_IN.as_ref().map(Vec::as_slice).unwrap_or_default()
    }

    /// The client with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|client| client.name == name)
    }

    /// A service with the ways of this client, where it says nothing else itself. Its own keys come first: what it
    /// says of one is said whole.
    fn under(&self, own: &Node) -> Node {
        let mut entries: Vec<Entry> = own.entries().to_vec();
        let missing = self.ways.entries().iter().filter(|way| own.entry(&way.key).is_none());
        entries.extend(missing.cloned());
        Node { kind: NodeKind::Mapping(entries.into()), span: own.span.clone() }
    }
}

/// A case whose services have the ways of the clients that they name.
///
/// # Errors
/// Where a service names a client that there is not.
pub(crate) fn take_over(case: &Node) -> Result<Node, Diagnostic> {
    let named = |service: &Node| service.get("client").is_some();
    let services = case.get("services").map(Node::entries).unwrap_or_default();
    if !services.iter().any(|service| named(&service.value)) {
        return Ok(case.clone());
    }
    let mut taken = Vec::with_capacity(services.len());
    for service in services {
        let value = match service.value.get("client") {
            None => service.value.clone(),
            Some(name) => {
                client_of(name)?.map_or_else(|| service.value.clone(), |client| client.under(&service.value))
            }
        };
        taken.push(Entry { value, ..service.clone() });
    }
    let entries = case.entries().iter().map(|entry| {
        if &*entry.key != "services" {
            return entry.clone();
        }
        let span = entry.value.span.clone();
        Entry { value: Node { kind: NodeKind::Mapping(taken.clone().into()), span }, ..entry.clone() }
    });
    Ok(Node { kind: NodeKind::Mapping(entries.collect()), span: case.span.clone() })
}

/// The client that a service names. What is no text is told of where the service is read.
fn client_of(name: &Node) -> Result<Option<&'static Client>, Diagnostic> {
    let Some(text) = name.as_str() else { return Ok(None) };
    if let Some(client) = Client::by_name(text) {
        return Ok(Some(client));
    }
    let error = Diagnostic::at(&name.span, format!("there is no client `{text}`"));
    let error = match nearest(text, Client::all().iter().map(|client| client.name.as_str())) {
        Some(near) => error.with_label(format!("did you mean `{near}`?")),
        None => error,
    };
    Err(error.with_help("`wfp-conformance explain clients` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{Ask, Service, SetWhen};

    fn service(text: &str) -> Result<Service, Diagnostic> {
        let case = parse(&Source::new("x.yaml", format!("services:\n  proxy: {text}\n"))).unwrap();
        let taken = take_over(&case)?;
        from_node(taken.get("services").and_then(|services| services.get("proxy")).unwrap())
    }

    #[test]
    fn every_client_can_be_read_as_a_service_and_says_where_it_was_seen() {
        let clients = read(TEXT).unwrap();
        assert!(clients.len() >= 20, "{}", clients.len());
        for client in clients {
            let text = format!("{{listen: 'loopback:1', client: {}}}", client.name);
            let service = service(&text).unwrap();
            assert_eq!(service.client.as_deref(), Some(client.name.as_str()));
            let careful = Service { client: service.client.clone(), ..Service::at(1) };
            assert_ne!(service, careful, "{} differs in nothing", client.name);
            assert!(!client.source.is_empty() && !client.text.is_empty(), "{}", client.name);
            assert!(client.ways.get("listen").is_none(), "{}", client.name);
        }
    }

    #[test]
    fn service_has_the_ways_of_its_client_and_its_own_come_first() {
        let envoy = service("{listen: 'loopback:1', client: envoy}").unwrap();
        assert_eq!((&envoy.records, &envoy.context), (&Ask::Fixed(2048), &Ask::Never));
        let own = service("{listen: 'loopback:1', client: envoy, records: size-query, set: never}").unwrap();
        assert_eq!((own.records, own.context, own.set), (Ask::SizeQuery, Ask::Never, SetWhen::Never));
    }

    #[test]
    fn unknown_client_is_refused_at_its_place_and_the_nearest_is_named() {
        let error = service("{listen: 'loopback:1', client: envoi}").unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:2:41: there is no client `envoi`");
    }
}
