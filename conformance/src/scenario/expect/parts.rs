//! The parts of an expectation: errors and numbers of bytes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use wfp_sim::BugCheck;
use wfp_sim::{NtStatus, WinsockError};

use crate::follow::ErrorName;
use crate::vocabulary::{Observation, Outcome, Word, bug_check_name, status_name};

/// A number of bytes after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesExpect {
    /// What it was before.
    Unchanged,
    /// What is needed.
    Needed,
    /// This many.
    Bytes(u32),
}

impl fmt::Display for BytesExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("unchanged"),
            Self::Needed => f.write_str("needed"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl<'de> Deserialize<'de> for BytesExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = BytesExpect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, `needed` or `unchanged`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<BytesExpect, E> {
                u32::try_from(number)
                    .map(BytesExpect::Bytes)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BytesExpect, E> {
                match text {
                    "needed" => Ok(BytesExpect::Needed),
                    "unchanged" => Ok(BytesExpect::Unchanged),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for BytesExpect {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "A number of bytes, `needed`, or `unchanged`.",
            "oneOf": [{"type": "integer", "minimum": 0}, {"enum": ["needed", "unchanged"]}],
        })
    }
}

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorExpect {
    /// What `WSAGetLastError` returns.
    pub code: WinsockError,
    /// The bytes-returned word.
    pub bytes_returned: Option<BytesExpect>,
    /// Of `WSPIoctl`: whether the code was left for `WSAGetLastError` too.
    pub last_error_set: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ErrorParts {
    /// What `WSAGetLastError` returns.
    code: ErrorName,
    /// The bytes-returned word.
    #[serde(default)]
    bytes_returned: Option<BytesExpect>,
    /// Of `WSPIoctl`: whether the code was left for `WSAGetLastError` too.
    #[serde(default)]
    last_error_set: Option<bool>,
}

impl<'de> Deserialize<'de> for ErrorExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrParts;
        impl<'de> Visitor<'de> for NameOrParts {
            type Value = ErrorExpect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an error, or a map with `code` and `bytes-returned`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ErrorExpect, E> {
                let ErrorName(code) = ErrorName::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(ErrorExpect { code, bytes_returned: None, last_error_set: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ErrorExpect, A::Error> {
                let parts = ErrorParts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let ErrorParts { code: ErrorName(code), bytes_returned, last_error_set } = parts;
                Ok(ErrorExpect { code, bytes_returned, last_error_set })
            }
        }
        deserializer.deserialize_any(NameOrParts)
    }
}

impl JsonSchema for ErrorExpect {
    fn schema_name() -> Cow<'static, str> {
        "Failure".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = WinsockError::ALL.iter().map(|(name, _, _)| *name).collect();
        let parts = generator.subschema_for::<ErrorParts>();
        let number = serde_json::json!({
            "type": "string",
            "pattern": "^-?[0-9]+$",
            "description": "A code that has no name here.",
        });
        schemars::json_schema!({ "oneOf": [{"enum": names}, number, parts] })
    }
}

impl fmt::Display for ErrorExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(bytes) = self.bytes_returned {
            write!(f, ", bytes returned {bytes}")?;
        }
        match self.last_error_set {
            Some(true) => f.write_str(", code left for WSAGetLastError"),
            Some(false) => f.write_str(", nothing left for WSAGetLastError"),
            None => Ok(()),
        }
    }
}

/// A failure of a function of the kernel. What is not named is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusExpect {
    /// The status.
    pub code: NtStatus,
    /// The size that is told, in one of its two places or in both.
    pub size: Option<BytesExpect>,
    /// `OutputSizeReturned`, or `BytesTransferred`.
    pub bytes_returned: Option<BytesExpect>,
    /// `IoStatus.Information`.
    pub information: Option<BytesExpect>,
}

/// A status, written by its name.
#[derive(Deserialize)]
#[serde(transparent)]
struct StatusName(#[serde(with = "status_name")] NtStatus);

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StatusParts {
    /// The status.
    #[schemars(with = "String")]
    code: StatusName,
    /// The size that is told, in one of its two places or in both.
    #[serde(default)]
    size: Option<BytesExpect>,
    /// `OutputSizeReturned`, or `BytesTransferred`.
    #[serde(default)]
    bytes_returned: Option<BytesExpect>,
    /// `IoStatus.Information`.
    #[serde(default)]
    information: Option<BytesExpect>,
}

impl<'de> Deserialize<'de> for StatusExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrParts;
        impl<'de> Visitor<'de> for NameOrParts {
            type Value = StatusExpect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a status, or a map with `code`, `size`, `bytes-returned` and `information`",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusExpect, E> {
                let StatusName(code) = StatusName::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(StatusExpect { code, size: None, bytes_returned: None, information: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatusExpect, A::Error> {
                let parts = StatusParts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let StatusParts { code: StatusName(code), size, bytes_returned, information } = parts;
                Ok(StatusExpect { code, size, bytes_returned, information })
            }
        }
        deserializer.deserialize_any(NameOrParts)
    }
}

impl JsonSchema for StatusExpect {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = NtStatus::ALL.iter().map(|(name, _, _)| *name).collect();
        let parts = generator.subschema_for::<StatusParts>();
        schemars::json_schema!({ "oneOf": [{"enum": names}, parts] })
    }
}

impl fmt::Display for StatusExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(bytes) = self.size {
            write!(f, ", a size of {bytes}")?;
        }
        if let Some(bytes) = self.bytes_returned {
            write!(f, ", bytes returned {bytes}")?;
        }
        match self.information {
            Some(bytes) => write!(f, ", information {bytes}"),
            None => Ok(()),
        }
    }
}

impl StatusExpect {
    pub(super) fn is(&self, observed: &Observation) -> bool {
        observed.outcome == Outcome::Status(self.code)
            && self.size.is_none_or(|bytes| bytes.is_told(observed))
            && self.bytes_returned.is_none_or(|bytes| bytes.is(observed))
            && self.information.is_none_or(|bytes| bytes.is_information(observed))
    }
}

/// A bug check, written by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BugCheckName(
    #[serde(with = "bug_check_name")]
    #[schemars(with = "String")]
    pub BugCheck,
);

impl BytesExpect {
    /// Whether a call tells this size in one of the places that it has.
    fn is_told(self, observed: &Observation) -> bool {
        self.is(observed) || self.is_information(observed)
    }

    /// Whether this is in `IoStatus.Information`.
    pub(super) fn is_information(self, observed: &Observation) -> bool {
        match self {
            Self::Unchanged => observed.information.is_none(),
            Self::Needed => observed.information == Some(observed.needed.unwrap_or(0).into()),
            Self::Bytes(bytes) => observed.information == Some(bytes.into()),
        }
    }

    pub(super) fn is(self, observed: &Observation) -> bool {
        let word = observed.bytes_returned;
        match self {
            Self::Unchanged => word == Some(Word::Unchanged),
            Self::Needed => word == Some(Word::Value(observed.needed.unwrap_or(0))),
            Self::Bytes(bytes) => word == Some(Word::Value(bytes)),
        }
    }
}
