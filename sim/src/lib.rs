//! A model of connection redirection in the Windows Filtering Platform (WFP), in one process, on any OS.
//!
//! # The problem
//!
//! A firewall, a virus scanner and a VPN client on one Windows machine each redirect connections to a proxy of
//! their own, a *redirect service*. The service dials on to the destination, and that connection is classified
//! like any other. Unless it carries the *redirect records* of the connection behind it, the callout that
//! redirected the first connection redirects this one too, and it goes round for ever. Finding that out takes a
//! Windows machine and two signed drivers. Here it takes a `#[test]`.
//!
//! # An example
//!
//! Two vendors on one machine. Each service asks for the records of the connection that it accepted, and sets
//! them on the socket that it dials out with: so each callout recognises what it has redirected before, and the
//! third connect is left alone.
//!
//! ```
//! use wfp_sim::RedirectState::{NotRedirected, PreviouslyRedirectedBySelf, RedirectedByOther, RedirectedBySelf};
//! use wfp_sim::engine::{Policy, Redirect};
//! use wfp_sim::{Profile, SocketKind, Vendor, World};
//!
//! let mut w = World::new(Profile::documented());
//! let destination = "192.0.2.1:443".parse()?;
//! let server = w.start_process("server.exe", false);
//! w.listen_at(server, destination)?;
//! let mut services = Vec::new();
//! for (vendor, address) in [("a", "127.0.0.1:1001".parse()?), ("b", "127.0.0.1:1002".parse()?)] {
//!     let service = w.start_process(vendor, true);
//!     services.push((service, w.listen_at(service, address)?));
//!     let driver = w.load_driver(vendor);
//!     let handle = w.fwps_redirect_handle_create(driver, vendor, 0)?;
//!     let policy = Policy::cooperative(handle, Redirect::local(service.pid, address));
//!     w.install(Vendor { driver, name: vendor.into(), sublayer_weight: 100, policy })?;
//! }
//! let (mut dialler, mut trace) = (w.start_process("app.exe", false), Vec::new());
//! let mut socket = w.socket(dialler, SocketKind::V4)?;
//! for (service, listener) in services {
//!     w.connect(dialler, socket, destination, &mut trace)?;
//!     let accepted = w.accept(service, listener)?.done().ok_or("nobody was redirected here")?;
//!     let records = w.query_redirect_records(service, accepted)?;
//!     (dialler, socket) = (service, w.socket(service, SocketKind::V4)?);
//!     w.set_redirect_records(service, socket, &records)?;
//! }
//! w.connect(dialler, socket, destination, &mut trace)?;
//! assert_eq!(trace[0].states(), [NotRedirected, NotRedirected]);
//! assert_eq!(trace[1].states(), [RedirectedBySelf, RedirectedByOther]);
//! assert_eq!(trace[2].states(), [PreviouslyRedirectedBySelf, RedirectedBySelf]);
//! assert_eq!(trace[2].target, destination, "{}", trace[2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Take out the line with `set_redirect_records`, and the second service waits in vain: the first one's connect is
//! NOT_REDIRECTED to its own callout, and goes to the first service again. `println!("{}", trace[1])` shows what each
//! callout saw and did.
//!
//! # How it is built, and why
//!
//! - [`World`] is the whole machine. Every call takes `&mut World` and returns at once; there is no clock, no
//!   thread and no I/O, so the same calls give the same answers everywhere, and a world can be cloned, compared
//!   and hashed.
//! - Calls are named after what they model: [`World::wsa_ioctl`], [`World::fwps_redirect_handle_create`],
//!   [`World::accept_ex`]. Who knows the Windows functions knows these.
//! - What a Windows program can observe is a result, down to the error code and the bytes-returned word; no
//!   sequence of calls, no argument and no record blob makes the model panic.
//! - The documents contradict each other in places, and leave much open. Where evidence supports more than one
//!   answer, the choice is a named field of the [`Profile`], with its source and the values; the order of causes that
//!   hold at once stands in one table, [`PRECEDENCE`].
//! - Nothing in it was measured on Windows. What each behaviour rests on stands with it, and in the project's
//!   `docs/behaviour.md`.
//!
//! Scenarios in YAML, redirect services as policies, and the command line are in the crate `wfp-conformance`.

#![forbid(unsafe_code)]

pub mod address;
mod bug_check;
mod canonical;
mod control_code;
pub mod control_message;
pub mod datagram;
pub mod engine;
mod error;
mod ids;
mod ioctl;
mod kernel_error;
mod memory;
pub mod ntstatus;
mod overlapped;
pub mod profile;
mod records;
mod socket;
#[cfg(test)]
mod testing;
pub mod trace;
mod world;
pub mod wsk;

pub use bug_check::BugCheck;
pub use control_code::ControlCode;
pub use engine::Vendor;
pub use error::WinsockError;
pub use ids::{
    Caller, CalloutId, ClassifyHandle, ContextId, DriverId, EventHandle, FilterId, FlowId, HostId, IrpHandle,
    PendingId, Pid, PortHandle, RedirectHandle, SocketHandle, SocketId, SublayerId, Tid,
};
pub use ioctl::{Cause, IoctlBuffers, PRECEDENCE, SocketError, SpiAnswer, SpiPointers};
pub use kernel_error::KernelError;
pub use memory::Pointer;
pub use ntstatus::NtStatus;
pub use overlapped::{CompletionPacket, RoutineCall};
pub use profile::Profile;
pub use records::{Entry, Records, RedirectState, redirect_state};
pub use socket::{
    Completed, Completion, Decided, Protocol, Provider, SO_ORIGINAL_DST, SOL_IP, SOL_IPV6, SOL_SOCKET,
    Shutdown, SocketKind, SocketState,
};
pub use world::{Host, LOCAL_HOST, World};
