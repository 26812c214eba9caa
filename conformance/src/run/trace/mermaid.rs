//! A followed connection as a sequence diagram in the notation of Mermaid, which GitHub and many editors draw.
//!
//! The lanes are the process that connects first, the filter engine, each service or host that accepts a connection,
//! and the destination. What callouts are told and do stands in a note over the filter engine, so that a chain of
//! many vendors gets no wider than their services; the connects of a loop stand in a `loop` block, once.

use std::fmt::Write as _;

use super::{classified, connects, did, family, records, redirect, round, services, why};
use crate::follow::{Ending, HopReport};
use crate::printable::printable;
use crate::vocabulary::Name;

/// Characters in a line of a note about the end.
const LINE: usize = 72;

/// The lane of the filter engine.
const ENGINE: &str = "K";

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
        let before = report.at_connect.as_deref();
        let whens = [(before, ", when the socket is connected"), (hop, "")];
        for (asked, when) in whens
            .into_iter()
            .flat_map(|(hop, when)| hop.into_iter().flat_map(classified).map(move |asked| (asked, when)))
        {
            let mut lines = vec![format!("{}{when}", asked.layer)];
            lines.extend(asked.inspections.iter().map(|seen| {
                let state = wfp_sim::RedirectState::from(seen.state);
                escaped(&format!("{}: {}, {}", seen.callout, state.name(), did(seen)))
            }));
            writeln!(text, "{indent}Note over {ENGINE}: {}", lines.join(BREAK))?;
        }
        if let Some(what) = hop.and_then(redirect) {
            writeln!(text, "{indent}Note over {ENGINE}: {}", escaped(&what))?;
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

/// Between the lines of a note.
const BREAK: &str = "<br/>";

/// Words that mean something to Mermaid in the middle of a text: `wrap:` at its start, and a line with `style` or
/// `classDef`, of which the last semicolon is dropped.
const WORDS: [&str; 3] = ["wrap", "style", "classDef"];

/// A text that Mermaid shows as it is: what is neither a letter nor harmless punctuation is written by its number.
fn escaped(text: &str) -> String {
    let text = printable(text);
    if text.trim().is_empty() {
        return "(no name)".to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        let word = WORDS.iter().any(|word| rest.starts_with(word));
        if !word && (c.is_alphanumeric() || " -_.,:/()[]*>".contains(c)) {
            shown.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(shown, "#{};", u32::from(c));
        }
        rest = &rest[c.len_utf8()..];
    }
    shown
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
    use rstest::rstest;

    use super::*;

    /// What Mermaid makes of `#N;`: the character of this number.
    fn shown(escaped: &str) -> String {
        let mut parts = escaped.split('#');
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (number, rest) = part.split_once(';').unwrap();
            text.push(char::from_u32(number.parse().unwrap()).unwrap());
            text.push_str(rest);
        }
        text
    }

    #[rstest]
    #[case::harmless("proxy-a.v4 at loopback:1001", "proxy-a.v4 at loopback:1001")]
    #[case::end_of_statement("a;b", "a#59;b")]
    #[case::comment("#1 %% two", "#35;1 #37;#37; two")]
    #[case::markup("<b>bold", "#60;b>bold")]
    #[case::mathematics("$$x$$", "#36;#36;x#36;#36;")]
    #[case::next_line("a\nend", "a#10;end")]
    #[case::code_fence("```", "#96;#96;#96;")]
    #[case::text_that_would_wrap("wrap: x", "#119;rap: x")]
    #[case::line_that_would_lose_its_end("style:#", "#115;tyle:#35;")]
    #[case::letters_of_others("größe-日本", "größe-日本")]
    fn what_means_something_to_mermaid_is_written_by_its_number(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(escaped(name), expected);
        assert_eq!(shown(expected), name);
    }

    #[test]
    fn what_turns_the_direction_of_writing_is_shown_as_in_lines() {
        assert_eq!(shown(&escaped("a\u{202e}b\u{1b}")), r"a\u{202e}b\u{1b}");
    }

    #[rstest]
    #[case("")]
    #[case(" \t")]
    fn name_without_a_letter_is_a_lane_all_the_same(#[case] name: &str) {
        assert_eq!(escaped(name), "(no name)");
    }

    #[test]
    fn long_sentence_is_broken_between_words_and_none_is_lost() {
        let sentence = "it set the redirect records too late, when the connect was classified already or the socket was bound";
        let lines = wrapped(sentence);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= LINE), "{lines:?}");
        assert_eq!(lines.join(" "), sentence);
    }
}
