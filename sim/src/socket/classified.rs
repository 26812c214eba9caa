//! The classify of a connect, or of the first datagram of a flow: what the callouts are asked, what the engine makes
//! of their answers, and what an accepted redirect leaves behind.
//!
//! Source: docs/behaviour.md, "Connect request", "Chains" and "How records travel".

use std::net::SocketAddr;
use std::sync::Arc;

use super::route::{Origin, Routed};
use super::{PortSpace, SocketKind};
use crate::address::{self, Family};
use crate::engine::{Endpoint, LayerKind, RedirectContext, Version, classify};
use crate::error::WinsockError;
use crate::ids::{ContextId, FlowId, HostId, Pid, SocketId};
use crate::profile::SourcePort;
use crate::records::{Entry, Records};
use crate::trace::{ConnectTrace, Redirection};
use crate::world::World;

/// What is to be classified.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) pid: Pid,
    pub(crate) socket: SocketId,
    pub(crate) host: HostId,
    pub(crate) kind: SocketKind,
    /// Where the socket is bound.
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) destination: SocketAddr,
    pub(crate) records: Option<&'a Arc<Records>>,
}

/// What a classify came to.
pub(crate) struct Classified {
    pub(crate) target: SocketAddr,
    pub(crate) redirect: Option<Redirection>,
    /// The redirects that leave an entry in the records; or the error that the call ends with.
    pub(crate) recorded: Result<Vec<Version>, WinsockError>,
    /// As if nobody had answered yet.
    pub(crate) trace: Option<ConnectTrace>,
}

impl World {
    /// Asks the callouts, and the engine what it accepts. Nothing is changed yet.
    pub(crate) fn classified(&self, asking: Asking<'_>, traced: bool) -> Result<Classified, WinsockError> {
        let Asking { pid, socket, host, kind, bound, destination, records } = asking;
        let image = &self.processes.get(&pid).ok_or(WinsockError::WSAENETDOWN)?.image;
        let layer = LayerKind::ConnectRedirect.of(Family::of(&destination));
        let local = bound.unwrap_or_else(|| self.source_at_classify(kind, host, destination));
        let lent = records.map(|records| &**records);
        let endpoint = Endpoint { pid, image, local, protocol: kind.protocol.number(), records: lent };
        let mut inspections = traced.then(Vec::new);
        let context_bytes = |handle| self.context_of(lent?, handle).map(<[u8]>::len);
        let request =
            classify(&self.engine, layer, &endpoint, destination, context_bytes, inspections.as_mut());
        let source_unset = bound.is_none_or(|bound| bound.ip().to_canonical().is_unspecified());
        let origin = Origin { host, protocol: kind.protocol, source_unset };
        let Routed { target, redirect, recorded } = self.route(origin, request);
        let trace = inspections.map(|inspections| ConnectTrace {
            pid,
            image: Arc::clone(image),
            socket,
            protocol: kind.protocol,
            layer,
            destination,
            records: records.cloned(),
            inspections,
            target,
            redirect,
            result: Err(WinsockError::WSA_IO_PENDING),
        });
        Ok(Classified { target, redirect, recorded, trace })
    }

    /// What a callout sees as the source of a socket that is not bound yet.
    fn source_at_classify(&self, kind: SocketKind, host: HostId, destination: SocketAddr) -> SocketAddr {
        let unknown = SocketAddr::new(kind.family.unspecified(), 0);
        if self.profile.implicit_source_port == SourcePort::Unassigned {
            return unknown;
        }
        let Some(source) = self.source_address(host, destination) else { return unknown };
        let port = self.free_port(PortSpace::new(host, kind.protocol)).unwrap_or(0);
        address::written_in(kind.family, SocketAddr::new(source, port))
    }

    /// What the redirects of one classify leave: each an entry behind `earlier` for the acceptor to ask for, and its
    /// context, which is the engine's from here on.
    pub(crate) fn leave_records(
        &mut self,
        flow: FlowId,
        earlier: Option<&Records>,
        recorded: Vec<Version>,
    ) -> (Option<Arc<Records>>, Vec<ContextId>) {
        let mut contexts = Vec::new();
        let mut entries = Vec::with_capacity(recorded.len());
        for Version { owner, handle, context, .. } in recorded {
            let Some(handle) = handle else { continue };
            let context = context.map(|bytes| {
                let context = self.next_context();
                self.contexts.insert(context, RedirectContext { owner, bytes });
                contexts.push(context);
                context
            });
            entries.push(Entry { handle, context, flow });
        }
        let records =
            (!entries.is_empty()).then(|| Arc::new(Records::extended(earlier, &entries, &self.profile)));
        (records, contexts)
    }
}
