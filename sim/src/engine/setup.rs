//! Setting the filter engine up: sublayers, filters and callouts.
//!
//! A callout has two sides in Windows: a driver registers it (`FwpsCalloutRegister1`), and management adds it to the
//! system (`FwpmCalloutAdd0`), under one key and one id. Here the key is a name, and registering a callout adds it
//! too. It stays added when it is unregistered, so that filters can go on naming it.
//!
//! Source: the win32 and ddi pages of the functions that the methods are named after; docs/behaviour.md, "Kernel
//! functions".

use std::sync::Arc;

use super::{Callout, Engine, Filter, LayerKind, Policy, Program};
use crate::ids::{CalloutId, DriverId, FilterId, SublayerId};
use crate::kernel_error::KernelError;
use crate::ntstatus::NtStatus;
use crate::world::World;

/// A callout with the filters that make it see every connect: what most tests of a driver want.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Whose callout it is.
    pub driver: DriverId,
    /// The callout's key; also for traces.
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

    fn check_unregistered(&self, key: &str) -> Result<(), KernelError> {
        let registered = self.callouts.values().any(|callout| &*callout.name == key);
        if registered { Err(NtStatus::STATUS_FWP_ALREADY_EXISTS.into()) } else { Ok(()) }
    }

    /// A callout that was added and is not registered keeps its id.
    fn register(&mut self, driver: DriverId, key: &str, program: Program) -> Result<CalloutId, KernelError> {
        self.check_loaded(driver)?;
        self.check_unregistered(key)?;
        let added = self.added.iter().find(|(_, added)| &***added == key).map(|(id, _)| *id);
        let id = added.unwrap_or_else(|| CalloutId(self.next_id()));
        let name: Arc<str> = key.into();
        self.added.insert(id, Arc::clone(&name));
        self.callouts.insert(id, Arc::new(Callout { owner: driver, name, program }));
        Ok(id)
    }

    fn unregister(&mut self, callout: CalloutId) -> Result<(), KernelError> {
        let removed = self.callouts.remove(&callout);
        removed.map(drop).ok_or(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into())
    }

    fn delete_callout(&mut self, callout: CalloutId) -> Result<(), KernelError> {
        if self.filters.values().any(|filter| filter.action.callout() == Some(callout)) {
            return Err(NtStatus::STATUS_FWP_IN_USE.into());
        }
        self.added.remove(&callout).map(drop).ok_or(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into())
    }

    fn add_filter(&mut self, filter: Filter) -> Result<FilterId, KernelError> {
        if !self.sublayers.contains_key(&filter.sublayer) {
            return Err(NtStatus::STATUS_FWP_SUBLAYER_NOT_FOUND.into());
        }
        if filter.action.callout().is_some_and(|callout| !self.added.contains_key(&callout)) {
            return Err(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into());
        }
        let id = FilterId(self.next_id().into());
        self.filters.insert(id, Arc::new(filter));
        Ok(id)
    }

    fn delete_filter(&mut self, filter: FilterId) -> Result<(), KernelError> {
        self.filters.remove(&filter).map(drop).ok_or(NtStatus::STATUS_FWP_FILTER_NOT_FOUND.into())
    }

    fn install(&mut self, vendor: Vendor) -> Result<CalloutId, KernelError> {
        let callout = self.register(vendor.driver, &vendor.name, vendor.policy.into())?;
        let sublayer = self.add_sublayer(vendor.sublayer_weight);
        for layer in LayerKind::ConnectRedirect.both() {
            self.add_filter(Filter::asking(layer, sublayer, callout))?;
        }
        Ok(callout)
    }
}

impl World {
    pub(super) fn configure<T>(&mut self, change: impl FnOnce(&mut Engine) -> T) -> T {
        let engine = Arc::make_mut(&mut self.engine);
        let result = change(engine);
        engine.sort();
        result
    }

    /// `FwpmSubLayerAdd0`.
    pub fn fwpm_sublayer_add(&mut self, weight: u16) -> SublayerId {
        self.configure(|engine| engine.add_sublayer(weight))
    }

    /// `FwpsCalloutRegister1` with a name as `calloutKey` and a policy, or Rust code, in the place of a `classifyFn`; and
    /// `FwpmCalloutAdd0` where nobody added it yet.
    ///
    /// # Errors
    /// STATUS_FWP_ALREADY_EXISTS where a callout with this key is registered.
    pub fn fwps_callout_register(
        &mut self,
        driver: DriverId,
        key: &str,
        program: impl Into<Program>,
    ) -> Result<CalloutId, KernelError> {
        let program = program.into();
        self.configure(|engine| engine.register(driver, key, program))
    }

    /// `FwpsCalloutUnregisterById0`. It succeeds also where filters name the callout.
    ///
    /// # Errors
    /// STATUS_FWP_CALLOUT_NOT_FOUND where it is not registered. STATUS_DEVICE_BUSY is for contexts that a callout
    /// associates with data flows, which the model does not have.
    pub fn fwps_callout_unregister(&mut self, callout: CalloutId) -> Result<(), KernelError> {
        self.configure(|engine| engine.unregister(callout))
    }

