//! `sendto` and `send`: the first datagram makes a flow, the others follow it.
//!
//! Source: sdk-api "sendto"; win32 "UDP Packet Flows"; docs/behaviour.md, "UDP and raw sockets".

use std::net::SocketAddr;
use std::sync::Arc;

use super::flow::Traffic;
use super::raw::{self, Packet};
use super::{Arrived, Carried};
use crate::address;
use crate::engine::{Run, Unused};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, HostId, SocketHandle, SocketId};
use crate::profile::{ConnectContext, UnsetSource};
use crate::records::Records;
use crate::socket::{Asking, Classified, End, Flow, PendedClassify, PortSpace, Route, Side, State, Waits};
use crate::trace::{Redirection, Sink};
use crate::world::{LOCAL_HOST, World};

/// The most data that a datagram takes over IPv4, and over IPv6. Source: RFC 768; both headers count to 65,535 bytes
/// over IPv4, UDP's alone over IPv6.
const MOST_DATA: [usize; 2] = [65_507, 65_527];

/// A datagram on its way out.
pub(super) struct Sending<'a> {
    pub(super) caller: Caller,
    pub(super) id: SocketId,
    /// Instead of the default destination.
    pub(super) to: Option<SocketAddr>,
    pub(super) data: &'a [u8],
    /// The records that a control message gave it. They count if it makes a flow.
    pub(super) records: Option<Arc<Records>>,
}

/// A datagram that makes a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct First {
    pub(crate) caller: Caller,
    pub(crate) id: SocketId,
    pub(crate) destination: SocketAddr,
    source_port: Option<u16>,
    data: Arc<[u8]>,
    pub(crate) records: Option<Arc<Records>>,
}

