//! Sockets as Winsock has them, over IPv4, IPv6 and dual-stack: those of TCP here, and what all kinds share. UDP and
//! raw sockets have a folder of their own, `datagram`.
//!
//! A call that could block answers [`Completion::Pending`]; [`World::completion`] tells later what became of it.
//! Not modelled: segments, windows, TIME_WAIT, socket options beside those that are calls here. Data that is
//! sent has arrived.
//!
//! Source: win32 and sdk-api pages of the functions named at each method.

mod accept;
mod arrival;
mod bind;
mod bind_layers;
mod classified;
mod close;
mod condition;
mod connect;
mod data;
mod flow;
mod layers;
mod original_destination;
mod pended;
mod pending;
mod protocol;
mod reach;
mod reauthorize;
mod route;
mod state;
mod waiting;

pub use condition::Decided;
pub use data::Shutdown;
pub use original_destination::{SO_ORIGINAL_DST, SOL_IP, SOL_IPV6, SOL_SOCKET};
pub use pending::{Completed, Completion};
pub use protocol::Protocol;
pub use state::SocketState;

pub(crate) use arrival::Arrival;
pub(crate) use bind::PortSpace;
pub(crate) use classified::{Classified, Route};
pub(crate) use flow::{End, Flow, Receiver, Side};
pub(crate) use layers::{Asking, Traces};
pub(crate) use pended::{PendedClassify, Waits};
pub(crate) use pending::{Pending, PendingCall};
pub(crate) use reauthorize::Authorized;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::Family;
use crate::canonical::Renumber;
use crate::datagram::Datagrams;
use crate::error::WinsockError;
use crate::ids::{Caller, ContextId, FlowId, HostId, PendingId, Pid, SocketHandle, SocketId};
use crate::profile::Profile;
use crate::records::Records;
use crate::world::{LOCAL_HOST, World};

/// What a new socket is to be.
///
/// Source: sdk-api "WSASocketW"; win32 "Dual-Stack Sockets for IPv6 Winsock Applications".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKind {
    /// `AF_INET` or `AF_INET6`.
    pub family: Family,
    /// `IPV6_V6ONLY`; set by default on Windows. Without it an IPv6 socket is dual-stack.
    pub v6_only: bool,
    /// `WSA_FLAG_OVERLAPPED`; `socket()` sets it.
    pub overlapped: bool,
    /// `FIONBIO`.
    pub nonblocking: bool,
    /// The type and the protocol.
    pub protocol: Protocol,
    /// Whose protocol entry `WSASocket` was given.
    pub provider: Provider,
}

/// A transport service provider.
///
/// Source: win32 "Windows Sockets 2 Service Provider Interface", base and layered providers; the pages of the three
/// control codes, WSAEOPNOTSUPP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The base provider of Windows, MSAFD TCP/IP.
    #[default]
    Tcpip,
    /// A layered one over it, which knows nothing of the three control codes and does not pass them on.
    Layered,
}

impl SocketKind {
    /// An IPv4 socket.
    pub const V4: Self = Self {
        family: Family::Ipv4,
        v6_only: false,
        overlapped: true,
        nonblocking: false,
        protocol: Protocol::Tcp,
        provider: Provider::Tcpip,
    };
    /// An IPv6 socket that serves IPv6 alone.
    pub const V6: Self = Self { family: Family::Ipv6, v6_only: true, ..Self::V4 };
    /// An IPv6 socket that serves IPv4 too, by v4-mapped addresses.
    pub const DUAL: Self = Self { v6_only: false, ..Self::V6 };

    /// The same from a layered provider.
    #[must_use]
    pub const fn layered(self) -> Self {
        Self { provider: Provider::Layered, ..self }
    }

    /// The same for UDP.
    #[must_use]
    pub const fn udp(self) -> Self {
        Self { protocol: Protocol::Udp, ..self }
    }

    /// The same for raw packets of this IP protocol, whose IP header Windows writes.
    #[must_use]
    pub const fn raw(self, number: u8) -> Self {
        Self { protocol: Protocol::Raw { number, header_included: false }, ..self }
    }

    /// Whether the socket serves both families.
    #[must_use]
    pub fn is_dual(self) -> bool {
        self.family == Family::Ipv6 && !self.v6_only
    }
}

