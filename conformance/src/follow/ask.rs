//! How a service asks for a blob of unknown size: every habit that was seen in the field.
//!
//! Source: docs/behaviour.md, "Sizes in practice" and "Clients in the field".

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wfp_sim::WinsockError;

use super::{Result, apply};
use crate::vocabulary::{Backend, Call, Length, Name, Output, Query, Word};

/// How a service asks for a blob of unknown size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Once, with a buffer of this many bytes.
    Fixed(u32),
    /// Once, with a buffer of this many bytes, and takes fewer than that for a failure.
    Exactly(u32),
    /// With a length of 0 first, then with the size that it was told.
    SizeQuery,
    /// With larger and larger buffers.
    Grow(Grow),
    /// Not at all.
    Never,
}

impl Default for Ask {
    /// Grows from 1,024 bytes, the size that Microsoft's pages suggest, on whatever error: what works under every
    /// reading of the documents.
    fn default() -> Self {
        Self::Grow(Grow::default())
    }
}

/// Larger and larger buffers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grow {
    /// Bytes of the first buffer.
    #[serde(default = "grow_from")]
    pub from: u32,
    /// Bytes of the largest one.
    #[serde(default = "grow_to")]
    pub to: u32,
    /// The errors on which it grows, or `any`; by default each that a buffer can be the cause of.
    #[serde(default = "grow_errors")]
    pub errors: ErrorSet,
    /// How large the next buffer is.
    #[serde(default)]
    pub next: NextBuffer,
    /// Bytes that every buffer but the first has at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_least: u32,
    /// How often it asks again; by default until the largest buffer is too small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

fn grow_from() -> u32 {
    1024
}

fn grow_to() -> u32 {
    65536
}

fn grow_errors() -> ErrorSet {
    use WinsockError as E;
    ErrorSet::of(&[E::ERROR_INSUFFICIENT_BUFFER, E::WSAEFAULT, E::WSAEINVAL, E::WSAEMSGSIZE, E::WSAENOBUFS])
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Default for Grow {
    fn default() -> Self {
        Self {
            from: grow_from(),
            to: grow_to(),
            errors: grow_errors(),
            next: NextBuffer::default(),
            at_least: 0,
            retries: None,
        }
    }
}

/// How large a buffer follows one that was too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NextBuffer {
    /// As large as the failed call told; where it told nothing, twice as large.
    #[default]
    ToldOrTwice,
    /// As large as the failed call told; where it told nothing, there is none.
    Told,
    /// Twice as large, whatever the failed call told.
    Twice,
}

/// Errors that a client tells apart from others: these, or any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ErrorSet {
    /// Each error.
    Any,
    /// What it compares with.
    These(Vec<Compared>),
}

impl ErrorSet {
    /// The set of these errors.
    #[must_use]
    pub fn of(errors: &[WinsockError]) -> Self {
        Self::These(errors.iter().map(|error| Compared(error.0)).collect())
    }

    /// Whether this error is one of them.
    #[must_use]
    pub fn has(&self, error: WinsockError) -> bool {
        match self {
            Self::Any => true,
            Self::These(errors) => errors.iter().any(|compared| compared.0 == error.0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::These(errors) if errors.is_empty())
    }
}

impl Default for ErrorSet {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// What a client compares `WSAGetLastError` with: an error, written by its name; or `SOCKET_ERROR`, the -1 that the
/// call itself returns, and that no error is (docs/behaviour.md, R31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compared(pub i32);

impl Compared {
    /// The -1 that a call returns that fails.
    pub const SOCKET_ERROR: Self = Self(-1);
    const SOCKET_ERROR_NAME: &str = "SOCKET_ERROR";
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SOCKET_ERROR => f.write_str(Self::SOCKET_ERROR_NAME),
            Self(code) => fmt::Display::fmt(&WinsockError(code), f),
        }
    }
}

impl Serialize for Compared {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Compared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let errors = WinsockError::ALL.iter().map(|(name, _, _)| *name);
            errors.chain([Compared::SOCKET_ERROR_NAME]).collect()
        });
        let text = String::deserialize(deserializer)?;
        if text == Self::SOCKET_ERROR_NAME {
            return Ok(Self::SOCKET_ERROR);
        }
        let error = WinsockError::by_name(&text);
        error.map(|error| Self(error.0)).ok_or_else(|| de::Error::unknown_variant(&text, &NAMES))
    }
}

impl JsonSchema for Compared {
    fn schema_name() -> Cow<'static, str> {
        "Compared".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "The name of an error; or `SOCKET_ERROR`, the -1 that no error is.",
            "type": "string",
        })
    }
}

