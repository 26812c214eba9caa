//! The whole machine, and the hosts that it can reach.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::bug_check::BugCheck;
use crate::control_message::Layout;
use crate::engine::{CalloutStates, Contexts, Engine, Machinery, RedirectContext};
use crate::ids::{
    Caller, ClassifyHandle, ContextId, DriverId, FlowId, HostId, PendingId, Pid, RedirectHandle,
    SocketHandle, SocketId, Tid,
};
use crate::memory::{Memory, Pointer};
use crate::overlapped::Notifications;
use crate::profile::Profile;
use crate::records::Records;
use crate::socket::{Flow, PendedClassify, Pending, PortSpace, Socket};
use crate::wsk::Irps;

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
    pub(crate) ports: BTreeSet<(PortSpace, u16, IpAddr, SocketId)>,
    /// Where ports are given out, one below which no ephemeral one is free; absent: the first. Saves searching from the
    /// start, and changes no answer.
    pub(crate) port_hints: BTreeMap<PortSpace, u16>,
    pub(crate) flows: BTreeMap<FlowId, Arc<Flow>>,
    pub(crate) contexts: BTreeMap<ContextId, RedirectContext>,
    pub(crate) pending: BTreeMap<PendingId, Pending>,
    pub(crate) notifications: Notifications,
    pub(crate) irps: Irps,
    /// What callouts keep from one call to the next.
    pub(crate) callout_states: CalloutStates,
    /// Classify handles that drivers acquired and did not release.
    pub(crate) classify_handles: BTreeMap<ClassifyHandle, DriverId>,
    /// Classifies that wait until a driver completes them.
    pub(crate) pended: BTreeMap<ClassifyHandle, PendedClassify>,
    /// The last thing that Windows would not have survived.
    pub(crate) bug_check: Option<BugCheck>,
    /// Whether the network subsystem of the local host has failed.
    pub(crate) network_down: bool,
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
    classify: u64,
}

impl Next {
    const FIRST: Self = Self {
        process: 4,
        socket: 1,
        descriptor: 0x100,
        flow: 1,
        context: 1,
        pending: 1,
        handle: 0x1000,
        classify: 1,
    };
}

/// A process and what of it bears on redirection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) image: Arc<str>,
    pub(crate) elevated: bool,
    pub(crate) host: HostId,
    pub(crate) threads: BTreeSet<Tid>,
    /// Whether it is a 64-bit or a 32-bit program.
    pub(crate) layout: Layout,
    /// Whether it is a driver, which calls the kernel's functions.
    pub(crate) driver: bool,
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

impl Host {
    /// Addresses as packets carry them: never v4-mapped.
    fn canonical(mut self) -> Self {
        self.addresses.iter_mut().for_each(|address| *address = address.to_canonical());
        self
    }
}

/// The local host: the only one with a filter engine.
pub const LOCAL_HOST: HostId = HostId(0);

