//! What is said between a backend elsewhere and the side that drives it: JSON, one object a line.
//!
//! The driving side speaks first, with [`Hello`]; the other answers with [`Welcome`]. Then each [`Request`] is answered
//! by a [`Reply`] of the same number, in the order of the requests, which may be sent ahead. `docs/write-a-backend.md`
//! has it with examples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};

use crate::vocabulary::{BackendFault, Features, Identity, Name, Observation, Op, Settings};

/// The version of the protocol. Both sides must speak the same.
pub const PROTOCOL: &str = "wfp-conformance/agent/v1";

/// The first line of the driving side.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub hello: String,
}

/// The first line of the other side.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`].
    pub hello: String,
    /// Which backend it is.
    pub identity: Identity,
    /// What it can do; names that the driving side does not know are passed over.
    pub features: Vec<String>,
}

/// A request: either `reset` or `apply`.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// Its number.
    pub id: u64,
    /// Back to a machine on which nothing runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<Start>,
    /// A call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply: Option<&'a Op>,
}

/// A request as it arrives: the call is read by itself, so that one that is not known can be told from what is no
/// request.
#[derive(Debug, Deserialize)]
pub struct Arrived<'a> {
    /// Its number.
    pub id: u64,
    /// Back to a machine on which nothing runs.
    #[serde(default)]
    pub reset: Option<Start>,
    /// A call.
    #[serde(default, borrow)]
    pub apply: Option<&'a RawValue>,
}

/// What a case starts with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// Its name.
    pub case: Name,
    /// Every field of the behaviour profile, for a backend with the feature `profile`.
    #[serde(default)]
    pub profile: BTreeMap<String, String>,
    /// For everything random.
    #[serde(default)]
    pub seed: u64,
}

/// The answer to a request: an observation, a fault, or for `reset` neither.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The number of the request.
    pub id: u64,
    /// What the caller could see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// Why there is nothing to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<BackendFault>,
}

impl Start {
    /// What is sent for these settings.
    #[must_use]
    pub fn of(settings: &Settings, with_profile: bool) -> Self {
        let fields = FIELDS.iter().filter(|_| with_profile);
        Self {
            case: Name::clone(&settings.case),
            profile: fields.map(|field| (field.name.to_owned(), field.get(&settings.profile))).collect(),
            seed: settings.seed,
        }
    }

    /// The settings that were sent.
    ///
    /// # Errors
    /// Where a field or a value is not known: the two sides are of different versions.
    pub fn settings(self) -> Result<Settings, String> {
        let mut profile = Profile::default();
        for (name, value) in &self.profile {
            let field = Field::by_name(name).ok_or_else(|| format!("there is no profile field `{name}`"))?;
            field.set(&mut profile, value).map_err(|error| error.to_string())?;
        }
        Ok(Settings { case: self.case, profile, seed: self.seed })
    }
}

impl Welcome {
    /// The features that are known here.
    #[must_use]
    pub fn known_features(&self) -> Features {
        use crate::vocabulary::Feature;
        let known =
            |name: &String| Feature::ALL.iter().map(|(feature, _)| *feature).find(|f| f.name() == name);
        self.features.iter().filter_map(known).collect()
    }
}