    /// `FwpmCalloutDeleteById0`: takes away what [`World::fwps_callout_register`] added; whether it is registered does
    /// not matter.
    ///
    /// # Errors
    /// STATUS_FWP_IN_USE where a filter names it, STATUS_FWP_CALLOUT_NOT_FOUND where there is no such callout.
    pub fn fwpm_callout_delete(&mut self, callout: CalloutId) -> Result<(), KernelError> {
        self.configure(|engine| engine.delete_callout(callout))
    }

    /// `FwpmFilterAdd0`. The callout needs to be added; whether it is registered does not matter.
    ///
    /// # Errors
    /// STATUS_FWP_SUBLAYER_NOT_FOUND or STATUS_FWP_CALLOUT_NOT_FOUND where what the filter names is not there. A
    /// program in user mode is told the same by FWP_E_SUBLAYER_NOT_FOUND 0x80320007 or FWP_E_CALLOUT_NOT_FOUND 0x80320001.
    pub fn fwpm_filter_add(&mut self, filter: Filter) -> Result<FilterId, KernelError> {
        self.configure(|engine| engine.add_filter(filter))
    }

    /// `FwpmFilterDeleteById0`.
    ///
    /// # Errors
    /// STATUS_FWP_FILTER_NOT_FOUND where there is no such filter.
    pub fn fwpm_filter_delete(&mut self, filter: FilterId) -> Result<(), KernelError> {
        self.configure(|engine| engine.delete_filter(filter))
    }

    /// Registers a callout, and adds a sublayer and in it a filter for the callout at both connect-redirect layers.
    ///
    /// # Errors
    /// Those of [`World::fwps_callout_register`]; nothing is installed then.
    pub fn install(&mut self, vendor: Vendor) -> Result<CalloutId, KernelError> {
        self.configure(|engine| engine.install(vendor))
    }

    /// The key that a callout was registered with.
    #[must_use]
    pub fn callout_name(&self, callout: CalloutId) -> Option<&str> {
        self.engine.callouts.get(&callout).map(|callout| &*callout.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FilterAction;
    use crate::testing::{Machine, SERVER};

    fn policy() -> Policy {
        Policy::default()
    }

    #[test]
    fn installed_vendor_is_asked_at_both_layers() {
        let mut m = Machine::default();
        m.cooperative_vendor("a", 1, 1001);
        let callout = m.trace(SERVER).inspections()[0].callout.unwrap();
        assert_eq!(m.w.callout_name(callout), Some("a"));
        assert_eq!(m.trace(crate::testing::SERVER_V6).inspections()[0].callout, Some(callout));
        m.w.fwps_callout_unregister(callout).unwrap();
        assert_eq!(m.w.callout_name(callout), None);
    }

    #[test]
    fn key_is_registered_once_at_a_time_and_keeps_its_id() {
        let mut m = Machine::default();
        let (a, b) = (m.w.load_driver("a"), m.w.load_driver("b"));
        let callout = m.w.fwps_callout_register(a, "key", policy()).unwrap();
        let before = m.w.clone();
        assert_eq!(
            m.w.fwps_callout_register(b, "key", policy()),
            Err(NtStatus::STATUS_FWP_ALREADY_EXISTS.into())
        );
        let vendor = Vendor { driver: b, name: "key".into(), sublayer_weight: 1, policy: policy() };
        assert_eq!(m.w.install(vendor), Err(NtStatus::STATUS_FWP_ALREADY_EXISTS.into()));
        assert!(m.w == before);
        m.w.fwps_callout_unregister(callout).unwrap();
        assert_eq!(m.w.fwps_callout_unregister(callout), Err(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into()));
        assert_eq!(m.w.fwps_callout_register(b, "key", policy()), Ok(callout));
        assert_eq!((m.w.account(a).callouts, m.w.account(b).callouts), (0, 1));
    }

    #[test]
    fn filter_names_a_sublayer_and_a_callout_that_are_there() {
        let mut m = Machine::default();
        let driver = m.w.load_driver("a");
        let layer = LayerKind::ConnectRedirect.both()[0];
        let sublayer = m.w.fwpm_sublayer_add(1);
        let callout = m.w.fwps_callout_register(driver, "key", policy()).unwrap();
        let good = Filter::asking(layer, sublayer, callout);
        let no_callout = Filter { action: FilterAction::CalloutUnknown(CalloutId(0)), ..good.clone() };
        assert_eq!(m.w.fwpm_filter_add(no_callout), Err(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into()));
        let no_sublayer = Filter { sublayer: SublayerId(0), ..good.clone() };
        assert_eq!(m.w.fwpm_filter_add(no_sublayer), Err(NtStatus::STATUS_FWP_SUBLAYER_NOT_FOUND.into()));
        m.w.fwps_callout_unregister(callout).unwrap();
        let filter = m.w.fwpm_filter_add(good.clone()).expect("it is still added");
        assert_eq!(m.w.fwpm_callout_delete(callout), Err(NtStatus::STATUS_FWP_IN_USE.into()));
        m.w.fwpm_filter_delete(filter).unwrap();
        assert_eq!(m.w.fwpm_filter_delete(filter), Err(NtStatus::STATUS_FWP_FILTER_NOT_FOUND.into()));
        m.w.fwpm_callout_delete(callout).unwrap();
        assert_eq!(m.w.fwpm_callout_delete(callout), Err(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into()));
        assert_eq!(m.w.fwpm_filter_add(good), Err(NtStatus::STATUS_FWP_CALLOUT_NOT_FOUND.into()));
    }
}