/// A socket. Several descriptors can name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Socket {
    pub(crate) host: HostId,
    pub(crate) kind: SocketKind,
    pub(crate) descriptors: u32,
    /// Where it is bound, as its own family writes it.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) state: State,
    /// What SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS put on it.
    pub(crate) records: Option<Arc<Records>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Unconnected,
    Listening(Box<Listening>),
    /// Given to an AcceptEx that waits for a connection.
    Accepting(PendingId),
    /// Nobody answered yet.
    Connecting {
        deadline: u64,
        /// The call that waits; none does on a non-blocking socket.
        pending: Option<PendingId>,
        /// The contexts of its redirects, for a connection that there is not yet.
        contexts: Vec<ContextId>,
    },
    Connected(Connection),
    /// Not TCP: all that such a socket is beside its local address.
    Datagram(Box<Datagrams>),
    /// A connect of a non-blocking socket failed; the next connect reports it.
    Failed(WinsockError),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Listening {
    pub(crate) backlog: usize,
    /// Connections that wait to be accepted.
    pub(crate) queue: VecDeque<FlowId>,
    /// Accepts that wait for a connection.
    pub(crate) waiting: VecDeque<PendingId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Connection {
    pub(crate) flow: FlowId,
    pub(crate) side: Side,
    /// What `getpeername` shows.
    pub(crate) peer: SocketAddr,
    /// Whether the socket knows that it is connected: not between AcceptEx or ConnectEx and
    /// SO_UPDATE_ACCEPT_CONTEXT or SO_UPDATE_CONNECT_CONTEXT.
    pub(crate) updated: bool,
}

impl Socket {
    pub(crate) fn new(host: HostId, kind: SocketKind) -> Self {
        let state = match kind.protocol {
            Protocol::Tcp => State::Unconnected,
            Protocol::Udp | Protocol::Raw { .. } => State::Datagram(Box::default()),
        };
        Self { host, kind, descriptors: 1, local: None, state, records: None }
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let mut socket = self.clone();
        socket.records = self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile)));
        match &mut socket.state {
            State::Unconnected | State::Failed(_) => {}
            State::Listening(listening) => {
                listening.queue.iter_mut().for_each(|flow| *flow = renumber.flow(*flow));
                listening.waiting.iter_mut().for_each(|id| *id = renumber.pending(*id));
            }
            State::Accepting(pending) => *pending = renumber.pending(*pending),
            State::Connecting { pending, contexts, .. } => {
                *pending = pending.map(|id| renumber.pending(id));
                for context in contexts {
                    *context = renumber.context(*context);
                }
            }
            State::Connected(connection) => connection.flow = renumber.flow(connection.flow),
            State::Datagram(datagrams) => datagrams.renumber(renumber, profile),
        }
        socket
    }
}

impl World {
    /// `socket` and `WSASocket`.
    ///
    /// # Errors
    /// WSAENETDOWN where the network subsystem has failed, or the calling process has ended; WSAEACCES for a raw socket
    /// without administrative rights.
    pub fn socket(&mut self, caller: Caller, kind: SocketKind) -> Result<SocketHandle, WinsockError> {
        let process = self.processes.get(&caller.pid).ok_or(WinsockError::WSAENETDOWN)?;
        let (host, elevated) = (process.host, process.elevated);
        self.check_network(caller)?;
        if matches!(kind.protocol, Protocol::Raw { .. }) && !elevated {
            return Err(WinsockError::WSAEACCES);
        }
        let id = self.next_socket();
        self.sockets.insert(id, Arc::new(Socket::new(host, kind)));
        Ok(self.describe(caller.pid, id))
    }

