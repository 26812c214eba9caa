//! What drivers do with what they pended, and what Windows does not survive.

use wfp_sim::ClassifyHandle;
use wfp_sim::trace::ConnectTrace;

use super::drivers::observed;
use super::{SimBackend, callouts};
use crate::vocabulary::{BackendFault, CompletionSpec, Name, Observation, Outcome};

impl SimBackend {
    /// The oldest request that a callout pended goes on.
    pub(super) fn complete_classify(
        &mut self,
        callout: &Name,
        completion: CompletionSpec,
    ) -> Result<Observation, BackendFault> {
        let id = self.callouts.id(callout).map_err(BackendFault::Misuse)?;
        // No handle is 0: a driver that completes what it did not pend makes up one.
        let handle = self.world.pended_by(id).first().copied().unwrap_or(ClassifyHandle(0));
        let mut trace: Vec<ConnectTrace> = Vec::new();
        let result = self.world.fwps_complete_classify(handle, callouts::completion(completion), &mut trace);
        let hop = trace.pop().map(|trace| Box::new(self.hop(&trace)));
        Ok(Observation { hop, ..observed(result) })
    }

    /// The same observation, or the bug check that came meanwhile.
    pub(super) fn survived(&mut self, observation: Observation) -> Observation {
        match self.world.take_bug_check() {
            Some(bug_check) => Observation { outcome: Outcome::BugCheck(bug_check), ..observation },
            None => observation,
        }
    }
}
