//! `WSAIoctl`.

use std::sync::Arc;

use wfp_sim::WinsockError;
use windows_sys::Win32::Networking::WinSock::{LPWSAOVERLAPPED_COMPLETION_ROUTINE, WSAIoctl};

use super::operations::{OverlappedMemory, on_completion};
use super::{Memory, Socket, check};

/// What `WSAIoctl` is given. Whoever makes an overlapped call keeps this until the operation has ended.
#[derive(Debug)]
pub(in crate::windows) struct Ioctl {
    pub(in crate::windows) socket: Socket,
    pub(in crate::windows) code: u32,
    pub(in crate::windows) input: Memory,
    /// `cbInBuffer`.
    pub(in crate::windows) input_length: u32,
    pub(in crate::windows) output: Memory,
    /// `cbOutBuffer`.
    pub(in crate::windows) output_length: u32,
    pub(in crate::windows) bytes_returned: Memory,
    pub(in crate::windows) overlapped: Option<Arc<OverlappedMemory>>,
    pub(in crate::windows) routine: Routine,
}

/// `lpCompletionRoutine`.
#[derive(Debug)]
pub(in crate::windows) enum Routine {
    /// NULL.
    None,
    /// The one that tells [`alertable_wait`](super::alertable_wait).
    Ours,
    /// No function is there.
    At(Memory),
}

/// Makes the call.
pub(in crate::windows) fn ioctl(call: &Ioctl) -> Result<(), WinsockError> {
    let overlapped = call.overlapped.as_ref().map_or(std::ptr::null_mut(), |o| o.pointer());
    let routine: LPWSAOVERLAPPED_COMPLETION_ROUTINE = match &call.routine {
        Routine::None => None,
        Routine::Ours => Some(on_completion),
        Routine::At(memory) => {
            // SAFETY: NULL is None, and every other address is valid as that of a function until it is called. Where
            // the system calls it, the process ends with an exception, since no page of ours can be executed.
            unsafe { std::mem::transmute::<usize, LPWSAOVERLAPPED_COMPLETION_ROUTINE>(memory.address()) }
        }
    };
    // SAFETY: every pointer is that of a `Memory` or of none; the caller keeps `call` while the operation goes on.
    let returned = unsafe {
        WSAIoctl(
            call.socket.0,
            call.code,
            call.input.pointer(),
            call.input_length,
            call.output.pointer(),
            call.output_length,
            call.bytes_returned.pointer(),
            overlapped,
            routine,
        )
    };
    check(returned)
}
