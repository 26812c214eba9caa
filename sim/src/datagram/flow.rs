//! The flows of datagrams: how long they last, and what goes with them.

use std::net::SocketAddr;

use super::Datagrams;
use crate::address;
use crate::canonical::Renumber;
use crate::ids::{FlowId, SocketId};
use crate::world::World;

/// What a flow of datagrams is beside its ends, its records and its contexts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Traffic {
    /// The socket whose first datagram made it. It is there as long as the flow is.
    pub(crate) sender: SocketId,
    /// Where that socket sends.
    pub(crate) destination: SocketAddr,
    /// Who got the last datagram.
    pub(crate) receiver: Option<SocketId>,
    /// Whether it was redirected to anywhere.
    pub(super) redirected: bool,
    /// Whether nothing of it is delivered (docs/behaviour.md, R20).
    pub(super) lost: bool,
    /// When the last datagram went either way.
    pub(super) last: u64,
}

impl Traffic {
    pub(crate) fn renumber(&mut self, renumber: &Renumber) {
        self.sender = renumber.socket(self.sender);
        self.receiver = self.receiver.map(|id| renumber.socket(id));
    }
}

impl World {
    /// Time has passed: flows that were idle for long enough are gone, and with them their contexts. The next
    /// datagram makes a new one, which is classified again (inferred: docs/behaviour.md, "Which datagram carries it").
    pub(crate) fn end_idle_flows(&mut self) {
        let timeout = u64::from(self.profile.udp_idle_timeout_ms);
        let idle: Vec<FlowId> = self
            .flows
            .iter()
            .filter(|(_, flow)| {
                flow.datagrams
                    .as_ref()
                    .is_some_and(|traffic| traffic.last.saturating_add(timeout) <= self.now)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.end_datagram_flow(id);
        }
    }

    /// A flow is gone, and neither end knows of it any more.
    fn end_datagram_flow(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else { return };
        for context in &flow.contexts {
            self.contexts.remove(context);
        }
        let Some(traffic) = &flow.datagrams else { return };
        if let Some(sender) = self.datagrams_mut(traffic.sender) {
            sender.flows.remove(&address::unmapped(traffic.destination));
        }
        if let Some(receiver) = traffic.receiver {
            self.forget_peer(receiver, flow.client.address, id);
        }
    }

    /// A socket no longer replies into a flow.
    pub(super) fn forget_peer(&mut self, socket: SocketId, source: SocketAddr, flow: FlowId) {
        if let Some(datagrams) = self.datagrams_mut(socket)
            && datagrams.peers.get(&source) == Some(&flow)
        {
            datagrams.peers.remove(&source);
        }
    }

    /// A datagram socket was closed. The flows that it made are gone; those that reached it go on.
    pub(crate) fn end_datagram_socket(&mut self, datagrams: &Datagrams) {
        for flow in datagrams.flows.values() {
            self.end_datagram_flow(*flow);
        }
        for flow in datagrams.peers.values() {
            if let Some(traffic) = self.flow_mut(*flow).and_then(|flow| flow.datagrams.as_mut()) {
                traffic.receiver = None;
            }
        }
        for context in &datagrams.connect_contexts {
            self.contexts.remove(context);
        }
        if let Some(waiting) = &datagrams.waiting {
            self.abort(waiting.pending);
        }
    }
}
