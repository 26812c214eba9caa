//! What a scenario expects, and whether that is what was observed.

mod classify;
mod control;
mod outcome;
mod parts;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use wfp_sim::profile::Field;
use wfp_sim::{NtStatus, Profile, WinsockError};

use self::control::check_control;
pub use self::control::{ControlExpect, TruncatedExpect};
pub(crate) use self::outcome::Difference;
pub use self::outcome::{CycleExpect, Fetched, HopExpect, OutcomeExpect};
pub use self::parts::{BugCheckName, BytesExpect, ErrorExpect, StatusExpect};
use crate::follow::Ending;
use crate::vocabulary::{Account, Endpoint, Name, Observation, Outcome, SocketState, StateName};

/// What must come of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expect {
    /// Success, and more of it.
    Ok(OkExpect),
    /// A failure: the error's name, or `code` and `bytes-returned`.
    Error(ErrorExpect),
    /// A receive that failed with WSAEMSGSIZE, and what there is of it all the same.
    Truncated(TruncatedExpect),
    /// A failure of a function of the kernel: the status's name, or `code`, `size`, `bytes-returned` and `information`.
    Status(StatusExpect),
    /// A fault that Windows would not have survived, by the name of its bug check.
    BugCheck(BugCheckName),
    /// No document says what follows of what a driver did. The model refuses it; any other backend may do what it likes.
    NotDocumented,
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
    /// `IoStatus.Information` of a WSK call's IRP.
    #[serde(default)]
    pub information: Option<BytesExpect>,
    /// How many bytes were stored.
    #[serde(default)]
    pub stored: Option<BytesExpect>,
    /// The bytes stored are those of this earlier result.
    #[serde(default)]
    pub same_as: Option<Name>,
    /// What was received, as text.
    #[serde(default)]
    pub data: Option<String>,
    /// The control messages that were received, in their order.
    #[serde(default)]
    pub control: Option<Vec<ControlExpect>>,
    /// Whether callouts were asked. Needs `kernel-view`.
    #[serde(default)]
    pub classified: Option<bool>,
    /// The redirect state that each callout was told. Needs `kernel-view`.
    #[serde(default)]
    pub sees: IndexMap<Name, StateName>,
    /// The address that was told; the port `*` is any that the machine chose.
    #[serde(default)]
    pub address: Option<Endpoint>,
    /// Whether the event is signaled.
    #[serde(default)]
    pub signaled: Option<bool>,
    /// Of an alertable wait: the operations whose routines were called, in this order, and what each was told.
    #[serde(default)]
    pub called: Option<Vec<Completes>>,
    /// What must come of the calls inside callbacks, one after the other; by default success of each.
    #[serde(default)]
    pub inside: Option<Vec<Expect>>,
    /// What was counted.
    #[serde(default)]
    pub count: Option<u64>,
    /// What a driver has.
    #[serde(default)]
    pub account: Option<Box<Account>>,
    /// The state of the socket.
    #[serde(default)]
    pub state: Option<SocketState>,
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