impl Serialize for ErrorSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::These(errors) => errors.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ErrorSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct AnyOrThese;
        impl<'de> Visitor<'de> for AnyOrThese {
            type Value = ErrorSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of errors, or `any`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<ErrorSet, E> {
                match text {
                    "any" => Ok(ErrorSet::Any),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<ErrorSet, A::Error> {
                let mut errors = Vec::new();
                while let Some(error) = list.next_element()? {
                    errors.push(error);
                }
                Ok(ErrorSet::These(errors))
            }
        }
        deserializer.deserialize_any(AnyOrThese)
    }
}

impl JsonSchema for ErrorSet {
    fn schema_name() -> Cow<'static, str> {
        "ErrorSet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<Compared>();
        schemars::json_schema!({
            "description": "A list of errors, or `any`.",
            "oneOf": [{"const": "any"}, {"type": "array", "items": item}],
        })
    }
}

/// What a service has after it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Got {
    /// The bytes that were stored.
    pub(super) bytes: u32,
    /// The bytes of the buffer that they were stored in.
    pub(super) buffer: u32,
}

/// Why a service has nothing after it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The last query failed.
    Error(WinsockError),
    /// It stored this many bytes, and the service takes no fewer than its whole buffer.
    TooFew(u32),
    /// A datagram's control data has no such message.
    NotThere,
    /// A datagram's control data was cut, and with it this message.
    Truncated,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "{error}"),
            Self::TooFew(bytes) => write!(f, "{bytes} bytes, too few"),
            Self::NotThere => f.write_str("no control message"),
            Self::Truncated => f.write_str("cut off (MSG_CTRUNC)"),
        }
    }
}

impl Ask {
    /// Whether a blob of this size can be had so; `None` where every size can. What matters of the size for what
    /// follows, that is, so a service that grows is not asked which of its buffers it fits.
    pub(super) fn fits(&self, bytes: u32) -> Option<Vec<bool>> {
        match self {
            Self::Fixed(length) => Some(vec![bytes <= *length]),
            Self::Exactly(length) => Some(vec![bytes <= *length, bytes >= *length]),
            Self::Grow(grow) if grow.retries.is_none() && grow.next == NextBuffer::ToldOrTwice => {
                Some(vec![bytes <= grow.to])
            }
            Self::Grow(grow) => {
                let buffers = std::iter::successors(Some(grow.from.max(1)), |length| {
                    (*length < grow.to).then(|| length.saturating_mul(2).max(grow.at_least))
                });
                Some(buffers.map(|length| bytes <= length.min(grow.to)).collect())
            }
            Self::SizeQuery | Self::Never => None,
        }
    }
}

/// Asks for records or context as a service does, and names what comes.
pub(super) fn ask(
    backend: &mut dyn Backend,
    process: &Name,
    socket: &Name,
    name: &Name,
    how: &Ask,
    call: fn(Query) -> Call,
) -> Result<std::result::Result<Got, Unanswered>> {
    let mut query = |length: u32| -> Result<(std::result::Result<Got, WinsockError>, u32)> {
        let out = Output { length: Length::Bytes(length), ..Output::default() };
        let query = Query { out, ..Query::of(Name::clone(socket)) };
        let observation = apply(backend, process, Some(name), call(query))?;
        let told = match observation.bytes_returned {
            Some(Word::Value(bytes)) => bytes,
            _ => 0,
        };
        let got = Got { bytes: told, buffer: length };
        Ok((observation.error().map_or(Ok(got), Err), told))
    };
    let answer = match how {
        Ask::Never => Err(WinsockError::WSAEINVAL),
        Ask::Fixed(length) => query(*length)?.0,
        Ask::Exactly(length) => match query(*length)?.0 {
            Ok(got) if got.bytes != *length => return Ok(Err(Unanswered::TooFew(got.bytes))),
            other => other,
        },
        Ask::SizeQuery => match query(0)? {
            (Err(_), told) if told > 0 => query(told)?.0,
            (result, _) => result,
        },
        Ask::Grow(grow) => {
            let (mut length, mut retries) = (grow.from, grow.retries);
            loop {
                let (result, told) = query(length)?;
                let larger = (told > length).then_some(told);
                let twice = length.saturating_mul(2).max(1);
                let next = match grow.next {
                    NextBuffer::ToldOrTwice => Some(larger.unwrap_or(twice)),
                    NextBuffer::Told => larger,
                    NextBuffer::Twice => Some(twice),
                };
                let grows = result.is_err_and(|error| grow.errors.has(error));
                let Some(next) = next.filter(|_| grows && length < grow.to && retries != Some(0)) else {
                    break result;
                };
                retries = retries.map(|left| left.saturating_sub(1));
                length = next.max(grow.at_least).min(grow.to);
            }
        }
    };
    Ok(answer.map_err(Unanswered::Error))
}
