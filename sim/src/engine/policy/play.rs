//! A policy as a `classifyFn`: what it calls, in which order, by its rules and its habits.

use std::net::SocketAddr;

use super::{AfterAcquire, Decision, Pend, Policy, Reauthorize, Redirect, Rule, WriteRight};
use crate::engine::call::{ApplyFlags, Classify, LayerData};
use crate::engine::classify::{PendedBy, Run};
use crate::engine::{Action, ClassifyOut, Incoming, LayerKind, Verdict, remembered};
use crate::records::{RedirectState, redirect_state};

impl Policy {
    /// What the policy's `classifyFn` does.
    pub(in crate::engine) fn classify(&self, call: &mut Classify<'_>) {
        let seen = call.seen();
        let state = match self.handles.of(seen.layer.family) {
            Some(handle) => call.query_connection_redirect_state(handle).0,
            None => RedirectState::NotRedirected,
        };
        let decision = self.decision(seen, state);
        if seen.layer.kind == LayerKind::AuthConnect && remembered::contains(call.state(), seen) {
            return self.block_remembered(call);
        }
        if !self.may_act(call, decision) {
            return;
        }
        if seen.layer.kind.is_redirect() && self.was_asked_before(call) {
            self.permit(call, Action::PermitReauthorize);
            return;
        }
        if seen.layer.kind == LayerKind::ConnectRedirect
            && self.habits.replaces_remembered
            && !call.state().is_empty()
        {
            let kept = remembered::without(call.state(), seen);
            call.set_state(&kept);
        }
        match decision {
            Decision::Permit => self.permit(call, Action::Permit),
            Decision::HardPermit => write(call, ClassifyOut::hard(Verdict::Permit)),
            Decision::Continue => {}
            Decision::HardBlock => write(call, ClassifyOut::hard(Verdict::Block)),
            Decision::BlockLater if seen.layer.kind == LayerKind::ConnectRedirect => {
                let kept = remembered::with(call.state(), seen);
                call.set_state(&kept);
                self.permit(call, Action::BlockLater);
            }
            Decision::Block | Decision::BlockLater => write(call, ClassifyOut::soft(Verdict::Block)),
            Decision::Redirect(redirect) => self.redirect(call, redirect),
            Decision::Rebind(rebind) => match rebind.for_local(seen.local) {
                Some(local) => self.change(call, |data| data.local = local),
                None => self.permit(call, Action::NoTarget),
            },
            Decision::Pend(_) => {
                let handle = call.acquire_classify_handle();
                if call.pend_classify(handle).is_err() {
                    let _ = call.release_classify_handle(handle);
                    self.permit(call, Action::Permit);
                }
            }
            Decision::CloneAndReinject => {
                if !call.clone_and_reinject() {
                    self.permit(call, Action::Permit);
                }
            }
        }
    }

    pub(crate) fn decision(&self, seen: &Incoming<'_>, state: RedirectState) -> &Decision {
        let fits = |rule: &&Rule| {
            rule.layers.contains(seen.layer.kind)
                && rule.states.contains(state)
                && rule.processes.contains(seen.process_id)
                && rule.conditions.iter().all(|condition| condition.holds(seen))
        };
        self.rules.iter().find(fits).map_or(&Decision::Permit, |rule| &rule.decision)
    }

    /// The redirect state that its handle gives.
    pub(crate) fn state(&self, seen: &Incoming<'_>) -> RedirectState {
        let handle = self.handles.of(seen.layer.family);
        handle.map_or(RedirectState::NotRedirected, |handle| redirect_state(seen.records, handle))
    }

    /// What its worker changes of a request that it pended.
    pub(crate) fn modify_pended(&self, pend: &Pend, seen: &Incoming<'_>, by: &PendedBy, run: &mut Run) {
        let change = pend
            .redirect
            .as_ref()
            .zip(seen.remote)
            .and_then(|(redirect, original)| self.change_by(redirect, seen, original));
        if let Some(change) = change {
            let mut data = run.current(seen);
            change(&mut data);
            run.modify(seen, (by.filter, by.owner), data, self.habits.reauthorize_if_modified_by_others);
        }
    }

    /// By the right to write, and what the callout makes of it.
    fn may_act(&self, call: &mut Classify<'_>, decision: &Decision) -> bool {
        let right = call.classify_out().write;
        let veto = matches!(decision, Decision::Block | Decision::HardBlock | Decision::Continue);
        match self.habits.write_right {
            WriteRight::Heeded if !right && !veto => call.explain(Action::NoRight),
            WriteRight::Inverted if right => call.explain(Action::RightMisread),
            _ => return true,
        }
        false
    }

