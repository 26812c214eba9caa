//! TCP sockets as Winsock has them, over IPv4, IPv6 and dual-stack.
//!
//! A call that could block answers [`Completion::Pending`]; [`World::completion`] tells later what became of it.
//! Not modelled: segments, windows, TIME_WAIT, socket options beside those that are calls here. Data that is
//! sent has arrived.
//!
//! Source: win32 and sdk-api pages of the functions named at each method.

mod accept;
mod bind;
mod close;
mod connect;
mod data;

pub use data::Shutdown;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::Family;
use crate::error::WinsockError;
use crate::ids::{Caller, ContextId, FlowId, HostId, PendingId, Pid, SocketHandle, SocketId};
use crate::profile::Profile;
use crate::records::Records;
use crate::world::{Renumber, World};

/// What a call that can block gives at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completion<T> {
    /// It is done.
    Done(T),
    /// It goes on; ask [`World::completion`] later.
    Pending(PendingId),
}

impl<T> Completion<T> {
    /// The result, unless the call is pending.
    #[must_use]
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Pending(_) => None,
        }
    }
}

/// What a pending call gave in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completed {
    /// `accept`: the new socket.
    Accepted(SocketHandle),
    /// `AcceptEx`: the socket that was given is connected now.
    AcceptedEx,
    /// `recv`: the bytes; none at the end of the stream.
    Received(Vec<u8>),
}

/// What a new socket is to be.
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
}

impl SocketKind {
    /// An IPv4 socket.
    pub const V4: Self = Self { family: Family::Ipv4, v6_only: false, overlapped: true, nonblocking: false };
    /// An IPv6 socket that serves IPv6 alone.
    pub const V6: Self = Self { family: Family::Ipv6, v6_only: true, overlapped: true, nonblocking: false };
    /// An IPv6 socket that serves IPv4 too, by v4-mapped addresses.
    pub const DUAL: Self = Self { v6_only: false, ..Self::V6 };

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
    /// Nobody answered yet.
    Connecting {
        deadline: u64,
        pending: Option<PendingId>,
    },
    Connected(Connection),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// The end that connected.
    Client,
    /// The end that was accepted.
    Server,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    pub(crate) client: End,
    pub(crate) server: End,
    /// What the acceptor can ask for; `None` where the connection was not redirected to it.
    pub(crate) records: Option<Arc<Records>>,
    /// The contexts that are freed with this connection.
    pub(crate) contexts: Vec<ContextId>,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    /// Arrived, and not read yet.
    pub(crate) received: Vec<u8>,
    pub(crate) closed: bool,
    /// The peer will send no more.
    pub(crate) end_of_stream: bool,
    /// The peer ended the connection abruptly.
    pub(crate) reset: bool,
    pub(crate) shut_receive: bool,
    /// A receive that waits for data.
    pub(crate) waiting: Option<PendingId>,
}

impl End {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            received: Vec::new(),
            closed: false,
            end_of_stream: false,
            reset: false,
            shut_receive: false,
            waiting: None,
        }
    }
}

impl Flow {
    pub(crate) fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber<'_>, profile: &Profile) -> Self {
        let mut flow = self.clone();
        flow.records = self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile)));
        flow.contexts.iter_mut().for_each(|context| *context = renumber.context(*context));
        for side in [Side::Client, Side::Server] {
            let end = flow.end_mut(side);
            end.waiting = end.waiting.map(|id| renumber.pending(id));
        }
        flow
    }
}

impl Socket {
    pub(crate) fn new(host: HostId, kind: SocketKind) -> Self {
        Self { host, kind, descriptors: 1, local: None, state: State::Unconnected, records: None }
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber<'_>, profile: &Profile) -> Self {
        let mut socket = self.clone();
        socket.records = self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile)));
        match &mut socket.state {
            State::Unconnected | State::Failed(_) => {}
            State::Listening(listening) => {
                listening.queue.iter_mut().for_each(|flow| *flow = renumber.flow(*flow));
                listening.waiting.iter_mut().for_each(|id| *id = renumber.pending(*id));
            }
            State::Connecting { pending, .. } => *pending = pending.map(|id| renumber.pending(id)),
            State::Connected(connection) => connection.flow = renumber.flow(connection.flow),
        }
        socket
    }
}

/// A call that has not been asked about since it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PendingCall {
    Accept { listener: SocketId, pid: Pid },
    AcceptEx { listener: SocketId, socket: SocketId },
    Connect,
    Receive { length: usize },
    Completed(Result<Completed, WinsockError>),
}

impl PendingCall {
    pub(crate) fn renumbered(&self, renumber: &Renumber<'_>) -> Self {
        match self {
            Self::Accept { listener, pid } => Self::Accept { listener: renumber.socket(*listener), pid: *pid },
            Self::AcceptEx { listener, socket } => {
                Self::AcceptEx { listener: renumber.socket(*listener), socket: renumber.socket(*socket) }
            }
            other => other.clone(),
        }
    }
}

