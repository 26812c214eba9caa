//! How a callout keeps the rules of the functions that it calls.
//!
//! Source: docs/behaviour.md, "Kernel functions", "Arbitration" and "Regressions".

/// How a callout keeps the rules of the functions that it calls. The default is a careful one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a driver keeps or breaks by itself")]
pub struct Habits {
    /// What it makes of `FWPS_RIGHT_ACTION_WRITE`.
    pub write_right: WriteRight,
    /// What it does when it is asked again: `IS_REAUTHORIZE` at a redirect layer.
    pub reauthorize: Reauthorize,
    /// What it leaves in `classifyOut` after it has changed the layer data.
    pub after_acquire: AfterAcquire,
    /// Whether it applies the layer data that it acquired.
    pub applies: bool,
    /// Whether it applies with `FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS`.
    pub reauthorize_if_modified_by_others: bool,
    /// How often its filter may stand in `previousVersion`: where it does so more often, it blocks.
    pub redirect_limit: Option<u32>,
    /// Whether it releases its classify handle.
    pub releases_classify_handle: bool,
    /// Whether it frees a context that it did not apply.
    pub frees_context: bool,
    /// Whether it clears the right to write when its filter has the flag for that.
    pub heeds_clear_action_right: bool,
    /// Whether a new decision at CONNECT_REDIRECT replaces what it remembers of an earlier one.
    pub replaces_remembered: bool,
    /// Whether it forgets what it remembers at AUTH_CONNECT even when it has no right to write there.
    pub forgets_without_right: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            write_right: WriteRight::Heeded,
            reauthorize: Reauthorize::PermitOwn,
            after_acquire: AfterAcquire::Permit,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WriteRight {
    /// Without it, it does nothing but block.
    #[default]
    Heeded,
    /// It does not look.
    Ignored,
    /// It takes the right for its absence (docs/behaviour.md, R16).
    Inverted,
}

/// What a callout does when it is asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reauthorize {
    /// It permits where it changed the request itself, or pended it; else it decides as for a new one.
    #[default]
    PermitOwn,
    /// It permits, new to it or not.
    PermitAll,
    /// It does not look, and decides anew.
    Ignored,
}

/// What a callout leaves in `classifyOut` after `FwpsAcquireWritableLayerDataPointer0`, which may have changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AfterAcquire {
    /// PERMIT, with the right to write.
    #[default]
    Permit,
    /// PERMIT, without it.
    HardPermit,
    /// PERMIT, and the right to write the other way round, as WFPSampler does.
    ToggleRight,
    /// PERMIT if the right to write is there, as Safe-Chain does.
    PermitIfRight,
    /// Nothing: what Acquire left.
    Nothing,
}
