//! What a callout does, as data: its rules here, its habits and how they are played in files of their own.

mod habits;
mod play;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

pub use self::habits::{AfterAcquire, Habits, Reauthorize, WriteRight};
use super::{ClassifyOut, Condition, LayerKind};
use crate::address::{self, Family, SOCKADDR_STORAGE_SIZE};
use crate::ids::{Pid, RedirectHandle};
use crate::profile::Profile;
use crate::records::RedirectState;

/// A callout's policy: the first rule that fits decides; where none does, it permits.
///
/// The default has no handle and no rules, and is careful.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The redirect handle or handles that the callout asks and redirects with.
    pub handles: Handles,
    /// Whether it looks at `previousVersion` and leaves a connect alone that a callout before it redirected
    /// locally in the same classify.
    pub heeds_earlier_redirect: bool,
    /// How it keeps the rules of the functions that it calls.
    pub habits: Habits,
    /// What it does, first match first.
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            handles: Handles::None,
            heeds_earlier_redirect: true,
            habits: Habits::default(),
            rules: Vec::new(),
        }
    }
}

impl Policy {
    /// The policy that the documents ask for: redirect what nobody or only others redirected, permit the rest.
    ///
    /// Source: ddi "FwpsQueryConnectionRedirectState0"; driver-docs "Using Proxied Connections Tracking".
    #[must_use]
    pub fn cooperative(handle: RedirectHandle, redirect: Redirect) -> Self {
        let states = States::of(&[RedirectState::NotRedirected, RedirectState::RedirectedByOther]);
        let rules = vec![Rule { states, ..Rule::always(Decision::Redirect(redirect)) }];
        Self { handles: Handles::One(handle), rules, ..Self::default() }
    }
}

/// Which redirect handle a callout uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handles {
    /// None: it cannot tell who redirected, and every state is NOT_REDIRECTED to it.
    None,
    /// One for all it does.
    One(RedirectHandle),
    /// One for each layer, so that it does not know its own redirects of the other family
    /// (docs/behaviour.md, R5).
    PerFamily {
        /// At the V4 layer.
        v4: RedirectHandle,
        /// At the V6 layer.
        v6: RedirectHandle,
    },
}

impl Handles {
    /// The handle for a connect that is classified in `family`.
    #[must_use]
    pub fn of(self, family: Family) -> Option<RedirectHandle> {
        match (self, family) {
            (Self::None, _) => None,
            (Self::One(handle), _) => Some(handle),
            (Self::PerFamily { v4, .. }, Family::Ipv4) => Some(v4),
            (Self::PerFamily { v6, .. }, Family::Ipv6) => Some(v6),
        }
    }
}

/// When, and what then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// At these layers,
    pub layers: Layers,
    /// in these redirect states,
    pub states: States,
    /// for traffic of these processes
    pub processes: Processes,
    /// that meets all of these conditions,
    pub conditions: Vec<Condition>,
    /// the callout does this.
    pub decision: Decision,
}

impl Rule {
    /// A rule that always fits.
    #[must_use]
    pub fn always(decision: Decision) -> Self {
        Self {
            layers: Layers::ALL,
            states: States::ALL,
            processes: Processes::Any,
            conditions: Vec::new(),
            decision,
        }
    }
}

/// A set of layers, of either IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layers(u8);

impl Layers {
    /// Every layer.
    pub const ALL: Self = Self((1 << LayerKind::ALL.len()) - 1);

    /// These.
    #[must_use]
    pub fn of(kinds: &[LayerKind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | 1 << *kind as u32))
    }

    /// Whether `kind` is one of them.
    #[must_use]
    pub fn contains(self, kind: LayerKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
}

/// A set of redirect states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct States(u8);

impl States {
    /// All four.
    pub const ALL: Self = Self(0b1111);

    /// These.
    #[must_use]
    pub fn of(states: &[RedirectState]) -> Self {
        Self(states.iter().fold(0, |set, state| set | 1 << *state as u32))
    }

    /// Whether `state` is one of them.
    #[must_use]
    pub fn contains(self, state: RedirectState) -> bool {
        self.0 & 1 << state as u32 != 0
    }
}

/// A set of processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Processes {
    /// Every process.
    Any,
    /// These, and not their children.
    Only(Arc<[Pid]>),
}

