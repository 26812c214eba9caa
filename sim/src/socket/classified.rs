//! The classifies of a connect, or of the first datagram of a flow, at the end that connects: CONNECT_REDIRECT, what
//! the engine makes of the answers, and AUTH_CONNECT.
//!
//! Source: docs/behaviour.md, "Connect request", "Layers", "Chains" and "How records travel".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::layers::{Asking, Traces};
use super::route::{Origin, Routed};
use super::{PortSpace, SocketKind};
use crate::address::{self, Family};
use crate::engine::{
    Decision, Ended, Flags, Incoming, LayerKind, PendedBy, Program, Run, Unused, Verdict, Version,
};
use crate::error::WinsockError;
use crate::ids::{ContextId, FlowId, HostId};
use crate::profile::{AuthConnectCalls, AuthConnectMetadata, LocalAtConnect, SourcePort};
use crate::records::{Entry, Records};
use crate::trace::{ConnectTrace, Redirection};
use crate::world::World;

/// So often a driver completes a request that it pends again and again.
const MOST_COMPLETIONS: usize = 16;

/// What CONNECT_REDIRECT and AUTH_CONNECT came to.
pub(crate) enum Classified {
    /// It goes on.
    To(Route),
    /// It ends here.
    Refused(Route, WinsockError),
    /// A driver has pended it, and will complete it.
    Pended(PendedBy, Box<Run>),
    /// Nobody will ever complete it.
    Never,
}

/// Where a connect goes, and what travels with it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) target: SocketAddr,
    pub(crate) redirect: Option<Redirection>,
    /// The redirects that leave an entry in the records.
    pub(crate) recorded: Vec<Version>,
    /// The redirects that count and leave none: only their contexts go with the flow.
    pub(crate) carried: Vec<Version>,
}

impl Route {
    /// Nobody was asked.
    pub(crate) fn unchanged(target: SocketAddr) -> Self {
        Self { target, redirect: None, recorded: Vec::new(), carried: Vec::new() }
    }

    /// The redirects that count.
    pub(crate) fn redirects(&self) -> impl Iterator<Item = &Version> {
        self.recorded.iter().chain(&self.carried)
    }
}

impl World {
    /// Asks CONNECT_REDIRECT, decides what counts, and asks AUTH_CONNECT.
    pub(crate) fn classified(&mut self, asking: &Asking, run: Run, traces: &mut Traces) -> Classified {
        match self.redirected(asking, run, traces) {
            Classified::To(route) => self.authorized(asking, route, traces),
            ended => ended,
        }
    }

    /// Asks CONNECT_REDIRECT, and decides what counts.
    pub(crate) fn redirected(&mut self, asking: &Asking, mut run: Run, traces: &mut Traces) -> Classified {
        let Asking { destination, host, .. } = *asking;
        let seen = self.seen_at_connect_redirect(asking);
        let local = seen.local;
        let verdict = match self.ask_redirect(&seen, &mut run, traces) {
            Ended::Decided(verdict) => verdict,
            Ended::Pended(by) => return Classified::Pended(by, Box::new(run)),
            Ended::Never => return Classified::Never,
            Ended::BugCheck(_) => {
                return Classified::Refused(Route::unchanged(destination), WinsockError::WSAENETDOWN);
            }
        };
        let blocked = verdict == Some(Verdict::Block);
        if run.versions.is_empty() && !blocked {
            return Classified::To(Route::unchanged(destination));
        }
        if asking.kind.protocol.is_tcp()
            && self.profile.local_address_at_connect_redirect == LocalAtConnect::TcpOnly
        {
            let changed = run.versions.iter().rev().find(|version| version.data.local.ip() != local.ip());
            let moved = changed.map(|version| self.move_socket(asking.socket, version.data.local.ip()));
            if let Some(Err(error)) = moved {
                return Classified::Refused(Route::unchanged(destination), error);
            }
        }
        let unbound = self.sockets.get(&asking.socket).and_then(|socket| socket.local);
        let source_unset = unbound.is_none_or(|bound| bound.ip().to_canonical().is_unspecified());
        let origin = Origin { host, protocol: asking.kind.protocol, source_unset };
        let versions = std::mem::take(&mut run.versions);
        let Routed { route, error, unused } = self.route(origin, destination, versions, blocked);
        for (version, why) in &unused {
            self.abandon([version], *why);
        }
        match error {
            Some(error) => Classified::Refused(route, error),
            None => Classified::To(route),
        }
    }

