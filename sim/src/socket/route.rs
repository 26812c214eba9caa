//! What the engine makes of a connect request: which redirect counts, and whether it is accepted.
//!
//! Source: ddi "FWPS_CONNECT_REQUEST0"; docs/behaviour.md, "Connect request" and "Chains".

use std::net::SocketAddr;

use super::classified::Route;
use super::{PortSpace, Protocol};
use crate::engine::{Unused, Version};
use crate::error::WinsockError;
use crate::ids::{HostId, Pid, SocketHandle, SocketId};
use crate::profile::{
    HandleRequired, LocalAddressRedirect, RedirectLayerBlock, RemoteAfterLocal, SameClassify, TargetPid,
    Unaccepted, WindowsVersion,
};
use crate::trace::{Redirection, Refusal};
use crate::world::World;

/// Where a connect goes.
pub(super) struct Routed {
    pub(super) route: Route,
    /// What the connect ends with, instead.
    pub(super) error: Option<WinsockError>,
    /// The redirects that do not count.
    pub(super) unused: Vec<(Version, Unused)>,
}

impl Routed {
    fn drop_all(&mut self, versions: impl IntoIterator<Item = Version>, why: Unused) {
        self.unused.extend(versions.into_iter().map(|version| (version, why)));
    }
}

/// Where a connect comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) host: HostId,
    pub(super) protocol: Protocol,
    /// No address was chosen for the socket by a `bind`.
    pub(super) source_unset: bool,
}

impl World {
    /// Decides which redirect counts, and whether the engine accepts it.
    pub(super) fn route(
        &self,
        origin: Origin,
        original: SocketAddr,
        mut versions: Vec<Version>,
        blocked: bool,
    ) -> Routed {
        let host = origin.host;
        // A change of the local address alone is no redirect.
        versions.retain(|version| version.redirects);
        let mut routed = Routed { route: Route::unchanged(original), error: None, unused: Vec::new() };
        if blocked && self.profile.block_at_redirect_layer == RedirectLayerBlock::Denied {
            routed.drop_all(versions, Unused::Blocked);
            routed.error = Some(WinsockError::WSAEACCES);
            return routed;
        }
        routed.drop_all(self.behind_the_local_one(host, &mut versions), Unused::Overwritten);
        let Some(last) = versions.last() else { return routed };
        if let Some(refusal) = self.refusal(last, origin) {
            routed.route.redirect = Some(Redirection::NotAccepted(refusal));
            routed.drop_all(versions.pop(), Unused::Refused);
            routed.drop_all(versions, Unused::Overwritten);
            if self.profile.unaccepted_local_redirect == Unaccepted::Refused {
                routed.error = Some(WinsockError::WSAECONNREFUSED);
            }
            return routed;
        }
        let target = last.target(original);
        let redirect = match last.data.handle {
            _ if self.profile.windows_version == WindowsVersion::Seven && self.is_own(host, target) => {
                Redirection::LocalWithoutRecords
            }
            Some(_) if self.leaves_loopback(origin, target) => Redirection::LocalWithoutRecords,
            Some(handle) if self.is_own(host, target) => Redirection::Local(handle),
            _ => Redirection::Remote,
        };
        routed.route.target = target;
        routed.route.redirect = Some(redirect);
        let is_local = matches!(redirect, Redirection::Local(_));
        if is_local && self.profile.same_classify_redirects == SameClassify::Both {
            for version in versions {
                if self.refusal(&version, origin).is_some() {
                    routed.unused.push((version, Unused::Refused));
                } else if self.is_own(host, version.target(original)) {
                    routed.route.recorded.push(version);
                } else {
                    routed.unused.push((version, Unused::Overwritten));
                }
            }
            return routed;
        }
        let counts = if is_local { &mut routed.route.recorded } else { &mut routed.route.carried };
        counts.extend(versions.pop());
        routed.drop_all(versions, Unused::Overwritten);
        routed
    }

    /// Whether a redirect to this host takes a way that is not loopback, and so loses records and context
    /// (docs/behaviour.md, R19): to an own address, of a socket that has none yet.
    fn leaves_loopback(&self, origin: Origin, target: SocketAddr) -> bool {
        origin.source_unset
            && self.profile.local_address_redirect == LocalAddressRedirect::WithoutRecords
            && !target.ip().to_canonical().is_loopback()
            && self.is_own(origin.host, target)
    }