impl Completes {
    fn check(&self, completed: Option<(&Name, &Observation)>, known: Known<'_>) -> Mismatch {
        let Self { call, with } = self;
        match completed {
            Some((completed, result)) if completed == call => match with {
                Some(with) => with.check(result, known).map(|text| format!("`{call}` completes: {text}")),
                None => (!result.is_ok()).then(|| format!("`{call}` completes successfully")),
            },
            _ => Some(format!("`{call}` completes")),
        }
    }
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
                    && expected.bytes_returned.is_none_or(|bytes| bytes.is(observed))
                    && expected.last_error_set.is_none_or(|set| observed.last_error_set == Some(set));
                (!holds).then(|| expected.to_string())
            }
            Self::Truncated(expected) => expected.check(observed, known),
            Self::Status(expected) => (!expected.is(observed)).then(|| expected.to_string()),
            Self::BugCheck(BugCheckName(expected)) => {
                (observed.outcome != Outcome::BugCheck(*expected)).then(|| format!("bug check {expected}"))
            }
            Self::NotDocumented => {
                let refused = matches!(observed.outcome, Outcome::NotDocumented(_));
                (known.profile.is_some() && !refused).then(|| "something that is not documented".to_owned())
            }
            Self::Pending => (observed.outcome != Outcome::Pending).then(|| "pending".to_owned()),
            Self::Profile(field) => check_profile(field, observed, known.profile),
            Self::ByProfile(ByProfile { field, values }) => {
                let chosen = known.profile.and_then(|profile| Some(Field::by_name(field)?.get(profile)));
                match chosen {
                    Some(value) => match values.get(&value) {
                        Some(expected) => expected
                            .check(observed, known)
                            .map(|text| format!("{text} (`{field}` is `{value}`)")),
                        None => Some(format!(
                            "something for `{field}: {value}`, which the scenario does not name"
                        )),
                    },
                    None => any(values.values(), |expected| expected.check(observed, known)),
                }
            }
            Self::OneOf(expected) => any(expected.iter(), |expected| expected.check(observed, known)),
            Self::Completes(expected) => {
                let completed = observed.completed.as_ref().map(|(call, result)| (call, &**result));
                expected.check(completed, known)
            }
            Self::Outcome(_) => Some("the outcome of a followed connection".to_owned()),
        }
    }

    /// Compares with how a followed connection ended.
    #[must_use]
    pub(crate) fn check_ending(&self, ending: &Ending, known: Known<'_>) -> Option<Difference> {
        let plain = |expected: &str, observed: &str| {
            Some(Difference {
                path: Vec::new(),
                expected: expected.to_owned(),
                observed: observed.to_owned(),
            })
        };
        match self {
            Self::Outcome(expected) => {
                expected.check(ending).map(|difference| difference.below(&["outcome"]))
            }
            Self::ByProfile(ByProfile { field, values }) => {
                let value = known.profile.and_then(|profile| Some(Field::by_name(field)?.get(profile)))?;
                match values.get(&value) {
                    Some(expected) => {
                        let difference = expected.check_ending(ending, known)?;
                        Some(difference.below(&["by-profile", "values", &value]))
                    }
                    None => {
                        plain(&format!("something for `{field}: {value}`"), "the scenario does not name it")
                    }
                }
            }
            Self::OneOf(expected) => {
                let mut texts = Vec::new();
                for one in expected {
                    texts.push(one.check_ending(ending, known)?.expected);
                }
                plain(&texts.join(", or "), &ending.to_string())
            }
            _ => plain("an `outcome`, after a `follow`", &ending.to_string()),
        }
    }
}

