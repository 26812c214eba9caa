//! What a scenario expects, and whether that is what was observed.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use wfp_sim::profile::Field;
use wfp_sim::{Profile, WinsockError};

use crate::follow::{End, Ending, ErrorName, Why};
use crate::vocabulary::{Did, Endpoint, Name, Observation, Outcome, SocketState, StateName, Word};

/// What must come of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expect {
    /// Success, and more of it.
    Ok(OkExpect),
    /// A failure: the error's name, or `code` and `bytes-returned`.
    Error(ErrorExpect),
    /// The call goes on.
    Pending,
    /// What this field of the behaviour profile says. A backend whose profile is not chosen may show any value that
    /// the field documents.
    Profile(String),
    /// For each value of a field of the behaviour profile, something else.
    ByProfile(ByProfile),
    /// Any of these.
    OneOf(Vec<Expect>),
    /// Of a wait: this call has completed, with this.
    Completes(Completes),
    /// Of a followed connection: how it ended.
    Outcome(OutcomeExpect),
}

/// A success. What is not named is not looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OkExpect {
    /// The bytes-returned word.
    #[serde(default)]
    pub bytes_returned: Option<BytesExpect>,
    /// How many bytes were stored.
    #[serde(default)]
    pub stored: Option<BytesExpect>,
    /// The bytes stored are those of this earlier result.
    #[serde(default)]
    pub same_as: Option<Name>,
    /// What was received, as text.
    #[serde(default)]
    pub data: Option<String>,
    /// The address that was told; the port `*` is any that the machine chose.
    #[serde(default)]
    pub address: Option<Endpoint>,
    /// What was counted.
    #[serde(default)]
    pub count: Option<u64>,
    /// The state of the socket.
    #[serde(default)]
    pub state: Option<SocketState>,
}

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
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ErrorParts {
    /// What `WSAGetLastError` returns.
    code: ErrorName,
    /// The bytes-returned word.
    #[serde(default)]
    bytes_returned: Option<BytesExpect>,
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
                Ok(ErrorExpect { code, bytes_returned: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ErrorExpect, A::Error> {
                let parts = ErrorParts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(ErrorExpect { code: parts.code.0, bytes_returned: parts.bytes_returned })
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
        schemars::json_schema!({ "oneOf": [{"enum": names}, parts] })
    }
}

/// For each value of a profile field, what must come.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ByProfile {
    /// The field.
    pub field: String,
    /// Its values, and what must come under each.
    pub values: IndexMap<String, Expect>,
}

/// What completed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Completes {
    /// The call.
    pub call: Name,
    /// What came of it; by default success.
    #[serde(default)]
    pub with: Option<Box<Expect>>,
}

/// How a followed connection ends. What is not named is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutcomeExpect {
    /// How.
    pub end: End,
    /// After how many connect attempts.
    #[serde(default)]
    pub connects: Option<u32>,
    /// Of a loop: who is in it, and why.
    #[serde(default)]
    pub cycle: Option<CycleExpect>,
    /// Who sees what at each connect attempt, in their order; there may be more of them.
    #[serde(default)]
    pub hops: Vec<HopExpect>,
}

/// Who is in a loop, and why.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CycleExpect {
    /// The services in the order in which they repeat.
    #[serde(default)]
    pub services: Option<Vec<Name>>,
    /// The service at which the records were lost.
    #[serde(default)]
    pub records_lost_at: Option<Name>,
    /// Why.
    #[serde(default)]
    pub why: Option<Why>,
}

/// One connect attempt.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HopExpect {
    /// Who dials: a process, or a service.
    #[serde(default)]
    pub by: Option<Name>,
    /// The redirect state that each callout is told.
    #[serde(default)]
    pub sees: IndexMap<Name, StateName>,
    /// The callouts that redirect, in their order.
    #[serde(default)]
    pub redirected_by: Option<Vec<Name>>,
    /// The handles in the records on the socket that dials, oldest first.
    #[serde(default)]
    pub records: Option<Vec<Name>>,
    /// Who accepts the connection: a service, or a destination.
    #[serde(default)]
    pub accepted_by: Option<Name>,
    /// How the connect fails.
    #[serde(default)]
    pub error: Option<ErrorName>,
}

