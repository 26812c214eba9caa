//! What the names of a scenario stand for in a process.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use wfp_sim::WinsockError;

use super::control::Operation;
use super::work::{Inner, Work, observed};
use crate::dialling::Dialling;
use crate::vocabulary::{
    BackendFault, Call, Endpoint, LOCAL, Name, Observation, Op, Outcome, SocketFamily, SocketProtocol, Stored,
};
use crate::windows::ground::Ground;
use crate::windows::system::{CompletionPort, Socket};
use crate::windows::wire::{Bytes, Duplicated, News};

/// What the names of a scenario stand for, and what the process is told with each call.
pub(super) struct Tables {
    pub(super) host: Name,
    pub(super) ground: Ground,
    pub(super) blobs: HashMap<Name, Arc<[u8]>>,
    pub(super) sources: HashMap<Name, SocketAddr>,
    pub(super) processes: BTreeMap<Name, u32>,
    pub(super) foreign: Vec<Name>,
    pub(super) arrivals: bool,
    pub(super) redirects: bool,
    sockets: HashMap<Name, Descriptor>,
    pub(super) pending: HashMap<Name, u64>,
    /// In the order in which they were begun.
    pub(super) operations: IndexMap<Name, Arc<Operation>>,
    pub(super) ports: HashMap<Name, Arc<CompletionPort>>,
    /// What is there although its name stands for something else by now.
    replaced: (Vec<Descriptor>, Vec<Arc<Operation>>),
    /// How many results had no name.
    unnamed: u32,
    pub(super) news: News,
}

/// A descriptor, and what it was made as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) socket: Socket,
    pub(super) family: SocketFamily,
    pub(super) protocol: SocketProtocol,
    is_open: bool,
}

impl Descriptor {
    pub(super) fn new(socket: Socket, family: SocketFamily, protocol: SocketProtocol) -> Self {
        Self { socket, family, protocol, is_open: true }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            host: LOCAL.into(),
            ground: Ground::default(),
            blobs: HashMap::new(),
            sources: HashMap::new(),
            processes: BTreeMap::new(),
            foreign: Vec::new(),
            arrivals: false,
            redirects: false,
            sockets: HashMap::new(),
            pending: HashMap::new(),
            operations: IndexMap::new(),
            ports: HashMap::new(),
            replaced: (Vec::new(), Vec::new()),
            unnamed: 0,
            news: News::default(),
        }
    }
}

impl Dialling for Tables {
    fn resolved(&self, endpoint: &Endpoint, family: SocketFamily) -> Result<SocketAddr, BackendFault> {
        self.ground.destination(endpoint, &self.host, family)
    }

    fn rewritten(&self, address: SocketAddr, family: SocketFamily) -> SocketAddr {
        self.ground.rewritten(address, family)
    }

    fn blob(&self, name: &Name) -> Option<&[u8]> {
        self.blobs.get(name).map(|blob| &**blob)
    }

    fn source(&self, name: &Name) -> Option<SocketAddr> {
        self.sources.get(name).copied()
    }
}

impl Tables {
    /// The call that an op describes, ready to be made.
    pub(super) fn prepare(&mut self, op: &Op, inner: Inner) -> Result<Work, BackendFault> {
        match &op.call {
            Call::QueryRecords(_) | Call::QueryContext(_) | Call::SetRecords(_) | Call::Ioctl { .. } => {
                self.control(op)
            }
            Call::SendTo { .. }
            | Call::ReceiveFrom { .. }
            | Call::SendMessage(_)
            | Call::ReceiveMessage(_)
            | Call::SetOption { .. }
            | Call::GetOption { .. } => self.datagram(op),
            Call::GetResult { .. }
            | Call::EventState { .. }
            | Call::AlertableWait { .. }
            | Call::AcceptConditionally { .. }
            | Call::CreatePort {}
            | Call::Associate { .. }
            | Call::Dequeue { .. }
            | Call::CancelIo { .. }
            | Call::CancelBlockingCall {}
            | Call::FreeMemory { .. } => self.operation_call(op, inner),
            _ => self.socket_call(op),
        }
    }

