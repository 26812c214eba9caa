//! Names for the things of a [`World`](crate::World). Each is a number of its own type, so that none can be
//! passed for another.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), " {}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A host: the local machine, or one that it can reach.
    HostId(u32);
    /// A process id.
    Pid(u32);
    /// A thread id, unique on the machine as on Windows.
    Tid(u32);
    /// A `SOCKET`: one process's descriptor of a socket. Never used twice in one world.
    SocketHandle(u64);
    /// The socket itself, which several descriptors can name after `WSADuplicateSocket`.
    SocketId(u64);
    /// A connection from its `connect` until both ends are closed.
    FlowId(u64);
    /// A driver that was loaded. Never used twice in one world.
    DriverId(u32);
    /// A redirect context that a callout allocated.
    ContextId(u64);
    /// What `FwpsRedirectHandleCreate0` returns: who redirected.
    RedirectHandle(u64);
    /// A sublayer of the filter engine.
    SublayerId(u32);
    /// A filter of the filter engine.
    FilterId(u64);
    /// A registered callout.
    CalloutId(u32);
    /// What `FwpsAcquireClassifyHandle0` returns: a classify that outlives its call.
    ClassifyHandle(u64);
    /// A call that has not completed yet.
    PendingId(u64);
    /// What `WSACreateEvent` returns: one process's event object.
    EventHandle(u64);
    /// What `IoAllocateIrp` returns: one driver's IRP.
    IrpHandle(u64);
    /// What `CreateIoCompletionPort` returns: one process's completion port.
    PortHandle(u64);
}

/// Who makes a call: a thread of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller {
    /// The process.
    pub pid: Pid,
    /// The thread in it.
    pub tid: Tid,
}
