//! Profiles that follow from a table of statuses: what a machine answers whose Winsock turns the statuses of the
//! kernel's pages into errors by that table.
//!
//! Source: docs/behaviour.md, "Status mapping". That the control codes take such a path on Windows is not proven.

use super::Profile;
use super::values::{Answer, Elevation, EmptyInput, Malformed};
use crate::error::WinsockError;
use crate::ntstatus::{NtStatus, StatusTable};

/// A field of the profile that follows from a table: its name, the status that the kernel's pages have for its
/// situation, and why that one.
pub struct Follows {
    /// The field's name.
    pub field: &'static str,
    /// The status.
    pub status: NtStatus,
    /// Why the situation has this status.
    pub why: &'static str,
    apply: fn(&mut Profile, WinsockError),
}

/// Every field that follows from a table.
pub const FOLLOWS: &[Follows] = &[
    Follows {
        field: "size-query",
        status: NtStatus::STATUS_BUFFER_TOO_SMALL,
        why: "the kernel's pages report the size with it",
        apply: |profile, error| profile.size_query.error = error,
    },
    Follows {
        field: "too-small",
        status: NtStatus::STATUS_BUFFER_TOO_SMALL,
        why: "the kernel's pages name it",
        apply: |profile, error| profile.too_small.error = error,
    },
    Follows {
        field: "records-not-redirected",
        status: NtStatus::STATUS_NOT_FOUND,
        why: "the kernel's pages name it",
        apply: |profile, error| profile.records_not_redirected.error = error,
    },
    Follows {
        field: "context-not-redirected",
        status: NtStatus::STATUS_NOT_FOUND,
        why: "the kernel's pages name it",
        apply: |profile, error| profile.context_not_redirected.error = error,
    },
    Follows {
        field: "context-absent",
        status: NtStatus::STATUS_NOT_FOUND,
        why: "inferred: there is nothing to be found",
        apply: |profile, error| {
            if let Answer::Fails(failure) = &mut profile.context_absent {
                failure.error = error;
            }
        },
    },
    Follows {
        field: "unknown-code",
        status: NtStatus::STATUS_NOT_SUPPORTED,
        why: "inferred: what a provider answers to a request that it does not serve",
        apply: |profile, error| profile.unknown_code = error,
    },
    Follows {
        field: "set-needs-elevation",
        status: NtStatus::STATUS_ACCESS_DENIED,
        why: "the kernel's pages name it",
        apply: |profile, error| {
            if error == WinsockError::WSAEACCES {
                profile.set_needs_elevation = Elevation::Needed;
            }
        },
    },
    Follows {
        field: "set-empty-input",
        status: NtStatus::STATUS_INVALID_PARAMETER,
        why: "inferred: an argument does not suit the call",
        apply: |profile, error| match error {
            WinsockError::WSAEINVAL => profile.set_empty_input = EmptyInput::Invalid,
            WinsockError::WSAEFAULT => profile.set_empty_input = EmptyInput::Fault,
            _ => {}
        },
    },
    Follows {
        field: "set-malformed",
        status: NtStatus::STATUS_INVALID_PARAMETER,
        why: "inferred: an argument does not suit the call",
        apply: |profile, error| match error {
            WinsockError::WSAEINVAL => profile.set_malformed = Malformed::Invalid,
            WinsockError::WSAEFAULT => profile.set_malformed = Malformed::Fault,
            _ => {}
        },
    },
];

impl Profile {
    /// This profile, with every field of [`FOLLOWS`] as the table has it.
    ///
    /// A table says which error a failure has, and nothing of the bytes-returned word or of whether something fails
    /// at all: these stay as they are, and so does every field whose status the table does not have, or whose error
    /// the field cannot say.
    #[must_use]
    pub fn mapped_by(&self, table: &StatusTable) -> Self {
        let mut profile = self.clone();
        for follows in FOLLOWS {
            if let Some(error) = table.error_of(follows.status) {
                (follows.apply)(&mut profile, error);
            }
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntstatus::{REACTOS, WIN_NET_TEST, WINE};
    use crate::profile::{FIELDS, Field};

    fn says(profile: &Profile, name: &str) -> String {
        Field::by_name(name).unwrap().get(profile)
    }

    #[test]
    fn built_in_nt_mapped_is_what_the_table_of_win_net_test_says() {
        let mapped = Profile::documented().mapped_by(&WIN_NET_TEST);
        for Follows { field, .. } in FOLLOWS {
            assert_eq!(says(&mapped, field), says(&Profile::nt_mapped(), field), "{field}");
        }
        assert_eq!(Profile::nt_mapped().mapped_by(&WIN_NET_TEST), Profile::nt_mapped());
    }

    #[test]
    fn tables_of_win_net_test_and_wine_make_the_same_profile() {
        for base in Profile::BUILT_IN.map(|name| Profile::built_in(name).unwrap()) {
            assert_eq!(base.mapped_by(&WINE), base.mapped_by(&WIN_NET_TEST));
        }
    }

    #[test]
    fn table_of_reactos_changes_what_too_small_is_and_nothing_else() {
        let base = Profile::nt_mapped();
        let mapped = base.mapped_by(&REACTOS);
        let changed: Vec<(&str, String)> = FIELDS
            .iter()
            .filter(|field| field.get(&base) != field.get(&mapped))
            .map(|field| (field.name, field.get(&mapped)))
            .collect();
        let too_small = "WSAEMSGSIZE, needed".to_owned();
        assert_eq!(changed, [("size-query", too_small.clone()), ("too-small", too_small)]);
    }

    #[test]
    fn table_leaves_the_word_and_what_does_not_fail_as_they_were() {
        let mut base = Profile::doc_parameters();
        base.context_absent = Answer::Nothing;
        let mapped = base.mapped_by(&WIN_NET_TEST);
        assert_eq!(says(&mapped, "too-small"), "WSAEFAULT, zero");
        assert_eq!(says(&mapped, "context-absent"), "success, zero");
    }

    /// A profile that a table makes can be written to a file and read again.
    #[test]
    fn fields_that_follow_take_what_every_table_says() {
        for table in StatusTable::ALL {
            let mapped = Profile::nt_mapped().mapped_by(table);
            for Follows { field, why, .. } in FOLLOWS {
                let mut profile = Profile::documented();
                let said = says(&mapped, field);
                assert!(
                    Field::by_name(field).unwrap().values.iter().any(|(value, _)| *value == said),
                    "{said}"
                );
                assert_eq!(Field::by_name(field).unwrap().set(&mut profile, &said), Ok(()), "{field}: {why}");
            }
        }
    }
}
