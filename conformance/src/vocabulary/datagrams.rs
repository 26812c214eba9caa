//! Datagrams, and the control data that comes and goes with them.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use wfp_sim::control_message::{
    ControlMessage, IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6, Layout, build,
};

use super::{Dial, Input, Length, Name, Output, PointerKind, SocketFamily};

/// The type and protocol of a socket.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SocketProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// A raw socket of this IP protocol: 1 for ICMP, 17 for UDP, 58 for ICMPv6. What is sent through one of UDP gets a
    /// UDP header from the backend, from port 5000 to the destination's.
    Raw(u8),
    /// The same with `IP_HDRINCL`; the backend writes an IPv4 header too.
    RawWithHeader(u8),
}

/// An IP protocol, as a callout's condition sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IpProtocol {
    /// ICMP.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP, of a raw socket too.
    Udp,
    /// ICMPv6.
    Icmpv6,
}

/// The level of an option or a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// `IPPROTO_IP`.
    Ip,
    /// `IPPROTO_IPV6`.
    Ipv6,
}

impl Level {
    /// Its number.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Ip => IPPROTO_IP,
            Self::Ipv6 => IPPROTO_IPV6,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// What an option or a control message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ControlType {
    /// `IP_WFP_REDIRECT_RECORDS`, `IPV6_WFP_REDIRECT_RECORDS`.
    Records,
    /// `IP_WFP_REDIRECT_CONTEXT`, `IPV6_WFP_REDIRECT_CONTEXT`.
    Context,
}

impl ControlType {
    /// The number of the option, and of the message.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Records => IP_WFP_REDIRECT_RECORDS,
            Self::Context => IP_WFP_REDIRECT_CONTEXT,
        }
    }
}

impl fmt::Display for ControlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "records",
            Self::Context => "context",
        })
    }
}

/// A flag in `dwFlags` of a `WSAMSG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MessageFlag {
    /// The datagram did not fit.
    #[serde(rename = "MSG_TRUNC")]
    Trunc,
    /// The control data did not fit.
    #[serde(rename = "MSG_CTRUNC")]
    Ctrunc,
}

impl fmt::Display for MessageFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trunc => "MSG_TRUNC",
            Self::Ctrunc => "MSG_CTRUNC",
        })
    }
}

/// A call of `WSARecvMsg`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReceiveMessage {
    /// The socket.
    pub socket: Name,
    /// How much data at most.
    #[serde(default = "data_length")]
    pub length: u32,
    /// The control buffer; `needed` is the size of the control data of the next datagram.
    #[serde(default = "control_buffer")]
    pub control: Output,
    /// `MSG_PEEK`.
    #[serde(default)]
    pub peek: bool,
    /// How later steps name the redirect records in the control data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Name>,
    /// How later steps name the redirect context in the control data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Name>,
}

fn data_length() -> u32 {
    4096
}

fn control_buffer() -> Output {
    Output { length: Length::Bytes(65_536), region: None, pointer: PointerKind::Valid }
}

impl ReceiveMessage {
    /// A receive with a control buffer of this many bytes.
    #[must_use]
    pub fn of(socket: Name, control: u32, records: Name, context: Name) -> Self {
        Self {
            socket,
            length: data_length(),
            control: Output { length: Length::Bytes(control), ..control_buffer() },
            peek: false,
            records: Some(records),
            context: Some(context),
        }
    }
}

/// A call of `WSASendMsg`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SendMessage {
    /// The socket.
    pub socket: Name,
    /// The destination; by default that of `connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Dial>,
    /// How the destination's address is written, as in `connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<SocketFamily>,
    /// What to send.
    pub data: String,
    /// The records that the control data has a message of, by the name of the result that they came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Name>,
    /// The level of that message; by default that of the destination's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// `cmsg_len` of that message, where it lies; `needed` is the true one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_length: Option<Length>,
    /// What is done to the control buffer; `needed` is the size of the control data, and 0 without any.
    #[serde(default)]
    pub control: Input,
    /// `dwFlags` of the call.
    #[serde(default)]
    pub flags: u32,
    /// `dwFlags` of the `WSAMSG`, which the call does not look at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub message_flags: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SendMessage {
    /// The control data with a message of these records; `default` is its level where none is said.
    pub(crate) fn control_data(&self, layout: Layout, default: Level, records: &[u8]) -> Vec<u8> {
        let (level, kind) = (self.level.unwrap_or(default).number(), ControlType::Records.number());
        let mut control = build(layout, &[ControlMessage { level, kind, data: records }]);
        if let Some(claimed) = self.message_length {
            let needed = u32::try_from(layout.wsa_cmsg_len(records.len() as u64)).ok();
            let claimed = claimed.bytes(needed).to_le_bytes();
            control.splice(..claimed.len(), claimed);
        }
        control
    }
}

/// A control message that a receive found in its control buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ControlSeen {
    /// Its level.
    pub level: Level,
    /// Its type.
    pub r#type: ControlType,
    /// Its data.
    #[serde(with = "super::hex")]
    pub bytes: Arc<[u8]>,
    /// The name that the call gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

impl ControlSeen {
    /// What a program knows a control message as; others it skips.
    pub(crate) fn known(message: &ControlMessage<'_>) -> Option<(Level, ControlType)> {
        let level = match message.level {
            IPPROTO_IP => Level::Ip,
            IPPROTO_IPV6 => Level::Ipv6,
            _ => return None,
        };
        match message.kind {
            IP_WFP_REDIRECT_RECORDS => Some((level, ControlType::Records)),
            IP_WFP_REDIRECT_CONTEXT => Some((level, ControlType::Context)),
            _ => None,
        }
    }
}

impl fmt::Display for ControlSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} of {} bytes", self.r#type, self.level, self.bytes.len())
    }
}
