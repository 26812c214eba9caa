//! The filter engine, as far as redirection goes: sublayers, filters with weights and conditions, and callouts.
//!
//! Source: win32 "Filter Arbitration", "Application Layer Enforcement"; docs/behaviour.md, "Arbitration".

mod classify;
mod driver;
mod layer;
mod policy;
mod redirect_handle;
mod setup;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::ids::{CalloutId, DriverId, FilterId, Pid, RedirectHandle, SublayerId};

pub use classify::Action;
pub(crate) use classify::{ConnectRequest, Endpoint, Version, classify};
pub use driver::{Account, Unload};
pub(crate) use driver::{Driver, RedirectContext};
pub use layer::{Layer, LayerKind};
pub use policy::{Context, Decision, Handles, Policy, Processes, Redirect, Rule, States, Target};
pub(crate) use redirect_handle::OpenHandle;
pub use setup::Vendor;

/// A filter: when all its conditions hold, its callout is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Where it applies.
    pub layer: Layer,
    /// The sublayer that it belongs to.
    pub sublayer: SublayerId,
    /// Heavier filters of a sublayer come first; equal ones in the order in which they were added.
    pub weight: u64,
    /// All must hold; none at all holds for every connect.
    pub conditions: Vec<Condition>,
    /// Who is asked.
    pub callout: CalloutId,
}

/// One condition of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What is looked at.
    pub test: Test,
    /// `FWP_MATCH_NOT_EQUAL`: it must not match.
    pub negated: bool,
}

impl Condition {
    /// Holds where `test` does.
    #[must_use]
    pub fn is(test: Test) -> Self {
        Self { test, negated: false }
    }

    /// Holds where `test` does not.
    #[must_use]
    pub fn is_not(test: Test) -> Self {
        Self { test, negated: true }
    }

    fn holds(&self, endpoint: &Endpoint<'_>, remote: &SocketAddr) -> bool {
        let matches = match &self.test {
            Test::AppId(path) => endpoint.image.eq_ignore_ascii_case(path),
            Test::ProcessId(pid) => endpoint.pid == *pid,
            Test::RemoteAddress { address, prefix } => in_prefix(remote.ip(), *address, *prefix),
            Test::RemotePort(ports) => ports.contains(&remote.port()),
            Test::LocalPort(ports) => ports.contains(&endpoint.local.port()),
            Test::Protocol(number) => endpoint.protocol == *number,
            Test::Loopback => remote.ip().to_canonical().is_loopback(),
        };
        matches != self.negated
    }
}

/// What a condition looks at. Source: win32 "Filtering Conditions Available at Each Filtering Layer".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `ALE_APP_ID`: the image path, without regard to case.
    AppId(Arc<str>),
    /// The process id, as a callout finds it in the metadata.
    ProcessId(Pid),
    /// `IP_PROTOCOL`: 6 for TCP, 17 for UDP.
    Protocol(u8),
    /// `IP_REMOTE_ADDRESS`; a v4-mapped address also matches as the IPv4 address that it stands for.
    RemoteAddress {
        /// The network.
        address: IpAddr,
        /// How many leading bits count.
        prefix: u8,
    },
    /// `IP_REMOTE_PORT`.
    RemotePort(RangeInclusive<u16>),
    /// `IP_LOCAL_PORT`; see the profile field `implicit-source-port`.
    LocalPort(RangeInclusive<u16>),
    /// The flag `IS_LOOPBACK`.
    Loopback,
}

fn in_prefix(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let shift = |width: u32| width.saturating_sub(u32::from(prefix));
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(shift(32)).is_none_or(|bits| bits == 0)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(shift(128)).is_none_or(|bits| bits == 0)
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => {
            matches!(address.to_canonical(), IpAddr::V4(v4) if in_prefix(IpAddr::V4(v4), network, prefix))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

/// A registered callout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Callout {
    pub(crate) owner: DriverId,
    pub(crate) name: Arc<str>,
    pub(crate) policy: Policy,
}

/// The engine's configuration. It changes rarely and is asked at every connect, so what a classify needs is
/// kept sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Engine {
    pub(crate) drivers: BTreeMap<DriverId, Driver>,
    pub(crate) sublayers: BTreeMap<SublayerId, u16>,
    /// The callouts that filters can name, with their keys, registered or not.
    pub(crate) added: BTreeMap<CalloutId, Arc<str>>,
    pub(crate) callouts: BTreeMap<CalloutId, Arc<Callout>>,
    pub(crate) filters: BTreeMap<FilterId, Arc<Filter>>,
    pub(crate) handles: BTreeMap<RedirectHandle, OpenHandle>,
    /// For each layer, its filters in the order in which they are asked.
    order: [Vec<Asked>; Layer::COUNT],
    next: u32,
}

/// A filter where the engine asks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) id: FilterId,
    sublayer_weight: u16,
    pub(crate) filter: Arc<Filter>,
    pub(crate) callout: Arc<Callout>,
}

impl Engine {
    pub(crate) fn asked_at(&self, layer: Layer) -> &[Asked] {
        &self.order[layer.index()]
    }

    /// Sorts anew after a change: sublayers by weight, in them filters by weight; ties by age.
    pub(crate) fn sort(&mut self) {
        for layer in Layer::all() {
            let at_layer = self.filters.iter().filter(|(_, filter)| filter.layer == layer);
            let mut asked: Vec<Asked> = at_layer
                .filter_map(|(id, filter)| {
                    let callout = Arc::clone(self.callouts.get(&filter.callout)?);
                    let sublayer_weight = *self.sublayers.get(&filter.sublayer)?;
                    Some(Asked { id: *id, sublayer_weight, filter: Arc::clone(filter), callout })
                })
                .collect();
            asked.sort_by_key(|asked| {
                let filter = &asked.filter;
                (Reverse(asked.sublayer_weight), filter.sublayer, Reverse(filter.weight), asked.id)
            });
            self.order[layer.index()] = asked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_condition_matches_by_prefix_and_through_v4_mapping() {
        let inside = |address: &str, network: &str, prefix| {
            in_prefix(address.parse().unwrap(), network.parse().unwrap(), prefix)
        };
        assert!(inside("10.1.2.3", "10.0.0.0", 8));
        assert!(!inside("11.1.2.3", "10.0.0.0", 8));
        assert!(inside("11.1.2.3", "10.0.0.0", 0));
        assert!(inside("::ffff:10.1.2.3", "10.1.2.3", 32));
        assert!(!inside("10.1.2.3", "::ffff:10.1.2.3", 128));
        assert!(inside("2001:db8::1", "2001:db8::", 32));
        assert!(!inside("2001:db9::1", "2001:db8::", 32));
        assert!(inside("::1", "::2", 0));
    }
}
