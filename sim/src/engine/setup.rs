//! Setting the filter engine up: sublayers, filters, callouts and redirect handles.
//!
//! Source: the win32 and ddi pages of the functions that the methods are named after; docs/behaviour.md, "Kernel
//! functions".

use std::sync::Arc;

use super::{Callout, Engine, Filter, LayerKind, Policy};
use crate::ids::{CalloutId, FilterId, RedirectHandle, SublayerId};
use crate::profile::ContextLifetime;
use crate::records::{Records, RedirectState, redirect_state};
use crate::world::World;

/// A callout with the filters that make it see every connect: what most tests of a driver want.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// For traces.
    pub name: Arc<str>,
    /// The weight of its sublayer: heavier ones are asked first.
    pub sublayer_weight: u16,
    /// What it does.
    pub policy: Policy,
}

impl Engine {
    fn next_id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn add_sublayer(&mut self, weight: u16) -> SublayerId {
        let id = SublayerId(self.next_id());
        self.sublayers.insert(id, weight);
        id
    }

    fn register(&mut self, name: &str, policy: Policy) -> CalloutId {
        let id = CalloutId(self.next_id());
        self.callouts.insert(id, Arc::new(Callout { name: name.into(), policy }));
        id
    }

    fn add_filter(&mut self, filter: Filter) -> FilterId {
        let id = FilterId(self.next_id().into());
        self.filters.insert(id, Arc::new(filter));
        id
    }
}

impl World {
    fn configure<T>(&mut self, change: impl FnOnce(&mut Engine) -> T) -> T {
        let engine = Arc::make_mut(&mut self.engine);
        let result = change(engine);
        engine.sort();
        result
    }

    /// `FwpmSubLayerAdd0`.
    pub fn fwpm_sublayer_add(&mut self, weight: u16) -> SublayerId {
        self.configure(|engine| engine.add_sublayer(weight))
    }

    /// `FwpsCalloutRegister1` with a policy in the place of a `classifyFn`.
    pub fn fwps_callout_register(&mut self, name: &str, policy: Policy) -> CalloutId {
        self.configure(|engine| engine.register(name, policy))
    }

    /// `FwpsCalloutUnregisterById0`. Filters that name it are skipped from here on. `false` where there is no such
    /// callout.
    pub fn fwps_callout_unregister(&mut self, callout: CalloutId) -> bool {
        self.configure(|engine| engine.callouts.remove(&callout)).is_some()
    }

    /// `FwpmFilterAdd0`. A filter whose callout or sublayer is not there is added and never asked.
    pub fn fwpm_filter_add(&mut self, filter: Filter) -> FilterId {
        self.configure(|engine| engine.add_filter(filter))
    }

    /// `FwpmFilterDeleteById0`. `false` where there is no such filter.
    pub fn fwpm_filter_delete(&mut self, filter: FilterId) -> bool {
        self.configure(|engine| engine.filters.remove(&filter)).is_some()
    }

    /// Adds a sublayer, a callout, and a filter for it at both connect-redirect layers.
    pub fn install(&mut self, vendor: Vendor) -> CalloutId {
        self.configure(|engine| {
            let sublayer = engine.add_sublayer(vendor.sublayer_weight);
            let callout = engine.register(&vendor.name, vendor.policy);
            for layer in LayerKind::ConnectRedirect.both() {
                engine.add_filter(Filter { layer, sublayer, weight: 0, conditions: Vec::new(), callout });
            }
            callout
        })
    }

    /// The name that a callout was registered with.
    #[must_use]
    pub fn callout_name(&self, callout: CalloutId) -> Option<&str> {
        self.engine.callouts.get(&callout).map(|callout| &*callout.name)
    }

    // Redirect handles.

    /// `FwpsRedirectHandleCreate0`: a handle for a provider.
    pub fn fwps_redirect_handle_create(&mut self, provider: &str) -> RedirectHandle {
        let handle = self.next_redirect_handle();
        Arc::make_mut(&mut self.engine).handles.insert(handle, provider.into());
        handle
    }

    /// `FwpsRedirectHandleDestroy0`. Records that name the handle keep it; what becomes of contexts is the profile
    /// field `context-lifetime`. `false` where there is no such handle.
    pub fn fwps_redirect_handle_destroy(&mut self, handle: RedirectHandle) -> bool {
        if self.profile.context_lifetime == ContextLifetime::HandleDestroyed {
            self.free_contexts_of(handle);
        }
        Arc::make_mut(&mut self.engine).handles.remove(&handle).is_some()
    }

    fn free_contexts_of(&mut self, handle: RedirectHandle) {
        let freed = self.flows.values().filter_map(|flow| flow.records.as_deref());
        let freed: Vec<_> = freed
            .flat_map(Records::entries)
            .filter(|entry| entry.handle == handle)
            .filter_map(|entry| entry.context)
            .collect();
        for context in freed {
            self.contexts.remove(&context);
        }
    }

    /// The provider that a redirect handle was created for.
    #[must_use]
    pub fn provider(&self, handle: RedirectHandle) -> Option<&str> {
        self.engine.handles.get(&handle).map(|provider| &**provider)
    }

    /// `FwpsQueryConnectionRedirectState0`: the state for `handle`, and its own context where that still exists.
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
        self.contexts.get(&entry.context?).map(|bytes| &**bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Decision, Handles, Redirect, Rule};
    use crate::ids::SocketHandle;
    use crate::testing::{Machine, SERVER, address, both};

    #[test]
    fn handles_are_never_given_twice_and_name_their_provider() {
        let mut m = Machine::default();
        let first = m.w.fwps_redirect_handle_create("first");
        assert_eq!(m.w.provider(first), Some("first"));
        assert!(m.w.fwps_redirect_handle_destroy(first));
        assert!(!m.w.fwps_redirect_handle_destroy(first));
        assert_eq!(m.w.provider(first), None);
        assert_ne!(m.w.fwps_redirect_handle_create("second"), first);
    }

    #[test]
    fn installed_vendor_is_asked_at_both_layers() {
        let mut m = Machine::default();
        m.cooperative_vendor("a", 1, 1001);
        let callout = m.trace(SERVER).inspections[0].callout;
        assert_eq!(m.w.callout_name(callout), Some("a"));
        assert_eq!(m.trace(crate::testing::SERVER_V6).inspections[0].callout, callout);
        m.w.fwps_callout_unregister(callout);
        assert_eq!(m.w.callout_name(callout), None);
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
        let handle = m.w.fwps_redirect_handle_create("forgetful");
        let redirect = Redirect::local(m.service.pid, both(1001));
        let always = vec![Rule::always(Decision::Redirect(redirect))];
        let policy = Policy { rules: always, heeds_earlier_redirect: false, handles: Handles::One(handle) };
        m.w.install(Vendor { name: "forgetful".into(), sublayer_weight: 1, policy });
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
        m.w.fwps_redirect_handle_destroy(handle);
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
            m.w.fwps_redirect_handle_destroy(a);
            assert_eq!(m.w.live_contexts(), left, "{value}");
        }
    }
}
