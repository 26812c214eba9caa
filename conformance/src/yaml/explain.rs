//! The errors of `serde` in words for whoever wrote the file.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::diagnostic::{listed, quoted};
use super::{Diagnostic, nearest};

impl Error for Diagnostic {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", wanted(expected), described(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let items = if length == 1 { "item" } else { "items" };
        Self::new(format!("expected {}, found {length} {items}", wanted(expected)))
    }

    fn unknown_variant(name: &str, expected: &'static [&'static str]) -> Self {
        unknown("name", name, expected)
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        unknown("key", name, expected)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(format!("the key {} is missing", quoted(name))).with_label("it belongs to what begins here")
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(format!("the key {} is given twice", quoted(name)))
    }
}

/// A name that is not among the valid ones.
fn unknown(what: &str, name: &str, valid: &[&str]) -> Diagnostic {
    let error = Diagnostic::new(format!("unknown {what} {}", quoted(name)));
    let error = match nearest(name, valid.iter().copied()) {
        Some(near) => error.with_label(format!("did you mean {}?", quoted(near))),
        None => error,
    };
    match valid {
        [] => error.with_help(format!("no {what} can be given here")),
        _ => error.with_help(format!("what can be given here: {}", listed(valid.iter().copied()))),
    }
}

/// What was expected; the words that `serde` chose for programmers are replaced.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "string" => "text".into(),
        "a character" => "a single character".into(),
        "a boolean" => "`true` or `false`".into(),
        "f32" | "f64" => "a number".into(),
        "a map" => "a mapping".into(),
        "a sequence" => "a list".into(),
        "unit" => "nothing".into(),
        _ if text.starts_with("a nonzero ") => "a number other than 0".into(),
        _ if starts_with_any(&text, &["struct ", "struct variant "]) => "a mapping".into(),
        _ if starts_with_any(&text, &["tuple ", "a tuple ", "an array "]) => {
            let length: String = text.chars().filter(char::is_ascii_digit).collect();
            if length.is_empty() { "a list".into() } else { format!("a list of {length} items") }
        }
        _ if starts_with_any(&text, &["unit struct ", "unit variant "]) => "nothing".into(),
        _ => text,
    }
}

fn starts_with_any(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| text.starts_with(beginning))
}

fn described(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Char(value) => format!("the text `{value}`"),
        Unexpected::Str(value) => format!("the text {}", quoted(value)),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_comes_with_the_nearest_and_with_all_valid_ones() {
        let error = Diagnostic::unknown_field("adress", &["address", "port"]);
        assert_eq!(error.message, "unknown key `adress`");
        assert_eq!(error.label, "did you mean `address`?");
        assert_eq!(error.help.as_deref(), Some("what can be given here: `address`, `port`"));
    }

    #[test]
    fn a_name_far_from_all_valid_ones_gets_no_guess() {
        let error = Diagnostic::unknown_variant("xyz", &["connect", "listen"]);
        assert_eq!(error.message, "unknown name `xyz`");
        assert_eq!(error.label, "");
        assert_eq!(error.help.as_deref(), Some("what can be given here: `connect`, `listen`"));
    }

    #[test]
    fn an_unknown_key_where_none_is_valid_says_so() {
        let error = Diagnostic::unknown_field("x", &[]);
        assert_eq!(error.help.as_deref(), Some("no key can be given here"));
    }

    #[test]
    fn types_are_named_in_words_of_the_file() {
        let message = |found, expected: &str| Diagnostic::invalid_type(found, &expected).message;
        assert_eq!(message(Unexpected::Unit, "a string"), "expected text, found nothing");
        assert_eq!(message(Unexpected::Seq, "struct Scenario"), "expected a mapping, found a list");
        assert_eq!(
            message(Unexpected::Str("x"), "a boolean"),
            "expected `true` or `false`, found the text `x`"
        );
        assert_eq!(
            message(Unexpected::Unsigned(0), "a nonzero u16"),
            "expected a number other than 0, found the number `0`"
        );
        assert_eq!(message(Unexpected::Map, "tuple struct Pair"), "expected a list, found a mapping");
    }
}
