//! Worlds that differ only in their numbers, made equal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{
    ClassifyHandle, ContextId, EventHandle, FlowId, IrpHandle, PendingId, Pid, PortHandle, SocketHandle,
    SocketId,
};
use crate::memory::{Moves, Pointer};
use crate::profile::Profile;
use crate::records::{Entry, Records};
use crate::world::World;

impl World {
    /// The same world with sockets, descriptors, events, ports, IRPs, flows, contexts and pending calls numbered by their age, and
    /// memory moved together, without gaps: two worlds that differ only in what came and went before are equal
    /// then.
    ///
    /// It is for comparing: what programs hold (descriptors, pointers, numbers of pending calls, record blobs in
    /// their memory) names things of the original. Processes, and everything of the filter engine, keep their numbers.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let mut world = self.clone();
        let classifies: BTreeSet<ClassifyHandle> =
            self.classify_handles.keys().chain(self.pended.keys()).copied().collect();
        let renumber = Renumber {
            sockets: dense(self.sockets.keys(), SocketId),
            descriptors: dense(self.descriptors.keys(), SocketHandle),
            events: dense(self.notifications.events.keys(), EventHandle),
            ports: dense(self.notifications.ports.keys(), PortHandle),
            irps: dense(self.irps.keys(), IrpHandle),
            flows: dense(self.flows.keys(), FlowId),
            contexts: dense(self.contexts.keys(), ContextId),
            pending: dense(self.pending.keys(), PendingId),
            classifies: dense(classifies.iter(), ClassifyHandle),
            memory: world.memory.close_gaps(),
        };
        let profile = &*self.profile;
        world.port_hints.clear();
        world.descriptors = self
            .descriptors
            .iter()
            .map(|((pid, handle), id)| ((*pid, renumber.descriptor(*pid, *handle)), renumber.socket(*id)))
            .collect();
        world.ports = self
            .ports
            .iter()
            .map(|(space, port, ip, id)| (*space, *port, *ip, renumber.socket(*id)))
            .collect();
        world.sockets = self
            .sockets
            .iter()
            .map(|(id, socket)| (renumber.socket(*id), Arc::new(socket.renumbered(&renumber, profile))))
            .collect();
        world.flows = self
            .flows
            .iter()
            .map(|(id, flow)| (renumber.flow(*id), Arc::new(flow.renumbered(&renumber, profile))))
            .collect();
        world.contexts =
            self.contexts.iter().map(|(id, context)| (renumber.context(*id), context.clone())).collect();
        world.pending = self
            .pending
            .iter()
            .map(|(id, pending)| (renumber.pending(*id), pending.renumbered(&renumber, profile)))
            .collect();
        world.classify_handles = self
            .classify_handles
            .iter()
            .map(|(handle, owner)| (renumber.classify(*handle), *owner))
            .collect();
        world.pended = self
            .pended
            .iter()
            .map(|(handle, pended)| (renumber.classify(*handle), pended.renumbered(&renumber, profile)))
            .collect();
        world.notifications = self.notifications.renumbered(&renumber);
        world.irps = self.irps.renumbered(&renumber, profile);
        world.count_anew();
        world
    }
}

/// New numbers for old ones, from 1 on in the same order.
fn dense<'a, K: Ord + Copy + 'a, N>(
    old: impl Iterator<Item = &'a K>,
    name: impl Fn(u64) -> N,
) -> BTreeMap<K, N> {
    old.copied().zip((1..).map(name)).collect()
}

/// Old numbers to new ones. What is gone has no number of its own any more: 0 stands for it.
pub(crate) struct Renumber {
    sockets: BTreeMap<SocketId, SocketId>,
    descriptors: BTreeMap<(Pid, SocketHandle), SocketHandle>,
    flows: BTreeMap<FlowId, FlowId>,
    contexts: BTreeMap<ContextId, ContextId>,
    pending: BTreeMap<PendingId, PendingId>,
    classifies: BTreeMap<ClassifyHandle, ClassifyHandle>,
    events: BTreeMap<(Pid, EventHandle), EventHandle>,
    ports: BTreeMap<(Pid, PortHandle), PortHandle>,
    irps: BTreeMap<(Pid, IrpHandle), IrpHandle>,
    memory: Moves,
}

impl Renumber {
    pub(crate) fn socket(&self, id: SocketId) -> SocketId {
        self.sockets.get(&id).copied().unwrap_or(SocketId(0))
    }

    pub(crate) fn descriptor(&self, pid: Pid, handle: SocketHandle) -> SocketHandle {
        self.descriptors.get(&(pid, handle)).copied().unwrap_or(SocketHandle(0))
    }

    pub(crate) fn flow(&self, id: FlowId) -> FlowId {
        self.flows.get(&id).copied().unwrap_or(FlowId(0))
    }

