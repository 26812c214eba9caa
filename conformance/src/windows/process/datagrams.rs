//! Datagrams, with the buffers that an op describes.

use std::net::SocketAddr;
use std::sync::Arc;

use wfp_sim::WinsockError;
use wfp_sim::address::is_mapped;
use wfp_sim::control_message::{Layout, MSG_CTRUNC, MSG_PEEK, MSG_TRUNC, messages};

use super::control::{input_buffer, output_buffer};
use super::sockets::RECEIVE_GRACE;
use super::tables::{Descriptor, Tables};
use super::work::{Done, Work, cannot, done};
use crate::dialling::Dialling;
use crate::vocabulary::{
    BackendFault, Call, ControlSeen, ControlType, LOCAL, Length, Level, MessageFlag, Name, Observation, Op,
    Outcome, Output, PointerKind, ReceiveMessage, SendMessage, SocketFamily, Stored,
};
use crate::windows::system::{Memory, Message, Socket, receive_message, send_message};

/// A control buffer that holds whatever comes with a datagram, for asking how much that is.
const ENOUGH: u32 = 1 << 17;

/// How control data lies in the memory of this program.
const LAYOUT: Layout = if cfg!(target_pointer_width = "64") { Layout::Bits64 } else { Layout::Bits32 };

impl Tables {
    pub(super) fn datagram(&mut self, op: &Op) -> Result<Work, BackendFault> {
        match &op.call {
            Call::SendTo { socket, to, family, data } => {
                let Descriptor { socket, family: own, .. } = self.socket(socket)?;
                let to = match self.sent_to(to.as_ref(), own, *family)? {
                    Ok(to) => to,
                    Err(error) => return Ok(Work::lane(move || done(Err(error)))),
                };
                let data = data.clone();
                Ok(Work::lane(move || done(socket.send_to(to.as_ref(), data.as_bytes()))))
            }
            Call::ReceiveFrom { socket, length } => {
                let (socket, length) = (self.socket(socket)?.socket, *length);
                Ok(Work::helper(self.grace(RECEIVE_GRACE), move || received_from(socket, length)))
            }
            Call::SendMessage(send) => self.send_message(send),
            Call::ReceiveMessage(receive) => {
                let (socket, receive) = (self.socket(&receive.socket)?.socket, receive.clone());
                let asks = self.redirects && !matches!(receive.control.length, Length::Bytes(_));
                Ok(Work::helper(self.grace(RECEIVE_GRACE), move || received_message(socket, receive, asks)))
            }
            Call::SetOption { socket, level, option, on } => {
                let socket = self.socket(socket)?.socket;
                let (level, option, on) = (level.number(), option.number(), u32::from(*on));
                Ok(Work::lane(move || done(socket.set_option(level, option, on))))
            }
            Call::GetOption { socket, level, option } => {
                let socket = self.socket(socket)?.socket;
                let (level, option) = (level.number(), option.number());
                Ok(Work::lane(move || got_option(socket, level, option)))
            }
            other => Err(BackendFault::Misuse(format!("`{}` is no call of datagrams", other.name()))),
        }
    }

    fn send_message(&self, send: &SendMessage) -> Result<Work, BackendFault> {
        let Descriptor { socket, family: own, .. } = self.socket(&send.socket)?;
        let to = match self.sent_to(send.to.as_ref(), own, send.family)? {
            Ok(to) => to,
            Err(error) => return Ok(Work::lane(move || done(Err(error)))),
        };
        let control = match &send.records {
            Some(records) => {
                let blob = self.blobs.get(records);
                let blob =
                    blob.ok_or_else(|| BackendFault::Misuse(format!("no records `{records}` were fetched")))?;
                let level = match to {
                    Some(to) if to.is_ipv6() && !is_mapped(&to) => Level::Ipv6,
                    None if own == SocketFamily::Ipv6 => Level::Ipv6,
                    _ => Level::Ip,
                };
                send.control_data(LAYOUT, level, blob)
            }
            None => Vec::new(),
        };
        let send = send.clone();
        Ok(Work::lane(move || {
            let Some(message) = sent_message(&send, &control) else { return no_memory() };
            done(send_message(socket, to.as_ref(), &message, send.flags))
        }))
    }
}

fn no_memory() -> Done {
    cannot(BackendFault::Unsupported("buffers of that size, which this machine has no memory for".to_owned()))
}

fn sent_message(send: &SendMessage, control: &[u8]) -> Option<Message> {
    // Without control data its length is 0, not a nominal one.
    let mut input = send.control;
    input.length = Length::Bytes(send.control.length.bytes(u32::try_from(control.len()).ok()));
    let (control, control_length) = input_buffer(input, control)?;
    let data = Memory::of(send.data.as_bytes())?;
    let data_length = u32::try_from(send.data.len()).ok()?;
    Some(Message { data, data_length, control, control_length, flags: send.message_flags })
}

