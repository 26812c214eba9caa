//! What a process does when it starts, and when it crashes.

use windows_sys::Win32::Networking::WinSock::{WSADATA, WSAStartup};
use windows_sys::Win32::System::Diagnostics::Debug::{
    EXCEPTION_POINTERS, SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode,
    SetUnhandledExceptionFilter,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Winsock 2.2.
const VERSION: u16 = 0x0202;

/// Makes Winsock ready, and lets a crash end the process at once, without a debugger and without a window.
///
/// # Errors
/// The number of the error where there is no Winsock.
pub(in crate::windows) fn start() -> Result<(), i32> {
    // SAFETY: there are no pointers.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    // SAFETY: the function is there as long as the program.
    unsafe { SetUnhandledExceptionFilter(Some(end_at_once)) };
    let mut data = WSADATA::default();
    // SAFETY: the structure is there for the length of the call.
    let error = unsafe { WSAStartup(VERSION, &raw mut data) };
    if error == 0 { Ok(()) } else { Err(error) }
}

unsafe extern "system" fn end_at_once(exception: *const EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system gives a pointer that is valid in here.
    let record = unsafe { exception.as_ref() }.map(|exception| exception.ExceptionRecord);
    // SAFETY: the same.
    let code = record.and_then(|record| unsafe { record.as_ref() }).map_or(0, |record| record.ExceptionCode);
    end_with_exception(code.cast_unsigned());
    0
}

/// Ends this process with the number of an exception.
fn end_with_exception(code: u32) {
    // SAFETY: there are no pointers.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the handle is that of this process.
    unsafe { TerminateProcess(this, code) };
}
