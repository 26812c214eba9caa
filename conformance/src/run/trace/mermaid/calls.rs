//! Calls that a case made one by one, as a diagram: each process has a lane, and the machine that answers is one.

use std::fmt::Write as _;

use super::words::escaped;
use super::{ENGINE, write_classified};
use crate::run::{Called, Event};
use crate::vocabulary::Name;

/// The calls among these events as a diagram.
pub(super) fn diagram(events: &[Event]) -> String {
    let calls: Vec<&Called> = events
        .iter()
        .filter_map(|event| match event {
            Event::Called(called) => Some(called),
            Event::Followed(_) => None,
        })
        .collect();
    let mut processes: Vec<&Name> = Vec::new();
    for called in &calls {
        if !processes.contains(&&called.process) {
            processes.push(&called.process);
        }
    }
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string does not fail.
    let _ = write(&mut text, &processes, &calls);
    text
}

fn write(text: &mut String, processes: &[&Name], calls: &[&Called]) -> std::fmt::Result {
    for (number, process) in processes.iter().enumerate() {
        writeln!(text, "    participant P{} as {}", number + 1, escaped(process))?;
        if number == 0 {
            writeln!(text, "    participant {ENGINE} as Windows")?;
        }
    }
    for called in calls {
        let number = processes.iter().position(|process| **process == called.process).unwrap_or_default() + 1;
        let to = called.hop.as_ref().map_or(String::new(), |hop| format!(" {}", hop.destination));
        let call = escaped(&format!("{}{to} -> {}", called.what, called.observed));
        writeln!(text, "    P{number}->>{ENGINE}: {call}")?;
        if let Some(hop) = &called.hop {
            write_classified(text, "    ", hop, "")?;
            if hop.target != hop.destination {
                writeln!(text, "    Note over {ENGINE}: goes to {}", escaped(&hop.target.to_string()))?;
            }
        }
    }
    Ok(())
}
