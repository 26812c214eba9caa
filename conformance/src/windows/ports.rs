//! Ports of this machine that stand for those of a scenario.
//!
//! A scenario names low ports, which need rights or are taken, and the same ones on several hosts. Each pair of a host
//! and a port gets a port of its own here, out of a range that no system hands out by itself.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use super::ground::{Ground, Served};
use crate::vocabulary::Name;

/// The first port of the range. Windows hands out ports from 49152 on, Linux under Wine from 32768 on.
const FIRST: u16 = 20_000;
/// How many there are.
const COUNT: u16 = 12_000;

/// Where the search goes on: backends of one process never try the same port at the same time.
static NEXT: AtomicU16 = AtomicU16::new(0);

impl Ground {
    /// This machine, with what it has of addresses beside those of loopback.
    pub(super) fn of_this_machine() -> Self {
        let v4 = own_address(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
        let v6 =
            own_address(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
        let default = Self::default();
        Self {
            v4: if let Some(IpAddr::V4(v4)) = v4 { v4 } else { default.v4 },
            v6: if let Some(IpAddr::V6(v6)) = v6 { v6 } else { default.v6 },
            ports: Vec::new(),
        }
    }

    /// Lets a port of this machine stand for one of a scenario, where none does so yet; `None` where all are taken.
    pub(super) fn serve(&mut self, host: &Name, port: u16) -> Option<u16> {
        if let Some(served) = self.ports.iter().find(|served| served.host == *host && served.port == port) {
            return Some(served.real);
        }
        let real = (0..COUNT).map(|_| next()).find(|port| self.is_free(*port))?;
        self.ports.push(Served { host: Name::clone(host), port, real });
        Some(real)
    }

    /// Whether nobody has a port, at any address that a case may bind. On Windows a socket of everybody's address can be
    /// bound beside one of a single address, so each is tried.
    fn is_free(&self, port: u16) -> bool {
        let addresses: [IpAddr; 6] = [
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv4Addr::LOCALHOST.into(),
            Ipv6Addr::LOCALHOST.into(),
            self.v4.into(),
            self.v6.into(),
        ];
        addresses.into_iter().all(|address| {
            untaken(&TcpListener::bind((address, port)).map(drop))
                && untaken(&UdpSocket::bind((address, port)).map(drop))
        })
    }
}

/// The address that this machine would send from. Nothing is sent: a datagram socket that is connected only chooses.
fn own_address(any: IpAddr, there: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((there, 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn next() -> u16 {
    // Two programs of this kind begin in different places.
    let begin = u16::try_from(std::process::id().wrapping_mul(397) % u32::from(COUNT)).unwrap_or(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    FIRST + (number % COUNT + begin) % COUNT
}

/// A machine without IPv6 has nobody there either.
fn untaken(bound: &Result<(), Error>) -> bool {
    match bound {
        Ok(()) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_of_each_host_has_one_of_its_own_and_keeps_it() {
        let mut ground = Ground::of_this_machine();
        let (server, other): (Name, Name) = ("server".into(), "other".into());
        let first = ground.serve(&server, 443).unwrap();
        let all = [ground.serve(&other, 443), ground.serve(&server, 80)];
        assert!((FIRST..FIRST + COUNT).contains(&first));
        assert!(!all.contains(&Some(first)) && all[0] != all[1], "{first} {all:?}");
        assert_eq!(ground.serve(&server, 443), Some(first));
    }

    #[test]
    fn a_port_that_somebody_has_is_not_free() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!Ground::of_this_machine().is_free(taken.local_addr().unwrap().port()));
    }
}
