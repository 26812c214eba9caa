//! Calls, as data.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CalloutSpec, HostSpec, Length, Name, ProcessSpec};

/// A call by a thread of a process, and the name that its result gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Op {
    /// The calling process; for [`SetUp::StartProcess`] the one to be started.
    pub process: Name,
    /// The calling thread: 0 is the first of the process, others are started when they first call.
    #[serde(default)]
    pub thread: u32,
    /// How later ops name the socket, blob or pending call that comes of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What is called.
    pub call: Call,
}

/// What can be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// No call: a part of the machine is set up.
    #[schemars(skip)]
    SetUp(SetUp),
    /// Ends the calling process: its sockets are closed.
    EndProcess {},
    /// `FwpsCalloutUnregisterById0`: the driver goes, its redirect handles stay.
    RemoveCallout {
        /// The callout.
        callout: Name,
    },
    /// `FwpsRedirectHandleDestroy0`, for each handle of a callout.
    DestroyHandles {
        /// The callout.
        callout: Name,
    },
    /// `socket` or `WSASocket`.
    Socket {
        /// The address family.
        #[serde(default)]
        family: SocketFamily,
        /// `WSA_FLAG_OVERLAPPED`.
        #[serde(default = "yes")]
        overlapped: bool,
        /// `FIONBIO`.
        #[serde(default)]
        nonblocking: bool,
    },
    /// `bind`.
    Bind {
        /// The socket.
        socket: Name,
        /// Where to; port 0 takes any.
        to: Endpoint,
        /// On a dual-stack socket: the IPv4 address, v4-mapped.
        #[serde(default)]
        mapped: bool,
    },
    /// `listen`.
    Listen {
        /// The socket.
        socket: Name,
        /// How many connections may wait.
        #[serde(default = "backlog")]
        backlog: u32,
    },
    /// `accept`. The result is the accepted socket.
    Accept {
        /// The listening socket.
        socket: Name,
    },
    /// `AcceptEx` without a first block of data.
    AcceptEx {
        /// The listening socket.
        socket: Name,
        /// The socket that gets connected.
        into: Name,
    },
    /// `setsockopt(SO_UPDATE_ACCEPT_CONTEXT)`.
    UpdateAcceptContext {
        /// The accepted socket.
        socket: Name,
        /// The listening socket.
        listening: Name,
    },
    /// `setsockopt(SO_UPDATE_CONNECT_CONTEXT)`.
    UpdateConnectContext {
        /// The socket that ConnectEx connected.
        socket: Name,
    },
    /// `connect`, or `ConnectEx` with `ex`.
    Connect {
        /// The socket.
        socket: Name,
        /// The destination: a host and a port, or the blob of a context query that tells it.
        to: Dial,
        /// How the destination's address is written: by default as the socket's own family has it, and as the
        /// context has it where that tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<SocketFamily>,
        /// `ConnectEx`.
        #[serde(default)]
        ex: bool,
    },
    /// `send`.
    Send {
        /// The socket.
        socket: Name,
        /// What to send.
        data: String,
    },
    /// `recv`. The result is what came.
    Receive {
        /// The socket.
        socket: Name,
        /// How much at most.
        #[serde(default = "receive_length")]
        length: u32,
    },
    /// `shutdown`.
    Shutdown {
        /// The socket.
        socket: Name,
        /// Which direction.
        how: ShutdownHow,
    },
    /// `closesocket`.
    Close {
        /// The socket.
        socket: Name,
    },
    /// `WSADuplicateSocket` for another process, and `WSASocket` there. The result is the socket there.
    Duplicate {
        /// The socket.
        socket: Name,
        /// The other process.
        #[serde(rename = "for")]
        process: Name,
    },
    /// `getsockname`.
    LocalName {
        /// The socket.
        socket: Name,
    },
    /// `getpeername`.
    PeerName {
        /// The socket.
        socket: Name,
    },
    /// `WSAIoctl` with SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS. The result is the records.
    QueryRecords(Query),
    /// `WSAIoctl` with SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT. The result is the context.
    QueryContext(Query),
    /// `WSAIoctl` with SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS.
    SetRecords(SetRecords),
    /// `WSAIoctl` with a code that is none of the three.
    Ioctl {
        /// The socket.
        socket: Name,
        /// The code.
        code: IoctlCode,
        /// The output buffer.
        #[serde(default)]
        out: Output,
    },
    /// Waits until one of these pending calls has completed.
    Wait {
        /// The names of the pending calls.
        #[serde(rename = "for")]
        calls: Vec<Name>,
        /// Milliseconds, at most.
        #[serde(default = "wait_limit")]
        limit: u32,
    },
    /// Lets time pass.
    Advance {
        /// How much.
        milliseconds: u64,
    },
    /// The kind and state of a socket, as the kernel has it.
    Describe {
        /// The socket.
        socket: Name,
    },
    /// How many redirect contexts are allocated.
    CountContexts {},
    /// How many sockets, connections, contexts and pending calls there are.
    CountAll {},
}