    /// Remote redirects behind a local one, where the profile says that the local one stands.
    fn behind_the_local_one(&self, host: HostId, versions: &mut Vec<Version>) -> Vec<Version> {
        if self.profile.remote_after_local_redirect != RemoteAfterLocal::LocalWins {
            return Vec::new();
        }
        let local = versions.iter().rposition(|version| {
            version.data.handle.is_some() && version.data.remote.is_some_and(|to| self.is_own(host, to))
        });
        local.map_or(Vec::new(), |local| versions.split_off(local + 1))
    }

    pub(super) fn is_own(&self, host: HostId, address: SocketAddr) -> bool {
        self.host_with(host, address.ip()) == Some(host)
    }

    /// Why the engine does not accept this redirect, if it does not.
    fn refusal(&self, version: &Version, origin: Origin) -> Option<Refusal> {
        let profile = &self.profile;
        let target = version.data.remote;
        let local = target.is_some_and(|target| self.is_own(origin.host, target));
        if version.data.context.as_ref().is_some_and(|context| context.len() > profile.context_limit as usize)
        {
            return Some(Refusal::ContextTooLarge);
        }
        // Before Windows 8 there are no handles, and the process id is enough.
        let handle = match profile.windows_version {
            WindowsVersion::Eight => Some(version.data.handle),
            WindowsVersion::Seven => None,
        };
        match handle {
            Some(Some(handle)) if !self.engine.handles.contains_key(&handle) => {
                return Some(Refusal::UnknownHandle);
            }
            Some(None) if local || profile.handle_required == HandleRequired::Always => {
                return Some(Refusal::NoHandle);
            }
            _ => {}
        }
        if !local {
            return None;
        }
        if version.data.target_pid == 0 {
            return Some(Refusal::NoTargetPid);
        }
        let must_listen = profile.target_pid == TargetPid::MustListen;
        (must_listen
            && target.is_none_or(|target| !self.listens(Pid(version.data.target_pid), origin, target)))
        .then_some(Refusal::WrongTargetPid)
    }

