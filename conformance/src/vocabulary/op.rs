//! Calls, as data.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    CalloutSpec, CompletionSpec, Condition, ControlType, Dial, Endpoint, FilterSpec, HostSpec, Input, Inside,
    IoctlCode, KernelCall, Length, Level, Name, OptionLevel, Output, Overlapped, PointerKind, ProcessSpec,
    ProviderKind, Query, ReceiveMessage, SendMessage, SetRecords, ShutdownHow, SioFormat, SocketFamily,
    SocketProtocol, Spi, WskControl,
};

/// A call by a thread of a process, and the name that its result gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Op {
    /// The calling process; for [`SetUp::StartProcess`] the one to be started.
    pub process: Name,
    /// The calling thread: 0 is the first of the process, others are started when they first call.
    #[serde(default)]
    pub thread: u32,
    /// How later ops name the socket, blob or pending call that comes of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What is called.
    #[serde(deserialize_with = "call_or_set_up")]
    pub call: Call,
}

/// What a step can call, and what only a runner can.
fn call_or_set_up<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Call, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Any {
        SetUp(SetUp),
        #[serde(untagged)]
        Call(Call),
    }
    Ok(match Any::deserialize(deserializer)? {
        Any::SetUp(part) => Call::SetUp(part),
        Any::Call(call) => call,
    })
}

