//! The backend `sim`: ops applied to a [`World`].

mod addresses;
mod buffers;
mod callouts;
mod control;
mod datagrams;
mod drivers;
mod hop;
mod kernel;
mod operations;
mod original_destination;
mod wsk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wfp_sim::control_message::Layout;
use wfp_sim::profile::WindowsVersion;
use wfp_sim::{
    Caller, Completed, Completion, PendingId, Pid, PortHandle, Profile, Protocol, Provider, Shutdown,
    SocketHandle, SocketKind, WinsockError, World,
};

use self::addresses::Addresses;
use self::callouts::Callouts;
use self::control::Asked;
use self::datagrams::Receiving;
use self::wsk::WskAsked;
use crate::vocabulary::{
    Backend, BackendFault, Call, Feature, Features, Identity, Name, Observation, Op, Outcome, ProviderKind,
    SetUp, Settings, ShutdownHow, SocketFamily, SocketProtocol, SocketState, Stored,
};

/// A model of a machine behind the vocabulary that every backend speaks.
#[derive(Clone, Debug)]
pub struct SimBackend {
    features: Features,
    world: World,
    threads: FxHashMap<Name, BTreeMap<u32, Caller>>,
    sockets: FxHashMap<Name, Socket>,
    blobs: FxHashMap<Name, Arc<[u8]>>,
    /// The sources that received datagrams showed.
    sources: FxHashMap<Name, SocketAddr>,
    /// The 32-bit programs.
    wow64: BTreeSet<Pid>,
    pending: FxHashMap<Name, Pending>,
    /// Control codes that were asked overlapped.
    operations: FxHashMap<Name, Asked>,
    /// Calls through WSK that wait with their IRPs.
    irps: FxHashMap<Name, WskAsked>,
    ports: FxHashMap<Name, PortHandle>,
    addresses: Addresses,
    callouts: Callouts,
}

/// A descriptor, and what it was made as.
#[derive(Clone, Copy, Debug)]
struct Socket {
    handle: SocketHandle,
    family: SocketFamily,
    protocol: SocketProtocol,
}

/// A call that goes on, and what becomes of its result.
#[derive(Clone, Debug)]
struct Pending {
    id: PendingId,
    family: SocketFamily,
    /// Of a control code, or of a wait for its result.
    asked: Option<Asked>,
    /// Of a `WSARecvMsg`.
    receiving: Option<Receiving>,
}

impl Default for SimBackend {
    fn default() -> Self {
        Self::new(Profile::default())
    }
}

