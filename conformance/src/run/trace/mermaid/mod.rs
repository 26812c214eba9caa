//! A followed connection as a sequence diagram in the notation of Mermaid, which GitHub and many editors draw.
//!
//! The lanes are the process that connects first, the filter engine, each service or host that accepts a connection,
//! and the destination. What callouts are told and do stands in a note over the filter engine, so that a chain of
//! many vendors gets no wider than their services; the connects of a loop stand in a `loop` block, once.

mod calls;
mod words;

use std::fmt::Write as _;

use self::words::{BREAK, escaped, wrapped};
use super::{classified, connects, did, end, family, layer, records, redirect, round, services, state, why};
use crate::follow::{Ending, HopReport};
use crate::run::Event;
use crate::vocabulary::{Hop, Name};

/// The lane of the filter engine.
const ENGINE: &str = "K";

/// What a case did as diagrams: one for each connection that was followed, and one for the calls between two of them.
pub(in crate::run) fn diagrams(events: &[Event]) -> Vec<String> {
    let are_calls = |one: &Event, next: &Event| matches!((one, next), (Event::Called(_), Event::Called(_)));
    let diagrams = events.chunk_by(are_calls).map(|chunk| match chunk {
        [Event::Followed(followed)] => diagram(&followed.ending),
        calls => calls::diagram(calls),
    });
    diagrams.collect()
}

/// The connection as a diagram; a line break ends each of its lines.
#[must_use]
pub fn diagram(ending: &Ending) -> String {
    let Some(first) = ending.hops.first() else { return "sequenceDiagram\n".to_owned() };
    let mut diagram = Diagram { lanes: Lanes::of(first, &ending.hops), text: "sequenceDiagram\n".to_owned() };
    // Writing to a string does not fail.
    let _ = diagram.write(ending);
    diagram.text
}

struct Diagram {
    lanes: Lanes,
    text: String,
}

impl Diagram {
    fn write(&mut self, ending: &Ending) -> std::fmt::Result {
        self.write_lanes()?;
        let round = round(ending);
        let (before, round) = ending.hops.split_at(ending.hops.len() - round.len());
        for (index, hop) in before.iter().enumerate() {
            self.write_hop("    ", index + 1, hop)?;
        }
        // The last connect of a loop is the first of the round again.
        if let Some((again, once)) = round.split_last() {
            let (same, number) = (before.len() + 1, ending.hops.len());
            writeln!(
                self.text,
                "    loop for ever: connect {number} is connect {same} again{}",
                grown(once, again)
            )?;
            for (index, hop) in once.iter().enumerate() {
                self.write_hop("        ", same + index, hop)?;
            }
            writeln!(self.text, "    end")?;
        }
        self.write_end(ending)
    }

    fn write_lanes(&mut self) -> std::fmt::Result {
        let Lanes { first, between, destination } = &self.lanes;
        writeln!(self.text, "    participant {} as {}", first.id, escaped(&first.name))?;
        writeln!(self.text, "    participant {ENGINE} as filter engine")?;
        for lane in between.iter().chain(destination) {
            writeln!(self.text, "    participant {} as {}", lane.id, escaped(&lane.name))?;
        }
        Ok(())
    }

