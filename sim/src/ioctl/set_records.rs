//! SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS: puts the records of an accepted connection on the socket that goes on
//! to the destination, before that one connects.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Parameters" and U-05.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::IoctlBuffers;
use crate::ids::{FlowId, Pid, SocketId};
use crate::memory::Memory;
use crate::profile::{Effect, Profile, SetTwice};
use crate::records::Records;
use crate::socket::{Connection, Flow, Side, Socket, State};
use crate::world::World;

/// The records in the input buffer; `None` where it holds none.
pub(super) fn input(memory: &Memory, pid: Pid, buffers: &IoctlBuffers, profile: &Profile) -> Option<Records> {
    // A length that the blob itself denies is not worth reading: it can be 4 GiB.
    let start = memory.read(pid, buffers.input, Records::LENGTH_KNOWN_AFTER.into())?;
    if Records::blob_length(&start, profile) != Some(buffers.input_length.into()) {
        return None;
    }
    Records::from_blob(&memory.read(pid, buffers.input, buffers.input_length.into())?, profile)
}

/// What SET comes to on a socket in this state.
pub(super) fn effect(socket: &Socket, profile: &Profile) -> Effect {
    match &socket.state {
        State::Unconnected | State::Failed(_) if socket.local.is_none() => Effect::Effective,
        State::Unconnected | State::Failed(_) => profile.set_after_bind,
        State::Listening(_) => profile.set_on_listening,
        State::Connecting { .. } | State::Connected(Connection { side: Side::Client, .. }) => {
            profile.set_after_connect
        }
        State::Accepting(_) | State::Connected(Connection { side: Side::Server, .. }) => {
            profile.set_on_accepted
        }
    }
}

/// Whether these records belong to a connection that has ended.
pub(super) fn is_stale(records: &Records, flows: &BTreeMap<FlowId, Arc<Flow>>) -> bool {
    records.entries().last().is_some_and(|entry| !flows.contains_key(&entry.flow))
}

impl World {
    /// A SET that nothing stands in the way of. `None` is input without records: it takes away those that were set
    /// where it is `empty`, and does nothing where it is malformed.
    pub(super) fn set_records(&mut self, id: SocketId, records: Option<Records>, empty: bool) {
        let profile = Arc::clone(&self.profile);
        let Some(socket) = self.socket_mut(id) else { return };
        if effect(socket, &profile) != Effect::Effective {
            return;
        }
        match records {
            Some(added) => {
                let records = match (profile.set_twice, socket.records.as_deref()) {
                    (SetTwice::Append, Some(earlier)) => {
                        Records::extended(Some(earlier), added.entries(), &profile)
                    }
                    _ => added,
                };
                socket.records = Some(Arc::new(records));
            }
            None if empty => socket.records = None,
            None => {}
        }
    }
}
