//! What the parser says, in words for whoever wrote the file.

use std::borrow::Cow;

use super::diagnostic::quoted;
use super::places::Places;
use super::{Diagnostic, MAX_DEPTH, Span};

const LIKE_ITS_NEIGHBOURS: &str = "a line is indented exactly like the ones that it belongs to";
const NEEDS_QUOTES: &str = "put the text in quotes if it begins with this character";

/// Lists and mappings in each other beyond the limit.
pub(super) fn too_deep(span: &Span) -> Diagnostic {
    Diagnostic::at(span, format!("lists and mappings are nested deeper than {MAX_DEPTH} levels"))
}

/// A tag, which this dialect does without.
pub(super) fn no_tags(span: &Span) -> Diagnostic {
    Diagnostic::at(span, format!("the tag {} has no meaning here", quoted(span.text())))
        .with_help("leave it out, or put the text in quotes if it begins with `!`")
}

/// An error of the parser at a place; `opened` is the beginning of the innermost list or mapping there.
pub(super) fn explain(info: &str, at: usize, places: &Places<'_>, opened: Option<&Span>) -> Diagnostic {
    let text = places.source.text.as_str();
    // At the end of the file there is nothing to see; the place is where its last line ends.
    let at = at.min(text.trim_end().len());
    // A tab confuses the parser in many ways, and is the reason for all of them.
    if let Some(tab) = tab_in_indentation(text, at, info.contains("tab")) {
        return Diagnostic::at(&places.character(tab), "a tab cannot indent a line").with_help("use spaces");
    }
    let error = match info {
        "recursion limit exceeded" => too_deep(&places.character(at)),
        "the handle wasn't declared" => no_tags(&places.name(at)),
        "mapping values are not allowed in this context" => misplaced_colon(at, places),
        "simple key expected" | "simple key expect ':'" => missing_colon(at, places),
        "while parsing a quoted scalar, found unknown escape character"
        | "while parsing a quoted scalar, did not find expected hexadecimal number"
        | "while parsing a quoted scalar, found invalid Unicode character escape code" => {
            bad_escape(at, places)
        }
        "while parsing node, found unknown anchor" => {
            let alias = places.name(at);
            Diagnostic::at(&alias, format!("there is no anchor for the alias {}", quoted(alias.text())))
                .with_help("put the text in quotes if it begins with `*`")
        }
        "while parsing a block mapping, did not find expected key" => {
            Diagnostic::at(&line(at, places), "a key of the mapping above is expected here")
                .with_help(LIKE_ITS_NEIGHBOURS)
        }
        "while parsing a block collection, did not find expected '-' indicator" => Diagnostic::at(
            &line(at, places),
            "an item of the list above is expected here, beginning with `- `",
        )
        .with_help(LIKE_ITS_NEIGHBOURS),
        _ => {
            let (message, help) = reworded(info);
            let error = Diagnostic::at(&places.character(at), message);
            if help.is_empty() { error } else { error.with_help(help) }
        }
    };
    match opened {
        Some(bracket) if speaks_of_brackets(info) && matches!(bracket.text(), "[" | "{") => {
            error.with_secondary(bracket, "it is inside of this bracket")
        }
        _ => error,
    }
}

