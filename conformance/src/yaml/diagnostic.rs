//! What is wrong, where, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::Span;
use crate::printable::{masked, printable};

/// The most characters that are underlined, and that a quoted value shows: a terminal's line holds more.
const SHOWN: usize = 60;

/// One error in one text.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// Where it is wrong; nothing if there is no text to point into, as with a missing file.
    pub span: Option<Span>,
    /// A few words for the place itself.
    pub label: String,
    /// Other places that have to do with it.
    pub secondary: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error that has no place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, label: String::new(), secondary: Vec::new(), help: None }
    }

    /// An error at a place.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self { span: Some(span.clone()), ..Self::new(message) }
    }

    /// Writes a few words at the place.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Shows another place.
    #[must_use]
    pub fn with_secondary(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.secondary.push((span.clone(), label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Gives it a place unless it has one: whoever notices an error first knows its place best.
    #[must_use]
    pub fn or_at(mut self, span: &Span) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    /// The error with the lines it is about, with colours or without.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(printable(&self.message)));
        let mut far = Vec::new();
        if let Some(span) = &self.span {
            let mut marks = vec![(span, vec![mark(span, &self.label, AnnotationKind::Primary)])];
            for (other, label) in &self.secondary {
                let annotation = mark(other, label, AnnotationKind::Context);
                let same = marks.iter_mut().find(|(first, _)| Arc::ptr_eq(&first.source, &other.source));
                match same {
                    Some((first, _)) if out_of_sight(first, other) => far.push((other, label)),
                    Some((_, annotations)) => annotations.push(annotation),
                    None => marks.push((other, vec![annotation])),
                }
            }
            group = group.elements(marks.into_iter().map(|(Span { source, .. }, annotations)| {
                Snippet::source(masked(&source.text)).path(printable(&source.name)).annotations(annotations)
            }));
        }
        for (place, label) in far {
            group = group.element(Level::NOTE.message(printable(&format!("{label}: {place}")).into_owned()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{}:{}:{}: ", printable(&span.source.name), span.line(), span.column())?;
        }
        f.write_str(&printable(&self.message).replace('\n', " "))
    }
}

impl std::error::Error for Diagnostic {}

/// The candidate that a mistyped word most likely stands for, if any is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // Whatever is longer than a line shows was not meant as a name, and comparing it would take long.
    if length > SHOWN {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (length / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A value as messages show it: in backticks, on one line, and not longer than a line holds.
pub(super) fn quoted(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Several names as messages list them.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn mark<'a>(span: &Span, label: &'a str, kind: AnnotationKind) -> Annotation<'a> {
    let annotation = kind.span(underlined(span));
    if label.is_empty() { annotation } else { annotation.label(printable(label)) }
}

/// Only the first line of a span, and only its beginning if that is long.
fn underlined(span: &Span) -> Range<usize> {
    let text = &span.source.text;
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    let wanted = span.end.saturating_sub(start);
    let length = rest
        .char_indices()
        .take(SHOWN)
        .take_while(|&(at, c)| at < wanted && c != '\n' && c != '\r')
        .last()
        .map_or(0, |(at, c)| at + c.len_utf8());
    start..start + length
}

/// Whether two places of a source are in one line, but too far from each other to be shown together.
fn out_of_sight(one: &Span, other: &Span) -> bool {
    one.start.abs_diff(other.start) > SHOWN && one.line() == other.line()
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::printable::is_unprintable;

    fn span(source: &Arc<Source>, part: &str) -> Span {
        let start = source.text.find(part).unwrap();
        Span { source: Arc::clone(source), start, end: start + part.len() }
    }

    #[test]
    fn it_is_shown_in_one_line_with_its_place() {
        let source = Source::new("a.yaml", "a: 1\nb: 2\n");
        let error = Diagnostic::at(&span(&source, "2"), "this is\nwrong");
        assert_eq!(error.to_string(), "a.yaml:2:4: this is wrong");
        assert_eq!(Diagnostic::new("no file").to_string(), "no file");
    }

    #[test]
    fn the_first_place_given_stays() {
        let source = Source::new("a.yaml", "a: 1\nb: 2\n");
        let error = Diagnostic::new("wrong").or_at(&span(&source, "2")).or_at(&span(&source, "a"));
        assert_eq!(error.span.unwrap().text(), "2");
    }

    #[test]
    fn it_is_rendered_with_its_lines_labels_and_help() {
        let source = Source::new("a.yaml", "port: 1\nhost: x\nport: 2\n");
        let second = Span { source: Arc::clone(&source), start: 16, end: 20 };
        let error = Diagnostic::at(&second, "`port` is given twice")
            .with_label("here again")
            .with_secondary(&span(&source, "port"), "first given here")
            .with_help("keep one of them");
        let expected = "\
error: `port` is given twice
 --> a.yaml:3:1
  |
1 | port: 1
  | ---- first given here
2 | host: x
3 | port: 2
  | ^^^^ here again
  |
  = help: keep one of them";
        assert_eq!(error.render(false), expected);
        assert!(error.render(true).contains("\u{1b}["));
    }

    #[test]
    fn a_place_in_another_file_is_rendered_with_that_file() {
        let one = Source::new("base.yaml", "a: 1");
        let other = Source::new("over.yaml", "b: 2");
        let error = Diagnostic::at(&span(&other, "b"), "no").with_secondary(&span(&one, "a"), "here");
        let rendered = error.render(false);
        assert!(rendered.contains("--> over.yaml:1:1"), "{rendered}");
        assert!(rendered.contains("::: base.yaml:1:1"), "{rendered}");
    }

    #[test]
    fn without_a_place_only_the_message_and_help_are_rendered() {
        let error = Diagnostic::new("x.yaml: there is no such file").with_help("look again");
        assert_eq!(error.render(false), "error: x.yaml: there is no such file\n |\n = help: look again");
    }

    #[test]
    fn only_the_first_line_of_a_long_place_is_underlined() {
        let source = Source::new("a.yaml", "a:\r\n  b: 1\r\n");
        let error = Diagnostic::at(&span(&source, "a:\r\n  b: 1"), "no");
        assert_eq!(error.render(false), "error: no\n --> a.yaml:1:1\n  |\n1 | a:\n  | ^^");
    }

    #[test]
    fn a_line_of_100_kb_is_trimmed_around_its_place() {
        let text = format!("{}: [{}BAD{}]", "k".repeat(50_000), "x, ".repeat(20_000), ", y".repeat(20_000));
        let source = Source::new("a.yaml", text);
        let all = Span { source: Arc::clone(&source), start: 0, end: source.text.len() };
        for place in [span(&source, "BAD"), all] {
            let rendered =
                Diagnostic::at(&place, "no").with_secondary(&span(&source, "kkk"), "it").render(false);
            assert!(rendered.len() < 1000, "{}", rendered.len());
        }
        let error = Diagnostic::at(&span(&source, "BAD"), "no").with_label("this one");
        let rendered = error.with_secondary(&span(&source, "kkk"), "the key").render(false);
        assert!(rendered.contains("BAD"), "{rendered}");
        assert!(rendered.contains("a.yaml:1:110004"), "{rendered}");
        assert!(rendered.contains("note: the key: a.yaml:1:1"), "{rendered}");
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let text = "a: \u{1b}[31m\u{9b}2J\u{7f}\u{202e}\r!\0 é\r\n";
        let source = Source::new("\u{1b}.yaml", text);
        let error = Diagnostic::at(&span(&source, "é"), text)
            .with_label(text)
            .with_secondary(&span(&source, "a"), text)
            .with_help(text);
        for shown in [error.render(false), error.to_string()] {
            let bad = shown.chars().find(|&c| is_unprintable(c));
            assert_eq!(bad, None, "{shown:?}");
        }
        assert!(error.render(false).contains("1:18"), "{}", error.render(false));
    }

    #[test]
    fn a_place_outside_of_the_text_is_rendered_without_panic() {
        let source = Source::new("a.yaml", "ä");
        for (start, end) in [(0, 99), (1, 2), (2, 2), (99, 3), (5, 1)] {
            let span = Span { source: Arc::clone(&source), start, end };
            assert!(Diagnostic::at(&span, "no").render(false).contains("error: no"));
        }
        let empty = Span { source: Source::new("a.yaml", ""), start: 0, end: 0 };
        assert!(Diagnostic::at(&empty, "no").render(false).contains("a.yaml:1:1"));
    }

    #[test]
    fn the_nearest_word_is_found_only_if_it_is_near() {
        let names = ["address", "port", "idle_timeout"];
        assert_eq!(nearest("adress", names), Some("address"));
        assert_eq!(nearest("Port", names), Some("port"));
        assert_eq!(nearest("prot", names), Some("port"));
        assert_eq!(nearest("idle-timeout", names), Some("idle_timeout"));
        assert_eq!(nearest("host", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"x".repeat(100_000), names), None);
    }

    #[test]
    fn a_long_value_is_quoted_in_part_and_in_one_line() {
        assert_eq!(quoted("a\nb"), "`a b`");
        assert_eq!(quoted(&"ä".repeat(70)), format!("`{}…`", "ä".repeat(60)));
    }
}