fn received_from(socket: Socket, length: u32) -> Done {
    let (result, data, from) = socket.receive_from(length);
    Box::new(move |tables, name| {
        let truncated = result == Err(WinsockError::WSAEMSGSIZE);
        if let (Err(error), false) = (result, truncated) {
            return Ok(Observation::new(Outcome::Error(error)));
        }
        let observation = Observation { address: tables.source(name, from), ..tables.received(name, data) };
        Ok(if truncated {
            let outcome = Outcome::Error(WinsockError::WSAEMSGSIZE);
            Observation { outcome, flags: vec![MessageFlag::Trunc], ..observation }
        } else {
            observation
        })
    })
}

fn received_message(socket: Socket, receive: ReceiveMessage, asks: bool) -> Done {
    let needed = if asks { control_needed(socket) } else { None };
    let control_length = receive.control.length.bytes(needed);
    let data = Output { length: Length::Bytes(receive.length), region: None, pointer: PointerKind::Valid };
    let (Some(data), Some(control)) = (output_buffer(data, None), output_buffer(receive.control, needed))
    else {
        return no_memory();
    };
    let flags = if receive.peek { MSG_PEEK } else { 0 };
    let message = Message { data, data_length: receive.length, control, control_length, flags };
    let received = match receive_message(socket, &message) {
        Ok(received) => received,
        Err(error) => return done(Err(error)),
    };
    let truncated = received.result == Err(WinsockError::WSAEMSGSIZE);
    if let (Err(error), false) = (received.result, truncated) {
        return Box::new(move |_, _| Ok(Observation { needed, ..Observation::new(Outcome::Error(error)) }));
    }
    let bytes = if truncated { receive.length } else { received.bytes };
    let stored: Arc<[u8]> = message.data.read(0, bytes as usize).into();
    let written = received.control_length;
    let control_data = message.control.read(0, written.min(control_length) as usize);
    let rest_untouched = message.data.is_untouched(bytes)
        && (written > control_length || message.control.is_untouched(written));
    let ReceiveMessage { records, context, .. } = receive;
    let seen: Vec<ControlSeen> = messages(LAYOUT, &control_data)
        .map_while(Result::ok)
        .filter_map(|message| {
            let (level, r#type) = ControlSeen::known(&message)?;
            let name = match r#type {
                ControlType::Records => records.clone(),
                ControlType::Context => context.clone(),
            };
            Some(ControlSeen { level, r#type, bytes: message.data.into(), name })
        })
        .collect();
    Box::new(move |tables, name| {
        for message in &seen {
            tables.name_blob(message.name.as_ref(), &message.bytes);
        }
        tables.name_blob(name, &stored);
        let given_back = [(MSG_TRUNC, MessageFlag::Trunc), (MSG_CTRUNC, MessageFlag::Ctrunc)];
        let flags = given_back.into_iter().filter(|(bit, _)| received.flags & bit != 0).map(|(_, flag)| flag);
        Ok(Observation {
            stored: Some(Stored { bytes: stored, rest_untouched }),
            address: tables.source(name, received.from),
            control: Some(seen),
            flags: flags.collect(),
            needed,
            ..Observation::new(received.result.map_or_else(Outcome::Error, |()| Outcome::Ok))
        })
    })
}

/// Bytes of control data that come with the next datagram: a receive that leaves it there tells.
fn control_needed(socket: Socket) -> Option<u32> {
    let memory = |length| Memory::new(PointerKind::Valid, length, None, 0);
    let message = Message {
        data: memory(0)?,
        data_length: 0,
        control: memory(ENOUGH)?,
        control_length: ENOUGH,
        flags: MSG_PEEK,
    };
    let received = receive_message(socket, &message).ok()?;
    Some(received.control_length).filter(|length| *length > 0 && *length < ENOUGH)
}

fn got_option(socket: Socket, level: i32, option: i32) -> Done {
    let Some(value) = Memory::new(PointerKind::Valid, 4, None, 0) else { return no_memory() };
    let result = socket.option(level, option, &value, 4);
    let count = value.word(0).map(u64::from);
    Box::new(move |_, _| {
        Ok(match result {
            Ok(_) => Observation { count, ..Observation::new(Outcome::Ok) },
            Err(error) => Observation::new(Outcome::Error(error)),
        })
    })
}

impl Tables {
    /// How the scenario names the source of a datagram, which is kept.
    fn source(
        &mut self,
        name: Option<&Name>,
        from: Option<SocketAddr>,
    ) -> Option<crate::vocabulary::Endpoint> {
        let from = from?;
        self.name_source(name, from);
        Some(self.ground.endpoint(from, &LOCAL.into(), None))
    }
}
