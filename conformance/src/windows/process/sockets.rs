//! The plain calls of Winsock.

use std::net::SocketAddr;
use std::time::Duration;

use wfp_sim::address::from_sockaddr_storage;
use wfp_sim::{SO_ORIGINAL_DST, WinsockError};

use super::tables::{Descriptor, Tables};
use super::work::{Done, Work, cannot, done};
use crate::dialling::Dialling;
use crate::vocabulary::{
    BackendFault, Call, Length, Name, Observation, Op, OptionLevel, Outcome, PointerKind, ProviderKind,
    SocketFamily, SocketProtocol,
};
use crate::windows::system::{self, Kind, Memory, Socket};
use crate::windows::wire::{Bytes, Duplicated};

/// How long a connection may take from one end of this machine to the other, once `connect` has returned.
const ACCEPT_GRACE: Duration = Duration::from_millis(20);
/// The same for data and datagrams.
pub(super) const RECEIVE_GRACE: Duration = Duration::from_millis(100);
/// What is given to a call that nothing can have arrived for: enough for one that fails at once.
const NOTHING_CAN_COME: Duration = Duration::from_millis(100);
/// How long a connect may take: Windows tries a port that refuses three times, which takes two seconds.
const CONNECT_GRACE: Duration = Duration::from_secs(10);

impl Tables {
    pub(super) fn socket_call(&mut self, op: &Op) -> Result<Work, BackendFault> {
        match &op.call {
            Call::Socket { .. } => new_socket(&op.call),
            Call::Bind { socket, to, mapped } => {
                let Descriptor { socket, family, .. } = self.socket(socket)?;
                let family = match (family, mapped) {
                    (SocketFamily::Dual, false) => SocketFamily::Ipv6,
                    (family, _) => family,
                };
                let address = self.ground.own(to, &self.host, family)?;
                Ok(Work::lane(move || done(socket.bind(&address))))
            }
            Call::Listen { socket, backlog } => {
                let (socket, backlog) = (self.socket(socket)?.socket, *backlog);
                Ok(Work::lane(move || done(socket.listen(backlog))))
            }
            Call::Accept { socket } => {
                let Descriptor { socket, family, protocol, .. } = self.socket(socket)?;
                Ok(Work::helper(self.grace(ACCEPT_GRACE), move || match socket.accept() {
                    Ok(accepted) => named(Descriptor::new(accepted, family, protocol)),
                    Err(error) => done(Err(error)),
                }))
            }
            Call::AcceptEx { socket, into } => {
                let (listening, into) = (self.socket(socket)?.socket, self.socket(into)?.socket);
                let grace = self.grace(ACCEPT_GRACE);
                Ok(Work::helper(grace, move || done(system::accept_ex(listening, into))))
            }
            Call::UpdateAcceptContext { socket, listening } => {
                let (socket, listening) = (self.socket(socket)?.socket, self.socket(listening)?.socket);
                Ok(Work::lane(move || done(socket.update_accept_context(listening))))
            }
            Call::UpdateConnectContext { socket } => {
                let socket = self.socket(socket)?.socket;
                Ok(Work::lane(move || done(socket.update_connect_context())))
            }
            Call::Connect { socket, to, family, ex } => {
                let Descriptor { socket, family: own, .. } = self.socket(socket)?;
                let Some(to) = self.dialled(to, own, *family)? else {
                    return Ok(Work::lane(|| done(Err(WinsockError::WSAEAFNOSUPPORT))));
                };
                let ex = *ex;
                Ok(Work::helper(CONNECT_GRACE, move || {
                    done(if ex { system::connect_ex(socket, &to) } else { socket.connect(&to) })
                }))
            }
            Call::Send { socket, data } => {
                let (socket, data) = (self.socket(socket)?.socket, data.clone());
                Ok(Work::lane(move || done(socket.send(data.as_bytes()))))
            }
            Call::Receive { socket, length } => {
                let (socket, length) = (self.socket(socket)?.socket, *length);
                Ok(Work::helper(self.grace(RECEIVE_GRACE), move || match socket.receive(length) {
                    Ok(bytes) => Box::new(move |tables, name| Ok(tables.received(name, bytes))),
                    Err(error) => done(Err(error)),
                }))
            }
            Call::Shutdown { socket, how } => {
                let (socket, how) = (self.socket(socket)?.socket, *how);
                Ok(Work::lane(move || done(socket.shutdown(how))))
            }
            Call::Close { socket: name } => {
                let (socket, name) = (self.socket(name)?.socket, Name::clone(name));
                // What waits on the socket may let it wait too; that thread is not to be the scenario's.
                Ok(Work::lane(move || {
                    let result = socket.close();
                    Box::new(move |tables, _| {
                        if result.is_ok() {
                            tables.closed(&name);
                        }
                        Ok(super::work::observed(result))
                    })
                }))
            }
            Call::LocalName { socket } => self.name_of(socket, true),
            Call::PeerName { socket } => self.name_of(socket, false),
            Call::Duplicate { socket, process } => {
                let Descriptor { socket, family, protocol, .. } = self.socket(socket)?;
                let pid = self.processes.get(process).copied();
                let pid = pid.ok_or_else(|| BackendFault::Misuse(format!("no process `{process}` runs")))?;
                Ok(Work::lane(move || match socket.duplicate(pid) {
                    Ok(info) => Box::new(move |tables, _| {
                        let info = Bytes(info.into());
                        tables.news.duplicated = Some(Duplicated { family, protocol, info });
                        Ok(Observation::new(Outcome::Ok))
                    }),
                    Err(error) => done(Err(error)),
                }))
            }
            Call::OriginalDestination { socket, level, length } => {
                let Descriptor { socket, family, .. } = self.socket(socket)?;
                let (level, length) = (*level, *length);
                Ok(Work::lane(move || original_destination(socket, family, level, length)))
            }
            other => Err(BackendFault::Unsupported(format!("`{}` on a real machine", other.name()))),
        }
    }