impl SimBackend {
    /// A machine with this profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            features: features(&profile),
            world: World::new(profile),
            threads: FxHashMap::default(),
            sockets: FxHashMap::default(),
            blobs: FxHashMap::default(),
            sources: FxHashMap::default(),
            wow64: BTreeSet::new(),
            pending: FxHashMap::default(),
            operations: FxHashMap::default(),
            irps: FxHashMap::default(),
            ports: FxHashMap::default(),
            addresses: Addresses::default(),
            callouts: Callouts::default(),
        }
    }

    /// The machine itself.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A thread of a process; those beside the first are started when they are first named.
    fn thread(&mut self, process: &Name, number: u32) -> Result<Caller, BackendFault> {
        let unknown = || BackendFault::Misuse(format!("no process `{process}` runs"));
        let threads = self.threads.get_mut(process).ok_or_else(unknown)?;
        if let Some(thread) = threads.get(&number) {
            return Ok(*thread);
        }
        let first = threads.values().next();
        let Some(thread) = first.and_then(|first| self.world.start_thread(*first)) else {
            return Err(BackendFault::Misuse(format!("the process `{process}` has ended")));
        };
        threads.insert(number, thread);
        Ok(thread)
    }

    fn socket(&self, name: &Name) -> Result<Socket, BackendFault> {
        self.sockets
            .get(name)
            .copied()
            .ok_or_else(|| BackendFault::Misuse(format!("no socket `{name}` was made")))
    }

    fn name_socket(&mut self, name: Option<&Name>, socket: Socket) {
        if let Some(name) = name {
            self.sockets.insert(Name::clone(name), socket);
        }
    }

    fn name_pending(&mut self, op: &Op, pending: Pending) -> Observation {
        if let Some(name) = &op.name {
            self.pending.insert(Name::clone(name), pending);
        }
        Observation::new(Outcome::Pending)
    }

    fn received(&mut self, name: Option<&Name>, bytes: Vec<u8>) -> Observation {
        let bytes: Arc<[u8]> = bytes.into();
        if let Some(name) = name {
            self.blobs.insert(Name::clone(name), Arc::clone(&bytes));
        }
        Observation { stored: Some(Stored { bytes, rest_untouched: true }), ..Observation::new(Outcome::Ok) }
    }

    fn wait(&mut self, calls: &[Name], limit: u32) -> Result<Observation, BackendFault> {
        if let Some(unknown) =
            calls.iter().find(|name| !self.pending.contains_key(*name) && !self.irps.contains_key(*name))
        {
            let hint = if self.operations.contains_key(unknown) {
                "; of an overlapped operation `get-result`, `event-state` and `dequeue` tell"
            } else {
                ""
            };
            return Err(BackendFault::Misuse(format!("no call `{unknown}` is pending{hint}")));
        }
        if let Some(observation) = self.first_completed(calls) {
            return Ok(observation);
        }
        self.world.advance(limit.into());
        Ok(self.first_completed(calls).unwrap_or_else(|| Observation::new(Outcome::Pending)))
    }

    fn first_completed(&mut self, calls: &[Name]) -> Option<Observation> {
        if let Some((name, observation)) = self.first_completed_irp(calls) {
            let completed = Some((name, Box::new(observation)));
            return Some(Observation { completed, ..Observation::new(Outcome::Ok) });
        }
        for name in calls {
            let Some(id) = self.pending.get(name).map(|pending| pending.id) else { continue };
            let Some(result) = self.world.completion(id) else { continue };
            let Some(pending) = self.pending.remove(name) else { continue };
            let Pending { family, asked, receiving, .. } = pending;
            let observation = match (result, asked) {
                (Ok(Completed::Accepted(handle)), _) => {
                    self.name_socket(Some(name), Socket { handle, family, protocol: SocketProtocol::Tcp });
                    Observation::new(Outcome::Ok)
                }
                (Ok(Completed::Received(bytes)), _) => self.received(Some(name), bytes),
                (Ok(Completed::Transferred(bytes)), Some(asked)) => {
                    self.transferred(name, None, &asked, Ok(bytes))
                }
                (result, Some(asked)) => {
                    let observation = self.observe(&asked, result.map(|_| ()));
                    self.name_output(name, &asked, &observation);
                    if asked.overlapped.is_null() {
                        self.free(asked.caller, asked.memory);
                    }
                    observation
                }
                (Ok(Completed::ReceivedFrom(datagram)), None) => self.received_from(Some(name), datagram),
                (result, None) => match (result, receiving) {
                    (Ok(Completed::ReceivedMessage(received)), Some(receiving)) => {
                        self.received_message(Some(name), &receiving, received)
                    }
                    (Ok(_), _) => Observation::new(Outcome::Ok),
                    (Err(error), receiving) => {
                        if let Some(receiving) = &receiving {
                            self.forget_receive(receiving);
                        }
                        Observation::new(Outcome::Error(error))
                    }
                },
            };
            let completed = Some((Name::clone(name), Box::new(observation)));
            return Some(Observation { completed, ..Observation::new(Outcome::Ok) });
        }
        None
    }

    fn set_up(&mut self, name: &Name, part: &SetUp) -> Result<Observation, BackendFault> {
        match part {
            SetUp::AddHost(host) => self.addresses.add(&mut self.world, host),
            SetUp::StartProcess(spec) => {
                if self.threads.contains_key(name) {
                    return Err(BackendFault::Misuse(format!("the process `{name}` runs already")));
                }
                let host = self.addresses.host(&spec.host).map_err(BackendFault::Misuse)?;
                let image = spec.image.as_deref().unwrap_or(name);
                let caller = if spec.driver {
                    self.world.start_driver(image, spec.elevated)
                } else {
                    self.world.start_process_on(host, image, spec.elevated)
                };
                if spec.wow64 {
                    self.wow64.insert(caller.pid);
                    self.world.set_layout(caller.pid, Layout::Bits32);
                }
                self.threads.insert(Name::clone(name), BTreeMap::from([(0, caller)]));
            }
            SetUp::AddFilter { name, filter } => self
                .callouts
                .add_filter(&mut self.world, &self.addresses, name, filter)
                .map_err(BackendFault::Misuse)?,
            SetUp::InstallCallout(spec) => {
                let pid = |name: &Name| {
                    self.threads.get(name).and_then(|threads| threads.values().next()).map(|c| c.pid)
                };
                self.callouts
                    .install(&mut self.world, &self.addresses, spec, pid)
                    .map_err(BackendFault::Misuse)?;
            }
        }
        Ok(Observation::new(Outcome::Ok))
    }

    fn call(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        match &op.call {
            Call::SetUp(part) => return self.set_up(&op.process, part),
            Call::RemoveCallout { callout } => {
                return self.callouts.remove(&mut self.world, callout).map_err(BackendFault::Misuse);
            }
            Call::DestroyHandles { callout } => {
                return self.callouts.destroy_handles(&mut self.world, callout).map_err(BackendFault::Misuse);
            }
            Call::KernelCall(call) => {
                return self.callouts.kernel_call(&mut self.world, call).map_err(BackendFault::Misuse);
            }
            Call::UnloadDriver { callout } => {
                return self.callouts.unload(&mut self.world, callout).map_err(BackendFault::Misuse);
            }
            Call::Account { callout } => {
                return self.callouts.account(&self.world, callout).map_err(BackendFault::Misuse);
            }
            Call::AddFilter(filter) => {
                let name = op.name.clone().unwrap_or_else(|| "a filter".into());
                self.callouts
                    .add_filter(&mut self.world, &self.addresses, &name, filter)
                    .map_err(BackendFault::Misuse)?;
                return Ok(Observation::new(Outcome::Ok));
            }
            Call::RemoveFilter { filter } => {
                self.callouts.remove_filter(&mut self.world, filter).map_err(BackendFault::Misuse)?;
                return Ok(Observation::new(Outcome::Ok));
            }
            Call::CompleteClassify { callout, completion } => {
                return self.complete_classify(callout, *completion);
            }
            Call::Wait { calls, limit } => return self.wait(calls, *limit),
            Call::Advance { milliseconds } => {
                self.world.advance(*milliseconds);
                return Ok(Observation::new(Outcome::Ok));
            }
            Call::Network { down } => {
                self.world.set_network_down(*down);
                return Ok(Observation::new(Outcome::Ok));
            }
            Call::CountContexts {} => return Ok(counted(self.world.live_contexts())),
            Call::CountAll {} => return Ok(counted(self.world.live())),
            _ => {}
        }
        let caller = self.thread(&op.process, op.thread)?;
        match &op.call {
            Call::EndProcess {} => {
                self.world.end_process(caller.pid);
                self.threads.remove(&op.process);
                Ok(Observation::new(Outcome::Ok))
            }
            Call::QueryRecords(_) | Call::QueryContext(_) | Call::SetRecords(_) | Call::Ioctl { .. } => {
                self.control(caller, op)
            }
            Call::Describe { socket } => {
                let state = match self.sockets.get(socket) {
                    Some(socket) => state_name(self.world.socket_state(caller, socket.handle)),
                    None => SocketState::NotASocket,
                };
                Ok(Observation { state: Some(state), ..Observation::new(Outcome::Ok) })
            }
            Call::Connect { .. } => self.connect(caller, op),
            Call::OriginalDestination { .. } => self.original_destination(caller, op),
            Call::SendTo { .. }
            | Call::ReceiveFrom { .. }
            | Call::SendMessage(_)
            | Call::ReceiveMessage(_)
            | Call::SetOption { .. }
            | Call::GetOption { .. } => self.datagram_call(caller, op),
            Call::WskControl(_) | Call::SioFormatRecords(_) | Call::CancelIrp { .. } => {
                self.wsk_call(caller, op)
            }
            _ => self.socket_call(caller, op),
        }
    }

    fn new_socket(&mut self, caller: Caller, op: &Op) -> Result<(), WinsockError> {
        let Call::Socket { family, overlapped, nonblocking, protocol, provider } = op.call else {
            return Ok(());
        };
        let provider = match provider {
            ProviderKind::Tcpip => Provider::Tcpip,
            ProviderKind::Layered => Provider::Layered,
        };
        let protocol_given = protocol_of(protocol);
        let kind = SocketKind { overlapped, nonblocking, provider, protocol: protocol_given, ..kind(family) };
        let handle = self.world.socket(caller, kind)?;
        self.name_socket(op.name.as_ref(), Socket { handle, family, protocol });
        Ok(())
    }

    /// The plain calls of Winsock.
    fn socket_call(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        let name = op.name.as_ref();
        let result = match &op.call {
            Call::Socket { .. } => self.new_socket(caller, op),
            Call::Bind { socket, to, mapped } => {
                let socket = self.socket(socket)?;
                let family = match (socket.family, mapped) {
                    (SocketFamily::Dual, false) => SocketFamily::Ipv6,
                    (family, _) => family,
                };
                let address = self.addresses.resolve(to, family).map_err(BackendFault::Misuse)?;
                self.world.bind(caller, socket.handle, address)
            }
            Call::Listen { socket, backlog } => {
                self.world.listen(caller, self.socket(socket)?.handle, *backlog)
            }
            Call::Accept { socket } => {
                let Socket { handle, family, .. } = self.socket(socket)?;
                match self.world.accept(caller, handle) {
                    Ok(Completion::Done(handle)) => {
                        self.name_socket(name, Socket { handle, family, protocol: SocketProtocol::Tcp });
                        Ok(())
                    }
                    Ok(Completion::Pending(id)) => {
                        return Ok(
                            self.name_pending(op, Pending { id, family, asked: None, receiving: None })
                        );
                    }
                    Err(error) => Err(error),
                }
            }
            Call::AcceptEx { socket, into } => {
                let Socket { handle, family, .. } = self.socket(socket)?;
                match self.world.accept_ex(caller, handle, self.socket(into)?.handle) {
                    Ok(Completion::Done(())) => Ok(()),
                    Ok(Completion::Pending(id)) => {
                        return Ok(
                            self.name_pending(op, Pending { id, family, asked: None, receiving: None })
                        );
                    }
                    Err(error) => Err(error),
                }
            }
            Call::UpdateAcceptContext { socket, listening } => {
                let (socket, listening) = (self.socket(socket)?, self.socket(listening)?);
                self.world.update_accept_context(caller, socket.handle, listening.handle)
            }
            Call::UpdateConnectContext { socket } => {
                self.world.update_connect_context(caller, self.socket(socket)?.handle)
            }
            Call::Send { socket, data } => {
                self.world.send(caller, self.socket(socket)?.handle, data.as_bytes()).map(|_| ())
            }
            Call::Receive { socket, length } => {
                let Socket { handle, family, .. } = self.socket(socket)?;
                match self.world.recv(caller, handle, *length as usize) {
                    Ok(Completion::Done(bytes)) => return Ok(self.received(name, bytes)),
                    Ok(Completion::Pending(id)) => {
                        return Ok(
                            self.name_pending(op, Pending { id, family, asked: None, receiving: None })
                        );
                    }
                    Err(error) => Err(error),
                }
            }
            Call::Shutdown { socket, how } => {
                let how = match how {
                    ShutdownHow::Receive => Shutdown::Receive,
                    ShutdownHow::Send => Shutdown::Send,
                    ShutdownHow::Both => Shutdown::Both,
                };
                self.world.shutdown(caller, self.socket(socket)?.handle, how)
            }
            Call::Close { socket } => self.world.closesocket(caller, self.socket(socket)?.handle),
            Call::Duplicate { socket, process } => {
                let socket = self.socket(socket)?;
                let unknown = || BackendFault::Misuse(format!("no process `{process}` runs"));
                let pid = self
                    .threads
                    .get(process)
                    .and_then(|threads| threads.values().next())
                    .ok_or_else(unknown)?
                    .pid;
                self.world
                    .wsa_duplicate_socket(caller, socket.handle, pid)
                    .map(|handle| self.name_socket(name, Socket { handle, ..socket }))
            }
            Call::LocalName { socket } => {
                let address = self.world.getsockname(caller, self.socket(socket)?.handle);
                return Ok(self.told(address));
            }
            Call::PeerName { socket } => {
                let address = self.world.getpeername(caller, self.socket(socket)?.handle);
                return Ok(self.told(address));
            }
            _ => return self.operation_call(caller, op),
        };
        Ok(Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok)))
    }

    fn told(&self, address: Result<SocketAddr, WinsockError>) -> Observation {
        match address {
            Ok(address) => {
                let address = Some(self.addresses.endpoint(&self.world, address));
                Observation { address, ..Observation::new(Outcome::Ok) }
            }
            Err(error) => Observation::new(Outcome::Error(error)),
        }
    }
}

