//! `connect` and `ConnectEx`: the classify, what the engine makes of it, and the connection.
//!
//! Source: win32 "TCP Packet Flows"; ddi "FWPS_CONNECT_REQUEST0"; docs/behaviour.md, "Connect request", "Chains"
//! and "How records travel".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{Completion, Connection, End, Flow, PendingCall, Side, SocketKind, State};
use crate::address::{self, Family};
use crate::engine::{ConnectRequest, Endpoint, Layer, Version, classify};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, HostId, PendingId, Pid, SocketHandle, SocketId};
use crate::profile::{
    HandleRequired, RedirectLayerBlock, RemoteAfterLocal, SameClassify, ShownPeer, SourcePort, TargetPid, Unaccepted,
};
use crate::records::{Entry, Records};
use crate::trace::{ConnectTrace, Redirection, Refusal, Sink};
use crate::world::{LOCAL_HOST, World};

/// What the engine made of the connect request.
struct Routed {
    target: SocketAddr,
    /// The versions whose redirects are to leave an entry in the records.
    recorded: Vec<Version>,
    redirect: Option<Redirection>,
}

impl World {
    /// `connect`: classified at the connect-redirect layer first, if this is the local host. Binds the socket
    /// where it is not bound. On a non-blocking socket WSAEWOULDBLOCK stands for a connect under way; the next
    /// call tells what became of it.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL on a listening socket; WSAEISCONN, WSAEALREADY; WSAEAFNOSUPPORT;
    /// WSAEADDRNOTAVAIL; WSAEHOSTUNREACH where no host has the address; WSAECONNREFUSED; WSAEACCES where a block
    /// counts (`block-at-redirect-layer`); WSAENOBUFS without a free port; WSAEWOULDBLOCK.
    pub fn connect<S: Sink>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        let nonblocking = view.kind.nonblocking;
        if let State::Failed(error) = view.state {
            if let Some(socket) = self.socket_mut(id) {
                socket.state = State::Unconnected;
            }
            return Err(error);
        }
        let result = self.connect_socket(caller.pid, id, destination, sink);
        if !nonblocking {
            if let Ok(Completion::Pending(_)) = result {
                return result;
            }
            self.set_updated(id);
            return result;
        }
        match result {
            Ok(Completion::Done(())) => self.set_updated(id),
            Ok(Completion::Pending(pending)) => self.forget_pending(id, pending),
            Err(error @ (WinsockError::WSAECONNREFUSED | WinsockError::WSAEHOSTUNREACH | WinsockError::WSAEACCES)) => {
                if let Some(socket) = self.socket_mut(id) {
                    socket.state = State::Failed(error);
                }
            }
            Err(error) => return Err(error),
        }
        Err(WinsockError::WSAEWOULDBLOCK)
    }

    /// `ConnectEx` without data: as `connect`, on a socket that must be bound, and never WSAEWOULDBLOCK. Until
    /// [`World::update_connect_context`] the socket does not know its peer.
    ///
    /// # Errors
    /// As `connect`; WSAEINVAL where the socket is not bound.
    pub fn connect_ex<S: Sink>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        if view.local.is_none() || view.state != State::Unconnected {
            return Err(match view.state {
                State::Connected(_) => WinsockError::WSAEISCONN,
                State::Connecting { .. } => WinsockError::WSAEALREADY,
                _ => WinsockError::WSAEINVAL,
            });
        }
        self.connect_socket(caller.pid, id, destination, sink)
    }

    fn connect_socket<S: Sink>(
        &mut self,
        pid: Pid,
        id: SocketId,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let socket = Arc::clone(self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?);
        match socket.state {
            State::Unconnected => {}
            State::Listening(_) => return Err(WinsockError::WSAEINVAL),
            State::Connecting { .. } => return Err(WinsockError::WSAEALREADY),
            State::Connected(_) | State::Failed(_) => return Err(WinsockError::WSAEISCONN),
        }
        self.check_destination(socket.kind, destination)?;

        let host = socket.host;
        let process = self.processes.get(&pid).ok_or(WinsockError::WSAENETDOWN)?;
        if host != LOCAL_HOST {
            return self.reach(id, host, destination, destination, None, Vec::new());
        }
        let layer = Layer::connect_redirect(Family::of(&destination));
        let image = Arc::clone(&process.image);
        let endpoint = Endpoint {
            pid,
            image: &image,
            local: socket.local.unwrap_or_else(|| self.source_at_classify(socket.kind.family, host, destination)),
            records: socket.records.as_deref(),
        };
        let mut inspections = sink.enabled().then(Vec::new);
        let context_bytes = |handle| self.context_of(socket.records.as_deref()?, handle).map(<[u8]>::len);
        let request =
            classify(&self.engine, layer, &endpoint, destination, context_bytes, inspections.as_mut());

        let blocked = request.blocked && self.profile.block_at_redirect_layer == RedirectLayerBlock::Denied;
        let routed = if blocked {
            Err((WinsockError::WSAEACCES, None))
        } else {
            self.route(host, request)
        };
        let (target, redirect, result) = match routed {
            Ok(Routed { target, recorded, redirect }) => {
                let earlier = socket.records.as_ref();
                (target, redirect, self.reach(id, host, destination, target, earlier, recorded))
            }
            Err((error, redirect)) => (destination, redirect, Err(error)),
        };
        if let Some(inspections) = inspections {
            let flow = match self.sockets.get(&id).map(|socket| &socket.state) {
                Some(State::Connected(connection)) => connection.flow,
                _ => FlowId(0),
            };
            sink.connect(ConnectTrace {
                pid,
                socket: id,
                layer,
                destination,
                records: socket.records.clone(),
                inspections,
                target,
                redirect,
                result: result.clone().map(|_| flow),
            });
        }
        result
    }

    fn check_destination(&self, kind: SocketKind, destination: SocketAddr) -> Result<(), WinsockError> {
        if Family::of(&destination) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        if address::is_mapped(&destination) && !kind.is_dual() {
            return Err(self.profile.mapped_on_v6only);
        }
        if destination.ip().to_canonical().is_unspecified() || destination.port() == 0 {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        Ok(())
    }

    /// What a callout sees as the source of a socket that is not bound yet.
    fn source_at_classify(&self, family: Family, host: HostId, destination: SocketAddr) -> SocketAddr {
        let unknown = SocketAddr::new(family.unspecified(), 0);
        if self.profile.implicit_source_port == SourcePort::Unassigned {
            return unknown;
        }
        let Some(source) = self.source_address(host, destination) else { return unknown };
        let port = self.free_port(host, source).unwrap_or(0);
        address::written_in(family, SocketAddr::new(source, port))
    }

    /// Decides which redirect counts, and whether the engine accepts it.
    fn route(
        &self,
        host: HostId,
        mut request: ConnectRequest,
    ) -> Result<Routed, (WinsockError, Option<Redirection>)> {
        let original = request.original;
        self.settle_remote_after_local(host, &mut request.versions);
        let Some(last) = request.versions.last() else {
            return Ok(Routed { target: original, recorded: Vec::new(), redirect: None });
        };
        let (target, handle) = (last.remote, last.handle);
        let local = self.is_own(host, target);
        if let Some(refusal) = self.refusal(last, host, local) {
            let redirect = Some(Redirection::NotAccepted(refusal));
            return match self.profile.unaccepted_local_redirect {
                Unaccepted::OriginalDestination => Ok(Routed { target: original, recorded: Vec::new(), redirect }),
                Unaccepted::Refused => Err((WinsockError::WSAECONNREFUSED, redirect)),
            };
        }
        let recorded = match handle {
            Some(_) if local => {
                request.versions.retain(|version| version.handle.is_some() && self.is_own(host, version.remote));
                if self.profile.same_classify_redirects == SameClassify::Last {
                    request.versions.drain(..request.versions.len().saturating_sub(1));
                }
                request.versions
            }
            _ => Vec::new(),
        };
        let redirect = match handle {
            Some(handle) if local => Redirection::Local(handle),
            None if local => Redirection::LocalWithoutRecords,
            _ => Redirection::Remote,
        };
        Ok(Routed { target, recorded, redirect: Some(redirect) })
    }

    /// A remote redirect behind a local one: the profile says which of them stands.
    fn settle_remote_after_local(&self, host: HostId, versions: &mut Vec<Version>) {
        let stands = |version: &Version| version.handle.is_some() && self.is_own(host, version.remote);
        if self.profile.remote_after_local_redirect == RemoteAfterLocal::LocalWins
            && let Some(local) = versions.iter().rposition(stands)
        {
            versions.truncate(local + 1);
        }
    }

    fn is_own(&self, host: HostId, address: SocketAddr) -> bool {
        self.host_with(host, address.ip()) == Some(host)
    }

    /// Why the engine does not accept this redirect, if it does not.
    fn refusal(&self, version: &Version, host: HostId, local: bool) -> Option<Refusal> {
        let profile = &self.profile;
        if version.context.as_ref().is_some_and(|context| context.len() > profile.context_limit as usize) {
            return Some(Refusal::ContextTooLarge);
        }
        match version.handle {
            Some(handle) if !self.engine.handles.contains_key(&handle) => return Some(Refusal::UnknownHandle),
            None if local || profile.handle_required == HandleRequired::Always => return Some(Refusal::NoHandle),
            _ => {}
        }
        if !local {
            return None;
        }
        if version.target_pid == 0 {
            return Some(Refusal::NoTargetPid);
        }
        let listens = || {
            self.listener(host, version.remote).is_some_and(|listener| {
                self.descriptors.iter().any(|((pid, _), id)| *id == listener && pid.0 == version.target_pid)
            })
        };
        (profile.target_pid == TargetPid::MustListen && !listens()).then_some(Refusal::WrongTargetPid)
    }

    /// Makes the connection to `target`, or finds out why there is none.
    fn reach(
        &mut self,
        id: SocketId,
        from: HostId,
        destination: SocketAddr,
        target: SocketAddr,
        earlier: Option<&Arc<Records>>,
        recorded: Vec<Version>,
    ) -> Result<Completion<()>, WinsockError> {
        let (kind, bound) = match self.sockets.get(&id) {
            Some(socket) => (socket.kind, socket.local),
            None => return Err(WinsockError::WSAENOTSOCK),
        };
        let to = self.host_with(from, target.ip()).ok_or(WinsockError::WSAEHOSTUNREACH)?;
        let source = self.source_address(from, target).ok_or(WinsockError::WSAENETUNREACH)?;
        let local = self.bind_for_connect(id, from, bound, source, target)?;
        if self.host(to).is_some_and(|host| host.silent) {
            return Ok(self.wait_for_answer(id));
        }
        let listener = self.listener(to, target).ok_or(WinsockError::WSAECONNREFUSED)?;
        if self.backlog_is_full(listener) {
            return Err(WinsockError::WSAECONNREFUSED);
        }

        let flow = self.next_flow();
        let mut contexts = Vec::with_capacity(recorded.len());
        let entries: Vec<Entry> = recorded
            .into_iter()
            .filter_map(|version| {
                let context = version.context.map(|bytes| {
                    let context = self.next_context();
                    self.contexts.insert(context, bytes.into());
                    contexts.push(context);
                    context
                });
                Some(Entry { handle: version.handle?, context, flow })
            })
            .collect();
        let records = (!entries.is_empty())
            .then(|| Arc::new(Records::extended(earlier.map(|records| &**records), &entries, &self.profile)));
        self.flows.insert(
            flow,
            Arc::new(Flow { client: End::new(local), server: End::new(target), records, contexts }),
        );
        let shown = match self.profile.peer_name_after_redirect {
            ShownPeer::Original => destination,
            ShownPeer::Redirected => address::written_in(kind.family, target),
        };
        self.narrow_binding(id, from, local);
        if let Some(socket) = self.socket_mut(id) {
            socket.state =
                State::Connected(Connection { flow, side: Side::Client, peer: shown, updated: false });
        }
        self.connection_arrived(listener, flow);
        Ok(Completion::Done(()))
    }

    /// The address that packets to `target` come from; `None` without one of its family.
    fn source_address(&self, from: HostId, target: SocketAddr) -> Option<IpAddr> {
        let ip = target.ip().to_canonical();
        if ip.is_loopback() {
            return Some(match ip {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let addresses = &self.host(from)?.addresses;
        addresses
            .iter()
            .find(|own| **own == ip)
            .or_else(|| addresses.iter().find(|own| own.is_ipv4() == ip.is_ipv4()))
            .copied()
    }

    /// The source address and port of the connection. A bound socket keeps its own, and cannot reach over the
    /// border between loopback and the rest.
    fn bind_for_connect(
        &mut self,
        id: SocketId,
        host: HostId,
        bound: Option<SocketAddr>,
        source: IpAddr,
        target: SocketAddr,
    ) -> Result<SocketAddr, WinsockError> {
        let Some(bound) = bound else {
            let port = self.free_port(host, source).ok_or(WinsockError::WSAENOBUFS)?;
            let local = SocketAddr::new(source, port);
            self.take_port(id, local);
            return Ok(local);
        };
        let ip = bound.ip().to_canonical();
        if ip.is_unspecified() {
            return Ok(SocketAddr::new(source, bound.port()));
        }
        if ip.is_loopback() != target.ip().to_canonical().is_loopback() {
            return Err(self.profile.unroutable_source);
        }
        Ok(SocketAddr::new(ip, bound.port()))
    }

    /// A socket that was bound to all addresses has one of them when it is connected.
    fn narrow_binding(&mut self, id: SocketId, host: HostId, local: SocketAddr) {
        let Some(bound) = self.sockets.get(&id).and_then(|socket| socket.local) else { return };
        if bound.ip().to_canonical().is_unspecified() {
            self.give_port_back(id, host, bound);
            self.take_port(id, local);
        }
    }

    /// The socket that listens at `target`: one bound to just this address before one bound to all of them, and
    /// one of its own family before a dual-stack one.
    fn listener(&self, host: HostId, target: SocketAddr) -> Option<SocketId> {
        let ip = target.ip().to_canonical();
        let mut best = None;
        for (bound, id) in self.bound_to(host, target.port()) {
            let Some(socket) = self.sockets.get(&id) else { continue };
            if !matches!(socket.state, State::Listening(_)) {
                continue;
            }
            let rank = if bound == ip {
                0
            } else if !bound.is_unspecified() {
                continue;
            } else if bound.is_ipv4() == ip.is_ipv4() {
                1
            } else if socket.kind.is_dual() {
                2
            } else {
                continue;
            };
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn backlog_is_full(&self, listener: SocketId) -> bool {
        match self.sockets.get(&listener).map(|socket| &socket.state) {
            Some(State::Listening(listening)) => listening.queue.len() >= listening.backlog,
            _ => true,
        }
    }

    fn set_updated(&mut self, id: SocketId) {
        if let Some(State::Connected(connection)) = self.socket_mut(id).map(|socket| &mut socket.state) {
            connection.updated = true;
        }
    }

    // Connects that nobody answers.

    fn wait_for_answer(&mut self, id: SocketId) -> Completion<()> {
        let deadline = self.now.saturating_add(self.profile.connect_timeout_ms.into());
        let pending = self.pend(PendingCall::Connect);
        if let Some(socket) = self.socket_mut(id) {
            socket.state = State::Connecting { deadline, pending: Some(pending) };
        }
        Completion::Pending(pending)
    }

    /// A non-blocking connect is not asked about by its number.
    fn forget_pending(&mut self, id: SocketId, pending: PendingId) {
        self.pending.remove(&pending);
        if let Some(State::Connecting { pending, .. }) = self.socket_mut(id).map(|socket| &mut socket.state) {
            *pending = None;
        }
    }

    pub(crate) fn end_overdue_connects(&mut self) {
        let now = self.now;
        let overdue: Vec<SocketId> = self
            .sockets
            .iter()
            .filter(|(_, socket)| matches!(socket.state, State::Connecting { deadline, .. } if deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            let Some(socket) = self.socket_mut(id) else { continue };
            let State::Connecting { pending, .. } = socket.state else { continue };
            socket.state = match pending {
                Some(_) => State::Unconnected,
                None => State::Failed(WinsockError::WSAETIMEDOUT),
            };
            if let Some(pending) = pending {
                self.complete(pending, Err(WinsockError::WSAETIMEDOUT));
            }
        }
    }
}
