//! Redirect handles: who redirects, as the engine and the redirect records know it.
//!
//! Source: ddi "FwpsRedirectHandleCreate0", "FwpsRedirectHandleDestroy0", "FwpsQueryConnectionRedirectState0";
//! docs/behaviour.md, "Kernel functions".

use std::sync::Arc;

use crate::ids::{DriverId, RedirectHandle};
use crate::kernel_error::KernelError;
use crate::profile::ContextLifetime;
use crate::records::{Records, RedirectState, redirect_state};
use crate::world::World;

/// A redirect handle that was created and not destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OpenHandle {
    pub(crate) owner: DriverId,
    pub(crate) provider: Arc<str>,
}

impl World {
    /// `FwpsRedirectHandleCreate0`: a handle for a provider. A driver should create one and keep it; it can create more.
    ///
    /// # Errors
    /// Of `flags`, which are reserved, the page says that they are to be 0, and not what follows where they are not.
    pub fn fwps_redirect_handle_create(
        &mut self,
        driver: DriverId,
        provider: &str,
        flags: u32,
    ) -> Result<RedirectHandle, KernelError> {
        self.engine.check_loaded(driver)?;
        if flags != 0 {
            return Err(KernelError::NotDocumented(
                "FwpsRedirectHandleCreate0 with flags, which are reserved",
            ));
        }
        let handle = self.next_redirect_handle();
        let open = OpenHandle { owner: driver, provider: provider.into() };
        Arc::make_mut(&mut self.engine).handles.insert(handle, open);
        Ok(handle)
    }

    /// `FwpsRedirectHandleDestroy0`. Records that name the handle keep it; what becomes of contexts is the profile
    /// field `context-lifetime`. A redirect that a callout makes with it from here on is not accepted.
    ///
    /// # Errors
    /// Where there is no such handle, because it was destroyed before for instance. In Windows the function returns
    /// nothing, and nothing is documented of such a call.
    pub fn fwps_redirect_handle_destroy(&mut self, handle: RedirectHandle) -> Result<(), KernelError> {
        let absent =
            KernelError::NotDocumented("FwpsRedirectHandleDestroy0 of a redirect handle that is not there");
        if !self.engine.handles.contains_key(&handle) {
            return Err(absent);
        }
        if self.profile.context_lifetime == ContextLifetime::HandleDestroyed {
            self.free_contexts_of(handle);
        }
        Arc::make_mut(&mut self.engine).handles.remove(&handle);
        Ok(())
    }

    /// The provider that a redirect handle was created for.
    #[must_use]
    pub fn provider(&self, handle: RedirectHandle) -> Option<&str> {
        self.engine.handles.get(&handle).map(|handle| &*handle.provider)
    }

    /// `FwpsQueryConnectionRedirectState0`: the state for `handle`, and its own context where that still exists. It cannot
    /// fail: of a handle that was destroyed it tells what the records say.
    #[must_use]
    pub fn fwps_query_connection_redirect_state(
        &self,
        records: Option<&Records>,
        handle: RedirectHandle,
    ) -> (RedirectState, Option<&[u8]>) {
        let state = redirect_state(records, handle);
        let context = match state {
            RedirectState::RedirectedBySelf | RedirectState::PreviouslyRedirectedBySelf => {
                records.and_then(|records| self.context_of(records, handle))
            }
            RedirectState::NotRedirected | RedirectState::RedirectedByOther => None,
        };
        (state, context)
    }

