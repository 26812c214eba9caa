//! What becomes of the decisions of several sublayers.
//!
//! Source: win32 "Filter Arbitration"; docs/behaviour.md, "Arbitration".

use std::fmt;

/// `FWP_ACTION_PERMIT` or `FWP_ACTION_BLOCK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// `FWP_ACTION_PERMIT`.
    Permit,
    /// `FWP_ACTION_BLOCK`.
    Block,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Block => "block",
        })
    }
}

/// `FWPS_CLASSIFY_OUT0`, as far as callouts write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassifyOut {
    /// `actionType`; `None` stands for `FWP_ACTION_CONTINUE` and `FWP_ACTION_NONE`.
    pub action: Option<Verdict>,
    /// `FWPS_RIGHT_ACTION_WRITE` in `rights`. A callout that clears it makes its action hard.
    pub write: bool,
}

impl ClassifyOut {
    /// An action that lower sublayers may override.
    #[must_use]
    pub fn soft(action: Verdict) -> Self {
        Self { action: Some(action), write: true }
    }

    /// An action that they may not.
    #[must_use]
    pub fn hard(action: Verdict) -> Self {
        Self { action: Some(action), write: false }
    }
}

/// The decision of a layer, as far as its sublayers were evaluated, and the right to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arbitration {
    carried: ClassifyOut,
}

impl Default for Arbitration {
    fn default() -> Self {
        Self { carried: ClassifyOut { action: None, write: true } }
    }
}

/// Whose decision it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Filter,
    Callout,
}

impl Arbitration {
    /// What the next sublayer finds: the action so far, and whether it may write one.
    pub(crate) fn carried(self) -> ClassifyOut {
        self.carried
    }

    pub(crate) fn verdict(self) -> Option<Verdict> {
        self.carried.action
    }

    pub(crate) fn is_hard_block(self) -> bool {
        self.carried == ClassifyOut::hard(Verdict::Block)
    }

    /// The decision of the next sublayer.
    ///
    /// A block overrides a soft permit, a permit a soft block. Over a hard permit only a callout's block counts, its
    /// *veto*; over a hard block nothing does.
    pub(crate) fn decide(&mut self, by: By, decision: ClassifyOut) {
        let Some(action) = decision.action else { return };
        self.carried = match (self.carried, action) {
            (ClassifyOut { write: true, .. }, _) => decision,
            (ClassifyOut { action: Some(Verdict::Permit), .. }, Verdict::Block) if by == By::Callout => {
                ClassifyOut::hard(Verdict::Block)
            }
            (carried, _) => carried,
        };
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SOFT_PERMIT: ClassifyOut = ClassifyOut { action: Some(Verdict::Permit), write: true };
    const HARD_PERMIT: ClassifyOut = ClassifyOut { action: Some(Verdict::Permit), write: false };
    const SOFT_BLOCK: ClassifyOut = ClassifyOut { action: Some(Verdict::Block), write: true };
    const HARD_BLOCK: ClassifyOut = ClassifyOut { action: Some(Verdict::Block), write: false };
    const CONTINUE: ClassifyOut = ClassifyOut { action: None, write: true };

    /// Every decision of a sublayer over every one before it.
    #[rstest]
    #[case::nothing_decided(CONTINUE, CONTINUE, By::Callout, CONTINUE)]
    #[case::first_permit(CONTINUE, SOFT_PERMIT, By::Filter, SOFT_PERMIT)]
    #[case::first_block(CONTINUE, HARD_BLOCK, By::Filter, HARD_BLOCK)]
    #[case::continue_after(SOFT_PERMIT, CONTINUE, By::Callout, SOFT_PERMIT)]
    #[case::soft_permit_soft_block(SOFT_PERMIT, SOFT_BLOCK, By::Callout, SOFT_BLOCK)]
    #[case::soft_permit_hard_block(SOFT_PERMIT, HARD_BLOCK, By::Filter, HARD_BLOCK)]
    #[case::soft_permit_hard_permit(SOFT_PERMIT, HARD_PERMIT, By::Callout, HARD_PERMIT)]
    #[case::hard_permit_filter_block(HARD_PERMIT, HARD_BLOCK, By::Filter, HARD_PERMIT)]
    #[case::hard_permit_veto(HARD_PERMIT, SOFT_BLOCK, By::Callout, HARD_BLOCK)]
    #[case::hard_permit_soft_permit(HARD_PERMIT, SOFT_PERMIT, By::Callout, HARD_PERMIT)]
    #[case::soft_block_permit(SOFT_BLOCK, SOFT_PERMIT, By::Callout, SOFT_PERMIT)]
    #[case::soft_block_hard_permit(SOFT_BLOCK, HARD_PERMIT, By::Filter, HARD_PERMIT)]
    #[case::soft_block_hard_block(SOFT_BLOCK, HARD_BLOCK, By::Filter, HARD_BLOCK)]
    #[case::soft_block_continue(SOFT_BLOCK, CONTINUE, By::Callout, SOFT_BLOCK)]
    #[case::hard_block_permit(HARD_BLOCK, HARD_PERMIT, By::Callout, HARD_BLOCK)]
    #[case::hard_block_block(HARD_BLOCK, SOFT_BLOCK, By::Callout, HARD_BLOCK)]
    fn lower_sublayer_overrides_what_it_may(
        #[case] carried: ClassifyOut,
        #[case] decision: ClassifyOut,
        #[case] by: By,
        #[case] expected: ClassifyOut,
    ) {
        let mut arbitration = Arbitration { carried };
        arbitration.decide(by, decision);
        assert_eq!(arbitration.carried(), expected);
    }

    #[test]
    fn nothing_is_decided_at_first_and_everybody_may() {
        let arbitration = Arbitration::default();
        assert_eq!((arbitration.verdict(), arbitration.carried().write), (None, true));
        assert!(!arbitration.is_hard_block());
        assert!(Arbitration { carried: HARD_BLOCK }.is_hard_block());
        assert!(!Arbitration { carried: SOFT_BLOCK }.is_hard_block());
    }
}
