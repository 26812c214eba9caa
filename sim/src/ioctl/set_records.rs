//! SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS: puts the records of an accepted connection on the socket that goes on
//! to the destination, before that one connects.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Parameters" and U-05.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::IoctlBuffers;
use crate::ids::{FlowId, Pid, SocketId};
use crate::memory::{Memory, Pointer};
use crate::profile::{Effect, Profile, SetTwice};
use crate::records::Records;
use crate::socket::{Connection, Flow, Side, Socket, State};
use crate::world::World;

/// The records in the input buffer; `None` where it holds none.
pub(crate) fn input(
    memory: &Memory,
    pid: Pid,
    buffers: &IoctlBuffers,
    profile: &Profile,
    flows: &BTreeMap<FlowId, Arc<Flow>>,
) -> Option<Arc<Records>> {
    records_at(memory, pid, buffers.input, buffers.input_length, profile, flows)
}

/// The records that fill this buffer; `None` where it holds none.
pub(crate) fn records_at(
    memory: &Memory,
    pid: Pid,
    pointer: Pointer,
    length: u32,
    profile: &Profile,
    flows: &BTreeMap<FlowId, Arc<Flow>>,
) -> Option<Arc<Records>> {
    // A length that the blob itself denies is not worth reading: it can be 4 GiB.
    let start = memory.read(pid, pointer, Records::LENGTH_KNOWN_AFTER.into())?;
    if Records::blob_length(&start, profile) != Some(length.into()) {
        return None;
    }
    let blob = memory.read(pid, pointer, length.into())?;
    // Mostly these are the very bytes that a connection arrived with.
    let flow = Records::last_flow(&blob, profile).and_then(|flow| flows.get(&flow));
    match flow.and_then(|flow| flow.records.as_ref()) {
        Some(arrived) if arrived.blob() == &*blob => Some(Arc::clone(arrived)),
        _ => Records::from_blob(&blob, profile).map(Arc::new),
    }
}

