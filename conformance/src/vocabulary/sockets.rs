//! What calls on sockets are given beside names: families, providers, levels, codes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::{SOL_IP, SOL_IPV6, SOL_SOCKET};

/// A control code that is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct IoctlCode(pub u32);

/// The family of a socket, or of an address that it dials.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SocketFamily {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// A dual-stack IPv6 socket; as an address, the v4-mapped one.
    Dual,
}

impl fmt::Display for SocketFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Dual => "dual",
        })
    }
}

/// A transport service provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// The base provider of Windows, MSAFD TCP/IP.
    #[default]
    Tcpip,
    /// A layered one over it, which does not pass the three control codes on.
    Layered,
}

/// At which level an option is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptionLevel {
    /// SOL_IP on an IPv4 socket, SOL_IPV6 on another.
    #[default]
    Family,
    /// SOL_SOCKET.
    Socket,
}

impl OptionLevel {
    /// The number of the level on a socket of a family, and the size of the family's address.
    pub(crate) fn on(self, family: SocketFamily) -> (i32, u32) {
        let (of_family, address) = match family {
            SocketFamily::Ipv4 => (SOL_IP, 16),
            SocketFamily::Ipv6 | SocketFamily::Dual => (SOL_IPV6, 28),
        };
        match self {
            Self::Family => (of_family, address),
            Self::Socket => (SOL_SOCKET, address),
        }
    }
}

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownHow {
    /// `SD_RECEIVE`.
    Receive,
    /// `SD_SEND`.
    Send,
    /// `SD_BOTH`.
    Both,
}
