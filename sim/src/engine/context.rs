//! Redirect contexts: who owns one, and what becomes of it on every path.
//!
//! A driver allocates a context under its own tag, and hands it over with the redirect that it applies. From then on it is
//! WFP's to free, when the proxied flow is removed. Where a redirect comes to no flow, nothing is documented, and leaks
//! were seen: the profile says what becomes of it, for each reason.
//!
//! Source: ddi "FWPS_CONNECT_REQUEST0", localRedirectContext; docs/behaviour.md, "Connect request".

use std::sync::Arc;

use super::Version;
use crate::ids::{ContextId, DriverId, RedirectHandle};
use crate::profile::{ConnectContext, UnusedContext, WindowsVersion};
use crate::world::World;

/// A redirect context while it is allocated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RedirectContext {
    /// Who allocated it, under its own tag: WFP frees it, and it counts as this driver's until then.
    pub(crate) owner: DriverId,
    /// The handle that it was given with; none where nobody will free it.
    pub(crate) handle: Option<RedirectHandle>,
    pub(crate) bytes: Arc<[u8]>,
}

/// Why the context of a redirect comes to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unused {
    /// The engine did not accept the redirect.
    Refused,
    /// A later callout redirected in the same classify, or a block took the redirect back.
    Overwritten,
    /// The connection was blocked.
    Blocked,
    /// The connection was not made.
    Failed,
    /// It is that of a classify at `connect` of a datagram socket, which the classify of the first datagram repeats.
    DatagramConnect,
}

impl World {
    /// A context that a redirect hands over; none where it has none.
    pub(crate) fn take_over_context(&mut self, version: &Version) -> Option<ContextId> {
        let bytes = self.context_given(version)?;
        let (owner, handle) = (version.owner, version.data.handle);
        Some(self.allocate_context(RedirectContext { owner, handle, bytes }))
    }

    /// Before Windows 8 the request has no place for one.
    fn context_given(&self, version: &Version) -> Option<Arc<[u8]>> {
        version.data.context.clone().filter(|_| self.profile.windows_version == WindowsVersion::Eight)
    }

    /// A context that nobody frees.
    pub(crate) fn lose_context(&mut self, owner: DriverId, bytes: Arc<[u8]>) {
        self.allocate_context(RedirectContext { owner, handle: None, bytes });
    }

    fn allocate_context(&mut self, context: RedirectContext) -> ContextId {
        let id = self.next_context();
        self.contexts.insert(id, context);
        id
    }

    /// Whether the contexts of such redirects stay allocated for ever.
    pub(crate) fn leaks(&self, why: Unused) -> bool {
        let profile = &self.profile;
        let becomes = match why {
            Unused::Refused => profile.context_of_refused_redirect,
            Unused::Overwritten => profile.context_of_overwritten_redirect,
            Unused::Blocked => profile.context_of_blocked_connect,
            Unused::Failed => profile.context_of_failed_connect,
            Unused::DatagramConnect => match profile.connected_udp_context {
                ConnectContext::Leaked => UnusedContext::Leaked,
                ConnectContext::Flow | ConnectContext::Socket => UnusedContext::Freed,
            },
        };
        becomes == UnusedContext::Leaked
    }

