//! The functions that a callout uses inside its `classifyFn`, with their rules.
//!
//! Source: the ddi pages of the functions that the methods are named after; docs/behaviour.md, "Kernel functions".

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::classify::{Asked, Contexts, Machinery, Run, Version, is_told};
use super::{Action, ClassifyOut, Flags, Incoming, LayerKind, Verdict};
use crate::ids::{CalloutId, ClassifyHandle, DriverId, FilterId, RedirectHandle};
use crate::kernel_error::KernelError;
use crate::ntstatus::NtStatus;
use crate::profile::{AcquireEffect, Profile};
use crate::records::{RedirectState, redirect_state};
use crate::trace::PreviousVersion;

/// What each callout keeps that keeps anything.
pub(crate) type States = BTreeMap<CalloutId, State>;

/// A callout's own bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) owner: DriverId,
    pub(crate) bytes: Arc<[u8]>,
}

/// `FWPS_CONNECT_REQUEST0` at CONNECT_REDIRECT, `FWPS_BIND_REQUEST0` at BIND_REDIRECT: what a callout may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerData {
    /// `localAddressAndPort`. At CONNECT_REDIRECT the profile field `local-address-at-connect-redirect` says what a
    /// change does.
    pub local: SocketAddr,
    /// `remoteAddressAndPort`; a bind has none.
    pub remote: Option<SocketAddr>,
    /// `localRedirectTargetPID`.
    pub target_pid: u32,
    /// `localRedirectHandle`.
    pub handle: Option<RedirectHandle>,
    /// `localRedirectContext`: allocated by the driver, and the engine's once it is applied.
    pub context: Option<Arc<[u8]>>,
}

/// Flags of `FwpsApplyModifiedLayerData0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ApplyFlags {
    /// `FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS`. Inline, that is in `classifyFn`, the documents forbid it:
    /// the profile field `reauthorize-flag-inline`.
    pub reauthorize_if_modified_by_others: bool,
}

/// A call of `classifyFn`: what it shows, and what the callout can do.
pub struct Classify<'a> {
    profile: &'a Profile,
    contexts: Contexts<'a>,
    states: &'a mut States,
    next_handle: &'a mut u64,
    pub(super) seen: &'a Incoming<'a>,
    pub(super) asked: &'a Asked,
    callout: CalloutId,
    owner: DriverId,
    pub(super) run: &'a mut Run,
    pub(super) out: ClassifyOut,
    /// Whether it could write an action when it was called.
    entered_with_right: bool,
    /// Whether it wrote PERMIT without the right.
    pub(super) permitted_without_right: bool,
    /// Handles that were acquired and not released.
    pub(super) handles: Vec<ClassifyHandle>,
    /// Whether the layer data was acquired and not applied.
    pub(super) unapplied: bool,
    pub(super) pended: Option<ClassifyHandle>,
    /// For the trace.
    pub(super) told: Told,
}

/// What a callout asked for and did, for the trace.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) handle: Option<RedirectHandle>,
    pub(super) state: Option<RedirectState>,
    pub(super) context_bytes: Option<usize>,
    pub(super) action: Option<Action>,
}

impl<'a> Classify<'a> {
    pub(super) fn new(
        machine: &'a mut Machinery<'_>,
        contexts: Contexts<'a>,
        profile: &'a Profile,
        seen: &'a Incoming<'a>,
        asked: &'a Asked,
        (callout, owner): (CalloutId, DriverId),
        run: &'a mut Run,
    ) -> Self {
        let write = run.arbitration.carried().write;
        Self {
            profile,
            contexts,
            states: machine.states,
            next_handle: machine.next_handle,
            seen,
            asked,
            callout,
            owner,
            run,
            out: ClassifyOut { action: None, write },
            entered_with_right: write,
            permitted_without_right: false,
            handles: Vec::new(),
            unapplied: false,
            pended: None,
            told: Told::default(),
        }
    }

    // What it shows.

    /// The fixed values and the metadata.
    #[must_use]
    pub fn seen(&self) -> &'a Incoming<'a> {
        self.seen
    }

    /// The filter that called.
    #[must_use]
    pub fn filter(&self) -> FilterId {
        self.asked.id
    }

    /// Whether that filter has `FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT`: then the callout is to clear the right when it
    /// permits.
    #[must_use]
    pub fn clear_action_right(&self) -> bool {
        self.asked.filter.clear_action_right
    }

    /// `classifyOut` as it is now.
    #[must_use]
    pub fn classify_out(&self) -> ClassifyOut {
        self.out
    }

    /// `previousVersion`, followed to its end: what was changed before in this classify, latest first.
    pub fn previous_versions(&self) -> impl Iterator<Item = PreviousVersion> {
        self.run.versions.iter().rev().map(Version::shown)
    }

    /// Whether this callout pended the request before, and has completed it.
    #[must_use]
    pub fn completed_before(&self) -> bool {
        self.run.completed.contains(&self.callout)
    }

    /// The callout's own bytes: what it keeps from one call to the next. Empty at first.
    #[must_use]
    pub fn state(&self) -> &[u8] {
        self.states.get(&self.callout).map_or(&[], |state| &*state.bytes)
    }

