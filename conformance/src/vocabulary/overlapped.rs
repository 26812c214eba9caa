//! Calls that go on without their thread: how they are asked, and how a program learns of their end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Name, PointerKind};

/// What makes a control code overlapped. The op's name stands for the operation afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Overlapped {
    /// `lpOverlapped`; a valid one is a new `WSAOVERLAPPED`.
    #[serde(default)]
    pub pointer: PointerKind,
    /// Whether the structure has an event.
    #[serde(default = "yes")]
    pub event: bool,
    /// The structure of this earlier operation is used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Name>,
    /// `lpCompletionRoutine`; without it NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routine: Option<PointerKind>,
}

/// What `WSPIoctl` is given beside the arguments of `WSAIoctl`. The error of the observation is what is found
/// through `lpErrno`, and `error 0` where that is no valid memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spi {
    /// The thread of the process that `lpThreadId` names; by default the one that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
    /// `lpThreadId`.
    #[serde(default)]
    pub thread_id: PointerKind,
    /// `lpErrno`.
    #[serde(default)]
    pub errno: PointerKind,
}

/// A call that is made inside a callback.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Inside {
    /// How later steps refer to what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The call.
    pub op: Call,
}

/// What a condition function returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// `CF_ACCEPT`.
    #[default]
    Accept,
    /// `CF_REJECT`.
    Reject,
    /// `CF_DEFER`.
    Defer,
}

fn yes() -> bool {
    true
}