    /// What CONNECT_REDIRECT shows.
    pub(super) fn seen_at_connect_redirect<'a>(&self, asking: &'a Asking) -> Incoming<'a> {
        let Asking { destination, host, kind, .. } = *asking;
        let local = asking.bound.unwrap_or_else(|| self.source_at_classify(kind, host, destination));
        let layer = LayerKind::ConnectRedirect.of(Family::of(&destination));
        let mut seen = asking.seen(layer, local, Some(destination));
        seen.flags = self.proxy_flag(asking.records.as_deref()) | self.loopback_flag(host, destination);
        seen
    }

    /// Asks a redirect layer, and lets those drivers complete at once that do so.
    pub(super) fn ask_redirect(&mut self, seen: &Incoming<'_>, run: &mut Run, traces: &mut Traces) -> Ended {
        for _ in 0..MOST_COMPLETIONS {
            let ended = self.ask(seen, run, traces);
            let Ended::Pended(by) = &ended else { return ended };
            if !self.complete_by_policy(by, seen, run) {
                return ended;
            }
        }
        Ended::Never
    }

    /// The worker of a driver that completes at once what it pends.
    fn complete_by_policy(&self, by: &PendedBy, seen: &Incoming<'_>, run: &mut Run) -> bool {
        let Some(Program::Policy(policy)) =
            self.engine.callouts.get(&by.callout).map(|callout| &callout.program)
        else {
            return false;
        };
        let Decision::Pend(pend) = policy.decision(seen, policy.state(seen)) else { return false };
        if !pend.at_once {
            return false;
        }
        policy.modify_pended(pend, seen, by, run);
        run.completed(by.callout, pend.completion);
        true
    }

    /// Asks AUTH_CONNECT: once, or of a redirected TCP connection that leaves loopback twice, with the original
    /// destination first.
    fn authorized(&mut self, asking: &Asking, route: Route, traces: &mut Traces) -> Classified {
        let original = asking.destination;
        let redirected = match route.redirect {
            Some(Redirection::NotAccepted(_)) | None => false,
            Some(_) => true,
        };
        let leaves = !route.target.ip().to_canonical().is_loopback();
        let twice = redirected
            && leaves
            && asking.kind.protocol.is_tcp()
            && self.profile.auth_connect_of_redirected == AuthConnectCalls::Twice;
        let shown_original = if address::is_mapped(&original) {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), original.port())
        } else {
            original
        };
        let destinations = [(shown_original, twice), (route.target, true)];
        for (remote, _) in destinations.into_iter().filter(|(_, asked)| *asked) {
            if self.auth_connect_blocks(asking, remote, &route, redirected, traces) {
                self.abandon(route.redirects(), Unused::Blocked);
                return Classified::Refused(route, WinsockError::WSAEACCES);
            }
        }
        Classified::To(route)
    }

    fn auth_connect_blocks(
        &mut self,
        asking: &Asking,
        remote: SocketAddr,
        route: &Route,
        redirected: bool,
        traces: &mut Traces,
    ) -> bool {
        let family = self.auth_connect_family(remote, asking.kind.family);
        let remote = address::written_in(family, remote);
        let layer = LayerKind::AuthConnect.of(family);
        if self.engine.asked_at(layer).is_empty() {
            return false;
        }
        let source = self.source_address(asking.host, route.target).unwrap_or(family.unspecified());
        let bound = self.sockets.get(&asking.socket).and_then(|socket| socket.local);
        let local = match bound {
            Some(bound) if !bound.ip().to_canonical().is_unspecified() => address::unmapped(bound),
            Some(bound) => SocketAddr::new(source, bound.port()),
            None => {
                let port = self.free_port(PortSpace::new(asking.host, asking.kind.protocol)).unwrap_or(0);
                SocketAddr::new(source, port)
            }
        };
        let mut seen = asking.seen(layer, local, Some(remote));
        seen.flags = self.proxy_flag(asking.records.as_deref())
            | self.loopback_flag(asking.host, remote)
            | Flags::CONNECTION_REDIRECTED.when(redirected);
        if redirected && self.profile.auth_connect_metadata == AuthConnectMetadata::Present {
            seen.original_destination = Some(asking.destination);
            seen.local_redirect_target_pid =
                route.recorded.last().map(|version| version.data.target_pid).filter(|pid| *pid != 0);
        }
        self.is_blocked(&seen, traces)
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

    /// The trace of a connect that was classified so, as if nobody had answered yet.
    pub(crate) fn connect_trace(
        asking: &Asking,
        target: SocketAddr,
        redirect: Option<Redirection>,
        traces: Traces,
    ) -> Option<ConnectTrace> {
        Some(ConnectTrace {
            pid: asking.pid,
            image: Arc::clone(&asking.app),
            socket: asking.socket,
            protocol: asking.kind.protocol,
            destination: asking.destination,
            records: asking.records.clone(),
            classifies: traces?,
            target,
            redirect,
            result: Err(WinsockError::WSA_IO_PENDING),
        })
    }

    /// What the redirects of one classify leave: each an entry behind `earlier` for the acceptor to ask for, if it is
    /// `recorded`, and its context, which is the engine's from here on.
    pub(crate) fn leave_records(
        &mut self,
        flow: FlowId,
        earlier: Option<&Records>,
        recorded: &[Version],
        carried: &[Version],
    ) -> (Option<Arc<Records>>, Vec<ContextId>) {
        let mut contexts: Vec<ContextId> =
            carried.iter().filter_map(|version| self.take_over_context(version)).collect();
        let mut entries = Vec::with_capacity(recorded.len());
        for version in recorded {
            let Some(handle) = version.data.handle else { continue };
            let context = self.take_over_context(version);
            contexts.extend(context);
            entries.push(Entry { handle, context, flow });
        }
        let records =
            (!entries.is_empty()).then(|| Arc::new(Records::extended(earlier, &entries, &self.profile)));
        (records, contexts)
    }
}
