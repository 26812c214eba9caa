//! What a receive of a datagram is expected to find in its control buffer, and what is left of one that was cut.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use wfp_sim::WinsockError;

use super::{Known, Mismatch};
use crate::vocabulary::{ControlSeen, ControlType, Level, MessageFlag, Name, Observation};

/// A control message. What is not named is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ControlExpect {
    /// Its type.
    pub r#type: ControlType,
    /// Its level.
    #[serde(default)]
    pub level: Option<Level>,
    /// Bytes of its data.
    #[serde(default)]
    pub bytes: Option<u32>,
    /// Its data is that of this earlier result.
    #[serde(default)]
    pub same_as: Option<Name>,
}

/// A receive that failed with WSAEMSGSIZE. What is not named is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TruncatedExpect {
    /// The flags: all of them.
    pub flags: Vec<MessageFlag>,
    /// What is there of the datagram, as text.
    #[serde(default)]
    pub data: Option<String>,
    /// What is there of the control messages, in their order.
    #[serde(default)]
    pub control: Option<Vec<ControlExpect>>,
}

impl fmt::Display for ControlExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.r#type)?;
        if let Some(level) = self.level {
            write!(f, " at {level}")?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, " of {bytes} bytes")?;
        }
        match &self.same_as {
            Some(name) => write!(f, ", the bytes of `{name}`"),
            None => Ok(()),
        }
    }
}

impl ControlExpect {
    fn holds(&self, seen: &ControlSeen, known: Known<'_>) -> bool {
        let same = |name: &Name| (known.blob)(name).is_some_and(|bytes| bytes == seen.bytes);
        self.r#type == seen.r#type
            && self.level.is_none_or(|level| level == seen.level)
            && self.bytes.is_none_or(|bytes| bytes as usize == seen.bytes.len())
            && self.same_as.as_ref().is_none_or(same)
    }
}

pub(super) fn check_control(
    expected: &[ControlExpect],
    observed: &Observation,
    known: Known<'_>,
) -> Mismatch {
    let seen = observed.control.as_deref().unwrap_or_default();
    let holds = expected.len() == seen.len()
        && expected.iter().zip(seen).all(|(expected, seen)| expected.holds(seen, known));
    let texts: Vec<String> = expected.iter().map(ToString::to_string).collect();
    (!holds).then(|| match &*texts {
        [] => "no control message".to_owned(),
        texts => format!("the control messages {}", texts.join(", ")),
    })
}

impl TruncatedExpect {
    pub(super) fn check(&self, observed: &Observation, known: Known<'_>) -> Mismatch {
        if observed.error() != Some(WinsockError::WSAEMSGSIZE) {
            return Some("WSAEMSGSIZE".to_owned());
        }
        if self.flags != observed.flags {
            let flags: Vec<String> = self.flags.iter().map(ToString::to_string).collect();
            return Some(format!("WSAEMSGSIZE, {}", flags.join(", ")));
        }
        let stored = observed.stored.as_ref().map(|stored| &*stored.bytes);
        if let Some(data) = self.data.as_ref().filter(|data| stored != Some(data.as_bytes())) {
            return Some(format!("`{data}` received"));
        }
        check_control(self.control.as_ref()?, observed, known)
    }
}