/// What SET comes to on a socket in this state.
pub(crate) fn effect(socket: &Socket, profile: &Profile) -> Effect {
    match &socket.state {
        State::Unconnected | State::Failed(_) if socket.local.is_none() => Effect::Effective,
        // Whether SET is for such sockets at all is a cause of its own.
        State::Datagram(_) => Effect::Effective,
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
pub(crate) fn is_stale(records: &Records, flows: &BTreeMap<FlowId, Arc<Flow>>) -> bool {
    records.entries().last().is_some_and(|entry| !flows.contains_key(&entry.flow))
}

impl World {
    /// A SET that nothing stands in the way of. `None` is input without records: it takes away those that were set
    /// where it is `empty`, and does nothing where it is malformed.
    pub(crate) fn set_records(&mut self, id: SocketId, records: Option<Arc<Records>>, empty: bool) {
        let profile = Arc::clone(&self.profile);
        let Some(socket) = self.socket_mut(id) else { return };
        if effect(socket, &profile) != Effect::Effective {
            return;
        }
        match records {
            Some(added) => {
                let records = match (profile.set_twice, socket.records.as_deref()) {
                    (SetTwice::Append, Some(earlier)) => {
                        Arc::new(Records::extended(Some(earlier), added.entries(), &profile))
                    }
                    _ => added,
                };
                socket.records = Some(records);
            }
            None if empty => socket.records = None,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::engine::Redirect;
    use crate::testing::{Machine, SERVER, at_once, both};
    use crate::{RedirectState, SocketHandle, SocketKind, WinsockError};

    /// A machine with a redirected connection, its records, and a new socket of the service.
    fn redirected(m: &mut Machine) -> (Vec<u8>, SocketHandle) {
        let (_, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let blob = m.w.query_redirect_records(m.service, accepted).unwrap();
        (blob, m.w.socket(m.service, SocketKind::V4).unwrap())
    }

    #[test]
    fn records_that_were_set_show_in_the_classify_of_the_connect() {
        let mut m = Machine::default();
        let (blob, onward) = redirected(&mut m);
        assert_eq!(m.w.records_set(m.service, onward), Ok(None));
        assert_eq!(m.w.set_redirect_records(m.service, onward, &blob), Ok(()));
        assert_eq!(m.w.records_set(m.service, onward).unwrap().map(crate::Records::blob), Some(&blob[..]));
        let hop = m.trace_of(m.service, onward, SERVER);
        assert_eq!(hop.states(), [RedirectState::RedirectedBySelf]);
        assert_eq!(hop.records.map(|records| records.blob().to_vec()), Some(blob));
    }

    #[test]
    fn records_serve_another_process_that_dials() {
        let mut m = Machine::default();
        let (blob, _) = redirected(&mut m);
        let child = m.w.start_process("dialler", true);
        let onward = m.w.socket(child, SocketKind::V4).unwrap();
        assert_eq!(m.w.set_redirect_records(child, onward, &blob), Ok(()));
        assert_eq!(m.trace_of(child, onward, SERVER).states(), [RedirectState::RedirectedBySelf]);
    }

    #[test]
    fn records_of_a_socket_go_where_the_socket_goes() {
        let mut m = Machine::default();
        let (blob, onward) = redirected(&mut m);
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        let child = m.w.start_process("dialler", false);
        let theirs = m.w.wsa_duplicate_socket(m.service, onward, child.pid).unwrap();
        assert_eq!(m.trace_of(child, theirs, SERVER).states(), [RedirectState::RedirectedBySelf]);
    }

    #[test]
    fn records_set_on_an_ipv6_socket_are_those_of_an_ipv4_connection() {
        let mut m = Machine::default();
        let (blob, _) = redirected(&mut m);
        let onward = m.w.socket(m.service, SocketKind::DUAL).unwrap();
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        let hop = m.trace_of(m.service, onward, crate::testing::SERVER_MAPPED);
        assert_eq!(hop.states(), [RedirectState::RedirectedBySelf]);
    }

    #[rstest]
    #[case::cut(|blob: &mut Vec<u8>| blob.truncate(127))]
    #[case::longer(|blob: &mut Vec<u8>| blob.push(0))]
    #[case::twice(|blob: &mut Vec<u8>| blob.extend(blob.clone()))]
    #[case::changed(|blob: &mut Vec<u8>| blob[40] ^= 1)]
    #[case::another_magic(|blob: &mut Vec<u8>| blob[0] ^= 1)]
    #[case::claims_4_gib(|blob: &mut Vec<u8>| blob[4..8].fill(0xFF))]
    #[case::a_header_alone(|blob: &mut Vec<u8>| blob.truncate(8))]
    fn blob_that_was_changed_is_refused_and_leaves_the_socket_as_it_was(#[case] change: fn(&mut Vec<u8>)) {
        let mut m = Machine::default();
        let (blob, onward) = redirected(&mut m);
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        let mut changed = blob.clone();
        change(&mut changed);
        assert_eq!(m.w.set_redirect_records(m.service, onward, &changed), Err(WinsockError::WSAEINVAL));
        assert_eq!(m.w.records_set(m.service, onward).unwrap().map(crate::Records::blob), Some(&blob[..]));
    }

    #[test]
    fn failed_connect_keeps_the_records_for_the_next_one() {
        let mut m = Machine::default();
        let (blob, onward) = redirected(&mut m);
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        let hop = m.trace_of(m.service, onward, "127.0.0.1:9");
        assert_eq!(hop.result, Err(WinsockError::WSAECONNREFUSED));
        assert_eq!(m.trace_of(m.service, onward, SERVER).states(), [RedirectState::RedirectedBySelf]);
    }

    #[test]
    fn process_without_administrative_rights_may_query_and_not_set() {
        let mut m = Machine::default();
        let (blob, _) = redirected(&mut m);
        let socket = m.socket(SocketKind::V4);
        assert_eq!(m.w.set_redirect_records(m.app, socket, &blob), Err(WinsockError::WSAEACCES));
    }

    #[test]
    fn blob_that_is_partly_unwritten_memory_is_read_all_the_same() {
        let mut m = Machine::default();
        let (blob, onward) = redirected(&mut m);
        let written = blob.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let length = u32::try_from(blob.len()).unwrap();
        let input = m.w.allocate(m.service, length.into(), 0);
        m.w.write_memory(m.service, input, &blob[..written]);
        let word = m.w.allocate(m.service, 4, 0);
        let buffers = crate::IoctlBuffers::set(input, length, word);
        let code = crate::ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
        assert_eq!(at_once(m.w.wsa_ioctl(m.service, onward, code, &buffers)), Ok(()));
    }
}