    fn was_asked_before(&self, call: &Classify<'_>) -> bool {
        call.is_reauthorize()
            && match self.habits.reauthorize {
                Reauthorize::PermitAll => true,
                Reauthorize::Ignored => false,
                Reauthorize::PermitOwn => {
                    call.completed_before() || call.previous_versions().any(|v| v.modifier == call.filter())
                }
            }
    }

    fn permit(&self, call: &mut Classify<'_>, action: Action) {
        call.set_action(Some(Verdict::Permit));
        if self.habits.heeds_clear_action_right && call.clear_action_right() {
            call.set_write_right(false);
        }
        if action != Action::Permit {
            call.explain(action);
        }
    }

    fn block_remembered(&self, call: &mut Classify<'_>) {
        let right = call.classify_out().write;
        if right || self.habits.forgets_without_right {
            let kept = remembered::without(call.state(), call.seen());
            call.set_state(&kept);
        }
        if right || self.habits.write_right == WriteRight::Ignored {
            write(call, ClassifyOut::soft(Verdict::Block));
            call.explain(Action::BlockRemembered);
        } else {
            call.set_action(Some(Verdict::Block));
        }
    }

    fn redirect(&self, call: &mut Classify<'_>, redirect: &Redirect) {
        if self.heeds_earlier_redirect && call.previous_versions().any(|version| version.handle.is_some()) {
            return self.permit(call, Action::PermitEarlierRedirect);
        }
        let own = call.previous_versions().filter(|version| version.modifier == call.filter()).count();
        if self.habits.redirect_limit.is_some_and(|limit| own > limit as usize) {
            write(call, ClassifyOut::soft(Verdict::Block));
            return call.explain(Action::TooMany);
        }
        let seen = call.seen();
        let change = seen.remote.and_then(|original| self.change_by(redirect, seen, original));
        match change {
            Some(change) => self.change(call, change),
            None => self.permit(call, Action::NoTarget),
        }
    }

    /// What a redirect makes of the request; `None` without a target in the family of `original`.
    pub(crate) fn change_by(
        &self,
        redirect: &Redirect,
        seen: &Incoming<'_>,
        original: SocketAddr,
    ) -> Option<impl FnOnce(&mut LayerData) + use<>> {
        let target = redirect.target.for_destination(&original)?;
        let handle = self.handles.of(seen.layer.family).filter(|_| redirect.with_handle);
        let context = redirect.context.bytes(&seen.local, &original);
        let target_pid = redirect.target_pid;
        Some(move |data: &mut LayerData| {
            *data = LayerData { local: data.local, remote: Some(target), target_pid, handle, context };
        })
    }

    /// Acquires the layer data, changes it and applies it, as far as its habits go.
    fn change(&self, call: &mut Classify<'_>, change: impl FnOnce(&mut LayerData)) {
        let habits = self.habits;
        let handle = call.acquire_classify_handle();
        if let Ok(mut data) = call.acquire_writable_layer_data(handle) {
            change(&mut data);
            if habits.applies {
                let reauthorize_if_modified_by_others = habits.reauthorize_if_modified_by_others;
                let flags = ApplyFlags { reauthorize_if_modified_by_others };
                let _ = call.apply_modified_layer_data(handle, data, flags);
            } else {
                call.explain(Action::NotApplied);
                if let Some(context) = data.context.filter(|_| !habits.frees_context) {
                    call.lose_context(context);
                }
            }
            let out = call.classify_out();
            match habits.after_acquire {
                AfterAcquire::Permit => write(call, ClassifyOut::soft(Verdict::Permit)),
                AfterAcquire::HardPermit => write(call, ClassifyOut::hard(Verdict::Permit)),
                AfterAcquire::ToggleRight => {
                    write(call, ClassifyOut { action: Some(Verdict::Permit), write: !out.write });
                }
                AfterAcquire::PermitIfRight if out.write => call.set_action(Some(Verdict::Permit)),
                AfterAcquire::PermitIfRight | AfterAcquire::Nothing => {}
            }
        } else {
            self.permit(call, Action::Permit);
        }
        if habits.releases_classify_handle {
            let _ = call.release_classify_handle(handle);
        }
    }
}

fn write(call: &mut Classify<'_>, out: ClassifyOut) {
    call.set_action(out.action);
    call.set_write_right(out.write);
}
