//! Cases that a machine without a driver can run although they install callouts.

use super::{CaseRun, Event, Options, Status, run_case};
use crate::SimBackend;
use crate::scenario::LoadedCase;
use crate::vocabulary::{Feature, Features, Hop, Role};

/// What a machine lacks to which no callout can be installed.
const OF_CALLOUTS: [Feature; 2] = [Feature::Redirect, Feature::MultiVendor];

/// Whether a backend with these features runs a case without its callouts: it can install none, and on the model none
/// of them is ever asked, so that they make no difference. Many files install callouts for all of their cases, and then
/// ask a socket that was never connected.
pub(super) fn runs_bare(loaded: &LoadedCase, features: &Features, options: &Options, seed: u64) -> bool {
    let lacks_callouts_alone =
        loaded.features.iter().all(|needed| features.contains(needed) || OF_CALLOUTS.contains(needed));
    !features.contains(&Feature::Redirect)
        && lacks_callouts_alone
        && !names_a_callout(loaded)
        && asks_no_callout(loaded, options, seed)
}

fn names_a_callout(loaded: &LoadedCase) -> bool {
    let case = &loaded.case;
    let calls = || case.steps.iter().filter_map(|step| step.op.as_ref());
    !case.filters.is_empty()
        || calls().any(|call| call.references().iter().any(|(_, role, _)| *role == Role::Callout))
}

fn asks_no_callout(loaded: &LoadedCase, options: &Options, seed: u64) -> bool {
    let options = Options { trace: true, ..options.clone() };
    let mut model = SimBackend::new(options.profile.clone());
    match run_case(&mut model, loaded, &options, seed) {
        Ok(CaseRun { status: Status::Passed, events, .. }) => !events.iter().any(asked),
        _ => false,
    }
}

/// Whether a callout was asked.
fn asked(event: &Event) -> bool {
    let by = |hop: &Hop| hop.classifies.iter().any(|classified| !classified.inspections.is_empty());
    match event {
        Event::Called(called) => called.hop.as_deref().is_some_and(by),
        Event::Followed(followed) => {
            followed.ending.hops.iter().any(|hop| hop.hop.as_deref().is_some_and(by))
        }
    }
}
