//! What a machine, real or modelled, must be able to do to run scenarios.

use std::fmt;

use serde::{Deserialize, Serialize};
use wfp_sim::Profile;

use super::{Features, Name, Observation, Op};

/// A machine that ops can be applied to.
///
/// It is small on purpose: four functions to write, synchronous, usable as `dyn Backend`. What a call gave is an
/// [`Observation`], errors of the machine included; [`BackendFault`] is for a backend that no longer works, and is
/// never a failed test.
pub trait Backend: Send {
    /// Which backend this is.
    fn identify(&self) -> Identity;

    /// What it can do. A case that needs more is skipped.
    fn features(&self) -> &Features;

    /// Back to a machine on which nothing runs.
    ///
    /// # Errors
    /// Where the backend cannot be brought into that state, or has nothing for this case.
    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault>;

    /// Makes a call.
    ///
    /// # Errors
    /// Where the backend broke, or an op names what no earlier op made.
    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault>;

    /// Makes calls in this order, none of which depends on what came of another. A backend that is far away can send
    /// them all before it hears of the first.
    ///
    /// # Errors
    /// The first that [`apply`](Self::apply) would give.
    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        ops.iter().map(|op| self.apply(op)).collect()
    }
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn identify(&self) -> Identity {
        (**self).identify()
    }

    fn features(&self) -> &Features {
        (**self).features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        (**self).reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        (**self).apply(op)
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        (**self).apply_all(ops)
    }
}

/// What a case starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the case, for recordings.
    pub case: Name,
    /// How the machine answers in doubtful cases; only for a backend with the feature `profile`.
    pub profile: Profile,
    /// For everything random.
    pub seed: u64,
}

/// Which backend it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name on the command line.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The operating system whose behaviour it shows, with its build; `None` for a model.
    pub os: Option<String>,
}

/// Why an op has no observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendFault {
    /// The backend no longer works.
    Broken(String),
    /// The op cannot be made: it names what no earlier op made, or what came to nothing. That is a failure of the
    /// case, not of the backend.
    Misuse(String),
    /// Two backends that are compared answered a call differently. That is a failure of the case.
    Differs {
        /// The call, in a line.
        call: String,
        /// What the first answered.
        first: String,
        /// What the second answered.
        second: String,
        /// The fewest calls behind which they do.
        behind: Vec<String>,
    },
    /// The backend cannot make this call, though it has the features that the case needs. The case is skipped.
    Unsupported(String),
}

impl fmt::Display for BackendFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(text) | Self::Misuse(text) => f.write_str(text),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Differs { call, first, second, .. } => {
                write!(f, "they differ at {call}: {first}; {second}")
            }
        }
    }
}

impl std::error::Error for BackendFault {}
