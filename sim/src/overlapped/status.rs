//! How the end of an operation stands in `WSAOVERLAPPED.Internal`: as an NTSTATUS.
//!
//! Programs are not to look at it. A Winsock error is written as `NTSTATUS_FROM_WIN32` writes it, which keeps the
//! whole code; the one error of the filter platform as its own status.

use crate::error::WinsockError;
use crate::ntstatus::NtStatus;

pub(super) const PENDING: u32 = NtStatus::STATUS_PENDING.0;
const SUCCESS: u32 = NtStatus::STATUS_SUCCESS.0;
const FWP_NOT_FOUND: u32 = NtStatus::STATUS_FWP_NOT_FOUND.0;
/// Error severity and the facility NTWIN32: the code is in the lower half.
const NTWIN32: u32 = 0xC007_0000;

/// The status of an operation that ended so.
pub(super) fn of(result: Result<(), WinsockError>) -> u32 {
    match result {
        Ok(()) => SUCCESS,
        Err(WinsockError::FWP_E_NOT_FOUND) => FWP_NOT_FOUND,
        Err(error) => NTWIN32 | (error.0.cast_unsigned() & 0xFFFF),
    }
}

/// What a status says; `None` where the operation is pending. Programs can write anything there: a status of error
/// severity that no operation stores reads as WSAEINVAL, the default of the NTSTATUS tables.
pub(super) fn read(status: u32) -> Option<Result<(), WinsockError>> {
    const ERROR_SEVERITY: u32 = 0xC000_0000;
    Some(match status {
        PENDING => return None,
        FWP_NOT_FOUND => Err(WinsockError::FWP_E_NOT_FOUND),
        _ if status & 0xFFFF_0000 == NTWIN32 => Err(WinsockError((status & 0xFFFF).cast_signed())),
        ERROR_SEVERITY.. => Err(WinsockError::WSAEINVAL),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_read_back() {
        for (_, error, _) in WinsockError::ALL {
            assert_eq!(read(of(Err(*error))), Some(Err(*error)));
        }
        assert_eq!(read(of(Ok(()))), Some(Ok(())));
    }

    #[test]
    fn status_that_no_operation_stores_is_read_by_its_severity() {
        assert_eq!(read(PENDING), None);
        assert_eq!(read(0xC000_0225), Some(Err(WinsockError::WSAEINVAL)));
        assert_eq!(read(0x4000_0000), Some(Ok(())));
        assert_eq!(read(u32::MAX), Some(Err(WinsockError::WSAEINVAL)));
    }
}