impl Processes {
    pub(crate) fn contains(&self, pid: Pid) -> bool {
        match self {
            Self::Any => true,
            Self::Only(pids) => pids.contains(&pid),
        }
    }
}

/// What a callout does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// `FWP_ACTION_PERMIT`.
    Permit,
    /// The same, with the right to write cleared.
    HardPermit,
    /// `FWP_ACTION_CONTINUE`: the next filter of the sublayer is asked.
    Continue,
    /// `FWP_ACTION_BLOCK`; at a redirect layer the profile field `block-at-redirect-layer` says what comes of it.
    Block,
    /// The same, with the right to write cleared.
    HardBlock,
    /// At CONNECT_REDIRECT: permits, and remembers to block this connect at AUTH_CONNECT, where the callout must be asked
    /// too. At other layers: as `Block`.
    BlockLater,
    /// Changes the request and permits.
    Redirect(Redirect),
    /// Changes the local address of the request and permits: at BIND_REDIRECT for the life of the socket.
    Rebind(Rebind),
    /// Pends the request, and completes it later.
    Pend(Pend),
    /// At INBOUND_IPPACKET: a copy of the packet goes on in its place, without what rides on it.
    CloneAndReinject,
}

/// Another local address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rebind {
    /// For IPv4 sockets.
    pub v4: Option<Ipv4Addr>,
    /// For IPv6 sockets.
    pub v6: Option<Ipv6Addr>,
}

/// What a callout does with a request that it pends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pend {
    /// What it changes before it completes the request.
    pub redirect: Option<Redirect>,
    /// How it completes it.
    pub completion: Completion,
    /// Whether its worker does so at once; else the driver must be told
    /// ([`World::fwps_complete_classify`](crate::World::fwps_complete_classify)).
    pub at_once: bool,
}

/// `FwpsCompleteClassify0`: with `classifyOut`, or with NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The final decision of the callout.
    Final(ClassifyOut),
    /// NULL: the request is classified again.
    Reauthorize,
}

/// A change of `FWPS_CONNECT_REQUEST0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redirect {
    /// `remoteAddressAndPort`.
    pub target: Target,
    /// `localRedirectTargetPID`; 0 where the driver leaves it.
    pub target_pid: u32,
    /// Whether `localRedirectHandle` is set.
    pub with_handle: bool,
    /// `localRedirectContext`.
    pub context: Context,
}

impl Redirect {
    /// To a service of this host that `pid` runs at `target`, with the original destination as context.
    #[must_use]
    pub fn local(pid: Pid, target: impl Into<Target>) -> Self {
        Self { target: target.into(), target_pid: pid.0, with_handle: true, context: Context::Destination }
    }
}

/// Where a redirect leads, by the family of the destination.
///
/// A v4-mapped destination is redirected to the v4-mapped form of the IPv4 target, where there is one, else to
/// the IPv6 target. A family without a target is not redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// For IPv4 destinations.
    pub v4: Option<SocketAddrV4>,
    /// For IPv6 destinations.
    pub v6: Option<SocketAddrV6>,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self { v4: Some(v4), v6: None },
            SocketAddr::V6(v6) => Self { v4: None, v6: Some(v6) },
        }
    }
}

impl Target {
    /// The target for a connect to `remote`, written as `remote` is.
    #[must_use]
    pub fn for_destination(&self, remote: &SocketAddr) -> Option<SocketAddr> {
        let v6 = self.v6.map(SocketAddr::V6);
        match remote {
            SocketAddr::V4(_) => self.v4.map(SocketAddr::V4),
            SocketAddr::V6(_) if address::is_mapped(remote) => {
                self.v4.map(|v4| address::written_in(Family::Ipv6, SocketAddr::V4(v4))).or(v6)
            }
            SocketAddr::V6(_) => v6,
        }
    }
}

/// What the context of a redirect holds. The layout is the vendor's own business (docs/behaviour.md, "Clients in
/// the field"); these are the ones that services of this project can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// No context.
    None,
    /// The original destination as a `SOCKADDR_STORAGE`: 128 bytes.
    Destination,
    /// Destination and source as `SOCKADDR_STORAGE[2]`, as in WFPSampler: 256 bytes.
    DestinationAndSource,
    /// The original destination, and zeros up to this many bytes in all, at least 128.
    Padded(u32),
    /// These bytes.
    Opaque(Arc<[u8]>),
}

