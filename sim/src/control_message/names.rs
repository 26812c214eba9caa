//! Levels, options and flags with their real numbers.
//!
//! Source: `ws2def.h`, `ws2ipdef.h` and `mswsock.h` (docs/behaviour.md, "Names and values").

/// The level of options and control messages of IPv4.
pub const IPPROTO_IP: i32 = 0;
/// The level of options and control messages of IPv6.
pub const IPPROTO_IPV6: i32 = 41;

/// Redirect records: as an option that switches their reception on, and as the type of a control message. The prose
/// of the records page calls it IP_CONNECTION_REDIRECT_RECORD, a name that no header has (C-11).
pub const IP_WFP_REDIRECT_RECORDS: i32 = 60;
/// The redirect context, likewise.
pub const IP_WFP_REDIRECT_CONTEXT: i32 = 70;
/// [`IP_WFP_REDIRECT_RECORDS`] at the level [`IPPROTO_IPV6`]; in the header, and on no page (C-12).
pub const IPV6_WFP_REDIRECT_RECORDS: i32 = 60;
/// [`IP_WFP_REDIRECT_CONTEXT`] at the level [`IPPROTO_IPV6`]; in the header, and on no page (C-12).
pub const IPV6_WFP_REDIRECT_CONTEXT: i32 = 70;

/// A receive leaves the datagram where it is.
pub const MSG_PEEK: u32 = 0x2;
/// A send that is not routed; a provider may ignore it, and the model does.
pub const MSG_DONTROUTE: u32 = 0x4;
/// The datagram did not fit into the buffers; what was left over is lost.
pub const MSG_TRUNC: u32 = 0x100;
/// The control data did not fit into the control buffer; what was left over is lost.
pub const MSG_CTRUNC: u32 = 0x200;
/// The datagram came by broadcast.
pub const MSG_BCAST: u32 = 0x400;
/// The datagram came by multicast.
pub const MSG_MCAST: u32 = 0x800;

/// What a program gives SIO_GET_EXTENSION_FUNCTION_POINTER to find `WSARecvMsg`.
pub const WSAID_WSARECVMSG: u128 = 0xf689d7c8_6f1f_436b_8a53_e54fe351c322;
/// What a program gives SIO_GET_EXTENSION_FUNCTION_POINTER to find `WSASendMsg`.
pub const WSAID_WSASENDMSG: u128 = 0xa441e712_754f_43ca_84a7_0dee44cf606d;
