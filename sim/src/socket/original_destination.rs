//! `getsockopt` with SO_ORIGINAL_DST: a redirect service learns the destination from the socket itself, without
//! context and without rights.
//!
//! Source: Windows SDK `ws2def.h`; envoyproxy/envoy, the `original_dst` listener filter; docs/behaviour.md, "The
//! original destination".

use std::net::SocketAddr;

use super::{Connection, Protocol, Side, Socket, State};
use crate::address::{self, Family};
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::profile::{Availability, OriginalAbsent, OriginalLevel, WindowsVersion};
use crate::world::World;

/// The option; IP6T_SO_ORIGINAL_DST is the same number.
pub const SO_ORIGINAL_DST: i32 = 0x300F;
/// The level of the options of any socket.
pub const SOL_SOCKET: i32 = 0xFFFF;
/// Another level of IPv4's options, beside IPPROTO_IP.
pub const SOL_IP: i32 = SOL_SOCKET - 4;
/// Another level of IPv6's options, beside IPPROTO_IPV6.
pub const SOL_IPV6: i32 = SOL_SOCKET - 5;

impl World {
    /// `getsockopt` with SO_ORIGINAL_DST, on a socket to which a connection was redirected: the bytes of the address
    /// that the client asked for, a SOCKADDR_IN of 16 bytes or, on an IPv6 socket, a SOCKADDR_IN6 of 28. `length` is
    /// what `optlen` points to.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL at a level that nothing has; WSAENOPROTOOPT at the others, as the profile field
    /// `original-destination-level` says, and on a socket that is not TCP's; WSAEFAULT where `length` is too small;
    /// on a socket to which nothing was redirected what the profile field `original-destination-absent` says. A
    /// socket that AcceptEx connected knows of it only as far as `query-before-update-context` allows.
    ///
    /// Source: sdk-api "getsockopt"; the size and the order of these errors are not documented.
    pub fn getsockopt_original_dst(
        &self,
        caller: Caller,
        socket: SocketHandle,
        level: i32,
        length: u32,
    ) -> Result<Vec<u8>, WinsockError> {
        let view = self.view(caller, socket)?;
        self.check_level(view, level)?;
        let family = view.kind.family;
        let needed = match family {
            Family::Ipv4 => 16,
            Family::Ipv6 => 28,
        };
        if (length as usize) < needed {
            return Err(WinsockError::WSAEFAULT);
        }
        let address = match (self.original_destination(view), self.profile.original_destination_absent) {
            (Some(original), _) => address::written_in(family, original),
            (None, OriginalAbsent::Invalid) => return Err(WinsockError::WSAEINVAL),
            (None, OriginalAbsent::LocalAddress) => self.getsockname(caller, socket)?,
        };
        let bytes = address::to_sockaddr_storage(&address);
        Ok(bytes.iter().take(needed).copied().collect())
    }

    fn check_level(&self, socket: &Socket, level: i32) -> Result<(), WinsockError> {
        let known = self.profile.original_destination_level;
        let has_option = match level {
            SOL_SOCKET => known != OriginalLevel::Family,
            SOL_IP => known != OriginalLevel::Socket && socket.kind.family == Family::Ipv4,
            SOL_IPV6 => known != OriginalLevel::Socket && socket.kind.family == Family::Ipv6,
            _ => return Err(WinsockError::WSAEINVAL),
        };
        let has_option = has_option
            && self.profile.windows_version != WindowsVersion::Seven
            && socket.kind.protocol == Protocol::Tcp;
        if has_option { Ok(()) } else { Err(WinsockError::WSAENOPROTOOPT) }
    }

