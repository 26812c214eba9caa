//! Drivers as owners: which callouts, redirect handles and redirect contexts are whose.
//!
//! A driver registers callouts, creates redirect handles, and allocates a context at each redirect that gives one.
//! What it has now is its [`Account`]. A driver that speaks Winsock Kernel is a [`Caller`](crate::Caller) beside this
//! one: [`World::start_driver`] gives it memory and sockets, [`World::load_driver`] callouts.
//!
//! A driver is unloaded by its own unload routine, [`Unload`], and may leave something behind all the same. A context is
//! allocated under the driver's own tag and freed by WFP when the flow ends: a driver that goes earlier leaves it, and
//! Driver Verifier counts that as the driver's leak (docs/behaviour.md, R13).
//!
//! Source: ddi "FwpsCalloutRegister1", "FwpsRedirectHandleCreate0", "FWPS_CONNECT_REQUEST0"; docs/behaviour.md,
//! "Kernel functions" and "Connect request".

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use crate::bug_check::BugCheck;
use crate::ids::{CalloutId, DriverId, RedirectHandle};
use crate::kernel_error::KernelError;
use crate::world::World;

/// A driver that was loaded. It stays known when it is gone: what it leaves behind is still its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Driver {
    pub(crate) name: Arc<str>,
    pub(crate) loaded: bool,
}

/// How much of each kind a driver has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Redirect contexts that it allocated and nobody freed.
    pub contexts: usize,
    /// Redirect handles that it created and did not destroy.
    pub redirect_handles: usize,
    /// Callouts that it registered and did not unregister.
    pub callouts: usize,
    /// Classify handles that it acquired and did not release.
    pub classify_handles: usize,
    /// Requests that it pended and did not complete.
    pub pended_classifies: usize,
    /// Bytes that its callouts keep from one call to the next.
    pub state_bytes: usize,
}

/// What a driver's unload routine does beside deleting its filters and unregistering its callouts, without which
/// it cannot be unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unload {
    /// Whether it destroys its redirect handles.
    pub destroys_handles: bool,
}

impl Default for Unload {
    fn default() -> Self {
        Self { destroys_handles: true }
    }
}

impl Engine {
    fn load(&mut self, name: &str) -> DriverId {
        let id = DriverId(u32::try_from(self.drivers.len()).unwrap_or(u32::MAX));
        self.drivers.insert(id, Driver { name: name.into(), loaded: true });
        id
    }

    fn remove_callouts_of(&mut self, driver: DriverId) {
        let owned = self.callouts.iter().filter(|(_, callout)| callout.owner == driver);
        let owned: BTreeSet<CalloutId> = owned.map(|(id, _)| *id).collect();
        self.filters
            .retain(|_, filter| filter.action.callout().is_none_or(|callout| !owned.contains(&callout)));
        self.callouts.retain(|id, _| !owned.contains(id));
        self.added.retain(|id, _| !owned.contains(id));
    }

    /// An error where this driver is not there to call anything.
    pub(super) fn check_loaded(&self, driver: DriverId) -> Result<(), KernelError> {
        let loaded = self.drivers.get(&driver).is_some_and(|driver| driver.loaded);
        loaded.then_some(()).ok_or(KernelError::NotDocumented("a driver that is not loaded made a call"))
    }
}

impl World {
    /// Loads a driver of this name. One name can be loaded twice, as two drivers.
    pub fn load_driver(&mut self, name: &str) -> DriverId {
        Arc::make_mut(&mut self.engine).load(name)
    }

