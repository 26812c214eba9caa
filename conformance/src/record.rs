//! Recordings: every op of every case, and what came of it, schema `wfp-conformance/trace/v1`.
//!
//! A recording is lines of JSON: a head, for each case its name and its calls, and an end. The head and each case say
//! how many lines follow, so that a recording that was cut is told from a whole one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use wfp_sim::Profile;
use wfp_sim::profile::FIELDS;

use crate::vocabulary::{
    Backend, BackendFault, Feature, Features, Identity, Name, Observation, Op, Settings,
};
use crate::yaml::{Diagnostic, Source};

/// The version of a recording's format.
pub const SCHEMA: &str = "wfp-conformance/trace/v1";

/// What was recorded of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Which backend it was.
    pub identity: Identity,
    /// What it could do.
    pub features: Features,
    /// The cases, by name.
    pub cases: BTreeMap<Name, RecordedCase>,
}

/// What was recorded of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedCase {
    /// Where the backend's profile could be chosen: the fields in which it was another than `documented`. An older
    /// recording does not have it.
    pub profile: Option<Fields>,
    /// The calls.
    pub calls: Vec<Recorded>,
}

/// Fields of a profile, by name.
pub type Fields = BTreeMap<String, String>;

/// The fields in which a profile is another than `documented`.
#[must_use]
pub fn chosen(profile: &Profile) -> Fields {
    let documented = Profile::documented();
    let values = FIELDS.iter().map(|field| (field.name, field.get(&documented), field.get(profile)));
    let chosen = values.filter(|(_, documented, value)| documented != value);
    chosen.map(|(name, _, value)| (name.to_owned(), value)).collect()
}

/// A call, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The call.
    pub op: Op,
    /// What the caller could see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// Why there was nothing to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<BackendFault>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    schema: String,
    backend: Identity,
    features: Features,
    cases: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseHead {
    case: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Fields>,
    calls: usize,
}

impl Recorded {
    /// What a backend answered.
    #[must_use]
    pub fn of(op: &Op, answer: &Result<Observation, BackendFault>) -> Self {
        let (observation, fault) = match answer {
            Ok(observation) => (Some(observation.clone()), None),
            Err(fault) => (None, Some(fault.clone())),
        };
        Self { op: op.clone(), observation, fault }
    }

    /// The same answer again.
    ///
    /// # Errors
    /// The fault that was recorded.
    pub fn answer(&self) -> Result<Observation, BackendFault> {
        match (&self.observation, &self.fault) {
            (Some(observation), _) => Ok(observation.clone()),
            (None, Some(fault)) => Err(fault.clone()),
            (None, None) => Err(BackendFault::Broken("a recorded call has no answer".to_owned())),
        }
    }
}

impl Recording {
    /// The recording as a file has it.
    ///
    /// # Errors
    /// Where it cannot be serialized.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        let mut line = |what: serde_json::Result<String>| {
            text.push_str(&what?);
            text.push('\n');
            Ok::<(), serde_json::Error>(())
        };
        line(serde_json::to_string(&Head {
            schema: SCHEMA.to_owned(),
            backend: self.identity.clone(),
            features: self.features.clone(),
            cases: self.cases.len(),
        }))?;
        for (case, RecordedCase { profile, calls }) in &self.cases {
            let case = Name::clone(case);
            line(serde_json::to_string(&CaseHead { case, profile: profile.clone(), calls: calls.len() }))?;
            for call in calls {
                line(serde_json::to_string(call))?;
            }
        }
        Ok(text)
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// Where the file cannot be read, was cut, or is none; with the place.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| Diagnostic::new(format!("{name} cannot be read: {error}")))?;
        let source = Source::decode(name.to_string(), bytes)?;
        Self::parse(&source.text).map_err(|(line, what)| Diagnostic::new(format!("{name}:{line}: {what}")))
    }

    /// Reads a recording; an error has the number of the line, from 1.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut lines = Lines { lines: text.split_inclusive('\n').enumerate(), last: 0 };
        let head: Head = lines.next("a recording starts with a line that has its schema")?;
        if head.schema != SCHEMA {
            return Err((1, format!("the schema is `{}`, and not `{SCHEMA}`", head.schema)));
        }
        let mut cases = BTreeMap::new();
        for _ in 0..head.cases {
            let CaseHead { case, profile, calls } =
                lines.next("a line with the name of a case is expected")?;
            let mut recorded = Vec::new();
            for _ in 0..calls {
                recorded.push(lines.next("a line with a call is expected")?);
            }
            let recorded = RecordedCase { profile, calls: recorded };
            if cases.insert(Name::clone(&case), recorded).is_some() {
                return Err((lines.last, format!("the case `{case}` is there twice")));
            }
        }
        match lines.lines.next() {
            None => Ok(Self { identity: head.backend, features: head.features, cases }),
            Some((index, _)) => Err((index + 1, "there is more than the head says".to_owned())),
        }
    }
}

struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::SplitInclusive<'a, char>>,
    last: usize,
}

impl Lines<'_> {
    fn next<T: for<'de> Deserialize<'de>>(&mut self, expected: &str) -> Result<T, (usize, String)> {
        let cut = |line| (line, format!("the recording was cut: {expected}"));
        let (index, line) = self.lines.next().ok_or_else(|| cut(self.last + 1))?;
        self.last = index + 1;
        let whole = line.strip_suffix('\n').ok_or_else(|| cut(self.last))?;
        serde_json::from_str(whole).map_err(|error| (self.last, format!("{expected}: {error}")))
    }
}

/// What several backends record into.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    cases: Arc<Mutex<BTreeMap<Name, RecordedCase>>>,
}

impl Recorder {
    /// What was recorded of the backend.
    #[must_use]
    pub fn recording(&self, identity: &Identity, features: &Features) -> Recording {
        let cases = self.cases.lock().map(|cases| cases.clone()).unwrap_or_default();
        Recording { identity: identity.clone(), features: features.clone(), cases }
    }

    fn begin(&self, case: &Name, profile: Option<Fields>) {
        self.with(case, |recorded| recorded.profile = profile);
    }

    fn keep(&self, case: &Name, calls: impl IntoIterator<Item = Recorded>) {
        self.with(case, |recorded| recorded.calls.extend(calls));
    }

    fn with(&self, case: &Name, change: impl FnOnce(&mut RecordedCase)) {
        // A panic while the lock is held is impossible: nothing but this happens under it.
        if let Ok(mut cases) = self.cases.lock() {
            change(cases.entry(Name::clone(case)).or_default());
        }
    }
}

/// A backend whose calls are recorded.
pub struct Traced<B> {
    inner: B,
    recorder: Recorder,
    case: Name,
}

impl<B: Backend> Traced<B> {
    /// `inner`, recorded.
    #[must_use]
    pub fn new(inner: B, recorder: Recorder) -> Self {
        Self { inner, recorder, case: "".into() }
    }
}

impl<B: Backend> Backend for Traced<B> {
    fn identify(&self) -> Identity {
        self.inner.identify()
    }

    fn features(&self) -> &Features {
        self.inner.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.case = Name::clone(&settings.case);
        self.inner.reset(settings)?;
        let chooses = self.features().contains(&Feature::Profile);
        self.recorder.begin(&self.case, chooses.then(|| chosen(&settings.profile)));
        Ok(())
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let answer = self.inner.apply(op);
        self.recorder.keep(&self.case, [Recorded::of(op, &answer)]);
        answer
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        match self.inner.apply_all(ops) {
            Ok(observations) => {
                let answers = ops.iter().zip(&observations);
                let recorded = answers.map(|(op, seen)| Recorded::of(op, &Ok(seen.clone())));
                self.recorder.keep(&self.case, recorded);
                Ok(observations)
            }
            // Which of them it was is not known: the last one stands for all.
            Err(fault) => {
                let last = ops.last().map(|op| Recorded::of(op, &Err(fault.clone())));
                self.recorder.keep(&self.case, last);
                Err(fault)
            }
        }
    }
}
