//! SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS: puts the records of an accepted connection on the socket that goes on
//! to the destination, before that one connects.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Parameters" and U-05.

use std::sync::Arc;

use super::IoctlBuffers;
use crate::ids::{Caller, SocketId};
use crate::profile::{Effect, SetTwice};
use crate::records::Records;
use crate::socket::{Connection, Side, Socket, State};
use crate::world::World;

impl World {
    /// What SET comes to on a socket in this state.
    pub(super) fn effect_of_set(&self, socket: &Socket) -> Effect {
        match &socket.state {
            State::Unconnected | State::Failed(_) if socket.local.is_none() => Effect::Effective,
            State::Unconnected | State::Failed(_) => self.profile.set_after_bind,
            State::Listening(_) => self.profile.set_on_listening,
            State::Connecting { .. } | State::Connected(Connection { side: Side::Client, .. }) => {
                self.profile.set_after_connect
            }
            State::Connected(Connection { side: Side::Server, .. }) => self.profile.set_on_accepted,
        }
    }

    /// The records in the input buffer; `None` where it holds none.
    pub(super) fn records_in(&self, caller: Caller, buffers: &IoctlBuffers) -> Option<Records> {
        let length = u64::from(buffers.input_length);
        match self.memory.view(caller.pid, buffers.input, length) {
            Some(blob) => Records::from_blob(blob, &self.profile),
            None => Records::from_blob(&self.memory.read(caller.pid, buffers.input, length)?, &self.profile),
        }
    }

    /// Whether these records belong to a connection that has ended.
    pub(super) fn is_stale(&self, records: &Records) -> bool {
        records.entries().last().is_some_and(|entry| !self.flows.contains_key(&entry.flow))
    }

    pub(super) fn set_records(&mut self, caller: Caller, id: Option<SocketId>, buffers: &IoctlBuffers) {
        let Some(socket) = id.and_then(|id| self.sockets.get(&id)) else { return };
        if self.effect_of_set(socket) != Effect::Effective {
            return;
        }
        let Some(records) = self.records_in(caller, buffers) else { return };
        let records = match (self.profile.set_twice, socket.records.as_deref()) {
            (SetTwice::Append, Some(earlier)) => Records::extended(Some(earlier), records.entries(), &self.profile),
            _ => records,
        };
        if let Some(socket) = id.and_then(|id| self.socket_mut(id)) {
            socket.records = Some(Arc::new(records));
        }
    }
}
