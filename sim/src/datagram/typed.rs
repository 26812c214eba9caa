//! `WSARecvMsg` and `WSASendMsg` as a Rust program would rather call them, with buffers of the call's own.

use std::net::SocketAddr;

use super::{Buffer, WsaMsg};
use crate::control_message::{ControlMessage, build};
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::socket::Completion;
use crate::trace::Sink;
use crate::world::World;

/// A datagram with its control data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// The datagram, as much of it as fitted.
    pub data: Vec<u8>,
    /// The source that it shows.
    pub from: SocketAddr,
    /// The control data, as much of it as fitted; [`control_message::messages`](crate::control_message::messages) reads
    /// it.
    pub control: Vec<u8>,
    /// MSG_TRUNC and MSG_CTRUNC.
    pub flags: u32,
}

impl World {
    /// A datagram that is there already, by WSARecvMsg into buffers of these lengths; `None` where there is none. It
    /// does not wait.
    ///
    /// # Errors
    /// As [`World::wsa_recv_msg`].
    pub fn receive_message(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        length: u32,
        control_length: u32,
    ) -> Result<Option<Message>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let bound = self.view(caller, socket)?.local.is_some();
        if bound && self.datagrams(id).is_some_and(|datagrams| datagrams.queue.is_empty()) {
            return Ok(None);
        }
        let [data, control] = [length, control_length]
            .map(|length| Buffer { pointer: self.allocate(caller, length.into(), 0), length });
        let message = WsaMsg { name: None, buffers: vec![data], control, flags: 0 };
        let received = self.wsa_recv_msg(caller, socket, &message);
        let read = |world: &Self, buffer: Buffer, length| {
            world.memory.read(caller.pid, buffer.pointer, u64::from(length)).unwrap_or_default().into_owned()
        };
        let result = received.map(|received| match received {
            Completion::Done(received) => Some(Message {
                data: read(self, data, received.bytes),
                from: received.from,
                control: read(self, control, received.control_length),
                flags: received.flags,
            }),
            Completion::Pending(_) => None,
        });
        self.free(caller, control.pointer);
        self.free(caller, data.pointer);
        result
    }

    /// Sends a datagram with these control messages by WSASendMsg, without flags. Without `to` it goes to the default
    /// destination.
    ///
    /// # Errors
    /// As [`World::wsa_send_msg`]; WSAEMSGSIZE for more than 4 GiB.
    pub fn send_message<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        to: Option<SocketAddr>,
        data: &[u8],
        messages: &[ControlMessage<'_>],
        sink: &mut S,
    ) -> Result<usize, WinsockError> {
        let layout = self.processes.get(&caller.pid).map(|process| process.layout).unwrap_or_default();
        let control = build(layout, messages);
        let mut given = Vec::new();
        for bytes in [data, &control] {
            let length = u32::try_from(bytes.len()).map_err(|_| WinsockError::WSAEMSGSIZE)?;
            let pointer = self.allocate(caller, length.into(), 0);
            self.write_memory(caller, pointer, bytes);
            given.push(Buffer { pointer, length });
        }
        let control = given.pop().unwrap_or(Buffer::NONE);
        let message = WsaMsg { name: to, buffers: given, control, flags: 0 };
        let result = self.wsa_send_msg(caller, socket, &message, 0, sink);
        for buffer in message.buffers.iter().chain([&message.control]) {
            self.free(caller, buffer.pointer);
        }
        result
    }
}
