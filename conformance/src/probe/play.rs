//! What a case shows on a machine: the calls that it makes, and what came of each.

use wfp_sim::Profile;

use crate::SimBackend;
use crate::diff::by_role;
use crate::only::Only;
use crate::record::{Recorded, Recorder, Traced};
use crate::run::trace::in_a_line;
use crate::run::{Options, PATIENCE, Status, Waiting, run_case};
use crate::scenario::LoadedCase;
use crate::vocabulary::{
    Backend, BackendFault, Call, Feature, Features, Identity, Name, Observation, Op, Outcome, Settings,
};

/// For everything random: the same on every machine.
const SEED: u64 = 1;

/// What a case shows on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// The calls, in their order.
    pub calls: Vec<Seen>,
    /// Why it has fewer of them than it could have: the machine lacks something.
    pub cut: Option<String>,
}

/// A call, and what came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The call.
    pub op: Op,
    /// What the caller saw; `None` where the call could not be made.
    pub observed: Option<Observation>,
    /// The same, without what differs from machine to machine; what the kernel did is left where it is shown.
    role: Option<Observation>,
}

impl PartialEq for Seen {
    /// By role.
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.role == other.role
    }
}

impl Eq for Seen {}

impl Seen {
    /// The call in a line: its number in the case, who makes it, and what it is.
    #[must_use]
    pub fn line(&self, index: usize) -> String {
        let name = self.op.name.as_ref().map(|name: &Name| format!(" as {name}")).unwrap_or_default();
        format!("call {}, {}: {}{name}", index + 1, self.op.process, self.op.call.name())
    }

    /// What came of it, in words.
    #[must_use]
    pub fn answer(&self) -> String {
        let Some(observed) = &self.observed else { return "it cannot be made".to_owned() };
        match &observed.hop {
            Some(hop) => format!("{observed} ({})", in_a_line(hop)),
            None => observed.to_string(),
        }
    }
}

/// The features by which a machine is asked: what it has, whatever it says of the profile and of redirect records.
///
/// A case that is about one value of the profile is played as it stands, on a machine with any other; and that a machine
/// does not know the control codes is something to be measured.
#[must_use]
pub fn asked_by(features: &Features) -> Features {
    features.iter().copied().chain([Feature::Profile, Feature::RedirectRecords]).collect()
}

/// Plays a case on a machine. A machine whose profile can be chosen answers by `profile`, whatever the case says.
///
/// # Errors
/// Where the machine breaks.
pub fn play(
    machine: &mut dyn Backend,
    profile: &Profile,
    features: &Features,
    case: &LoadedCase,
    waiting: Waiting,
) -> Result<Played, BackendFault> {
    let given = Given { inner: machine, profile: profile.clone(), features: features.clone() };
    let recorder = Recorder::default();
    let (identity, mut traced) =
        (given.identify(), Traced::new(Only::new(given, features), recorder.clone()));
    // What is left out of a case is decided under one profile, so that every machine is asked the same.
    let options = Options { goes_on: Some(waiting), ..Options::default() };
    let cut = match run_case(&mut traced, case, &options, SEED) {
        Ok(run) if run.status == Status::Skipped => run.reason,
        Ok(_) | Err(BackendFault::Misuse(_)) => None,
        Err(fault) => return Err(fault),
    };
    let mut recording = recorder.recording(&identity, features);
    let mut calls = in_time(recording.cases.remove(case.name.as_str()).unwrap_or_default().calls);
    let not_supported = calls.iter().position(|call| match (&call.observation, &call.fault) {
        (Some(observed), _) => matches!(observed.outcome, Outcome::Unsupported(_)),
        (None, fault) => matches!(fault, Some(BackendFault::Unsupported(_))),
    });
    calls.truncate(not_supported.unwrap_or(calls.len()));
    let seen = calls.into_iter().map(|Recorded { op, observation, .. }| {
        let role = observation.as_ref().map(|observed| by_role(&op, observed));
        Seen { op, observed: observation, role }
    });
    Ok(Played { calls: seen.collect(), cut })
}

/// A machine may take its time for what another answers at once: what came of a call when the runner waited for it is
/// the call's own answer.
fn in_time(calls: Vec<Recorded>) -> Vec<Recorded> {
    let mut told: Vec<Recorded> = Vec::with_capacity(calls.len());
    for call in calls {
        match told.last_mut().filter(|before| waits_for(&call.op, before)) {
            None => told.push(call),
            Some(before) => {
                let completed = call.observation.and_then(|waited| waited.completed);
                if let Some((_, result)) = completed {
                    before.observation = Some(*result);
                }
            }
        }
    }
    told
}

/// Whether this is the runner waiting for the call before.
fn waits_for(op: &Op, before: &Recorded) -> bool {
    let is_pending = before.observation.as_ref().is_some_and(|seen| seen.outcome == Outcome::Pending);
    let Call::Wait { calls, limit: PATIENCE } = &op.call else { return false };
    is_pending && calls.len() == 1 && calls.first() == before.op.name.as_ref()
}

/// Plays a case on the model.
///
/// # Errors
/// None, unless the model breaks.
pub fn on_model(
    profile: &Profile,
    features: &Features,
    case: &LoadedCase,
    waiting: Waiting,
) -> Result<Played, BackendFault> {
    play(&mut SimBackend::new(profile.clone()), profile, features, case, waiting)
}

/// A machine that is asked by these features, and answers by its own profile.
struct Given<'a> {
    inner: &'a mut dyn Backend,
    profile: Profile,
    features: Features,
}

impl Backend for Given<'_> {
    fn identify(&self) -> Identity {
        self.inner.identify()
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.inner.reset(&Settings { profile: self.profile.clone(), ..settings.clone() })
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        self.inner.apply(op)
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        self.inner.apply_all(ops)
    }
}
