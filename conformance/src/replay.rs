//! The backend `replay:FILE`: a machine as it was recorded.

use std::sync::Arc;

use crate::record::{Recorded, Recording};
use crate::vocabulary::{Backend, BackendFault, Features, Identity, Name, Observation, Op, Settings};

/// Answers as a recording has it, as long as the same calls are made.
pub struct Replay {
    recording: Arc<Recording>,
    case: Name,
    /// The calls of the case that were made.
    made: usize,
}

impl Replay {
    /// The machine of a recording.
    #[must_use]
    pub fn new(recording: Arc<Recording>) -> Self {
        Self { recording, case: "".into(), made: 0 }
    }

    fn next(&self) -> Option<&Recorded> {
        self.recording.cases.get(&self.case)?.get(self.made)
    }
}

impl Backend for Replay {
    fn identify(&self) -> Identity {
        self.recording.identity.clone()
    }

    fn features(&self) -> &Features {
        &self.recording.features
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        (self.case, self.made) = (Name::clone(&settings.case), 0);
        if self.recording.cases.contains_key(&self.case) {
            Ok(())
        } else {
            Err(BackendFault::Unsupported("this case: it was not recorded".to_owned()))
        }
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let answer = match self.next() {
            Some(recorded) if recorded.op == *op => recorded.answer(),
            Some(recorded) => Err(BackendFault::Unsupported(format!(
                "`{}` as call {}: `{}` was recorded there",
                op.call.name(),
                self.made + 1,
                recorded.op.call.name()
            ))),
            None => Err(BackendFault::Unsupported(format!(
                "`{}` as call {}: the recording ends before it",
                op.call.name(),
                self.made + 1
            ))),
        };
        self.made += 1;
        answer
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        // Of calls that were sent together and failed, the last was recorded alone.
        if let (Some(last), Some(recorded)) = (ops.last(), self.next())
            && let (Some(fault), true) = (&recorded.fault, recorded.op == *last)
        {
            let fault = fault.clone();
            self.made += 1;
            return Err(fault);
        }
        ops.iter().map(|op| self.apply(op)).collect()
    }
}
