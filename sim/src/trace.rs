//! What the model tells of a connect, hop by hop, to whoever wants to know.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::engine::{Action, Layer};
use crate::error::WinsockError;
use crate::ids::{CalloutId, FilterId, FlowId, Pid, RedirectHandle, SocketId};
use crate::records::{RedirectState, Records};

/// Takes the trace of each connect. `()` takes none, and costs nothing; a `Vec` keeps them all.
pub trait Sink {
    /// Whether anything is to be recorded at all.
    fn enabled(&self) -> bool {
        true
    }

    /// A connect was classified, and this is what became of it.
    fn connect(&mut self, trace: ConnectTrace);
}

impl Sink for () {
    fn enabled(&self) -> bool {
        false
    }

    fn connect(&mut self, _: ConnectTrace) {}
}

impl Sink for Vec<ConnectTrace> {
    fn connect(&mut self, trace: ConnectTrace) {
        self.push(trace);
    }
}

/// A connect, from the call to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectTrace {
    /// Who called.
    pub pid: Pid,
    /// The socket that connects.
    pub socket: SocketId,
    /// Where it was classified.
    pub layer: Layer,
    /// The destination that the caller gave.
    pub destination: SocketAddr,
    /// The records that were set on the socket.
    pub records: Option<Arc<Records>>,
    /// What each callout saw and did, in the order in which they were asked.
    pub inspections: Vec<Inspection>,
    /// Where it went in the end.
    pub target: SocketAddr,
    /// What became of the last redirect, if there was one.
    pub redirect: Option<Redirection>,
    /// The connection, or why there is none.
    pub result: Result<FlowId, WinsockError>,
}

/// What one callout saw of a connect, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inspection {
    /// The callout.
    pub callout: CalloutId,
    /// The filter that called it.
    pub filter: FilterId,
    /// The redirect handle that it asked with, if it has one.
    pub handle: Option<RedirectHandle>,
    /// What it was told.
    pub state: RedirectState,
    /// Bytes of its own context that it was given back.
    pub context_bytes: Option<usize>,
    /// What callouts before it made of the request in the same classify, latest first: the chain of
    /// `previousVersion`.
    pub previous_versions: Vec<PreviousVersion>,
    /// What it did.
    pub action: Action,
}

/// A version of `FWPS_CONNECT_REQUEST0` that an earlier callout of the same classify made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreviousVersion {
    /// `modifierFilterId`.
    pub modifier: FilterId,
    /// `remoteAddressAndPort`.
    pub remote: SocketAddr,
    /// `localRedirectHandle`.
    pub handle: Option<RedirectHandle>,
}

/// What the engine made of the redirect that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redirection {
    /// To an address of this host: the acceptor can ask for records and context.
    Local(RedirectHandle),
    /// To an address of this host, without a handle.
    LocalWithoutRecords,
    /// To another host: nothing travels with it.
    Remote,
    /// Not accepted, and why.
    NotAccepted(Refusal),
}

/// Why the engine did not accept a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `localRedirectTargetPID` is 0.
    NoTargetPid,
    /// `localRedirectTargetPID` names a process that does not listen there.
    WrongTargetPid,
    /// `localRedirectHandle` is missing.
    NoHandle,
    /// `localRedirectHandle` is not, or no longer, one that was created.
    UnknownHandle,
    /// The context is larger than the machine takes.
    ContextTooLarge,
}
