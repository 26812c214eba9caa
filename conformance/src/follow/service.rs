//! What a redirect service does with a connection, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::WinsockError;

use super::End;
use super::ask::{Ask, ErrorSet};
use crate::vocabulary::{Endpoint, LOCAL, Name, Place, SocketFamily, error_name};

/// A redirect service: where it listens, and what it does with each connection that it accepts. Whatever is left
/// out is what a careful service does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// A client seen in the field, or a habit of some, whose ways it has; what it says itself comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Name>,
    /// The process that it runs in, one of `processes`; by default one of the service's own name, with administrative
    /// rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Name>,
    /// The process that dials out, one of `processes` or of another service; by default the one that accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dial_process: Option<Name>,
    /// Whether it serves TCP or UDP. Over UDP records and context come in the control data of a flow's first datagram,
    /// and the records go on in that of the first datagram sent: `records` counts only where it is `never`.
    #[serde(default)]
    pub protocol: Transport,
    /// Over UDP: bytes of its control buffer.
    #[serde(default = "control_buffer")]
    pub control_buffer: u32,
    /// Over UDP: the levels at which it switches the reception of control data on.
    #[serde(default)]
    pub option_levels: Levels,
    /// Where it listens.
    pub listen: Endpoint,
    /// In which families it listens.
    #[serde(default)]
    pub families: ListenFamilies,
    /// How it learns the destination.
    #[serde(default)]
    pub destination: Destination,
    /// How it asks for the redirect records.
    #[serde(default)]
    pub records: Ask,
    /// How it asks for the redirect context.
    #[serde(default)]
    pub context: Ask,
    /// Which socket it asks on.
    #[serde(default)]
    pub ask_on: AskOn,
    /// The errors of its queries that it takes for "this connection was not redirected", or `any`: then it serves
    /// the connection itself, as that of a client that knows the proxy. By default none.
    #[serde(default, skip_serializing_if = "ErrorSet::is_empty")]
    pub not_redirected: ErrorSet,
    /// Whose records it sets.
    #[serde(default)]
    pub records_from: RecordsFrom,
    /// Whether and when it sets the records on the socket that it dials with.
    #[serde(default)]
    pub set: SetWhen,
    /// How many bytes it sets.
    #[serde(default)]
    pub set_length: SetLength,
    /// Where it binds that socket before it dials; by default nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<Endpoint>,
    /// The families that it dials, one after the other on a fresh socket each, until one connects.
    #[serde(default = "same_family")]
    pub dial: Vec<DialFamily>,
    /// Whether it sets the records on the fresh socket too when it dials again.
    #[serde(default)]
    pub on_retry: OnRetry,
    /// What it does when records or context cannot be had, or not be set, or a socket not be bound.
    #[serde(default)]
    pub on_error: OnError,
}

fn control_buffer() -> u32 {
    65536
}

fn same_family() -> Vec<DialFamily> {
    vec![DialFamily::Same]
}

impl Service {
    /// A careful service that listens at this port of the loopback addresses.
    #[must_use]
    pub fn at(port: u16) -> Self {
        Self {
            client: None,
            process: None,
            dial_process: None,
            protocol: Transport::Tcp,
            control_buffer: control_buffer(),
            option_levels: Levels::Own,
            listen: Endpoint::new(Place::Loopback, port),
            families: ListenFamilies::Both,
            destination: Destination::Context,
            records: Ask::default(),
            context: Ask::default(),
            ask_on: AskOn::Accepted,
            not_redirected: ErrorSet::default(),
            records_from: RecordsFrom::Own,
            set: SetWhen::BeforeBind,
            set_length: SetLength::Stored,
            bind: None,
            dial: same_family(),
            on_retry: OnRetry::Set,
            on_error: OnError::Close,
        }
    }

    /// The process that the service of this name runs in.
    #[must_use]
    pub fn runs_in<'a>(&'a self, name: &'a Name) -> &'a Name {
        self.process.as_ref().unwrap_or(name)
    }

    /// Whether its query can take records of this size, and what else matters of the size; `None` where nothing does.
    pub(super) fn fits(&self, bytes: u32) -> Option<Vec<bool>> {
        if self.protocol == Transport::Udp {
            return Some(vec![bytes <= self.control_buffer]);
        }
        let mut fits = self.records.fits(bytes)?;
        if let (SetLength::Buffer, Ask::Fixed(buffer)) = (self.set_length, &self.records) {
            fits.push(bytes >= *buffer);
        }
        Some(fits)
    }