    fn listens(&self, pid: Pid, origin: Origin, target: SocketAddr) -> bool {
        let mut owned = self.descriptors.range((pid, SocketHandle(0))..=(pid, SocketHandle(u64::MAX)));
        let listener = match origin.protocol {
            Protocol::Tcp => self.listener(origin.host, target),
            protocol => {
                let (space, target) = PortSpace::reached(origin.host, protocol, target);
                self.best_bound(space, target, |_| true)
            }
        };
        listener.is_some_and(|listener: SocketId| owned.any(|(_, id)| *id == listener))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::engine::{Context, Redirect};
    use crate::ids::RedirectHandle;
    use crate::testing::{Machine, SERVER, address, both, profile};

    const ORIGINAL: &str = "original-destination";
    const REFUSED: &str = "WSAECONNREFUSED";

    /// A redirect of everything to port 1001, changed so that the engine does not accept it.
    fn spoiled(m: &mut Machine, refusal: Refusal) {
        let good = Redirect::local(m.service.pid, both(1001));
        let redirect = match refusal {
            Refusal::NoTargetPid => Redirect { target_pid: 0, ..good },
            Refusal::WrongTargetPid => Redirect { target_pid: m.app.pid.0, ..good },
            Refusal::NoHandle => Redirect { with_handle: false, ..good },
            Refusal::UnknownHandle => good,
            Refusal::ContextTooLarge => Redirect { context: Context::Padded(65537), ..good },
        };
        let handle = m.redirect_all(100, redirect);
        if refusal == Refusal::UnknownHandle {
            m.w.fwps_redirect_handle_destroy(handle).unwrap();
        }
    }

    #[rstest]
    fn redirect_that_is_not_accepted_goes_to_the_original_destination_or_fails(
        #[values(
            Refusal::NoTargetPid,
            Refusal::WrongTargetPid,
            Refusal::NoHandle,
            Refusal::UnknownHandle,
            Refusal::ContextTooLarge
        )]
        refusal: Refusal,
        #[values(ORIGINAL, REFUSED)] unaccepted: &str,
    ) {
        let mut m =
            Machine::with(&[("unaccepted-local-redirect", unaccepted), ("target-pid", "must-listen")]);
        m.service_at(1001);
        spoiled(&mut m, refusal);
        let hop = m.trace(SERVER);
        assert_eq!(hop.redirect, Some(Redirection::NotAccepted(refusal)));
        assert_eq!(hop.target, address(SERVER));
        let expected = if unaccepted == ORIGINAL { None } else { Some(WinsockError::WSAECONNREFUSED) };
        assert_eq!(hop.result.err(), expected);
        assert_eq!(m.w.live_contexts(), 0);
    }

    #[rstest]
    #[case::at_the_limit(65536, true)]
    #[case::above(65537, false)]
    #[case::beyond_every_machine(u32::MAX, false)]
    fn context_is_accepted_up_to_the_limit(#[case] length: u32, #[case] accepted: bool) {
        let mut m = Machine::default();
        m.service_at(1001);
        let redirect = Redirect::local(m.service.pid, both(1001));
        let handle = m.redirect_all(100, Redirect { context: Context::Padded(length), ..redirect });
        let expected = if accepted {
            Redirection::Local(handle)
        } else {
            Redirection::NotAccepted(Refusal::ContextTooLarge)
        };
        assert_eq!(m.trace(SERVER).redirect, Some(expected));
    }

    #[rstest]
    fn remote_redirect_carries_nothing_and_needs_neither_pid_nor_handle(
        #[values(true, false)] with_handle: bool,
    ) {
        let mut m = Machine::default();
        let redirect = Redirect {
            target: address("203.0.113.9:443").into(),
            target_pid: 0,
            with_handle,
            context: Context::Destination,
        };
        m.redirect_all(100, redirect);
        let hop = m.trace("203.0.113.77:80");
        assert_eq!((hop.target, hop.redirect), (address(SERVER), Some(Redirection::Remote)));
        assert_eq!(hop.result.map(|flow| m.w.flow_records(flow)), Ok(None));
        assert_eq!(m.w.live_contexts(), 1, "it goes with the flow, where nobody can ask for it");
    }

    /// Two callouts that both redirect in one classify: what the acceptor at the last target gets.
    fn twice(m: &mut Machine, first: Redirect, second: Redirect) -> (Vec<RedirectHandle>, usize) {
        m.service_at(1001);
        m.service_at(1002);
        m.redirect_all(200, first);
        m.redirect_all(100, second);
        let hop = m.trace(SERVER);
        let records = m.w.flow_records(hop.result.expect("somebody listens"));
        (records.map_or(Vec::new(), |r| r.entries().iter().map(|e| e.handle).collect()), m.w.live_contexts())
    }

    #[rstest]
    #[case::the_last("last", &[1])]
    #[case::both("both", &[0, 1])]
    fn two_local_redirects_of_one_classify_leave_one_entry_or_two(#[case] value: &str, #[case] left: &[u64]) {
        let mut m = Machine::with(&[("same-classify-redirects", value)]);
        let pid = m.service.pid;
        let (handles, contexts) =
            twice(&mut m, Redirect::local(pid, both(1001)), Redirect::local(pid, both(1002)));
        let expected: Vec<_> = left.iter().map(|nth| RedirectHandle(0x1000 + 8 * nth)).collect();
        assert_eq!(handles, expected);
        assert_eq!(contexts, left.len(), "the others' contexts are gone");
    }

    #[test]
    fn redirect_that_would_not_be_accepted_leaves_no_entry_beside_a_good_one() {
        let mut m = Machine::with(&[("same-classify-redirects", "both")]);
        let good = Redirect::local(m.service.pid, both(1002));
        let (handles, contexts) = twice(&mut m, Redirect { target_pid: 0, ..good.clone() }, good);
        assert_eq!((handles, contexts), (vec![RedirectHandle(0x1008)], 1));
    }

    #[rstest]
    #[case("remote-wins", SERVER, Redirection::Remote)]
    #[case("local-wins", "127.0.0.1:1001", Redirection::Local(RedirectHandle(0x1000)))]
    fn remote_redirect_behind_a_local_one(
        #[case] value: &str,
        #[case] target: &str,
        #[case] redirect: Redirection,
    ) {
        let mut m = Machine::with(&[("remote-after-local-redirect", value)]);
        m.service_at(1001);
        m.redirect_all(200, Redirect::local(m.service.pid, both(1001)));
        m.redirect_all(100, Redirect::local(m.service.pid, address(SERVER)));
        let hop = m.trace("203.0.113.77:80");
        assert_eq!((hop.target, hop.redirect), (address(target), Some(redirect)));
    }

    #[rstest]
    fn before_windows_8_the_process_id_is_enough_and_nothing_travels(
        #[values(true, false)] with_handle: bool,
    ) {
        let mut m = Machine::with(&[("windows-version", "windows-7")]);
        let listener = m.service_at(1001);
        let redirect = Redirect { with_handle, ..Redirect::local(m.service.pid, both(1001)) };
        m.redirect_all(100, redirect);
        let hop = m.trace(SERVER);
        assert_eq!(hop.redirect, Some(Redirection::LocalWithoutRecords));
        assert_eq!(hop.target, address("127.0.0.1:1001"));
        assert_eq!(hop.result.map(|flow| m.w.flow_records(flow)), Ok(None));
        assert_eq!(m.w.live_contexts(), 0);
        let accepted = m.accept(listener);
        let queried = m.w.query_redirect_records(m.service, accepted);
        assert_eq!(queried, Err(WinsockError::WSAEOPNOTSUPP));
        let context = m.w.query_redirect_context(m.service, accepted);
        assert_eq!(context, Err(WinsockError::WSAEOPNOTSUPP));
        let onward = m.w.socket(m.service, crate::SocketKind::V4).unwrap();
        assert_eq!(m.w.set_redirect_records(m.service, onward, &[0]), Err(WinsockError::WSAEOPNOTSUPP));
        assert_eq!(
            m.w.getsockopt_original_dst(m.service, accepted, crate::SOL_IP, 128),
            Err(WinsockError::WSAENOPROTOOPT)
        );
    }

    #[test]
    fn before_windows_8_a_redirect_without_a_process_id_is_not_accepted() {
        let mut m = Machine::with(&[("windows-version", "windows-7")]);
        m.service_at(1001);
        m.redirect_all(100, Redirect { target_pid: 0, ..Redirect::local(m.service.pid, both(1001)) });
        assert_eq!(m.trace(SERVER).redirect, Some(Redirection::NotAccepted(Refusal::NoTargetPid)));
    }

    #[test]
    fn service_that_does_not_listen_refuses_what_is_redirected_to_it() {
        let mut m = Machine::default();
        m.redirect_all(100, Redirect::local(m.service.pid, both(1001)));
        let hop = m.trace(SERVER);
        assert_eq!(hop.result, Err(WinsockError::WSAECONNREFUSED));
        assert_eq!(m.w.live_contexts(), 0, "the context is freed with the request");
    }

    #[test]
    fn pid_may_be_anybodys_unless_the_profile_minds() {
        for (value, refused) in [("non-zero", false), ("must-listen", true)] {
            let mut m = Machine::new(profile(&[("target-pid", value)]));
            m.service_at(1001);
            m.redirect_all(100, Redirect { target_pid: 1234, ..Redirect::local(m.service.pid, both(1001)) });
            let refusal = Some(Redirection::NotAccepted(Refusal::WrongTargetPid));
            assert_eq!(m.trace(SERVER).redirect == refusal, refused, "{value}");
        }
    }

    #[test]
    fn v4_mapped_destination_is_redirected_to_the_mapped_target() {
        let mut m = Machine::default();
        let listener = m.service_at(1001);
        m.redirect_all(100, Redirect::local(m.service.pid, both(1001)));
        let hop = m.trace("[::ffff:203.0.113.9]:443");
        assert_eq!(hop.target, address("[::ffff:127.0.0.1]:1001"));
        let accepted = m.accept(listener);
        assert_eq!(m.w.getsockname(m.service, accepted), Ok(address("127.0.0.1:1001")));
    }
}
