//! The buffers of the control codes: what a call is told, and what is really there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Length, Name, Overlapped, Spi};

/// A query of records or context.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Query {
    /// The socket.
    pub socket: Name,
    /// The output buffer.
    #[serde(default)]
    pub out: Output,
    /// `lpcbBytesReturned`.
    #[serde(default)]
    pub bytes_returned: PointerKind,
    /// An input buffer, which a query has no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Makes the call overlapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlapped: Option<Overlapped>,
    /// Calls `WSPIoctl` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spi: Option<Spi>,
}

impl Query {
    /// A query with a buffer of just the size that is needed.
    #[must_use]
    pub fn of(socket: Name) -> Self {
        Self {
            socket,
            out: Output::default(),
            bytes_returned: PointerKind::Valid,
            input: None,
            overlapped: None,
            spi: None,
        }
    }
}

/// A SET.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetRecords {
    /// The socket.
    pub socket: Name,
    /// The records, by the name of the query that they came from; none for an input that was never a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Name>,
    /// What is done to the input buffer.
    #[serde(default)]
    pub input: Input,
    /// `lpcbBytesReturned`.
    #[serde(default)]
    pub bytes_returned: PointerKind,
    /// An output buffer, which SET has no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Output>,
    /// Makes the call overlapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlapped: Option<Overlapped>,
    /// Calls `WSPIoctl` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spi: Option<Spi>,
}

impl SetRecords {
    /// Sets records that a query fetched.
    #[must_use]
    pub fn of(socket: Name, records: Name) -> Self {
        Self {
            socket,
            records: Some(records),
            input: Input::default(),
            bytes_returned: PointerKind::Valid,
            out: None,
            overlapped: None,
            spi: None,
        }
    }
}

/// An output buffer. Behind its region lie bytes that no call may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// `cbOutBuffer`: what the call is told.
    #[serde(default = "enough")]
    pub length: Length,
    /// How many bytes there really are; by default as many as the call is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Length>,
    /// The pointer.
    #[serde(default)]
    pub pointer: PointerKind,
}

fn enough() -> Length {
    Length::Needed(0)
}

impl Default for Output {
    fn default() -> Self {
        Self { length: enough(), region: None, pointer: PointerKind::Valid }
    }
}

/// An input buffer: `needed` is the size of the records that it is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// `cbInBuffer`: what the call is told. What is behind the records is zero.
    #[serde(default = "enough")]
    pub length: Length,
    /// How many bytes there really are; by default as many as the call is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Length>,
    /// The pointer.
    #[serde(default)]
    pub pointer: PointerKind,
    /// A byte of the records whose lowest bit is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<u32>,
}

impl Default for Input {
    fn default() -> Self {
        Self { length: enough(), region: None, pointer: PointerKind::Valid, corrupt: None }
    }
}

/// Where a pointer points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointerKind {
    /// To memory of the caller.
    #[default]
    Valid,
    /// It is NULL. Not `null`, which is no word in YAML.
    NullPointer,
    /// To an address without memory.
    Unmapped,
    /// To memory that ends halfway.
    Partly,
}
