//! Where connections lead: places, ports, and destinations that a context tells.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Name;

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The wildcard address.
    Any,
    /// The loopback address.
    Loopback,
    /// An address of this host; the local machine's own name is `local`.
    Host(Name),
}

/// `PLACE:PORT`, where the place is `any`, `loopback`, or the name of a host. Ports are names too: a backend on a
/// real machine may serve another port under this number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub place: Place,
    /// The port; `None` in an observation stands for one that the machine chose, written `*`.
    pub port: Option<u16>,
}

impl Endpoint {
    const EXPECTED: &'static str = "an endpoint is PLACE:PORT, the place `any`, `loopback` or the name of a host, the port from 0 to 65535";

    /// The endpoint at this place and port.
    #[must_use]
    pub fn new(place: Place, port: u16) -> Self {
        Self { place, port: Some(port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Any => f.write_str("any")?,
            Place::Loopback => f.write_str("loopback")?,
            Place::Host(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no endpoint: {}", Self::EXPECTED);
        let (place, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = match port {
            "*" => None,
            _ => Some(port.parse().map_err(|_| {
                format!("`{port}` in `{text}` is no port: a port is a whole number from 0 to 65535")
            })?),
        };
        let place = match place {
            "any" => Place::Any,
            "loopback" => Place::Loopback,
            name if !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) =>
            {
                Place::Host(name.into())
            }
            _ => return Err(wrong()),
        };
        Ok(Self { place, port })
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": Self::EXPECTED,
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+:([0-9]+|\\*)$",
        })
    }
}

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dial {
    /// An endpoint.
    Endpoint(Endpoint),
    /// The destination at the start of a redirect context, or what SO_ORIGINAL_DST told, by the name of the query that
    /// it came from. Written `context NAME`.
    Context(Name),
    /// The source that a received datagram showed, by the name of the receive. Written `source NAME`.
    Source(Name),
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint) => write!(f, "{endpoint}"),
            Self::Context(name) => write!(f, "context {name}"),
            Self::Source(name) => write!(f, "source {name}"),
        }
    }
}

impl Serialize for Dial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(name) = text.strip_prefix("context ") {
            return Ok(Self::Context(name.trim().into()));
        }
        if let Some(name) = text.strip_prefix("source ") {
            return Ok(Self::Source(name.trim().into()));
        }
        text.parse().map(Self::Endpoint).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Dial {
    fn schema_name() -> Cow<'static, str> {
        "Dial".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`PLACE:PORT`; `context NAME` with the name of a context or an original destination; `source NAME` with that of a datagram.",
            "type": "string",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_reads_as_it_is_written() {
        for text in ["any:0", "loopback:1001", "server:443", "local:*"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn endpoint_with_a_port_out_of_range_says_what_a_port_is() {
        assert_eq!(
            "server:70000".parse::<Endpoint>().unwrap_err(),
            "`70000` in `server:70000` is no port: a port is a whole number from 0 to 65535"
        );
        assert!("server".parse::<Endpoint>().unwrap_err().starts_with("`server` is no endpoint: "));
        assert!(":1".parse::<Endpoint>().is_err());
    }
}
