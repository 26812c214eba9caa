//! Codes by their names: how errors, statuses and bug checks stand in files.

use serde::Deserialize;

/// A code as backends elsewhere may write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a code is its name, or a number where it has none")]
enum Code<N> {
    Number(N),
    Name(String),
}

/// A module for serde's `with`: a code by its name, or its number as a text where it has none.
macro_rules! by_name {
    ($module:ident, $code:ident, $number:ty, $summary:literal) => {
        #[doc = $summary]
        pub(crate) mod $module {
            use std::sync::LazyLock;

            use serde::{Deserialize, Deserializer, Serializer, de};
            use wfp_sim::$code;

            use super::Code;

            static NAMES: LazyLock<Vec<&'static str>> =
                LazyLock::new(|| $code::ALL.iter().map(|(name, _, _)| *name).collect());

            pub(crate) fn serialize<S: Serializer>(code: &$code, serializer: S) -> Result<S::Ok, S::Error> {
                match code.name() {
                    Some(name) => serializer.serialize_str(name),
                    None => serializer.serialize_str(&code.0.to_string()),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$code, D::Error> {
                named(&String::deserialize(deserializer)?)
            }

            /// As a backend elsewhere answers it: also as a number that is no text.
            pub(crate) fn or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$code, D::Error> {
                match Code::<$number>::deserialize(deserializer)? {
                    Code::Number(number) => Ok($code(number)),
                    Code::Name(text) => named(&text),
                }
            }

            fn named<E: de::Error>(text: &str) -> Result<$code, E> {
                $code::by_name(text)
                    .or_else(|| text.parse().ok().map($code))
                    .ok_or_else(|| E::unknown_variant(text, &NAMES))
            }
        }
    };
}

by_name!(error_name, WinsockError, i32, "An error code by its name.");
by_name!(status_name, NtStatus, u32, "A status by its name.");

/// A bug check by its name.
pub(crate) mod bug_check_name {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use wfp_sim::BugCheck;

    static NAMES: [&str; BugCheck::ALL.len()] = {
        let mut names = [""; BugCheck::ALL.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = BugCheck::ALL[index].2;
            index += 1;
        }
        names
    };

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` calls it so")]
    pub(crate) fn serialize<S: Serializer>(bug_check: &BugCheck, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(bug_check.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BugCheck, D::Error> {
        let text = String::deserialize(deserializer)?;
        BugCheck::by_name(&text).ok_or_else(|| de::Error::unknown_variant(&text, &NAMES))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use wfp_sim::{NtStatus, WinsockError};

    use crate::vocabulary::Outcome;

    #[rstest]
    #[case::name(r#"{"error":"WSAEINVAL"}"#, Outcome::Error(WinsockError::WSAEINVAL))]
    #[case::number(r#"{"error":12345}"#, Outcome::Error(WinsockError(12345)))]
    #[case::number_with_a_name(r#"{"error":10022}"#, Outcome::Error(WinsockError::WSAEINVAL))]
    #[case::quoted(r#"{"error":"12345"}"#, Outcome::Error(WinsockError(12345)))]
    #[case::status(r#"{"status":3221225473}"#, Outcome::Status(NtStatus(0xC000_0001)))]
    #[case::quoted_status(r#"{"status":"3221225473"}"#, Outcome::Status(NtStatus(0xC000_0001)))]
    fn code_is_read_by_its_name_and_as_a_number(#[case] json: &str, #[case] outcome: Outcome) {
        assert_eq!(serde_json::from_str::<Outcome>(json).unwrap(), outcome);
    }

    #[rstest]
    #[case::no_name(r#"{"error":"WSAENOSUCH"}"#, "unknown variant `WSAENOSUCH`, expected one of ")]
    #[case::too_large(r#"{"error":4294967296}"#, "a code is its name, or a number where it has none")]
    #[case::fraction(r#"{"status":1.5}"#, "a code is its name, or a number where it has none")]
    fn what_is_no_code_is_told(#[case] json: &str, #[case] start: &str) {
        let error = serde_json::from_str::<Outcome>(json).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
}
