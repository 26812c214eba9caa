//! What the model tells of a connect, hop by hop, to whoever wants to know: who connected whereto, which records
//! the connection carried, what each callout saw and did, and where it went.
//!
//! Every part of a trace prints itself, so `println!("{hop}")` is enough to see what happened.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::bug_check::BugCheck;
use crate::engine::{Action, ClassifyOut, Flags, Incoming, Layer, LayerKind, Verdict};
use crate::error::WinsockError;
use crate::ids::{CalloutId, FilterId, FlowId, Pid, RedirectHandle, SocketId};
use crate::records::{Records, RedirectState};
use crate::socket::Protocol;

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
    /// Its image path.
    pub image: Arc<str>,
    /// The socket that connects.
    pub socket: SocketId,
    /// The protocol of that socket. Of the others than TCP, `connect` and the first datagram of each flow are classified.
    pub protocol: Protocol,
    /// The destination that the caller gave.
    pub destination: SocketAddr,
    /// The records that were set on the socket.
    pub records: Option<Arc<Records>>,
    /// Each layer that was asked, in this order: CONNECT_REDIRECT always, others where a filter matched.
    pub classifies: Vec<ClassifyTrace>,
    /// Where it went in the end.
    pub target: SocketAddr,
    /// What became of the last redirect, if there was one.
    pub redirect: Option<Redirection>,
    /// The connection or flow, or why there is none; WSA_IO_PENDING while nobody has answered, and for `connect` of a
    /// socket that is not TCP's, which makes none.
    pub result: Result<FlowId, WinsockError>,
}

impl ConnectTrace {
    /// What each callout saw and did at CONNECT_REDIRECT, in the order in which they were asked.
    #[must_use]
    pub fn inspections(&self) -> Vec<&Inspection> {
        let there =
            self.classifies.iter().filter(|classify| classify.layer.kind == LayerKind::ConnectRedirect);
        there.flat_map(|classify| &classify.inspections).collect()
    }

    /// The redirect state that each callout was told at CONNECT_REDIRECT, in the order in which they were asked.
    #[must_use]
    pub fn states(&self) -> Vec<RedirectState> {
        self.inspections().into_iter().map(|inspection| inspection.state).collect()
    }
}

/// A classify at one layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClassifyTrace {
    /// The layer.
    pub layer: Layer,
    /// The flags that every callout was shown.
    pub flags: Flags,
    /// The local address and port; unspecified and 0 where they are not chosen yet.
    pub local: SocketAddr,
    /// The remote address and port; none at the bind layers.
    pub remote: Option<SocketAddr>,
    /// `ORIGINAL_DESTINATION` in the metadata.
    pub original_destination: Option<SocketAddr>,
    /// `LOCAL_REDIRECT_TARGET_PID` in the metadata.
    pub target_pid: Option<u32>,
    /// What each filter that matched made of it, in the order in which they were asked.
    pub inspections: Vec<Inspection>,
    /// What arbitration made of that.
    pub end: ClassifyEnd,
}

impl ClassifyTrace {
    /// Nobody was asked.
    pub(crate) fn new(seen: &Incoming<'_>) -> Self {
        Self {
            layer: seen.layer,
            flags: seen.flags,
            local: seen.local,
            remote: seen.remote,
            original_destination: seen.original_destination,
            target_pid: seen.local_redirect_target_pid,
            inspections: Vec::new(),
            end: ClassifyEnd::Decided(None),
        }
    }
}

/// How a classify ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassifyEnd {
    /// By this verdict; none where nobody decided, which permits.
    Decided(Option<Verdict>),
    /// A callout pended it.
    Pended,
    /// It never ends: a callout broke a rule.
    Never,
    /// Windows did not survive it.
    BugCheck(BugCheck),
}

/// What one callout saw, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inspection {
    /// The callout; none where the filter decided by itself.
    pub callout: Option<CalloutId>,
    /// The name that it was registered with.
    pub name: Arc<str>,
    /// The filter that matched.
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
    /// Whether it had the right to write.
    pub write_right: bool,
    /// What it did.
    pub action: Action,
    /// The decision of the layer after it, and whether lower sublayers may change that.
    pub carried: ClassifyOut,
}

/// A version of the request that an earlier callout of the same classify made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreviousVersion {
    /// `modifierFilterId`.
    pub modifier: FilterId,
    /// `remoteAddressAndPort`; at BIND_REDIRECT `localAddressAndPort`.
    pub address: SocketAddr,
    /// `localRedirectHandle`.
    pub handle: Option<RedirectHandle>,
}

