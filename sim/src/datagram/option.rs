//! `setsockopt` and `getsockopt` of the options that switch the reception of control data on.
//!
//! Source: win32 "IPPROTO_IP Socket Options"; docs/behaviour.md, "Turning reception on".

use crate::address::Family;
use crate::control_message::{IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6};
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::profile::WindowsVersion;
use crate::socket::{Socket, State};
use crate::world::World;

/// Which control data a socket is to receive, for datagrams over IPv4 and for those over IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reception(u8);

impl Reception {
    /// Whether control messages of this level and type are received.
    #[must_use]
    pub fn of(self, level: i32, option: i32) -> bool {
        bit(level, option).is_some_and(|bit| self.0 & bit != 0)
    }
}

fn bit(level: i32, option: i32) -> Option<u8> {
    match (level, option) {
        (IPPROTO_IP, IP_WFP_REDIRECT_RECORDS) => Some(1),
        (IPPROTO_IP, IP_WFP_REDIRECT_CONTEXT) => Some(2),
        (IPPROTO_IPV6, IP_WFP_REDIRECT_RECORDS) => Some(4),
        (IPPROTO_IPV6, IP_WFP_REDIRECT_CONTEXT) => Some(8),
        _ => None,
    }
}

/// Whether a socket has the options of this level: one that serves both families has those of both.
fn serves(socket: &Socket, level: i32) -> bool {
    match socket.kind.family {
        Family::Ipv4 => level == IPPROTO_IP,
        Family::Ipv6 => level == IPPROTO_IPV6 || socket.kind.is_dual(),
    }
}

impl World {
    /// `setsockopt` with IP_WFP_REDIRECT_RECORDS or IP_WFP_REDIRECT_CONTEXT at the level IPPROTO_IP, or their twins at
    /// IPPROTO_IPV6: 0 switches the reception of such control messages off, anything else on. A dual-stack socket
    /// needs both levels, each for the datagrams of its family.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOPROTOOPT for any other option, on a TCP socket, and at the level of a family that the socket
    /// does not serve.
    pub fn setsockopt(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        level: i32,
        option: i32,
        value: u32,
    ) -> Result<(), WinsockError> {
        let bit = self.option_bit(caller, socket, level, option)?;
        let id = self.lookup(caller, socket)?;
        let datagrams = self.datagrams_mut(id).ok_or(WinsockError::WSAENOPROTOOPT)?;
        let others = datagrams.reception.0 & !bit;
        datagrams.reception = Reception(if value == 0 { others } else { others | bit });
        Ok(())
    }

    /// `getsockopt` of the same options: 1 or 0.
    ///
    /// # Errors
    /// As [`World::setsockopt`].
    pub fn getsockopt(
        &self,
        caller: Caller,
        socket: SocketHandle,
        level: i32,
        option: i32,
    ) -> Result<u32, WinsockError> {
        let bit = self.option_bit(caller, socket, level, option)?;
        match &self.view(caller, socket)?.state {
            State::Datagram(datagrams) => Ok((datagrams.reception.0 & bit != 0).into()),
            _ => Err(WinsockError::WSAENOPROTOOPT),
        }
    }

    fn option_bit(
        &self,
        caller: Caller,
        socket: SocketHandle,
        level: i32,
        option: i32,
    ) -> Result<u8, WinsockError> {
        let socket = self.view(caller, socket)?;
        if self.profile.windows_version == WindowsVersion::Seven {
            return Err(WinsockError::WSAENOPROTOOPT);
        }
        bit(level, option).filter(|_| serves(socket, level)).ok_or(WinsockError::WSAENOPROTOOPT)
    }
}