    /// `WSADuplicateSocket`, and `WSASocket` in the other process: a descriptor there of the same socket.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where there is no such process on the caller's host.
    pub fn wsa_duplicate_socket(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        process: Pid,
    ) -> Result<SocketHandle, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let other = self.processes.get(&process).map(|process| process.host);
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        if other != Some(socket.host) {
            return Err(WinsockError::WSAEINVAL);
        }
        socket.descriptors += 1;
        Ok(self.describe(process, id))
    }

    /// `getsockname`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is not bound, or AcceptEx connected it and its context was not
    /// updated since.
    pub fn getsockname(&self, caller: Caller, socket: SocketHandle) -> Result<SocketAddr, WinsockError> {
        let socket = self.view(caller, socket)?;
        match socket.state {
            State::Connected(Connection { side: Side::Server, updated: false, .. }) => {
                Err(WinsockError::WSAEINVAL)
            }
            _ => socket.local.ok_or(WinsockError::WSAEINVAL),
        }
    }

    /// `getpeername`. What the redirected end is shown is the profile field `peer-name-after-redirect`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN, also after the peer reset the connection, and between AcceptEx or ConnectEx and
    /// the update of the socket's context.
    pub fn getpeername(&self, caller: Caller, socket: SocketHandle) -> Result<SocketAddr, WinsockError> {
        match &self.view(caller, socket)?.state {
            State::Connected(connection) if connection.updated && !self.is_reset(connection) => {
                Ok(connection.peer)
            }
            State::Datagram(datagrams) => datagrams.peer.ok_or(WinsockError::WSAENOTCONN),
            _ => Err(WinsockError::WSAENOTCONN),
        }
    }

    /// The socket behind a descriptor, for a trace.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn socket_id(&self, caller: Caller, socket: SocketHandle) -> Result<SocketId, WinsockError> {
        self.lookup(caller, socket)
    }

    /// The records that were set on a socket. No program can ask this; a test may.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn records_set(
        &self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Option<&Records>, WinsockError> {
        Ok(self.view(caller, socket)?.records.as_deref())
    }

    /// The records that a redirected connection brought to its accepted socket, or a redirected flow to a connected one.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn records_arrived(
        &self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Option<&Records>, WinsockError> {
        match &self.view(caller, socket)?.state {
            State::Connected(Connection { flow, side: Side::Server, .. }) => Ok(self.flow_records(*flow)),
            State::Datagram(datagrams) => {
                Ok(datagrams.flow_from_peer().and_then(|flow| self.flow_records(flow)))
            }
            _ => Ok(None),
        }
    }

    // What the calls share.

    #[inline]
    pub(crate) fn lookup(&self, caller: Caller, socket: SocketHandle) -> Result<SocketId, WinsockError> {
        if self.network_down {
            self.check_network(caller)?;
        }
        self.descriptors.get(&(caller.pid, socket)).copied().ok_or(WinsockError::WSAENOTSOCK)
    }

    /// A socket, whatever has become of the network.
    #[inline]
    pub(crate) fn descriptor(&self, caller: Caller, socket: SocketHandle) -> Option<&Socket> {
        self.sockets.get(self.descriptors.get(&(caller.pid, socket))?).map(|socket| &**socket)
    }

    #[inline]
    pub(crate) fn view(&self, caller: Caller, socket: SocketHandle) -> Result<&Socket, WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.sockets.get(&id).map(|socket| &**socket).ok_or(WinsockError::WSAENOTSOCK)
    }

    /// WSAENETDOWN for the callers of this machine while its network subsystem has failed.
    #[cold]
    fn check_network(&self, caller: Caller) -> Result<(), WinsockError> {
        match self.processes.get(&caller.pid) {
            Some(process) if process.host == LOCAL_HOST && self.network_down => {
                Err(WinsockError::WSAENETDOWN)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn socket_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.sockets.get_mut(&id).map(Arc::make_mut)
    }

    /// The queues of a socket, if it listens.
    pub(crate) fn listening_mut(&mut self, id: SocketId) -> Option<&mut Listening> {
        match &mut self.socket_mut(id)?.state {
            State::Listening(listening) => Some(listening),
            _ => None,
        }
    }

    pub(crate) fn flow_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.flows.get_mut(&id).map(Arc::make_mut)
    }

    /// Gives a process a descriptor of a socket.
    pub(crate) fn describe(&mut self, pid: Pid, id: SocketId) -> SocketHandle {
        let handle = self.next_descriptor();
        self.descriptors.insert((pid, handle), id);
        handle
    }

    pub(crate) fn is_reset(&self, connection: &Connection) -> bool {
        self.flows.get(&connection.flow).is_none_or(|flow| flow.end(connection.side).reset)
    }
}
