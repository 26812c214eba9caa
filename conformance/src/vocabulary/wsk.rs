//! What drivers ask: the control codes through WSK, and the records of a classify.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Input, Name, Output, PointerKind};

/// `WskControlSocket` with a control code, by a driver. The error of the observation is a status; a call that returns
/// STATUS_PENDING is pending under the op's name, and completes with its IRP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WskControl {
    /// The socket.
    pub socket: Name,
    /// `ControlCode`.
    pub code: WskCode,
    /// The records that SET is given, by the name of the query that they came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Name>,
    /// The input buffer; by default what SET needs, and none for a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// The output buffer; by default what a query needs, and none for SET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Output>,
    /// What is added to the sizes of buffers that the call is told: they have 64 bits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_beyond: u64,
    /// `OutputSizeReturned`.
    #[serde(default)]
    pub size_returned: SizeReturned,
    /// `Irp`.
    #[serde(default)]
    pub irp: IrpKind,
    /// The level at which the driver calls.
    #[serde(default)]
    pub irql: IrqlName,
    /// `RequestType`.
    #[serde(default)]
    pub request: WskRequest,
    /// `Level`.
    #[serde(default, skip_serializing_if = "is_zero_level")]
    pub level: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero_level(number: &u32) -> bool {
    *number == 0
}

/// A control code of WSK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WskCode {
    /// `SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS`.
    QueryRecords,
    /// `SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT`.
    QueryContext,
    /// `SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS`.
    SetRecords,
    /// Any code, by its number.
    Number(u32),
}

/// What `OutputSizeReturned` is. Microsoft's pages disagree on whether it goes together with an IRP (C-09).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SizeReturned {
    /// What the machine takes: for a query a valid pointer, and where STATUS_INVALID_PARAMETER refuses that, the call
    /// once more with NULL, so that the size is the IRP's alone; for SET NULL.
    #[default]
    Either,
    /// A valid pointer, to 8 bytes.
    Valid,
    /// A pointer to a ULONG: 4 bytes, and none behind them (C-50).
    Ulong,
    /// NULL.
    NullPointer,
    /// An address without memory.
    Unmapped,
}

/// The IRP that a call is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IrpKind {
    /// One with a completion routine.
    #[default]
    WithRoutine,
    /// One without.
    WithoutRoutine,
    /// NULL.
    None,
}

/// An interrupt request level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IrqlName {
    /// `PASSIVE_LEVEL`.
    #[default]
    Passive,
    /// `APC_LEVEL`.
    Apc,
    /// `DISPATCH_LEVEL`.
    Dispatch,
    /// Above `DISPATCH_LEVEL`.
    High,
}

/// `RequestType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WskRequest {
    /// `WskSetOption`.
    SetOption,
    /// `WskGetOption`.
    GetOption,
    /// `WskIoctl`.
    #[default]
    Ioctl,
}

/// `FwpsQueryConnectionSioFormatRedirectRecords0`, by a driver, with the records that a callout is given for a connect of
/// a socket. The result is the records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SioFormat {
    /// The socket, of any process.
    pub socket: Name,
    /// The output buffer.
    #[serde(default)]
    pub out: Output,
    /// Whether the buffer is pointer-aligned.
    #[serde(default = "yes")]
    pub aligned: bool,
    /// `BytesTransferred`.
    #[serde(default)]
    pub bytes_transferred: PointerKind,
    /// The level at which the driver calls.
    #[serde(default)]
    pub irql: IrqlName,
}

fn yes() -> bool {
    true
}

impl fmt::Display for WskCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueryRecords => f.write_str("query-records"),
            Self::QueryContext => f.write_str("query-context"),
            Self::SetRecords => f.write_str("set-records"),
            Self::Number(number) => write!(f, "{number:#010x}"),
        }
    }
}