/// A part of the machine that is set up before the steps of a case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SetUp {
    /// Puts a host onto the network.
    AddHost(HostSpec),
    /// Starts a process.
    StartProcess(ProcessSpec),
    /// Installs a callout with its sublayer, filters and redirect handles.
    InstallCallout(Arc<CalloutSpec>),
}

fn yes() -> bool {
    true
}

fn backlog() -> u32 {
    5
}

fn receive_length() -> u32 {
    4096
}

fn wait_limit() -> u32 {
    5000
}

impl Call {
    /// The name that YAML has for this call.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetUp(_) => "set-up",
            Self::EndProcess {} => "end-process",
            Self::RemoveCallout { .. } => "remove-callout",
            Self::DestroyHandles { .. } => "destroy-handles",
            Self::Socket { .. } => "socket",
            Self::Bind { .. } => "bind",
            Self::Listen { .. } => "listen",
            Self::Accept { .. } => "accept",
            Self::AcceptEx { .. } => "accept-ex",
            Self::UpdateAcceptContext { .. } => "update-accept-context",
            Self::UpdateConnectContext { .. } => "update-connect-context",
            Self::Connect { .. } => "connect",
            Self::Send { .. } => "send",
            Self::Receive { .. } => "receive",
            Self::Shutdown { .. } => "shutdown",
            Self::Close { .. } => "close",
            Self::Duplicate { .. } => "duplicate",
            Self::LocalName { .. } => "local-name",
            Self::PeerName { .. } => "peer-name",
            Self::QueryRecords(_) => "query-records",
            Self::QueryContext(_) => "query-context",
            Self::SetRecords(_) => "set-records",
            Self::Ioctl { .. } => "ioctl",
            Self::Wait { .. } => "wait",
            Self::Advance { .. } => "advance",
            Self::Describe { .. } => "describe",
            Self::CountContexts {} => "count-contexts",
            Self::CountAll {} => "count-all",
        }
    }
}

/// What a name in an op stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A socket.
    Socket,
    /// Bytes that a call stored or received.
    Blob,
    /// A call that goes on.
    Pending,
    /// A process.
    Process,
    /// A callout.
    Callout,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Blob => "records, context or data",
            Self::Pending => "pending call",
            Self::Process => "process",
            Self::Callout => "callout",
        })
    }
}

