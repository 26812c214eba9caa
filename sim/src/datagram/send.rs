//! `sendto` and `send`: the first datagram makes a flow, the others follow it.
//!
//! Source: sdk-api "sendto"; win32 "UDP Packet Flows"; docs/behaviour.md, "UDP and raw sockets".

use std::net::SocketAddr;
use std::sync::Arc;

use super::flow::Traffic;
use super::raw::{self, Packet};
use super::{Arrived, Carried};
use crate::address;
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, HostId, Pid, SocketHandle, SocketId};
use crate::profile::{ConnectContext, UnsetSource};
use crate::records::Records;
use crate::socket::{Asking, Classified, End, Flow, PortSpace, State};
use crate::trace::{Redirection, Sink};
use crate::world::{LOCAL_HOST, World};

/// The most data that a datagram takes over IPv4, and over IPv6. Source: RFC 768; both headers count to 65,535 bytes
/// over IPv4, UDP's alone over IPv6.
const MOST_DATA: [usize; 2] = [65_507, 65_527];

/// A datagram on its way out.
pub(super) struct Sending<'a> {
    pub(super) pid: Pid,
    pub(super) id: SocketId,
    /// Instead of the default destination.
    pub(super) to: Option<SocketAddr>,
    pub(super) data: &'a [u8],
    /// The records that a control message gave it. They count if it makes a flow.
    pub(super) records: Option<Arc<Records>>,
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
        self.transmit(&Sending { pid: caller.pid, id, to, data, records: None }, sink)
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
            self.continue_flow(flow, sending.id, data);
        } else {
            let (flow, carried) = self.begin_flow(sending, destination, source_port, sink)?;
            self.deliver(flow, data, carried);
        }
        Ok(sending.data.len())
    }

    /// A datagram in a flow that there is already, in either direction.
    fn continue_flow(&mut self, id: FlowId, from: SocketId, data: Arc<[u8]>) {
        let now = self.now;
        let Some(flow) = self.flow_mut(id) else { return };
        let Some(traffic) = &mut flow.datagrams else { return };
        traffic.last = now;
        if traffic.sender == from {
            self.deliver(id, data, None);
        } else {
            self.reply(id, data);
        }
    }

    /// The first datagram of a flow: classified, routed, and with what is to travel with it.
    fn begin_flow<S: Sink + ?Sized>(
        &mut self,
        sending: &Sending<'_>,
        destination: SocketAddr,
        source_port: Option<u16>,
        sink: &mut S,
    ) -> Result<(FlowId, Option<Carried>), WinsockError> {
        let id = sending.id;
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (kind, host, bound) = (socket.kind, socket.host, socket.local);
        let records = sending.records.clone().or_else(|| socket.records.clone());
        let classified = if host == LOCAL_HOST && kind.protocol.is_redirectable(&destination) {
            let records = records.as_ref();
            let asking = Asking { pid: sending.pid, socket: id, host, kind, bound, destination, records };
            self.classified(asking, sink.enabled())?
        } else {
            Classified { target: destination, redirect: None, recorded: Ok(Vec::new()), trace: None }
        };
        let Classified { target, redirect, recorded, trace } = classified;
        let bound_now = self.bind_to_any(id);
        let source =
            recorded.and_then(|recorded| Ok((recorded, self.source_of_datagrams(host, bound_now?, target)?)));
        let result = source.map(|(recorded, mut local)| {
            local.set_port(source_port.unwrap_or(local.port()));
            let traffic = Traffic {
                sender: id,
                destination,
                receiver: None,
                redirected: target != destination,
                lost: self.is_lost(bound, target, redirect),
                last: self.now,
            };
            let flow = self.next_flow();
            let (records, mut contexts) = self.leave_records(flow, records.as_deref(), recorded);
            let carried = records.as_ref().map(|records| Carried {
                records: Arc::clone(records),
                context: self.last_context(records),
                reception: super::Reception::default(),
            });
            contexts.extend(self.contexts_of_connect(id));
            let (client, server) = (End::new(local), End::new(address::unmapped(target)));
            let datagrams = Some(traffic);
            self.flows.insert(
                flow,
                Arc::new(Flow { client, server, records, original: None, contexts, datagrams }),
            );
            if let Some(datagrams) = self.datagrams_mut(id) {
                datagrams.flows.insert(address::unmapped(destination), flow);
            }
            (flow, carried)
        });
        if let Some(mut trace) = trace {
            trace.result = result.as_ref().map(|(flow, _)| *flow).map_err(|error| *error);
            sink.connect(trace);
        }
        result
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
