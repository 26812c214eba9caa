//! What a case did as sequence diagrams, as data: who takes part, from left to right, and what happened, from top to
//! bottom. Each notation is made of this.
//!
//! The lanes of a followed connection are the process that connects first, the filter engine, each service or host that
//! accepts a connection, and the destination. What callouts are told and do stands in a note over the filter engine,
//! so that a chain of many vendors gets no wider than their services; the connects of a loop stand in a `Loop`, once.

use serde::Serialize;

use super::{classified, connects, did, end, family, layer, records, redirect, round, services, state, why};
use crate::follow::{Ending, HopReport};
use crate::run::Event;
use crate::vocabulary::{Hop, Name};

/// Characters in a line of a note.
const LINE: usize = 72;

/// The lane of the filter engine, or of the machine that answers calls, in every diagram.
const ENGINE: usize = 1;

/// A sequence diagram.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::run) struct Sequence {
    /// The number of the step whose connection it is; none for calls, which know their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::run) step: Option<usize>,
    pub(in crate::run) lanes: Vec<Lane>,
    pub(in crate::run) items: Vec<Item>,
}

/// Who takes part: names from scenarios are shown, and never part of a notation.
#[derive(Clone, Debug, Serialize)]
pub(in crate::run) struct Lane {
    #[serde(skip)]
    pub(in crate::run) id: String,
    pub(in crate::run) name: String,
}

/// Something that happened; lanes are told by their number, from 0.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(in crate::run) enum Item {
    /// Somebody turned to somebody.
    Message(Message),
    /// Something to know, from one lane to another.
    Note { over: (usize, usize), lines: Vec<String> },
    /// What comes again and again.
    Loop { label: String, items: Vec<Item> },
}

#[derive(Clone, Debug, Serialize)]
pub(in crate::run) struct Message {
    /// The number of the step that it is, from 1, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::run) step: Option<usize>,
    pub(in crate::run) from: usize,
    pub(in crate::run) to: usize,
    pub(in crate::run) text: String,
    /// What came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::run) seen: Option<String>,
    /// Whether it says that something came to nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::run) fails: bool,
}

fn message(from: usize, to: usize, text: String) -> Message {
    Message { step: None, from, to, text, seen: None, fails: false }
}

impl Sequence {
    /// A followed connection.
    pub(in crate::run) fn of(ending: &Ending) -> Self {
        let Some(first) = ending.hops.first() else { return Self::default() };
        let mut sequence = Self { step: None, lanes: lanes(first, &ending.hops), items: Vec::new() };
        let round = round(ending);
        let (before, round) = ending.hops.split_at(ending.hops.len() - round.len());
        let mut items: Vec<Item> =
            before.iter().enumerate().flat_map(|(index, hop)| sequence.hop(index + 1, hop)).collect();
        // The last connect of a loop is the first of the round again.
        if let Some((again, once)) = round.split_last() {
            let (same, number) = (before.len() + 1, ending.hops.len());
            items.push(Item::Loop {
                label: format!("for ever: connect {number} is connect {same} again{}", grown(once, again)),
                items: once
                    .iter()
                    .enumerate()
                    .flat_map(|(index, hop)| sequence.hop(same + index, hop))
                    .collect(),
            });
        }
        items.push(sequence.end(ending));
        sequence.items = items;
        sequence
    }

