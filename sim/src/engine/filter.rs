//! Filters: where they apply, when they match, and what they do then.
//!
//! Source: win32 "FWPM_FILTER0", "Filtering Conditions Available at Each Filtering Layer".

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::arbitration::Verdict;
use super::{Flags, Incoming, Layer};
use crate::address;
use crate::ids::{CalloutId, Pid, SublayerId};

/// A filter: when all its conditions hold, its action counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Where it applies.
    pub layer: Layer,
    /// The sublayer that it belongs to.
    pub sublayer: SublayerId,
    /// Heavier filters of a sublayer come first; equal ones in the order in which they were added.
    pub weight: u64,
    /// All must hold; none at all holds for everything.
    pub conditions: Vec<Condition>,
    /// What it does.
    pub action: FilterAction,
    /// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT`. What it makes of the filter's own action is the profile field
    /// `clear-action-right`; a callout finds it in [`Classify::clear_action_right`](super::Classify::clear_action_right).
    pub clear_action_right: bool,
    /// `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED`: while its callout is not registered the filter permits. Without
    /// the flag it blocks. Source: ddi "FWPS_FILTER1".
    pub permit_if_callout_unregistered: bool,
}

impl Filter {
    /// A filter that asks a callout, of weight 0, without conditions and flags.
    #[must_use]
    pub fn asking(layer: Layer, sublayer: SublayerId, callout: CalloutId) -> Self {
        let action = FilterAction::CalloutUnknown(callout);
        Self {
            layer,
            sublayer,
            weight: 0,
            conditions: Vec::new(),
            action,
            clear_action_right: false,
            permit_if_callout_unregistered: false,
        }
    }

    /// What it decides by itself while its callout is not registered.
    pub(super) fn without_callout(&self) -> Verdict {
        if self.permit_if_callout_unregistered { Verdict::Permit } else { Verdict::Block }
    }
}

/// `FWPM_ACTION0`: what a filter does that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterAction {
    /// `FWP_ACTION_PERMIT`.
    Permit,
    /// `FWP_ACTION_BLOCK`.
    Block,
    /// `FWP_ACTION_CALLOUT_TERMINATING`: the callout decides.
    CalloutTerminating(CalloutId),
    /// `FWP_ACTION_CALLOUT_INSPECTION`: the callout looks on; an action that it returns does not count.
    CalloutInspection(CalloutId),
    /// `FWP_ACTION_CALLOUT_UNKNOWN`: the callout decides or leaves it to the next filter.
    CalloutUnknown(CalloutId),
}

impl FilterAction {
    /// The callout that is asked.
    #[must_use]
    pub fn callout(self) -> Option<CalloutId> {
        match self {
            Self::Permit | Self::Block => None,
            Self::CalloutTerminating(callout)
            | Self::CalloutInspection(callout)
            | Self::CalloutUnknown(callout) => Some(callout),
        }
    }
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

    /// A field that the layer does not have matches nothing.
    pub(crate) fn holds(&self, seen: &Incoming<'_>) -> bool {
        let matches = match &self.test {
            Test::AppId(path) => seen.app_id.eq_ignore_ascii_case(path),
            Test::OriginalAppId(path) => seen.original_app_id.eq_ignore_ascii_case(path),
            Test::ProcessId(pid) => seen.process_id == *pid,
            Test::RemoteAddress { address, prefix } => {
                seen.remote.is_some_and(|remote| in_prefix(remote.ip(), *address, *prefix))
            }
            Test::RemotePort(ports) => seen.remote.is_some_and(|remote| ports.contains(&remote.port())),
            Test::LocalPort(ports) => ports.contains(&seen.local.port()),
            Test::Protocol(number) => seen.protocol == *number,
            Test::Loopback => seen.remote.is_some_and(|remote| remote.ip().to_canonical().is_loopback()),
            Test::Mapped => seen.remote.is_some_and(|remote| address::is_mapped(&remote)),
            Test::Flags(flags) => seen.flags.contains(*flags),
        };
        matches != self.negated
    }
}

/// What a condition looks at. Source: win32 "Filtering Conditions Available at Each Filtering Layer".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `ALE_APP_ID`: the image path, without regard to case.
    AppId(Arc<str>),
    /// `ALE_ORIGINAL_APP_ID`: that of the first application of a proxied connection.
    OriginalAppId(Arc<str>),
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
    /// The remote address is loopback, v4-mapped or not.
    Loopback,
    /// `IP_REMOTE_ADDRESS` is v4-mapped: in `::ffff:0:0/96`.
    Mapped,
    /// `FLAGS`, all of them set.
    Flags(Flags),
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