impl Context {
    /// The bytes that the driver allocates for a connect from `local` to `remote`.
    pub(crate) fn bytes(&self, local: &SocketAddr, remote: &SocketAddr) -> Option<Arc<[u8]>> {
        let destination = address::to_sockaddr_storage(remote);
        match self {
            Self::None => None,
            Self::Destination => Some(destination.into()),
            Self::DestinationAndSource => {
                Some([destination, address::to_sockaddr_storage(local)].concat().into())
            }
            Self::Padded(length) => {
                // One byte more than any machine takes is as good as any larger length, and costs less.
                let length = (*length).min(Profile::LARGEST_CONTEXT_LIMIT + 1) as usize;
                let mut bytes = destination.to_vec();
                bytes.resize(length.max(SOCKADDR_STORAGE_SIZE), 0);
                Some(bytes.into())
            }
            Self::Opaque(bytes) => Some(Arc::clone(bytes)),
        }
    }
}

impl Rebind {
    /// The address for a socket whose local address is written like `local`; the port stays.
    fn for_local(self, local: SocketAddr) -> Option<SocketAddr> {
        let ip = match local {
            SocketAddr::V4(_) => self.v4.map(IpAddr::V4),
            SocketAddr::V6(_) if address::is_mapped(&local) => {
                self.v4.map(|v4| IpAddr::V6(v4.to_ipv6_mapped()))
            }
            SocketAddr::V6(_) => self.v6.map(IpAddr::V6),
        };
        Some(SocketAddr::new(ip?, local.port()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{address, both};

    #[rstest]
    #[case::v4("203.0.113.9:443", Some("127.0.0.1:7"))]
    #[case::v6("[2001:db8::9]:443", Some("[::1]:7"))]
    #[case::mapped("[::ffff:203.0.113.9]:443", Some("[::ffff:127.0.0.1]:7"))]
    fn target_is_written_as_the_destination_is(#[case] destination: &str, #[case] target: Option<&str>) {
        assert_eq!(both(7).for_destination(&address(destination)), target.map(address));
    }

    #[rstest]
    #[case::only_v4("127.0.0.1:7", "[2001:db8::9]:443", None)]
    #[case::only_v6("[::1]:7", "203.0.113.9:443", None)]
    #[case::only_v6_for_mapped("[::1]:7", "[::ffff:203.0.113.9]:443", Some("[::1]:7"))]
    fn family_without_a_target_is_not_redirected(
        #[case] target: &str,
        #[case] destination: &str,
        #[case] expected: Option<&str>,
    ) {
        let target = Target::from(address(target));
        assert_eq!(target.for_destination(&address(destination)), expected.map(address));
    }

    #[rstest]
    #[case::none(Context::None, None)]
    #[case::destination(Context::Destination, Some(128))]
    #[case::destination_and_source(Context::DestinationAndSource, Some(256))]
    #[case::padded(Context::Padded(300), Some(300))]
    #[case::padded_to_less_than_an_address(Context::Padded(1), Some(128))]
    #[case::padded_beyond_every_limit(Context::Padded(u32::MAX), Some(1_048_577))]
    #[case::opaque(Context::Opaque([1, 2, 3].into()), Some(3))]
    #[case::empty(Context::Opaque([].into()), Some(0))]
    fn context_is_as_long_as_its_layout(#[case] context: Context, #[case] length: Option<usize>) {
        let bytes = context.bytes(&address("192.0.2.1:9"), &address("203.0.113.9:443"));
        assert_eq!(bytes.map(|bytes| bytes.len()), length);
    }

    #[test]
    fn context_holds_the_destination_and_behind_it_the_source() {
        let (source, destination) = (address("192.0.2.1:9"), address("203.0.113.9:443"));
        let bytes = Context::DestinationAndSource.bytes(&source, &destination).unwrap();
        assert_eq!(address::from_sockaddr_storage(&bytes), Some(destination));
        assert_eq!(address::from_sockaddr_storage(&bytes[128..]), Some(source));
    }

    #[test]
    fn set_of_states_holds_what_was_put_in() {
        for state in RedirectState::ALL {
            assert!(States::ALL.contains(state));
            assert!(!States::of(&[]).contains(state));
            for other in RedirectState::ALL {
                assert_eq!(States::of(&[state]).contains(other), state == other);
            }
        }
    }
}
