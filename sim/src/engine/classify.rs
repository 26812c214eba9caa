//! A classify: who is asked, in which order, and what comes of it.
//!
//! Source: win32 "Filter Arbitration"; ddi "FWPS_CONNECT_REQUEST0", "FwpsPendClassify0"; docs/behaviour.md, "Connect
//! request", "Arbitration" and "Reclassification".

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::arbitration::{Arbitration, By};
use super::call::{ApplyFlags, Classify, LayerData, States};
use super::{
    Action, Callout, ClassifyOut, Completion, Engine, Filter, FilterAction, Flags, Incoming, LayerKind,
    RedirectContext, Verdict,
};
use crate::bug_check::BugCheck;
use crate::ids::{CalloutId, ClassifyHandle, ContextId, DriverId, FilterId, RedirectHandle, SublayerId};
use crate::profile::{
    ClearActionRight, InlineReauthorize, PermitWithoutRight, Profile, RedirectReauthorize,
    SublayersAfterBlock, Unapplied,
};
use crate::records::{Records, RedirectState};
use crate::trace::{Inspection, PreviousVersion};

/// So often a callout is asked again because others modified what it had modified. More often, and it never ends.
const MOST_ROUNDS: usize = 16;

/// A filter where the engine asks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) id: FilterId,
    pub(super) sublayer_weight: u16,
    pub(crate) filter: Arc<Filter>,
    /// `None` where the filter asks none, and where it is not registered any more.
    pub(crate) callout: Option<Arc<Callout>>,
}

impl Asked {
    /// Filters are asked in the order of their places.
    pub(super) fn place(&self) -> Place {
        let filter = &self.filter;
        (Reverse(self.sublayer_weight), filter.sublayer, Reverse(filter.weight), self.id)
    }
}

pub(super) type Place = (Reverse<u16>, SublayerId, Reverse<u64>, FilterId);

/// A change of the request: a version of `FWPS_CONNECT_REQUEST0` or `FWPS_BIND_REQUEST0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub(crate) modifier: FilterId,
    /// Whose filter that is, and whose the context.
    pub(crate) owner: DriverId,
    pub(crate) data: LayerData,
    /// Whether it is a redirect: anything changed but the local address.
    pub(crate) redirects: bool,
    /// How many versions there were when its callout was last asked, if it wants to be asked again.
    told: Option<usize>,
}

impl Version {
    /// Where it sends a connect to `original`.
    pub(crate) fn target(&self, original: SocketAddr) -> SocketAddr {
        self.data.remote.unwrap_or(original)
    }

    pub(super) fn shown(&self) -> PreviousVersion {
        let address = self.data.remote.unwrap_or(self.data.local);
        PreviousVersion { modifier: self.modifier, address, handle: self.data.handle }
    }
}

/// A classify under way. It can stop where a callout pends it, and go on later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    /// Oldest first; `previousVersion` is this list read backwards.
    pub(crate) versions: Vec<Version>,
    pub(super) arbitration: Arbitration,
    /// The filters up to here have been asked.
    after: Option<Place>,
    /// The sublayer that has decided.
    decided: Option<SublayerId>,
    /// What all further calls show: it was pended and completed.
    flags: Flags,
    /// The callouts that pended the request and completed it.
    pub(super) completed: Vec<CalloutId>,
    /// The packet was replaced by a copy.
    pub(crate) cloned: bool,
    /// What callouts left behind: handles that were not released, and contexts.
    pub(crate) lost_handles: Vec<(DriverId, ClassifyHandle)>,
    pub(crate) lost_contexts: Vec<(DriverId, Arc<[u8]>)>,
}

/// How a classify ended, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    /// Every filter was asked. `None`: nobody decided, and the traffic is permitted.
    Decided(Option<Verdict>),
    /// A callout pended it.
    Pended(PendedBy),
    /// It never completes (`acquire-without-apply`), or is asked again for ever.
    Never,
    /// Windows did not survive it.
    BugCheck(BugCheck),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PendedBy {
    pub(crate) callout: CalloutId,
    pub(crate) owner: DriverId,
    pub(crate) filter: FilterId,
    pub(crate) handle: ClassifyHandle,
}

