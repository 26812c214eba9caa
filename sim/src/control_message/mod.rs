//! Control data of `WSARecvMsg` and `WSASendMsg`: messages one behind the other, each a header and its data.
//!
//! Redirect records and redirect contexts of datagrams travel in it. What a header looks like, and where data and
//! the next header lie, depends on whether the program is a 64-bit or a 32-bit one.
//!
//! Source: the macros of `ws2def.h`; sdk-api "WSAMSG"; docs/behaviour.md, "Control buffers" (C-14, C-15).

mod layout;
mod names;
mod parse;

pub use layout::{Header, Layout};
pub use names::{
    IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6, IPV6_WFP_REDIRECT_CONTEXT,
    IPV6_WFP_REDIRECT_RECORDS, MSG_BCAST, MSG_CTRUNC, MSG_DONTROUTE, MSG_MCAST, MSG_PEEK, MSG_TRUNC,
    WSAID_WSARECVMSG, WSAID_WSASENDMSG,
};
pub(crate) use parse::Walk;
pub use parse::{Malformed, Messages, build, messages};

/// A control message: what it is, and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlMessage<'a> {
    /// `cmsg_level`, [`IPPROTO_IP`] for instance.
    pub level: i32,
    /// `cmsg_type`, [`IP_WFP_REDIRECT_RECORDS`] for instance.
    pub kind: i32,
    /// The data, without padding.
    pub data: &'a [u8],
}
