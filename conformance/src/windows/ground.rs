//! Names to real addresses, and back: every host of a scenario is this machine, under ports of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use wfp_sim::address::{Family, written_in};

use crate::vocabulary::{BackendFault, Endpoint, LOCAL, Name, Place, SocketFamily};

/// What the names of a scenario stand for on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Ground {
    /// An address of this machine; that of loopback where it has no other.
    pub(super) v4: Ipv4Addr,
    /// The same for IPv6.
    pub(super) v6: Ipv6Addr,
    /// The ports that the scenario names.
    pub(super) ports: Vec<Served>,
}

/// A port of a host, and the one of this machine that stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Served {
    pub(super) host: Name,
    pub(super) port: u16,
    pub(super) real: u16,
}

/// An address of nobody here, for a host that is bound to where it is not: one of the ranges for documentation.
const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

impl Default for Ground {
    fn default() -> Self {
        Self { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST, ports: Vec::new() }
    }
}

/// The host whose port an endpoint names, in a process on `host`.
pub(super) fn host_of<'a>(endpoint: &'a Endpoint, host: &'a Name) -> &'a Name {
    match &endpoint.place {
        Place::Any | Place::Loopback => host,
        Place::Host(name) => name,
    }
}

impl Ground {
    /// Where a process on `host` connects or sends to; [`SocketFamily::Dual`] stands for v4-mapped.
    pub(super) fn destination(
        &self,
        endpoint: &Endpoint,
        host: &Name,
        family: SocketFamily,
    ) -> Result<SocketAddr, BackendFault> {
        self.resolve(endpoint, host, family, (self.v4, self.v6))
    }

    /// Where a process on `host` binds a socket. What is another host's is not to be had.
    pub(super) fn own(
        &self,
        endpoint: &Endpoint,
        host: &Name,
        family: SocketFamily,
    ) -> Result<SocketAddr, BackendFault> {
        let own = host_of(endpoint, host) == host;
        let addresses = if own { (self.v4, self.v6) } else { (ELSEWHERE_V4, ELSEWHERE_V6) };
        self.resolve(endpoint, host, family, addresses)
    }

    fn resolve(
        &self,
        endpoint: &Endpoint,
        host: &Name,
        family: SocketFamily,
        (of_host_v4, of_host_v6): (Ipv4Addr, Ipv6Addr),
    ) -> Result<SocketAddr, BackendFault> {
        let port = match endpoint.port.unwrap_or(0) {
            0 => 0,
            port => self.real(host_of(endpoint, host), port)?,
        };
        let (v4, v6) = match &endpoint.place {
            Place::Any => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Place::Loopback => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            // A case that names this machine means an address that is not loopback's.
            Place::Host(name)
                if &**name == LOCAL && of_host_v6.is_loopback() && family == SocketFamily::Ipv6 =>
            {
                return Err(BackendFault::Unsupported("an IPv6 address of its own beside ::1".to_owned()));
            }
            Place::Host(_) => (of_host_v4, of_host_v6),
        };
        Ok(match family {
            SocketFamily::Ipv4 => SocketAddr::new(v4.into(), port),
            SocketFamily::Ipv6 => SocketAddr::new(v6.into(), port),
            SocketFamily::Dual => written_in(Family::Ipv6, SocketAddr::new(v4.into(), port)),
        })
    }

    fn real(&self, host: &Name, port: u16) -> Result<u16, BackendFault> {
        let served = self.ports.iter().find(|served| served.host == *host && served.port == port);
        let missing = || BackendFault::Misuse(format!("no port stands for {host}:{port}"));
        served.map(|served| served.real).ok_or_else(missing)
    }

    /// The same address, written in a family.
    pub(super) fn rewritten(&self, address: SocketAddr, family: SocketFamily) -> SocketAddr {
        let ip = address.ip().to_canonical();
        let (v4, v6) = if ip == IpAddr::from(self.v4) || ip == IpAddr::from(self.v6) {
            (IpAddr::from(self.v4), IpAddr::from(self.v6))
        } else if ip.is_loopback() {
            (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())
        } else {
            (ip, address.ip())
        };
        let port = address.port();
        match family {
            SocketFamily::Ipv4 => SocketAddr::new(v4, port),
            SocketFamily::Ipv6 => SocketAddr::new(v6, port),
            SocketFamily::Dual => written_in(Family::Ipv6, SocketAddr::new(v4, port)),
        }
    }