fn any<'a>(expected: impl Iterator<Item = &'a Expect>, check: impl Fn(&'a Expect) -> Mismatch) -> Mismatch {
    let mut texts = Vec::new();
    for one in expected {
        let text = check(one)?;
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    Some(texts.join(", or "))
}

impl OkExpect {
    fn check(&self, observed: &Observation, known: Known<'_>) -> Mismatch {
        if !observed.is_ok() {
            return Some("success".to_owned());
        }
        if let Some(bytes) = self.bytes_returned.filter(|bytes| !bytes.is(observed)) {
            return Some(format!("success, bytes returned {bytes}"));
        }
        if let Some(bytes) = self.information.filter(|bytes| !bytes.is_information(observed)) {
            return Some(format!("success, information {bytes}"));
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
        if let Some(mismatch) =
            self.control.as_ref().and_then(|control| check_control(control, observed, known))
        {
            return Some(mismatch);
        }
        if let Some(mismatch) = self.check_classify(observed) {
            return Some(mismatch);
        }
        if let Some(address) = &self.address
            && observed.address.as_ref() != Some(address)
        {
            return Some(format!("the address {address}"));
        }
        if let Some(signaled) = self.signaled.filter(|signaled| observed.signaled != Some(*signaled)) {
            return Some(
                if signaled { "a signaled event" } else { "an event that is not signaled" }.to_owned(),
            );
        }
        if let Some(mismatch) = self.check_callbacks(observed, known) {
            return Some(mismatch);
        }
        if let Some(count) = self.count.filter(|count| observed.count != Some(*count)) {
            return Some(format!("a count of {count}"));
        }
        if let Some(account) = self.account.as_deref().filter(|account| observed.account != Some(**account)) {
            return Some(format!("a driver that has {account}"));
        }
        if let Some(state) = self.state.filter(|state| observed.state != Some(*state)) {
            return Some(format!("a socket in the state {state}"));
        }
        None
    }
}

impl OkExpect {
    /// What callouts saw of it.
    fn check_classify(&self, observed: &Observation) -> Mismatch {
        if let Some(classified) = self.classified.filter(|classified| *classified != observed.hop.is_some()) {
            let what = if classified { "callouts that are asked" } else { "no callout that is asked" };
            return Some(what.to_owned());
        }
        for (callout, state) in &self.sees {
            let seen = observed.hop.iter().flat_map(|hop| hop.inspections());
            let told = seen.into_iter().find(|seen| seen.callout == *callout).map(|seen| seen.state);
            if told != Some(*state) {
                let told = told.map_or("is not asked", StateName::name);
                return Some(format!("{callout} sees {} (it {told})", state.name()));
            }
        }
        None
    }

    /// The routines that were called, and the calls inside callbacks.
    fn check_callbacks(&self, observed: &Observation, known: Known<'_>) -> Mismatch {
        if let Some(called) = &self.called {
            if called.len() != observed.called.len() {
                return Some(format!("{} routines called", called.len()));
            }
            for (expected, (call, told)) in called.iter().zip(&observed.called) {
                if let Some(mismatch) = expected.check(Some((call, told)), known) {
                    return Some(mismatch);
                }
            }
        }
        match &self.inside {
            Some(inside) if inside.len() != observed.inside.len() => {
                Some(format!("{} calls inside callbacks", inside.len()))
            }
            Some(inside) => inside
                .iter()
                .zip(&observed.inside)
                .find_map(|(expected, observed)| expected.check(observed, known))
                .map(|text| format!("inside: {text}")),
            None if observed.inside.iter().all(Observation::is_ok) => None,
            None => Some("success of the calls inside".to_owned()),
        }
    }
}

/// What a value of a profile field means for a call: a failure, an error, or success.
fn check_profile(field: &str, observed: &Observation, profile: Option<&Profile>) -> Mismatch {
    let Some(field) = Field::by_name(field) else {
        return Some(format!("the profile field `{field}`, which does not exist"));
    };
    if let Some(profile) = profile {
        let value = field.get(profile);
        return (!is_profile_value(&value, observed))
            .then(|| format!("{value} (`{}` of the profile)", field.name));
    }
    let documented = field.values.iter().any(|(value, _)| is_profile_value(value, observed));
    let texts: Vec<&str> = field.values.iter().map(|(value, _)| *value).collect();
    (!documented).then(|| texts.join(", or "))
}

fn is_profile_value(value: &str, observed: &Observation) -> bool {
    let (word, bytes) = value.split_once(", ").map_or((value, None), |(word, bytes)| (word, Some(bytes)));
    let outcome = match (WinsockError::by_name(word), NtStatus::by_name(word)) {
        (Some(error), _) => observed.error() == Some(error),
        (None, Some(status)) if !status.is_success() => observed.outcome == Outcome::Status(status),
        (None, _) => observed.is_ok(),
    };
    let bytes = match bytes {
        None => true,
        Some("zero") => BytesExpect::Bytes(0).is(observed),
        Some("needed") => BytesExpect::Needed.is(observed),
        Some(_) => BytesExpect::Unchanged.is(observed),
    };
    outcome && bytes
}
