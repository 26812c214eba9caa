//! The control data of a datagram as its receiver gets it: which messages, in which order, and what is left of them in
//! a control buffer that is too small.
//!
//! Source: docs/behaviour.md, "Which datagram carries it", "Control buffers"; U-09.

use super::{Arrived, Reception};
use crate::control_message::{
    ControlMessage, Header, IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6,
    Layout, build,
};
use crate::profile::{BothMessages, ControlPadding, CutControl, LateOption, NoControlBuffer, Profile};

/// What there is to be told, and how a receiver is told of it.
pub(super) struct Telling<'a> {
    pub(super) profile: &'a Profile,
    pub(super) layout: Layout,
    /// What the socket is told to receive now.
    pub(super) reception: Reception,
    /// `Control.len`.
    pub(super) room: u32,
}

impl Telling<'_> {
    /// The control data for this datagram, and whether anything of it was cut off.
    pub(super) fn control(&self, arrived: &Arrived) -> (Vec<u8>, bool) {
        let messages = self.messages(arrived);
        let room = self.room as usize;
        if room == 0 && self.profile.no_control_buffer == NoControlBuffer::Ignored {
            return (Vec::new(), false);
        }
        let mut control = Vec::new();
        for message in messages {
            let mut bytes = build(self.layout, &[message]);
            let left = room - control.len();
            if bytes.len() > left && self.profile.last_control_padding == ControlPadding::NotNeeded {
                let length = self.layout.wsa_cmsg_len(message.data.len() as u64);
                bytes.truncate(usize::try_from(length).unwrap_or(bytes.len()));
            }
            if bytes.len() > left {
                control.extend(self.cut(message, bytes, left));
                return (control, true);
            }
            control.extend(bytes);
        }
        (control, false)
    }

    /// The messages that the receiver is told, in their order.
    fn messages<'m>(&self, arrived: &'m Arrived) -> Vec<ControlMessage<'m>> {
        let Some(carried) = &arrived.carried else { return Vec::new() };
        let reception = match self.profile.reception_decided {
            LateOption::AtArrival => carried.reception,
            LateOption::AtReceive => self.reception,
        };
        let level = if arrived.from.is_ipv4() { IPPROTO_IP } else { IPPROTO_IPV6 };
        let told = |kind: i32, data: Option<&'m [u8]>| {
            let data = data.filter(|_| reception.of(level, kind))?;
            Some(ControlMessage { level, kind, data })
        };
        let records = told(IP_WFP_REDIRECT_RECORDS, Some(carried.records.blob()));
        let context = told(IP_WFP_REDIRECT_CONTEXT, carried.context.as_deref());
        let order = match self.profile.both_control_messages {
            BothMessages::RecordsFirst => [records, context],
            BothMessages::ContextFirst => [context, records],
            BothMessages::RecordsAlone => [records, context.filter(|_| records.is_none())],
            BothMessages::ContextAlone => [context, records.filter(|_| context.is_none())],
        };
        order.into_iter().flatten().collect()
    }

    /// What is left of a message for which there are only so many bytes.
    fn cut(&self, message: ControlMessage<'_>, mut bytes: Vec<u8>, left: usize) -> Vec<u8> {
        bytes.truncate(left);
        let length = self.layout.wsa_cmsg_len(message.data.len() as u64).min(left as u64);
        let (level, kind) = (message.level, message.kind);
        let header = self.layout.header_bytes(Header { length, level, kind });
        match self.profile.truncated_control {
            CutControl::Nothing => Vec::new(),
            CutControl::AsItIs => bytes,
            CutControl::ToFit => match bytes.get_mut(..header.len()) {
                Some(place) => {
                    place.copy_from_slice(&header);
                    bytes
                }
                None => Vec::new(),
            },
        }
    }
}
