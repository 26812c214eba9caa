//! What a scenario can do to a machine, and what it can see of it: the one language that every backend speaks.
//!
//! An [`Op`] is a call by a thread of a process; an [`Observation`] is what that caller could see. Both are plain
//! data. Sockets, hosts, ports and blobs are named by the result that they came from, never by a machine's value,
//! so that the same ops run on a model, on Windows, and from a recorded trace.

mod backend;
mod feature;
mod length;
mod observation;
mod op;
mod topology;

pub use backend::{Backend, BackendFault, Identity, Settings};
pub use feature::{Feature, Features};
pub use length::Length;
pub use observation::{Did, Hop, Inspected, Observation, Outcome, Redirected, SocketState, Stored, Word};
pub use op::{Call, Dial, Endpoint, Input, IoctlCode, Op, Output, Place, PointerKind, Query, Role, SetRecords, SetUp, ShutdownHow, SocketFamily};
pub(crate) use observation::error_name;
pub use topology::{CalloutSpec, ContextSpec, DecisionSpec, HandleSpec, HostSpec, Match, ProcessSpec, RedirectTo, RuleSpec, StateName, TargetPidSpec};

/// A name that a scenario gives to something.
pub type Name = std::sync::Arc<str>;
