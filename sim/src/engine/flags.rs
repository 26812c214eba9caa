//! The flags of a classify: the field `FLAGS` of the fixed values.

use std::fmt;
use std::ops::BitOr;

/// `FWP_CONDITION_FLAG_…`, as far as they bear on redirection.
///
/// Source: driver-docs "Filtering Condition Flags"; the numbers: mingw-w64 `fwptypes.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `IS_LOOPBACK`: the traffic does not leave the machine.
    pub const LOOPBACK: Self = Self(0x1);
    /// `IS_REAUTHORIZE`: this was classified before, and is again.
    pub const REAUTHORIZE: Self = Self(0x4);
    /// `IS_WILDCARD_BIND`: the bind asks for no particular address.
    pub const WILDCARD_BIND: Self = Self(0x8);
    /// `IS_IMPLICIT_BIND`: the program did not call `bind`.
    pub const IMPLICIT_BIND: Self = Self(0x200);
    /// `IS_CONNECTION_REDIRECTED`: a redirect of this connect was accepted.
    pub const CONNECTION_REDIRECTED: Self = Self(0x10_0000);
    /// `IS_PROXY_CONNECTION`: there are redirect records of connections before this one. Not on Windows 7.
    pub const PROXY_CONNECTION: Self = Self(0x20_0000);

    /// Each flag that the model sets, with its name without `FWP_CONDITION_FLAG_` in front.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::LOOPBACK, "IS_LOOPBACK"),
        (Self::REAUTHORIZE, "IS_REAUTHORIZE"),
        (Self::WILDCARD_BIND, "IS_WILDCARD_BIND"),
        (Self::IMPLICIT_BIND, "IS_IMPLICIT_BIND"),
        (Self::CONNECTION_REDIRECTED, "IS_CONNECTION_REDIRECTED"),
        (Self::PROXY_CONNECTION, "IS_PROXY_CONNECTION"),
    ];

    /// Whether all of `flags` are set: `FWP_MATCH_FLAGS_ALL_SET`.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These flags where `set`, else none.
    #[must_use]
    pub fn when(self, set: bool) -> Self {
        if set { self } else { Self::NONE }
    }

    /// The number that Windows has for them.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The names of the flags that are set, in the order of their numbers.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_by_number_and_name() {
        let flags = Flags::PROXY_CONNECTION | Flags::LOOPBACK | Flags::REAUTHORIZE.when(false);
        assert_eq!(
            (flags.bits(), flags.to_string().as_str()),
            (0x20_0001, "IS_LOOPBACK, IS_PROXY_CONNECTION")
        );
        assert!(flags.contains(Flags::LOOPBACK) && flags.contains(Flags::NONE));
        assert!(!flags.contains(Flags::LOOPBACK | Flags::REAUTHORIZE));
    }
}
