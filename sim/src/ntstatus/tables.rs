//! Public tables from statuses to Winsock errors, as data.
//!
//! Which table the control codes go through on Windows, if any, is not known: docs/behaviour.md, "Status mapping".

use super::NtStatus;
use crate::error::WinsockError;

/// How one implementation of Winsock turns the statuses of its kernel into errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusTable {
    /// A name for it.
    pub name: &'static str,
    /// Where the table stands.
    pub source: &'static str,
    /// Statuses, and the error that they become.
    pub rows: &'static [(&'static [NtStatus], WinsockError)],
    /// What every other failure becomes; `None` where the table was not read so far.
    pub otherwise: Option<WinsockError>,
}

impl StatusTable {
    /// The tables that the model knows.
    pub const ALL: [&'static Self; 3] = [&WIN_NET_TEST, &WINE, &REACTOS];

    /// The error that a status becomes. `None` for a success, and where the table does not say.
    #[must_use]
    pub fn error_of(&self, status: NtStatus) -> Option<WinsockError> {
        if status.is_success() {
            return None;
        }
        let row = self.rows.iter().find(|(statuses, _)| statuses.contains(&status));
        row.map(|(_, error)| *error).or(self.otherwise)
    }
}

use NtStatus as S;
use WinsockError as E;

/// Microsoft's own table for tests in the kernel.
pub const WIN_NET_TEST: StatusTable = StatusTable {
    name: "win-net-test",
    source: "microsoft/win-net-test src/sock/km/sock.c, NtStatusToSocketError",
    rows: &[
        (&[S::STATUS_BUFFER_TOO_SMALL], E::WSAEFAULT),
        (&[S::STATUS_BUFFER_OVERFLOW, S::STATUS_INVALID_BUFFER_SIZE], E::WSAEMSGSIZE),
        (&[S::STATUS_ACCESS_DENIED], E::WSAEACCES),
        (
            &[
                S::STATUS_INVALID_PARAMETER,
                S::STATUS_INVALID_DEVICE_STATE,
                S::STATUS_INVALID_DEVICE_REQUEST,
                S::STATUS_CONNECTION_INVALID,
            ],
            E::WSAEINVAL,
        ),
        (&[S::STATUS_INVALID_CONNECTION], E::WSAENOTCONN),
        (&[S::STATUS_NOT_SUPPORTED, S::STATUS_NOT_IMPLEMENTED], E::WSAEOPNOTSUPP),
        (&[S::STATUS_CANCELLED], E::WSAEINTR),
        (&[S::STATUS_INVALID_HANDLE, S::STATUS_OBJECT_TYPE_MISMATCH], E::WSAENOTSOCK),
    ],
    otherwise: Some(E::WSAEINVAL),
};

/// The table of Wine.
pub const WINE: StatusTable = StatusTable {
    name: "wine",
    source: "wine-mirror/wine dlls/ws2_32/socket.c, NtStatusToWSAError",
    rows: &[
        (&[S::STATUS_BUFFER_TOO_SMALL], E::WSAEFAULT),
        (&[S::STATUS_BUFFER_OVERFLOW, S::STATUS_INVALID_BUFFER_SIZE], E::WSAEMSGSIZE),
        (&[S::STATUS_ACCESS_DENIED], E::WSAEACCES),
        (&[S::STATUS_INVALID_CONNECTION], E::WSAENOTCONN),
        (&[S::STATUS_NOT_SUPPORTED, S::STATUS_NOT_IMPLEMENTED], E::WSAEOPNOTSUPP),
        (&[S::STATUS_CANCELLED], E::WSA_OPERATION_ABORTED),
        (&[S::STATUS_INVALID_HANDLE, S::STATUS_OBJECT_TYPE_MISMATCH], E::WSAENOTSOCK),
    ],
    otherwise: Some(E::WSAEINVAL),
};

/// What is known of the table of ReactOS, which stands alone in its two rows for buffers.
pub const REACTOS: StatusTable = StatusTable {
    name: "reactos",
    source: "reactos/reactos; docs/behaviour.md, \"Status mapping\"",
    rows: &[(&[S::STATUS_BUFFER_TOO_SMALL, S::STATUS_BUFFER_OVERFLOW], E::WSAEMSGSIZE)],
    otherwise: None,
};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(S::STATUS_BUFFER_TOO_SMALL, [Some(E::WSAEFAULT), Some(E::WSAEFAULT), Some(E::WSAEMSGSIZE)])]
    #[case(S::STATUS_BUFFER_OVERFLOW, [Some(E::WSAEMSGSIZE), Some(E::WSAEMSGSIZE), Some(E::WSAEMSGSIZE)])]
    #[case(S::STATUS_NOT_FOUND, [Some(E::WSAEINVAL), Some(E::WSAEINVAL), None])]
    #[case(S::STATUS_INTEGER_OVERFLOW, [Some(E::WSAEINVAL), Some(E::WSAEINVAL), None])]
    #[case(S::STATUS_ACCESS_DENIED, [Some(E::WSAEACCES), Some(E::WSAEACCES), None])]
    #[case(S::STATUS_CANCELLED, [Some(E::WSAEINTR), Some(E::WSA_OPERATION_ABORTED), None])]
    #[case(NtStatus(0xC000_FFFF), [Some(E::WSAEINVAL), Some(E::WSAEINVAL), None])]
    #[case(S::STATUS_PENDING, [None, None, None])]
    fn status_becomes_the_error_of_its_row(#[case] status: S, #[case] errors: [Option<E>; 3]) {
        assert_eq!(StatusTable::ALL.map(|table| table.error_of(status)), errors);
    }

    #[test]
    fn every_status_of_a_table_stands_in_one_row() {
        for table in StatusTable::ALL {
            let mut all: Vec<S> = table.rows.iter().flat_map(|(statuses, _)| *statuses).copied().collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{}", table.name);
            assert!(all.iter().all(|status| !status.is_success()), "{}", table.name);
        }
    }
}
