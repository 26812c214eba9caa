//! What a plain scalar stands for: the core schema of YAML 1.2.

use std::fmt::Display;
use std::num::ParseIntError;

/// A plain scalar, understood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Null,
    Bool(bool),
    Integer(Integer<'a>),
    Float(f64),
    Text,
}

/// A whole number, not yet of any width: `digits` with their sign, without the prefix of the radix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Integer<'a> {
    pub(super) digits: &'a str,
    pub(super) radix: u32,
}

impl Integer<'_> {
    /// The nearest number with a fraction.
    pub(super) fn to_float(self) -> f64 {
        match self.radix {
            10 => self.digits.parse().unwrap_or(f64::NAN),
            radix => self
                .digits
                .chars()
                .filter_map(|digit| digit.to_digit(radix))
                .fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)),
        }
    }
}

/// A type of whole numbers, with its range.
pub(super) struct Width<T> {
    pub(super) parse: fn(digits: &str, radix: u32) -> Result<T, ParseIntError>,
    pub(super) min: T,
    pub(super) max: T,
}

impl<T: Display> Width<T> {
    /// The number in this type; nothing if it is out of range, for the digits are known to be right.
    pub(super) fn read(&self, integer: Integer<'_>) -> Option<T> {
        (self.parse)(integer.digits, integer.radix).ok()
    }

    /// What errors call a number of this type.
    pub(super) fn description(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

pub(super) fn resolve(text: &str) -> Plain<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Plain::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Plain::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or(Plain::Text),
    }
}

fn number(text: &str) -> Option<Plain<'_>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust reads `inf` and `nan` as numbers too, and here these are words.
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    integer(text, unsigned).map(Plain::Integer).or_else(|| text.parse().ok().map(Plain::Float))
}

fn integer<'a>(text: &'a str, unsigned: &str) -> Option<Integer<'a>> {
    let (digits, radix, checked) = if let Some(digits) = text.strip_prefix("0x") {
        (digits, 16, digits)
    } else if let Some(digits) = text.strip_prefix("0o") {
        (digits, 8, digits)
    } else {
        (text, 10, unsigned)
    };
    let whole = !checked.is_empty() && checked.chars().all(|digit| digit.is_digit(radix));
    whole.then_some(Integer { digits, radix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(digits: &str, radix: u32) -> Plain<'_> {
        Plain::Integer(Integer { digits, radix })
    }

    #[test]
    fn only_the_words_of_the_core_schema_are_null_or_truth_values() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(resolve(text), Plain::Null, "{text}");
        }
        assert_eq!(resolve("true"), Plain::Bool(true));
        assert_eq!(resolve("False"), Plain::Bool(false));
        for text in ["yes", "no", "on", "off", "nULL", "tRUE", "y", "none"] {
            assert_eq!(resolve(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_decimal_hexadecimal_or_octal() {
        assert_eq!(resolve("0"), integer("0", 10));
        assert_eq!(resolve("-12"), integer("-12", 10));
        assert_eq!(resolve("+7"), integer("+7", 10));
        assert_eq!(resolve("007"), integer("007", 10));
        assert_eq!(resolve("0x1F"), integer("1F", 16));
        assert_eq!(resolve("0o17"), integer("17", 8));
        for text in ["0x", "0xG", "0o8", "-0x1", "1_000", "0b1", "+", "-", "--1"] {
            assert_eq!(resolve(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn a_width_reads_what_is_in_its_range() {
        let width = Width { parse: i8::from_str_radix, min: i8::MIN, max: i8::MAX };
        let read = |digits, radix| width.read(Integer { digits, radix });
        assert_eq!((read("-128", 10), read("7f", 16), read("+17", 10)), (Some(-128), Some(127), Some(17)));
        assert_eq!((read("128", 10), read("80", 16)), (None, None));
        assert_eq!(width.description(), "a whole number from -128 to 127");
    }

    #[test]
    fn fractions_and_exponents_are_floats() {
        assert_eq!(resolve("1.5"), Plain::Float(1.5));
        assert_eq!(resolve("-.5"), Plain::Float(-0.5));
        assert_eq!(resolve("2."), Plain::Float(2.0));
        assert_eq!(resolve("1e3"), Plain::Float(1000.0));
        assert_eq!(resolve("-.inf"), Plain::Float(f64::NEG_INFINITY));
        assert!(matches!(resolve(".nan"), Plain::Float(value) if value.is_nan()));
        for text in ["inf", "nan", "infinity", "-inf", ".", "1e", "1.2.3", "10.0.0.1", "1:30", "1s"] {
            assert_eq!(resolve(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn a_whole_number_of_any_radix_has_its_float() {
        for (text, value) in [("-12", -12.0), ("0xff", 255.0), ("0o17", 15.0)] {
            let Plain::Integer(integer) = resolve(text) else { panic!("{text}") };
            assert_eq!(Plain::Float(integer.to_float()), Plain::Float(value), "{text}");
        }
    }
}
