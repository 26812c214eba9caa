//! `recvfrom` and `recv`, and what all receives of datagrams share: the queue, and the call that waits at it.
//!
//! Source: sdk-api "recvfrom".

use std::net::SocketAddr;

use super::control::Telling;
use super::{Arrived, WsaMsg, message::Buffer};
use crate::address;
use crate::control_message::{MSG_CTRUNC, MSG_PEEK, MSG_TRUNC};
use crate::datagram::ReceivedMessage;
use crate::error::WinsockError;
use crate::ids::{Caller, PendingId, Pid, SocketHandle, SocketId};
use crate::socket::{Completed, Completion, PendingCall};
use crate::world::World;

/// What `recvfrom` gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedDatagram {
    /// As much of it as was asked for.
    pub data: Vec<u8>,
    /// The source that it shows.
    pub from: SocketAddr,
    /// Whether there was more: then the call returned SOCKET_ERROR with WSAEMSGSIZE, and the rest is lost.
    pub truncated: bool,
}

/// A receive that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Waiting {
    pub(crate) pending: PendingId,
    pub(crate) owner: Pid,
    pub(crate) receive: Receive,
}

/// Which call it is, and where it wants what arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Receive {
    /// `recv`, of so many bytes.
    Data(usize),
    /// `recvfrom`, of so many bytes.
    Datagram(usize),
    /// `WSARecvMsg`.
    Message(WsaMsg),
}

impl World {
    /// `recvfrom` on a datagram socket: the next datagram, up to `length` bytes of it. Control data is not received,
    /// and lost. One receive can wait at a time.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEOPNOTSUPP on a TCP socket, for which the model has [`World::recv`]; WSAEINVAL where the socket is
    /// not bound; WSAEINPROGRESS where another receive waits; WSAEWOULDBLOCK on a non-blocking socket.
    pub fn recvfrom(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        length: usize,
    ) -> Result<Completion<ReceivedDatagram>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        match self.receive(caller, id, Receive::Datagram(length))? {
            Completion::Done(Completed::ReceivedFrom(datagram)) => Ok(Completion::Done(datagram)),
            Completion::Done(_) => Err(WinsockError::WSAEINVAL),
            Completion::Pending(pending) => Ok(Completion::Pending(pending)),
        }
    }

    /// `recv` on a datagram socket: WSAEMSGSIZE where the datagram is longer; then all of it is lost to the caller.
    pub(crate) fn recv_datagram(
        &mut self,
        caller: Caller,
        id: SocketId,
        length: usize,
    ) -> Result<Completion<Vec<u8>>, WinsockError> {
        match self.receive(caller, id, Receive::Data(length))? {
            Completion::Done(Completed::Received(data)) => Ok(Completion::Done(data)),
            Completion::Done(_) => Err(WinsockError::WSAEINVAL),
            Completion::Pending(pending) => Ok(Completion::Pending(pending)),
        }
    }

    /// Takes the next datagram, or waits for one.
    pub(super) fn receive(
        &mut self,
        caller: Caller,
        id: SocketId,
        receive: Receive,
    ) -> Result<Completion<Completed>, WinsockError> {
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (bound, nonblocking) = (socket.local.is_some(), socket.kind.nonblocking);
        let datagrams = self.datagrams(id).ok_or(WinsockError::WSAEOPNOTSUPP)?;
        if !bound {
            return Err(WinsockError::WSAEINVAL);
        }
        if datagrams.waiting.is_some() {
            return Err(WinsockError::WSAEINPROGRESS);
        }
        if let Some(result) = self.take_datagram(id, caller.pid, &receive) {
            return result.map(Completion::Done);
        }
        if nonblocking {
            return Err(WinsockError::WSAEWOULDBLOCK);
        }
        let owner = caller.pid;
        let pending = self.pend(caller, PendingCall::ReceiveDatagram { socket: id });
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.waiting = Some(Waiting { pending, owner, receive });
        }
        Ok(Completion::Pending(pending))
    }

    /// A datagram has arrived: the receive that waits for one has it.
    pub(super) fn serve_datagrams(&mut self, id: SocketId) {
        let Some(waiting) = self.datagrams_mut(id).and_then(|datagrams| datagrams.waiting.take()) else {
            return;
        };
        match self.take_datagram(id, waiting.owner, &waiting.receive) {
            Some(result) => self.complete(waiting.pending, result),
            None => {
                if let Some(datagrams) = self.datagrams_mut(id) {
                    datagrams.waiting = Some(waiting);
                }
            }
        }
    }

    /// The call that waited is gone.
    pub(crate) fn stop_receiving(&mut self, id: SocketId) {
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.waiting = None;
        }
    }

    /// The next datagram of the queue as this call gets it; `None` where there is none.
    fn take_datagram(
        &mut self,
        id: SocketId,
        pid: Pid,
        receive: &Receive,
    ) -> Option<Result<Completed, WinsockError>> {
        let datagrams = self.datagrams_mut(id)?;
        let arrived = match receive {
            Receive::Message(message) if message.flags & MSG_PEEK != 0 => datagrams.queue.front()?.clone(),
            _ => datagrams.queue.pop_front()?,
        };
        let family = self.sockets.get(&id)?.kind.family;
        let from = address::written_in(family, arrived.from);
        let taken = |length: usize| arrived.data.get(..length).unwrap_or(&arrived.data).to_vec();
        Some(match receive {
            Receive::Data(length) if arrived.data.len() > *length => Err(WinsockError::WSAEMSGSIZE),
            Receive::Data(length) => Ok(Completed::Received(taken(*length))),
            Receive::Datagram(length) => Ok(Completed::ReceivedFrom(ReceivedDatagram {
                data: taken(*length),
                from,
                truncated: arrived.data.len() > *length,
            })),
            Receive::Message(message) => self.store(id, pid, message, from, &arrived),
        })
    }

    /// Puts a datagram and its control data where a `WSAMSG` says.
    fn store(
        &mut self,
        id: SocketId,
        pid: Pid,
        message: &WsaMsg,
        from: SocketAddr,
        arrived: &Arrived,
    ) -> Result<Completed, WinsockError> {
        let telling = Telling {
            profile: &self.profile,
            layout: self.processes.get(&pid).map(|process| process.layout).unwrap_or_default(),
            reception: self.datagrams(id).map(|datagrams| datagrams.reception).unwrap_or_default(),
            room: message.control.length,
        };
        let (control, control_cut) = telling.control(arrived);
        let mut rest = &*arrived.data;
        for Buffer { pointer, length } in &message.buffers {
            let (now, later) = rest.split_at(rest.len().min(*length as usize));
            if !now.is_empty() && !self.memory.write(pid, *pointer, now) {
                return Err(WinsockError::WSAEFAULT);
            }
            rest = later;
        }
        if !control.is_empty() && !self.memory.write(pid, message.control.pointer, &control) {
            return Err(WinsockError::WSAEFAULT);
        }
        let flag = |holds: bool, flag: u32| if holds { flag } else { 0 };
        Ok(Completed::ReceivedMessage(ReceivedMessage {
            bytes: u32::try_from(arrived.data.len() - rest.len()).unwrap_or(u32::MAX),
            from,
            control_length: u32::try_from(control.len()).unwrap_or(u32::MAX),
            flags: flag(!rest.is_empty(), MSG_TRUNC) | flag(control_cut, MSG_CTRUNC),
        }))
    }
}