/// What can be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// No call: a part of the machine is set up. Not for steps.
    #[schemars(skip)]
    #[serde(skip_deserializing)]
    SetUp(SetUp),
    /// Ends the calling process: its sockets are closed.
    EndProcess {},
    /// `FwpsCalloutUnregisterById0`: the driver goes, its redirect handles stay.
    RemoveCallout {
        /// The callout.
        callout: Name,
    },
    /// `FwpsRedirectHandleDestroy0`, for each handle of a callout.
    DestroyHandles {
        /// The callout.
        callout: Name,
    },
    /// A function of the filter engine, called by the driver of a callout.
    KernelCall(KernelCall),
    /// The driver of a callout is unloaded, as its `on-unload` says.
    UnloadDriver {
        /// The callout.
        callout: Name,
    },
    /// What the driver of a callout has, or has left behind.
    Account {
        /// The callout.
        callout: Name,
    },
    /// `FwpmFilterAdd0` with a filter that permits or blocks by itself: from now on, and for open connections from their
    /// next packet on. The result is the filter.
    AddFilter(FilterSpec),
    /// `FwpmFilterDeleteById0`.
    RemoveFilter {
        /// The filter.
        filter: Name,
    },
    /// `FwpsCompleteClassify0` of the oldest request that a callout pended, after what its `pend` says to change.
    CompleteClassify {
        /// The callout.
        callout: Name,
        /// What with.
        #[serde(default)]
        completion: CompletionSpec,
    },
    /// `socket` or `WSASocket`.
    Socket {
        /// The address family.
        #[serde(default)]
        family: SocketFamily,
        /// `WSA_FLAG_OVERLAPPED`.
        #[serde(default = "yes")]
        overlapped: bool,
        /// `FIONBIO`.
        #[serde(default)]
        nonblocking: bool,
        /// Whose protocol entry `WSASocket` is given.
        #[serde(default)]
        provider: ProviderKind,
        /// Type and protocol.
        #[serde(default)]
        protocol: SocketProtocol,
    },
    /// `bind`.
    Bind {
        /// The socket.
        socket: Name,
        /// Where to; port 0 takes any.
        to: Endpoint,
        /// On a dual-stack socket: the IPv4 address, v4-mapped.
        #[serde(default)]
        mapped: bool,
    },
    /// `listen`.
    Listen {
        /// The socket.
        socket: Name,
        /// How many connections may wait.
        #[serde(default = "backlog")]
        backlog: u32,
    },
    /// `accept`. The result is the accepted socket.
    Accept {
        /// The listening socket.
        socket: Name,
    },
    /// `AcceptEx` without a first block of data.
    AcceptEx {
        /// The listening socket.
        socket: Name,
        /// The socket that gets connected.
        into: Name,
    },
    /// `setsockopt(SO_UPDATE_ACCEPT_CONTEXT)`.
    UpdateAcceptContext {
        /// The accepted socket.
        socket: Name,
        /// The listening socket.
        listening: Name,
    },
    /// `setsockopt(SO_UPDATE_CONNECT_CONTEXT)`.
    UpdateConnectContext {
        /// The socket that ConnectEx connected.
        socket: Name,
    },
    /// `connect`, or `ConnectEx` with `ex`.
    Connect {
        /// The socket.
        socket: Name,
        /// The destination: a host and a port, or the blob of a context query that tells it.
        to: Dial,
        /// How the destination's address is written: by default as the socket's own family has it, and as the
        /// context has it where that tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<SocketFamily>,
        /// `ConnectEx`.
        #[serde(default)]
        ex: bool,
    },
    /// `send`.
    Send {
        /// The socket.
        socket: Name,
        /// What to send.
        data: String,
    },
    /// `recv`. The result is what came.
    Receive {
        /// The socket.
        socket: Name,
        /// How much at most.
        #[serde(default = "receive_length")]
        length: u32,
    },
    /// `sendto`.
    SendTo {
        /// The socket.
        socket: Name,
        /// The destination; by default that of `connect`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Dial>,
        /// How the destination's address is written, as in `connect`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<SocketFamily>,
        /// What to send.
        data: String,
    },
    /// `recvfrom`. The result is what came, and its source.
    ReceiveFrom {
        /// The socket.
        socket: Name,
        /// How much at most.
        #[serde(default = "receive_length")]
        length: u32,
    },
    /// `WSASendMsg`.
    SendMessage(SendMessage),
    /// `WSARecvMsg`. The result is what came, and its source.
    ReceiveMessage(ReceiveMessage),
    /// `setsockopt` of the options that switch the reception of control data on.
    SetOption {
        /// The socket.
        socket: Name,
        /// The level.
        level: Level,
        /// The option.
        option: ControlType,
        /// Whether it is switched on or off.
        #[serde(default = "yes")]
        on: bool,
    },
    /// `getsockopt` of the same options.
    GetOption {
        /// The socket.
        socket: Name,
        /// The level.
        level: Level,
        /// The option.
        option: ControlType,
    },
    /// `shutdown`.
    Shutdown {
        /// The socket.
        socket: Name,
        /// Which direction.
        how: ShutdownHow,
    },
    /// `closesocket`.
    Close {
        /// The socket.
        socket: Name,
    },
    /// `WSADuplicateSocket` for another process, and `WSASocket` there. The result is the socket there.
    Duplicate {
        /// The socket.
        socket: Name,
        /// The other process.
        #[serde(rename = "for")]
        process: Name,
    },
    /// `getsockname`.
    LocalName {
        /// The socket.
        socket: Name,
    },
    /// `getpeername`.
    PeerName {
        /// The socket.
        socket: Name,
    },
    /// `getsockopt` with SO_ORIGINAL_DST: the destination that the client of a redirected connection asked for. The
    /// result is its address, which can be dialled as a context can.
    OriginalDestination {
        /// The accepted socket.
        socket: Name,
        /// The level.
        #[serde(default)]
        level: OptionLevel,
        /// What `optlen` points to; by default the size of a SOCKADDR_STORAGE.
        #[serde(default = "sockaddr_storage")]
        length: Length,
    },
    /// `WSAIoctl` with SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS. The result is the records.
    QueryRecords(Query),
    /// `WSAIoctl` with SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT. The result is the context.
    QueryContext(Query),
    /// `WSAIoctl` with SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS.
    SetRecords(SetRecords),
    /// `WSAIoctl` with any code, by its number.
    Ioctl {
        /// The socket.
        socket: Name,
        /// The code.
        code: IoctlCode,
        /// The input buffer; by default none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Input>,
        /// The output buffer.
        #[serde(default)]
        out: Output,
        /// `lpcbBytesReturned`.
        #[serde(default)]
        bytes_returned: PointerKind,
        /// Makes the call overlapped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlapped: Option<Overlapped>,
        /// Calls `WSPIoctl` instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spi: Option<Spi>,
    },
    /// `WskControlSocket` with a control code, by a driver. The result is what a query fetched.
    WskControl(WskControl),
    /// `FwpsQueryConnectionSioFormatRedirectRecords0`, by a driver. The result is the records.
    SioFormatRecords(SioFormat),
    /// `IoCancelIrp`.
    CancelIrp {
        /// The call whose IRP it is.
        of: Name,
    },
    /// The three control codes cannot be answered at once on this socket from now on: overlapped calls go pending,
    /// others wait in their thread.
    Stall {
        /// The socket.
        socket: Name,
    },
    /// The socket answers again, and what waited is answered.
    Resume {
        /// The socket.
        socket: Name,
    },
    /// `WSAGetOverlappedResult`. The result is what the operation stored.
    GetResult {
        /// The operation.
        of: Name,
        /// `fWait`.
        #[serde(default)]
        wait: bool,
    },
    /// Whether the event of an operation is signaled: `WSAWaitForMultipleEvents` with a timeout of 0.
    EventState {
        /// The operation.
        of: Name,
    },
    /// An alertable wait, `SleepEx`: every completion routine that waits for the thread is called.
    AlertableWait {
        /// What each routine does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inside: Vec<Inside>,
    },
    /// `WSAAccept` with a condition function, for the oldest connection that waits. The result is the accepted
    /// socket.
    AcceptConditionally {
        /// The listening socket.
        socket: Name,
        /// What the condition function does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inside: Vec<Inside>,
        /// What it returns.
        #[serde(default)]
        decides: Condition,
    },
    /// `CreateIoCompletionPort`. The result is the port.
    CreatePort {},
    /// `CreateIoCompletionPort` with a socket: its completions go to the port.
    Associate {
        /// The socket.
        socket: Name,
        /// The port.
        port: Name,
    },
    /// `GetQueuedCompletionStatus` with a timeout of 0.
    Dequeue {
        /// The port.
        port: Name,
    },
    /// `CancelIoEx`.
    CancelIo {
        /// The socket.
        socket: Name,
        /// The operation; by default all of the socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Name>,
    },
    /// `WSACancelBlockingCall`: the call that this thread waits in ends.
    CancelBlockingCall {},
    /// Gives the memory of an operation back, its buffers and its `WSAOVERLAPPED`, whether it has ended or not.
    FreeMemory {
        /// The operation.
        of: Name,
    },
    /// `ExitThread`.
    EndThread {},
    /// The network subsystem of this machine fails, or is mended.
    Network {
        /// Whether it has failed.
        down: bool,
    },
    /// Waits until one of these pending calls has completed.
    Wait {
        /// The names of the pending calls.
        #[serde(rename = "for")]
        calls: Vec<Name>,
        /// Milliseconds, at most.
        #[serde(default = "wait_limit")]
        limit: u32,
    },
    /// Lets time pass.
    Advance {
        /// How much.
        milliseconds: u64,
    },
    /// The kind and state of a socket, as the kernel has it.
    Describe {
        /// The socket.
        socket: Name,
    },
    /// How many redirect contexts are allocated.
    CountContexts {},
    /// How many sockets, connections, contexts and pending calls there are.
    CountAll {},
}

