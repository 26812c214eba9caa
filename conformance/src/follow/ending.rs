//! How a followed connection ended, and what happened on the way.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::WinsockError;

use super::ask::Unanswered;
use super::service::SetWhen;
use crate::vocabulary::{Endpoint, Hop, Name, SocketFamily};

/// How a followed connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The destination accepted it.
    Reached,
    /// Somebody else accepted it, who is no service; or a service that took it for a connection to itself.
    WrongDestination,
    /// A connect failed.
    Refused,
    /// A filter blocked a connect.
    Blocked,
    /// A service closed it.
    Closed,
    /// It goes on and nothing happens.
    Stalled,
    /// Windows crashed.
    BugCheck,
    /// It goes round for ever.
    Loop,
    /// Nobody knows: the backend does not show what the kernel does, and the bound was reached.
    NotEnded,
}

impl End {
    /// The name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::WrongDestination => "wrong_destination",
            Self::Refused => "refused",
            Self::Blocked => "blocked",
            Self::Closed => "closed",
            Self::Stalled => "stalled",
            Self::BugCheck => "bug_check",
            Self::Loop => "loop",
            Self::NotEnded => "not_ended",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A connection, followed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub end: End,
    /// Connect attempts until then.
    pub connects: u32,
    /// For a loop: who is in it, and why.
    pub cycle: Option<Cycle>,
    /// For a loop: the number of the connect that the last one is again.
    pub repeats: Option<u32>,
    /// Each connect attempt.
    pub hops: Vec<HopReport>,
}

/// What goes round in a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// The services, in the order in which they repeat.
    pub services: Vec<Name>,
    /// The service at which the records were lost, where they were.
    pub records_lost_at: Option<Name>,
    /// Why it goes round.
    pub why: Why,
}

/// Why a connection goes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A service dialled without ever setting the records.
    NeverSet,
    /// A service set the records when the connect was over.
    SetAfterConnect,
    /// A service set records of another connection, or bytes that are no records.
    ForeignRecords,
    /// The records did not fit the buffer that a service had for them.
    Truncated,
    /// A callout redirected earlier with another handle, and did not know itself again.
    DifferentHandle,
    /// A callout knew that it had redirected before, and redirected again.
    OwnStateIgnored,
    /// A redirect left no records, as before Windows 8.
    NoRecords,
}

impl Why {
    /// The name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverSet => "never-set",
            Self::SetAfterConnect => "set-after-connect",
            Self::ForeignRecords => "foreign-records",
            Self::Truncated => "truncated",
            Self::DifferentHandle => "different-handle",
            Self::OwnStateIgnored => "own-state-ignored",
            Self::NoRecords => "no-records",
        }
    }

    /// The same in a sentence.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NeverSet => {
                "it dialled without setting the redirect records, so the callouts saw a new connection"
            }
            Self::SetAfterConnect => {
                "it set the redirect records too late, when the connect was classified already or the socket was bound"
            }
            Self::ForeignRecords => {
                "it set the redirect records of another connection, or bytes that are none, in which a callout could not see its own redirect"
            }
            Self::Truncated => {
                "its buffer was too small for the redirect records, and it dialled without them"
            }
            Self::DifferentHandle => {
                "a callout used another redirect handle than before, and took its own redirect for another vendor's"
            }
            Self::NoRecords => {
                "the redirect left no records on the connection, so nothing told the callouts that they had seen it"
            }
            Self::OwnStateIgnored => {
                "a callout was told that it had redirected this connection before, and redirected it again"
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One connect attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopReport {
    /// Who dialled: a process, or a service.
    pub by: Name,
    /// The process that dialled.
    pub process: Name,
    /// What it dialled, as it knew it.
    pub to: Endpoint,
    /// How it wrote the destination.
    pub family: SocketFamily,
    /// What became of the records of the connection that the dialler had accepted.
    pub carried: Carried,
    /// Of a first datagram on a UDP socket that was connected: what the kernel did at its connect, where the backend shows it.
    pub at_connect: Option<Box<Hop>>,
    /// What the kernel did, where the backend shows it.
    pub hop: Option<Box<Hop>>,
    /// What the connect gave.
    pub error: Option<WinsockError>,
    /// Who accepted the connection.
    pub accepted_by: Option<Name>,
    /// What the service that accepted it did then, before it dialled itself.
    pub then: Vec<Note>,
}

/// Something that a service did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It asked for the records, and got this many bytes or nothing.
    Records(Result<u32, Unanswered>),
    /// It asked for the context, and got this many bytes or nothing.
    Context(Result<u32, Unanswered>),
    /// It took the connection for one that was not redirected, and served it itself.
    ServesItself,
    /// It asked for the original destination.
    OriginalDestination(Result<(), WinsockError>),
    /// It could not bind the socket that it was to dial with.
    NotBound(WinsockError),
    /// It set the records.
    Set(SetWhen, Result<(), WinsockError>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(Ok(bytes)) => write!(f, "fetches the records: {bytes} bytes"),
            Self::Records(Err(error)) => write!(f, "asks for the records: {error}"),
            Self::ServesItself => {
                f.write_str("takes the connection for one that was not redirected, and serves it itself")
            }
            Self::Context(Ok(bytes)) => write!(f, "fetches the context: {bytes} bytes"),
            Self::Context(Err(error)) => write!(f, "asks for the context: {error}"),
            Self::OriginalDestination(Ok(())) => f.write_str("learns the original destination"),
            Self::OriginalDestination(Err(error)) => write!(f, "asks for the original destination: {error}"),
            Self::NotBound(error) => write!(f, "binds a socket: {error}"),
            Self::Set(when, result) => {
                f.write_str(match when {
                    SetWhen::AfterConnect => "sets the records after connecting",
                    _ => "sets the records",
                })?;
                match result {
                    Ok(()) => Ok(()),
                    Err(error) => write!(f, ": {error}"),
                }
            }
        }
    }
}

/// What became of the records of the connection behind a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carried {
    /// There was no connection behind it.
    First,
    /// They were set in time.
    Set(SetWhen),
    /// Those of another connection were set, or bytes that are none.
    Foreign,
    /// They were set after the connect.
    TooLate,
    /// They were never set.
    Never,
    /// They could not be fetched: the buffer was too small.
    TooSmall,
    /// They could not be fetched, or not be set, for another reason.
    Failed,
}
