//! Buffer lengths, in numbers or relative to what is needed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The length of a buffer: a number of bytes, or one relative to the size of what the call is about, as in
/// `needed-1`.
///
/// Where nothing is to be stored, a connection that was not redirected for instance, `needed` is
/// [`Length::NOMINAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Length {
    /// This many bytes.
    Bytes(u32),
    /// What is needed, and this many bytes more or less.
    Needed(i32),
}

impl Length {
    /// What `needed` stands for where the call has nothing to store.
    pub const NOMINAL: u32 = 64;

    /// The number of bytes where `needed` are needed.
    #[must_use]
    pub fn bytes(self, needed: Option<u32>) -> u32 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Needed(difference) => needed.unwrap_or(Self::NOMINAL).saturating_add_signed(difference),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Needed(0) => f.write_str("needed"),
            Self::Needed(difference) => write!(f, "needed{difference:+}"),
        }
    }
}

impl FromStr for Length {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "a length is a number of bytes from 0 to 4294967295, or `needed`, `needed-1`, `needed+1`";
        if let Some(difference) = text.strip_prefix("needed") {
            let difference = difference.trim();
            if difference.is_empty() {
                return Ok(Self::Needed(0));
            }
            if !difference.starts_with(['+', '-']) {
                return Err(EXPECTED);
            }
            return difference.parse().map(Self::Needed).map_err(|_| EXPECTED);
        }
        text.parse().map(Self::Bytes).map_err(|_| EXPECTED)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => serializer.serialize_u32(*bytes),
            Self::Needed(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes from 0 to 4294967295, or `needed`, `needed-1`, `needed+1`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Length, E> {
                u32::try_from(number)
                    .map(Length::Bytes)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Length {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or `needed`, `needed-1`, `needed+1`.",
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                {"type": "string", "pattern": "^needed([+-][0-9]+)?$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_reads_as_it_is_written() {
        for text in ["0", "4294967295", "needed", "needed-1", "needed+12"] {
            assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "4294967296", "needed1", "needed-", "much"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }

    #[test]
    fn needed_is_nominal_where_nothing_is_to_be_stored() {
        assert_eq!(Length::Needed(-1).bytes(Some(10)), 9);
        assert_eq!(Length::Needed(-1).bytes(None), 63);
        assert_eq!(Length::Needed(-1).bytes(Some(0)), 0);
        assert_eq!(Length::Bytes(7).bytes(Some(10)), 7);
    }
}
