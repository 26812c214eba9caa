//! Text from files, as a terminal can show it without acting upon it.

use std::borrow::Cow;

/// A text without anything that a terminal would act upon: such characters are shown as `\u{1b}` is.
#[must_use]
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            // The end of a line on Windows.
            '\r' if rest.as_str().starts_with('\n') => {}
            _ if is_unprintable(c) => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same for the text that places are counted in: they stay the same, and so do the ends of lines.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut rest = text.chars();
    let mut shown = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        shown.push(match c {
            '\r' if rest.as_str().starts_with('\n') => c,
            _ if !is_unprintable(c) => c,
            _ => match c.len_utf8() {
                1 => '?',
                2 => '¿',
                _ => char::REPLACEMENT_CHARACTER,
            },
        });
    }
    Cow::Owned(shown)
}

pub(crate) fn is_unprintable(c: char) -> bool {
    // Beside what is not shown at all: what turns the direction of writing, so that a line reads differently from
    // what it is, and what ends a line without being seen to.
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_shown_by_its_number() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\u{9b}d\r"), r"a\u{1b}[31mb\u{202e}c\u{9b}d\u{d}");
        assert_eq!(printable("é\tx\r\ny"), "é\tx\ny");
    }

    #[test]
    fn what_is_masked_keeps_every_place() {
        let text = "a\u{1b}\u{9b}\u{61c}\u{202e}\r\né";
        assert_eq!(masked(text), "a?¿¿\u{fffd}\r\né");
        assert_eq!(masked(text).len(), text.len());
    }
}
