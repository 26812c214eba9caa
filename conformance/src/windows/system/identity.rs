//! Which Windows this is, or who plays it.

use std::ffi::CStr;

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;
use windows_sys::s;

/// The operating system with its build, as in `Windows 10.0.19045`, and Wine where it is that; and whether it is one that
/// has redirect records. Windows has them since version 8, which is 6.2; what Wine has does not depend on the version
/// that it plays.
pub(in crate::windows) fn os() -> (String, bool) {
    let size = u32::try_from(size_of::<OSVERSIONINFOW>()).unwrap_or_default();
    let mut version = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..OSVERSIONINFOW::default() };
    // SAFETY: the structure is there for the length of the call, and says its size.
    unsafe { RtlGetVersion(&raw mut version) };
    let OSVERSIONINFOW { dwMajorVersion: major, dwMinorVersion: minor, dwBuildNumber: build, .. } = version;
    let windows = format!("Windows {major}.{minor}.{build}");
    match wine() {
        Some(wine) => (format!("Wine {wine} (as {windows})"), true),
        None => (windows, (major, minor) >= (6, 2)),
    }
}

/// Its version where this is Wine, whose ntdll has a function of its own for that.
fn wine() -> Option<String> {
    // SAFETY: the name is a string with a zero at its end.
    let ntdll = unsafe { GetModuleHandleA(s!("ntdll.dll")) };
    // SAFETY: so is this, and the module stays as long as the process.
    let function = unsafe { GetProcAddress(ntdll, s!("wine_get_version")) }?;
    // SAFETY: in Wine it is `const char * CDECL wine_get_version(void)`, and nobody else has one.
    let function = unsafe {
        std::mem::transmute::<unsafe extern "system" fn() -> isize, unsafe extern "C" fn() -> *const i8>(
            function,
        )
    };
    // SAFETY: it has no arguments.
    let version = unsafe { function() };
    if version.is_null() {
        return None;
    }
    // SAFETY: it is a string that stays as long as the module.
    let version = unsafe { CStr::from_ptr(version) };
    Some(version.to_string_lossy().into_owned())
}
