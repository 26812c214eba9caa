//! What a backend is able to do.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One ability of a backend. A case that needs one that the backend lacks is skipped, and the report says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// TCP sockets.
    Tcp,
    /// UDP sockets.
    Udp,
    /// Raw sockets.
    Raw,
    /// 32-bit programs.
    Wow64,
    /// IPv6 sockets.
    Ipv6,
    /// IPv6 sockets that serve IPv4 too.
    DualStack,
    /// AcceptEx and ConnectEx.
    ExtensionFunctions,
    /// Overlapped control codes, completion routines and ports, and `WSPIoctl`.
    Overlapped,
    /// Drivers that ask through WSK.
    Wsk,
    /// Drivers that make the calls of their set-up one by one, and are unloaded.
    DriverCalls,
    /// Faults of drivers that Windows does not survive are told, and the machine goes on.
    BugChecks,
    /// What fails or waits when the scenario says so: the network, sockets that are stalled.
    FaultInjection,
    /// Descriptors of one socket in several processes.
    Duplicate,
    /// Connections can be redirected: callouts can be installed.
    Redirect,
    /// Redirect handles, records and contexts, and the codes that ask for them: Windows 8 and later.
    RedirectRecords,
    /// SO_ORIGINAL_DST, which only newer builds of Windows have.
    OriginalDestination,
    /// Filters and callouts at every layer, and drivers that break the rules of the functions that they call.
    FilterEngine,
    /// Several callouts can redirect at once.
    MultiVendor,
    /// Hosts beside the local one.
    RemoteHost,
    /// Processes with and without administrative rights.
    Elevation,
    /// Pointers that are NULL, unmapped, or valid in part.
    InvalidPointers,
    /// Time passes when the scenario says so.
    VirtualTime,
    /// What callouts see, and what is allocated, can be observed.
    KernelView,
    /// The profile can be chosen.
    Profile,
}

/// The features of a backend.
pub type Features = BTreeSet<Feature>;

impl Feature {
    /// Every feature, with its meaning.
    pub const ALL: [(Self, &'static str); 24] = [
        (Self::Tcp, "TCP sockets"),
        (Self::Udp, "UDP sockets"),
        (Self::Raw, "raw sockets"),
        (Self::Wow64, "32-bit programs"),
        (Self::Ipv6, "IPv6 sockets"),
        (Self::DualStack, "IPv6 sockets that serve IPv4 too"),
        (Self::ExtensionFunctions, "AcceptEx and ConnectEx"),
        (Self::Overlapped, "overlapped control codes, completion routines and ports, and WSPIoctl"),
        (Self::Wsk, "drivers that ask through WSK"),
        (Self::DriverCalls, "drivers that make the calls of their set-up one by one, and are unloaded"),
        (
            Self::BugChecks,
            "faults of drivers that Windows does not survive are told, and the machine goes on",
        ),
        (
            Self::FaultInjection,
            "what fails or waits when the scenario says so: the network, sockets that are stalled",
        ),
        (Self::Duplicate, "descriptors of one socket in several processes"),
        (Self::Redirect, "connections can be redirected: callouts can be installed"),
        (
            Self::RedirectRecords,
            "redirect handles, records and contexts, and the codes that ask for them: Windows 8 and later",
        ),
        (Self::OriginalDestination, "SO_ORIGINAL_DST, which only newer builds of Windows have"),
        (
            Self::FilterEngine,
            "filters and callouts at every layer, and drivers that break the rules of the functions that they call",
        ),
        (Self::MultiVendor, "several callouts can redirect at once"),
        (Self::RemoteHost, "hosts beside the local one"),
        (Self::Elevation, "processes with and without administrative rights"),
        (Self::InvalidPointers, "pointers that are NULL, unmapped, or valid in part"),
        (Self::VirtualTime, "time passes when the scenario says so"),
        (Self::KernelView, "what callouts see, and what is allocated, can be observed"),
        (Self::Profile, "the behaviour profile can be chosen"),
    ];

    /// Whether a machine has to have it to be called conformant. What only a model has, or only some builds of Windows,
    /// is beside the core.
    #[must_use]
    pub fn is_core(self) -> bool {
        !matches!(
            self,
            Self::Raw
                | Self::Wow64
                | Self::BugChecks
                | Self::FaultInjection
                | Self::OriginalDestination
                | Self::VirtualTime
                | Self::KernelView
                | Self::Profile
        )
    }

    /// The name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Raw => "raw",
            Self::Wow64 => "wow64",
            Self::Ipv6 => "ipv6",
            Self::DualStack => "dual-stack",
            Self::ExtensionFunctions => "extension-functions",
            Self::Overlapped => "overlapped",
            Self::Wsk => "wsk",
            Self::DriverCalls => "driver-calls",
            Self::BugChecks => "bug-checks",
            Self::FaultInjection => "fault-injection",
            Self::Duplicate => "duplicate",
            Self::Redirect => "redirect",
            Self::RedirectRecords => "redirect-records",
            Self::OriginalDestination => "original-destination",
            Self::FilterEngine => "filter-engine",
            Self::MultiVendor => "multi-vendor",
            Self::RemoteHost => "remote-host",
            Self::Elevation => "elevation",
            Self::InvalidPointers => "invalid-pointers",
            Self::VirtualTime => "virtual-time",
            Self::KernelView => "kernel-view",
            Self::Profile => "profile",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
