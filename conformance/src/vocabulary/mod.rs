//! What a scenario can do to a machine, and what it can see of it: the one language that every backend speaks.
//!
//! An [`Op`] is a call by a thread of a process; an [`Observation`] is what that caller could see. Both are plain
//! data. Sockets, hosts, ports and blobs are named by the result that they came from, never by a machine's value,
//! so that the same ops run on a model, on Windows, and from a recorded trace.

mod backend;
mod buffers;
mod classify;
mod codes;
mod datagrams;
mod drivers;
mod endpoint;
mod feature;
mod habits;
pub(crate) mod hex;
mod length;
mod observation;
mod op;
mod overlapped;
mod references;
mod sockets;
mod topology;
mod wsk;

pub use backend::{Backend, BackendFault, Identity, Settings};
pub use buffers::{Input, Output, PointerKind, Query, SetRecords};
pub use classify::{Classified, ClassifyEnd, Did, DidName, FlagName, Hop, Inspected, LayerName, Redirected};
pub(crate) use codes::{bug_check_name, error_name, status_name};
pub use datagrams::{
    ControlSeen, ControlType, IpProtocol, Level, MessageFlag, ReceiveMessage, SendMessage, SocketProtocol,
};
pub use drivers::{Account, KernelCall, KernelFunction, OnUnload, SublayerGiven};
pub use endpoint::{Dial, Endpoint, Place};
pub use feature::{Feature, Features};
pub use habits::{
    AfterAcquireSpec, CalloutAction, CompletionSpec, FilterSpec, FilterVerdict, HabitsSpec, PendSpec,
    ReauthorizeSpec, WriteRightSpec,
};
pub use length::Length;
pub use observation::{Observation, Outcome, SocketState, Stored, Word};
pub use op::{Call, Op, SetUp};
pub use overlapped::{Condition, Inside, Overlapped, Spi};
pub use references::Role;
pub use sockets::{IoctlCode, OptionLevel, ProviderKind, ShutdownHow, SocketFamily};
pub use topology::{
    CalloutSpec, ContextSpec, DecisionSpec, HandleSpec, HostSpec, LOCAL, Match, ProcessSpec, RedirectTo,
    RuleSpec, StateName, TargetPidSpec,
};

pub use wsk::{IrpKind, IrqlName, SioFormat, SizeReturned, WskCode, WskControl, WskRequest};

/// A name that a scenario gives to something.
pub type Name = std::sync::Arc<str>;
