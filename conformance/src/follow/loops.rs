//! When a connection goes round for ever, and why.
//!
//! Two connects are the same when everything is that decides what follows: who dials, where to and in which
//! family, the set of handles in the records and the last of them, how the records were carried, the private state
//! of the services, and which services' buffers the record still fits. Records that grow for ever thus repeat.
//!
//! Inferred: docs/behaviour.md, "Chains".

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Carried, Cycle, Dialled, HopReport, Service, Why};
use crate::vocabulary::{Endpoint, Hop, Name, Redirected, SocketFamily, StateName};

/// What decides what follows a connect.
#[derive(PartialEq, Eq)]
pub(super) struct Key {
    process: Name,
    destination: Endpoint,
    family: SocketFamily,
    handles: Vec<Name>,
    last: Option<Name>,
    carried: Carried,
    attempt: usize,
    pooled: BTreeMap<Name, Name>,
    fits: Vec<Vec<bool>>,
}

impl Key {
    /// `None` where the backend does not show what the kernel saw.
    pub(super) fn of(
        dialled: &Dialled,
        attempt: usize,
        services: &BTreeMap<Name, Arc<Service>>,
        pooled: &BTreeMap<Name, Name>,
    ) -> Option<Self> {
        let hop = dialled.observation.hop.as_ref()?;
        let mut handles = hop.records.clone();
        handles.sort_unstable();
        handles.dedup();
        let fits = services.values().filter_map(|service| service.fits(hop.delivered_bytes)).collect();
        Some(Self {
            process: Name::clone(&dialled.process),
            destination: hop.destination.clone(),
            family: hop.family,
            handles,
            last: hop.records.last().cloned(),
            carried: dialled.carried,
            attempt,
            pooled: pooled.clone(),
            fits,
        })
    }
}

/// The last of `hops` is the same as the one at `first`: who goes round, and why.
pub(super) fn explain(hops: &[HopReport], first: usize) -> Cycle {
    // A service that dials again after a failure is one service, not two.
    let services = hops[first..hops.len() - 1]
        .iter()
        .filter(|hop| hop.error.is_none())
        .map(|hop| Name::clone(&hop.by))
        .collect();
    // Each connect of the cycle with the one whose acceptor made it, which is not the one before it where that
    // failed; the repeated connect stands for the first.
    let repeated = hops.len() - 1;
    let lost =
        std::iter::once(repeated).chain(first + 1..repeated).map(|at| &hops[..=at]).find(|way| loses(way));
    let Some(connect) = lost.and_then(<[_]>::last) else {
        let own_ignored = hops[first..].iter().filter_map(|hop| hop.hop.as_deref()).any(ignores_own_state);
        let why = match own_ignored {
            true => Why::OwnStateIgnored,
            false if hops[first..].iter().any(leaves_no_records) => Why::NoRecords,
            false if redirects(&hops[first..]) => Why::DifferentHandle,
            false => Why::NeverSet,
        };
        return Cycle { services, records_lost_at: None, why };
    };
    let why = match connect.carried {
        Carried::First | Carried::Never | Carried::Failed => Why::NeverSet,
        Carried::Set(_) | Carried::TooLate => Why::SetAfterConnect,
        Carried::Foreign => Why::ForeignRecords,
        Carried::TooSmall => Why::Truncated,
    };
    Cycle { services, records_lost_at: Some(Name::clone(&connect.by)), why }
}

/// Whether the last of these connects carries other records than the connection behind it delivered.
fn loses(way: &[HopReport]) -> bool {
    let Some((connect, before)) = way.split_last() else { return false };
    let behind = before.iter().rev().find(|hop| hop.accepted_by.is_some());
    match (behind.and_then(|hop| hop.hop.as_ref()), &connect.hop) {
        (Some(behind), Some(connect)) => {
            // Records that nobody was redirected with end at the acceptor all the same.
            let carried = if behind.delivered.is_empty() { &behind.records } else { &behind.delivered };
            !carried.is_empty() && *carried != connect.records
        }
        _ => false,
    }
}

/// Whether a service is redirected to, and no records are there to go with it.
fn leaves_no_records(hop: &HopReport) -> bool {
    let redirected = hop.hop.as_ref().and_then(|hop| hop.redirected.as_ref());
    redirected == Some(&Redirected::Locally { handle: None })
}

/// Whether a callout redirects any of these connects.
pub(crate) fn redirects(hops: &[HopReport]) -> bool {
    let seen = hops.iter().filter_map(|hop| hop.hop.as_ref()).flat_map(|hop| hop.inspections());
    seen.into_iter().any(|seen| seen.did.is_redirect())
}

/// Whether a callout redirected although it was told that it had done so before.
fn ignores_own_state(hop: &Hop) -> bool {
    hop.inspections().any(|seen| {
        let own = matches!(seen.state, StateName::RedirectedBySelf | StateName::PreviouslyRedirectedBySelf);
        own && seen.did.is_redirect()
    })
}
