//! The error codes that `WSAGetLastError` can return, with their real numbers.
//!
//! Source: win32 "Windows Sockets Error Codes"; `ERROR_INSUFFICIENT_BUFFER` from "System Error Codes";
//! `FWP_E_NOT_FOUND` from docs/behaviour.md, "Kernel constants".

use std::fmt;

/// A value of `WSAGetLastError` after a call returned `SOCKET_ERROR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WinsockError(pub i32);

macro_rules! errors {
    ($($name:ident = $number:literal, $meaning:literal;)*) => {
        impl WinsockError {
            $(#[doc = $meaning] pub const $name: Self = Self($number);)*

            /// Every code that the model knows: name, code and meaning in our own words.
            pub const ALL: &'static [(&'static str, Self, &'static str)] =
                &[$((stringify!($name), Self::$name, $meaning),)*];
        }
    };
}

errors! {
    FWP_E_NOT_FOUND = -2_144_206_840, "The filter platform has no such object; 0x80320008, which WFPSampler expects from the context query.";
    WSA_INVALID_HANDLE = 6, "A handle names no object of the kind that the call needs.";
    WSA_INVALID_PARAMETER = 87, "An argument does not suit the call.";
    ERROR_INSUFFICIENT_BUFFER = 122, "The output buffer cannot hold what the call would store; the bytes-returned word may say how much would do.";
    WAIT_TIMEOUT = 258, "What was waited for did not happen in time.";
    WSA_OPERATION_ABORTED = 995, "An operation was cancelled, because its socket was closed for instance.";
    WSA_IO_INCOMPLETE = 996, "The overlapped operation has not completed, and the call was not to wait for it.";
    WSA_IO_PENDING = 997, "An overlapped operation was started; its completion comes later.";
    ERROR_NOT_FOUND = 1168, "There is no such request to cancel.";
    WSAEINTR = 10004, "A blocking call was interrupted.";
    WSAEACCES = 10013, "The caller lacks the rights for this, or a filter blocks the connection.";
    WSAEFAULT = 10014, "A pointer is not wholly inside the caller's valid memory.";
    WSAEINVAL = 10022, "An argument, or the state of the socket, does not suit the call.";
    WSAEWOULDBLOCK = 10035, "A non-blocking socket cannot do this at once.";
    WSAEINPROGRESS = 10036, "A callback is in progress.";
    WSAEALREADY = 10037, "The socket is already connecting.";
    WSAENOTSOCK = 10038, "The descriptor is not a socket of this process.";
    WSAEMSGSIZE = 10040, "What came, or its control data, was larger than the buffer for it.";
    WSAENOPROTOOPT = 10042, "The protocol of the socket does not know this option.";
    WSAEOPNOTSUPP = 10045, "The transport provider does not support this call on this kind of socket.";
    WSAEAFNOSUPPORT = 10047, "The address is of a family that the socket does not serve.";
    WSAEADDRINUSE = 10048, "Another socket is bound to this address and port.";
    WSAEADDRNOTAVAIL = 10049, "The address is not one of this host's, or not one that can be reached from the bound one.";
    WSAENETDOWN = 10050, "The network subsystem has failed.";
    WSAENETUNREACH = 10051, "No route leads to the network.";
    WSAECONNABORTED = 10053, "The connection was ended by software on this host.";
    WSAECONNRESET = 10054, "The peer ended the connection abruptly.";
    WSAENOBUFS = 10055, "No buffer space, or no free port, is left.";
    WSAEISCONN = 10056, "The socket is already connected.";
    WSAENOTCONN = 10057, "The socket is not connected.";
    WSAESHUTDOWN = 10058, "This direction of the connection was shut down.";
    WSAETIMEDOUT = 10060, "Nobody answered the connection attempt in time.";
    WSAECONNREFUSED = 10061, "Nobody listens at this address and port, or the backlog is full.";
    WSAEHOSTUNREACH = 10065, "No host with this address is known.";
    WSATRY_AGAIN = 11002, "The condition function deferred its decision about the connection.";
}

impl WinsockError {
    /// The name in `winerror.h` or `winsock2.h`, where the model knows the code.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(_, code, _)| *code == self).map(|(name, _, _)| *name)
    }

    /// The code with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _, _)| *known == name).map(|(_, code, _)| *code)
    }
}

impl fmt::Display for WinsockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for WinsockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}

impl std::error::Error for WinsockError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_find_each_other() {
        for (name, code, _) in WinsockError::ALL {
            assert_eq!(code.name(), Some(*name));
            assert_eq!(WinsockError::by_name(name), Some(*code));
        }
        assert_eq!(WinsockError(1).name(), None);
        assert_eq!(WinsockError(1).to_string(), "error 1");
        assert_eq!(format!("{:?}", WinsockError::WSAENOTCONN), "WSAENOTCONN (10057)");
    }

    #[test]
    fn code_of_the_filter_platform_has_its_number() {
        assert_eq!(WinsockError::FWP_E_NOT_FOUND.0.cast_unsigned(), 0x8032_0008);
    }
}
