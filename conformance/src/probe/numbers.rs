//! The fields that are numbers.
//!
//! A number has too many values to play a case under each of them. `numbers.yaml` has a case with a number in it: how
//! the machine answers says whether the field is more than that number, and by halving what is left it is found. The
//! sizes of records are read off what a query returns.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use wfp_sim::Profile;
use wfp_sim::profile::Field;

use super::measure::{Finding, NOT_HERE, Probing, narrow, told};
use super::play::{self, Played, on_model};
use crate::run::Waiting;
use crate::scenario::{LoadedCase, Suite};
use crate::vocabulary::{Backend, BackendFault, Call, Feature, Features};

/// The cases, as text: NUMBER stands for a number, NEXT for the one behind it.
const TEXT: &str = include_str!("../../numbers.yaml");

/// The case that tells how large records are.
const RECORDS: &str = "records";

/// How closely time is measured where it really passes, in milliseconds.
const EXACTNESS: u32 = 100;

/// How long is waited for one answer there, in milliseconds.
const PATIENCE: u32 = 131_072;

/// Finds numbers out.
pub(super) struct Numbers<'a> {
    machine: &'a mut dyn Backend,
    features: &'a Features,
    probing: &'a Probing<'a>,
    /// What the machine answered, by the case and the number in it.
    seen: BTreeMap<(&'static str, u32), Played>,
}

/// What a field's case says of it.
enum Answer {
    /// It is at most the number, or it is more; and what told.
    Side { is_more: bool, evidence: String },
    /// Nothing.
    Nothing(Finding),
}

impl<'a> Numbers<'a> {
    pub(super) fn new(
        machine: &'a mut dyn Backend,
        features: &'a Features,
        probing: &'a Probing<'a>,
    ) -> Self {
        Self { machine, features, probing, seen: BTreeMap::new() }
    }

    /// The number of a field, all other fields being as in `so_far`.
    pub(super) fn find(
        &mut self,
        field: &'static Field,
        bounds: (u32, u32),
        so_far: &Profile,
    ) -> Result<Finding, BackendFault> {
        match field.name {
            "record-header-bytes" => self.size(bounds, |one, two| (2 * one).checked_sub(two)),
            "record-bytes-per-hop" => self.size(bounds, |one, two| two.checked_sub(one)),
            _ => self.close_in(field, bounds, so_far),
        }
    }

    /// A size, from those of the records of one redirect and of two.
    fn size(
        &mut self,
        (low, high): (u32, u32),
        of: fn(usize, usize) -> Option<usize>,
    ) -> Result<Finding, BackendFault> {
        let played = self.played(RECORDS, 0)?;
        let queries =
            played.calls.iter().enumerate().filter(|(_, call)| matches!(call.op.call, Call::QueryRecords(_)));
        let queries: Vec<(usize, usize)> = queries
            .filter_map(|(at, call)| {
                let answered = call.observed.as_ref().filter(|observed| observed.is_ok())?;
                Some((at, answered.stored.as_ref()?.bytes.len()))
            })
            .collect();
        let [(_, one), (last, two)] = queries[..] else {
            let lacking = played.cut.as_deref();
            let why = lacking.unwrap_or("the records of one redirect and of two could not both be queried");
            return Ok(Finding::NotMeasured { why: why.to_owned() });
        };
        let evidence = format!("records of one redirect take {one} bytes; {}", told(RECORDS, played, last));
        let value = of(one, two).and_then(|value| u32::try_from(value).ok());
        Ok(match value.filter(|value| (low..=high).contains(value)) {
            Some(value) => Finding::Measured { value: value.to_string(), evidence },
            None => Finding::None { evidence },
        })
    }

    /// A number between bounds: from the least on by doubling, and then by halving.
    fn close_in(
        &mut self,
        field: &'static Field,
        bounds: (u32, u32),
        so_far: &Profile,
    ) -> Result<Finding, BackendFault> {
        let is_real_time = field.name.ends_with("-ms") && !self.features.contains(&Feature::VirtualTime);
        let exactness = if is_real_time { EXACTNESS } else { 1 };
        let (mut low, mut high) = bounds;
        let (mut more_than, mut at_most) = (None, None);
        while high - low >= exactness {
            let middle = low + (high - low) / 2;
            let number = if at_most.is_none() { middle.min(low.saturating_mul(2) - 1) } else { middle };
            if is_real_time && number > PATIENCE {
                let why = format!("it is more than {}, and for longer nobody waits here", low - 1);
                return Ok(Finding::NotMeasured { why });
            }
            match self.ask(field, number, so_far)? {
                Answer::Side { is_more: true, evidence } => (low, more_than) = (number + 1, Some(evidence)),
                Answer::Side { is_more: false, evidence } => (high, at_most) = (number, Some(evidence)),
                Answer::Nothing(finding) => return Ok(finding),
            }
        }
        let base = field.get(&self.probing.base);
        let is_base = (low..=high).any(|value| value.to_string() == base);
        let value = if is_base { base } else { high.to_string() };
        let range = (low < high).then(|| format!("from {low} to {high}"));
        // A machine's own number may lie outside the bounds of the model's.
        let open = match (&more_than, &at_most) {
            (None, _) => Some(format!("{value} or less")),
            (_, None) => Some(format!("{value} or more")),
            _ => None,
        };
        let parts = [range, open, more_than, at_most];
        let evidence = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        Ok(Finding::Measured { value, evidence })
    }

    /// Whether a field is more than a number.
    fn ask(&mut self, field: &'static Field, number: u32, so_far: &Profile) -> Result<Answer, BackendFault> {
        let case = case(field.name, number)?;
        let mut candidates = Vec::new();
        for (side, value) in [("at most", number), ("more", number + 1)] {
            let mut profile = so_far.clone();
            // Between the field's bounds.
            let _ = field.set(&mut profile, &value.to_string());
            candidates.push((side, on_model(&profile, self.features, &case, Waiting::AsExpected)?));
        }
        let played = self.played(field.name, number)?;
        let narrowed = narrow(played, &candidates);
        let name = format!("{} of {number}", field.name);
        let evidence = narrowed.told_by.first().map(|at| told(&name, played, *at)).unwrap_or_default();
        Ok(match narrowed.fitting[..] {
            [side] => Answer::Side { is_more: side == "more", evidence },
            [] => Answer::Nothing(Finding::None { evidence }),
            _ => {
                let why = played.cut.as_deref().unwrap_or(NOT_HERE).to_owned();
                Answer::Nothing(Finding::NotMeasured { why })
            }
        })
    }

    /// What the machine shows in a case with a number.
    fn played(&mut self, id: &'static str, number: u32) -> Result<&Played, BackendFault> {
        Ok(match self.seen.entry((id, number)) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(unseen) => {
                let case = case(id, number)?;
                unseen.insert(play::play(
                    self.machine,
                    &self.probing.answers_by,
                    self.features,
                    &case,
                    Waiting::AsExpected,
                )?)
            }
        })
    }
}

/// A case with a number in it.
fn case(id: &str, number: u32) -> Result<LoadedCase, BackendFault> {
    let text = TEXT.replace("NUMBER", &number.to_string()).replace("NEXT", &(number + 1).to_string());
    // A context is not to be over the limit of the profile that a file is read under.
    let largest = Profile { context_limit: u32::MAX, ..Profile::documented() };
    let read = Suite::from_text("numbers.yaml", &text, &largest).ok();
    let case = read.and_then(|suite| suite.cases.into_iter().find(|case| case.case.id == id));
    case.ok_or_else(|| BackendFault::Broken(format!("numbers.yaml has no case `{id}` that can be read")))
}