    pub(super) fn socket(&self, name: &Name) -> Result<Descriptor, BackendFault> {
        let elsewhere = || {
            let foreign = self.foreign.contains(name);
            foreign
                .then(|| Descriptor::new(Socket::FOREIGN, SocketFamily::default(), SocketProtocol::default()))
        };
        let known = self.sockets.get(name).copied().or_else(elsewhere);
        let known = known.ok_or_else(|| BackendFault::Misuse(format!("no socket `{name}` was made")))?;
        // The system may have given the number of a socket that was closed to a new one; nobody means that.
        let again = |other: &Descriptor| other.is_open && other.socket == known.socket;
        if !known.is_open && self.sockets.values().chain(&self.replaced.0).any(again) {
            return Ok(Descriptor { socket: Socket::FOREIGN, ..known });
        }
        Ok(known)
    }

    pub(super) fn name_socket(&mut self, name: Option<&Name>, descriptor: Descriptor) {
        // Without a name nobody can close it either; it is closed with the process.
        let name = self.name_or_another(name);
        self.news.sockets.push(Name::clone(&name));
        let before = self.sockets.insert(name, descriptor);
        self.replaced.0.extend(before.filter(|before| before.is_open));
    }

    /// Keeps an operation, whose memory the system may write to.
    pub(super) fn keep_operation(&mut self, name: Option<&Name>, operation: Arc<Operation>) {
        let name = self.name_or_another(name);
        let before = self.operations.shift_remove(&name);
        self.operations.insert(name, operation);
        self.replaced.1.extend(before.filter(|before| before.goes_on()));
    }

    fn name_or_another(&mut self, name: Option<&Name>) -> Name {
        self.unnamed += 1;
        name.map_or_else(|| format!("unnamed {}", self.unnamed).into(), Name::clone)
    }

    pub(super) fn closed(&mut self, name: &Name) {
        if let Some(descriptor) = self.sockets.get_mut(name) {
            descriptor.is_open = false;
        }
    }

    pub(super) fn name_blob(&mut self, name: Option<&Name>, bytes: &Arc<[u8]>) {
        if let Some(name) = name {
            self.blobs.insert(Name::clone(name), Arc::clone(bytes));
            self.news.blobs.insert(Name::clone(name), Bytes(Arc::clone(bytes)));
        }
    }

    pub(super) fn name_source(&mut self, name: Option<&Name>, source: SocketAddr) {
        if let Some(name) = name {
            self.sources.insert(Name::clone(name), source);
            self.news.sources.insert(Name::clone(name), source);
        }
    }

    pub(super) fn received(&mut self, name: Option<&Name>, bytes: Vec<u8>) -> Observation {
        let bytes: Arc<[u8]> = bytes.into();
        self.name_blob(name, &bytes);
        Observation { stored: Some(Stored { bytes, rest_untouched: true }), ..Observation::new(Outcome::Ok) }
    }

    /// Makes a descriptor from what another process duplicated.
    pub(super) fn adopt(&mut self, name: Option<&Name>, duplicated: &Duplicated) -> Observation {
        let Duplicated { family, protocol, info } = duplicated;
        let adopted = Socket::adopt(&info.0);
        observed(adopted.map(|socket| self.name_socket(name, Descriptor::new(socket, *family, *protocol))))
    }

    /// Closes every socket and port; gives the operations, which may go on until the system has heard of it.
    pub(super) fn close_everything(&mut self) -> Vec<Arc<Operation>> {
        let (sockets, operations) = std::mem::take(&mut self.replaced);
        let sockets = self.sockets.drain().map(|(_, descriptor)| descriptor).chain(sockets);
        for descriptor in sockets.filter(|descriptor| descriptor.is_open) {
            // What the system closed itself is closed, too.
            let _: Result<(), WinsockError> = descriptor.socket.close();
        }
        self.ports.clear();
        self.operations.drain(..).map(|(_, operation)| operation).chain(operations).collect()
    }
}
