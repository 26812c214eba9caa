//! Datagrams, with the buffers that an op describes.

use std::net::SocketAddr;
use std::sync::Arc;

use wfp_sim::address::is_mapped;
use wfp_sim::control_message::{Layout, MSG_CTRUNC, MSG_PEEK, MSG_TRUNC, messages};
use wfp_sim::datagram::{Buffer as WsaBuf, ReceivedDatagram, ReceivedMessage, WsaMsg};
use wfp_sim::trace::ConnectTrace;
use wfp_sim::{Caller, Completion, SocketHandle, WinsockError};

use super::buffers::Buffer;
use super::{Pending, SimBackend, Socket};
use crate::dialling::Dialling;
use crate::vocabulary::{
    BackendFault, Call, ControlSeen, ControlType, Level, MessageFlag, Name, Observation, Op, Outcome,
    ReceiveMessage, SendMessage, SocketFamily, SocketProtocol, Stored,
};

/// Where a `WSARecvMsg` was told to store, and what its parts are to be named.
#[derive(Clone, Debug)]
pub(super) struct Receiving {
    caller: Caller,
    data: Buffer,
    control: Buffer,
    control_length: u32,
    needed: Option<u32>,
    records: Option<Name>,
    context: Option<Name>,
}

/// The source port of raw UDP packets.
const RAW_SOURCE: u16 = 5000;