    /// How long to wait for what arrives.
    pub(super) fn grace(&self, grace: Duration) -> Duration {
        if self.arrivals { grace } else { NOTHING_CAN_COME }
    }

    fn name_of(&self, socket: &Name, own: bool) -> Result<Work, BackendFault> {
        let socket = self.socket(socket)?.socket;
        Ok(Work::lane(move || {
            // The other end only helps to name this one.
            let (asked, other) = if own {
                (socket.local_name(), socket.peer_name())
            } else {
                (socket.peer_name(), socket.local_name())
            };
            match asked {
                Ok(address) => told(address, other.ok().flatten(), own),
                Err(error) => done(Err(error)),
            }
        }))
    }
}

fn told(address: Option<SocketAddr>, other: Option<SocketAddr>, own: bool) -> Done {
    Box::new(move |tables, _| {
        let host = if own { Name::clone(&tables.host) } else { crate::vocabulary::LOCAL.into() };
        let address = address.map(|address| tables.ground.endpoint(address, &host, other));
        Ok(Observation { address, ..Observation::new(Outcome::Ok) })
    })
}

/// A new descriptor under the name of its call.
fn named(descriptor: Descriptor) -> Done {
    Box::new(move |tables, name| {
        tables.name_socket(name, descriptor);
        Ok(Observation::new(Outcome::Ok))
    })
}

fn new_socket(call: &Call) -> Result<Work, BackendFault> {
    let Call::Socket { family, overlapped, nonblocking, provider, protocol } = *call else {
        return Err(BackendFault::Misuse("not a socket".to_owned()));
    };
    if provider == ProviderKind::Layered {
        return Err(BackendFault::Unsupported(
            "a layered provider, which would have to be installed".to_owned(),
        ));
    }
    let is_udp = match protocol {
        SocketProtocol::Tcp => false,
        SocketProtocol::Udp => true,
        SocketProtocol::Raw(_) | SocketProtocol::RawWithHeader(_) => {
            return Err(BackendFault::Unsupported("raw sockets, which need rights".to_owned()));
        }
    };
    let kind = Kind { family, is_udp, overlapped, nonblocking };
    Ok(Work::lane(move || match Socket::new(kind) {
        Ok(socket) => named(Descriptor::new(socket, family, protocol)),
        Err(error) => done(Err(error)),
    }))
}

fn original_destination(socket: Socket, family: SocketFamily, level: OptionLevel, length: Length) -> Done {
    let (level, needed) = level.on(family);
    let length = length.bytes(Some(needed));
    let Some(memory) = Memory::new(PointerKind::Valid, length, None, 0) else {
        return cannot(BackendFault::Unsupported(format!("a buffer of {length} bytes")));
    };
    let result = socket.option(level, SO_ORIGINAL_DST, &memory, length);
    let bytes = result.map(|stored| memory.read(0, stored.min(length) as usize));
    Box::new(move |tables, name| {
        let observation = match bytes {
            Ok(bytes) => {
                let address = from_sockaddr_storage(&bytes);
                let local = crate::vocabulary::LOCAL.into();
                let address = address.map(|address| tables.ground.endpoint(address, &local, None));
                Observation { address, ..tables.received(name, bytes) }
            }
            Err(error) => Observation::new(Outcome::Error(error)),
        };
        Ok(Observation { needed: Some(needed), ..observation })
    })
}