    /// Unloads a driver: its filters and callouts go, and its redirect handles if its unload routine destroys them. What is
    /// left stays in its [`account`](World::account).
    ///
    /// # Errors
    /// DRIVER_VERIFIER_DETECTED_VIOLATION where contexts that it allocated are left; it is unloaded all the same. Where
    /// it is not loaded, nothing is documented.
    pub fn unload_driver(&mut self, driver: DriverId, unload: Unload) -> Result<(), KernelError> {
        self.engine.check_loaded(driver)?;
        self.configure(|engine| engine.remove_callouts_of(driver));
        if unload.destroys_handles {
            let open = self.engine.handles.iter().filter(|(_, handle)| handle.owner == driver);
            let open: Vec<RedirectHandle> = open.map(|(handle, _)| *handle).collect();
            for handle in open {
                self.fwps_redirect_handle_destroy(handle)?;
            }
        }
        if let Some(gone) = Arc::make_mut(&mut self.engine).drivers.get_mut(&driver) {
            gone.loaded = false;
        }
        match self.account(driver).contexts {
            0 => Ok(()),
            _ => Err(BugCheck::DriverVerifierDetectedViolation.into()),
        }
    }

    /// The name that a driver was loaded with, also after it is gone.
    #[must_use]
    pub fn driver_name(&self, driver: DriverId) -> Option<&str> {
        self.engine.drivers.get(&driver).map(|driver| &*driver.name)
    }

