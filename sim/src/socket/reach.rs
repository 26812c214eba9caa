//! From a connect to its connection: who listens, whether he may be reached, and with which source.
//!
//! Source: win32 "TCP Packet Flows"; docs/behaviour.md, "Layers" and "How records travel".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::arrival::Arrival;
use super::classified::Route;
use super::connect::{Attempt, Manner, Reached};
use super::layers::{Asking, Traces};
use super::{Connection, End, Flow, PortSpace, Side, Socket, State};
use crate::address;
use crate::error::WinsockError;
use crate::ids::{FlowId, HostId, SocketId};
use crate::profile::{InboundBlock, ShownPeer};
use crate::world::{LOCAL_HOST, World};

impl World {
    /// Makes the connection to `target`, or finds out why there is none.
    pub(super) fn reach(
        &mut self,
        attempt: Attempt,
        asking: &Asking,
        route: &Route,
        traces: &mut Traces,
    ) -> Result<Reached, WinsockError> {
        let Attempt { id, destination, manner, .. } = attempt;
        let target = route.target;
        let mut lost = None;
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (from, family, bound) = (socket.host, socket.kind.family, socket.local);
        let to = self.host_with(from, target.ip()).ok_or(WinsockError::WSAEHOSTUNREACH)?;
        let local = self.source_of_connection(from, bound, target)?;
        let silent = self.host(to).is_some_and(|host| host.silent);
        let Some(listener) = self.listener(to, target).filter(|id| !silent && !self.backlog_is_full(*id))
        else {
            if bound.is_none() {
                let wildcard = SocketAddr::new(family.unspecified(), local.port());
                self.take_port(id, PortSpace::tcp(from), wildcard);
                if let Some(socket) = self.socket_mut(id) {
                    socket.local = Some(wildcard);
                }
            }
            if !silent {
                return Err(WinsockError::WSAECONNREFUSED);
            }
            return Ok(Reached::Waiting(self.wait_for_answer(attempt)));
        };
        let arrival = (to == LOCAL_HOST).then_some(Arrival { from: local, target, receiver: listener });
        if let Some(arrival) = arrival {
            let admitted = self.admit(arrival, traces);
            if admitted.blocked {
                return match self.profile.block_at_recv_accept {
                    InboundBlock::Refused => Err(WinsockError::WSAECONNREFUSED),
                    InboundBlock::Dropped => Ok(Reached::Waiting(self.wait_for_answer(attempt))),
                };
            }
            if admitted.cloned {
                // The records are lost with the packet that carried them. What was handed over stays so.
                let carried = route.redirects().cloned().collect();
                lost = Some(Route { recorded: Vec::new(), carried, ..*route });
            }
        }

        let flow = self.open_flow(asking, local, lost.as_ref().unwrap_or(route));
        let peer = match self.profile.peer_name_after_redirect {
            ShownPeer::Original => destination,
            ShownPeer::Redirected => address::written_in(family, target),
        };
        // A socket that was bound to all addresses has one of them when it is connected.
        if bound.is_none_or(|bound| bound.ip().to_canonical().is_unspecified()) {
            if let Some(bound) = bound {
                self.give_port_back(id, PortSpace::tcp(from), bound);
            }
            self.take_port(id, PortSpace::tcp(from), local);
        }
        if let Some(socket) = self.socket_mut(id) {
            let updated = manner != Manner::Overlapped;
            socket.local = Some(address::written_in(family, local));
            socket.state = State::Connected(Connection { flow, side: Side::Client, peer, updated });
        }
        self.tell_of_flow(asking, local, arrival, traces);
        self.connection_arrived(listener, flow);
        Ok(Reached::Connected(flow))
    }

    /// A new connection; each redirect in `recorded` leaves an entry in its records.
    fn open_flow(&mut self, asking: &Asking, local: SocketAddr, route: &Route) -> FlowId {
        let Route { target, recorded, carried, .. } = route;
        let target = *target;
        let id = self.next_flow();
        let (records, contexts) = self.leave_records(id, asking.records.as_deref(), recorded, carried);
        let flow = Flow {
            client: End::new(local),
            server: End::new(target),
            original: records.is_some().then_some(asking.destination),
            original_app: records.is_some().then(|| Arc::clone(&asking.original_app)),
            records,
            contexts,
            authorized: self.authorized_now(target, asking.kind.family),
            datagrams: None,
        };
        self.flows.insert(id, Arc::new(flow));
        id
    }

    /// The address that packets to `target` come from; `None` without one of its family.
    pub(crate) fn source_address(&self, from: HostId, target: SocketAddr) -> Option<IpAddr> {
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

    /// The source address and port of the connection. A bound socket keeps its own, and cannot reach the other
    /// family, nor over the border between loopback and the rest.
    fn source_of_connection(
        &self,
        host: HostId,
        bound: Option<SocketAddr>,
        target: SocketAddr,
    ) -> Result<SocketAddr, WinsockError> {
        let source = self.source_address(host, target).ok_or(WinsockError::WSAENETUNREACH)?;
        let Some(bound) = bound else {
            let port = self.free_port(PortSpace::tcp(host)).ok_or(WinsockError::WSAENOBUFS)?;
            return Ok(SocketAddr::new(source, port));
        };
        if !self.leads_to(bound, target) {
            return Err(self.profile.unroutable_source);
        }
        let (ip, port) = (bound.ip().to_canonical(), bound.port());
        if ip.is_unspecified() {
            let free = self.is_free(PortSpace::tcp(host), port, source);
            return if free { Ok(SocketAddr::new(source, port)) } else { Err(WinsockError::WSAEADDRINUSE) };
        }
        Ok(SocketAddr::new(ip, port))
    }

    /// Whether a socket that is bound there can reach `target`: not in the other family, nor over the border between
    /// loopback and the rest.
    #[expect(clippy::unused_self, reason = "a question about the machine, like those beside it")]
    pub(crate) fn leads_to(&self, bound: SocketAddr, target: SocketAddr) -> bool {
        let (ip, to) = (bound.ip().to_canonical(), target.ip().to_canonical());
        match ip {
            // The wildcard address of an IPv6 socket stands for IPv4 addresses too.
            _ if ip.is_unspecified() => ip.is_ipv6() || to.is_ipv4(),
            _ => ip.is_ipv4() == to.is_ipv4() && ip.is_loopback() == to.is_loopback(),
        }
    }

    /// The socket that listens at `target`.
    pub(super) fn listener(&self, host: HostId, target: SocketAddr) -> Option<SocketId> {
        let listens = |socket: &Socket| matches!(socket.state, State::Listening(_));
        self.best_bound(PortSpace::tcp(host), target, listens)
    }

    /// Of the sockets that are bound so that something for `target` is theirs, and that meet `condition`, the one that
    /// gets it: one bound to just this address before one bound to all of them, and one of its own family before a
    /// dual-stack one.
    pub(crate) fn best_bound(
        &self,
        space: PortSpace,
        target: SocketAddr,
        condition: impl Fn(&Socket) -> bool,
    ) -> Option<SocketId> {
        let ip = target.ip().to_canonical();
        let mut best = None;
        for (bound, id) in self.bound_to(space, target.port()) {
            let Some(socket) = self.sockets.get(&id) else { continue };
            if !condition(socket) {
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
}
