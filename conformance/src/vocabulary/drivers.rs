//! Drivers as owners: the calls that set a callout up, made one by one, and what a driver has and leaves behind.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Name;

/// A call with which the driver of a callout sets the filter engine up, or takes down what it set up. The error of the
/// observation is a status, where one is documented.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KernelCall {
    /// The callout that the driver has.
    pub callout: Name,
    /// What it calls.
    pub function: KernelFunction,
    /// Of `FwpmFilterAdd0`: the filter's sublayer.
    #[serde(default)]
    pub sublayer: SublayerGiven,
    /// Of `FwpsRedirectHandleCreate0`: `flags`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flags: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A function of the filter engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum KernelFunction {
    /// Registers the callout, with the key that it always has.
    FwpsCalloutRegister1,
    /// Unregisters the callout; its filters stay.
    FwpsCalloutUnregisterById0,
    /// Deletes the callout, registered or not.
    FwpmCalloutDeleteById0,
    /// Adds one more filter for the callout, at ALE_CONNECT_REDIRECT_V4 and for every connect.
    FwpmFilterAdd0,
    /// Deletes the filter of the callout that was added first; where none is left, one that was deleted.
    FwpmFilterDeleteById0,
    /// Creates one more redirect handle.
    FwpsRedirectHandleCreate0,
    /// Destroys the redirect handle that was created first; where none is left, one that was destroyed.
    FwpsRedirectHandleDestroy0,
}

impl KernelFunction {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::FwpsCalloutRegister1,
        Self::FwpsCalloutUnregisterById0,
        Self::FwpmCalloutDeleteById0,
        Self::FwpmFilterAdd0,
        Self::FwpmFilterDeleteById0,
        Self::FwpsRedirectHandleCreate0,
        Self::FwpsRedirectHandleDestroy0,
    ];
}

/// A sublayer that a filter is added to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SublayerGiven {
    /// The callout's.
    #[default]
    Own,
    /// One that is not there.
    Missing,
}

/// What a driver's unload routine does beside deleting its filters and unregistering its callouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OnUnload {
    /// Whether it destroys its redirect handles.
    #[serde(default = "yes")]
    pub destroys_handles: bool,
}

fn yes() -> bool {
    true
}

impl Default for OnUnload {
    fn default() -> Self {
        Self { destroys_handles: true }
    }
}

/// What a driver has, or has left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// Redirect contexts that it allocated and nobody freed.
    #[serde(default)]
    pub contexts: u64,
    /// Redirect handles that it created and did not destroy.
    #[serde(default)]
    pub redirect_handles: u64,
    /// Classify handles that it acquired and did not release.
    #[serde(default)]
    pub classify_handles: u64,
    /// Requests that it pended and did not complete.
    #[serde(default)]
    pub pended_classifies: u64,
    /// Bytes that its callouts keep from one call to the next.
    #[serde(default)]
    pub state_bytes: u64,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.contexts, "context", "contexts"),
            (self.redirect_handles, "redirect handle", "redirect handles"),
            (self.classify_handles, "classify handle", "classify handles"),
            (self.pended_classifies, "pended classify", "pended classifies"),
            (self.state_bytes, "byte of its own", "bytes of its own"),
        ];
        let mut any = false;
        for (count, one, many) in kinds.into_iter().filter(|(count, ..)| *count > 0) {
            let (between, what) = (if any { ", " } else { "" }, if count == 1 { one } else { many });
            write!(f, "{between}{count} {what}")?;
            any = true;
        }
        if any { Ok(()) } else { f.write_str("nothing") }
    }
}
