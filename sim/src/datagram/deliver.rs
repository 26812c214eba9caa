//! From one socket to the other: who gets a datagram of a flow, and what source it shows.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Arrived, Carried, raw};
use crate::address;
use crate::ids::{FlowId, SocketId};
use crate::profile::ShownPeer;
use crate::socket::{Arrival, Asking, PortSpace, Socket, State, Traces};
use crate::world::World;

impl World {
    /// A datagram of the socket that made the flow: to whoever is bound at its target. Where nobody is, it is lost, and
    /// what travels with it too.
    ///
    /// `first`: it makes the flow, so that the receiving end authorizes it.
    pub(super) fn deliver(
        &mut self,
        id: FlowId,
        data: Arc<[u8]>,
        mut carried: Option<Carried>,
        first: Option<(&Asking, &mut Traces)>,
    ) {
        let Some(flow) = self.flows.get(&id) else { return };
        let Some(traffic) = flow.datagrams.as_ref().filter(|traffic| !traffic.lost) else { return };
        let (from, target, before) = (flow.client.address, flow.server.address, traffic.receiver);
        let Some(receiver) = self.receiver(traffic.sender, from, target) else { return };
        if let Some((asking, traces)) = first {
            let arrival = Arrival { from, target, receiver };
            let admitted = self.admit(arrival, traces);
            if admitted.blocked {
                return self.lose_flow(id);
            }
            if admitted.cloned {
                carried = None;
                if let Some(flow) = self.flow_mut(id) {
                    flow.records = None;
                }
            }
            self.tell_of_flow(asking, from, Some(arrival), traces);
        }
        if before != Some(receiver) {
            self.move_flow(id, from, before, receiver);
        }
        let Some(datagrams) = self.datagrams_mut(receiver) else { return };
        // Another flow may show the same source: who replies there replies to the last that came.
        if datagrams.peers.get(&from) != Some(&id) {
            datagrams.peers.insert(from, id);
        }
        let carried = carried.map(|carried| Carried { reception: datagrams.reception, ..carried });
        datagrams.queue.push_back(Arrived::new(from, data, carried));
        self.serve_datagrams(receiver);
    }

    /// A datagram back to the socket that made the flow. What source it shows after a redirect is the profile field
    /// `reply-source-after-redirect`.
    pub(super) fn reply(&mut self, id: FlowId, data: Arc<[u8]>) {
        let Some(flow) = self.flows.get(&id) else { return };
        let Some(traffic) = &flow.datagrams else { return };
        let (sender, target) = (traffic.sender, flow.server.address);
        let from = match self.profile.reply_source_after_redirect {
            ShownPeer::Original if traffic.redirected => address::unmapped(traffic.destination),
            _ => target,
        };
        let data = match self.sockets.get(&sender).map(|socket| socket.kind.protocol) {
            Some(protocol) => raw::replied(protocol, from.port(), flow.client.address.port(), data),
            None => return,
        };
        if let Some(datagrams) = self.datagrams_mut(sender) {
            datagrams.queue.push_back(Arrived::new(from, data, None));
            self.serve_datagrams(sender);
        }
    }

    /// The socket that gets what comes from this sender with that source for `target`. One that is connected takes what
    /// its peer sends alone.
    fn receiver(&self, sender: SocketId, from: SocketAddr, target: SocketAddr) -> Option<SocketId> {
        let sender = self.sockets.get(&sender)?;
        let host = self.host_with(sender.host, target.ip())?;
        let takes = |socket: &Socket| match &socket.state {
            State::Datagram(datagrams) => datagrams.peer.is_none_or(|peer| address::unmapped(peer) == from),
            _ => false,
        };
        let (space, target) = PortSpace::reached(host, sender.kind.protocol, target);
        let silent = self.host(host).is_none_or(|host| host.silent);
        self.best_bound(space, target, takes).filter(|_| !silent)
    }

    /// Nothing of a flow arrives: the receiving end blocks it.
    fn lose_flow(&mut self, id: FlowId) {
        if let Some(traffic) = self.flow_mut(id).and_then(|flow| flow.datagrams.as_mut()) {
            traffic.lost = true;
        }
    }

    /// The flow has another receiver than `before`.
    fn move_flow(&mut self, id: FlowId, from: SocketAddr, before: Option<SocketId>, receiver: SocketId) {
        if let Some(before) = before {
            self.forget_peer(before, from, id);
        }
        if let Some(traffic) = self.flow_mut(id).and_then(|flow| flow.datagrams.as_mut()) {
            traffic.receiver = Some(receiver);
        }
    }
}