    /// These redirects come to no flow: their contexts are freed, or stay.
    pub(crate) fn abandon<'a>(&mut self, versions: impl IntoIterator<Item = &'a Version>, why: Unused) {
        if self.leaks(why) {
            for version in versions {
                if let Some(bytes) = self.context_given(version) {
                    self.lose_context(version.owner, bytes);
                }
            }
        }
    }

    /// The connection that these were held for will not be made.
    pub(crate) fn give_contexts_up(&mut self, held: &[ContextId]) {
        let leaks = self.leaks(Unused::Failed);
        for id in held {
            match self.contexts.get_mut(id) {
                Some(context) if leaks => context.handle = None,
                _ => drop(self.contexts.remove(id)),
            }
        }
    }

    /// A handle is destroyed, and what was given with it goes too.
    pub(super) fn free_contexts_of(&mut self, handle: RedirectHandle) {
        self.contexts.retain(|_, context| context.handle != Some(handle));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::engine::{Decision, Policy, Redirect, Rule};
    use crate::socket::SocketKind;
    use crate::testing::{Machine, SERVER, SILENT, address, both};

    /// A connect on the path; the contexts that are left when everybody has gone.
    fn left(m: &mut Machine, path: &str) -> usize {
        let good = Redirect::local(m.service.pid, both(1001));
        match path {
            "refused" => {
                m.service_at(1001);
                m.redirect_all(1, Redirect { target_pid: 0, ..good });
            }
            "overwritten" => {
                m.service_at(1001);
                m.redirect_all(2, good.clone());
                m.redirect_all(1, good);
            }
            "failed" => drop(m.redirect_all(1, good)),
            _ => {
                m.service_at(1001);
                m.redirect_all(2, good);
                let rules = vec![Rule::always(Decision::Block)];
                m.vendor("blocker", 1, Policy { rules, ..Policy::default() });
            }
        }
        m.trace(SERVER);
        m.w.end_process(m.app.pid);
        m.w.end_process(m.service.pid);
        m.w.live_contexts()
    }

    #[rstest]
    #[case::refused("refused", "context-of-refused-redirect")]
    #[case::overwritten("overwritten", "context-of-overwritten-redirect")]
    #[case::failed("failed", "context-of-failed-connect")]
    #[case::blocked("blocked", "context-of-blocked-connect")]
    fn context_without_a_flow_is_freed_or_leaks_by_its_own_field_alone(
        #[case] path: &str,
        #[case] field: &str,
    ) {
        let all = [
            "context-of-refused-redirect",
            "context-of-overwritten-redirect",
            "context-of-failed-connect",
            "context-of-blocked-connect",
        ];
        let block = ("block-at-redirect-layer", "WSAEACCES");
        for leaking in all {
            let mut m = Machine::with(&[block, (leaking, "leaked")]);
            assert_eq!(left(&mut m, path), usize::from(leaking == field), "{leaking}");
        }
        assert_eq!(left(&mut Machine::with(&[block]), path), 0);
    }

    #[test]
    fn leaked_context_counts_as_that_of_the_driver_that_allocated_it() {
        let mut m = Machine::with(&[("context-of-overwritten-redirect", "leaked")]);
        m.service_at(1001);
        let good = Redirect::local(m.service.pid, both(1001));
        for weight in [2, 1] {
            m.redirect_all(weight, good.clone());
        }
        let drivers: Vec<_> = m.w.engine.drivers.keys().copied().collect();
        m.trace(SERVER);
        m.w.end_process(m.service.pid);
        m.w.end_process(m.app.pid);
        let contexts: Vec<usize> = drivers.iter().map(|driver| m.w.account(*driver).contexts).collect();
        assert_eq!(contexts, [1, 0]);
        assert_eq!(m.w.canonical().live_contexts(), 1);
    }

    #[rstest]
    #[case::freed_when_it_times_out("freed", false, 0)]
    #[case::freed_with_the_socket("freed", true, 0)]
    #[case::leaked_when_it_times_out("leaked", false, 1)]
    #[case::leaked_with_the_socket("leaked", true, 1)]
    fn connect_that_nobody_answers_holds_its_context(
        #[case] becomes: &str,
        #[case] closed: bool,
        #[case] left: usize,
    ) {
        let mut m = Machine::with(&[("context-of-failed-connect", becomes)]);
        m.redirect_all(1, Redirect::local(m.service.pid, address(SILENT)));
        let client = m.socket(SocketKind::V4);
        m.connect(client, SERVER).unwrap();
        assert_eq!((m.w.live_contexts(), m.w.canonical().live_contexts()), (1, 1));
        if closed {
            m.w.closesocket(m.app, client).unwrap();
        } else {
            m.w.advance(86_400_000);
        }
        assert_eq!(m.w.live_contexts(), left);
    }

    #[rstest]
    #[case::with_the_flow("both-ends-closed", 1)]
    #[case::with_the_handle("handle-destroyed", 0)]
    fn remote_redirect_has_a_context_as_long_as_its_flow(#[case] lifetime: &str, #[case] left: usize) {
        let mut m = Machine::with(&[("context-lifetime", lifetime)]);
        let redirect = Redirect::local(m.service.pid, address(SERVER));
        let handle = m.redirect_all(1, redirect);
        m.connected("203.0.113.77:80");
        assert_eq!(m.w.live_contexts(), 1);
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        assert_eq!(m.w.live_contexts(), left);
        m.w.end_process(m.app.pid);
        m.w.end_process(m.server.pid);
        assert_eq!(m.w.live_contexts(), 0);
    }
}
