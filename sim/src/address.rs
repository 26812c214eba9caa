//! Addresses as Winsock has them: families, v4-mapped addresses, and the bytes of a `SOCKADDR_STORAGE`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl Family {
    /// The family that `address` is written in; a v4-mapped address is an IPv6 one.
    #[must_use]
    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// The wildcard address of this family.
    #[must_use]
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// The address that packets carry: a v4-mapped IPv6 address stands for the IPv4 one in it.
#[must_use]
pub fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `address` as a socket of `family` writes it: an IPv4 address on an IPv6 socket is v4-mapped.
#[must_use]
pub fn written_in(family: Family, address: SocketAddr) -> SocketAddr {
    match (family, address) {
        (Family::Ipv6, SocketAddr::V4(v4)) => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        (Family::Ipv4, SocketAddr::V6(_)) => unmapped(address),
        _ => address,
    }
}

/// Whether `address` is `::ffff:a.b.c.d`.
#[must_use]
pub fn is_mapped(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some())
}

/// Bytes in a `SOCKADDR_STORAGE`. Source: win32 "SOCKADDR_STORAGE".
pub const SOCKADDR_STORAGE_SIZE: usize = 128;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 23;

/// The bytes of a `SOCKADDR_STORAGE` that holds `address`, as Windows lays it out: family in the machine's
/// (little-endian) order, port in network order, then the address; for IPv6 the flow information before it
/// and the scope behind it.
///
/// Source: win32 "sockaddr", "SOCKADDR_IN6".
#[must_use]
pub fn to_sockaddr_storage(address: &SocketAddr) -> [u8; SOCKADDR_STORAGE_SIZE] {
    let mut bytes = [0; SOCKADDR_STORAGE_SIZE];
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&AF_INET.to_le_bytes());
            bytes[4..8].copy_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&AF_INET6.to_le_bytes());
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_le_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_le_bytes());
        }
    }
    bytes
}

/// Reads the address at the start of `bytes`, or `None` where there is none: too short, or another family.
#[must_use]
pub fn from_sockaddr_storage(bytes: &[u8]) -> Option<SocketAddr> {
    fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
        bytes.get(at..at + N)?.try_into().ok()
    }
    let port = u16::from_be_bytes(array(bytes, 2)?);
    match u16::from_le_bytes(array(bytes, 0)?) {
        AF_INET => Some(SocketAddr::new(Ipv4Addr::from(array::<4>(bytes, 4)?).into(), port)),
        AF_INET6 => Some(SocketAddr::V6(SocketAddrV6::new(
            Ipv6Addr::from(array::<16>(bytes, 8)?),
            port,
            u32::from_le_bytes(array(bytes, 4)?),
            u32::from_le_bytes(array(bytes, 24)?),
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockaddr_storage_keeps_both_families() {
        for text in ["192.0.2.7:443", "[2001:db8::1]:80", "[::ffff:192.0.2.7]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_sockaddr_storage(&to_sockaddr_storage(&address)), Some(address));
        }
    }

    #[test]
    fn sockaddr_storage_that_is_cut_or_of_another_family_holds_no_address() {
        let bytes = to_sockaddr_storage(&"192.0.2.7:443".parse().unwrap());
        assert_eq!(from_sockaddr_storage(&bytes[..7]), None);
        assert_eq!(from_sockaddr_storage(&[1; 128]), None);
    }

    #[test]
    fn ipv4_address_on_an_ipv6_socket_is_v4_mapped() {
        let v4: SocketAddr = "192.0.2.7:443".parse().unwrap();
        let mapped = written_in(Family::Ipv6, v4);
        assert_eq!(mapped.to_string(), "[::ffff:192.0.2.7]:443");
        assert!(is_mapped(&mapped));
        assert_eq!(unmapped(mapped), v4);
    }

    #[test]
    fn sockaddr_storage_has_the_bytes_of_windows() {
        let v4 = to_sockaddr_storage(&"192.0.2.7:443".parse().unwrap());
        assert_eq!(v4[..8], [2, 0, 0x01, 0xBB, 192, 0, 2, 7]);
        assert!(v4[8..].iter().all(|byte| *byte == 0));
        let address = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0x0102_0304, 5);
        let v6 = to_sockaddr_storage(&SocketAddr::V6(address));
        assert_eq!(v6[..8], [23, 0, 0, 80, 4, 3, 2, 1]);
        assert_eq!(v6[8..28], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0]);
        assert_eq!(from_sockaddr_storage(&v6), Some(SocketAddr::V6(address)));
    }

    #[test]
    fn address_is_written_in_the_sockets_family_where_it_can_be() {
        let plain: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(written_in(Family::Ipv6, plain), plain);
        assert_eq!(written_in(Family::Ipv4, plain), plain, "no IPv4 address stands for it");
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:80".parse().unwrap();
        assert_eq!(written_in(Family::Ipv4, mapped).to_string(), "192.0.2.7:80");
        assert_eq!((Family::of(&mapped), is_mapped(&mapped), is_mapped(&plain)), (Family::Ipv6, true, false));
        assert_eq!(Family::Ipv4.unspecified().to_string(), "0.0.0.0");
        assert_eq!(Family::Ipv6.unspecified().to_string(), "::");
        assert_eq!(format!("{} {}", Family::Ipv4, Family::Ipv6), "ipv4 ipv6");
    }
}