/// What a classify needs of the machine.
pub(crate) struct Machinery<'m> {
    pub(crate) engine: &'m Engine,
    pub(crate) profile: &'m Profile,
    pub(crate) contexts: Contexts<'m>,
    pub(crate) states: &'m mut States,
    pub(crate) next_handle: &'m mut u64,
}

/// The contexts of the redirects behind a connection.
#[derive(Clone, Copy)]
pub(crate) struct Contexts<'m> {
    pub(crate) all: &'m BTreeMap<ContextId, RedirectContext>,
    pub(crate) records: Option<&'m Records>,
}

impl<'m> Contexts<'m> {
    /// That of the last redirect by `handle`, while it exists.
    pub(super) fn of(self, handle: RedirectHandle) -> Option<&'m [u8]> {
        let entry = self.records?.entries().iter().rev().find(|entry| entry.handle == handle)?;
        self.all.get(&entry.context?).map(|context| &*context.bytes)
    }
}

impl Run {
    /// The request as it is now.
    pub(crate) fn current(&self, seen: &Incoming<'_>) -> LayerData {
        let original = || LayerData {
            local: seen.local,
            remote: seen.remote,
            target_pid: 0,
            handle: None,
            context: None,
        };
        self.versions.last().map_or_else(original, |version| version.data.clone())
    }

    /// The request is `data` from here on. What is as it was makes no new version.
    pub(crate) fn modify(
        &mut self,
        seen: &Incoming<'_>,
        by: (FilterId, DriverId),
        data: LayerData,
        reauthorize: bool,
    ) {
        let before = self.current(seen);
        if data == before {
            return;
        }
        let kept =
            (data.remote, data.target_pid, data.handle) == (before.remote, before.target_pid, before.handle);
        let redirects = !kept || data.context != before.context;
        let (modifier, owner) = by;
        let told = reauthorize.then_some(self.versions.len() + 1);
        self.versions.push(Version { modifier, owner, data, redirects, told });
    }

    /// The driver has completed what it pended: with a verdict the filters below are asked, without one all are asked
    /// again.
    pub(crate) fn completed(&mut self, by: CalloutId, completion: Completion) {
        self.flags = self.flags | Flags::REAUTHORIZE;
        self.completed.push(by);
        match completion {
            Completion::Final(out) => {
                self.arbitration.decide(By::Callout, out);
                if out.action.is_some() {
                    self.decided = self.after.map(|(_, sublayer, ..)| sublayer);
                }
            }
            Completion::Reauthorize => {
                self.arbitration = Arbitration::default();
                (self.after, self.decided) = (None, None);
            }
        }
    }

    /// The flags that a classify at this layer shows.
    pub(crate) fn shown(&self, seen: &Incoming<'_>, profile: &Profile) -> Flags {
        let kind = seen.layer.kind;
        let shows = !kind.is_redirect() || reauthorize_shows(kind, profile);
        seen.flags | self.flags.when(shows)
    }

    /// The callout that made this version has been asked again.
    fn told(&mut self, index: usize) {
        let Some(modifier) = self.versions.get(index).map(|version| version.modifier) else { return };
        let count = self.versions.len();
        for version in self.versions.iter_mut().filter(|version| version.modifier == modifier) {
            version.told = version.told.map(|_| count);
        }
    }

    /// The callout whose change was changed by another, which it wants to be told of.
    fn to_be_told(&self) -> Option<(usize, FilterId)> {
        self.versions.iter().enumerate().find_map(|(index, version)| {
            let others = self.versions.get(version.told?..)?;
            others.iter().any(|later| later.modifier != version.modifier).then_some((index, version.modifier))
        })
    }
}