impl World {
    /// `socket` and `WSASocket`.
    ///
    /// # Errors
    /// WSAENETDOWN where the calling process has ended.
    pub fn socket(&mut self, caller: Caller, kind: SocketKind) -> Result<SocketHandle, WinsockError> {
        let host = self.processes.get(&caller.pid).ok_or(WinsockError::WSAENETDOWN)?.host;
        let id = self.next_socket();
        self.sockets.insert(id, Arc::new(Socket::new(host, kind)));
        Ok(self.describe(caller.pid, id))
    }

    /// `WSADuplicateSocket`, and `WSASocket` in the other process: a descriptor there of the same socket.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the other process does not exist.
    pub fn wsa_duplicate_socket(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        process: Pid,
    ) -> Result<SocketHandle, WinsockError> {
        let id = self.lookup(caller, socket)?;
        if !self.processes.contains_key(&process) {
            return Err(WinsockError::WSAEINVAL);
        }
        if let Some(socket) = self.sockets.get_mut(&id) {
            Arc::make_mut(socket).descriptors += 1;
        }
        Ok(self.describe(process, id))
    }

    /// `getsockname`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL where the socket is not bound.
    pub fn getsockname(&self, caller: Caller, socket: SocketHandle) -> Result<SocketAddr, WinsockError> {
        self.view(caller, socket)?.local.ok_or(WinsockError::WSAEINVAL)
    }

    /// `getpeername`. What the redirected end is shown is the profile field `peer-name-after-redirect`.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN, also between AcceptEx or ConnectEx and the update of the socket's context.
    pub fn getpeername(&self, caller: Caller, socket: SocketHandle) -> Result<SocketAddr, WinsockError> {
        match &self.view(caller, socket)?.state {
            State::Connected(connection) if connection.updated && !self.is_reset(connection) => Ok(connection.peer),
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

    /// The records that were set on a socket.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn records_set(&self, caller: Caller, socket: SocketHandle) -> Result<Option<&Records>, WinsockError> {
        Ok(self.view(caller, socket)?.records.as_deref())
    }

    /// The records that a redirected connection brought to its accepted socket.
    ///
    /// # Errors
    /// WSAENOTSOCK.
    pub fn records_arrived(&self, caller: Caller, socket: SocketHandle) -> Result<Option<&Records>, WinsockError> {
        Ok(self.arrived(self.view(caller, socket)?))
    }

    /// What became of a pending call; `None` while it goes on. The answer is given once: afterwards the number
    /// is unknown, and WSAEINVAL.
    pub fn completion(&mut self, pending: PendingId) -> Option<Result<Completed, WinsockError>> {
        match self.pending.get(&pending) {
            None => Some(Err(WinsockError::WSAEINVAL)),
            Some(PendingCall::Completed(_)) => match self.pending.remove(&pending) {
                Some(PendingCall::Completed(result)) => Some(result),
                _ => None,
            },
            Some(_) => None,
        }
    }

    // What the calls share.

    #[inline]
    pub(crate) fn lookup(&self, caller: Caller, socket: SocketHandle) -> Result<SocketId, WinsockError> {
        self.descriptors.get(&(caller.pid, socket)).copied().ok_or(WinsockError::WSAENOTSOCK)
    }

    #[inline]
    pub(crate) fn view(&self, caller: Caller, socket: SocketHandle) -> Result<&Socket, WinsockError> {
        self.sockets.get(&self.lookup(caller, socket)?).map(|socket| &**socket).ok_or(WinsockError::WSAENOTSOCK)
    }

    pub(crate) fn socket_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.sockets.get_mut(&id).map(Arc::make_mut)
    }

    pub(crate) fn flow_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.flows.get_mut(&id).map(Arc::make_mut)
    }

    pub(crate) fn describe(&mut self, pid: Pid, id: SocketId) -> SocketHandle {
        let handle = self.next_descriptor();
        self.descriptors.insert((pid, handle), id);
        handle
    }

    pub(crate) fn pend(&mut self, call: PendingCall) -> PendingId {
        let id = self.next_pending();
        self.pending.insert(id, call);
        id
    }

    pub(crate) fn complete(&mut self, pending: PendingId, result: Result<Completed, WinsockError>) {
        self.pending.insert(pending, PendingCall::Completed(result));
    }

    pub(crate) fn is_reset(&self, connection: &Connection) -> bool {
        self.flows.get(&connection.flow).is_none_or(|flow| flow.end(connection.side).reset)
    }

    /// The records that an accepted socket can be asked for.
    #[inline]
    pub(crate) fn arrived(&self, socket: &Socket) -> Option<&Records> {
        match &socket.state {
            State::Connected(Connection { flow, side: Side::Server, .. }) => {
                self.flows.get(flow)?.records.as_deref()
            }
            _ => None,
        }
    }
}
