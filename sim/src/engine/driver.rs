//! Drivers as owners: which callouts, redirect handles and redirect contexts are whose.
//!
//! A driver registers callouts, creates redirect handles, and allocates a context at each redirect that gives one.
//! What it has now is its [`Account`]. A driver that speaks Winsock Kernel is a [`Caller`](crate::Caller) beside this
//! one: [`World::start_driver`] gives it memory and sockets, [`World::load_driver`] callouts.
//!
//! Source: ddi "FwpsCalloutRegister1", "FwpsRedirectHandleCreate0", "FWPS_CONNECT_REQUEST0"; docs/behaviour.md,
//! "Kernel functions" and "Connect request".

use std::sync::Arc;

use super::Engine;
use crate::ids::DriverId;
use crate::kernel_error::KernelError;
use crate::world::World;

/// A driver that was loaded. It stays known when it is gone: what it leaves behind is still its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Driver {
    pub(crate) name: Arc<str>,
    pub(crate) loaded: bool,
}

/// A redirect context while it is allocated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RedirectContext {
    /// Who allocated it, under its own tag: WFP frees it, and it counts as this driver's until then.
    pub(crate) owner: DriverId,
    pub(crate) bytes: Arc<[u8]>,
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
}

impl Engine {
    fn load(&mut self, name: &str) -> DriverId {
        let id = DriverId(u32::try_from(self.drivers.len()).unwrap_or(u32::MAX));
        self.drivers.insert(id, Driver { name: name.into(), loaded: true });
        id
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
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(m.w.account(a), Account { contexts: 0, redirect_handles: 1, callouts: 1 });
        let client = m.connected(SERVER);
        assert_eq!(m.w.account(a), Account { contexts: 1, redirect_handles: 1, callouts: 1 });
        assert_eq!(m.w.account(b), Account::default());
        m.w.fwps_callout_unregister(callout).unwrap();
        m.w.fwps_redirect_handle_destroy(handle).unwrap();
        assert_eq!(m.w.account(a), Account { contexts: 1, redirect_handles: 0, callouts: 0 });
        m.w.end_process(m.service.pid);
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.account(a), Account::default());
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
