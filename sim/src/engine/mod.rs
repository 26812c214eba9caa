//! The filter engine, as far as redirection goes: layers, sublayers, filters with weights and conditions, callouts, and
//! the arbitration between them.
//!
//! Source: win32 "Filter Arbitration", "Application Layer Enforcement"; docs/behaviour.md, "Layers" and "Arbitration".

mod action;
mod arbitration;
mod call;
mod callout;
mod classify;
mod context;
mod driver;
mod filter;
mod flags;
mod incoming;
mod layer;
mod policy;
mod redirect_handle;
mod remembered;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{CalloutId, DriverId, FilterId, RedirectHandle, SublayerId};

pub use action::Action;
pub use arbitration::{ClassifyOut, Verdict};
pub use call::{ApplyFlags, Classify, LayerData};
pub use callout::{ClassifyFn, Program};
pub use driver::{Account, Unload};
pub use filter::{Condition, Filter, FilterAction, Test};
pub use flags::Flags;
pub use incoming::Incoming;
pub use layer::{Layer, LayerKind};
pub use policy::{
    AfterAcquire, Completion, Context, Decision, Habits, Handles, Layers, Pend, Policy, Processes,
    Reauthorize, Rebind, Redirect, Rule, States, Target, WriteRight,
};
pub use setup::Vendor;

pub(crate) use call::States as CalloutStates;
pub(crate) use callout::Callout;
pub(crate) use classify::{Asked, Contexts, Ended, Machinery, PendedBy, Run, Version, classify};
pub(crate) use context::{RedirectContext, Unused};
pub(crate) use driver::Driver;
pub(crate) use redirect_handle::OpenHandle;

/// The engine's configuration. It changes rarely and is asked at every connect, so what a classify needs is
/// kept sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Engine {
    pub(crate) drivers: BTreeMap<DriverId, Driver>,
    pub(crate) sublayers: BTreeMap<SublayerId, u16>,
    /// The callouts that filters can name, with their keys, registered or not.
    pub(crate) added: BTreeMap<CalloutId, Arc<str>>,
    pub(crate) callouts: BTreeMap<CalloutId, Arc<Callout>>,
    pub(crate) filters: BTreeMap<FilterId, Arc<Filter>>,
    pub(crate) handles: BTreeMap<RedirectHandle, OpenHandle>,
    /// For each layer, its filters in the order in which they are asked.
    order: [Vec<Asked>; Layer::COUNT],
    /// For each layer, how often its filters changed: what was authorized before the last change is authorized again.
    changes: [u32; Layer::COUNT],
    next: u32,
}

impl Engine {
    pub(crate) fn asked_at(&self, layer: Layer) -> &[Asked] {
        &self.order[layer.index()]
    }

    /// How often the filters at a layer changed.
    pub(crate) fn changes_at(&self, layer: Layer) -> u32 {
        self.changes[layer.index()]
    }

    /// Sorts anew after a change: sublayers by weight, in them filters by weight; ties by age.
    pub(crate) fn sort(&mut self) {
        for layer in Layer::all() {
            let at_layer = self.filters.iter().filter(|(_, filter)| filter.layer == layer);
            let mut asked: Vec<Asked> = at_layer
                .filter_map(|(id, filter)| {
                    let callout = filter.action.callout().and_then(|id| self.callouts.get(&id)).cloned();
                    let sublayer_weight = *self.sublayers.get(&filter.sublayer)?;
                    Some(Asked { id: *id, sublayer_weight, filter: Arc::clone(filter), callout })
                })
                .collect();
            asked.sort_by_key(Asked::place);
            if self.order[layer.index()] != asked {
                self.order[layer.index()] = asked;
                self.changes[layer.index()] = self.changes[layer.index()].wrapping_add(1);
            }
        }
    }
}