/// What is known when an expectation is looked at.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The profile, where the backend's can be chosen.
    pub profile: Option<&'a Profile>,
    /// The bytes of an earlier result.
    pub blob: &'a dyn Fn(&str) -> Option<std::sync::Arc<[u8]>>,
}

/// What was expected, in words, where it is not what was observed.
pub(super) type Mismatch = Option<String>;

impl Expect {
    /// Compares with what came of a call. On a mismatch: what was expected.
    #[must_use]
    pub(crate) fn check(&self, observed: &Observation, known: Known<'_>) -> Mismatch {
        match self {
            Self::Ok(expected) => expected.check(observed, known),
            Self::Error(expected) => {
                let holds = observed.error() == Some(expected.code)
                    && expected.bytes_returned.is_none_or(|bytes| bytes.is(observed));
                (!holds).then(|| expected.to_string())
            }
            Self::Pending => (observed.outcome != Outcome::Pending).then(|| "pending".to_owned()),
            Self::Profile(field) => check_profile(field, observed, known.profile),
            Self::ByProfile(ByProfile { field, values }) => {
                let chosen = known.profile.and_then(|profile| Some(Field::by_name(field)?.get(profile)));
                match chosen {
                    Some(value) => match values.get(&value) {
                        Some(expected) => {
                            expected.check(observed, known).map(|text| format!("{text} (`{field}` is `{value}`)"))
                        }
                        None => Some(format!("something for `{field}: {value}`, which the scenario does not name")),
                    },
                    None => any(values.values(), |expected| expected.check(observed, known)),
                }
            }
            Self::OneOf(expected) => any(expected.iter(), |expected| expected.check(observed, known)),
            Self::Completes(Completes { call, with }) => match &observed.completed {
                Some((completed, result)) if completed == call => match with {
                    Some(with) => with.check(result, known).map(|text| format!("`{call}` completes: {text}")),
                    None => (!result.is_ok()).then(|| format!("`{call}` completes successfully")),
                },
                _ => Some(format!("`{call}` completes")),
            },
            Self::Outcome(_) => Some("the outcome of a followed connection".to_owned()),
        }
    }

    /// Compares with how a followed connection ended. On a mismatch: what was expected, and what came instead.
    #[must_use]
    pub fn check_ending(&self, ending: &Ending, known: Known<'_>) -> Option<(String, String)> {
        match self {
            Self::Outcome(expected) => expected.check(ending),
            Self::ByProfile(ByProfile { field, values }) => {
                let value = known.profile.and_then(|profile| Some(Field::by_name(field)?.get(profile)))?;
                match values.get(&value) {
                    Some(expected) => expected.check_ending(ending, known),
                    None => Some((format!("something for `{field}: {value}`"), "the scenario does not name it".into())),
                }
            }
            Self::OneOf(expected) => {
                let mut mismatches = Vec::new();
                for one in expected {
                    mismatches.push(one.check_ending(ending, known)?);
                }
                let texts: Vec<String> = mismatches.iter().map(|(text, _)| text.clone()).collect();
                Some((texts.join(", or "), mismatches.pop()?.1))
            }
            _ => Some(("an `outcome`, after a `follow`".to_owned(), format!("end {}", ending.end))),
        }
    }
}

fn any<'a>(
    expected: impl Iterator<Item = &'a Expect>,
    check: impl Fn(&'a Expect) -> Mismatch,
) -> Mismatch {
    let mut texts = Vec::new();
    for one in expected {
        texts.push(check(one)?);
    }
    Some(texts.join(", or "))
}

impl fmt::Display for ErrorExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match self.bytes_returned {
            Some(bytes) => write!(f, ", bytes returned {bytes}"),
            None => Ok(()),
        }
    }
}

