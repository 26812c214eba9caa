//! Flows of datagrams, what travels with them, and what a receiver makes of it.

mod control;
mod flows;
mod kinds;
mod messages;
mod redirects;

use crate::control_message::{
    ControlMessage, IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6, Layout,
    messages,
};
use crate::datagram::Message;
use crate::testing::Machine;

const IP: i32 = IPPROTO_IP;
const IPV6: i32 = IPPROTO_IPV6;
const RECORDS: i32 = IP_WFP_REDIRECT_RECORDS;
const CONTEXT: i32 = IP_WFP_REDIRECT_CONTEXT;

/// Level, type and length of each control message.
fn shown(message: &Message) -> Vec<(i32, i32, usize)> {
    let read: Result<Vec<_>, _> = messages(Layout::Bits64, &message.control).collect();
    read.unwrap()
        .iter()
        .map(|message: &ControlMessage<'_>| (message.level, message.kind, message.data.len()))
        .collect()
}

/// The data of the control message of this type.
fn data(message: &Message, kind: i32) -> Option<Vec<u8>> {
    let mut all = messages(Layout::Bits64, &message.control).flatten();
    all.find(|message| message.kind == kind).map(|message| message.data.to_vec())
}

/// Every process has ended: nothing may be left.
fn end(m: &mut Machine) {
    for pid in [m.app.pid, m.service.pid, m.server.pid] {
        m.w.end_process(pid);
    }
    assert_eq!((m.w.live(), m.w.live_contexts()), (0, 0));
}
