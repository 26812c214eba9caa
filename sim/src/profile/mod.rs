//! How the modelled machine behaves where the documents leave it open or contradict each other.
//!
//! No doubtful behaviour is a constant of the model: each is a field of [`Profile`], declared once in the
//! table of `fields.rs` with its source, the values that evidence supports, and what each built-in profile
//! says. Three profiles are built in:
//!
//! - `documented` (the default): the one reading under which most of the documents hold at once, and what
//!   evidence suggests where they are silent;
//! - `doc-parameters`: the parameter text of the control codes at its word;
//! - `nt-mapped`: what the NTSTATUS tables and code in the field suggest.
//!
//! Source: docs/behaviour.md, "Profiles".

mod fields;
mod mapped;
#[cfg(test)]
mod probes;
mod values;

use std::fmt;

pub use fields::{FIELDS, Profile};
pub use mapped::{FOLLOWS, Follows};
pub use values::{
    AcquireEffect, Alignment, Answer, AuthConnectCalls, AuthConnectMetadata, Availability, BothMessages,
    BytesReturned, ClearActionRight, ConnectContext, ContextLifetime, ControlPadding, CutControl, Effect,
    Elevation, EmptyInput, Failure, HandleRequired, InRoutine, InboundBlock, InlineReauthorize, KernelRights,
    LateOption, Level, LocalAddressRedirect, LocalAtConnect, LoneRoutine, Looked, Malformed, MappedAuthLayer,
    NoControlBuffer, OriginalAbsent, OriginalLevel, OtherKind, Peek, PendedBytes, PermitWithoutRight,
    PortRoutine, Probe, RedirectLayerBlock, RedirectReauthorize, RemoteAfterLocal, SameClassify, SetTwice,
    ShownPeer, SizeReturned, SizeWidth, SourcePort, SpiLastError, SublayersAfterBlock, TargetPid, Unaccepted,
    Unapplied, UnsetSource, UnusedContext, Usage, WindowsVersion, WskIrql,
};

/// One row of the table: what a field of [`Profile`] means, and what is known of it.
pub struct Field {
    /// The field's name in files and on the command line.
    pub name: &'static str,
    /// What it decides.
    pub summary: &'static str,
    /// Where the doubt is documented.
    pub source: &'static str,
    /// Each value that evidence supports, and that evidence. A number's values are its bounds.
    pub values: &'static [(&'static str, &'static str)],
    /// The least and the greatest value of a number.
    pub bounds: Option<(u32, u32)>,
    pub(crate) get: fn(&Profile) -> String,
    pub(crate) set: fn(&mut Profile, &str) -> bool,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Field {
    /// The field with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }

    /// What `profile` says, as text that [`Field::set`] takes.
    #[must_use]
    pub fn get(&self, profile: &Profile) -> String {
        (self.get)(profile)
    }

    /// Makes `profile` say `value`.
    ///
    /// # Errors
    /// [`UnknownValue`] where the field has no such value; `profile` is then as before.
    pub fn set(&self, profile: &mut Profile, value: &str) -> Result<(), UnknownValue> {
        if (self.set)(profile, value) {
            Ok(())
        } else {
            Err(UnknownValue { field: self.name, value: value.to_owned() })
        }
    }
}

/// A value that a field of the profile does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownValue {
    /// The field.
    pub field: &'static str,
    /// What was asked for.
    pub value: String,
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no value of the profile field `{}`", self.value, self.field)?;
        let Some(field) = Field::by_name(self.field) else { return Ok(()) };
        if let Some((low, high)) = field.bounds {
            return write!(f, "; it is a number from {low} to {high}");
        }
        let known: Vec<String> = field.values.iter().map(|(value, _)| format!("`{value}`")).collect();
        write!(f, "; known are {}", known.join(", "))
    }
}

impl std::error::Error for UnknownValue {}

impl Profile {
    /// The names of the built-in profiles, the default first.
    pub const BUILT_IN: [&'static str; 3] = ["documented", "doc-parameters", "nt-mapped"];

    /// The fields by which this machine never frees some redirect context, whatever drivers and programs do.
    pub fn leaky_fields(&self) -> impl Iterator<Item = &'static str> {
        let leaked = UnusedContext::Leaked;
        [
            ("context-of-refused-redirect", self.context_of_refused_redirect == leaked),
            ("context-of-overwritten-redirect", self.context_of_overwritten_redirect == leaked),
            ("context-of-failed-connect", self.context_of_failed_connect == leaked),
            ("context-of-blocked-connect", self.context_of_blocked_connect == leaked),
            ("connected-udp-context", self.connected_udp_context == ConnectContext::Leaked),
        ]
        .into_iter()
        .filter_map(|(field, leaks)| leaks.then_some(field))
    }

    /// The built-in profile with this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "documented" => Some(Self::documented()),
            "doc-parameters" => Some(Self::doc_parameters()),
            "nt-mapped" => Some(Self::nt_mapped()),
            _ => None,
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::documented()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_takes_each_of_its_values_and_gives_it_back() {
        for field in FIELDS {
            for (value, evidence) in field.values {
                let mut profile = Profile::default();
                field.set(&mut profile, value).unwrap();
                assert_eq!(field.get(&profile), *value, "{}", field.name);
                assert!(!evidence.is_empty(), "{} = {value} has no evidence", field.name);
            }
        }
    }

    #[test]
    fn built_in_profiles_say_only_what_evidence_supports() {
        for name in Profile::BUILT_IN {
            let profile = Profile::built_in(name).unwrap();
            for field in FIELDS {
                let said = field.get(&profile);
                assert!(
                    field.bounds.is_some() || field.values.iter().any(|(value, _)| *value == said),
                    "{name}: {} = {said}",
                    field.name
                );
            }
        }
    }

    #[test]
    fn unknown_value_is_refused_and_the_known_ones_are_named() {
        let mut profile = Profile::default();
        let before = profile.clone();
        let field = Field::by_name("set-twice").unwrap();
        let error = field.set(&mut profile, "sometimes").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sometimes` is no value of the profile field `set-twice`; known are `replace`, `append`"
        );
        assert_eq!(profile, before);
    }

    #[test]
    fn number_outside_its_bounds_is_refused() {
        let mut profile = Profile::default();
        let field = Field::by_name("record-bytes-per-hop").unwrap();
        let error = field.set(&mut profile, "23").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`23` is no value of the profile field `record-bytes-per-hop`; it is a number from 24 to 4096"
        );
        assert!(field.set(&mut profile, "24").is_ok());
        assert_eq!(profile.record_bytes_per_hop, 24);
    }

    #[test]
    fn profiles_differ_where_the_documents_do() {
        let too_small: Vec<String> = Profile::BUILT_IN
            .iter()
            .map(|name| Field::by_name("too-small").unwrap().get(&Profile::built_in(name).unwrap()))
            .collect();
        assert_eq!(too_small, ["ERROR_INSUFFICIENT_BUFFER, needed", "WSAEINVAL, zero", "WSAEFAULT, needed"]);
    }
}