impl World {
    /// `sendto`; without `to` it is `send`. A socket that is not bound is bound to the wildcard address. The first
    /// datagram to a destination makes a flow, and is classified at the connect-redirect layer, if this is the local
    /// host and such traffic can be redirected ([`Protocol::is_redirectable`](crate::Protocol::is_redirectable)). All of
    /// `data` has arrived when it returns, or is lost.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEOPNOTSUPP on a TCP socket; WSAENOTCONN where there is no `to`, and no `connect` gave one;
    /// WSAEAFNOSUPPORT; WSAEADDRNOTAVAIL for an address or port of 0, and by the profile fields `mapped-on-v6only` and
    /// `unroutable-source`; WSAENETUNREACH without an own address of the target's family; WSAEMSGSIZE for more than
    /// 65,507 bytes over IPv4 and 65,527 over IPv6; WSAEACCES where a block counts (`block-at-redirect-layer`);
    /// WSAENOBUFS without a free port.
    pub fn sendto<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        data: &[u8],
        to: Option<SocketAddr>,
        sink: &mut S,
    ) -> Result<usize, WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.transmit(&Sending { caller, id, to, data, records: None }, sink)
    }

    pub(super) fn transmit<S: Sink + ?Sized>(
        &mut self,
        sending: &Sending<'_>,
        sink: &mut S,
    ) -> Result<usize, WinsockError> {
        let socket = self.sockets.get(&sending.id).ok_or(WinsockError::WSAENOTSOCK)?;
        let State::Datagram(datagrams) = &socket.state else { return Err(WinsockError::WSAEOPNOTSUPP) };
        let destination = sending.to.or(datagrams.peer).ok_or(WinsockError::WSAENOTCONN)?;
        let kind = socket.kind;
        self.check_destination(kind, destination)?;
        let Packet { destination, source_port, data } = raw::packet(kind.protocol, destination, sending.data);
        if data.len() > MOST_DATA[usize::from(destination.ip().to_canonical().is_ipv6())] {
            return Err(WinsockError::WSAEMSGSIZE);
        }
        let known = datagrams.flow_to(destination);
        let data: Arc<[u8]> = data.into();
        if let Some(flow) = known {
            self.continue_flow(flow, sending.id, data)?;
        } else {
            let Sending { caller, id, records, .. } = sending;
            let records = records.clone();
            let first = First { caller: *caller, id: *id, destination, source_port, data, records };
            self.begin_flow(first, Run::default(), sink)?;
        }
        Ok(sending.data.len())
    }

    /// A datagram in a flow that there is already, in either direction.
    fn continue_flow(&mut self, id: FlowId, from: SocketId, data: Arc<[u8]>) -> Result<(), WinsockError> {
        let sender =
            self.flows.get(&id).and_then(|flow| flow.datagrams.as_ref()).map(|traffic| traffic.sender);
        let side = if sender == Some(from) { Side::Client } else { Side::Server };
        if self.is_blocked_now(id) {
            return Err(WinsockError::WSAEACCES);
        }
        let now = self.now;
        if let Some(traffic) = self.flow_mut(id).and_then(|flow| flow.datagrams.as_mut()) {
            traffic.last = now;
        }
        match side {
            Side::Client => self.deliver(id, data, None, None),
            Side::Server => self.reply(id, data),
        }
        Ok(())
    }

    /// The first datagram of a flow: classified, routed, and delivered with what is to travel with it.
    fn begin_flow<S: Sink + ?Sized>(
        &mut self,
        first: First,
        run: Run,
        sink: &mut S,
    ) -> Result<(), WinsockError> {
        let First { caller, id, destination, source_port, data, records } = first;
        let mut traces = sink.enabled().then(Vec::new);
        self.bind_implicitly(caller.pid, id, &mut traces)?;
        let asking = self.asking(caller.pid, id, destination, records).ok_or(WinsockError::WSAENETDOWN)?;
        let classified = asking.host == LOCAL_HOST && asking.kind.protocol.is_redirectable(&destination);
        let (route, refused) = if classified {
            match self.classified(&asking, run, &mut traces) {
                Classified::To(route) => (route, None),
                Classified::Refused(route, error) => (route, Some(error)),
                Classified::Pended(by, run) => {
                    let records = asking.records;
                    let first = First { caller, id, destination, source_port, data, records };
                    self.pended.insert(by.handle, PendedClassify { by, run, waits: Waits::Datagram(first) });
                    return Ok(());
                }
                Classified::Never => return Ok(()),
            }
        } else {
            (Route::unchanged(destination), None)
        };
        let (target, redirect) = (route.target, route.redirect);
        let bound_now = self.bind_to_any(id);
        let local = match refused {
            Some(error) => Err(error),
            None => bound_now.and_then(|bound| self.source_of_datagrams(asking.host, bound, route.target)),
        };
        if local.is_err() && refused.is_none() {
            self.abandon(route.redirects(), Unused::Failed);
        }
        let result = local.map(|mut local| {
            local.set_port(source_port.unwrap_or(local.port()));
            let (flow, carried) = self.open_datagram_flow(&asking, local, route);
            self.deliver(flow, data, carried, Some((&asking, &mut traces)));
            flow
        });
        let traces = traces.filter(|_| classified);
        if let Some(mut trace) = Self::connect_trace(&asking, target, redirect, traces) {
            trace.result = result;
            sink.connect(trace);
        }
        result.map(|_| ())
    }

    /// A flow from `local`, and what is to travel with its first datagram.
    fn open_datagram_flow(
        &mut self,
        asking: &Asking,
        local: SocketAddr,
        route: Route,
    ) -> (FlowId, Option<Carried>) {
        let Asking { socket: id, destination, bound, .. } = *asking;
        let Route { target, redirect, recorded, carried: without_records } = route;
        let traffic = Traffic {
            sender: id,
            destination,
            receiver: None,
            redirected: target != destination,
            lost: self.is_lost(bound, target, redirect),
            last: self.now,
        };
        let flow = self.next_flow();
        let (records, mut contexts) =
            self.leave_records(flow, asking.records.as_deref(), &recorded, &without_records);
        let carried = records.as_ref().map(|records| Carried {
            records: Arc::clone(records),
            context: self.last_context(records),
            reception: super::Reception::default(),
        });
        contexts.extend(self.contexts_of_connect(id));
        let opened = Flow {
            client: End::new(local),
            server: End::new(address::unmapped(target)),
            original: None,
            original_app: records.is_some().then(|| Arc::clone(&asking.original_app)),
            records,
            contexts,
            authorized: self.authorized_now(target, asking.kind.family),
            datagrams: Some(traffic),
        };
        self.flows.insert(flow, Arc::new(opened));
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.flows.insert(address::unmapped(destination), flow);
        }
        (flow, carried)
    }

    /// A datagram that was pended goes on.
    pub(crate) fn resume_datagram<S: Sink + ?Sized>(&mut self, first: First, run: Run, sink: &mut S) {
        let Some(datagrams) = self.datagrams(first.id) else { return };
        // Another datagram that was pended too may have made the flow meanwhile.
        match datagrams.flow_to(first.destination) {
            Some(flow) => drop(self.continue_flow(flow, first.id, first.data)),
            None => drop(self.begin_flow(first, run, sink)),
        }
    }

    /// Whether nothing of such a flow arrives (docs/behaviour.md, R20): redirected to an own address that is not loopback,
    /// of a socket that no bind gave one.
    fn is_lost(&self, bound: Option<SocketAddr>, target: SocketAddr, redirect: Option<Redirection>) -> bool {
        self.profile.datagram_unset_source == UnsetSource::Dropped
            && bound.is_none_or(|bound| bound.ip().to_canonical().is_unspecified())
            && matches!(redirect, Some(Redirection::Local(_) | Redirection::LocalWithoutRecords))
            && !target.ip().to_canonical().is_loopback()
    }

    /// The context of the last redirect, as long as it is there.
    fn last_context(&self, records: &Records) -> Option<Arc<[u8]>> {
        let context = self.contexts.get(&records.entries().last()?.context?)?;
        Some(Arc::clone(&context.bytes))
    }

    /// The contexts of the classifies at `connect`, for the flow to free, if that is when they are freed.
    fn contexts_of_connect(&mut self, id: SocketId) -> Vec<crate::ids::ContextId> {
        if self.profile.connected_udp_context != ConnectContext::Flow {
            return Vec::new();
        }
        self.datagrams_mut(id)
            .map(|datagrams| std::mem::take(&mut datagrams.connect_contexts))
            .unwrap_or_default()
    }

    /// A socket that is not bound is: to the wildcard address, at a free port.
    pub(super) fn bind_to_any(&mut self, id: SocketId) -> Result<SocketAddr, WinsockError> {
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        if let Some(bound) = socket.local {
            return Ok(bound);
        }
        let space = PortSpace::new(socket.host, socket.kind.protocol);
        let port = self.free_port(space).ok_or(WinsockError::WSAENOBUFS)?;
        let any = SocketAddr::new(socket.kind.family.unspecified(), port);
        self.take_port(id, space, any);
        if let Some(socket) = self.socket_mut(id) {
            socket.local = Some(any);
        }
        Ok(any)
    }

    /// The source that datagrams to `target` show.
    fn source_of_datagrams(
        &self,
        host: HostId,
        bound: SocketAddr,
        target: SocketAddr,
    ) -> Result<SocketAddr, WinsockError> {
        let source = self.source_address(host, target).ok_or(WinsockError::WSAENETUNREACH)?;
        if !self.leads_to(bound, target) {
            return Err(self.profile.unroutable_source);
        }
        let own = bound.ip().to_canonical();
        Ok(SocketAddr::new(if own.is_unspecified() { source } else { own }, bound.port()))
    }
}

impl Arrived {
    pub(super) fn new(from: SocketAddr, data: Arc<[u8]>, carried: Option<Carried>) -> Self {
        Self { from, data, carried: carried.map(Box::new) }
    }
}
