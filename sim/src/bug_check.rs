//! The bug checks that a driver's faults end Windows with.

use std::fmt;

/// What a driver's fault ends Windows with.
///
/// Source: driver-docs "Bug Check Code Reference". That the model finds each of these faults every time, where Windows
/// may get away with one, is what Driver Verifier does too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BugCheck {
    /// A function was called at a level that it does not allow.
    IrqlNotLessOrEqual,
    /// An IRP was given to a second call, or given back, before it completed.
    MultipleIrpCompleteRequests,
    /// Memory was touched that is not there: a bad pointer, or a buffer that was freed before its IRP completed.
    PageFaultInNonpagedArea,
    /// A driver was unloaded while pool memory that it allocated was not freed: first parameter 0x62, of Driver Verifier
    /// with pool tracking.
    DriverVerifierDetectedViolation,
    /// A crash whose code nobody reported.
    NotReported,
}

impl BugCheck {
    /// Every one, with its number and its name.
    pub const ALL: [(Self, u32, &'static str); 5] = [
        (Self::IrqlNotLessOrEqual, 0xA, "IRQL_NOT_LESS_OR_EQUAL"),
        (Self::MultipleIrpCompleteRequests, 0x44, "MULTIPLE_IRP_COMPLETE_REQUESTS"),
        (Self::PageFaultInNonpagedArea, 0x50, "PAGE_FAULT_IN_NONPAGED_AREA"),
        (Self::DriverVerifierDetectedViolation, 0xC4, "DRIVER_VERIFIER_DETECTED_VIOLATION"),
        (Self::NotReported, 0, "CODE_NOT_REPORTED"),
    ];

    /// The one with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, _, known)| *known == name).map(|(bug_check, _, _)| bug_check)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IrqlNotLessOrEqual => "IRQL_NOT_LESS_OR_EQUAL",
            Self::MultipleIrpCompleteRequests => "MULTIPLE_IRP_COMPLETE_REQUESTS",
            Self::PageFaultInNonpagedArea => "PAGE_FAULT_IN_NONPAGED_AREA",
            Self::DriverVerifierDetectedViolation => "DRIVER_VERIFIER_DETECTED_VIOLATION",
            Self::NotReported => "CODE_NOT_REPORTED",
        }
    }
}

impl fmt::Display for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for BugCheck {}
