//! The statuses that kernel functions return, with their real numbers, and how Winsock errors follow from them.
//!
//! Source: the WSK pages of the control codes and docs/behaviour.md, "Status mapping"; the numbers are those of
//! `ntstatus.h`.

mod tables;

use std::fmt;

pub use tables::{REACTOS, StatusTable, WIN_NET_TEST, WINE};

/// An NTSTATUS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $number:literal, $meaning:literal;)*) => {
        impl NtStatus {
            $(#[doc = $meaning] pub const $name: Self = Self($number);)*

            /// Every status that the model knows: name, status and meaning in our own words.
            pub const ALL: &'static [(&'static str, Self, &'static str)] =
                &[$((stringify!($name), Self::$name, $meaning),)*];
        }
    };
}

statuses! {
    STATUS_SUCCESS = 0, "It was done.";
    STATUS_PENDING = 0x0000_0103, "It was started; the IRP completes later.";
    STATUS_BUFFER_OVERFLOW = 0x8000_0005, "A warning: the output was cut to the buffer.";
    STATUS_DEVICE_BUSY = 0x8000_0011, "A warning: the device cannot take the request now; the model's own answer where a call would wait without an IRP.";
    STATUS_NOT_IMPLEMENTED = 0xC000_0002, "Nobody wrote this function.";
    STATUS_INVALID_HANDLE = 0xC000_0008, "The handle stands for nothing.";
    STATUS_INVALID_PARAMETER = 0xC000_000D, "An argument does not suit the call.";
    STATUS_INVALID_DEVICE_REQUEST = 0xC000_0010, "The device does not know this request.";
    STATUS_ACCESS_DENIED = 0xC000_0022, "The caller lacks the rights for this.";
    STATUS_BUFFER_TOO_SMALL = 0xC000_0023, "The output buffer cannot hold what the call would store, and nothing was stored.";
    STATUS_OBJECT_TYPE_MISMATCH = 0xC000_0024, "The handle is one of another kind.";
    STATUS_INTEGER_OVERFLOW = 0xC000_0095, "A length leaves the range that its type can count.";
    STATUS_FILE_FORCED_CLOSED = 0xC000_00B6, "The socket does not work any more and has to be closed.";
    STATUS_NOT_SUPPORTED = 0xC000_00BB, "The request is known and not supported.";
    STATUS_TOO_MANY_COMMANDS = 0xC000_00C1, "A limit of requests was reached; WFPSampler returns it after three redirects of one classify.";
    STATUS_CANCELLED = 0xC000_0120, "The IRP was cancelled.";
    STATUS_INVALID_CONNECTION = 0xC000_0140, "The endpoint is not connected.";
    STATUS_INVALID_DEVICE_STATE = 0xC000_0184, "The device cannot do this in its present state.";
    STATUS_INVALID_BUFFER_SIZE = 0xC000_0206, "The buffer has a length that the request does not allow.";
    STATUS_NOT_FOUND = 0xC000_0225, "There is no such object: for a query, no redirect.";
    STATUS_CONNECTION_INVALID = 0xC000_023A, "The connection is not there any more.";
    STATUS_FWP_CALLOUT_NOT_FOUND = 0xC022_0001, "The filter platform has no such callout.";
    STATUS_FWP_FILTER_NOT_FOUND = 0xC022_0003, "The filter platform has no such filter.";
    STATUS_FWP_SUBLAYER_NOT_FOUND = 0xC022_0007, "The filter platform has no such sublayer.";
    STATUS_FWP_NOT_FOUND = 0xC022_0008, "The filter platform has no such object.";
    STATUS_FWP_ALREADY_EXISTS = 0xC022_0009, "The filter platform has an object with this key already.";
    STATUS_FWP_IN_USE = 0xC022_000A, "Other objects of the filter platform refer to this one.";
    STATUS_FWP_CANNOT_PEND = 0xC022_0103, "A classify at this layer cannot be pended.";
}

impl NtStatus {
    /// The name in `ntstatus.h`, where the model knows the status.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(_, status, _)| *status == self).map(|(name, _, _)| *name)
    }

    /// The status with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _, _)| *known == name).map(|(_, status, _)| *status)
    }

    /// `NT_SUCCESS`: a success or information. STATUS_PENDING is one.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.0 >> 31 == 0
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#010X}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:#010X})", self.0)
    }
}

impl std::error::Error for NtStatus {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_find_each_other() {
        for (name, status, _) in NtStatus::ALL {
            assert_eq!(status.name(), Some(*name));
            assert_eq!(NtStatus::by_name(name), Some(*status));
        }
        assert_eq!(NtStatus(1).name(), None);
        assert_eq!(NtStatus(1).to_string(), "status 0x00000001");
        assert_eq!(format!("{:?}", NtStatus::STATUS_NOT_FOUND), "STATUS_NOT_FOUND (0xC0000225)");
    }

    #[test]
    fn severity_tells_success_and_failure_apart() {
        let successes: Vec<NtStatus> =
            NtStatus::ALL.iter().map(|(_, status, _)| *status).filter(|status| status.is_success()).collect();
        assert_eq!(successes, [NtStatus::STATUS_SUCCESS, NtStatus::STATUS_PENDING]);
    }
}