    /// How the scenario names an address. `own` is the host that it is on, where the port does not tell: that of the
    /// process for a name of its own socket. `other` is the other end of the connection.
    pub(super) fn endpoint(&self, address: SocketAddr, own: &Name, other: Option<SocketAddr>) -> Endpoint {
        let served = |port| self.ports.iter().find(|served| served.real == port);
        let known = served(address.port()).filter(|_| address.port() != 0);
        let port = match known {
            Some(served) => Some(served.port),
            None => (address.port() == 0).then_some(0),
        };
        let host = known.map_or(own, |served| &served.host);
        let ip = address.ip().to_canonical();
        // Who speaks to another host is not seen at loopback, even where this machine has no other address.
        let far = other.and_then(|other| served(other.port())).is_some_and(|served| served.host != *host);
        let place = if ip.is_unspecified() {
            Place::Any
        } else if ip.is_loopback() && !far && &**host == LOCAL {
            Place::Loopback
        } else if ip.is_loopback() || ip == IpAddr::from(self.v4) || ip == IpAddr::from(self.v6) {
            Place::Host(Name::clone(host))
        } else {
            Place::Host(ip.to_string().into())
        };
        Endpoint { place, port }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ground() -> Ground {
        let served = |host: &str, port, real| Served { host: host.into(), port, real };
        let ports = vec![served("local", 1001, 20_001), served("server", 443, 20_002)];
        Ground { v4: Ipv4Addr::new(10, 0, 0, 5), v6: "fd00::5".parse().unwrap(), ports }
    }

    #[rstest]
    #[case("loopback:1001", SocketFamily::Ipv4, "127.0.0.1:20001")]
    #[case("loopback:1001", SocketFamily::Ipv6, "[::1]:20001")]
    #[case("any:1001", SocketFamily::Ipv6, "[::]:20001")]
    #[case("local:1001", SocketFamily::Ipv4, "10.0.0.5:20001")]
    #[case("server:443", SocketFamily::Ipv4, "10.0.0.5:20002")]
    #[case("server:443", SocketFamily::Dual, "[::ffff:10.0.0.5]:20002")]
    #[case("loopback:0", SocketFamily::Ipv4, "127.0.0.1:0")]
    fn destinations_are_this_machine_under_a_port_of_their_own(
        #[case] endpoint: &str,
        #[case] family: SocketFamily,
        #[case] real: &str,
    ) {
        let address = ground().destination(&endpoint.parse().unwrap(), &LOCAL.into(), family);
        assert_eq!(address, Ok(real.parse().unwrap()));
    }

    #[test]
    fn an_address_of_another_host_cannot_be_bound_and_of_ones_own_can() {
        let own = |host: &str| ground().own(&"server:443".parse().unwrap(), &host.into(), SocketFamily::Ipv4);
        assert_eq!(own("local"), Ok("198.51.100.1:20002".parse().unwrap()));
        assert_eq!(own("server"), Ok("10.0.0.5:20002".parse().unwrap()));
    }

    #[rstest]
    #[case("10.0.0.5:20002", "local", None, "server:443")]
    #[case("[::ffff:10.0.0.5]:20002", "local", None, "server:443")]
    #[case("127.0.0.1:20001", "local", None, "loopback:1001")]
    #[case("0.0.0.0:20001", "local", None, "any:1001")]
    #[case("0.0.0.0:0", "local", None, "any:0")]
    #[case("10.0.0.5:50123", "local", Some("10.0.0.5:20002"), "local:*")]
    #[case("127.0.0.1:50123", "local", Some("127.0.0.1:20002"), "local:*")]
    #[case("127.0.0.1:50123", "local", Some("127.0.0.1:20001"), "loopback:*")]
    #[case("10.0.0.5:50123", "server", None, "server:*")]
    fn addresses_are_named_as_the_scenario_names_them(
        #[case] real: &str,
        #[case] own: &str,
        #[case] other: Option<&str>,
        #[case] endpoint: &str,
    ) {
        let other = other.map(|other| other.parse().unwrap());
        let told = ground().endpoint(real.parse().unwrap(), &own.into(), other);
        assert_eq!(told.to_string(), endpoint);
    }

    #[rstest]
    #[case("10.0.0.5:9", SocketFamily::Ipv6, "[fd00::5]:9")]
    #[case("[fd00::5]:9", SocketFamily::Dual, "[::ffff:10.0.0.5]:9")]
    #[case("[::ffff:10.0.0.5]:9", SocketFamily::Ipv4, "10.0.0.5:9")]
    #[case("127.0.0.1:9", SocketFamily::Ipv6, "[::1]:9")]
    #[case("192.0.2.7:9", SocketFamily::Dual, "[::ffff:192.0.2.7]:9")]
    fn an_address_is_the_same_machine_in_every_family(
        #[case] address: &str,
        #[case] family: SocketFamily,
        #[case] written: &str,
    ) {
        assert_eq!(ground().rewritten(address.parse().unwrap(), family), written.parse().unwrap());
    }

    #[test]
    fn a_machine_without_an_ipv6_address_of_its_own_has_loopback_alone() {
        let ground = Ground { v6: Ipv6Addr::LOCALHOST, ..ground() };
        let to =
            |endpoint: &str, family| ground.destination(&endpoint.parse().unwrap(), &LOCAL.into(), family);
        let missing = BackendFault::Unsupported("an IPv6 address of its own beside ::1".to_owned());
        assert_eq!(to("local:1001", SocketFamily::Ipv6), Err(missing));
        assert_eq!(to("loopback:1001", SocketFamily::Ipv6), Ok("[::1]:20001".parse().unwrap()));
        assert_eq!(to("local:1001", SocketFamily::Dual), Ok("[::ffff:10.0.0.5]:20001".parse().unwrap()));
        assert_eq!(to("server:443", SocketFamily::Ipv6), Ok("[::1]:20002".parse().unwrap()));
    }

    #[test]
    fn a_port_that_stands_for_none_is_an_error() {
        let missing = ground().destination(&"server:80".parse().unwrap(), &LOCAL.into(), SocketFamily::Ipv4);
        assert_eq!(missing, Err(BackendFault::Misuse("no port stands for server:80".to_owned())));
    }
}