    /// Replaces the callout's own bytes.
    pub fn set_state(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.states.remove(&self.callout);
        } else {
            self.states.insert(self.callout, State { owner: self.owner, bytes: bytes.into() });
        }
    }

    // What it answers.

    /// Writes `actionType`; `None` is `FWP_ACTION_CONTINUE`. Without the right to write only a block counts, as a veto;
    /// what a permit does then is the profile field `permit-without-right`.
    pub fn set_action(&mut self, action: Option<Verdict>) {
        self.out.action = action;
        self.permitted_without_right |= action == Some(Verdict::Permit) && !self.entered_with_right;
    }

    /// Sets or clears `FWPS_RIGHT_ACTION_WRITE` in `rights`.
    pub fn set_write_right(&mut self, write: bool) {
        self.out.write = write;
    }

    // Functions.

    /// `FwpsQueryConnectionRedirectState0`: the state for `handle`, and its own context where that still exists.
    pub fn query_connection_redirect_state(
        &mut self,
        handle: RedirectHandle,
    ) -> (RedirectState, Option<&'a [u8]>) {
        let state = redirect_state(self.seen.records, handle);
        let own =
            matches!(state, RedirectState::RedirectedBySelf | RedirectState::PreviouslyRedirectedBySelf);
        let context = if own { self.contexts.of(handle) } else { None };
        self.told.handle = Some(handle);
        self.told.state = Some(state);
        self.told.context_bytes = context.map(<[u8]>::len);
        (state, context)
    }

    /// `FwpsAcquireClassifyHandle0`. Each must be released.
    pub fn acquire_classify_handle(&mut self) -> ClassifyHandle {
        let handle = ClassifyHandle(*self.next_handle);
        *self.next_handle += 1;
        self.handles.push(handle);
        handle
    }

    /// `FwpsReleaseClassifyHandle0`.
    ///
    /// # Errors
    /// Not documented for a handle that is not open: the function returns nothing.
    pub fn release_classify_handle(&mut self, handle: ClassifyHandle) -> Result<(), KernelError> {
        let open = self.handles.iter().position(|own| *own == handle).ok_or(CLOSED)?;
        self.handles.remove(open);
        Ok(())
    }

    /// `FwpsAcquireWritableLayerDataPointer0`: the request as it is now, to be changed and applied. Each must be applied,
    /// changed or not; if it is not, the profile field `acquire-without-apply` says what follows. What it does to
    /// `classifyOut` is the field `acquire-effect`.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER at a layer whose data cannot be written, by inference; not documented for a handle that
    /// is not open.
    pub fn acquire_writable_layer_data(&mut self, handle: ClassifyHandle) -> Result<LayerData, KernelError> {
        if !self.handles.contains(&handle) {
            return Err(CLOSED);
        }
        if !self.seen.layer.kind.is_redirect() {
            return Err(KernelError::Status(NtStatus::STATUS_INVALID_PARAMETER));
        }
        if self.profile.acquire_effect == AcquireEffect::BlockAndClearRight {
            self.out = ClassifyOut::hard(Verdict::Block);
        }
        self.unapplied = true;
        Ok(self.run.current(self.seen))
    }

    /// `FwpsApplyModifiedLayerData0`: `data` is the request from here on, and its context the engine's.
    ///
    /// # Errors
    /// Not documented for a handle that is not open, and for data that was not acquired.
    pub fn apply_modified_layer_data(
        &mut self,
        handle: ClassifyHandle,
        data: LayerData,
        flags: ApplyFlags,
    ) -> Result<(), KernelError> {
        if !self.handles.contains(&handle) {
            return Err(CLOSED);
        }
        if !std::mem::take(&mut self.unapplied) {
            return Err(KernelError::NotDocumented(
                "FwpsApplyModifiedLayerData0 without FwpsAcquireWritableLayerDataPointer0",
            ));
        }
        let reauthorize = is_told(flags, self.pended.is_none(), self.profile);
        self.run.modify(self.seen, (self.asked.id, self.owner), data, reauthorize);
        Ok(())
    }

    /// `FwpsPendClassify0`: the request waits until the driver completes it; lower filters are not asked until then. The
    /// handle stays referenced until then.
    ///
    /// # Errors
    /// STATUS_FWP_CANNOT_PEND at any layer but the redirect layers; not documented for a handle that is not open.
    pub fn pend_classify(&mut self, handle: ClassifyHandle) -> Result<(), KernelError> {
        if !self.handles.contains(&handle) {
            return Err(CLOSED);
        }
        if !self.seen.layer.kind.is_redirect() {
            return Err(KernelError::Status(NtStatus::STATUS_FWP_CANNOT_PEND));
        }
        self.pended = Some(handle);
        Ok(())
    }

    /// What the injection functions make of a packet at INBOUND_IPPACKET: a copy goes on in its place, without the tag of
    /// the packet that redirect records and context ride on (docs/behaviour.md, R18). `false` at another layer.
    pub fn clone_and_reinject(&mut self) -> bool {
        let packet = self.seen.layer.kind == LayerKind::InboundIppacket;
        self.run.cloned |= packet;
        packet
    }

    /// The driver loses a context that it allocated and neither applied nor freed.
    pub fn lose_context(&mut self, context: Arc<[u8]>) {
        self.run.lost_contexts.push((self.owner, context));
    }

    /// Says in the trace what the callout did, where its action alone does not tell.
    pub(super) fn explain(&mut self, action: Action) {
        self.told.action = Some(action);
    }

    /// Whether the classify repeats an earlier one.
    #[must_use]
    pub fn is_reauthorize(&self) -> bool {
        self.seen.flags.contains(Flags::REAUTHORIZE)
    }
}

const CLOSED: KernelError = KernelError::NotDocumented("a classify handle that is not open");

#[cfg(test)]
mod tests;
