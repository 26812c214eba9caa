//! The whole machine, and the hosts that it can reach.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::engine::{Callout, Engine, Filter, Layer, Policy};
use crate::ids::{
    Caller, CalloutId, ContextId, FilterId, FlowId, HostId, PendingId, Pid, RedirectHandle, SocketHandle, SocketId,
    SublayerId, Tid,
};
use crate::memory::{Memory, Pointer};
use crate::profile::Profile;
use crate::records::{Records, RedirectState, redirect_state};
use crate::socket::{Flow, PendingCall, Socket};

/// A machine with its processes, sockets, callouts, redirect records and contexts, and the hosts around it.
///
/// Every call takes `&mut World`, returns at once, and answers the same on every machine. A world is cheap to
/// clone: configuration, sockets and flows are shared until one side changes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) profile: Arc<Profile>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) hosts: Arc<Vec<Host>>,
    pub(crate) processes: BTreeMap<Pid, Arc<Process>>,
    pub(crate) memory: Memory,
    pub(crate) descriptors: BTreeMap<(Pid, SocketHandle), SocketId>,
    pub(crate) sockets: BTreeMap<SocketId, Arc<Socket>>,
    /// Ports that sockets are bound to.
    pub(crate) ports: BTreeSet<(HostId, u16, IpAddr, SocketId)>,
    /// For an address, a port below which no ephemeral one is free; absent: the first. Saves searching from the
    /// start, and changes no answer.
    pub(crate) port_hints: BTreeMap<(HostId, IpAddr), u16>,
    pub(crate) flows: BTreeMap<FlowId, Arc<Flow>>,
    pub(crate) contexts: BTreeMap<ContextId, Arc<[u8]>>,
    pub(crate) pending: BTreeMap<PendingId, PendingCall>,
    /// Milliseconds since the start.
    pub(crate) now: u64,
    next: Next,
}

/// The next number of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Next {
    process: u32,
    socket: u64,
    descriptor: u64,
    flow: u64,
    context: u64,
    pending: u64,
    handle: u64,
}

impl Next {
    const FIRST: Self =
        Self { process: 4, socket: 1, descriptor: 0x100, flow: 1, context: 1, pending: 1, handle: 0x1000 };
}

/// A process and what of it bears on redirection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) image: Arc<str>,
    pub(crate) elevated: bool,
    pub(crate) host: HostId,
    pub(crate) threads: BTreeSet<Tid>,
}

/// A host: its name, and its addresses beside loopback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// For traces.
    pub name: Arc<str>,
    /// Not loopback: each host has that by itself.
    pub addresses: Vec<IpAddr>,
    /// Whether it drops what is sent to it, so that a connect waits until it times out.
    pub silent: bool,
}

/// The local host: the only one with a filter engine.
pub const LOCAL_HOST: HostId = HostId(0);

/// A callout with the filters that make it see every connect: what most tests of a driver want.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// For traces.
    pub name: Arc<str>,
    /// The weight of its sublayer: heavier ones are asked first.
    pub sublayer_weight: u16,
    /// What it does.
    pub policy: Policy,
}

