//! Sequence diagrams in the notation of Mermaid, which GitHub and many editors draw.

mod words;

use std::fmt::Write as _;

use self::words::{BREAK, escaped};
use super::sequence::{Item, Lane, Message, Sequence};
use super::sequences;
use crate::follow::Ending;
use crate::run::Event;

/// What a case did as diagrams: one for each connection that was followed, and one for the calls between two of them.
pub(in crate::run) fn diagrams(events: &[Event]) -> Vec<String> {
    sequences(events).map(|sequence| text(&sequence)).collect()
}

/// The connection as a diagram; a line break ends each of its lines.
#[must_use]
pub fn diagram(ending: &Ending) -> String {
    text(&Sequence::of(ending))
}

fn text(sequence: &Sequence) -> String {
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string does not fail.
    for Lane { id, name } in &sequence.lanes {
        let _ = writeln!(text, "    participant {id} as {}", escaped(name));
    }
    let _ = write_items(&mut text, "    ", &sequence.lanes, &sequence.items);
    text
}

fn write_items(text: &mut String, indent: &str, lanes: &[Lane], items: &[Item]) -> std::fmt::Result {
    let id = |lane: usize| lanes.get(lane).map_or("", |lane| lane.id.as_str());
    for item in items {
        match item {
            Item::Message(Message { from, to, text: said, seen, fails, .. }) => {
                let arrow = if *fails { "--x" } else { "->>" };
                let said = match seen {
                    Some(seen) => escaped(&format!("{said} -> {seen}")),
                    None => escaped(said),
                };
                writeln!(text, "{indent}{}{arrow}{}: {said}", id(*from), id(*to))?;
            }
            Item::Note { over: (from, to), lines } => {
                let over =
                    if from == to { id(*from).to_owned() } else { format!("{},{}", id(*from), id(*to)) };
                let said: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
                writeln!(text, "{indent}Note over {over}: {}", said.join(BREAK))?;
            }
            Item::Loop { label, items } => {
                writeln!(text, "{indent}loop {}", escaped(label))?;
                write_items(text, &format!("{indent}    "), lanes, items)?;
                writeln!(text, "{indent}end")?;
            }
        }
    }
    Ok(())
}
