//! The classify at a connect-redirect layer: who is asked, in which order, and what the connect request looks
//! like afterwards.
//!
//! Source: win32 "Filter Arbitration"; ddi "FWPS_CONNECT_REQUEST0"; docs/behaviour.md, "Connect request" and
//! "Arbitration".

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Asked, Decision, Engine, Layer, Redirect};
use crate::ids::{DriverId, FilterId, Pid, RedirectHandle};
use crate::records::{Records, RedirectState, redirect_state};
use crate::trace::{Inspection, PreviousVersion};

/// What a callout did with a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It permitted.
    Permit,
    /// It permitted because a callout before it redirected in the same classify.
    PermitEarlierRedirect,
    /// It left the decision to the next filter.
    Continue,
    /// It blocked.
    Block,
    /// It redirected to this address.
    Redirect(SocketAddr),
    /// It would redirect, and has no target in this family.
    NoTarget,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit => f.write_str("permits"),
            Self::PermitEarlierRedirect => f.write_str("permits, as another redirected already"),
            Self::Continue => f.write_str("leaves it to the next filter"),
            Self::Block => f.write_str("blocks"),
            Self::Redirect(target) => write!(f, "redirects to {target}"),
            Self::NoTarget => f.write_str("permits, having no target of this family"),
        }
    }
}

/// Who connects, as conditions see it.
pub(crate) struct Endpoint<'a> {
    pub(crate) pid: Pid,
    pub(crate) image: &'a str,
    pub(crate) local: SocketAddr,
    /// `IP_PROTOCOL`.
    pub(crate) protocol: u8,
    pub(crate) records: Option<&'a Records>,
}

/// One modification of the request: a version of `FWPS_CONNECT_REQUEST0`.
pub(crate) struct Version {
    pub(crate) modifier: FilterId,
    /// Whose filter that is.
    pub(crate) owner: DriverId,
    pub(crate) remote: SocketAddr,
    pub(crate) target_pid: u32,
    /// `localRedirectHandle`.
    pub(crate) handle: Option<RedirectHandle>,
    /// `localRedirectContext`: allocated by the driver, and the engine's from here on.
    pub(crate) context: Option<Arc<[u8]>>,
}

impl Version {
    fn shown(&self) -> PreviousVersion {
        PreviousVersion { modifier: self.modifier, remote: self.remote, handle: self.handle }
    }
}

/// The connect request after the classify.
pub(crate) struct ConnectRequest {
    pub(crate) original: SocketAddr,
    /// Oldest first; `previousVersion` is this list read backwards.
    pub(crate) versions: Vec<Version>,
    /// Whether a callout blocked and none after it redirected.
    pub(crate) blocked: bool,
}

/// Asks every sublayer, heaviest first; in a sublayer every filter that matches, heaviest first, until one
/// permits or blocks. Conditions, and the context that a callout writes, see the destination that the caller
/// gave: a redirect made earlier in the same classify shows in `previousVersion` alone.
///
/// `context_bytes` tells how long the context of a record's entry is, where it still exists.
pub(crate) fn classify(
    engine: &Engine,
    layer: Layer,
    endpoint: &Endpoint<'_>,
    original: SocketAddr,
    context_bytes: impl Fn(RedirectHandle) -> Option<usize>,
    mut inspections: Option<&mut Vec<Inspection>>,
) -> ConnectRequest {
    let mut request = ConnectRequest { original, versions: Vec::new(), blocked: false };
    let mut decided = None;
    for asked in engine.asked_at(layer) {
        let sublayer = asked.filter.sublayer;
        if decided == Some(sublayer) || !asked.filter.conditions.iter().all(|c| c.holds(endpoint, &original))
        {
            continue;
        }
        let handle = asked.callout.policy.handles.of(layer.family);
        let state =
            handle.map_or(RedirectState::NotRedirected, |handle| redirect_state(endpoint.records, handle));
        let seen = inspections.as_ref().map(|_| Inspection {
            callout: asked.filter.callout,
            name: Arc::clone(&asked.callout.name),
            filter: asked.id,
            handle,
            state,
            context_bytes: own_context(state, handle, &context_bytes),
            previous_versions: request.versions.iter().rev().map(Version::shown).collect(),
            action: Action::Permit,
        });
        let action = ask(asked, endpoint, handle, state, &mut request);
        if let (Some(seen), Some(inspections)) = (seen, inspections.as_mut()) {
            inspections.push(Inspection { action, ..seen });
        }
        if action != Action::Continue {
            decided = Some(sublayer);
        }
    }
    request
}

/// A callout is given its context back in the two states in which it redirected itself.
fn own_context(
    state: RedirectState,
    handle: Option<RedirectHandle>,
    context_bytes: impl Fn(RedirectHandle) -> Option<usize>,
) -> Option<usize> {
    match state {
        RedirectState::RedirectedBySelf | RedirectState::PreviouslyRedirectedBySelf => context_bytes(handle?),
        RedirectState::NotRedirected | RedirectState::RedirectedByOther => None,
    }
}

fn ask(
    asked: &Asked,
    endpoint: &Endpoint<'_>,
    handle: Option<RedirectHandle>,
    state: RedirectState,
    request: &mut ConnectRequest,
) -> Action {
    let policy = &asked.callout.policy;
    let decision = policy
        .rules
        .iter()
        .find(|rule| {
            rule.states.contains(state)
                && rule.processes.contains(endpoint.pid)
                && rule.conditions.iter().all(|condition| condition.holds(endpoint, &request.original))
        })
        .map_or(&Decision::Permit, |rule| &rule.decision);
    match decision {
        Decision::Permit => Action::Permit,
        Decision::Continue => Action::Continue,
        Decision::Block => {
            request.blocked = true;
            Action::Block
        }
        Decision::Redirect(_)
            if policy.heeds_earlier_redirect
                && request.versions.iter().any(|version| version.handle.is_some()) =>
        {
            Action::PermitEarlierRedirect
        }
        Decision::Redirect(redirect) => redirect_to(redirect, asked, endpoint, handle, request),
    }
}

fn redirect_to(
    redirect: &Redirect,
    asked: &Asked,
    endpoint: &Endpoint<'_>,
    handle: Option<RedirectHandle>,
    request: &mut ConnectRequest,
) -> Action {
    let Some(target) = redirect.target.for_destination(&request.original) else { return Action::NoTarget };
    request.versions.push(Version {
        modifier: asked.id,
        owner: asked.callout.owner,
        remote: target,
        target_pid: redirect.target_pid,
        handle: handle.filter(|_| redirect.with_handle),
        context: redirect.context.bytes(&endpoint.local, &request.original),
    });
    request.blocked = false;
    Action::Redirect(target)
}

#[cfg(test)]
mod tests;
