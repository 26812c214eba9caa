//! UDP and raw sockets: datagrams, the flows that they make, and the control data that comes with the first one.
//!
//! The first datagram from a socket to a destination makes a *flow*, which is classified at the connect-redirect layer
//! as a connect is. Redirect records and context travel with that one datagram, to a socket that was told by
//! `setsockopt` to receive them, and in the control data of `WSARecvMsg` alone. A service sends them on in the control
//! data of the first datagram that it forwards, with `WSASendMsg`. A flow ends with the socket that made it, and when
//! no datagram went either way for `udp-idle-timeout-ms`.
//!
//! Not modelled: limits of the receive buffer, fragments, checksums, broadcast and multicast, ICMP that tells of a port
//! where nobody is (such datagrams are lost in silence), copies of other sockets' traffic on raw sockets.
//!
//! Source: win32 "UDP Packet Flows"; docs/behaviour.md, "UDP and raw sockets".

mod connect;
mod control;
mod deliver;
mod flow;
mod message;
mod option;
mod raw;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod typed;

pub use message::{Buffer, ReceivedMessage, WsaMsg};
pub use option::Reception;
pub use receive::ReceivedDatagram;
pub use typed::Message;

pub(crate) use flow::Traffic;
pub(crate) use receive::{Receive, Waiting};
pub(crate) use send::First;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::address;
use crate::canonical::Renumber;
use crate::ids::{ContextId, FlowId, SocketId};
use crate::profile::Profile;
use crate::records::Records;
use crate::socket::State;
use crate::world::World;

/// What a datagram socket is beside its local address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Datagrams {
    /// The default destination, given by `connect`.
    pub(crate) peer: Option<SocketAddr>,
    /// Of the classifies of `connect`, until they are given to a flow: nobody asks for them.
    connect_contexts: Vec<ContextId>,
    /// The flows that this socket made, by destination as packets carry it.
    flows: BTreeMap<SocketAddr, FlowId>,
    /// The flows that reached it, by the source that they show: what it sends there is a reply.
    peers: BTreeMap<SocketAddr, FlowId>,
    /// What arrived, and was not received yet.
    queue: VecDeque<Arrived>,
    /// A receive that waits.
    waiting: Option<Waiting>,
    /// Which control data it is to receive.
    reception: Reception,
}

/// A datagram in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Arrived {
    /// The source that it shows, as packets carry it.
    from: SocketAddr,
    data: Arc<[u8]>,
    /// With the datagram that made a redirected flow.
    carried: Option<Box<Carried>>,
}

/// What travels with the first datagram of a redirected flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Carried {
    records: Arc<Records>,
    context: Option<Arc<[u8]>>,
    /// What the socket was told to receive when it arrived.
    reception: Reception,
}

impl Datagrams {
    /// The flow that the socket's peer made to it.
    pub(crate) fn flow_from_peer(&self) -> Option<FlowId> {
        self.peers.get(&address::unmapped(self.peer?)).copied()
    }

    /// The flow that a datagram to this destination belongs to, one of its own or one that it replies to.
    fn flow_to(&self, destination: SocketAddr) -> Option<FlowId> {
        let key = address::unmapped(destination);
        self.flows.get(&key).or_else(|| self.peers.get(&key)).copied()
    }

    pub(crate) fn renumber(&mut self, renumber: &Renumber, profile: &Profile) {
        self.connect_contexts.iter_mut().for_each(|context| *context = renumber.context(*context));
        for flow in self.flows.values_mut().chain(self.peers.values_mut()) {
            *flow = renumber.flow(*flow);
        }
        for carried in self.queue.iter_mut().filter_map(|arrived| arrived.carried.as_mut()) {
            carried.records = Arc::new(renumber.records(&carried.records, profile));
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.pending = renumber.pending(waiting.pending);
            if let Receive::Message(message) = &mut waiting.receive {
                for buffer in message.buffers.iter_mut().chain([&mut message.control]) {
                    buffer.pointer = renumber.pointer(buffer.pointer);
                }
            }
        }
    }
}

impl World {
    /// What is there of a socket if it is a datagram socket.
    pub(crate) fn datagrams(&self, id: SocketId) -> Option<&Datagrams> {
        match &self.sockets.get(&id)?.state {
            State::Datagram(datagrams) => Some(datagrams),
            _ => None,
        }
    }

    pub(crate) fn datagrams_mut(&mut self, id: SocketId) -> Option<&mut Datagrams> {
        match &mut self.socket_mut(id)?.state {
            State::Datagram(datagrams) => Some(datagrams),
            _ => None,
        }
    }
}