    fn original_destination(&self, socket: &Socket) -> Option<SocketAddr> {
        let State::Connected(Connection { flow, side: Side::Server, updated, .. }) = &socket.state else {
            return None;
        };
        let knows = *updated || self.profile.query_before_update_context == Availability::Answered;
        self.flows.get(flow).filter(|_| knows)?.original
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::address::from_sockaddr_storage;
    use crate::engine::{Context, Redirect};
    use crate::testing::{Machine, SERVER, SERVER_MAPPED, SERVER_V6, address, both};
    use crate::{Completion, SocketKind};

    /// A connection to this address that a vendor redirected to the service: the accepted socket.
    fn redirected(m: &mut Machine, kind: SocketKind, to: &str) -> SocketHandle {
        let redirect = Redirect { context: Context::None, ..Redirect::local(m.service.pid, both(1001)) };
        m.redirect_all(100, redirect);
        let local = if kind == SocketKind::V4 { "127.0.0.1:1001" } else { "[::1]:1001" };
        let listener = m.w.socket(m.service, kind).unwrap();
        let any = if kind.is_dual() { "[::]:1001" } else { local };
        m.w.bind(m.service, listener, address(any)).unwrap();
        m.w.listen(m.service, listener, 1).unwrap();
        let client = m.socket(if to == SERVER { SocketKind::V4 } else { SocketKind::DUAL });
        assert_eq!(m.connect(client, to), Ok(Completion::Done(())));
        m.accept(listener)
    }

    #[rstest]
    #[case::v4(SocketKind::V4, SOL_IP, SERVER, SERVER, 16)]
    #[case::v6(SocketKind::V6, SOL_IPV6, SERVER_V6, SERVER_V6, 28)]
    #[case::v4_at_a_dual_stack_listener(SocketKind::DUAL, SOL_IPV6, SERVER, SERVER_MAPPED, 28)]
    #[case::mapped_at_a_v4_listener(SocketKind::V4, SOL_IP, SERVER_MAPPED, SERVER, 16)]
    fn original_destination_is_written_as_the_socket_has_it(
        #[case] kind: SocketKind,
        #[case] level: i32,
        #[case] to: &str,
        #[case] told: &str,
        #[case] size: usize,
    ) {
        let mut m = Machine::default();
        let accepted = redirected(&mut m, kind, to);
        for level in [level, SOL_SOCKET] {
            let bytes = m.w.getsockopt_original_dst(m.service, accepted, level, 128).unwrap();
            assert_eq!((bytes.len(), from_sockaddr_storage(&bytes)), (size, Some(address(told))));
        }
        let exactly = u32::try_from(size).unwrap();
        assert!(m.w.getsockopt_original_dst(m.service, accepted, level, exactly).is_ok());
        let short = m.w.getsockopt_original_dst(m.service, accepted, level, exactly - 1);
        assert_eq!(short, Err(WinsockError::WSAEFAULT));
    }

    #[rstest]
    #[case("any", Ok(()), Ok(()))]
    #[case("family", Ok(()), Err(WinsockError::WSAENOPROTOOPT))]
    #[case("socket", Err(WinsockError::WSAENOPROTOOPT), Ok(()))]
    fn option_is_one_of_some_levels_and_unknown_at_others(
        #[case] value: &str,
        #[case] ip: Result<(), WinsockError>,
        #[case] socket: Result<(), WinsockError>,
    ) {
        let mut m = Machine::with(&[("original-destination-level", value)]);
        let accepted = redirected(&mut m, SocketKind::V4, SERVER);
        let ask = |level| m.w.getsockopt_original_dst(m.service, accepted, level, 128).map(drop);
        assert_eq!((ask(SOL_IP), ask(SOL_SOCKET)), (ip, socket));
        assert_eq!(ask(SOL_IPV6), Err(WinsockError::WSAENOPROTOOPT));
        assert_eq!(ask(6), Err(WinsockError::WSAEINVAL));
    }

    #[test]
    fn where_nothing_was_redirected_there_is_no_original_destination_or_the_own_address() {
        for (value, told) in [("WSAEINVAL", None), ("local-address", Some("127.0.0.1:7"))] {
            let mut m = Machine::with(&[("original-destination-absent", value)]);
            let (client, accepted) = m.pair();
            let ask = |caller, socket| {
                let bytes = m.w.getsockopt_original_dst(caller, socket, SOL_IP, 128)?;
                Ok(from_sockaddr_storage(&bytes))
            };
            let expected = told.map_or(Err(WinsockError::WSAEINVAL), |told| Ok(Some(address(told))));
            assert_eq!(ask(m.service, accepted), expected);
            assert_eq!(ask(m.app, client).is_ok(), told.is_some());
            assert_eq!(ask(m.app, accepted), Err(WinsockError::WSAENOTSOCK));
            let fresh = m.socket(SocketKind::V4);
            let fresh = m.w.getsockopt_original_dst(m.app, fresh, SOL_IP, 128);
            assert_eq!(fresh, Err(WinsockError::WSAEINVAL));
        }
    }

    #[test]
    fn client_of_a_redirected_connection_is_told_nothing_and_datagrams_have_no_such_option() {
        let mut m = Machine::default();
        let (client, _) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let asked = m.w.getsockopt_original_dst(m.app, client, SOL_IP, 128);
        assert_eq!(asked, Err(WinsockError::WSAEINVAL));
        let udp = m.socket(SocketKind::V4.udp());
        let asked = m.w.getsockopt_original_dst(m.app, udp, SOL_IP, 128);
        assert_eq!(asked, Err(WinsockError::WSAENOPROTOOPT));
    }

    #[test]
    fn socket_of_accept_ex_knows_the_destination_as_soon_as_the_queries_do() {
        for (value, known) in [("answered", true), ("WSAENOTCONN", false)] {
            let mut m = Machine::with(&[("query-before-update-context", value)]);
            let listener = m.service_at(1001);
            m.redirect_all(100, Redirect::local(m.service.pid, both(1001)));
            m.connected(SERVER);
            let into = m.w.socket(m.service, SocketKind::V4).unwrap();
            m.w.accept_ex(m.service, listener, into).unwrap();
            let asked = m.w.getsockopt_original_dst(m.service, into, SOL_IP, 128);
            assert_eq!(asked.is_ok(), known, "{value}");
            m.w.update_accept_context(m.service, into, listener).unwrap();
            assert!(m.w.getsockopt_original_dst(m.service, into, SOL_IP, 128).is_ok());
        }
    }
}
