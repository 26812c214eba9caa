//! The backend `windows`: real sockets of this machine, each process of a scenario a real process.
//!
//! - [`WindowsBackend`] is what the runner sees. It starts the processes and knows which one has what; it makes no call
//!   itself.
//! - `process` is such a process: this program once more, which reads on stdin what it is to call.
//! - `system` has the calls, and all the unsafe code.
//! - `redirection` is what a driver adapter is told of a callout.
//! - `ground` and `ports` are how the names of a scenario become addresses of this machine, and addresses names.
//!
//! Every host of a scenario is this machine, under ports of its own. Nothing needs rights, and nothing is left behind:
//! a process ends when its stdin does.

#[cfg(windows)]
mod backend;
mod ground;
mod ports;
#[cfg(windows)]
mod process;
mod redirection;
#[cfg(windows)]
#[expect(unsafe_code, reason = "this is where the calls of Windows are made")]
mod system;
#[cfg(windows)]
mod wire;

#[cfg(windows)]
pub use backend::WindowsBackend;
#[cfg(windows)]
pub(crate) use process::serve;