impl BytesExpect {
    fn is(self, observed: &Observation) -> bool {
        let word = observed.bytes_returned;
        match self {
            Self::Unchanged => word == Some(Word::Unchanged),
            Self::Needed => word == Some(Word::Value(observed.needed.unwrap_or(0))),
            Self::Bytes(bytes) => word == Some(Word::Value(bytes)),
        }
    }
}

impl OkExpect {
    fn check(&self, observed: &Observation, known: Known<'_>) -> Mismatch {
        if !observed.is_ok() {
            return Some("success".to_owned());
        }
        if let Some(bytes) = self.bytes_returned.filter(|bytes| !bytes.is(observed)) {
            return Some(format!("success, bytes returned {bytes}"));
        }
        let stored = observed.stored.as_ref();
        let stored_bytes = stored.map(|stored| u32::try_from(stored.bytes.len()).unwrap_or(u32::MAX));
        if let Some(expected) = self.stored {
            let wanted = match expected {
                BytesExpect::Bytes(bytes) => bytes,
                BytesExpect::Needed => observed.needed.unwrap_or(0),
                BytesExpect::Unchanged => 0,
            };
            if stored_bytes != Some(wanted) {
                return Some(format!("{wanted} bytes stored"));
            }
        }
        if let Some(name) = &self.same_as {
            let earlier = (known.blob)(name);
            if earlier.is_none() || stored.map(|stored| &stored.bytes) != earlier.as_ref() {
                return Some(format!("the bytes of `{name}`"));
            }
        }
        if let Some(data) = &self.data
            && stored.map(|stored| &*stored.bytes) != Some(data.as_bytes())
        {
            return Some(format!("`{data}` received"));
        }
        if let Some(address) = &self.address
            && observed.address.as_ref() != Some(address)
        {
            return Some(format!("the address {address}"));
        }
        if let Some(count) = self.count.filter(|count| observed.count != Some(*count)) {
            return Some(format!("a count of {count}"));
        }
        if let Some(state) = self.state.filter(|state| observed.state != Some(*state)) {
            return Some(format!("a socket in the state {state:?}"));
        }
        None
    }
}

/// What a value of a profile field means for a call: a failure, an error, or success.
fn check_profile(field: &str, observed: &Observation, profile: Option<&Profile>) -> Mismatch {
    let Some(field) = Field::by_name(field) else { return Some(format!("the profile field `{field}`, which does not exist")) };
    match profile {
        Some(profile) => {
            let value = field.get(profile);
            (!is_profile_value(&value, observed)).then(|| format!("{value} (`{}` of the profile)", field.name))
        }
        None => {
            let documented = field.values.iter().any(|(value, _)| is_profile_value(value, observed));
            let texts: Vec<&str> = field.values.iter().map(|(value, _)| *value).collect();
            (!documented).then(|| texts.join(", or "))
        }
    }
}

fn is_profile_value(value: &str, observed: &Observation) -> bool {
    let (word, bytes) = value.split_once(", ").map_or((value, None), |(word, bytes)| (word, Some(bytes)));
    let outcome = match WinsockError::by_name(word) {
        Some(error) => observed.error() == Some(error),
        None => observed.is_ok(),
    };
    let bytes = match bytes {
        None => true,
        Some("zero") => BytesExpect::Bytes(0).is(observed),
        Some("needed") => BytesExpect::Needed.is(observed),
        Some(_) => BytesExpect::Unchanged.is(observed),
    };
    outcome && bytes
}

