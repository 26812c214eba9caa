//! What the parser says, in words for whoever wrote the file.

use std::sync::Arc;

use super::diagnostic::quoted;
use super::{Diagnostic, MAX_DEPTH, Source, Span};

const BAD_ESCAPE: &str = "while parsing a quoted scalar, found unknown escape character";

/// What follows a backslash in double quotes.
const ESCAPES: &str = "0abt\tnvfre \"/\\N_LPxuU\n\r";

/// Lists and mappings in each other beyond the limit.
pub(super) fn too_deep(span: &Span) -> Diagnostic {
    Diagnostic::at(span, format!("lists and mappings are nested deeper than {MAX_DEPTH} levels"))
}

/// An error of the parser at a place; `opened` is the beginning of the innermost list or mapping there.
pub(super) fn explain(info: &str, source: &Arc<Source>, at: usize, opened: Option<&Span>) -> Diagnostic {
    let text = source.text.as_str();
    // An error at the end of the file is best seen where something is written.
    let at = at.min(text.trim_end().len());
    let span = |start: usize, length: usize| Span { source: Arc::clone(source), start, end: start + length };
    let here = span(at, text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8));

    // A tab confuses the parser in many ways, and is the reason for all of them.
    if let Some(tab) = tab_in_indentation(text, at) {
        return Diagnostic::at(&span(tab, 1), "a tab cannot indent a line").with_help("use spaces");
    }
    match info {
        "recursion limit exceeded" => too_deep(&here),
        BAD_ESCAPE => bad_escape(text, at).map_or_else(
            || Diagnostic::at(&here, "there is an unknown escape in this text"),
            |backslash| {
                let escape = span(backslash, escape_length(text, backslash));
                Diagnostic::at(&escape, format!("{} is not an escape", quoted(escape.text())))
            },
        )
        .with_help("in single quotes a backslash is a backslash: `'C:\\folder'`"),
        _ => {
            let (message, help) = reworded(info, here.text());
            let error = Diagnostic::at(&here, message);
            let error = if help.is_empty() { error } else { error.with_help(help) };
            match opened {
                Some(opened) if info.contains("flow") && matches!(opened.text(), "[" | "{") => {
                    error.with_secondary(opened, "it was opened here")
                }
                _ => error,
            }
        }
    }
}

fn reworded<'a>(info: &'a str, _character: &str) -> (&'a str, &'static str) {
    (info, "")
}

fn tab_in_indentation(text: &str, at: usize) -> Option<usize> {
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let indentation = text.get(line_start..)?.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
    indentation.into_iter().position(|byte| byte == b'\t').map(|tab| line_start + tab)
}

/// The backslash that is no escape, in a text in double quotes.
fn bad_escape(text: &str, quote: usize) -> Option<usize> {
    let mut rest = text.get(quote..)?.char_indices();
    while let Some((at, c)) = rest.next() {
        if c == '\\' && !rest.next().is_some_and(|(_, escaped)| ESCAPES.contains(escaped)) {
            return Some(quote + at);
        }
    }
    None
}

fn escape_length(text: &str, backslash: usize) -> usize {
    text.get(backslash..).unwrap_or_default().chars().take(2).map(char::len_utf8).sum()
}