/// Asks every sublayer, heaviest first; in a sublayer every filter that matches, heaviest first, until one permits or
/// blocks. Conditions, and the context that a callout writes, see the destination that the caller gave: a redirect made
/// earlier in the same classify shows in `previousVersion` alone.
pub(crate) fn classify(
    machine: &mut Machinery<'_>,
    seen: &Incoming<'_>,
    run: &mut Run,
    mut inspections: Option<&mut Vec<Inspection>>,
) -> Ended {
    let seen = Incoming { flags: run.shown(seen, machine.profile), ..*seen };
    let engine = machine.engine;
    let order = engine.asked_at(seen.layer);
    let first = run.after.map_or(0, |after| order.partition_point(|asked| asked.place() <= after));
    for asked in &order[first..] {
        if run.decided == Some(asked.filter.sublayer) || !asked.matches(&seen) {
            continue;
        }
        run.after = Some(asked.place());
        match ask(machine, &seen, asked, run, inspections.as_deref_mut()) {
            Answer::Went(decided) => {
                if decided {
                    run.decided = Some(asked.filter.sublayer);
                }
            }
            Answer::Stopped(ended) => return ended,
        }
        if run.arbitration.is_hard_block()
            && machine.profile.sublayers_after_block == SublayersAfterBlock::Skipped
        {
            break;
        }
    }
    if seen.layer.kind.is_redirect()
        && let Some(ended) = tell_of_changes(machine, &seen, run, inspections)
    {
        return ended;
    }
    Ended::Decided(run.arbitration.verdict())
}

fn reauthorize_shows(kind: LayerKind, profile: &Profile) -> bool {
    kind == LayerKind::BindRedirect || profile.reauthorize_at_connect_redirect == RedirectReauthorize::Shown
}

/// Asks those again who want to know when others change what they changed.
fn tell_of_changes(
    machine: &mut Machinery<'_>,
    seen: &Incoming<'_>,
    run: &mut Run,
    mut inspections: Option<&mut Vec<Inspection>>,
) -> Option<Ended> {
    let mut seen = *seen;
    if reauthorize_shows(seen.layer.kind, machine.profile) {
        seen.flags = seen.flags | Flags::REAUTHORIZE;
    }
    for _ in 0..MOST_ROUNDS {
        let (index, filter) = run.to_be_told()?;
        run.told(index);
        let engine = machine.engine;
        let Some(asked) = engine.asked_at(seen.layer).iter().find(|asked| asked.id == filter) else {
            continue;
        };
        if let Answer::Stopped(ended) = ask(machine, &seen, asked, run, inspections.as_deref_mut()) {
            return Some(ended);
        }
    }
    Some(Ended::Never)
}

enum Answer {
    /// Whether the filter permitted or blocked.
    Went(bool),
    Stopped(Ended),
}

impl Asked {
    fn matches(&self, seen: &Incoming<'_>) -> bool {
        self.filter.conditions.iter().all(|condition| condition.holds(seen))
    }
}

fn ask(
    machine: &mut Machinery<'_>,
    seen: &Incoming<'_>,
    asked: &Asked,
    run: &mut Run,
    inspections: Option<&mut Vec<Inspection>>,
) -> Answer {
    match asked.filter.action {
        FilterAction::Permit => decide_by_filter(machine.profile, asked, run, Verdict::Permit, inspections),
        FilterAction::Block => decide_by_filter(machine.profile, asked, run, Verdict::Block, inspections),
        FilterAction::CalloutTerminating(id) | FilterAction::CalloutUnknown(id) => match &asked.callout {
            Some(callout) => ask_callout(machine, seen, asked, (id, callout), run, inspections),
            // Source: win32 "FWPM_ACTION0"; docs/behaviour.md, "Kernel functions".
            None => {
                decide_by_filter(machine.profile, asked, run, asked.filter.without_callout(), inspections)
            }
        },
        FilterAction::CalloutInspection(id) => match &asked.callout {
            Some(callout) => ask_callout(machine, seen, asked, (id, callout), run, inspections),
            None => Answer::Went(false),
        },
    }
}