impl OutcomeExpect {
    fn check(&self, ending: &Ending) -> Option<(String, String)> {
        if self.end != ending.end {
            return Some((format!("end {}", self.end), ending.to_string()));
        }
        if let Some(connects) = self.connects.filter(|connects| *connects != ending.connects) {
            return Some((format!("{connects} connects"), format!("{} connects", ending.connects)));
        }
        if let Some(expected) = &self.cycle {
            let Some(cycle) = &ending.cycle else {
                return Some(("a cycle".to_owned(), "none".to_owned()));
            };
            if let Some(services) = expected.services.as_ref().filter(|services| **services != cycle.services) {
                return Some((format!("a cycle of {}", services.join(", ")), format!("one of {}", cycle.services.join(", "))));
            }
            if let Some(at) = expected.records_lost_at.as_ref().filter(|at| Some(*at) != cycle.records_lost_at.as_ref()) {
                let observed = cycle.records_lost_at.as_ref().map_or("nowhere".to_owned(), |at| format!("at {at}"));
                return Some((format!("records lost at {at}"), observed));
            }
            if let Some(why) = expected.why.filter(|why| *why != cycle.why) {
                return Some((format!("the reason {why}"), cycle.why.to_string()));
            }
        }
        for (index, expected) in self.hops.iter().enumerate() {
            let number = index + 1;
            let Some(hop) = ending.hops.get(index) else {
                return Some((format!("a connect {number}"), format!("only {} connects", ending.connects)));
            };
            let at = |text: String| format!("connect {number}: {text}");
            if let Some(by) = expected.by.as_ref().filter(|by| **by != hop.by) {
                return Some((at(format!("by {by}")), format!("by {}", hop.by)));
            }
            if let Some(accepted) = &expected.accepted_by
                && hop.accepted_by.as_ref() != Some(accepted)
            {
                let observed = hop.accepted_by.as_ref().map_or("by nobody".to_owned(), |by| format!("by {by}"));
                return Some((at(format!("accepted by {accepted}")), observed));
            }
            if expected.error.map(|name| name.0) != hop.error {
                let text = |error: Option<WinsockError>| error.map_or("no error".to_owned(), |error| error.to_string());
                return Some((at(text(expected.error.map(|name| name.0))), text(hop.error)));
            }
            let Some(view) = &hop.hop else { continue };
            for (callout, state) in &expected.sees {
                let seen = view.inspections.iter().find(|seen| seen.callout == *callout);
                if seen.map(|seen| seen.state) != Some(*state) {
                    let observed = seen.map_or("is not asked", |seen| seen.state.name());
                    return Some((at(format!("{callout} sees {}", state.name())), format!("{callout}: {observed}")));
                }
            }
            if let Some(redirected_by) = &expected.redirected_by {
                let observed: Vec<Name> = view
                    .inspections
                    .iter()
                    .filter(|seen| matches!(seen.did, Did::Redirect(_)))
                    .map(|seen| Name::clone(&seen.callout))
                    .collect();
                if observed != *redirected_by {
                    return Some((at(format!("redirected by {redirected_by:?}")), format!("by {observed:?}")));
                }
            }
            if let Some(records) = expected.records.as_ref().filter(|records| **records != view.records) {
                return Some((at(format!("records {records:?}")), format!("{:?}", view.records)));
            }
        }
        None
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "end {} after {} connects", self.end, self.connects)?;
        if let Some(cycle) = &self.cycle {
            write!(f, " ({} go round: {})", cycle.services.join(", "), cycle.why)?;
        }
        Ok(())
    }
}

/// What was observed, in a line.
#[must_use]
pub fn describe(observed: &Observation) -> String {
    let mut text = match &observed.outcome {
        Outcome::Ok => "success".to_owned(),
        Outcome::Error(error) => error.to_string(),
        Outcome::Pending => "pending".to_owned(),
        Outcome::Unsupported(why) => format!("not supported: {why}"),
    };
    match observed.bytes_returned {
        Some(Word::Unchanged) => text += ", bytes returned unchanged",
        Some(Word::Value(bytes)) if Some(bytes) == observed.needed => text += &format!(", bytes returned {bytes} (needed)"),
        Some(Word::Value(bytes)) => text += &format!(", bytes returned {bytes}"),
        None => {}
    }
    if let Some(address) = &observed.address {
        text += &format!(", {address}");
    }
    if let Some(count) = observed.count {
        text += &format!(", {count} counted");
    }
    if let Some(state) = observed.state {
        text += &format!(", state {state:?}");
    }
    if let Some((call, result)) = &observed.completed {
        text = format!("`{call}` completed: {}", describe(result));
    }
    text
}
