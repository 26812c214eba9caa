//! Requests that a driver pended, and what becomes of them when it completes them.
//!
//! Source: ddi "FwpsPendClassify0", "FwpsCompleteClassify0"; docs/behaviour.md, "Kernel functions".

use std::net::SocketAddr;
use std::sync::Arc;

use super::connect::{Attempt, Manner, Reached};
use super::{Asking, Completed, State};
use crate::canonical::Renumber;
use crate::datagram::First;
use crate::engine::{
    ApplyFlags, Completion as ClassifyCompletion, Decision, LayerData, PendedBy, Program, Run, Unused,
};
use crate::ids::{Caller, CalloutId, ClassifyHandle, PendingId, SocketId};
use crate::kernel_error::KernelError;
use crate::profile::Profile;
use crate::trace::Sink;
use crate::world::World;

/// A classify that a driver pended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PendedClassify {
    pub(crate) by: PendedBy,
    pub(crate) run: Box<Run>,
    pub(crate) waits: Waits,
}

/// What waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Waits {
    /// A TCP connect, and the call that waits for it.
    Connect { attempt: Attempt, pending: Option<PendingId> },
    /// `connect` of a datagram socket, which has returned.
    DatagramConnect { caller: Caller, socket: SocketId, destination: SocketAddr },
    /// The first datagram of a flow. Its call has returned.
    Datagram(First),
}

const NOT_PENDED: KernelError = KernelError::NotDocumented("a request that is not pended");

impl PendedClassify {
    pub(crate) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let mut pended = self.clone();
        pended.by.handle = renumber.classify(pended.by.handle);
        match &mut pended.waits {
            Waits::Connect { attempt, pending } => {
                attempt.id = renumber.socket(attempt.id);
                *pending = pending.map(|id| renumber.pending(id));
            }
            Waits::DatagramConnect { socket, .. } => *socket = renumber.socket(*socket),
            Waits::Datagram(First { id, records, .. }) => {
                *id = renumber.socket(*id);
                *records = records.as_deref().map(|records| Arc::new(renumber.records(records, profile)));
            }
        }
        pended
    }
}

impl World {
    /// The requests that a callout pended and did not complete, oldest first.
    #[must_use]
    pub fn pended_by(&self, callout: CalloutId) -> Vec<ClassifyHandle> {
        let by = |pended: &PendedClassify| pended.by.callout == callout;
        self.pended.iter().filter(|(_, pended)| by(pended)).map(|(handle, _)| *handle).collect()
    }

    /// `FwpsCompleteClassify0`, and `FwpsReleaseClassifyHandle0`: with a decision the filters below are asked, without one
    /// (NULL) all are asked again. A policy that was to change the request first does so.
    ///
    /// # Errors
    /// Not documented for a handle that nothing is pended with: the function returns nothing.
    pub fn fwps_complete_classify<S: Sink + ?Sized>(
        &mut self,
        handle: ClassifyHandle,
        completion: ClassifyCompletion,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let pended = self.pended.remove(&handle).ok_or(NOT_PENDED)?;
        let PendedClassify { by, mut run, waits } = pended;
        self.change_pended(&by, &mut run, &waits);
        run.completed(by.callout, completion);
        match waits {
            Waits::Connect { attempt, pending } => self.resume_connect(attempt, pending, *run, sink),
            Waits::DatagramConnect { caller, socket, destination } => {
                let _ = self.classify_datagram_connect(caller, socket, destination, *run, sink);
            }
            Waits::Datagram(first) => self.resume_datagram(first, *run, sink),
        }
        Ok(())
    }

    /// `FwpsAcquireWritableLayerDataPointer0` of a request that is pended: as it is now. Nothing in the model waits for the
    /// data to be applied, as the request waits anyway.
    ///
    /// # Errors
    /// Not documented for a handle that nothing is pended with.
    pub fn fwps_acquire_writable_layer_data(&self, handle: ClassifyHandle) -> Result<LayerData, KernelError> {
        let pended = self.pended.get(&handle).ok_or(NOT_PENDED)?;
        let asking = self.pended_asking(&pended.waits).ok_or(NOT_PENDED)?;
        Ok(pended.run.current(&self.seen_at_connect_redirect(&asking)))
    }

    /// `FwpsApplyModifiedLayerData0` of a request that is pended: `data` is the request from here on, and its context the
    /// engine's. Here the flag to be told of others' changes is allowed.
    ///
    /// # Errors
    /// Not documented for a handle that nothing is pended with.
    pub fn fwps_apply_modified_layer_data(
        &mut self,
        handle: ClassifyHandle,
        data: LayerData,
        flags: ApplyFlags,
    ) -> Result<(), KernelError> {
        let mut pended = self.pended.remove(&handle).ok_or(NOT_PENDED)?;
        if let Some(asking) = self.pended_asking(&pended.waits) {
            let seen = self.seen_at_connect_redirect(&asking);
            let by = (pended.by.filter, pended.by.owner);
            pended.run.modify(&seen, by, data, flags.reauthorize_if_modified_by_others);
        }
        self.pended.insert(handle, pended);
        Ok(())
    }

    /// Who waits; `None` where the socket or the process is gone.
    fn pended_asking(&self, waits: &Waits) -> Option<Asking> {
        match waits {
            Waits::Connect { attempt, .. } => {
                self.asking(attempt.caller.pid, attempt.id, attempt.destination, None)
            }
            Waits::DatagramConnect { caller, socket, destination } => {
                self.asking(caller.pid, *socket, *destination, None)
            }
            Waits::Datagram(first) => {
                self.asking(first.caller.pid, first.id, first.destination, first.records.clone())
            }
        }
    }

    /// What the policy that pended wants changed.
    fn change_pended(&self, by: &PendedBy, run: &mut Run, waits: &Waits) {
        let program = self.engine.callouts.get(&by.callout).map(|callout| &callout.program);
        let (Some(Program::Policy(policy)), Some(asking)) = (program, self.pended_asking(waits)) else {
            return;
        };
        let seen = self.seen_at_connect_redirect(&asking);
        if let Decision::Pend(pend) = policy.decision(&seen, policy.state(&seen)) {
            policy.modify_pended(pend, &seen, by, run);
        }
    }

    /// A connect that was pended goes on.
    fn resume_connect<S: Sink + ?Sized>(
        &mut self,
        attempt: Attempt,
        pending: Option<PendingId>,
        run: Run,
        sink: &mut S,
    ) {
        // Its socket may be closed, or its process gone: then nobody waits any more.
        let waits = self.sockets.get(&attempt.id).is_some_and(
            |socket| matches!(socket.state, State::Connecting { pending: waiting, .. } if waiting == pending),
        );
        if !waits {
            return self.abandon(&run.versions, Unused::Failed);
        }
        self.set_state(attempt.id, State::Unconnected);
        match self.connect_through(Attempt { pending, ..attempt }, run, sink) {
            Ok(Reached::Connected(_)) => {
                if let Some(pending) = pending {
                    self.complete(pending, Ok(Completed::Connected));
                }
            }
            Ok(Reached::Waiting(_)) => {}
            Err(error) => {
                if let Some(pending) = pending {
                    self.complete(pending, Err(error));
                } else if attempt.manner == Manner::Nonblocking {
                    self.set_state(attempt.id, State::Failed(error));
                }
            }
        }
    }
}