/// The filter itself decides: a permit is soft and a block is hard, unless its flag says otherwise.
fn decide_by_filter(
    profile: &Profile,
    asked: &Asked,
    run: &mut Run,
    verdict: Verdict,
    inspections: Option<&mut Vec<Inspection>>,
) -> Answer {
    let flag = asked.filter.clear_action_right;
    let hard = match profile.clear_action_right {
        ClearActionRight::SetIsHard => flag || verdict == Verdict::Block,
        ClearActionRight::ClearedIsHard => !flag,
    };
    let before = run.arbitration.carried();
    run.arbitration.decide(By::Filter, ClassifyOut { action: Some(verdict), write: !hard });
    if let Some(inspections) = inspections {
        let action = match (verdict, hard) {
            (Verdict::Permit, false) => Action::Permit,
            (Verdict::Permit, true) => Action::HardPermit,
            (Verdict::Block, false) => Action::Block,
            (Verdict::Block, true) => Action::HardBlock,
        };
        inspections.push(Inspection {
            callout: None,
            name: "a filter".into(),
            filter: asked.id,
            handle: None,
            state: RedirectState::NotRedirected,
            context_bytes: None,
            previous_versions: Vec::new(),
            write_right: before.write,
            action,
            carried: run.arbitration.carried(),
        });
    }
    Answer::Went(true)
}

fn ask_callout(
    machine: &mut Machinery<'_>,
    seen: &Incoming<'_>,
    asked: &Asked,
    (id, callout): (CalloutId, &Callout),
    run: &mut Run,
    inspections: Option<&mut Vec<Inspection>>,
) -> Answer {
    let profile = machine.profile;
    let entered = run.arbitration.carried();
    let previous_versions = if inspections.is_some() {
        run.versions.iter().rev().map(Version::shown).collect()
    } else {
        Vec::new()
    };
    let versions = run.versions.len();
    let contexts = machine.contexts;
    let mut call = Classify::new(machine, contexts, profile, seen, asked, (id, callout.owner), run);
    callout.program.classify(&mut call);
    let Classify { out, permitted_without_right, handles, unapplied, pended, told, .. } = call;

    let kept = pended.filter(|handle| handles.contains(handle));
    run.lost_handles.extend(
        handles.into_iter().filter(|handle| kept != Some(*handle)).map(|handle| (callout.owner, handle)),
    );
    let inspection_only = matches!(asked.filter.action, FilterAction::CalloutInspection(_));
    let stopped = if permitted_without_right
        && !inspection_only
        && profile.permit_without_right != PermitWithoutRight::Ignored
    {
        Some(Ended::BugCheck(BugCheck::NotReported))
    } else if unapplied && profile.acquire_without_apply == Unapplied::NeverCompletes {
        Some(Ended::Never)
    } else {
        pended.map(|handle| {
            Ended::Pended(PendedBy { callout: id, owner: callout.owner, filter: asked.id, handle })
        })
    };
    let mut decided = false;
    if stopped.is_none() && !inspection_only {
        let counts = entered.write || out.action == Some(Verdict::Block);
        if counts {
            run.arbitration.decide(By::Callout, out);
            decided = out.action.is_some();
        }
    }
    if let Some(inspections) = inspections {
        let changed = run.versions.get(versions..).and_then(<[Version]>::last);
        let action = told
            .action
            .unwrap_or_else(|| Action::of(out, entered.write, changed, pended.is_some(), run.cloned));
        inspections.push(Inspection {
            callout: Some(id),
            name: Arc::clone(&callout.name),
            filter: asked.id,
            handle: told.handle,
            state: told.state.unwrap_or(RedirectState::NotRedirected),
            context_bytes: told.context_bytes,
            previous_versions,
            write_right: entered.write,
            action,
            carried: run.arbitration.carried(),
        });
    }
    stopped.map_or(Answer::Went(decided), Answer::Stopped)
}

/// Whether a change that was made inline and wants to be told of others' changes is.
pub(super) fn is_told(flags: ApplyFlags, inline: bool, profile: &Profile) -> bool {
    flags.reauthorize_if_modified_by_others
        && (!inline || profile.reauthorize_flag_inline == InlineReauthorize::Heeded)
}

#[cfg(test)]
mod tests;