impl Call {
    /// The names that the call refers to: the field that has each, and what it must stand for.
    #[must_use]
    pub fn references(&self) -> Vec<(&'static str, Role, &Name)> {
        use Role::{Blob, Callout, Pending, Process, Socket};
        match self {
            Self::SetUp(_)
            | Self::EndProcess {}
            | Self::Socket { .. }
            | Self::Advance { .. }
            | Self::CountContexts {}
            | Self::CountAll {} => Vec::new(),
            Self::RemoveCallout { callout } | Self::DestroyHandles { callout } => vec![("callout", Callout, callout)],
            Self::Bind { socket, .. }
            | Self::Listen { socket, .. }
            | Self::Accept { socket }
            | Self::UpdateConnectContext { socket }
            | Self::Send { socket, .. }
            | Self::Receive { socket, .. }
            | Self::Shutdown { socket, .. }
            | Self::Close { socket }
            | Self::LocalName { socket }
            | Self::PeerName { socket }
            | Self::Ioctl { socket, .. }
            | Self::Describe { socket } => vec![("socket", Socket, socket)],
            Self::AcceptEx { socket, into } => vec![("socket", Socket, socket), ("into", Socket, into)],
            Self::UpdateAcceptContext { socket, listening } => {
                vec![("socket", Socket, socket), ("listening", Socket, listening)]
            }
            Self::Connect { socket, to: Dial::Context(context), .. } => {
                vec![("socket", Socket, socket), ("to", Blob, context)]
            }
            Self::Connect { socket, .. } => vec![("socket", Socket, socket)],
            Self::Duplicate { socket, process } => vec![("socket", Socket, socket), ("for", Process, process)],
            Self::QueryRecords(query) | Self::QueryContext(query) => vec![("socket", Socket, &query.socket)],
            Self::SetRecords(set) => {
                let records = set.records.iter().map(|records| ("records", Blob, records));
                std::iter::once(("socket", Socket, &set.socket)).chain(records).collect()
            }
            Self::Wait { calls, .. } => calls.iter().map(|call| ("for", Pending, call)).collect(),
        }
    }

    /// What the result of the call can be referred to as.
    #[must_use]
    pub fn results(&self) -> &'static [Role] {
        match self {
            Self::Socket { .. } | Self::Duplicate { .. } => &[Role::Socket],
            Self::Accept { .. } => &[Role::Socket, Role::Pending],
            Self::Receive { .. } => &[Role::Blob, Role::Pending],
            Self::AcceptEx { .. } | Self::Connect { .. } => &[Role::Pending],
            Self::QueryRecords(_) | Self::QueryContext(_) => &[Role::Blob],
            _ => &[],
        }
    }
}

/// A query of records or context.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Query {
    /// The socket.
    pub socket: Name,
    /// The output buffer.
    #[serde(default)]
    pub out: Output,
    /// `lpcbBytesReturned`.
    #[serde(default)]
    pub bytes_returned: PointerKind,
    /// An input buffer, which a query has no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
}

impl Query {
    /// A query with a buffer of just the size that is needed.
    #[must_use]
    pub fn of(socket: Name) -> Self {
        Self { socket, out: Output::default(), bytes_returned: PointerKind::Valid, input: None }
    }
}

/// A SET.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetRecords {
    /// The socket.
    pub socket: Name,
    /// The records, by the name of the query that they came from; none for an input that was never a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Name>,
    /// What is done to the input buffer.
    #[serde(default)]
    pub input: Input,
    /// `lpcbBytesReturned`.
    #[serde(default)]
    pub bytes_returned: PointerKind,
    /// An output buffer, which SET has no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Output>,
}

impl SetRecords {
    /// Sets records that a query fetched.
    #[must_use]
    pub fn of(socket: Name, records: Name) -> Self {
        Self { socket, records: Some(records), input: Input::default(), bytes_returned: PointerKind::Valid, out: None }
    }
}

/// An output buffer. Behind its region lie bytes that no call may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// `cbOutBuffer`: what the call is told.
    #[serde(default = "enough")]
    pub length: Length,
    /// How many bytes there really are; by default as many as the call is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Length>,
    /// The pointer.
    #[serde(default)]
    pub pointer: PointerKind,
}

fn enough() -> Length {
    Length::Needed(0)
}

impl Default for Output {
    fn default() -> Self {
        Self { length: enough(), region: None, pointer: PointerKind::Valid }
    }
}