/// A part of the machine that is set up before the steps of a case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SetUp {
    /// Puts a host onto the network.
    AddHost(HostSpec),
    /// Starts a process.
    StartProcess(ProcessSpec),
    /// Installs a callout with its sublayer, filters and redirect handles.
    InstallCallout(Arc<CalloutSpec>),
    /// Adds a filter that decides by itself.
    AddFilter {
        /// Its name.
        name: Name,
        /// What it does.
        filter: FilterSpec,
    },
}

fn yes() -> bool {
    true
}

fn backlog() -> u32 {
    5
}

fn sockaddr_storage() -> Length {
    Length::Bytes(128)
}

fn receive_length() -> u32 {
    4096
}

fn wait_limit() -> u32 {
    5000
}

impl Call {
    /// A socket as most programs make it.
    #[must_use]
    pub fn socket(family: SocketFamily) -> Self {
        Self::socket_of(family, SocketProtocol::Tcp)
    }

    /// The same of another protocol.
    #[must_use]
    pub fn socket_of(family: SocketFamily, protocol: SocketProtocol) -> Self {
        let provider = ProviderKind::default();
        Self::Socket { family, overlapped: true, nonblocking: false, protocol, provider }
    }

    /// The question for the original destination, as Envoy asks it.
    #[must_use]
    pub fn original_destination(socket: Name) -> Self {
        Self::OriginalDestination { socket, level: OptionLevel::default(), length: sockaddr_storage() }
    }