    pub(crate) fn context(&self, id: ContextId) -> ContextId {
        self.contexts.get(&id).copied().unwrap_or(ContextId(0))
    }

    pub(crate) fn pending(&self, id: PendingId) -> PendingId {
        self.pending.get(&id).copied().unwrap_or(PendingId(0))
    }

    pub(crate) fn classify(&self, handle: ClassifyHandle) -> ClassifyHandle {
        self.classifies.get(&handle).copied().unwrap_or(ClassifyHandle(0))
    }

    pub(crate) fn event(&self, pid: Pid, handle: EventHandle) -> EventHandle {
        self.events.get(&(pid, handle)).copied().unwrap_or(EventHandle(0))
    }

    pub(crate) fn port(&self, pid: Pid, handle: PortHandle) -> PortHandle {
        self.ports.get(&(pid, handle)).copied().unwrap_or(PortHandle(0))
    }

    pub(crate) fn irp(&self, pid: Pid, handle: IrpHandle) -> IrpHandle {
        self.irps.get(&(pid, handle)).copied().unwrap_or(IrpHandle(0))
    }

    /// A pointer into memory that has moved together.
    pub(crate) fn pointer(&self, pointer: Pointer) -> Pointer {
        self.memory.pointer(pointer)
    }

    pub(crate) fn records(&self, records: &Records, profile: &Profile) -> Records {
        let entries: Vec<Entry> = records
            .entries()
            .iter()
            .map(|entry| Entry {
                handle: entry.handle,
                context: entry.context.map(|context| self.context(context)),
                flow: self.flow(entry.flow),
            })
            .collect();
        Records::extended(None, &entries, profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Redirect;
    use crate::socket::SocketKind;
    use crate::testing::{Machine, SERVER, both};

    /// A machine in the middle of its work: sockets of each kind, records on both sides, calls that wait, memory.
    fn busy(m: &mut Machine) {
        let connecting = m.socket(SocketKind::V4);
        m.connect(connecting, crate::testing::SILENT).unwrap();
        m.connected(SERVER);
        let (_, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let records = m.w.query_redirect_records(m.service, accepted).unwrap();
        let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &records).unwrap();
        m.w.recv(m.service, accepted, 5).unwrap();
        let listener = m.service_at(80);
        let socket = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.accept(m.service, listener).unwrap();
        m.w.accept_ex(m.service, listener, socket).unwrap();
        m.connected("127.0.0.1:80");
        m.w.allocate(m.app, 8, 1);
    }

    /// Things that leave nothing behind but numbers.
    fn come_and_go(m: &mut Machine) {
        let pointer = m.w.allocate(m.app, 8, 0);
        let (client, accepted) = m.pair();
        let Ok(crate::Completion::Pending(pending)) = m.w.recv(m.service, accepted, 5) else {
            panic!("done")
        };
        m.w.send(m.app, client, b"x").unwrap();
        assert!(m.w.completion(pending).is_some());
        m.w.closesocket(m.app, client).unwrap();
        m.w.closesocket(m.service, accepted).unwrap();
        m.w.allocate(m.service, 8, 0);
        m.w.free(m.app, pointer);
    }

    #[test]
    fn worlds_that_differ_in_what_came_and_went_are_equal() {
        let (mut plain, mut used) = (Machine::default(), Machine::default());
        plain.w.allocate(plain.service, 8, 0);
        come_and_go(&mut used);
        assert!(plain.w.canonical() == used.w.canonical());
        busy(&mut plain);
        busy(&mut used);
        assert!(plain.w != used.w);
        assert!(plain.w.canonical() == used.w.canonical());
    }

    #[test]
    fn canonical_world_is_its_own_canonical_form() {
        let mut m = Machine::default();
        come_and_go(&mut m);
        busy(&mut m);
        let canonical = m.w.canonical();
        assert!(canonical.canonical() == canonical);
    }

    #[test]
    fn worlds_that_differ_in_what_is_there_are_not_equal() {
        let (mut plain, mut more) = (Machine::default(), Machine::default());
        more.w.socket(more.app, SocketKind::V4).unwrap();
        plain.w.socket(plain.app, SocketKind::DUAL).unwrap();
        assert!(plain.w.canonical() != more.w.canonical());
    }

    #[test]
    fn what_is_gone_is_number_0() {
        let mut m = Machine::default();
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let records = m.w.query_redirect_records(m.service, accepted).unwrap();
        let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &records).unwrap();
        m.w.closesocket(m.app, client).unwrap();
        m.w.closesocket(m.service, accepted).unwrap();
        let canonical = m.w.canonical();
        let records = canonical.sockets.values().find_map(|socket| socket.records.clone()).unwrap();
        let expected =
            Entry { handle: records.entries()[0].handle, context: Some(ContextId(0)), flow: FlowId(0) };
        assert_eq!(records.entries(), [expected]);
    }
}
