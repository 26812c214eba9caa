//! How a callout keeps the rules of the functions that it calls, and the filters that no callout decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LayerName, Match, Name};

/// How a callout keeps the rules of the functions that it calls. Whatever is left out is what a careful one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a driver keeps or breaks by itself")]
pub struct HabitsSpec {
    /// What it makes of `FWPS_RIGHT_ACTION_WRITE`.
    pub write_right: WriteRightSpec,
    /// What it does when it is asked again (`IS_REAUTHORIZE` at a redirect layer).
    pub reauthorize: ReauthorizeSpec,
    /// What it leaves in `classifyOut` after it has changed the layer data.
    pub after_acquire: AfterAcquireSpec,
    /// Whether it applies the layer data that it acquired.
    pub applies: bool,
    /// Whether it applies with `FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS`.
    pub reauthorize_if_modified_by_others: bool,
    /// How often its filter may stand in `previousVersion`; more often, and it blocks.
    pub redirect_limit: Option<u32>,
    /// Whether it releases its classify handle.
    pub releases_classify_handle: bool,
    /// Whether it frees a context that it did not apply.
    pub frees_context: bool,
    /// Whether it clears the right to write when it permits for a filter with the flag for that.
    pub heeds_clear_action_right: bool,
    /// Whether a new decision at connect-redirect replaces what it remembers of an earlier one.
    pub replaces_remembered: bool,
    /// Whether it forgets what it remembers at auth-connect even when it has no right to write there.
    pub forgets_without_right: bool,
}

impl Default for HabitsSpec {
    fn default() -> Self {
        Self {
            write_right: WriteRightSpec::Heeded,
            reauthorize: ReauthorizeSpec::PermitOwn,
            after_acquire: AfterAcquireSpec::Permit,
            applies: true,
            reauthorize_if_modified_by_others: false,
            redirect_limit: None,
            releases_classify_handle: true,
            frees_context: true,
            heeds_clear_action_right: true,
            replaces_remembered: true,
            forgets_without_right: true,
        }
    }
}

/// What a callout makes of `FWPS_RIGHT_ACTION_WRITE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WriteRightSpec {
    /// Without it, it does nothing but block.
    #[default]
    Heeded,
    /// It does not look.
    Ignored,
    /// It takes the right for its absence.
    Inverted,
}

/// What a callout does when it is asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReauthorizeSpec {
    /// It permits where it changed the request itself, or pended it.
    #[default]
    PermitOwn,
    /// It permits, new to it or not.
    PermitAll,
    /// It does not look, and decides anew.
    Ignored,
}

/// What a callout leaves in `classifyOut` after `FwpsAcquireWritableLayerDataPointer0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterAcquireSpec {
    /// PERMIT, with the right to write.
    #[default]
    Permit,
    /// PERMIT, without it.
    HardPermit,
    /// PERMIT, and the right to write the other way round.
    ToggleRight,
    /// PERMIT if the right to write is there.
    PermitIfRight,
    /// What Acquire left.
    Nothing,
}

/// What a callout does with a request that it pends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PendSpec {
    /// Whether it redirects before it completes the request.
    pub redirects: bool,
    /// How it completes it.
    pub completion: CompletionSpec,
    /// Whether its worker does so at once; else an op `complete-classify` does.
    pub at_once: bool,
}

impl Default for PendSpec {
    fn default() -> Self {
        Self { redirects: true, completion: CompletionSpec::Reauthorize, at_once: true }
    }
}

/// What `FwpsCompleteClassify0` is called with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompletionSpec {
    /// NULL: the request is classified again.
    #[default]
    Reauthorize,
    /// `classifyOut` with PERMIT.
    Permit,
    /// The same without the right to write.
    HardPermit,
    /// `classifyOut` with BLOCK.
    Block,
    /// The same without the right to write.
    HardBlock,
}

/// `FWP_ACTION_CALLOUT_…`: how a callout's filters call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CalloutAction {
    /// `FWP_ACTION_CALLOUT_UNKNOWN`: it decides, or leaves it to the next filter.
    #[default]
    Unknown,
    /// `FWP_ACTION_CALLOUT_TERMINATING`: it decides.
    Terminating,
    /// `FWP_ACTION_CALLOUT_INSPECTION`: it looks on, and its action does not count.
    Inspection,
}

/// A filter that permits or blocks by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FilterSpec {
    /// The layers that it is at, for both IP versions.
    pub layers: Vec<LayerName>,
    /// The weight of its sublayer: heavier ones are asked first.
    #[serde(default = "middle")]
    pub sublayer: u16,
    /// A callout whose sublayer it shares; by default it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sublayer_of: Option<Name>,
    /// Its weight in that sublayer.
    #[serde(default)]
    pub weight: u64,
    /// When it matches; by default always.
    #[serde(default, skip_serializing_if = "Match::is_empty")]
    pub r#match: Match,
    /// What it does.
    pub action: FilterVerdict,
    /// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT`.
    #[serde(default)]
    pub clear_action_right: bool,
}

fn middle() -> u16 {
    0x8000
}

/// What a filter does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FilterVerdict {
    /// `FWP_ACTION_PERMIT`.
    Permit,
    /// `FWP_ACTION_BLOCK`.
    Block,
}