impl World {
    /// A machine with the addresses 192.0.2.1 and 2001:db8::1 beside loopback, without processes.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let addresses = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
        Self::with_local_addresses(profile, addresses)
    }

    /// A machine with these addresses beside loopback, without processes. Numbers of the profile that are out of
    /// their bounds are moved to the nearest one.
    #[must_use]
    pub fn with_local_addresses(profile: Profile, addresses: Vec<IpAddr>) -> Self {
        Self {
            profile: Arc::new(profile.within_bounds()),
            engine: Arc::default(),
            hosts: Arc::new(vec![Host { name: "local".into(), addresses, silent: false }.canonical()]),
            processes: BTreeMap::new(),
            memory: Memory::default(),
            descriptors: BTreeMap::new(),
            sockets: BTreeMap::new(),
            ports: BTreeSet::new(),
            port_hints: BTreeMap::new(),
            flows: BTreeMap::new(),
            contexts: BTreeMap::new(),
            pending: BTreeMap::new(),
            notifications: Notifications::default(),
            irps: Irps::default(),
            callout_states: CalloutStates::new(),
            classify_handles: BTreeMap::new(),
            pended: BTreeMap::new(),
            bug_check: None,
            network_down: false,
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
        hosts.push(host.canonical());
        HostId(u32::try_from(hosts.len() - 1).unwrap_or(u32::MAX))
    }

    /// The host that has this address, seen from `from`: the own one for loopback and own addresses, else the
    /// first that was added with it.
    #[must_use]
    pub fn host_with(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        let address = address.to_canonical();
        let has = |host: &Host| host.addresses.contains(&address);
        if address.is_loopback() || self.host(from).is_some_and(has) {
            return Some(from);
        }
        u32::try_from(self.hosts.iter().position(has)?).ok().map(HostId)
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

    /// Starts a process on any host. On one that was never added it has loopback alone.
    pub fn start_process_on(&mut self, host: HostId, image: &str, elevated: bool) -> Caller {
        let pid = Pid(self.next_process_number());
        let tid = Tid(self.next_process_number());
        let threads = BTreeSet::from([tid]);
        let layout = Layout::default();
        let process = Process { image: image.into(), elevated, host, threads, layout, driver: false };
        self.processes.insert(pid, Arc::new(process));
        Caller { pid, tid }
    }

    /// Makes a process a 64-bit or a 32-bit one, which shows in its control data alone; `false` where there is none. Every
    /// process starts as a 64-bit one.
    pub fn set_layout(&mut self, pid: Pid, layout: Layout) -> bool {
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        Arc::make_mut(process).layout = layout;
        true
    }

    /// Starts another thread in the caller's process; `None` where that has ended.
    pub fn start_thread(&mut self, caller: Caller) -> Option<Caller> {
        let tid = Tid(self.next_process_number());
        let process = self.processes.get_mut(&caller.pid)?;
        Arc::make_mut(process).threads.insert(tid);
        Some(Caller { pid: caller.pid, tid })
    }

    /// Ends a process: its sockets are closed, its memory and the calls that it waited for are gone. `false` where
    /// there is none.
    pub fn end_process(&mut self, pid: Pid) -> bool {
        let Some(process) = self.processes.remove(&pid) else { return false };
        let owned = self.descriptors.range((pid, SocketHandle(0))..=(pid, SocketHandle(u64::MAX)));
        let owned: Vec<SocketHandle> = owned.map(|((_, handle), _)| *handle).collect();
        for handle in owned {
            self.release_descriptor(pid, handle);
        }
        self.abandon_calls(pid);
        self.forget_process(pid, process.threads.iter().copied());
        self.forget_irps(pid);
        self.memory.free_all(pid);
        true
    }

    pub(crate) fn make_driver(&mut self, pid: Pid) {
        if let Some(process) = self.processes.get_mut(&pid) {
            Arc::make_mut(process).driver = true;
        }
    }

    pub(crate) fn is_driver(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.driver)
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

    /// Allocates `size` bytes in the caller's memory, each of them `fill`: 32 GiB at most, and they cost what is
    /// written to them. NULL where the process has ended.
    pub fn allocate(&mut self, caller: Caller, size: u64, fill: u8) -> Pointer {
        if !self.processes.contains_key(&caller.pid) {
            return Pointer::NULL;
        }
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
        self.memory.read(caller.pid, pointer, length.into()).map(Cow::into_owned)
    }

    // The network.

    /// The network subsystem of this machine fails, or is mended: meanwhile the calls of Winsock fail with
    /// WSAENETDOWN, but for `closesocket`. What was open stays open, and what waits goes on waiting.
    ///
    /// Source: win32 "Windows Sockets Error Codes", WSAENETDOWN.
    pub fn set_network_down(&mut self, down: bool) {
        self.network_down = down;
    }

    // Time.

    /// Lets time pass: connects that nobody answers end, and flows of datagrams that are idle.
    pub fn advance(&mut self, milliseconds: u64) {
        self.now = self.now.saturating_add(milliseconds);
        self.end_overdue_connects();
        self.end_idle_flows();
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    // What is left.

    /// Redirect contexts that are allocated now. None is left when every connection has ended.
    #[must_use]
    pub fn live_contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Everything that is allocated now: sockets, flows, contexts, memory, pending calls, events, ports and what waits
    /// in them, IRPs.
    #[must_use]
    pub fn live(&self) -> usize {
        self.sockets.len()
            + self.flows.len()
            + self.contexts.len()
            + self.memory.live()
            + self.pending.len()
            + self.notifications.live()
            + self.irps.live()
            + self.classify_handles.len()
            + self.pended.len()
    }

    // The filter engine.

    /// The bug check of a driver's fault, if one came since the last question. The model goes on after it; Windows would
    /// not.
    pub fn take_bug_check(&mut self) -> Option<BugCheck> {
        self.bug_check.take()
    }

    /// What a classify of a connection with these records needs.
    pub(crate) fn machinery<'a>(&'a mut self, records: Option<&'a Records>) -> Machinery<'a> {
        Machinery {
            engine: &self.engine,
            profile: &self.profile,
            contexts: Contexts { all: &self.contexts, records },
            states: &mut self.callout_states,
            next_handle: &mut self.next.classify,
        }
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

    /// Handles look like addresses of objects in the kernel.
    pub(crate) fn next_redirect_handle(&mut self) -> RedirectHandle {
        let handle = RedirectHandle(self.next.handle);
        self.next.handle += 8;
        handle
    }

    /// As if nothing had ever been created but what is there now.
    pub(crate) fn count_anew(&mut self) {
        let count = |first: u64, existing: usize| first + existing as u64;
        self.next = Next {
            socket: count(Next::FIRST.socket, self.sockets.len()),
            flow: count(Next::FIRST.flow, self.flows.len()),
            context: count(Next::FIRST.context, self.contexts.len()),
            pending: count(Next::FIRST.pending, self.pending.len()),
            descriptor: Next::FIRST.descriptor
                + (self.descriptors.len()
                    + self.notifications.events.len()
                    + self.notifications.ports.len()
                    + self.irps.live()) as u64,
            classify: count(Next::FIRST.classify, self.classify_handles.len() + self.pended.len()),
            ..self.next
        };
    }
}

#[cfg(test)]
mod tests;