    fn write_hop(&mut self, indent: &str, number: usize, report: &HopReport) -> std::fmt::Result {
        let from = self.lanes.id(&report.by);
        let text = &mut self.text;
        write!(text, "{indent}{from}->>{ENGINE}: connect {number} to {}", escaped(&report.to.to_string()))?;
        write!(text, " over {}", family(report.family))?;
        if report.by != report.process {
            write!(text, ", in {}", escaped(&report.process))?;
        }
        match &report.hop {
            Some(hop) => writeln!(text, ", {}", escaped(&records(&hop.records)))?,
            None => writeln!(text)?,
        }
        let hop = report.hop.as_deref();
        if let Some(before) = &report.at_connect {
            write_classified(text, indent, before, ", when the socket is connected")?;
        }
        if let Some(hop) = hop {
            write_classified(text, indent, hop, "")?;
        }
        match (&report.accepted_by, report.error) {
            (_, Some(error)) => writeln!(text, "{indent}{ENGINE}--x{from}: {error}")?,
            (Some(by), None) => {
                let to = self.lanes.id(by);
                match hop.filter(|hop| !hop.delivered.is_empty()) {
                    Some(hop) => {
                        let records = escaped(&records(&hop.delivered));
                        writeln!(
                            text,
                            "{indent}{ENGINE}->>{to}: accepted, {records} in {} bytes",
                            hop.delivered_bytes
                        )?;
                    }
                    None => writeln!(text, "{indent}{ENGINE}->>{to}: accepted")?,
                }
                if !report.then.is_empty() {
                    let lines: Vec<String> =
                        report.then.iter().map(|note| escaped(&note.to_string())).collect();
                    writeln!(text, "{indent}Note over {to}: {}", lines.join(BREAK))?;
                }
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn write_end(&mut self, ending: &Ending) -> std::fmt::Result {
        let over = match self.lanes.last() {
            Some(last) => format!("{},{last}", self.lanes.first.id),
            None => self.lanes.first.id.clone(),
        };
        let mut lines = Vec::new();
        match &ending.cycle {
            None => lines.push(format!("{} after {}", ending.end, connects(ending.connects))),
            Some(cycle) => {
                lines.push(format!("{}: {}", ending.end, escaped(&services(cycle))));
                lines.extend(wrapped(&why(cycle, ending)).iter().map(|line| escaped(line)));
            }
        }
        writeln!(self.text, "    Note over {over}: {}", lines.join(BREAK))
    }
}

/// What each layer's callouts were told and did, and what came of the redirect, in notes over the filter engine.
fn write_classified(text: &mut String, indent: &str, hop: &Hop, when: &str) -> std::fmt::Result {
    for asked in classified(hop) {
        let mut lines = vec![escaped(&format!("{}{when}", layer(asked)))];
        lines.extend(asked.inspections.iter().map(|seen| {
            let told = if seen.is_filter { String::new() } else { format!("{}, ", state(seen)) };
            escaped(&format!("{}: {told}{}", seen.callout, did(seen)))
        }));
        lines.extend(end(asked).map(str::to_owned));
        writeln!(text, "{indent}Note over {ENGINE}: {}", lines.join(BREAK))?;
    }
    match redirect(hop) {
        Some(what) => writeln!(text, "{indent}Note over {ENGINE}: {}", escaped(&what)),
        None => Ok(()),
    }
}

/// Where the records have grown since the connect came first, they are the one thing that is not the same.
fn grown(once: &[HopReport], again: &HopReport) -> String {
    let carried = |hop: &HopReport| hop.hop.as_ref().map(|hop| hop.records.clone());
    match (once.first().and_then(carried), carried(again)) {
        (Some(first), Some(now)) if first != now => format!(", with {}", escaped(&records(&now))),
        _ => String::new(),
    }
}

/// Who takes part, from left to right.
struct Lanes {
    first: Lane,
    between: Vec<Lane>,
    /// None where the first process dials itself.
    destination: Option<Lane>,
}

/// A participant: names from scenarios are shown, and never part of the notation.
struct Lane {
    id: String,
    name: String,
}

impl Lanes {
    fn of(first: &HopReport, hops: &[HopReport]) -> Self {
        let (source, to) = (first.by.to_string(), first.to.to_string());
        let mut between: Vec<Lane> = Vec::new();
        for name in hops.iter().filter_map(|hop| hop.accepted_by.as_deref()) {
            let known = name == source || name == to || between.iter().any(|lane| lane.name == name);
            if !known {
                between.push(Lane { id: format!("S{}", between.len() + 1), name: name.to_owned() });
            }
        }
        let destination = (to != source).then(|| Lane { id: "D".to_owned(), name: to });
        Self { first: Lane { id: "P".to_owned(), name: source }, between, destination }
    }

    /// The lane of a process, a service or an endpoint. Whoever dials has accepted a connection before, or is the first.
    fn id(&self, name: &Name) -> String {
        let lanes = std::iter::once(&self.first).chain(&self.between).chain(&self.destination);
        let lane = lanes.into_iter().find(|lane| *lane.name == **name);
        lane.unwrap_or(&self.first).id.clone()
    }

    /// The rightmost lane but the first.
    fn last(&self) -> Option<&str> {
        self.destination.as_ref().or(self.between.last()).map(|lane| lane.id.as_str())
    }
}
