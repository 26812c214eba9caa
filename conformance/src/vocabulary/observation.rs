//! What a caller could see of a call.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::BugCheck;
use wfp_sim::{NtStatus, WinsockError};

use super::codes::{bug_check_name, error_name, status_name};
use super::{Account, BackendFault, ControlSeen, Endpoint, Hop, MessageFlag, Name};

/// What came of an op.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Observation {
    /// How the call ended.
    pub outcome: Outcome,
    /// The bytes-returned word of a control code, which was preset to a value that no call stores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_returned: Option<Word>,
    /// `IoStatus.Information` of the IRP of a WSK call that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information: Option<u64>,
    /// What `needed` stood for in the lengths of the op: the bytes that the call is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u32>,
    /// What the call stored, or received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// The address that the call told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Endpoint>,
    /// What the kernel did with a connect; only with the feature `kernel-view`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Box<Hop>>,
    /// Of a wait: the call that completed, and what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<(Name, Box<Observation>)>,
    /// Of an alertable wait: the operations whose routines were called, and what each was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<(Name, Observation)>,
    /// What came of the calls made inside callbacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<Observation>,
    /// Whether an event is signaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signaled: Option<bool>,
    /// Of `WSPIoctl`: whether it left its code for `WSAGetLastError` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_set: Option<bool>,
    /// The control messages that a receive found in its control buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Vec<ControlSeen>>,
    /// The flags that a receive gave back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<MessageFlag>,
    /// What was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What a driver has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The state of a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SocketState>,
}

impl Observation {
    /// An observation of this outcome and nothing else.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            bytes_returned: None,
            information: None,
            needed: None,
            stored: None,
            address: None,
            hop: None,
            completed: None,
            called: Vec::new(),
            inside: Vec::new(),
            signaled: None,
            last_error_set: None,
            control: None,
            flags: Vec::new(),
            count: None,
            account: None,
            state: None,
        }
    }

    /// The error, where the call failed.
    #[must_use]
    pub fn error(&self) -> Option<WinsockError> {
        match &self.outcome {
            Outcome::Error(error) => Some(*error),
            _ => None,
        }
    }

    /// The observation, unless the backend could not make the call.
    ///
    /// # Errors
    /// [`BackendFault::Unsupported`].
    pub fn supported(self) -> Result<Self, BackendFault> {
        match self.outcome {
            Outcome::Unsupported(what) => Err(BackendFault::Unsupported(what)),
            _ => Ok(self),
        }
    }

    /// Whether the call succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((call, result)) = &self.completed {
            return write!(f, "`{call}` completed: {result}");
        }
        match &self.outcome {
            Outcome::Ok => f.write_str("success")?,
            Outcome::Error(error) => write!(f, "{error}")?,
            Outcome::Status(status) => write!(f, "{status}")?,
            Outcome::BugCheck(bug_check) => write!(f, "bug check {bug_check}")?,
            Outcome::NotDocumented(what) => write!(f, "not documented: {what}")?,
            Outcome::Pending => f.write_str("pending")?,
            Outcome::Crashed(exception) => write!(f, "the process crashed: {exception}")?,
            Outcome::Unsupported(why) => write!(f, "not supported: {why}")?,
        }
        match self.bytes_returned {
            Some(Word::Unchanged) => f.write_str(", bytes returned unchanged")?,
            Some(Word::Value(bytes)) => {
                write!(f, ", bytes returned {bytes}")?;
                if Some(bytes) == self.needed {
                    f.write_str(" (needed)")?;
                }
            }
            None => {}
        }
        if let Some(bytes) = self.information {
            write!(f, ", information {bytes}")?;
        }
        if let Some(address) = &self.address {
            write!(f, ", {address}")?;
        }
        for (call, told) in &self.called {
            write!(f, ", routine of `{call}` called with {told}")?;
        }
        for inside in &self.inside {
            write!(f, ", inside {inside}")?;
        }
        match self.signaled {
            Some(true) => f.write_str(", signaled")?,
            Some(false) => f.write_str(", not signaled")?,
            None => {}
        }
        match self.last_error_set {
            Some(true) => f.write_str(", code left for WSAGetLastError")?,
            Some(false) => f.write_str(", nothing left for WSAGetLastError")?,
            None => {}
        }
        for flag in &self.flags {
            write!(f, ", {flag}")?;
        }
        for message in self.control.iter().flatten() {
            write!(f, ", {message}")?;
        }
        if let Some(count) = self.count {
            write!(f, ", {count} counted")?;
        }
        if let Some(account) = self.account {
            write!(f, ", {account}")?;
        }
        if let Some(state) = self.state {
            write!(f, ", {state}")?;
        }
        Ok(())
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It failed.
    Error(
        #[serde(serialize_with = "error_name::serialize", deserialize_with = "error_name::or_number")]
        WinsockError,
    ),
    /// A function of the kernel failed.
    Status(
        #[serde(serialize_with = "status_name::serialize", deserialize_with = "status_name::or_number")]
        NtStatus,
    ),
    /// Windows would not have survived it.
    BugCheck(#[serde(with = "bug_check_name")] BugCheck),
    /// No document says what follows.
    NotDocumented(String),
    /// It goes on under the op's name.
    Pending,
    /// The calling process crashed, with this exception.
    Crashed(String),
    /// The backend cannot do this.
    Unsupported(String),
}

/// A word in memory after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It holds what it held before.
    Unchanged,
    /// It holds this.
    Value(u32),
}

/// Bytes that a call stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stored {
    /// The bytes.
    #[serde(with = "super::hex")]
    pub bytes: Arc<[u8]>,
    /// Whether everything behind them is as it was.
    pub rest_untouched: bool,
}

/// The kind and state of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SocketState {
    /// The descriptor is not, or no longer, a socket of the process.
    NotASocket,
    /// New.
    Fresh,
    /// Bound.
    Bound,
    /// Listening.
    Listening,
    /// A connect that nobody answered yet.
    Connecting,
    /// It connected.
    Connected,
    /// It was accepted, and nobody redirected the connection to it.
    Accepted,
    /// It was accepted, and the connection was redirected to it.
    AcceptedRedirected,
    /// As before; AcceptEx accepted it, and SO_UPDATE_ACCEPT_CONTEXT was not called.
    AcceptedRedirectedNotUpdated,
    /// As `accepted-redirected`, and the peer closed its end.
    AcceptedRedirectedPeerClosed,
    /// The connection was reset.
    Reset,
}

impl SocketState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::NotASocket,
        Self::Fresh,
        Self::Bound,
        Self::Listening,
        Self::Connecting,
        Self::Connected,
        Self::Accepted,
        Self::AcceptedRedirected,
        Self::AcceptedRedirectedNotUpdated,
        Self::AcceptedRedirectedPeerClosed,
        Self::Reset,
    ];

    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotASocket => "not-a-socket",
            Self::Fresh => "fresh",
            Self::Bound => "bound",
            Self::Listening => "listening",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Accepted => "accepted",
            Self::AcceptedRedirected => "accepted-redirected",
            Self::AcceptedRedirectedNotUpdated => "accepted-redirected-not-updated",
            Self::AcceptedRedirectedPeerClosed => "accepted-redirected-peer-closed",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
