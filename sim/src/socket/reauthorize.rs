//! What was authorized before the filters changed is authorized again, at the next packet.
//!
//! Source: win32 "ALE Reauthorization"; docs/behaviour.md, "Reclassification".

use std::net::SocketAddr;

use super::Side;
use crate::address::{self, Family};
use crate::engine::{Flags, Layer, LayerKind};
use crate::ids::{FlowId, Pid, SocketId};
use crate::world::{LOCAL_HOST, World};

/// How often the filters had changed at AUTH_CONNECT and at AUTH_RECV_ACCEPT when a flow was last authorized there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Authorized {
    client: u32,
    server: u32,
}

impl World {
    /// A flow to `target` is authorized now.
    pub(crate) fn authorized_now(&self, target: SocketAddr) -> Authorized {
        let at = |side| self.engine.changes_at(layer(side, target));
        Authorized { client: at(Side::Client), server: at(Side::Server) }
    }

    /// Before a packet of a flow goes out from one end: whether the filters have changed, and block it now.
    pub(crate) fn is_blocked_now(&mut self, pid: Pid, socket: SocketId, id: FlowId, side: Side) -> bool {
        let Some(flow) = self.flows.get(&id) else { return false };
        let (local, remote) = (flow.end(side).address, flow.end(side.other()).address);
        let layer = layer(side, flow.server.address);
        let original = flow.original.filter(|_| side == Side::Client);
        let known = match side {
            Side::Client => flow.authorized.client,
            Side::Server => flow.authorized.server,
        };
        let changes = self.engine.changes_at(layer);
        if known == changes {
            return false;
        }
        if let Some(flow) = self.flow_mut(id) {
            match side {
                Side::Client => flow.authorized.client = changes,
                Side::Server => flow.authorized.server = changes,
            }
        }
        let asking = self.asking(pid, socket, original.unwrap_or(remote), None);
        let Some(asking) = asking.filter(|asking| asking.host == LOCAL_HOST) else { return false };
        let mut seen = asking.seen(layer, local, Some(remote));
        seen.flags = Flags::REAUTHORIZE
            | self.loopback_flag(LOCAL_HOST, remote)
            | self.proxy_flag(asking.records.as_deref())
            | Flags::CONNECTION_REDIRECTED.when(original.is_some());
        seen.original_destination = original;
        self.is_blocked(&seen, &mut None)
    }
}

fn layer(side: Side, target: SocketAddr) -> Layer {
    let family = Family::of(&address::unmapped(target));
    match side {
        Side::Client => LayerKind::AuthConnect.of(family),
        Side::Server => LayerKind::AuthRecvAccept.of(family),
    }
}
