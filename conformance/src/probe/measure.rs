//! The value of each field under which the model answers as the machine did.

use std::collections::BTreeMap;

use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};

use super::numbers::Numbers;
use super::play::{self, Played, asked_by, on_model};
use super::table::Table;
use crate::run::Waiting;
use crate::scenario::{LoadedCase, Suite};
use crate::vocabulary::{Backend, BackendFault, Features, Identity};

/// How often something is gone over again, at most: what a field is found to be can change what another one's cases show.
const ROUNDS: usize = 6;

pub(super) const NOT_HERE: &str = "nothing that was asked depends on it here";

/// What was measured of a machine.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which machine.
    pub identity: Identity,
    /// Of every field, in the order of [`FIELDS`].
    pub fields: Vec<(&'static Field, Finding)>,
}

/// What was found out of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// One value alone explains what was seen.
    Measured {
        /// The value.
        value: String,
        /// In which case which call was answered how.
        evidence: String,
    },
    /// Several values explain it, and others do not.
    OneOf {
        /// The value that is taken: that of the profile that was started from, if it is one of them.
        value: String,
        /// All of them.
        alike: Vec<String>,
        /// In which case which call was answered how.
        evidence: String,
    },
    /// No known value explains it.
    None {
        /// In which case which call was answered how.
        evidence: String,
    },
    /// Nothing was seen that depends on it.
    NotMeasured {
        /// Why.
        why: String,
    },
    /// It was said what it is.
    Given {
        /// The value.
        value: String,
    },
}

impl Finding {
    /// The value to be taken, where there is one.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Measured { value, .. } | Self::OneOf { value, .. } | Self::Given { value } => Some(value),
            Self::None { .. } | Self::NotMeasured { .. } => None,
        }
    }
}

/// What a machine is measured with.
#[derive(Clone, Debug)]
pub struct Probing<'a> {
    /// The cases that there are.
    pub suite: &'a Suite,
    /// Which of them tell what.
    pub table: &'a Table,
    /// What the fields are taken to be until they are measured.
    pub base: Profile,
    /// Fields that are not measured, but said, with their values.
    pub given: BTreeMap<&'static str, String>,
    /// How the machine answers where it is a model whose profile can be chosen.
    pub answers_by: Profile,
}

/// Measures a machine.
///
/// # Errors
/// Where it breaks.
pub fn measure(machine: &mut dyn Backend, probing: &Probing<'_>) -> Result<Measured, BackendFault> {
    let identity = machine.identify();
    let features = asked_by(machine.features());
    let mut seen: BTreeMap<&str, Played> = BTreeMap::new();
    let by_name: BTreeMap<&str, &LoadedCase> =
        probing.suite.cases.iter().map(|case| (case.name.as_str(), case)).collect();
    for name in FIELDS.iter().flat_map(|field| probing.table.of(field.name)) {
        if let (Some(case), false) = (by_name.get(name), seen.contains_key(name)) {
            seen.insert(name, play::play(machine, &probing.answers_by, &features, case, Waiting::ForAll)?);
        }
    }
    let numbers = Numbers::new(machine, &features, probing);
    let mut search = Search { features: &features, by_name: &by_name, seen: &seen, probing, numbers };
    let mut so_far = probing.base.clone();
    for _ in 0..ROUNDS {
        let fields = search.one_by_one(&mut so_far)?;
        match search.two_at_once(&fields, &so_far)? {
            Some(better) => so_far = better,
            None => return Ok(Measured { identity, fields }),
        }
    }
    Ok(Measured { identity, fields: search.one_by_one(&mut so_far)? })
}

/// What the machine showed, to be compared with the model.
struct Search<'a> {
    features: &'a Features,
    by_name: &'a BTreeMap<&'a str, &'a LoadedCase>,
    seen: &'a BTreeMap<&'a str, Played>,
    probing: &'a Probing<'a>,
    numbers: Numbers<'a>,
}

