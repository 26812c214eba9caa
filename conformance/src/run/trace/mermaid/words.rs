//! Texts that Mermaid shows as they are.

use std::fmt::Write as _;

use crate::printable::printable;

/// Between the lines of a note.
pub(super) const BREAK: &str = "<br/>";

/// Words that mean something to Mermaid in the middle of a text: `wrap:` at its start, and a line with `style` or
/// `classDef`, of which the last semicolon is dropped.
const WORDS: [&str; 3] = ["wrap", "style", "classDef"];

/// A text that Mermaid shows as it is: what is neither a letter nor harmless punctuation is written by its number.
pub(super) fn escaped(text: &str) -> String {
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
}