impl Backend for SimBackend {
    fn identify(&self) -> Identity {
        Identity { name: "sim".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), os: None }
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        // What a case says of the profile is its own affair: the backend can do what it could before.
        let features = std::mem::take(&mut self.features);
        *self = Self { features, ..Self::new(settings.profile.clone()) };
        Ok(())
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let observation = self.call(op)?;
        Ok(self.survived(observation))
    }
}

/// Everything, as far as the machine has it.
fn features(profile: &Profile) -> Features {
    let newer = [Feature::RedirectRecords, Feature::OriginalDestination];
    let old = profile.windows_version == WindowsVersion::Seven;
    let all = Feature::ALL.iter().map(|(feature, _)| *feature);
    all.filter(|feature| !(old && newer.contains(feature))).collect()
}

fn counted(count: usize) -> Observation {
    Observation { count: Some(count as u64), ..Observation::new(Outcome::Ok) }
}

fn kind(family: SocketFamily) -> SocketKind {
    match family {
        SocketFamily::Ipv4 => SocketKind::V4,
        SocketFamily::Ipv6 => SocketKind::V6,
        SocketFamily::Dual => SocketKind::DUAL,
    }
}

fn protocol_of(protocol: SocketProtocol) -> Protocol {
    match protocol {
        SocketProtocol::Tcp => Protocol::Tcp,
        SocketProtocol::Udp => Protocol::Udp,
        SocketProtocol::Raw(number) => Protocol::Raw { number, header_included: false },
        SocketProtocol::RawWithHeader(number) => Protocol::Raw { number, header_included: true },
    }
}

fn state_name(state: wfp_sim::SocketState) -> SocketState {
    use wfp_sim::SocketState as Sim;
    match state {
        Sim::NotASocket => SocketState::NotASocket,
        Sim::Fresh => SocketState::Fresh,
        Sim::Bound => SocketState::Bound,
        Sim::Listening => SocketState::Listening,
        Sim::Connecting => SocketState::Connecting,
        Sim::Connected => SocketState::Connected,
        Sim::Reset => SocketState::Reset,
        Sim::Accepted { redirected: false, .. } => SocketState::Accepted,
        Sim::Accepted { updated: false, .. } => SocketState::AcceptedRedirectedNotUpdated,
        Sim::Accepted { peer_closed: true, .. } => SocketState::AcceptedRedirectedPeerClosed,
        Sim::Accepted { .. } => SocketState::AcceptedRedirected,
    }
}
