//! The drivers of callouts: the calls that set the filter engine up, one by one, and what a driver has.

use wfp_sim::address::Family;
use wfp_sim::engine::{Filter, LayerKind, Unload};
use wfp_sim::{KernelError, RedirectHandle, SublayerId, World};

use super::callouts::{Callouts, Installed};
use crate::vocabulary::{Account, KernelCall, KernelFunction, Name, Observation, Outcome, SublayerGiven};

impl Callouts {
    /// The callout is unregistered, and its filters go.
    pub(super) fn remove(&mut self, world: &mut World, name: &Name) -> Result<Observation, String> {
        let installed = self.get_mut(name)?;
        while !installed.filters.is_empty() {
            // Whoever deleted it before: it is gone.
            installed.delete_filter(world).ok();
        }
        Ok(observed(world.fwps_callout_unregister(installed.id)))
    }

    pub(super) fn destroy_handles(&mut self, world: &mut World, name: &Name) -> Result<Observation, String> {
        let installed = self.get_mut(name)?;
        let mut result = installed.destroy_handle(world)?;
        while result.is_ok() && !installed.handles.is_empty() {
            result = installed.destroy_handle(world)?;
        }
        Ok(observed(result))
    }

    pub(super) fn kernel_call(
        &mut self,
        world: &mut World,
        call: &KernelCall,
    ) -> Result<Observation, String> {
        let name = &call.callout;
        let installed = self.get_mut(name)?;
        let mut created = None;
        let result = match call.function {
            KernelFunction::FwpsCalloutRegister1 => {
                let registered =
                    world.fwps_callout_register(installed.driver, name, installed.policy.clone());
                registered.map(|id| installed.id = id)
            }
            KernelFunction::FwpsCalloutUnregisterById0 => world.fwps_callout_unregister(installed.id),
            KernelFunction::FwpmCalloutDeleteById0 => world.fwpm_callout_delete(installed.id),
            KernelFunction::FwpmFilterAdd0 => installed.add_filter(world, call.sublayer),
            KernelFunction::FwpmFilterDeleteById0 => installed.delete_filter(world),
            KernelFunction::FwpsRedirectHandleCreate0 => {
                let handle = world.fwps_redirect_handle_create(installed.driver, name, call.flags);
                handle.map(|handle| {
                    installed.handles.push(handle);
                    created = Some(handle);
                })
            }
            KernelFunction::FwpsRedirectHandleDestroy0 => installed.destroy_handle(world)?,
        };
        self.name_callout(name);
        if let Some(handle) = created {
            self.name_handle(handle, name);
        }
        Ok(observed(result))
    }

    pub(super) fn unload(&mut self, world: &mut World, name: &Name) -> Result<Observation, String> {
        let installed = self.get(name)?;
        let unload = Unload { destroys_handles: installed.on_unload.destroys_handles };
        Ok(observed(world.unload_driver(installed.driver, unload)))
    }

    pub(super) fn account(&self, world: &World, name: &Name) -> Result<Observation, String> {
        let account = world.account(self.get(name)?.driver);
        let account = Account {
            contexts: account.contexts as u64,
            redirect_handles: account.redirect_handles as u64,
            classify_handles: account.classify_handles as u64,
            pended_classifies: account.pended_classifies as u64,
            state_bytes: account.state_bytes as u64,
        };
        Ok(Observation { account: Some(account), ..Observation::new(Outcome::Ok) })
    }
}

impl Installed {
    fn add_filter(&mut self, world: &mut World, sublayer: SublayerGiven) -> Result<(), KernelError> {
        let sublayer = match sublayer {
            SublayerGiven::Own => self.sublayer,
            SublayerGiven::Missing => SublayerId(0),
        };
        let layer = LayerKind::ConnectRedirect.of(Family::Ipv4);
        let filter = Filter { weight: self.weight, ..Filter::asking(layer, sublayer, self.id) };
        self.filters.push(world.fwpm_filter_add(filter)?);
        Ok(())
    }

    fn delete_filter(&mut self, world: &mut World) -> Result<(), KernelError> {
        if !self.filters.is_empty() {
            self.deleted_filter = self.filters.remove(0);
        }
        world.fwpm_filter_delete(self.deleted_filter)
    }

    fn destroy_handle(&mut self, world: &mut World) -> Result<Result<(), KernelError>, String> {
        if !self.handles.is_empty() {
            self.destroyed_handle = Some(self.handles.remove(0));
        }
        let none = || "the driver never had a redirect handle".to_owned();
        let handle: RedirectHandle = self.destroyed_handle.ok_or_else(none)?;
        Ok(world.fwps_redirect_handle_destroy(handle))
    }
}

pub(super) fn observed(result: Result<(), KernelError>) -> Observation {
    Observation::new(match result {
        Ok(()) => Outcome::Ok,
        Err(KernelError::Status(status)) => Outcome::Status(status),
        Err(KernelError::BugCheck(bug_check)) => Outcome::BugCheck(bug_check),
        Err(KernelError::NotDocumented(what)) => Outcome::NotDocumented(what.to_owned()),
    })
}