    /// Whether this is where it listens, so that nobody redirected a connection that was dialled to there.
    pub(super) fn is_at(&self, to: &Endpoint) -> bool {
        let is_own = match &to.place {
            Place::Any | Place::Loopback => true,
            Place::Host(host) => &**host == LOCAL,
        };
        is_own && to.port == self.listen.port
    }
}

/// What a service serves, and how a journey begins.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP connections.
    #[default]
    Tcp,
    /// Flows of datagrams.
    Udp,
}

/// The levels at which a service switches options on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// Those of the families that its socket serves: both, where it is dual-stack.
    #[default]
    Own,
    /// `IPPROTO_IP` alone.
    Ipv4,
    /// `IPPROTO_IPV6` alone.
    Ipv6,
}

/// In which families a service listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListenFamilies {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// One socket for each.
    #[default]
    Both,
    /// One dual-stack socket, at the wildcard address.
    Dual,
}

impl ListenFamilies {
    /// The families of the sockets that listen.
    #[must_use]
    pub fn of_sockets(self) -> &'static [SocketFamily] {
        match self {
            Self::Ipv4 => &[SocketFamily::Ipv4],
            Self::Ipv6 => &[SocketFamily::Ipv6],
            Self::Both => &[SocketFamily::Ipv4, SocketFamily::Ipv6],
            Self::Dual => &[SocketFamily::Dual],
        }
    }
}

/// How a service learns the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// From the context, which starts with it.
    #[default]
    Context,
    /// From SO_ORIGINAL_DST of the socket that it asks on.
    OriginalDst,
    /// It knows it.
    Fixed(Endpoint),
}

/// An error code, written by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ErrorName(
    #[serde(with = "error_name")]
    #[schemars(with = "String")]
    pub WinsockError,
);

/// Which socket a service asks on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskOn {
    /// The accepted one.
    #[default]
    Accepted,
    /// The listening one, which knows nothing.
    Listening,
}

/// Whose records a service sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordsFrom {
    /// Those of the connection that it accepted.
    #[default]
    Own,
    /// Those of the first connection that it ever accepted, as a pool does that opens its upstreams once.
    Pooled,
}

/// Whether and when a service sets the records.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SetWhen {
    /// Before it binds the socket.
    #[default]
    BeforeBind,
    /// After it bound the socket, before it connects.
    BeforeConnect,
    /// After it connected, which is too late.
    AfterConnect,
    /// Never.
    Never,
}

/// How many bytes a service sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SetLength {
    /// As many as its query stored.
    #[default]
    Stored,
    /// Its whole buffer: it ignores the returned size.
    Buffer,
}

/// How a service dials.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DialFamily {
    /// In the family of the destination that it learned, on a socket of that family; a v4-mapped destination on a
    /// dual-stack socket.
    #[default]
    Same,
    /// The destination's IPv4 address.
    Ipv4,
    /// The destination's IPv6 address.
    Ipv6,
    /// The destination's IPv4 address, v4-mapped on a dual-stack socket.
    Mapped,
    /// The destination's IPv4 address, v4-mapped on a socket that serves IPv6 alone.
    MappedOnIpv6,
}

impl DialFamily {
    /// The family of the socket, and how the destination is written; `learned` is the family of the connection
    /// behind.
    #[must_use]
    pub fn families(self, learned: SocketFamily) -> (SocketFamily, SocketFamily) {
        match self {
            Self::Same => (learned, learned),
            Self::Ipv4 => (SocketFamily::Ipv4, SocketFamily::Ipv4),
            Self::Ipv6 => (SocketFamily::Ipv6, SocketFamily::Ipv6),
            Self::Mapped => (SocketFamily::Dual, SocketFamily::Dual),
            Self::MappedOnIpv6 => (SocketFamily::Ipv6, SocketFamily::Dual),
        }
    }
}

/// What a service does on the fresh socket of a second attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRetry {
    /// It sets the records again.
    #[default]
    Set,
    /// It forgets them.
    Forget,
}

/// What a service does when it cannot have the records or the context, cannot set the records, or cannot bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It closes the connection.
    #[default]
    Close,
    /// It dials all the same, without records.
    Dial,
    /// It keeps the connection and does nothing.
    Hold,
}

impl OnError {
    /// How the connection ends, unless the service dials all the same.
    pub(super) fn ends(self) -> Option<End> {
        match self {
            Self::Close => Some(End::Closed),
            Self::Hold => Some(End::Stalled),
            Self::Dial => None,
        }
    }
}