    /// Calls that were made one by one: each process has a lane, and the machine that answers is one.
    pub(in crate::run) fn of_calls(events: &[Event]) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut items = Vec::new();
        for event in events {
            let Event::Called(called) = event else { continue };
            let from = lane(&lanes, &called.process).unwrap_or_else(|| {
                let (index, number) = (lanes.len(), lanes.len().max(1));
                lanes.push(Lane { id: format!("P{number}"), name: called.process.to_string() });
                if index == 0 {
                    lanes.push(Lane { id: "K".to_owned(), name: "Windows".to_owned() });
                }
                index
            });
            let to = called.hop.as_ref().map_or(String::new(), |hop| format!(" {}", hop.destination));
            items.push(Item::Message(Message {
                step: Some(called.step),
                from,
                to: ENGINE,
                text: format!("{}{to}", called.what),
                seen: Some(called.observed.clone()),
                fails: false,
            }));
            if let Some(hop) = &called.hop {
                items.extend(notes(hop, ""));
                if hop.target != hop.destination {
                    items.push(note(ENGINE, vec![format!("goes to {}", hop.target)]));
                }
            }
        }
        Self { step: None, lanes, items }
    }

    fn hop(&self, number: usize, report: &HopReport) -> Vec<Item> {
        let from = self.lane(&report.by);
        let inside =
            if report.by == report.process { String::new() } else { format!(", in {}", report.process) };
        let carried = report.hop.as_ref().map_or(String::new(), |hop| format!(", {}", records(&hop.records)));
        let text =
            format!("connect {number} to {} over {}{inside}{carried}", report.to, family(report.family));
        let mut items = vec![Item::Message(message(from, ENGINE, text))];
        if let Some(before) = &report.at_connect {
            items.extend(notes(before, ", when the socket is connected"));
        }
        if let Some(hop) = &report.hop {
            items.extend(notes(hop, ""));
        }
        match (&report.accepted_by, report.error) {
            (_, Some(error)) => {
                items
                    .push(Item::Message(Message { fails: true, ..message(ENGINE, from, error.to_string()) }));
            }
            (Some(by), None) => {
                let to = self.lane(by);
                let delivered = report.hop.as_ref().filter(|hop| !hop.delivered.is_empty());
                let text = delivered.map_or("accepted".to_owned(), |hop| {
                    format!("accepted, {} in {} bytes", records(&hop.delivered), hop.delivered_bytes)
                });
                items.push(Item::Message(message(ENGINE, to, text)));
                if !report.then.is_empty() {
                    items.push(note(to, report.then.iter().map(ToString::to_string).collect()));
                }
            }
            (None, None) => {}
        }
        items
    }

    fn end(&self, ending: &Ending) -> Item {
        // Whoever dials itself has no lane for the destination.
        let last = self.lanes.len() - 1;
        let last = if last > ENGINE { last } else { 0 };
        let mut lines = Vec::new();
        match &ending.cycle {
            None => lines.push(format!("{} after {}", ending.end, connects(ending.connects))),
            Some(cycle) => {
                lines.push(format!("{}: {}", ending.end, services(cycle)));
                lines.extend(wrapped(&why(cycle, ending)));
            }
        }
        Item::Note { over: (0, last), lines }
    }

    /// The lane of a process, a service or an endpoint. Whoever dials has accepted a connection before, or is the first.
    fn lane(&self, name: &Name) -> usize {
        lane(&self.lanes, name).unwrap_or(0)
    }
}

/// The engine is nobody's name.
fn lane(lanes: &[Lane], name: &Name) -> Option<usize> {
    lanes.iter().enumerate().position(|(index, lane)| index != ENGINE && *lane.name == **name)
}

fn note(over: usize, lines: Vec<String>) -> Item {
    Item::Note { over: (over, over), lines }
}

/// Who takes part in a followed connection.
fn lanes(first: &HopReport, hops: &[HopReport]) -> Vec<Lane> {
    let (source, to) = (first.by.to_string(), first.to.to_string());
    let mut lanes = vec![
        Lane { id: "P".to_owned(), name: source.clone() },
        Lane { id: "K".to_owned(), name: "filter engine".to_owned() },
    ];
    for name in hops.iter().filter_map(|hop| hop.accepted_by.as_deref()) {
        let known =
            name == source || name == to || lanes.iter().skip(ENGINE + 1).any(|lane| lane.name == name);
        if !known {
            lanes.push(Lane { id: format!("S{}", lanes.len() - ENGINE), name: name.to_owned() });
        }
    }
    if to != source {
        lanes.push(Lane { id: "D".to_owned(), name: to });
    }
    lanes
}

/// What each layer's callouts were told and did, and what came of the redirect, in notes over the filter engine.
fn notes(hop: &Hop, when: &str) -> Vec<Item> {
    let asked = classified(hop).map(|asked| {
        let mut lines = vec![format!("{}{when}", layer(asked))];
        lines.extend(asked.inspections.iter().map(|seen| {
            let told = if seen.is_filter { String::new() } else { format!("{}, ", state(seen)) };
            format!("{}: {told}{}", seen.callout, did(seen))
        }));
        lines.extend(end(asked).map(str::to_owned));
        note(ENGINE, lines)
    });
    asked.chain(redirect(hop).map(|what| note(ENGINE, vec![what]))).collect()
}

/// Where the records have grown since the connect came first, they are the one thing that is not the same.
fn grown(once: &[HopReport], again: &HopReport) -> String {
    let carried = |hop: &HopReport| hop.hop.as_ref().map(|hop| hop.records.clone());
    match (once.first().and_then(carried), carried(again)) {
        (Some(first), Some(now)) if first != now => format!(", with {}", records(&now)),
        _ => String::new(),
    }
}

/// A sentence in lines of a length that a note can have.
fn wrapped(sentence: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= LINE) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentence_is_broken_between_words_and_none_is_lost() {
        let sentence = "it set the redirect records too late, when the connect was classified already or the socket was bound";
        let lines = wrapped(sentence);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= LINE), "{lines:?}");
        assert_eq!(lines.join(" "), sentence);
    }
}
