//! The control codes of `WSAIoctl` that concern redirection, and the one that cancels them.
//!
//! Source: the macros of `mstcpip.h`, `_WSAIOW(IOC_VENDOR, 220..=222)`; docs/behaviour.md, "Control codes".

use std::fmt;

/// A value of `dwIoControlCode`.
///
/// The model compares all 32 bits and never looks at the direction bits: the two queries carry `IOC_IN`
/// although they only produce output (docs/behaviour.md, C-31).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlCode(pub u32);

impl ControlCode {
    /// Fetches the redirect records of an accepted connection.
    pub const SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS: Self = Self::vendor(220);
    /// Fetches the redirect context of an accepted connection.
    pub const SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT: Self = Self::vendor(221);
    /// Puts redirect records on a socket that is about to connect.
    pub const SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS: Self = Self::vendor(222);

    /// Discards what waits to be sent on a socket, and cancels the control codes that are pending on it:
    /// `_WSAIO(IOC_WS2, 4)`.
    pub const SIO_FLUSH: Self = Self(0x2800_0004);

    /// The three codes that concern redirection with their names, in the order of their numbers.
    pub const ALL: [(&'static str, Self); 3] = [
        ("SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS", Self::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS),
        ("SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT", Self::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT),
        ("SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS", Self::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS),
    ];

    /// `_WSAIOW(IOC_VENDOR, number)`.
    const fn vendor(number: u32) -> Self {
        const IOC_IN: u32 = 0x8000_0000;
        const IOC_VENDOR: u32 = 0x1800_0000;
        Self(IOC_IN | IOC_VENDOR | number)
    }
}

impl fmt::Display for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::ALL.iter().find(|(_, code)| code == self) {
            Some((name, _)) => f.write_str(name),
            None if *self == Self::SIO_FLUSH => f.write_str("SIO_FLUSH"),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_numbers_of_the_header() {
        let numbers = ControlCode::ALL.map(|(_, code)| code.0);
        assert_eq!(numbers, [0x9800_00DC, 0x9800_00DD, 0x9800_00DE]);
    }

    #[test]
    fn code_shows_its_name_or_its_number() {
        let set = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
        assert_eq!(set.to_string(), "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS");
        assert_eq!(format!("{:?}", ControlCode(7)), "0x00000007");
    }
}