/// What the engine made of the redirect that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redirection {
    /// To an address of this host: the acceptor can ask for records and context.
    Local(RedirectHandle),
    /// To an address of this host, on a way that is not loopback: nothing travels with it (docs/behaviour.md, R19).
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

impl fmt::Display for ConnectTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = match self.protocol {
            Protocol::Tcp => "connects",
            _ if self.result == Err(WinsockError::WSA_IO_PENDING) => "connects a datagram socket",
            _ => "sends the first datagram",
        };
        let Self { image, pid, protocol, destination, .. } = self;
        match protocol {
            Protocol::Tcp => write!(f, "{image} (pid {pid}) {does} to {destination}")?,
            _ => write!(f, "{image} (pid {pid}) {does} ({protocol}) to {destination}")?,
        }
        match &self.records {
            None => f.write_str(", without records")?,
            Some(records) => {
                let handles: Vec<String> =
                    records.entries().iter().map(|entry| entry.handle.to_string()).collect();
                write!(f, ", with records of handles {}", handles.join(", "))?;
            }
        }
        for classify in &self.classifies {
            write!(f, "\n  {classify}")?;
        }
        f.write_str("\n  ")?;
        if let Some(redirect) = &self.redirect {
            write!(f, "{redirect}: ")?;
        }
        match self.result {
            Ok(flow) if self.protocol != Protocol::Tcp => write!(f, "sent to {}, flow {flow}", self.target),
            Err(WinsockError::WSA_IO_PENDING) if self.protocol != Protocol::Tcp => {
                write!(f, "connected to {}, no flow yet", self.target)
            }
            Ok(flow) => write!(f, "connected to {}, connection {flow}", self.target),
            Err(WinsockError::WSA_IO_PENDING) => write!(f, "waits for {}", self.target),
            Err(error) => write!(f, "{error}, not connected to {}", self.target),
        }
    }
}

impl fmt::Display for ClassifyTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layer)?;
        if self.layer.kind != LayerKind::ConnectRedirect
            && let Some(remote) = self.remote
        {
            write!(f, " to {remote}")?;
        }
        if self.flags != Flags::NONE {
            write!(f, " ({})", self.flags)?;
        }
        for inspection in &self.inspections {
            write!(f, "\n    {inspection}")?;
        }
        write!(f, "{}", self.end)
    }
}

impl fmt::Display for ClassifyEnd {
    /// A permit goes without saying.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(None | Some(Verdict::Permit)) => Ok(()),
            Self::Decided(Some(Verdict::Block)) => f.write_str("\n    blocked"),
            Self::Pended => f.write_str("\n    waits for the driver"),
            Self::Never => f.write_str("\n    never completes"),
            Self::BugCheck(bug_check) => write!(f, "\n    bug check {bug_check}"),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if self.callout.is_none() {
            return write!(f, " ({}): {}", self.filter, self.action);
        }
        match self.handle {
            Some(handle) => write!(f, " (handle {handle})")?,
            None => f.write_str(" (without a handle)")?,
        }
        write!(f, ": {}", self.state)?;
        if !self.write_right {
            f.write_str(", without the right to write")?;
        }
        if let Some(bytes) = self.context_bytes {
            write!(f, ", its context of {bytes} bytes")?;
        }
        for version in &self.previous_versions {
            write!(f, ", {version}")?;
        }
        write!(f, "; {}", self.action)
    }
}

impl fmt::Display for PreviousVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after filter {} changed it to {}", self.modifier, self.address)?;
        match self.handle {
            Some(handle) => write!(f, " with handle {handle}"),
            None => f.write_str(" without a handle"),
        }
    }
}

