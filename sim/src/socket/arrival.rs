//! The classifies at the end that is reached: INBOUND_IPPACKET, AUTH_RECV_ACCEPT, and FLOW_ESTABLISHED at both ends.
//!
//! Source: win32 "TCP Packet Flows", "UDP Packet Flows"; docs/behaviour.md, "Layers" and "How records travel".

use std::net::SocketAddr;
use std::sync::Arc;

use super::layers::{Asking, Traces};
use crate::address::{self, Family};
use crate::engine::{LayerKind, Run};
use crate::ids::{Pid, SocketId};
use crate::world::{LOCAL_HOST, World};

/// What reaches a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Where it comes from, as packets carry it.
    pub(crate) from: SocketAddr,
    /// What it was sent to.
    pub(crate) target: SocketAddr,
    /// The socket that it reaches.
    pub(crate) receiver: SocketId,
}

/// What the layers made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) blocked: bool,
    /// A copy arrived in the packet's place: records and context are lost.
    pub(crate) cloned: bool,
}

impl World {
    /// Asks the layers of the end that is reached, if that is this host.
    pub(crate) fn admit(&mut self, arrival: Arrival, traces: &mut Traces) -> Admitted {
        let through = Admitted { blocked: false, cloned: false };
        let family = Family::of(&address::unmapped(arrival.target));
        let layers = [LayerKind::InboundIppacket, LayerKind::AuthRecvAccept].map(|kind| kind.of(family));
        if layers.iter().all(|layer| self.engine.asked_at(*layer).is_empty()) {
            return through;
        }
        let Some(asking) = self.receiving(arrival) else { return through };
        let mut seen = asking.seen(layers[0], address::unmapped(arrival.target), Some(arrival.from));
        seen.flags = self.loopback_flag(LOCAL_HOST, arrival.from);
        let mut run = Run::default();
        if !self.engine.asked_at(layers[0]).is_empty() {
            self.ask(&seen, &mut run, traces);
        }
        seen.layer = layers[1];
        Admitted { blocked: self.is_blocked(&seen, traces), cloned: run.cloned }
    }

    /// Tells both ends, as far as they are on this host, that there is a flow. What callouts answer does not count.
    pub(crate) fn tell_of_flow(
        &mut self,
        client: &Asking,
        local: SocketAddr,
        arrival: Option<Arrival>,
        traces: &mut Traces,
    ) {
        let remote = arrival.map_or(client.destination, |arrival| arrival.target);
        let layer = LayerKind::FlowEstablished.of(Family::of(&address::unmapped(remote)));
        if self.engine.asked_at(layer).is_empty() {
            return;
        }
        if client.host == LOCAL_HOST {
            let mut seen = client.seen(layer, local, Some(address::unmapped(remote)));
            seen.flags = self.loopback_flag(client.host, remote) | self.proxy_flag(client.records.as_deref());
            self.ask(&seen, &mut Run::default(), traces);
        }
        if let Some((arrival, asking)) = arrival.and_then(|arrival| Some((arrival, self.receiving(arrival)?)))
        {
            let mut seen = asking.seen(layer, address::unmapped(arrival.target), Some(arrival.from));
            seen.flags = self.loopback_flag(LOCAL_HOST, arrival.from);
            self.ask(&seen, &mut Run::default(), traces);
        }
    }

    /// The end that is reached, if it is on this host.
    fn receiving(&self, arrival: Arrival) -> Option<Asking> {
        let socket = self.sockets.get(&arrival.receiver).filter(|socket| socket.host == LOCAL_HOST)?;
        let pid = self.owner(arrival.receiver)?;
        let app = Arc::clone(&self.processes.get(&pid)?.image);
        Some(Asking {
            pid,
            original_app: Arc::clone(&app),
            app,
            socket: arrival.receiver,
            host: LOCAL_HOST,
            kind: socket.kind,
            bound: socket.local,
            destination: arrival.target,
            records: None,
        })
    }

    /// The first process that has a descriptor of a socket.
    pub(super) fn owner(&self, socket: SocketId) -> Option<Pid> {
        self.descriptors.iter().find(|(_, id)| **id == socket).map(|((pid, _), _)| *pid)
    }
}
