//! The calls of Windows, safe to make: the one place of the project with unsafe code.
//!
//! What a scenario asks for may be wrong on purpose, a length that is too large or a pointer to nowhere. That stays
//! safe by one rule: a pointer that a call is given points either to [`Memory`], behind which lies a page that nobody
//! can touch, or to where there is none. Windows answers with WSAEFAULT, or the process ends with an exception; neither
//! writes over what belongs to somebody else. What a call may still write to when it has returned is kept until the
//! operation has ended.

mod extensions;
mod identity;
mod ioctl;
mod memory;
mod messages;
mod operations;
mod process;
mod socket;

use wfp_sim::WinsockError;
use windows_sys::Win32::Networking::WinSock::WSAGetLastError;

pub(super) use self::extensions::{accept_ex, connect_ex};
pub(super) use self::identity::os;
pub(super) use self::ioctl::{Ioctl, Routine, ioctl};
pub(super) use self::memory::{CANARY, Memory};
pub(super) use self::messages::{Message, receive_message, send_message};
pub(super) use self::operations::{
    CompletionPort, Event, OverlappedMemory, Told, accept_conditionally, alertable_wait, cancel_blocking_call,
};
pub(super) use self::process::start;
pub(super) use self::socket::{Kind, Socket};

/// What the last call of this thread left behind.
fn last_error() -> WinsockError {
    // SAFETY: it reads a word of the thread.
    WinsockError(unsafe { WSAGetLastError() })
}

/// What a function that returns 0 or `SOCKET_ERROR` says.
fn check(returned: i32) -> Result<(), WinsockError> {
    if returned == 0 { Ok(()) } else { Err(last_error()) }
}

/// What a function that returns TRUE or FALSE says.
fn check_bool(returned: i32) -> Result<(), WinsockError> {
    if returned == 0 { Err(last_error()) } else { Ok(()) }
}