impl Search<'_> {
    /// Goes over all fields again and again, each by itself, until nothing changes. `so_far` then has what was found.
    fn one_by_one(&mut self, so_far: &mut Profile) -> Result<Vec<(&'static Field, Finding)>, BackendFault> {
        let mut fields = Vec::new();
        for _ in 0..ROUNDS {
            let before = so_far.clone();
            fields.clear();
            for field in FIELDS {
                let finding = self.finding(field, so_far)?;
                let value = finding.value().map_or_else(|| field.get(&self.probing.base), str::to_owned);
                // Only values of the field are looked at, and the command line has looked at what was given.
                let _ = field.set(so_far, &value);
                fields.push((field, finding));
            }
            if *so_far == before {
                break;
            }
        }
        Ok(fields)
    }

    /// The profile in which a field that no value explains is explained after all, because another one that is not known
    /// has another value.
    fn two_at_once(
        &mut self,
        fields: &[(&'static Field, Finding)],
        so_far: &Profile,
    ) -> Result<Option<Profile>, BackendFault> {
        let is_unexplained = |finding: &Finding| matches!(finding, Finding::None { .. });
        let is_open = |finding: &Finding| {
            matches!(finding, Finding::None { .. } | Finding::OneOf { .. } | Finding::NotMeasured { .. })
        };
        for (field, _) in fields.iter().filter(|(_, finding)| is_unexplained(finding)) {
            let others =
                fields.iter().filter(|(other, finding)| other.name != field.name && is_open(finding));
            for (other, value) in
                others.flat_map(|(other, _)| other.values.iter().map(move |(value, _)| (other, value)))
            {
                let mut profile = so_far.clone();
                // A value of the field, from its own table.
                let _ = other.set(&mut profile, value);
                let Some(explained) = self.finding(field, &profile)?.value().map(str::to_owned) else {
                    continue;
                };
                let _ = field.set(&mut profile, &explained);
                if self.finding(other, &profile)?.value() == Some(*value) {
                    return Ok(Some(profile));
                }
            }
        }
        Ok(None)
    }

    fn finding(&mut self, field: &'static Field, so_far: &Profile) -> Result<Finding, BackendFault> {
        match (self.probing.given.get(field.name), field.bounds) {
            (Some(value), _) => Ok(Finding::Given { value: value.clone() }),
            (None, Some(bounds)) => self.numbers.find(field, bounds, so_far),
            (None, None) => self.find(field, so_far),
        }
    }

    fn find(&self, field: &'static Field, so_far: &Profile) -> Result<Finding, BackendFault> {
        let mut fitting: Vec<&str> = field.values.iter().map(|(value, _)| *value).collect();
        let all = fitting.len();
        let mut evidence = Vec::new();
        let (mut lacking, mut was_asked) = (None, false);
        for name in self.probing.table.of(field.name) {
            let (Some(case), Some(machine)) = (self.by_name.get(name), self.seen.get(name)) else { continue };
            lacking = lacking.or(machine.cut.as_deref());
            if machine.calls.is_empty() {
                continue;
            }
            was_asked = true;
            let mut candidates = Vec::new();
            for value in &fitting {
                let mut profile = so_far.clone();
                // A value of the field, from its own table.
                let _ = field.set(&mut profile, value);
                candidates.push((*value, on_model(&profile, self.features, case, Waiting::ForAll)?));
            }
            let narrowed = narrow(machine, &candidates);
            evidence.extend(narrowed.told_by.iter().map(|at| told(name, machine, *at)));
            if narrowed.fitting.is_empty() {
                let evidence = evidence.pop().unwrap_or_default();
                return Ok(Finding::None { evidence });
            }
            fitting = narrowed.fitting;
            if fitting.len() == 1 {
                break;
            }
        }
        let base = field.get(&self.probing.base);
        let value = fitting.iter().find(|value| **value == base).or(fitting.first());
        let value = value.map(|value| (*value).to_owned()).unwrap_or_default();
        let alike: Vec<String> = fitting.iter().map(|value| (*value).to_owned()).collect();
        Ok(match (alike.len(), evidence.is_empty()) {
            (1, _) => Finding::Measured { value, evidence: evidence.join("; ") },
            (count, false) if count < all => Finding::OneOf { value, alike, evidence: evidence.join("; ") },
            _ => Finding::NotMeasured {
                why: match (was_asked, lacking) {
                    (false, None) => "no case tells its values apart".to_owned(),
                    (false, Some(lacking)) => lacking.to_owned(),
                    (true, None) => NOT_HERE.to_owned(),
                    (true, Some(lacking)) => format!("{NOT_HERE}; of what else could be asked, {lacking}"),
                },
            },
        })
    }
}

/// What a case leaves of the values that were thought of.
pub(super) struct Narrowed<'a> {
    pub(super) fitting: Vec<&'a str>,
    /// The calls that told, by their numbers in the case.
    pub(super) told_by: Vec<usize>,
}

/// The values under which the model answers as the machine did, wherever these values make a difference.
pub(super) fn narrow<'a>(machine: &Played, candidates: &[(&'a str, Played)]) -> Narrowed<'a> {
    let mut fitting: Vec<&(&str, Played)> = candidates.iter().collect();
    let mut told_by = Vec::new();
    let longest = candidates.iter().map(|(_, played)| played.calls.len()).max().unwrap_or(0);
    // Of what is behind a call that the machine does not support, nothing is known.
    let known = if machine.cut.is_some() { machine.calls.len() } else { longest.max(machine.calls.len()) };
    for at in 0..known.min(longest) {
        let differ = candidates.windows(2).any(|two| match two {
            [(_, a), (_, b)] => a.calls.get(at) != b.calls.get(at),
            _ => false,
        });
        if !differ {
            continue;
        }
        let before = fitting.len();
        fitting.retain(|(_, played)| played.calls.get(at) == machine.calls.get(at));
        if fitting.len() < before {
            told_by.push(at);
        }
        if fitting.is_empty() {
            break;
        }
    }
    Narrowed { fitting: fitting.into_iter().map(|(value, _)| *value).collect(), told_by }
}

/// A call and its answer, in words.
pub(super) fn told(case: &str, machine: &Played, at: usize) -> String {
    match machine.calls.get(at) {
        Some(seen) => format!("{case}, {}: {}", seen.line(at), seen.answer()),
        None => format!("{case}: it ends before call {}", at + 1),
    }
}