impl fmt::Display for Redirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(handle) => write!(f, "redirected to this host with handle {handle}"),
            Self::LocalWithoutRecords => f.write_str("redirected to this host, without records"),
            Self::Remote => f.write_str("redirected to another host, without records"),
            Self::NotAccepted(refusal) => write!(f, "redirect not accepted ({refusal})"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTargetPid => "localRedirectTargetPID is 0",
            Self::WrongTargetPid => "localRedirectTargetPID is not the process that listens there",
            Self::NoHandle => "no localRedirectHandle",
            Self::UnknownHandle => "localRedirectHandle was not created, or is destroyed",
            Self::ContextTooLarge => "the context is larger than this machine takes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Context, Redirect};
    use crate::socket::SocketKind;
    use crate::testing::{Machine, SERVER, SILENT, address, both};

    /// Two vendors that cooperate: the three connects of a connection to the server.
    fn two_vendors() -> Vec<ConnectTrace> {
        let mut m = Machine::default();
        let listeners = [m.service_at(1001), m.service_at(1002)];
        m.cooperative_vendor("a", 200, 1001);
        m.cooperative_vendor("b", 100, 1002);
        let mut hops = vec![m.trace(SERVER)];
        for listener in listeners {
            let accepted = m.accept(listener);
            let records = m.w.query_redirect_records(m.service, accepted).unwrap();
            let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
            m.w.set_redirect_records(m.service, onward, &records).unwrap();
            hops.push(m.trace_of(m.service, onward, SERVER));
        }
        hops
    }

    #[test]
    fn trace_tells_who_saw_what_at_each_hop() {
        let text: Vec<String> = two_vendors().iter().map(ToString::to_string).collect();
        let expected = "\
app.exe (pid 4) connects to 203.0.113.9:443, without records
  ALE_CONNECT_REDIRECT_V4
    a (handle 4096): NOT_REDIRECTED; redirects to 127.0.0.1:1001
    b (handle 4104): NOT_REDIRECTED, after filter 3 changed it to 127.0.0.1:1001 with handle 4096; permits, as another redirected already
  redirected to this host with handle 4096: connected to 127.0.0.1:1001, connection 2
service.exe (pid 12) connects to 203.0.113.9:443, with records of handles 4096
  ALE_CONNECT_REDIRECT_V4 (IS_PROXY_CONNECTION)
    a (handle 4096): REDIRECTED_BY_SELF, its context of 128 bytes; permits
    b (handle 4104): REDIRECTED_BY_OTHER; redirects to 127.0.0.1:1002
  redirected to this host with handle 4104: connected to 127.0.0.1:1002, connection 3
service.exe (pid 12) connects to 203.0.113.9:443, with records of handles 4096, 4104
  ALE_CONNECT_REDIRECT_V4 (IS_PROXY_CONNECTION)
    a (handle 4096): PREVIOUSLY_REDIRECTED_BY_SELF, its context of 128 bytes; permits
    b (handle 4104): REDIRECTED_BY_SELF, its context of 128 bytes; permits
  connected to 203.0.113.9:443, connection 4";
        assert_eq!(text.join("\n"), expected);
    }

    #[test]
    fn states_are_those_of_the_documents_golden_path() {
        use RedirectState::{NotRedirected, PreviouslyRedirectedBySelf, RedirectedByOther, RedirectedBySelf};
        let states: Vec<_> = two_vendors().iter().map(ConnectTrace::states).collect();
        assert_eq!(
            states,
            [
                [NotRedirected, NotRedirected],
                [RedirectedBySelf, RedirectedByOther],
                [PreviouslyRedirectedBySelf, RedirectedBySelf],
            ]
        );
    }

    #[test]
    fn trace_tells_why_there_is_no_connection() {
        let last = |hop: &ConnectTrace| hop.to_string().lines().last().unwrap_or_default().to_owned();
        let mut m = Machine::default();
        assert_eq!(last(&m.trace(SILENT)), "  waits for 203.0.113.66:443");
        assert_eq!(last(&m.trace("127.0.0.1:9")), "  WSAECONNREFUSED, not connected to 127.0.0.1:9");
        let redirect = Redirect::local(m.service.pid, address("203.0.113.9:80"));
        m.redirect_all(9, redirect);
        let refused =
            "  redirected to another host, without records: WSAECONNREFUSED, not connected to 203.0.113.9:80";
        assert_eq!(last(&m.trace(SERVER)), refused);
        let spoiled = Redirect { target_pid: 0, ..Redirect::local(m.service.pid, both(1001)) };
        m.redirect_all(8, Redirect { context: Context::None, ..spoiled });
        let not_accepted =
            "  redirect not accepted (localRedirectTargetPID is 0): connected to 203.0.113.9:443";
        assert!(last(&m.trace(SERVER)).starts_with(not_accepted));
    }

    #[test]
    fn sink_without_interest_is_told_nothing() {
        let mut m = Machine::default();
        let socket = m.socket(SocketKind::V4);
        let sink: &mut dyn Sink = &mut ();
        assert!(!sink.enabled());
        assert!(m.w.connect(m.app, socket, address(SERVER), sink).is_ok());
    }
}
