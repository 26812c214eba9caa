//! What the backend and its processes say to each other: a JSON line for each question, one for each answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ground::Ground;
use crate::vocabulary::{BackendFault, Name, Observation, Op, SocketFamily, SocketProtocol, hex};

/// A question to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    /// Play a process of a scenario on this host.
    Begin { host: Name },
    /// Make a call.
    Call(Box<Asked>),
    /// Which of these calls has ended? Waits for so many milliseconds.
    Wait { calls: Vec<Name>, limit: u32, ground: Ground },
    /// Make a descriptor from what another process duplicated.
    Adopt { name: Option<Name>, socket: Duplicated },
    /// End everything that goes on, and close everything.
    Clean {},
}

/// A call, and what the process does not know by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) op: Op,
    pub(super) ground: Ground,
    /// Records and contexts that the call names.
    pub(super) blobs: BTreeMap<Name, Bytes>,
    /// The sources of datagrams that it names.
    pub(super) sources: BTreeMap<Name, SocketAddr>,
    /// The processes that it names.
    pub(super) processes: BTreeMap<Name, u32>,
    /// Sockets of other processes that it names.
    pub(super) foreign: Vec<Name>,
    /// Whether anybody has connected or sent anything yet, so that it can arrive.
    pub(super) arrivals: bool,
    /// Whether connections can be redirected, so that there can be records and contexts.
    pub(super) redirects: bool,
}

/// Bytes, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bytes(#[serde(with = "hex")] pub(super) Arc<[u8]>);

/// A socket for another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Duplicated {
    pub(super) family: SocketFamily,
    pub(super) protocol: SocketProtocol,
    /// `WSAPROTOCOL_INFO`.
    pub(super) info: Bytes,
}

/// What a process answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) result: Result<Observation, BackendFault>,
    /// What was named by the call.
    #[serde(default)]
    pub(super) news: News,
    /// The process has no thread any more.
    #[serde(default)]
    pub(super) ended: bool,
    /// Of `Begin`: which process it is.
    #[serde(default)]
    pub(super) identity: Option<ProcessIdentity>,
}

impl Answer {
    /// An answer that names nothing.
    pub(super) fn of(result: Result<Observation, BackendFault>) -> Self {
        Self { result, news: News::default(), ended: false, identity: None }
    }
}

/// A process, and the operating system that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ProcessIdentity {
    pub(super) pid: u32,
    pub(super) os: String,
    /// Whether it is one that has redirect records.
    pub(super) has_records: bool,
}

/// What a call has given names to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct News {
    #[serde(default)]
    pub(super) sockets: Vec<Name>,
    #[serde(default)]
    pub(super) blobs: BTreeMap<Name, Bytes>,
    #[serde(default)]
    pub(super) sources: BTreeMap<Name, SocketAddr>,
    /// Calls that go on.
    #[serde(default)]
    pub(super) pending: Vec<Name>,
    #[serde(default)]
    pub(super) duplicated: Option<Duplicated>,
}
