//! The types of profile fields: small closed choices, each with the word that names it in files.

use std::fmt;

use crate::error::WinsockError;
use crate::ntstatus::NtStatus;

/// A type of profile field: text to value and back.
pub(crate) trait Value: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl Value for $name {
            fn to_text(&self) -> String {
                match self { $(Self::$variant => $word.to_owned(),)* }
            }
            fn from_text(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

choices! {
    /// What a failing call leaves in the bytes-returned word.
    BytesReturned {
        /// What was there before.
        Unchanged = "unchanged",
        /// 0.
        Zero = "zero",
        /// The bytes that the output would take.
        Needed = "needed",
    }
    /// What becomes of a redirect context that comes to no flow.
    UnusedContext {
        /// WFP frees it.
        Freed = "freed",
        /// It stays allocated for ever.
        Leaked = "leaked",
    }
    /// Whether an argument that the documents call unused is looked at.
    Usage {
        /// It is not looked at.
        Ignored = "ignored",
        /// Anything but NULL and 0 is WSAEINVAL.
        Invalid = "WSAEINVAL",
    }
    /// Whether a pointer that the documents call unused in this case is looked at.
    Looked {
        /// It is not looked at.
        Ignored = "ignored",
        /// An invalid one is WSAEFAULT.
        Fault = "WSAEFAULT",
    }
    /// What a completion routine without `lpOverlapped` makes of a call.
    LoneRoutine {
        /// The call is not overlapped, and the routine is never called.
        Synchronous = "synchronous",
        /// The call is overlapped, and tells of its end by the routine alone.
        Overlapped = "overlapped",
    }
    /// What comes of a completion routine where completions go to a port.
    PortRoutine {
        /// The call fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
        /// The routine is called, and the port hears nothing.
        Called = "called",
    }
    /// The bytes transferred of a query that failed after it went pending.
    PendedBytes {
        /// The bytes that the output would take.
        Needed = "needed",
        /// 0.
        Zero = "zero",
    }
    /// Whether a control code can be asked inside a completion routine.
    InRoutine {
        /// It is answered as ever.
        Answered = "answered",
        /// It fails with WSAEINPROGRESS.
        InProgress = "WSAEINPROGRESS",
    }
    /// Whether `WSPIoctl` leaves its code for `WSAGetLastError` too.
    SpiLastError {
        /// It does not.
        Untouched = "untouched",
        /// It does.
        Set = "set",
    }
    /// Whether a control code asks for administrative rights.
    Elevation {
        /// Anybody may call it.
        NotNeeded = "not-needed",
        /// Without them it fails with WSAEACCES.
        Needed = "WSAEACCES",
    }
    /// What a control code does on a socket that is not TCP's.
    OtherKind {
        /// As on a TCP socket.
        Served = "served",
        /// It fails with WSAENOPROTOOPT.
        NoProtocolOption = "WSAENOPROTOOPT",
        /// It fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
        /// It fails with WSAEOPNOTSUPP.
        NotSupported = "WSAEOPNOTSUPP",
    }
    /// Which Windows it is.
    WindowsVersion {
        /// Windows 8, Server 2012, or later.
        Eight = "windows-8",
        /// Windows 7 or Server 2008 R2.
        Seven = "windows-7",
    }
    /// The levels at which SO_ORIGINAL_DST is an option.
    OriginalLevel {
        /// SOL_SOCKET, and that of the socket's family.
        Any = "any",
        /// SOL_IP on IPv4 sockets, SOL_IPV6 on others.
        Family = "family",
        /// SOL_SOCKET.
        Socket = "socket",
    }
    /// What SO_ORIGINAL_DST gives on a socket to which nothing was redirected.
    OriginalAbsent {
        /// It fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
        /// The socket's own address, as `getsockname`.
        LocalAddress = "local-address",
    }
    /// Which part of an output buffer must be valid memory.
    Probe {
        /// All of the length that the caller gave.
        WholeLength = "whole-length",
        /// The bytes that are written.
        WrittenBytes = "written-bytes",
    }
    /// What comes of a SET without input.
    EmptyInput {
        /// It fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
        /// It fails with WSAEFAULT.
        Fault = "WSAEFAULT",
        /// It succeeds, and takes the records away that were set before.
        ClearsRecords = "clears-records",
    }
    /// What comes of a SET whose input is no record.
    Malformed {
        /// It fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
        /// It fails with WSAEFAULT.
        Fault = "WSAEFAULT",
        /// It succeeds, and nothing comes of it.
        NoEffect = "no-effect",
    }
    /// What SET does to a socket in a state that it was not made for.
    Effect {
        /// It succeeds, and the next `connect` of this socket carries the records.
        Effective = "effective",
        /// It succeeds, and nothing comes of it.
        NoEffect = "no-effect",
        /// It fails with WSAEISCONN.
        IsConnected = "WSAEISCONN",
        /// It fails with WSAEINVAL.
        Invalid = "WSAEINVAL",
    }
    /// What a second SET does on the same socket.
    SetTwice {
        /// Its records take the place of the first ones.
        Replace = "replace",
        /// Its records come behind the first ones.
        Append = "append",
    }
    /// Whether a query is answered in a state that is not quite connected.
    Availability {
        /// As on a connected socket.
        Answered = "answered",
        /// WSAENOTCONN.
        NotConnected = "WSAENOTCONN",
    }
    /// What becomes of a connect whose local redirect the engine does not accept.
    Unaccepted {
        /// It goes to the original destination.
        OriginalDestination = "original-destination",
        /// It fails with WSAECONNREFUSED.
        Refused = "WSAECONNREFUSED",
    }
    /// Which of a local redirect and a later remote one of the same classify counts.
    RemoteAfterLocal {
        /// The remote one, as the last writer; no records travel.
        RemoteWins = "remote-wins",
        /// The local one: the engine does not take it back.
        LocalWins = "local-wins",
    }
    /// Which local redirects of one classify leave an entry in the records.
    SameClassify {
        /// The last one.
        Last = "last",
        /// Each of them, in the order in which they were made.
        Both = "both",
    }
    /// What BLOCK at a connect-redirect layer does.
    RedirectLayerBlock {
        /// Nothing: the connect goes on.
        Ignored = "ignored",
        /// The connect fails with WSAEACCES.
        Denied = "WSAEACCES",
    }
    /// What `FwpsAcquireWritableLayerDataPointer0` does to `classifyOut`.
    AcquireEffect {
        /// BLOCK, and the right to write is cleared.
        BlockAndClearRight = "block-and-clear-right",
        /// Nothing.
        Nothing = "nothing",
    }
    /// What becomes of a request whose layer data was acquired and not applied.
    Unapplied {
        /// It waits for ever.
        NeverCompletes = "never-completes",
        /// It goes on as it was.
        GoesOn = "goes-on",
    }
    /// What PERMIT does that a callout writes without the right to.
    PermitWithoutRight {
        /// Nothing.
        Ignored = "ignored",
        /// Windows crashes.
        BugCheck = "bug-check",
    }
    /// What `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT` makes of a filter's own action.
    ClearActionRight {
        /// With the flag it is hard.
        SetIsHard = "set-is-hard",
        /// Without the flag it is hard.
        ClearedIsHard = "cleared-is-hard",
    }
    /// Whether sublayers below a hard block are evaluated.
    SublayersAfterBlock {
        /// They are, and change nothing.
        Evaluated = "evaluated",
        /// They are not.
        Skipped = "skipped",
    }
    /// How often AUTH_CONNECT is asked for a redirected TCP connection whose final destination is not loopback.
    AuthConnectCalls {
        /// Twice: with the original destination, and with the new one.
        Twice = "twice",
        /// Once, with the new one.
        Once = "once",
    }
    /// Where the AUTH_CONNECT of a v4-mapped destination is classified.
    MappedAuthLayer {
        /// At V4, as the IPv4 address.
        Ipv4 = "ipv4",
        /// At V6, as it is written.
        Ipv6 = "ipv6",
    }
    /// Whether ORIGINAL_DESTINATION and LOCAL_REDIRECT_TARGET_PID are there at AUTH_CONNECT.
    AuthConnectMetadata {
        /// For a redirected connection.
        Present = "present",
        /// Never.
        Absent = "absent",
    }
    /// Whether IS_REAUTHORIZE shows at CONNECT_REDIRECT.
    RedirectReauthorize {
        /// Where a request is classified again.
        Shown = "shown",
        /// Never.
        Hidden = "hidden",
    }
    /// What a change of the local address at CONNECT_REDIRECT does.
    LocalAtConnect {
        /// Nothing.
        Ignored = "ignored",
        /// A TCP connection comes from there; others do not.
        TcpOnly = "tcp-only",
    }
    /// What `FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS` does inline.
    InlineReauthorize {
        /// Nothing.
        Ignored = "ignored",
        /// What it does of a pended request: the callout is asked again.
        Heeded = "heeded",
    }
    /// What a program sees whose connect is blocked where it arrives.
    InboundBlock {
        /// WSAECONNREFUSED.
        Refused = "WSAECONNREFUSED",
        /// Nobody answers, until it times out.
        Dropped = "WSAETIMEDOUT",
    }
    /// What `localRedirectTargetPID` must be for a local redirect.
    TargetPid {
        /// Not 0.
        NonZero = "non-zero",
        /// The process that listens there.
        MustListen = "must-listen",
    }
    /// Which redirects need a redirect handle.
    HandleRequired {
        /// Those to an address of this host.
        Local = "local",
        /// All.
        Always = "always",
    }
    /// When a redirect context is freed.
    ContextLifetime {
        /// When both ends of the connection are closed.
        BothEnds = "both-ends-closed",
        /// When the end that connected is closed.
        ClientEnd = "client-end-closed",
        /// When the redirect handle is destroyed, or both ends of the connection are closed.
        HandleDestroyed = "handle-destroyed",
    }
    /// Which size a WSK call reports, and where.
    SizeReturned {
        /// It is given an IRP and a pointer for the size, and reports in both, whether the buffer suffices or not.
        WithIrp = "with-irp",
        /// With an IRP the pointer must be NULL, and `Information` tells the size of what was stored alone.
        WithoutIrp = "without-irp",
        /// Either is accepted, and wherever there is a place the size is reported.
        Both = "both",
    }
    /// How many bytes a WSK call writes to `OutputSizeReturned`.
    SizeWidth {
        /// 4.
        Ulong = "ULONG",
        /// 8.
        SizeT = "SIZE_T",
    }
    /// The highest level that `WskControlSocket` with the control codes may be called at.
    WskIrql {
        /// `PASSIVE_LEVEL`.
        Passive = "PASSIVE_LEVEL",
        /// `DISPATCH_LEVEL`.
        Dispatch = "DISPATCH_LEVEL",
    }
    /// Whether `WskControlSocket` minds a level of a socket option where it is given a control code.
    Level {
        /// Anything but 0 is STATUS_INVALID_PARAMETER.
        Zero = "STATUS_INVALID_PARAMETER",
        /// It is not looked at.
        Ignored = "ignored",
    }
    /// Whether a driver's query asks for administrative rights of the security context that it runs in.
    KernelRights {
        /// Without them it fails with STATUS_ACCESS_DENIED.
        Needed = "STATUS_ACCESS_DENIED",
        /// Any driver may ask.
        NotNeeded = "not-needed",
    }
    /// Whether a buffer that must be aligned is looked at.
    Alignment {
        /// One that is not is STATUS_INVALID_PARAMETER.
        Checked = "STATUS_INVALID_PARAMETER",
        /// It is written all the same.
        Ignored = "ignored",
    }
    /// What `getpeername` shows the end whose connect was redirected.
    ShownPeer {
        /// The destination that it asked for.
        Original = "original",
        /// The address that it was redirected to.
        Redirected = "redirected",
    }
    /// What travels with a redirect to an address of this host that is not loopback, of a socket without an address.
    LocalAddressRedirect {
        /// Neither records nor context.
        WithoutRecords = "without-records",
        /// As with one to loopback.
        WithRecords = "with-records",
    }
    /// What becomes of datagrams that are redirected to such an address, from such a socket.
    UnsetSource {
        /// They arrive.
        Delivered = "delivered",
        /// They are lost.
        Dropped = "dropped",
    }
    /// When it is decided which control data a datagram is received with.
    LateOption {
        /// By the options that the socket has when the datagram arrives.
        AtArrival = "at-arrival",
        /// By those that it has when the datagram is received.
        AtReceive = "at-receive",
    }
    /// Which control messages come where both are to be received, and in which order.
    BothMessages {
        /// Records, then the context.
        RecordsFirst = "records-first",
        /// The context, then records.
        ContextFirst = "context-first",
        /// Records, and no context.
        RecordsAlone = "records-alone",
        /// The context, and no records.
        ContextAlone = "context-alone",
    }
    /// What is written of a control message that does not fit.
    CutControl {
        /// Nothing.
        Nothing = "nothing",
        /// As much as fits, with the length that it has then, if there is room for a header.
        ToFit = "cut-to-fit",
        /// As much as fits, with the length that it would have had.
        AsItIs = "as-it-is",
    }
    /// Whether the last control message needs room for its padding.
    ControlPadding {
        /// `WSA_CMSG_SPACE` must fit.
        Needed = "needed",
        /// `WSA_CMSG_LEN` must fit.
        NotNeeded = "not-needed",
    }
    /// What a receive without a control buffer makes of control data.
    NoControlBuffer {
        /// It is left out, and nothing tells of it.
        Ignored = "ignored",
        /// It does not fit.
        Truncated = "MSG_CTRUNC",
    }
    /// What MSG_PEEK does on a socket with the overlapped attribute, in a synchronous call.
    Peek {
        /// It peeks.
        Works = "works",
        /// The call fails with WSAEOPNOTSUPP.
        NotSupported = "WSAEOPNOTSUPP",
    }
    /// When the context is freed that the classify at `connect` of a datagram socket left.
    ConnectContext {
        /// With the flow that the first datagram makes, or with the socket where none does.
        Flow = "with-the-flow",
        /// With the socket.
        Socket = "with-the-socket",
        /// Never.
        Leaked = "never",
    }
    /// What a connect-redirect callout sees as the source port of a socket that `connect` binds.
    SourcePort {
        /// 0: the port is chosen later.
        Unassigned = "unassigned",
        /// The port that the connection will have.
        Assigned = "assigned",
    }
}

/// How a call fails: its error code, and what it leaves in the bytes-returned word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// What `WSAGetLastError` returns.
    pub error: WinsockError,
    /// What the bytes-returned word holds.
    pub bytes: BytesReturned,
}

impl Failure {
    /// This error, with the word in this state.
    #[must_use]
    pub const fn new(error: WinsockError, bytes: BytesReturned) -> Self {
        Self { error, bytes }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.error, self.bytes.to_text())
    }
}

impl Value for Failure {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (error, bytes) = text.split_once(", ")?;
        Some(Self { error: WinsockError::by_name(error)?, bytes: BytesReturned::from_text(bytes)? })
    }
}

/// How a call answers in a doubtful situation: successfully without output, or with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It succeeds and stores nothing.
    Nothing,
    /// It fails.
    Fails(Failure),
}

impl Value for Answer {
    fn to_text(&self) -> String {
        match self {
            Self::Nothing => "success, zero".to_owned(),
            Self::Fails(failure) => failure.to_string(),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        if text == "success, zero" { Some(Self::Nothing) } else { Failure::from_text(text).map(Self::Fails) }
    }
}

impl Value for WinsockError {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::by_name(text)
    }
}

impl Value for NtStatus {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::by_name(text)
    }
}