/// An input buffer: `needed` is the size of the records that it is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// `cbInBuffer`: what the call is told. What is behind the records is zero.
    #[serde(default = "enough")]
    pub length: Length,
    /// How many bytes there really are; by default as many as the call is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Length>,
    /// The pointer.
    #[serde(default)]
    pub pointer: PointerKind,
    /// A byte of the records whose lowest bit is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<u32>,
}

impl Default for Input {
    fn default() -> Self {
        Self { length: enough(), region: None, pointer: PointerKind::Valid, corrupt: None }
    }
}

/// Where a pointer points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointerKind {
    /// To memory of the caller.
    #[default]
    Valid,
    /// It is NULL.
    Null,
    /// To an address without memory.
    Unmapped,
    /// To memory that ends halfway.
    Partly,
}

/// A control code that is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct IoctlCode(pub u32);

/// The family of a socket, or of an address that it dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SocketFamily {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// A dual-stack IPv6 socket; as an address, the v4-mapped one.
    Dual,
}

impl fmt::Display for SocketFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Dual => "dual",
        })
    }
}

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownHow {
    /// `SD_RECEIVE`.
    Receive,
    /// `SD_SEND`.
    Send,
    /// `SD_BOTH`.
    Both,
}

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The wildcard address.
    Any,
    /// The loopback address.
    Loopback,
    /// An address of this host; the local machine's own name is `local`.
    Host(Name),
}

/// `PLACE:PORT`, where the place is `any`, `loopback`, or the name of a host. Ports are names too: a backend on a
/// real machine may serve another port under this number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub place: Place,
    /// The port; `None` in an observation stands for one that the machine chose, written `*`.
    pub port: Option<u16>,
}

impl Endpoint {
    const EXPECTED: &'static str =
        "an endpoint is PLACE:PORT, the place `any`, `loopback` or the name of a host, the port from 0 to 65535";

    /// The endpoint at this place and port.
    #[must_use]
    pub fn new(place: Place, port: u16) -> Self {
        Self { place, port: Some(port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Any => f.write_str("any")?,
            Place::Loopback => f.write_str("loopback")?,
            Place::Host(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no endpoint: {}", Self::EXPECTED);
        let (place, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = match port {
            "*" => None,
            _ => Some(port.parse().map_err(|_| {
                format!("`{port}` in `{text}` is no port: a port is a whole number from 0 to 65535")
            })?),
        };
        let place = match place {
            "any" => Place::Any,
            "loopback" => Place::Loopback,
            name if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) => {
                Place::Host(name.into())
            }
            _ => return Err(wrong()),
        };
        Ok(Self { place, port })
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": Self::EXPECTED,
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+:([0-9]+|\\*)$",
        })
    }
}

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dial {
    /// An endpoint.
    Endpoint(Endpoint),
    /// The destination at the start of a redirect context, by the name of the query that it came from. Written
    /// `context NAME`.
    Context(Name),
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint) => write!(f, "{endpoint}"),
            Self::Context(name) => write!(f, "context {name}"),
        }
    }
}

impl Serialize for Dial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("context ") {
            Some(name) => Ok(Self::Context(name.trim().into())),
            None => text.parse().map(Self::Endpoint).map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Dial {
    fn schema_name() -> Cow<'static, str> {
        "Dial".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`PLACE:PORT`, or `context NAME` with the name of a context query.",
            "type": "string",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_reads_as_it_is_written() {
        for text in ["any:0", "loopback:1001", "server:443", "local:*"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn endpoint_with_a_port_out_of_range_says_what_a_port_is() {
        assert_eq!(
            "server:70000".parse::<Endpoint>().unwrap_err(),
            "`70000` in `server:70000` is no port: a port is a whole number from 0 to 65535"
        );
        assert!("server".parse::<Endpoint>().unwrap_err().starts_with("`server` is no endpoint: "));
        assert!(":1".parse::<Endpoint>().is_err());
    }
}
