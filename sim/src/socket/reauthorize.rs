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

/// How often the filters had changed at AUTH_CONNECT and at AUTH_RECV_ACCEPT when a flow was last authorized there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Authorized {
    client: u32,
    server: u32,
}

impl World {
    /// A flow to `target` is authorized now, whose client's socket is of this family.
    pub(crate) fn authorized_now(&self, target: SocketAddr, client: Family) -> Authorized {
        let at = |side| self.engine.changes_at(self.authorizing(side, target, client));
        Authorized { client: at(Side::Client), server: at(Side::Server) }
    }

    /// Where a destination of a socket of this family is authorized (`mapped-auth-layer`).
    pub(super) fn auth_connect_family(&self, target: SocketAddr, socket: Family) -> Family {
        match self.profile.mapped_auth_layer {
            MappedAuthLayer::Ipv4 => Family::of(&address::unmapped(target)),
            MappedAuthLayer::Ipv6 => socket,
        }
    }

    fn authorizing(&self, side: Side, target: SocketAddr, client: Family) -> Layer {
        match side {
            Side::Client => LayerKind::AuthConnect.of(self.auth_connect_family(target, client)),
            Side::Server => LayerKind::AuthRecvAccept.of(Family::of(&address::unmapped(target))),
        }
    }

    /// Before a packet of a flow goes either way: whether the filters have changed, and block it now at one of its ends.
    pub(crate) fn is_blocked_now(&mut self, id: FlowId) -> bool {
        let Some(flow) = self.flows.get(&id) else { return false };
        // Without a filter at any of the layers nothing can have changed that matters.
        if flow.authorized == Authorized::default() && !self.engine.authorizes() {
            return false;
        }
        [Side::Client, Side::Server].into_iter().any(|side| self.is_blocked_at(id, side))
    }

    fn is_blocked_at(&mut self, id: FlowId, side: Side) -> bool {
        let Some(flow) = self.flows.get(&id) else { return false };
        let (local, remote) = (flow.end(side).address, flow.end(side.other()).address);
        let (target, original) = (flow.server.address, flow.original.filter(|_| side == Side::Client));
        let known = match side {
            Side::Client => flow.authorized.client,
            Side::Server => flow.authorized.server,
        };
        let Some(socket) = self.socket_at(id, side) else { return false };
        let family = self.sockets.get(&socket).map_or(Family::of(&target), |socket| socket.kind.family);
        let layer = self.authorizing(side, target, family);
        let changes = self.engine.changes_at(layer);
        if known == changes {
            return false;
        }
        let asking =
            self.owner(socket).and_then(|pid| self.asking(pid, socket, original.unwrap_or(remote), None));
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
            match side {
                Side::Client => flow.authorized.client = changes,
                Side::Server => flow.authorized.server = changes,
            }
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
