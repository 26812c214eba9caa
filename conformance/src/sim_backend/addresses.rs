//! Names of hosts to addresses, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wfp_sim::address::{Family, written_in};
use wfp_sim::{Host, HostId, LOCAL_HOST, World};

use crate::vocabulary::{Endpoint, HostSpec, LOCAL, Name, Place, SocketFamily};

/// The hosts of a scenario, the local one first.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    hosts: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    name: Name,
    id: HostId,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

/// Ports from here on are the machine's choice, and differ from machine to machine.
const FIRST_DYNAMIC_PORT: u16 = 49152;

impl Default for Addresses {
    fn default() -> Self {
        let local = Known {
            name: LOCAL.into(),
            id: LOCAL_HOST,
            v4: Ipv4Addr::new(192, 0, 2, 1),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        };
        Self { hosts: vec![local] }
    }
}

impl Addresses {
    /// Puts a host onto the network of the world, with addresses from the ranges for documentation.
    pub(super) fn add(&mut self, world: &mut World, spec: &HostSpec) {
        if self.hosts.iter().any(|host| host.name == spec.name) {
            return;
        }
        let number = u16::try_from(self.hosts.len()).unwrap_or(u16::MAX);
        let [high, low] = number.to_be_bytes();
        let v4 = Ipv4Addr::new(198, 18, high, low);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, number);
        let addresses = vec![IpAddr::V4(v4), IpAddr::V6(v6)];
        let id = world.add_host(Host { name: Name::clone(&spec.name), addresses, silent: spec.silent });
        self.hosts.push(Known { name: Name::clone(&spec.name), id, v4, v6 });
    }

    pub(super) fn host(&self, name: &str) -> Result<HostId, String> {
        self.known(name).map(|host| host.id)
    }

    fn known(&self, name: &str) -> Result<&Known, String> {
        self.hosts.iter().find(|host| *host.name == *name).ok_or_else(|| format!("there is no host `{name}`"))
    }

    /// The address of an endpoint, written in a family; [`SocketFamily::Dual`] stands for v4-mapped.
    pub(super) fn resolve(&self, endpoint: &Endpoint, family: SocketFamily) -> Result<SocketAddr, String> {
        let port = endpoint.port.unwrap_or(0);
        let (v4, v6) = match &endpoint.place {
            Place::Any => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Place::Loopback => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            Place::Host(name) => {
                let host = self.known(name)?;
                (host.v4, host.v6)
            }
        };
        Ok(match family {
            SocketFamily::Ipv4 => SocketAddr::new(v4.into(), port),
            SocketFamily::Ipv6 => SocketAddr::new(v6.into(), port),
            SocketFamily::Dual => written_in(Family::Ipv6, SocketAddr::new(v4.into(), port)),
        })
    }

    /// The same host and port, written in a family.
    pub(super) fn rewritten(&self, address: SocketAddr, family: SocketFamily) -> SocketAddr {
        let ip = address.ip().to_canonical();
        let host = self.hosts.iter().find(|host| ip == host.v4 || ip == host.v6);
        let port = address.port();
        match (host, family) {
            (Some(host), SocketFamily::Ipv4) => SocketAddr::new(host.v4.into(), port),
            (Some(host), SocketFamily::Ipv6) => SocketAddr::new(host.v6.into(), port),
            (Some(host), SocketFamily::Dual) => {
                written_in(Family::Ipv6, SocketAddr::new(host.v4.into(), port))
            }
            (None, SocketFamily::Ipv4) => SocketAddr::new(ip, port),
            (None, SocketFamily::Ipv6) => address,
            (None, SocketFamily::Dual) => written_in(Family::Ipv6, address),
        }
    }

    /// How a scenario names an address.
    pub(super) fn endpoint(&self, world: &World, address: SocketAddr) -> Endpoint {
        let ip = address.ip().to_canonical();
        let port = (address.port() < FIRST_DYNAMIC_PORT).then_some(address.port());
        let place = if ip.is_unspecified() {
            Place::Any
        } else if ip.is_loopback() {
            Place::Loopback
        } else {
            let host = world.host_with(LOCAL_HOST, ip);
            let known = self.hosts.iter().find(|known| Some(known.id) == host);
            Place::Host(known.map_or_else(|| ip.to_string().into(), |known| Name::clone(&known.name)))
        };
        Endpoint { place, port }
    }

    /// Both addresses of a host.
    pub(super) fn of_host(&self, name: &str) -> Result<[IpAddr; 2], String> {
        self.known(name).map(|host| [host.v4.into(), host.v6.into()])
    }
}
