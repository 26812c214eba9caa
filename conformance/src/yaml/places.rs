//! From the parser's places to exact ones.

use std::sync::Arc;

use super::{Source, Span};

/// What YAML takes for space; every other character belongs to the texts.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Finds places in a source. The parser counts in characters, and often includes what stands before a value
/// (its anchor) or behind it (spaces, a comment).
pub(super) struct Places<'s> {
    pub(super) source: &'s Arc<Source>,
    ascii: bool,
    /// A place known in both units. Places are asked for nearly in order, so the next one is never far.
    known_char: usize,
    known_byte: usize,
}

impl<'s> Places<'s> {
    pub(super) fn new(source: &'s Arc<Source>) -> Self {
        Self { source, ascii: source.text.is_ascii(), known_char: 0, known_byte: 0 }
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span { source: Arc::clone(self.source), start, end: end.max(start) }
    }

    /// A span without the spaces and line ends behind it.
    pub(super) fn trimmed(&self, start: usize, end: usize) -> Span {
        let text = self.source.text.get(start..end).unwrap_or_default();
        self.span(start, start + text.trim_end_matches(SPACE).len())
    }

    /// The one character at a place; nothing at the end of a line.
    pub(super) fn character(&self, start: usize) -> Span {
        let character = self.rest(start).chars().next().filter(|c| !matches!(c, '\r' | '\n'));
        self.span(start, start + character.map_or(0, char::len_utf8))
    }

    /// Everything from a place to the next space or line end.
    pub(super) fn word(&self, start: usize) -> Span {
        let rest = self.rest(start);
        self.span(start, start + rest.find(SPACE).unwrap_or(rest.len()))
    }

    /// The same without what ends a list or mapping behind it.
    pub(super) fn name(&self, start: usize) -> Span {
        let word = self.word(start);
        self.span(start, start + word.text().trim_end_matches([',', ']', '}']).len())
    }

    /// The byte at which the character of a number begins.
    pub(super) fn byte(&mut self, character: usize) -> usize {
        let text = self.source.text.as_str();
        if self.ascii {
            return character.min(text.len());
        }
        let (before, after) = text.split_at_checked(self.known_byte).unwrap_or((text, ""));
        if let Some(forward) = character.checked_sub(self.known_char) {
            let passed = after.chars().take(forward);
            let (count, bytes) = passed.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
            self.known_char += count;
            self.known_byte += bytes;
        } else {
            let passed = before.chars().rev().take(self.known_char - character);
            self.known_byte -= passed.map(char::len_utf8).sum::<usize>();
            self.known_char = character;
        }
        self.known_byte
    }

    pub(super) fn is_bracket(&self, at: usize) -> bool {
        self.rest(at).starts_with([']', '}'])
    }

    /// Where a node begins whose anchor, if it has one, begins at a place.
    pub(super) fn after_anchor(&self, start: usize) -> usize {
        if !self.rest(start).starts_with('&') {
            return start;
        }
        let ends_name = |c: char| SPACE.contains(&c) || ",[]{}".contains(c);
        let mut rest = self.rest(start).trim_start_matches(|c| !ends_name(c)).trim_start_matches(SPACE);
        while rest.starts_with('#') {
            rest = rest.trim_start_matches(|c| c != '\n').trim_start_matches(SPACE);
        }
        self.source.text.len() - rest.len()
    }

    /// Where a list begins that is as far left as its key: the parser begins it only after its first dash.
    pub(super) fn dash_before(&self, start: usize) -> usize {
        let before = self.source.text.get(..start).unwrap_or_default();
        let line =
            before.rfind('\n').and_then(|newline| before.get(newline + 1..)).unwrap_or_default().trim_start();
        match line.strip_prefix('-').map(str::trim_start) {
            Some(rest) if rest.is_empty() || rest.starts_with('#') => start - line.len(),
            _ => start,
        }
    }

    /// Where a quoted text ends that begins at a place.
    pub(super) fn closing_quote(&self, start: usize) -> usize {
        let mut rest = self.rest(start).char_indices();
        let Some((_, quote)) = rest.next() else { return start };
        while let Some((at, c)) = rest.next() {
            let doubled = quote == '\'' && rest.as_str().starts_with(quote);
            if c == quote && !doubled {
                return start + at + 1;
            }
            // What follows belongs to this character, and is no end even if it is a quote.
            if c == quote || (c == '\\' && quote == '"') {
                rest.next();
            }
        }
        self.source.text.len()
    }

    fn rest(&self, start: usize) -> &'s str {
        self.source.text.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_bytes_in_any_order() {
        let source = Source::new("a.yaml", "aäö€😀z");
        let mut places = Places::new(&source);
        let expected = [0, 1, 3, 5, 8, 12, 13, 13];
        for character in [0, 5, 2, 7, 1, 4, 3, 6, 0] {
            assert_eq!(places.byte(character), expected[character], "{character}");
        }
    }

    #[test]
    fn characters_of_ascii_are_bytes() {
        let source = Source::new("a.yaml", "abc");
        let mut places = Places::new(&source);
        assert_eq!((places.byte(2), places.byte(99)), (2, 3));
    }

    #[test]
    fn a_quoted_text_ends_at_its_own_quote() {
        let end = |text: &str| Places::new(&Source::new("a.yaml", text)).closing_quote(0);
        assert_eq!(end("'it''s' # 'x'"), 7);
        assert_eq!(end(r#""a\"b" # "x""#), 6);
        assert_eq!(end(r#""a\\" "#), 5);
        assert_eq!(end("'open"), 5);
        assert_eq!(end(""), 0);
    }

    #[test]
    fn a_list_begins_at_its_first_dash() {
        let dash = |text: &str, at| Places::new(&Source::new("a.yaml", text)).dash_before(at);
        assert_eq!(dash("a:\n- x", 5), 3);
        assert_eq!(dash("a:\n -  [x]", 7), 4);
        assert_eq!(dash("a:\n- # one\n  x", 10), 3);
        assert_eq!(dash("a:\n  - x", 5), 5);
        assert_eq!(dash("a:\n- b: [x]", 8), 8);
    }

    #[test]
    fn a_node_begins_after_its_anchor_and_comments() {
        let after = |text: &str| Places::new(&Source::new("a.yaml", text)).after_anchor(0);
        assert_eq!(after("&a x"), 3);
        assert_eq!(after("&a # one\n  # two\n  x"), 19);
        assert_eq!(after("&a"), 2);
        assert_eq!(after("&a{b: c}"), 2);
        assert_eq!(after("x &a"), 0);
    }
}
