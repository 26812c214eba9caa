//! What was authorized before the filters changed is authorized again, at the next packet: at the end that connected and
//! at the end that was reached, as far as they are on this host.
//!
//! Source: win32 "ALE Reauthorization"; docs/behaviour.md, "Reclassification".

use std::net::SocketAddr;

use super::{Connection, Side, State};
use crate::address::{self, Family};
use crate::engine::{Flags, Layer, LayerKind};
use crate::ids::{FlowId, SocketId};
use crate::profile::{AuthConnectMetadata, MappedAuthLayer};
use crate::world::{LOCAL_HOST, World};

/// When a flow was last authorized at each of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Authorized {
    client: Last,
    server: Last,
}

/// Where, and how often the filters there had changed by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Last {
    layer: Layer,
    changes: u32,
}

impl Authorized {
    fn last(&self, side: Side) -> Last {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    fn at(&mut self, side: Side) -> &mut Last {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl World {
    /// A flow to `target` is authorized now, whose client's socket is of this family.
    pub(crate) fn authorized_now(&self, target: SocketAddr, client: Family) -> Authorized {
        let last = |layer| Last { layer, changes: self.engine.changes_at(layer) };
        Authorized {
            client: last(LayerKind::AuthConnect.of(self.auth_connect_family(target, client))),
            server: last(LayerKind::AuthRecvAccept.of(Family::of(&address::unmapped(target)))),
        }
    }

    /// Where a destination of a socket of this family is authorized (`mapped-auth-layer`).
    pub(super) fn auth_connect_family(&self, target: SocketAddr, socket: Family) -> Family {
        match self.profile.mapped_auth_layer {
            MappedAuthLayer::Ipv4 => Family::of(&address::unmapped(target)),
            MappedAuthLayer::Ipv6 => socket,
        }
    }

    /// Before a packet of a flow goes either way: whether the filters have changed, and block it now at one of its ends.
    pub(crate) fn is_blocked_now(&mut self, id: FlowId) -> bool {
        [Side::Client, Side::Server].into_iter().any(|side| self.is_blocked_at(id, side))
    }

    fn is_blocked_at(&mut self, id: FlowId, side: Side) -> bool {
        let Some(flow) = self.flows.get(&id) else { return false };
        let Last { layer, changes: known } = flow.authorized.last(side);
        let changes = self.engine.changes_at(layer);
        if known == changes {
            return false;
        }
        let (local, remote) = (flow.end(side).address, flow.end(side.other()).address);
        let original = flow.original.filter(|_| side == Side::Client);
        // Before it is accepted nobody is there to be shown: it is authorized when somebody is.
        let Some(socket) = self.socket_at(id, side) else { return false };
        let owner = self.owner(socket);
        let asking = owner.and_then(|pid| self.asking(pid, socket, original.unwrap_or(remote), None));
        if let Some(asking) = asking.filter(|asking| asking.host == LOCAL_HOST) {
            let mut seen = asking.seen(layer, local, Some(remote));
            seen.flags = Flags::REAUTHORIZE
                | self.loopback_flag(LOCAL_HOST, remote)
                | self.proxy_flag(asking.records.as_deref())
                | Flags::CONNECTION_REDIRECTED.when(original.is_some());
            let told = self.profile.auth_connect_metadata == AuthConnectMetadata::Present;
            seen.original_destination = original.filter(|_| told);
            if self.is_blocked(&seen, &mut None) {
                return true;
            }
        }
        if let Some(flow) = self.flow_mut(id) {
            flow.authorized.at(side).changes = changes;
        }
        false
    }

    /// The socket at an end of a flow; none before it is accepted, and after it is closed.
    fn socket_at(&self, id: FlowId, side: Side) -> Option<SocketId> {
        let flow = self.flows.get(&id)?;
        if let Some(traffic) = &flow.datagrams {
            return match side {
                Side::Client => Some(traffic.sender),
                Side::Server => traffic.receiver,
            };
        }
        let is_end = |state: &State| matches!(state, State::Connected(Connection { flow, side: end, .. }) if *flow == id && *end == side);
        self.sockets.iter().find(|(_, socket)| is_end(&socket.state)).map(|(id, _)| *id)
    }
}