    /// What a driver has now, also after it is gone: nothing of one that was never loaded.
    #[must_use]
    pub fn account(&self, driver: DriverId) -> Account {
        Account {
            contexts: self.contexts.values().filter(|context| context.owner == driver).count(),
            redirect_handles: self.engine.handles.values().filter(|handle| handle.owner == driver).count(),
            callouts: self.engine.callouts.values().filter(|callout| callout.owner == driver).count(),
            classify_handles: self.classify_handles.values().filter(|owner| **owner == driver).count(),
            pended_classifies: self.pended.values().filter(|pended| pended.by.owner == driver).count(),
            state_bytes: self
                .callout_states
                .values()
                .filter(|state| state.owner == driver)
                .map(|state| state.bytes.len())
                .sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::engine::{Policy, Redirect};
    use crate::ntstatus::NtStatus;
    use crate::testing::{Machine, SERVER, both};

    #[test]
    fn what_a_driver_has_is_in_its_account_alone() {
        let mut m = Machine::default();
        m.service_at(1001);
        let (a, b) = (m.w.load_driver("a"), m.w.load_driver("b"));
        let handle = m.w.fwps_redirect_handle_create(a, "a", 0).unwrap();
        let policy = Policy::cooperative(handle, Redirect::local(m.service.pid, both(1001)));
        let callout =
            m.w.install(crate::Vendor { driver: a, name: "a".into(), sublayer_weight: 1, policy }).unwrap();
        assert_eq!(m.w.account(a), Account { redirect_handles: 1, callouts: 1, ..Account::default() });
        let client = m.connected(SERVER);
        assert_eq!(
            m.w.account(a),
            Account { contexts: 1, redirect_handles: 1, callouts: 1, ..Account::default() }
        );
        assert_eq!(m.w.account(b), Account::default());
        m.w.fwps_callout_unregister(callout).unwrap();
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        assert_eq!(m.w.account(a), Account { contexts: 1, ..Account::default() });
        m.w.end_process(m.service.pid);
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.account(a), Account::default());
    }

    /// A vendor with an open connection, and its driver.
    fn redirecting(m: &mut Machine) -> (DriverId, crate::SocketHandle, crate::SocketHandle) {
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let driver = *m.w.engine.drivers.keys().next_back().unwrap();
        assert_eq!(
            m.w.account(driver),
            Account { contexts: 1, redirect_handles: 1, callouts: 1, ..Account::default() }
        );
        (driver, client, accepted)
    }

    #[rstest]
    #[case::while_connected("both-ends-closed", 0, true, Account { contexts: 1, ..Account::default() })]
    #[case::half_closed("both-ends-closed", 1, true, Account { contexts: 1, ..Account::default() })]
    #[case::closed("both-ends-closed", 2, true, Account::default())]
    #[case::closed_with_a_handle_left(
        "both-ends-closed", 2, false, Account { redirect_handles: 1, ..Account::default() }
    )]
    #[case::where_contexts_go_with_the_client("client-end-closed", 1, true, Account::default())]
    #[case::where_contexts_go_with_the_handle("handle-destroyed", 0, true, Account::default())]
    #[case::where_they_would_and_the_handle_stays(
        "handle-destroyed", 0, false, Account { contexts: 1, redirect_handles: 1, callouts: 0, ..Account::default() }
    )]
    fn driver_that_goes_before_its_contexts_leaks_them(
        #[case] lifetime: &str,
        #[case] ends_closed: usize,
        #[case] destroys_handles: bool,
        #[case] left: Account,
    ) {
        let mut m = Machine::with(&[("context-lifetime", lifetime)]);
        let (driver, client, accepted) = redirecting(&mut m);
        for (caller, socket) in [(m.app, client), (m.service, accepted)].into_iter().take(ends_closed) {
            m.w.closesocket(caller, socket).unwrap();
        }
        let unloaded = m.w.unload_driver(driver, Unload { destroys_handles });
        let verified = KernelError::BugCheck(BugCheck::DriverVerifierDetectedViolation);
        assert_eq!(unloaded, if left.contexts > 0 { Err(verified) } else { Ok(()) });
        assert_eq!(m.w.account(driver), left);
        assert_eq!(
            m.trace(SERVER).inspections(),
            Vec::<&crate::trace::Inspection>::new(),
            "its callout is gone"
        );
        assert_eq!(m.w.driver_name(driver), Some("redirector"));
        let again = m.w.unload_driver(driver, Unload::default());
        assert!(matches!(again, Err(KernelError::NotDocumented(_))), "{again:?}");
    }

    #[test]
    fn key_of_an_unloaded_driver_is_free_and_others_callouts_stay() {
        let mut m = Machine::default();
        let (a, b) = (m.w.load_driver("a"), m.w.load_driver("b"));
        let policy = |m: &mut Machine| {
            let handle = m.handle("h");
            Policy::cooperative(handle, Redirect::local(m.service.pid, both(1001)))
        };
        for (driver, name) in [(a, "a"), (b, "b")] {
            let (name, policy) = (name.into(), policy(&mut m));
            m.w.install(crate::Vendor { driver, name, sublayer_weight: 1, policy }).unwrap();
        }
        assert_eq!(m.w.unload_driver(a, Unload::default()), Ok(()));
        let names: Vec<_> = m.trace(SERVER).inspections().iter().map(|seen| seen.name.to_string()).collect();
        assert_eq!(names, ["b"]);
        let policy = policy(&mut m);
        assert!(m.w.fwps_callout_register(b, "a", policy).is_ok());
    }

    #[test]
    fn driver_that_was_never_loaded_has_nothing_and_can_call_nothing() {
        let mut m = Machine::default();
        let nobody = DriverId(7);
        assert_eq!((m.w.driver_name(nobody), m.w.account(nobody)), (None, Account::default()));
        let created = m.w.fwps_redirect_handle_create(nobody, "a", 0);
        assert!(matches!(created, Err(KernelError::NotDocumented(_))), "{created:?}");
        let loaded = m.w.load_driver("a");
        let handle = m.w.fwps_redirect_handle_create(loaded, "a", 0).unwrap();
        let policy = Policy::cooperative(handle, Redirect::local(m.service.pid, both(1001)));
        let registered = m.w.fwps_callout_register(nobody, "a", policy.clone());
        assert!(matches!(registered, Err(KernelError::NotDocumented(_))), "{registered:?}");
        m.w.fwps_callout_register(loaded, "a", policy.clone()).unwrap();
        assert_eq!(
            m.w.fwps_callout_register(loaded, "a", policy),
            Err(NtStatus::STATUS_FWP_ALREADY_EXISTS.into())
        );
    }
}
