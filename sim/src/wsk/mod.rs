//! Winsock Kernel (WSK): the three control codes as a driver asks them.
//!
//! A driver is started like a process and has memory and sockets as one has; what else WSK does to a socket is what
//! the calls of Winsock do here. `WskControlSocket` is modelled as itself: it is given an IRP, which completes at
//! once or later, and tells statuses where Winsock tells errors. What a query would store, and what SET does, are the
//! same as for a process.
//!
//! A driver's faults that Windows does not survive are a [`BugCheck`](crate::BugCheck): the call tells it, has done
//! nothing, and the model goes on.
//!
//! Source: the WSK pages of the control codes; ddi "PFN_WSK_CONTROL_SOCKET"; driver-docs "Using IRPs with Winsock
//! Kernel Functions"; docs/behaviour.md, "In kernel mode".

mod control;
mod irp;
mod sio_format;
#[cfg(test)]
mod tests;

pub use irp::IoStatus;

pub(crate) use irp::Irps;

use crate::control_code::ControlCode;
use crate::ids::Caller;
use crate::memory::Pointer;
use crate::world::World;

/// An interrupt request level: what the calling code may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Irql {
    /// `PASSIVE_LEVEL`.
    #[default]
    Passive,
    /// `APC_LEVEL`.
    Apc,
    /// `DISPATCH_LEVEL`.
    Dispatch,
    /// Any above it.
    High,
}

/// `RequestType` of `WskControlSocket`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestType {
    /// `WskSetOption`.
    SetOption,
    /// `WskGetOption`.
    GetOption,
    /// `WskIoctl`, which the control codes are.
    #[default]
    Ioctl,
}

/// The parameters of `WskControlSocket` beside the socket and the IRP. Sizes are `SIZE_T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WskControl {
    /// `RequestType`.
    pub request_type: RequestType,
    /// `ControlCode`.
    pub code: ControlCode,
    /// `Level`, 0 for a control code.
    pub level: u32,
    /// `InputSize`, in bytes.
    pub input_size: u64,
    /// `InputBuffer`.
    pub input: Pointer,
    /// `OutputSize`, in bytes.
    pub output_size: u64,
    /// `OutputBuffer`.
    pub output: Pointer,
    /// `OutputSizeReturned`: of 4 or of 8 bytes, by the profile field `wsk-size-width`.
    pub output_size_returned: Pointer,
}

impl WskControl {
    /// What a query passes: an output buffer, and where its size is reported.
    #[must_use]
    pub fn query(
        code: ControlCode,
        output: Pointer,
        output_size: u64,
        output_size_returned: Pointer,
    ) -> Self {
        Self { output_size, output, output_size_returned, ..Self::of(code) }
    }

    /// What SET passes: an input buffer.
    #[must_use]
    pub fn set(input: Pointer, input_size: u64) -> Self {
        Self { input_size, input, ..Self::of(ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS) }
    }

    fn of(code: ControlCode) -> Self {
        Self {
            request_type: RequestType::Ioctl,
            code,
            level: 0,
            input_size: 0,
            input: Pointer::NULL,
            output_size: 0,
            output: Pointer::NULL,
            output_size_returned: Pointer::NULL,
        }
    }
}

impl World {
    /// Starts a driver on this machine, with the security context that its calls are made in: `elevated` is that of
    /// the system or of an administrator.
    ///
    /// Inferred: ddi "PFN_WSK_SOCKET", `OwningProcess`: the security context is that of a process, by default the
    /// current one. What the rights of STATUS_ACCESS_DENIED are is not documented.
    pub fn start_driver(&mut self, image: &str, elevated: bool) -> Caller {
        let caller = self.start_process(image, elevated);
        self.make_driver(caller.pid);
        caller
    }
}
