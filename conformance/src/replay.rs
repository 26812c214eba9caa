//! The backend `replay:FILE`: a machine as it was recorded.

use std::sync::Arc;

use wfp_sim::Profile;
use wfp_sim::profile::FIELDS;

use crate::record::{Fields, Recorded, Recording, chosen};
use crate::vocabulary::{
    Backend, BackendFault, Feature, Features, Identity, Name, Observation, Op, Settings,
};

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
        self.recording.cases.get(&self.case)?.calls.get(self.made)
    }
}

/// A machine whose profile could be chosen is another one under another profile.
fn is_under(recorded: &Fields, asked: &Profile) -> Result<(), BackendFault> {
    let asked = chosen(asked);
    let documented = Profile::documented();
    let differs = FIELDS.iter().find(|field| recorded.get(field.name) != asked.get(field.name));
    match differs {
        None if *recorded == asked => Ok(()),
        None => {
            let what = "this profile: the case was recorded under one with fields that are not known here";
            Err(BackendFault::Unsupported(what.to_owned()))
        }
        Some(field) => {
            let value =
                |fields: &Fields| fields.get(field.name).cloned().unwrap_or_else(|| field.get(&documented));
            Err(BackendFault::Unsupported(format!(
                "this profile: the case was recorded with `{}: {}`, and not with `{}`",
                field.name,
                value(recorded),
                value(&asked),
            )))
        }
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
        let Some(recorded) = self.recording.cases.get(&self.case) else {
            return Err(BackendFault::Unsupported("this case: it was not recorded".to_owned()));
        };
        match &recorded.profile {
            Some(profile) if self.features().contains(&Feature::Profile) => {
                is_under(profile, &settings.profile)
            }
            _ => Ok(()),
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
