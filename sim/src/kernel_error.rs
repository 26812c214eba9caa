//! What a kernel function answers where it does not do what it was asked.

use std::fmt;

use crate::bug_check::BugCheck;
use crate::ntstatus::NtStatus;

/// Why a kernel function did not do what a driver asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelError {
    /// The status that is documented for this.
    Status(NtStatus),
    /// Windows does not survive it. The model does.
    BugCheck(BugCheck),
    /// No document says what follows, so that no driver can rely on it; this is what the driver did. Nothing has
    /// changed.
    NotDocumented(&'static str),
}

impl From<NtStatus> for KernelError {
    fn from(status: NtStatus) -> Self {
        Self::Status(status)
    }
}

impl From<BugCheck> for KernelError {
    fn from(bug_check: BugCheck) -> Self {
        Self::BugCheck(bug_check)
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::BugCheck(bug_check) => write!(f, "bug check {bug_check}"),
            Self::NotDocumented(what) => write!(f, "not documented: {what}"),
        }
    }
}

impl std::error::Error for KernelError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_what_it_is() {
        let told = [
            NtStatus::STATUS_FWP_ALREADY_EXISTS.into(),
            BugCheck::PageFaultInNonpagedArea.into(),
            KernelError::NotDocumented("this"),
        ]
        .map(|error: KernelError| error.to_string());
        assert_eq!(
            told,
            ["STATUS_FWP_ALREADY_EXISTS", "bug check PAGE_FAULT_IN_NONPAGED_AREA", "not documented: this"]
        );
    }
}