    /// The context of the last redirect by `handle`.
    pub(crate) fn context_of(&self, records: &Records, handle: RedirectHandle) -> Option<&[u8]> {
        let entry = records.entries().iter().rev().find(|entry| entry.handle == handle)?;
        self.contexts.get(&entry.context?).map(|context| &*context.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Decision, Handles, Policy, Redirect, Rule, Vendor};
    use crate::ids::SocketHandle;
    use crate::testing::{Machine, SERVER, address, both};

    #[test]
    fn handles_are_never_given_twice_and_name_their_provider() {
        let mut m = Machine::default();
        let driver = m.w.load_driver("driver");
        let first = m.w.fwps_redirect_handle_create(driver, "first", 0).unwrap();
        assert_eq!(m.w.provider(first), Some("first"));
        m.w.fwps_redirect_handle_destroy(first).unwrap();
        assert_eq!(m.w.provider(first), None);
        assert_ne!(m.w.fwps_redirect_handle_create(driver, "second", 0).unwrap(), first);
    }

    #[test]
    fn of_a_second_destroy_and_of_flags_nothing_is_documented() {
        let mut m = Machine::default();
        let driver = m.w.load_driver("driver");
        let handle = m.w.fwps_redirect_handle_create(driver, "provider", 0).unwrap();
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        let before = m.w.clone();
        assert_eq!(
            m.w.fwps_redirect_handle_destroy(handle).unwrap_err().to_string(),
            "not documented: FwpsRedirectHandleDestroy0 of a redirect handle that is not there"
        );
        assert_eq!(
            m.w.fwps_redirect_handle_create(driver, "provider", 1).unwrap_err().to_string(),
            "not documented: FwpsRedirectHandleCreate0 with flags, which are reserved"
        );
        assert!(m.w == before);
    }

    /// A chain of two redirects; the accepted socket at its end.
    fn chain(m: &mut Machine) -> (RedirectHandle, RedirectHandle, SocketHandle) {
        let listeners = [m.service_at(1001), m.service_at(1002)];
        let (a, b) = (m.cooperative_vendor("a", 2, 1001), m.cooperative_vendor("b", 1, 1002));
        m.connected(SERVER);
        let accepted = m.accept(listeners[0]);
        let records = m.w.query_redirect_records(m.service, accepted).unwrap();
        let onward = m.w.socket(m.service, crate::SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &records).unwrap();
        m.trace_of(m.service, onward, SERVER);
        let last = m.accept(listeners[1]);
        (a, b, last)
    }

    #[test]
    fn state_query_gives_the_asking_handle_its_own_context() {
        let mut m = Machine::default();
        let (a, b, accepted) = chain(&mut m);
        let records = m.w.records_arrived(m.service, accepted).unwrap().cloned();
        let ask = |records, handle| {
            let (state, context) = m.w.fwps_query_connection_redirect_state(records, handle);
            (state, context.map(<[u8]>::len))
        };
        let records = records.as_ref();
        assert_eq!(ask(records, a), (RedirectState::PreviouslyRedirectedBySelf, Some(128)));
        assert_eq!(ask(records, b), (RedirectState::RedirectedBySelf, Some(128)));
        assert_eq!(ask(records, RedirectHandle(1)), (RedirectState::RedirectedByOther, None));
        assert_eq!(ask(None, a), (RedirectState::NotRedirected, None));
    }

    #[test]
    fn handle_that_redirected_twice_is_given_its_last_context() {
        let mut m = Machine::default();
        let listener = m.service_at(1001);
        let driver = m.w.load_driver("forgetful");
        let handle = m.w.fwps_redirect_handle_create(driver, "forgetful", 0).unwrap();
        let redirect = Redirect::local(m.service.pid, both(1001));
        let always = vec![Rule::always(Decision::Redirect(redirect))];
        let policy = Policy {
            rules: always,
            heeds_earlier_redirect: false,
            handles: Handles::One(handle),
            ..Policy::default()
        };
        m.w.install(Vendor { driver, name: "forgetful".into(), sublayer_weight: 1, policy }).unwrap();
        m.connected(SERVER);
        let accepted = m.accept(listener);
        let records = m.w.query_redirect_records(m.service, accepted).unwrap();
        let onward = m.w.socket(m.service, crate::SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &records).unwrap();
        m.trace_of(m.service, onward, "203.0.113.77:80");
        let again = m.accept(listener);
        let records = m.w.records_arrived(m.service, again).unwrap().cloned();
        let (state, context) = m.w.fwps_query_connection_redirect_state(records.as_ref(), handle);
        let destination = context.and_then(crate::address::from_sockaddr_storage);
        assert_eq!(state, RedirectState::RedirectedBySelf);
        assert_eq!(destination, Some(address("203.0.113.77:80")));
    }

    #[test]
    fn destroyed_handle_stays_in_the_records_and_redirects_no_more() {
        let mut m = Machine::default();
        m.service_at(1001);
        let handle = m.cooperative_vendor("a", 1, 1001);
        let before = m.trace(SERVER);
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        let records = m.w.flow_records(before.result.unwrap()).unwrap();
        assert_eq!(redirect_state(Some(records), handle), RedirectState::RedirectedBySelf);
        assert_eq!(m.trace(SERVER).target, crate::testing::address(SERVER));
    }

    #[test]
    fn contexts_go_with_their_handle_where_the_profile_says_so() {
        for (value, left) in [("both-ends-closed", 2), ("handle-destroyed", 1)] {
            let mut m = Machine::with(&[("context-lifetime", value)]);
            let (a, ..) = chain(&mut m);
            assert_eq!(m.w.live_contexts(), 2);
            m.w.fwps_redirect_handle_destroy(a).unwrap();
            assert_eq!(m.w.live_contexts(), left, "{value}");
        }
    }
}