    /// The name that YAML has for this call.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetUp(_) => "set-up",
            Self::EndProcess {} => "end-process",
            Self::RemoveCallout { .. } => "remove-callout",
            Self::DestroyHandles { .. } => "destroy-handles",
            Self::KernelCall(_) => "kernel-call",
            Self::UnloadDriver { .. } => "unload-driver",
            Self::Account { .. } => "account",
            Self::AddFilter(_) => "add-filter",
            Self::RemoveFilter { .. } => "remove-filter",
            Self::CompleteClassify { .. } => "complete-classify",
            Self::Socket { .. } => "socket",
            Self::Bind { .. } => "bind",
            Self::Listen { .. } => "listen",
            Self::Accept { .. } => "accept",
            Self::AcceptEx { .. } => "accept-ex",
            Self::UpdateAcceptContext { .. } => "update-accept-context",
            Self::UpdateConnectContext { .. } => "update-connect-context",
            Self::Connect { .. } => "connect",
            Self::Send { .. } => "send",
            Self::Receive { .. } => "receive",
            Self::SendTo { .. } => "send-to",
            Self::ReceiveFrom { .. } => "receive-from",
            Self::SendMessage(_) => "send-message",
            Self::ReceiveMessage(_) => "receive-message",
            Self::SetOption { .. } => "set-option",
            Self::GetOption { .. } => "get-option",
            Self::Shutdown { .. } => "shutdown",
            Self::Close { .. } => "close",
            Self::Duplicate { .. } => "duplicate",
            Self::LocalName { .. } => "local-name",
            Self::PeerName { .. } => "peer-name",
            Self::OriginalDestination { .. } => "original-destination",
            Self::QueryRecords(_) => "query-records",
            Self::QueryContext(_) => "query-context",
            Self::SetRecords(_) => "set-records",
            Self::Ioctl { .. } => "ioctl",
            Self::WskControl(_) => "wsk-control",
            Self::SioFormatRecords(_) => "sio-format-records",
            Self::CancelIrp { .. } => "cancel-irp",
            Self::Stall { .. } => "stall",
            Self::Resume { .. } => "resume",
            Self::GetResult { .. } => "get-result",
            Self::EventState { .. } => "event-state",
            Self::AlertableWait { .. } => "alertable-wait",
            Self::AcceptConditionally { .. } => "accept-conditionally",
            Self::CreatePort {} => "create-port",
            Self::Associate { .. } => "associate",
            Self::Dequeue { .. } => "dequeue",
            Self::CancelIo { .. } => "cancel-io",
            Self::CancelBlockingCall {} => "cancel-blocking-call",
            Self::FreeMemory { .. } => "free-memory",
            Self::EndThread {} => "end-thread",
            Self::Network { .. } => "network",
            Self::Wait { .. } => "wait",
            Self::Advance { .. } => "advance",
            Self::Describe { .. } => "describe",
            Self::CountContexts {} => "count-contexts",
            Self::CountAll {} => "count-all",
        }
    }
}

impl Call {
    /// How a control code is asked: overlapped, of the provider itself.
    #[must_use]
    pub fn ways(&self) -> (Option<&Overlapped>, Option<Spi>) {
        match self {
            Self::QueryRecords(Query { overlapped, spi, .. })
            | Self::QueryContext(Query { overlapped, spi, .. })
            | Self::SetRecords(SetRecords { overlapped, spi, .. })
            | Self::Ioctl { overlapped, spi, .. } => (overlapped.as_ref(), *spi),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_reads_as_it_is_written_whether_it_calls_or_sets_up() {
        let set_up = Call::SetUp(SetUp::AddHost(HostSpec { name: "server".into(), silent: true }));
        for call in [set_up, Call::CountAll {}, Call::Listen { socket: "s".into(), backlog: 7 }] {
            let op = Op { process: "app".into(), thread: 2, name: Some("it".into()), call };
            let text = serde_json::to_string(&op).unwrap();
            assert_eq!(serde_json::from_str::<Op>(&text).unwrap(), op, "{text}");
        }
    }

    #[test]
    fn a_step_cannot_set_up() {
        let error = serde_json::from_str::<Call>(r#"{"set-up": {"add-host": {"name": "server"}}}"#);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("unknown variant `set-up`, expected one of `end-process`")
        );
    }
}