impl World {
    /// A machine with the addresses 192.0.2.1 and 2001:db8::1 beside loopback, without processes.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let addresses = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
        Self::with_local_addresses(profile, addresses)
    }

    /// A machine with these addresses beside loopback, without processes.
    #[must_use]
    pub fn with_local_addresses(profile: Profile, addresses: Vec<IpAddr>) -> Self {
        Self {
            profile: Arc::new(profile),
            engine: Arc::default(),
            hosts: Arc::new(vec![Host { name: "local".into(), addresses, silent: false }]),
            processes: BTreeMap::new(),
            memory: Memory::default(),
            descriptors: BTreeMap::new(),
            sockets: BTreeMap::new(),
            ports: BTreeSet::new(),
            port_hints: BTreeMap::new(),
            flows: BTreeMap::new(),
            contexts: BTreeMap::new(),
            pending: BTreeMap::new(),
            now: 0,
            next: Next::FIRST,
        }
    }

    /// How this machine answers in doubtful cases.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    // Hosts and processes.

    /// Puts a host onto the network.
    pub fn add_host(&mut self, host: Host) -> HostId {
        let hosts = Arc::make_mut(&mut self.hosts);
        hosts.push(host);
        HostId(u32::try_from(hosts.len() - 1).unwrap_or(u32::MAX))
    }

    /// The host that has this address, seen from `from`: loopback is always the own host.
    #[must_use]
    pub fn host_with(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return Some(from);
        }
        let index = self.hosts.iter().position(|host| host.addresses.contains(&address))?;
        u32::try_from(index).ok().map(HostId)
    }

    /// A host by its number.
    #[must_use]
    pub fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.0 as usize)
    }

    /// Starts a process on this machine, with its first thread. `elevated`: it has administrative rights.
    pub fn start_process(&mut self, image: &str, elevated: bool) -> Caller {
        self.start_process_on(LOCAL_HOST, image, elevated)
    }

    /// Starts a process on any host.
    pub fn start_process_on(&mut self, host: HostId, image: &str, elevated: bool) -> Caller {
        let pid = Pid(self.next_process_number());
        let tid = Tid(self.next_process_number());
        let threads = BTreeSet::from([tid]);
        self.processes.insert(pid, Arc::new(Process { image: image.into(), elevated, host, threads }));
        Caller { pid, tid }
    }

    /// Starts another thread in the caller's process; `None` where that has ended.
    pub fn start_thread(&mut self, caller: Caller) -> Option<Caller> {
        let tid = Tid(self.next_process_number());
        let process = self.processes.get_mut(&caller.pid)?;
        Arc::make_mut(process).threads.insert(tid);
        Some(Caller { pid: caller.pid, tid })
    }

    /// Ends a process: its sockets are closed and its memory is gone. `false` where there is none.
    pub fn end_process(&mut self, pid: Pid) -> bool {
        if self.processes.remove(&pid).is_none() {
            return false;
        }
        let owned: Vec<_> =
            self.descriptors.range((pid, SocketHandle(0))..=(pid, SocketHandle(u64::MAX))).map(|(k, _)| k.1).collect();
        for handle in owned {
            self.release_descriptor(pid, handle);
        }
        self.memory.free_all(pid);
        true
    }

    /// The image path of a process.
    #[must_use]
    pub fn image(&self, pid: Pid) -> Option<&str> {
        self.processes.get(&pid).map(|process| &*process.image)
    }

    /// Process and thread ids come from one row of multiples of 4, as on Windows.
    fn next_process_number(&mut self) -> u32 {
        let number = self.next.process;
        self.next.process = number.wrapping_add(4);
        number
    }

    // Memory.

    /// Allocates `size` bytes in the caller's memory, each of them `fill`.
    pub fn allocate(&mut self, caller: Caller, size: u64, fill: u8) -> Pointer {
        self.memory.allocate(caller.pid, size, fill)
    }

    /// Gives back what [`World::allocate`] gave; `false` where nothing of the caller's starts there.
    pub fn free(&mut self, caller: Caller, pointer: Pointer) -> bool {
        self.memory.free(caller.pid, pointer)
    }

    /// Writes into the caller's memory; `false`, and nothing written, where it does not fit.
    pub fn write_memory(&mut self, caller: Caller, pointer: Pointer, bytes: &[u8]) -> bool {
        self.memory.write(caller.pid, pointer, bytes)
    }

    /// Reads the caller's memory; `None` where any of it is invalid.
    #[must_use]
    pub fn read_memory(&self, caller: Caller, pointer: Pointer, length: u32) -> Option<Vec<u8>> {
        self.memory.read(caller.pid, pointer, length.into())
    }

    // Time.

    /// Lets time pass: connects that nobody answers end.
    pub fn advance(&mut self, milliseconds: u64) {
        self.now = self.now.saturating_add(milliseconds);
        self.end_overdue_connects();
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    // The filter engine.

    /// `FwpmSubLayerAdd0`.
    pub fn fwpm_sublayer_add(&mut self, weight: u16) -> SublayerId {
        let engine = Arc::make_mut(&mut self.engine);
        let id = SublayerId(engine.next_id());
        engine.sublayers.insert(id, weight);
        engine.sort();
        id
    }

    /// `FwpsCalloutRegister1` with a policy in the place of a `classifyFn`.
    pub fn fwps_callout_register(&mut self, name: &str, policy: Policy) -> CalloutId {
        let engine = Arc::make_mut(&mut self.engine);
        let id = CalloutId(engine.next_id());
        engine.callouts.insert(id, Arc::new(Callout { name: name.into(), policy }));
        engine.sort();
        id
    }

    /// `FwpsCalloutUnregisterById0`. Filters that name it are skipped from here on.
    pub fn fwps_callout_unregister(&mut self, callout: CalloutId) -> bool {
        let engine = Arc::make_mut(&mut self.engine);
        let known = engine.callouts.remove(&callout).is_some();
        engine.sort();
        known
    }

    /// `FwpmFilterAdd0`. A filter whose callout or sublayer is not there is added and never asked.
    pub fn fwpm_filter_add(&mut self, filter: Filter) -> FilterId {
        let engine = Arc::make_mut(&mut self.engine);
        let id = FilterId(engine.next_id().into());
        engine.filters.insert(id, Arc::new(filter));
        engine.sort();
        id
    }

    /// `FwpmFilterDeleteById0`.
    pub fn fwpm_filter_delete(&mut self, filter: FilterId) -> bool {
        let engine = Arc::make_mut(&mut self.engine);
        let known = engine.filters.remove(&filter).is_some();
        engine.sort();
        known
    }

    /// Adds a sublayer, a callout, and a filter for it at both connect-redirect layers.
    pub fn install(&mut self, vendor: Vendor) -> CalloutId {
        let sublayer = self.fwpm_sublayer_add(vendor.sublayer_weight);
        let callout = self.fwps_callout_register(&vendor.name, vendor.policy);
        for layer in [Layer::AleConnectRedirectV4, Layer::AleConnectRedirectV6] {
            self.fwpm_filter_add(Filter { layer, sublayer, weight: 0, conditions: Vec::new(), callout });
        }
        callout
    }

    /// The name that a callout was registered with.
    #[must_use]
    pub fn callout_name(&self, callout: CalloutId) -> Option<&str> {
        self.engine.callouts.get(&callout).map(|callout| &*callout.name)
    }

    // Redirect handles.

    /// `FwpsRedirectHandleCreate0`: a handle for a provider.
    pub fn fwps_redirect_handle_create(&mut self, provider: &str) -> RedirectHandle {
        let handle = RedirectHandle(self.next.handle);
        self.next.handle += 8;
        Arc::make_mut(&mut self.engine).handles.insert(handle, provider.into());
        handle
    }

    /// `FwpsRedirectHandleDestroy0`. Records that name the handle keep it: what becomes of them is not
    /// documented. `false` where there is no such handle.
    pub fn fwps_redirect_handle_destroy(&mut self, handle: RedirectHandle) -> bool {
        Arc::make_mut(&mut self.engine).handles.remove(&handle).is_some()
    }

    /// The provider that a redirect handle was created for.
    #[must_use]
    pub fn provider(&self, handle: RedirectHandle) -> Option<&str> {
        self.engine.handles.get(&handle).map(|provider| &**provider)
    }

    /// `FwpsQueryConnectionRedirectState0`: the state for `handle`, and its own context where that still exists.
    #[must_use]
    pub fn fwps_query_connection_redirect_state(
        &self,
        records: Option<&Records>,
        handle: RedirectHandle,
    ) -> (RedirectState, Option<&[u8]>) {
        let state = redirect_state(records, handle);
        let context = match state {
            RedirectState::RedirectedBySelf | RedirectState::PreviouslyRedirectedBySelf => {
                records.and_then(|records| self.context_of(records, handle))
            }
            RedirectState::NotRedirected | RedirectState::RedirectedByOther => None,
        };
        (state, context)
    }

    /// The context of the last redirect by `handle`.
    pub(crate) fn context_of(&self, records: &Records, handle: RedirectHandle) -> Option<&[u8]> {
        let entry = records.entries().iter().rev().find(|entry| entry.handle == handle)?;
        self.contexts.get(&entry.context?).map(|bytes| &**bytes)
    }

    // What is left.

    /// Redirect contexts that are allocated now. None is left when every connection has ended.
    #[must_use]
    pub fn live_contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Everything that is allocated now: sockets, flows, contexts, memory, pending calls.
    #[must_use]
    pub fn live(&self) -> usize {
        self.sockets.len() + self.flows.len() + self.contexts.len() + self.memory.live() + self.pending.len()
    }

    // Numbers.

    pub(crate) fn next_socket(&mut self) -> SocketId {
        self.next.socket += 1;
        SocketId(self.next.socket)
    }

    pub(crate) fn next_descriptor(&mut self) -> SocketHandle {
        self.next.descriptor += 4;
        SocketHandle(self.next.descriptor)
    }

    pub(crate) fn next_flow(&mut self) -> FlowId {
        self.next.flow += 1;
        FlowId(self.next.flow)
    }

    pub(crate) fn next_context(&mut self) -> ContextId {
        self.next.context += 1;
        ContextId(self.next.context)
    }

    pub(crate) fn next_pending(&mut self) -> PendingId {
        self.next.pending += 1;
        PendingId(self.next.pending)
    }

    /// The same world with sockets, flows, contexts and pending calls numbered by their order of creation,
    /// without gaps: two worlds that differ only in what came and went before are equal then.
    ///
    /// It is for comparing: the descriptors that programs hold name the sockets of the original. Process ids and
    /// redirect handles keep their numbers.
    #[must_use]
    pub fn canonical(&self) -> Self {
        fn dense<K: Ord + Copy, V>(map: &BTreeMap<K, V>, name: impl Fn(u64) -> K) -> BTreeMap<K, K> {
            map.keys().zip(1..).map(|(old, number)| (*old, name(number))).collect()
        }
        let sockets = dense(&self.sockets, SocketId);
        let flows = dense(&self.flows, FlowId);
        let contexts = dense(&self.contexts, ContextId);
        let pending = dense(&self.pending, PendingId);
        let renumber = Renumber { sockets: &sockets, flows: &flows, contexts: &contexts, pending: &pending };

        let mut world = self.clone();
        let profile = Arc::clone(&self.profile);
        world.descriptors = self
            .descriptors
            .iter()
            .zip(1..)
            .map(|(((pid, _), id), number)| ((*pid, SocketHandle(number)), renumber.socket(*id)))
            .collect();
        world.ports = self.ports.iter().map(|(host, port, ip, id)| (*host, *port, *ip, renumber.socket(*id))).collect();
        world.sockets = self
            .sockets
            .iter()
            .map(|(id, socket)| (renumber.socket(*id), Arc::new(socket.renumbered(&renumber, &profile))))
            .collect();
        world.flows = self
            .flows
            .iter()
            .map(|(id, flow)| (renumber.flow(*id), Arc::new(flow.renumbered(&renumber, &profile))))
            .collect();
        world.contexts =
            self.contexts.iter().map(|(id, bytes)| (renumber.context(*id), Arc::clone(bytes))).collect();
        world.pending =
            self.pending.iter().map(|(id, call)| (renumber.pending(*id), call.renumbered(&renumber))).collect();
        world.port_hints.clear();
        world.next = Next { process: self.next.process, handle: self.next.handle, ..Next::FIRST };
        world.next.socket += sockets.len() as u64;
        world.next.flow += flows.len() as u64;
        world.next.context += contexts.len() as u64;
        world.next.pending += pending.len() as u64;
        world
    }
}

/// Old numbers to new ones.
pub(crate) struct Renumber<'a> {
    sockets: &'a BTreeMap<SocketId, SocketId>,
    flows: &'a BTreeMap<FlowId, FlowId>,
    contexts: &'a BTreeMap<ContextId, ContextId>,
    pending: &'a BTreeMap<PendingId, PendingId>,
}

impl Renumber<'_> {
    /// What is gone has no number of its own any more: 0 stands for it.
    pub(crate) fn socket(&self, id: SocketId) -> SocketId {
        self.sockets.get(&id).copied().unwrap_or(SocketId(0))
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

    pub(crate) fn records(&self, records: &Records, profile: &Profile) -> Records {
        let entries: Vec<_> = records
            .entries()
            .iter()
            .map(|entry| crate::records::Entry {
                handle: entry.handle,
                context: entry.context.map(|context| self.context(context)),
                flow: self.flow(entry.flow),
            })
            .collect();
        Records::extended(None, &entries, profile)
    }
}