impl SimBackend {
    pub(super) fn datagram_call(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        match &op.call {
            Call::SendTo { socket, to, family, data } => {
                let socket = self.socket(socket)?;
                let to = match self.sent_to(to.as_ref(), socket.family, *family)? {
                    Ok(to) => to,
                    Err(error) => return Ok(Observation::new(Outcome::Error(error))),
                };
                let data = packet(socket.protocol, to, data.as_bytes());
                let mut trace = Vec::new();
                let result = self.world.sendto(caller, socket.handle, &data, to, &mut trace);
                Ok(self.sent(result, trace))
            }
            Call::ReceiveFrom { socket, length } => {
                let Socket { handle, family, .. } = self.socket(socket)?;
                match self.world.recvfrom(caller, handle, *length as usize) {
                    Ok(Completion::Done(datagram)) => Ok(self.received_from(op.name.as_ref(), datagram)),
                    Ok(Completion::Pending(id)) => {
                        Ok(self.name_pending(op, Pending { id, family, asked: None, receiving: None }))
                    }
                    Err(error) => Ok(Observation::new(Outcome::Error(error))),
                }
            }
            Call::SendMessage(send) => self.send_message(caller, send),
            Call::ReceiveMessage(receive) => self.receive_message(caller, op, receive),
            Call::SetOption { socket, level, option, on } => {
                let socket = self.socket(socket)?.handle;
                let (level, option) = (level.number(), option.number());
                let result = self.world.setsockopt(caller, socket, level, option, (*on).into());
                Ok(Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok)))
            }
            Call::GetOption { socket, level, option } => {
                let socket = self.socket(socket)?.handle;
                let (level, option) = (level.number(), option.number());
                Ok(match self.world.getsockopt(caller, socket, level, option) {
                    Ok(value) => Observation { count: Some(value.into()), ..Observation::new(Outcome::Ok) },
                    Err(error) => Observation::new(Outcome::Error(error)),
                })
            }
            other => Err(BackendFault::Misuse(format!("`{}` is no call of datagrams", other.name()))),
        }
    }

    fn sent(&self, result: Result<usize, WinsockError>, mut trace: Vec<ConnectTrace>) -> Observation {
        let hop = trace.pop().map(|trace| Box::new(self.hop(&trace)));
        let outcome = result.map_or_else(Outcome::Error, |_| Outcome::Ok);
        Observation { hop, ..Observation::new(outcome) }
    }

    /// What `recvfrom` gave; the source is kept by the name too.
    pub(super) fn received_from(&mut self, name: Option<&Name>, datagram: ReceivedDatagram) -> Observation {
        let ReceivedDatagram { data, from, truncated } = datagram;
        let address = Some(self.addresses.endpoint(&self.world, from));
        if let Some(name) = name {
            self.sources.insert(Name::clone(name), from);
        }
        let observation = Observation { address, ..self.received(name, data) };
        if truncated {
            let outcome = Outcome::Error(WinsockError::WSAEMSGSIZE);
            return Observation { outcome, flags: vec![MessageFlag::Trunc], ..observation };
        }
        observation
    }

    fn send_message(&mut self, caller: Caller, send: &SendMessage) -> Result<Observation, BackendFault> {
        let socket = self.socket(&send.socket)?;
        let name = match self.sent_to(send.to.as_ref(), socket.family, send.family)? {
            Ok(name) => name,
            Err(error) => return Ok(Observation::new(Outcome::Error(error))),
        };
        let control = match &send.records {
            Some(records) => {
                let blob = self.blobs.get(records);
                let blob =
                    blob.ok_or_else(|| BackendFault::Misuse(format!("no records `{records}` were fetched")))?;
                let default = match name {
                    Some(to) if to.is_ipv6() && !is_mapped(&to) => Level::Ipv6,
                    None if socket.family == SocketFamily::Ipv6 => Level::Ipv6,
                    _ => Level::Ip,
                };
                send.control_data(self.layout(caller), default, blob)
            }
            None => Vec::new(),
        };
        // Without control data its length is 0, not a nominal one.
        let needed = u32::try_from(control.len()).ok();
        let length = send.control.length.bytes(needed);
        let mut input = send.control;
        input.length = crate::vocabulary::Length::Bytes(length);
        let (control, control_length) = self.input_buffer(caller, input, &control);
        let data = packet(socket.protocol, name, send.data.as_bytes());
        let pointer = self.world.allocate(caller, data.len() as u64, 0);
        self.world.write_memory(caller, pointer, &data);
        let data = WsaBuf { pointer, length: u32::try_from(data.len()).unwrap_or(u32::MAX) };
        let control_given = WsaBuf { pointer: control.pointer, length: control_length };
        let message = WsaMsg { name, buffers: vec![data], control: control_given, flags: send.message_flags };
        let mut trace = Vec::new();
        let result = self.world.wsa_send_msg(caller, socket.handle, &message, send.flags, &mut trace);
        self.free(caller, [control, Buffer::at(pointer)]);
        Ok(self.sent(result, trace))
    }

    fn receive_message(
        &mut self,
        caller: Caller,
        op: &Op,
        receive: &ReceiveMessage,
    ) -> Result<Observation, BackendFault> {
        let Socket { handle, family, .. } = self.socket(&receive.socket)?;
        let needed = self.control_needed(caller, handle);
        let data = self.output_buffer(caller, data_buffer(receive.length), None);
        let control = self.output_buffer(caller, receive.control, needed);
        let control_length = receive.control.length.bytes(needed);
        let message = WsaMsg {
            name: None,
            buffers: vec![WsaBuf { pointer: data.pointer, length: receive.length }],
            control: WsaBuf { pointer: control.pointer, length: control_length },
            flags: if receive.peek { MSG_PEEK } else { 0 },
        };
        let receiving = Receiving {
            caller,
            data,
            control,
            control_length,
            needed,
            records: receive.records.clone(),
            context: receive.context.clone(),
        };
        match self.world.wsa_recv_msg(caller, handle, &message) {
            Ok(Completion::Done(received)) => {
                Ok(self.received_message(op.name.as_ref(), &receiving, received))
            }
            Ok(Completion::Pending(id)) => {
                let receiving = Some(receiving);
                Ok(self.name_pending(op, Pending { id, family, asked: None, receiving }))
            }
            Err(error) => {
                self.free(caller, [data, control]);
                Ok(Observation { needed, ..Observation::new(Outcome::Error(error)) })
            }
        }
    }

    /// Bytes of control data that come with the next datagram, as a receive would find that peeks with a large buffer.
    fn control_needed(&self, caller: Caller, socket: SocketHandle) -> Option<u32> {
        const ENOUGH: u32 = 1 << 17;
        let mut there = self.world.clone();
        let message = there.receive_message(caller, socket, 0, ENOUGH).ok()??;
        u32::try_from(message.control.len()).ok().filter(|length| *length > 0)
    }

    /// What `WSARecvMsg` left in the memory of the caller, which is given back.
    pub(super) fn received_message(
        &mut self,
        name: Option<&Name>,
        receiving: &Receiving,
        received: ReceivedMessage,
    ) -> Observation {
        let Receiving { caller, data, control, control_length, needed, .. } = *receiving;
        let ReceivedMessage { bytes, from, control_length: written, flags } = received;
        let read = |buffer: Buffer, length| self.world.read_memory(caller, buffer.pointer, length);
        let stored: Arc<[u8]> = read(data, bytes).unwrap_or_default().into();
        let control_data = read(control, written).unwrap_or_default();
        let rest_untouched = self.is_untouched(caller, data, bytes)
            && (written > control_length || self.is_untouched(caller, control, written));
        let seen: Vec<ControlSeen> = messages(self.layout(caller), &control_data)
            .map_while(Result::ok)
            .filter_map(|message| {
                let (level, r#type) = ControlSeen::known(&message)?;
                let name = match r#type {
                    ControlType::Records => receiving.records.clone(),
                    ControlType::Context => receiving.context.clone(),
                };
                Some(ControlSeen { level, r#type, bytes: message.data.into(), name })
            })
            .collect();
        self.free(caller, [data, control]);
        for message in &seen {
            if let Some(name) = &message.name {
                self.blobs.insert(Name::clone(name), Arc::clone(&message.bytes));
            }
        }
        if let Some(name) = name {
            self.blobs.insert(Name::clone(name), Arc::clone(&stored));
            self.sources.insert(Name::clone(name), from);
        }
        let flags = [(MSG_TRUNC, MessageFlag::Trunc), (MSG_CTRUNC, MessageFlag::Ctrunc)]
            .into_iter()
            .filter(|(bit, _)| flags & bit != 0)
            .map(|(_, flag)| flag)
            .collect();
        let outcome = received.result().map_or_else(Outcome::Error, |_| Outcome::Ok);
        Observation {
            stored: Some(Stored { bytes: stored, rest_untouched }),
            address: Some(self.addresses.endpoint(&self.world, from)),
            control: Some(seen),
            flags,
            needed,
            ..Observation::new(outcome)
        }
    }

    /// The memory of a receive that failed.
    pub(super) fn forget_receive(&mut self, receiving: &Receiving) {
        self.free(receiving.caller, [receiving.data, receiving.control]);
    }

    fn layout(&self, caller: Caller) -> Layout {
        if self.wow64.contains(&caller.pid) { Layout::Bits32 } else { Layout::Bits64 }
    }
}

fn data_buffer(length: u32) -> crate::vocabulary::Output {
    use crate::vocabulary::{Length, Output, PointerKind};
    Output { length: Length::Bytes(length), region: None, pointer: PointerKind::Valid }
}

/// What is given to `sendto`: a raw socket takes the headers that the program writes, too.
fn packet(protocol: SocketProtocol, to: Option<SocketAddr>, data: &[u8]) -> Vec<u8> {
    let (number, ip_header) = match protocol {
        SocketProtocol::Tcp | SocketProtocol::Udp => return data.to_vec(),
        SocketProtocol::Raw(number) => (number, false),
        SocketProtocol::RawWithHeader(number) => (number, true),
    };
    let mut packet = Vec::new();
    if ip_header {
        // Version 4, five words: the rest Windows and the model do not look at.
        packet.push(0x45);
        packet.resize(20, 0);
    }
    if number == wfp_sim::Protocol::UDP {
        let length = u16::try_from(data.len() + 8).unwrap_or(u16::MAX);
        let port = to.map_or(0, |to| to.port());
        packet.extend([RAW_SOURCE, port, length, 0].map(u16::to_be_bytes).concat());
    }
    packet.extend_from_slice(data);
    packet
}