/// A message with what to do about it, where the place of the parser is the right one already.
fn reworded(info: &str) -> (Cow<'_, str>, &'static str) {
    let (message, help) = match info {
        "invalid indentation in quoted scalar"
        | "while scanning a quoted scalar, found unexpected end of stream"
        | "while scanning a quoted scalar, found unexpected document indicator" => {
            ("this quote is not closed", "every line of a text in quotes is indented deeper than its key")
        }
        "invalid trailing content after double-quoted scalar" => {
            ("nothing can follow the closing quote", "put all of the text into the quotes")
        }
        "comments must be separated from other tokens by whitespace" => {
            ("a space is missing in front of `#`", "")
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => ("expected `,` or `}` here", ""),
        "while parsing a flow sequence, expected ',' or ']'" => ("expected `,` or `]` here", ""),
        "while parsing a node, did not find expected node content" => ("a value is expected here", ""),
        "misplaced bracket" => ("this bracket was never opened", ""),
        "illegal placement of ':' indicator" => {
            ("`:` cannot stand here", "perhaps a bracket in front of it is not closed")
        }
        "':' may not precede any of `[{` in flow mapping" => ("a space is missing after `:`", ""),
        "':' must be followed by a valid YAML whitespace" => ("a tab cannot follow `:`", "use a space"),
        "block sequence entries are not allowed in this context" => {
            ("a list cannot begin here", "begin it in a new line, or write it as `[a, b]`")
        }
        r#""-" is only valid inside a block"# => ("a list with `-` cannot stand inside of brackets", ""),
        "unexpected character: `@'" => ("a text cannot begin with `@`", NEEDS_QUOTES),
        "unexpected character: `%'" => ("a text cannot begin with `%`", NEEDS_QUOTES),
        "unexpected character: ``'" => ("a text cannot begin with a backtick", NEEDS_QUOTES),
        "while scanning an anchor or alias, did not find expected alphabetic or numeric character" => {
            ("a name is missing after this character", NEEDS_QUOTES)
        }
        "while scanning a block scalar, did not find expected comment or line break" => {
            ("the text must begin in the next line", "put it in quotes if it begins with this character")
        }
        "wrongly indented line in block scalar" => ("this line is not indented like the first one", ""),
        "comment intercepting the multiline text" => {
            ("there cannot be a comment inside of a text", "perhaps the next line is indented too far")
        }
        "invalid indentation" | "invalid indentation in flow construct" => {
            ("this line is not indented deeply enough", "inside of brackets too, lines are indented")
        }
        "did not find expected <document start>" => {
            ("expected `---` here, after the lines that begin with `%`", NEEDS_QUOTES)
        }
        _ => return (Cow::Borrowed(info), ""),
    };
    (Cow::Borrowed(message), help)
}

fn speaks_of_brackets(info: &str) -> bool {
    info.contains("flow") || info.contains("node content")
}

/// What is written in the line of a place.
fn line(at: usize, places: &Places<'_>) -> Span {
    let text = places.source.text.as_str();
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| at + newline);
    let indentation = text.get(start..end).map_or(0, |line| line.len() - line.trim_start().len());
    places.trimmed(start + indentation, end)
}

fn misplaced_colon(at: usize, places: &Places<'_>) -> Diagnostic {
    let line = line(at, places);
    let before = places.span(line.start, at);
    if before.text().contains(": ") {
        Diagnostic::at(&places.character(at), "there is a second `: ` in this line")
            .with_help("put the text in quotes if this `: ` is a part of it")
    } else {
        Diagnostic::at(&before, "a key cannot stand here")
            .with_label("the line above is not finished, or is a text already")
            .with_help(LIKE_ITS_NEIGHBOURS)
    }
}

/// The parser notices a key without its colon only at what follows.
fn missing_colon(at: usize, places: &Places<'_>) -> Diagnostic {
    let mut before = places.source.text.get(..at).unwrap_or_default().trim_end();
    let mut key = line(before.len(), places);
    while key.text().starts_with('#') && key.start > 0 {
        before = before.get(..key.start).unwrap_or_default().trim_end();
        key = line(before.len(), places);
    }
    Diagnostic::at(&key, "expected a key and `: ` after it")
        .with_help("a key is followed by `:` and a space or the end of the line")
}

fn bad_escape(quote: usize, places: &Places<'_>) -> Diagnostic {
    let text = places.source.text.get(quote..).unwrap_or_default();
    let span = match escapes(text).find(|&(_, length, good)| !good && length > 0) {
        Some((start, length, _)) => places.span(quote + start, quote + start + length),
        None => places.character(quote),
    };
    Diagnostic::at(&span, format!("{} is not an escape", quoted(span.text())))
        .with_help(r"in single quotes a backslash is just a backslash: 'C:\folder'")
}

/// Every escape of a text in double quotes: where it is, its length, and whether it is a good one.
fn escapes(text: &str) -> impl Iterator<Item = (usize, usize, bool)> {
    let mut rest = text.char_indices();
    std::iter::from_fn(move || {
        let (start, _) = rest.find(|&(_, c)| c == '\\')?;
        let (_, kind) = rest.next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let code = rest.as_str().get(..digits).unwrap_or_default();
        let good = match digits {
            0 => "0abt\tnvfre \"/\\N_LP\r\n".contains(kind),
            _ => u32::from_str_radix(code, 16).ok().and_then(char::from_u32).is_some(),
        };
        Some((start, 1 + kind.len_utf8() + code.len(), good))
    })
}

/// The tab that indents the line of a place or, if the parser spoke of one, a line after it.
fn tab_in_indentation(text: &str, at: usize, further: bool) -> Option<usize> {
    let mut start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let lines = if further { usize::MAX } else { 1 };
    for line in text.get(start..)?.split_inclusive('\n').take(lines) {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line.get(..indentation).and_then(|blank| blank.find('\t'));
        if tab.is_some() && !line.trim().is_empty() {
            return tab.map(|tab| start + tab);
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Source, parse};

    /// The place, the underlined text and the message of the error in a text.
    fn error(text: &str) -> (usize, usize, String, String) {
        let error = parse(&Source::new("a.yaml", text)).unwrap_err();
        let span = error.span.unwrap();
        (span.line(), span.column(), span.text().to_owned(), error.message)
    }

    fn assert_error(text: &str, place: (usize, usize), underlined: &str, message: &str) {
        assert_eq!(error(text), (place.0, place.1, underlined.to_owned(), message.to_owned()), "{text:?}");
    }

    #[test]
    fn a_tab_in_the_indentation_is_pointed_at() {
        let message = "a tab cannot indent a line";
        assert_error("a:\n\tb: 1\n", (2, 1), "\t", message);
        assert_error("a:\n  b: 1\n  \tc: 1\n", (3, 3), "\t", message);
        assert_error("a: 1\n\tb: 2\n", (2, 1), "\t", message);
        assert_error("a:\n  - x\n\t- y\n", (3, 1), "\t", message);
        assert_error("a: [1,\n\t2\nb: 1\n", (3, 2), ":", "`:` cannot stand here");
    }

    #[test]
    fn a_second_colon_in_a_line_is_pointed_at() {
        assert_error("ä: b: c\n", (1, 5), ":", "there is a second `: ` in this line");
        assert_error("a: it's: x\n", (1, 8), ":", "there is a second `: ` in this line");
    }

    #[test]
    fn a_key_after_a_text_is_pointed_at() {
        assert_error("a: 1\n bee: 2\n", (2, 2), "bee", "a key cannot stand here");
        assert_error("a\nb: 1\n", (2, 1), "b", "a key cannot stand here");
    }

    #[test]
    fn a_key_without_colon_is_pointed_at_and_not_what_follows() {
        let message = "expected a key and `: ` after it";
        assert_error("a: 1\nbee\n# no\n\nc: 2\n", (2, 1), "bee", message);
        assert_error("a: 1\nb:2\n", (2, 1), "b:2", message);
        assert_error("a: 1\r\nb", (2, 1), "b", message);
    }

    #[test]
    fn a_line_that_fits_no_indentation_is_pointed_at() {
        let key = "a key of the mapping above is expected here";
        assert_error("a:\n    b: 1\n  c: 2 \n", (3, 3), "c: 2", key);
        assert_error("a: 1\n- b\n", (2, 1), "- b", key);
        let item = "an item of the list above is expected here, beginning with `- `";
        assert_error("- a\nb: 1\n", (2, 1), "b: 1", item);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_pointed_at() {
        assert_error("a: 'b\nc: 1\n", (1, 4), "'", "this quote is not closed");
        assert_error("a: \"b\n", (1, 4), "\"", "this quote is not closed");
    }

    #[test]
    fn a_bracket_that_is_not_closed_or_opened_is_pointed_at() {
        assert_error("a: {x: 1 b: 2}\n", (1, 11), ":", "expected `,` or `}` here");
        assert_error("a: [x\n", (1, 6), "", "expected `,` or `]` here");
        assert_error("a: [\n", (1, 5), "", "a value is expected here");
        assert_error("a: x]\nb: ]\n", (2, 4), "]", "this bracket was never opened");
    }

    #[test]
    fn the_bracket_around_an_error_is_shown_too() {
        let error = parse(&Source::new("a.yaml", "a:\n  {x: 1\n")).unwrap_err();
        let (span, label) = &error.secondary[0];
        assert_eq!((span.line(), span.column(), label.as_str()), (2, 3, "it is inside of this bracket"));
    }

    #[test]
    fn a_bad_escape_is_pointed_at() {
        assert_error(r#"a: "ä\\C:\Game""#, (1, 10), r"\G", r"`\G` is not an escape");
        assert_error(r#"a: "\x4""#, (1, 5), "\\x4\"", "`\\x4\"` is not an escape");
        assert_error(r#"a: "\n\uD800""#, (1, 7), r"\uD800", r"`\uD800` is not an escape");
    }

    #[test]
    fn a_text_that_needs_quotes_is_pointed_at() {
        assert_error("a: @x\n", (1, 4), "@", "a text cannot begin with `@`");
        assert_error("a: `x`\n", (1, 4), "`", "a text cannot begin with a backtick");
        assert_error("a: *.exe\n", (1, 4), "*.exe", "there is no anchor for the alias `*.exe`");
        assert_error("a: * x\n", (1, 4), "*", "a name is missing after this character");
        assert_error("a: !h!x y\n", (1, 4), "!h!x", "the tag `!h!x` has no meaning here");
    }

    #[test]
    fn what_is_not_reworded_keeps_its_place() {
        assert_error(
            "a: \u{FEFF}y",
            (1, 4),
            "\u{FEFF}",
            "a byte order mark must not appear inside a document",
        );
    }
}
