//! The table of doubtful behaviours. A new one is one entry here, and one place in the model that asks it.

use super::Field;
use super::values::{
    AcquireEffect, Alignment, Answer, AuthConnectCalls, AuthConnectMetadata, Availability, BothMessages,
    BytesReturned, ClearActionRight, ConnectContext, ContextLifetime, ControlPadding, CutControl, Effect,
    Elevation, EmptyInput, Failure, HandleRequired, InRoutine, InboundBlock, InlineReauthorize, KernelRights,
    LateOption, Level, LocalAddressRedirect, LocalAtConnect, LoneRoutine, Looked, Malformed, MappedAuthLayer,
    NoControlBuffer, OriginalAbsent, OriginalLevel, OtherKind, Peek, PendedBytes, PermitWithoutRight,
    PortRoutine, Probe, RedirectLayerBlock, RedirectReauthorize, RemoteAfterLocal, SameClassify, SetTwice,
    ShownPeer, SizeReturned, SizeWidth, SourcePort, SpiLastError, SublayersAfterBlock, TargetPid, Unaccepted,
    Unapplied, UnsetSource, UnusedContext, Usage, Value, WindowsVersion, WskIrql,
};
use crate::error::WinsockError;
use crate::ntstatus::NtStatus;

macro_rules! bounds {
    () => {
        None
    };
    ($low:literal, $high:literal) => {
        Some(($low, $high))
    };
}

/// Declares `Profile`, its three built-in values and the table [`FIELDS`] from one list.
///
/// Each entry: name, type, its name in files, what it decides; its source; the built-in values in the order
/// `documented`, `doc-parameters`, `nt-mapped`; the values that evidence supports, with that evidence. Numbers
/// (`[low..=high]` behind the type) are listed with their bounds.
macro_rules! profile {
    ($(
        $name:ident: $type:ty $([$low:literal..=$high:literal])?, $word:literal, $summary:literal;
        source $source:literal;
        built-in [$documented:expr, $doc_parameters:expr, $nt_mapped:expr];
        values { $($value:literal => $evidence:literal,)* }
    )*) => {
        /// One machine's answers to everything that the documents leave open.
        ///
        /// Fields are public: start from a built-in profile and change what you know better.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct Profile {
            $(#[doc = $summary] #[doc = ""] #[doc = concat!("Source: ", $source)] pub $name: $type,)*
        }

        impl Profile {
            /// The reading under which most of the documents hold at once.
            #[must_use]
            pub fn documented() -> Self {
                Self { $($name: $documented,)* }
            }

            /// The parameter text of the control codes at its word.
            #[must_use]
            pub fn doc_parameters() -> Self {
                Self { $($name: $doc_parameters,)* }
            }

            /// What the NTSTATUS tables and code in the field suggest.
            #[must_use]
            pub fn nt_mapped() -> Self {
                Self { $($name: $nt_mapped,)* }
            }
        }

        impl Profile {
            /// The same, each number moved into its bounds.
            pub(crate) fn within_bounds(mut self) -> Self {
                $($(self.$name = self.$name.clamp($low, $high);)?)*
                self
            }
        }

        /// Every doubtful behaviour, in the order of [`Profile`]'s fields.
        pub static FIELDS: &[Field] = &[$(Field {
            name: $word,
            summary: $summary,
            source: $source,
            values: &[$(($value, $evidence),)*],
            bounds: bounds!($($low, $high)?),
            get: |profile| profile.$name.to_text(),
            set: |profile, text| match <$type>::from_text(text) {
                Some(value) $(if ($low..=$high).contains(&value))? => {
                    profile.$name = value;
                    true
                }
                _ => false,
            },
        },)*];
    };
}

impl Value for u32 {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Profile {
    /// No machine can be told to take a larger context.
    pub(crate) const LARGEST_CONTEXT_LIMIT: u32 = 1_048_576;
}

const fn fails(error: WinsockError, bytes: BytesReturned) -> Failure {
    Failure::new(error, bytes)
}

const INSUFFICIENT_NEEDED: Failure = fails(WinsockError::ERROR_INSUFFICIENT_BUFFER, BytesReturned::Needed);
const EINVAL_ZERO: Failure = fails(WinsockError::WSAEINVAL, BytesReturned::Zero);
const EFAULT_NEEDED: Failure = fails(WinsockError::WSAEFAULT, BytesReturned::Needed);

profile! {
    size_query: Failure, "size-query", "How a query with an output length of 0 fails.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, Remarks against cbOutBuffer (C-03)";
    built-in [INSUFFICIENT_NEEDED, EINVAL_ZERO, EFAULT_NEEDED];
    values {
        "ERROR_INSUFFICIENT_BUFFER, needed" => "Remarks: a length of 0 asks for the size",
        "WSAEINVAL, zero" => "cbOutBuffer: must be at least the size of a ULONG",
        "WSAEFAULT, needed" => "treated like any buffer that is too small, by the NTSTATUS tables",
        "WSAEFAULT, zero" => "a synchronous failure writes no information back",
        "WSAEMSGSIZE, needed" => "treated like any buffer that is too small, by the table of ReactOS",
    }

    below_ulong: Failure, "below-ulong", "How a query with an output length of 1 to 3 fails.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, WSAEINVAL against ERROR_INSUFFICIENT_BUFFER (C-35)";
    built-in [EINVAL_ZERO, EINVAL_ZERO, EINVAL_ZERO];
    values {
        "WSAEINVAL, zero" => "WSAEINVAL: less than the size of a ULONG",
        "ERROR_INSUFFICIENT_BUFFER, needed" => "Remarks: not sufficient to hold the data",
        "WSAEFAULT, needed" => "treated like any buffer that is too small, by the NTSTATUS tables",
        "WSAEFAULT, zero" => "a synchronous failure writes no information back",
    }

    too_small: Failure, "too-small", "How a query fails whose output length is at least 4, and less than needed.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpcbBytesReturned against Remarks (C-02)";
    built-in [INSUFFICIENT_NEEDED, EINVAL_ZERO, EFAULT_NEEDED];
    values {
        "ERROR_INSUFFICIENT_BUFFER, needed" => "Remarks, and the table of errors",
        "WSAEINVAL, zero" => "lpcbBytesReturned",
        "WSAEFAULT, needed" => "STATUS_BUFFER_TOO_SMALL by the NTSTATUS tables; plabayo/rama retries on it",
        "WSAEFAULT, zero" => "the same, where a synchronous failure writes no information back",
        "WSAEMSGSIZE, needed" => "the same by the table of ReactOS, which stands alone",
    }

    records_not_redirected: Failure, "records-not-redirected",
        "How the records query fails on a connection that was not redirected to this host.";
    source "not documented; docs/behaviour.md, \"Probable behaviour\"";
    built-in [EINVAL_ZERO, EINVAL_ZERO, EINVAL_ZERO];
    values {
        "WSAEINVAL, zero" => "STATUS_NOT_FOUND by the NTSTATUS tables",
        "WSAEINVAL, unchanged" => "the same, with the word left alone",
    }

    context_not_redirected: Failure, "context-not-redirected",
        "How the context query fails on a connection that was not redirected to this host.";
    source "not documented; docs/behaviour.md, \"Probable behaviour\"";
    built-in [EINVAL_ZERO, EINVAL_ZERO, EINVAL_ZERO];
    values {
        "WSAEINVAL, zero" => "STATUS_NOT_FOUND by the NTSTATUS tables",
        "WSAEINVAL, unchanged" => "the same, with the word left alone",
        "FWP_E_NOT_FOUND, zero" => "Windows-driver-samples, WFPSampler: the error that it goes on after",
    }

    context_absent: Answer, "context-absent",
        "How the context query answers where the redirect carried no context.";
    source "not documented (U-07)";
    built-in [Answer::Fails(EINVAL_ZERO), Answer::Fails(EINVAL_ZERO), Answer::Fails(EINVAL_ZERO)];
    values {
        "WSAEINVAL, zero" => "a success cannot report 0 bytes (lpcbBytesReturned), so there is nothing to be found",
        "FWP_E_NOT_FOUND, zero" => "the same, by the code that WFPSampler expects",
        "success, zero" => "an empty context is a context",
    }

    unknown_code: WinsockError, "unknown-code", "The error for a control code that the provider does not know.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, WSAEINVAL against WSAEOPNOTSUPP (C-44)";
    built-in [WinsockError::WSAEOPNOTSUPP, WinsockError::WSAEINVAL, WinsockError::WSAEOPNOTSUPP];
    values {
        "WSAEOPNOTSUPP" => "not supported by the transport provider; Wine 8.0 answers so",
        "WSAEINVAL" => "dwIoControlCode is not a valid command",
    }

    bytes_on_error: BytesReturned, "bytes-on-error",
        "What the bytes-returned word holds after a failure that no other field describes.";
    source "not documented (U-01)";
    built-in [BytesReturned::Zero, BytesReturned::Zero, BytesReturned::Zero];
    values {
        "zero" => "Wine 8.0 stores 0",
        "unchanged" => "a call that is refused early writes nothing",
    }

    query_input_buffer: Usage, "query-input-buffer", "Whether a query minds an input buffer.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpvInBuffer against WSAEINVAL (C-42)";
    built-in [Usage::Ignored, Usage::Ignored, Usage::Ignored];
    values {
        "ignored" => "the parameter is unused",
        "WSAEINVAL" => "an input parameter is not acceptable",
    }

    set_output_length: Usage, "set-output-length", "Whether SET minds an output buffer or its length.";
    source "win32 SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, cbOutBuffer (C-08)";
    built-in [Usage::Invalid, Usage::Invalid, Usage::Ignored];
    values {
        "WSAEINVAL" => "must be set to zero, and WSAEINVAL is for an input parameter that is not acceptable",
        "ignored" => "the parameter is unused",
    }

    out_buffer_probe: Probe, "out-buffer-probe", "Which part of the output buffer must be valid memory.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, WSAEFAULT; WSAIoctl";
    built-in [Probe::WholeLength, Probe::WholeLength, Probe::WholeLength];
    values {
        "whole-length" => "the parameter is not totally contained in valid user memory",
        "written-bytes" => "only what is written is touched",
    }

    overlapped_on_plain_socket: Looked, "overlapped-on-plain-socket",
        "Whether an invalid lpOverlapped is minded on a socket without the overlapped attribute.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpOverlapped against WSAEFAULT (C-39)";
    built-in [Looked::Ignored, Looked::Fault, Looked::Ignored];
    values {
        "ignored" => "lpOverlapped: ignored where the socket lacks the overlapped attribute",
        "WSAEFAULT" => "WSAIoctl, WSAEFAULT: lpOverlapped is not totally contained in a valid part of memory",
    }

    routine_on_plain_socket: Looked, "routine-on-plain-socket",
        "Whether an invalid completion routine is minded on a socket without the overlapped attribute.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpCompletionRoutine against WSAEFAULT (C-40)";
    built-in [Looked::Ignored, Looked::Fault, Looked::Ignored];
    values {
        "ignored" => "lpCompletionRoutine: ignored for sockets that are not overlapped",
        "WSAEFAULT" => "WSAIoctl, WSAEFAULT: lpCompletionRoutine is not totally contained in a valid part of memory",
    }

    routine_without_overlapped: LoneRoutine, "routine-without-overlapped",
        "What a completion routine without lpOverlapped makes of a call on an overlapped socket.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpOverlapped against lpvOutBuffer (C-41)";
    built-in [LoneRoutine::Synchronous, LoneRoutine::Overlapped, LoneRoutine::Synchronous];
    values {
        "synchronous" => "lpOverlapped: only where it is not NULL is the operation overlapped",
        "overlapped" => "WSAIoctl: a call is treated as not overlapped where both pointers are NULL",
    }

    null_word_when_overlapped: Looked, "null-word-when-overlapped",
        "Whether an overlapped call minds that lpcbBytesReturned is NULL.";
    source "sdk-api WSAIoctl, WSAEFAULT against Remarks";
    built-in [Looked::Fault, Looked::Fault, Looked::Ignored];
    values {
        "WSAEFAULT" => "WSAEFAULT: lpcbBytesReturned is not totally contained in a valid part of memory",
        "ignored" => "Remarks: the word may be ignored; sdk-api WSARecv advises NULL for an overlapped call",
    }

    routine_with_completion_port: PortRoutine, "routine-with-completion-port",
        "What comes of a completion routine on a socket that is associated with a completion port.";
    source "sdk-api CreateIoCompletionPort, Remarks; WSAIoctl says nothing of it";
    built-in [PortRoutine::Invalid, PortRoutine::Called, PortRoutine::Invalid];
    values {
        "WSAEINVAL" => "CreateIoCompletionPort: functions with completion routines cannot be used on the handle then",
        "called" => "WSAIoctl knows no such limit",
    }

    bytes_of_pended_failure: PendedBytes, "bytes-of-pended-failure",
        "The bytes transferred of a query that went pending, and found its buffer too small then.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, lpcbBytesReturned against Remarks (C-37)";
    built-in [PendedBytes::Needed, PendedBytes::Zero, PendedBytes::Zero];
    values {
        "needed" => "Remarks: the required size is returned",
        "zero" => "lpcbBytesReturned: zero where the buffer is too small",
    }

    cancelled_operation: WinsockError, "cancelled-operation", "The error of an overlapped operation that was cancelled.";
    source "win32 pages of the codes, WSA_OPERATION_ABORTED; docs/behaviour.md, \"Status mapping\"";
    built-in [
        WinsockError::WSA_OPERATION_ABORTED,
        WinsockError::WSA_OPERATION_ABORTED,
        WinsockError::WSA_OPERATION_ABORTED
    ];
    values {
        "WSA_OPERATION_ABORTED" => "the tables of errors; Wine's table for STATUS_CANCELLED",
        "WSAEINTR" => "microsoft/win-net-test's table for STATUS_CANCELLED",
    }

    blocked_code_on_close: WinsockError, "blocked-code-on-close",
        "The error of a control code that waits in its thread when the socket is closed.";
    source "win32 pages of the codes, WSAEINTR against WSA_OPERATION_ABORTED (C-46)";
    built-in [WinsockError::WSAEINTR, WinsockError::WSA_OPERATION_ABORTED, WinsockError::WSAEINTR];
    values {
        "WSAEINTR" => "a blocking operation was interrupted",
        "WSA_OPERATION_ABORTED" => "the pages list it among the errors of the call",
    }

    in_completion_routine: InRoutine, "in-completion-routine", "Whether a control code can be asked inside a completion routine.";
    source "win32 pages of the codes, WSAEINPROGRESS against lpCompletionRoutine (C-47)";
    built-in [InRoutine::Answered, InRoutine::InProgress, InRoutine::Answered];
    values {
        "answered" => "nothing forbids to ask again from a completion routine",
        "WSAEINPROGRESS" => "the function is invoked when a callback is in progress",
    }

    spi_last_error: SpiLastError, "spi-last-error", "Whether WSPIoctl also leaves its code for WSAGetLastError.";
    source "win32 pages of the codes, Return value, against lpErrno (C-38)";
    built-in [SpiLastError::Untouched, SpiLastError::Set, SpiLastError::Untouched];
    values {
        "untouched" => "LPWSPIOCTL: a specific error code is available in lpErrno",
        "set" => "the pages say of both functions that WSAGetLastError tells the code",
    }

    query_needs_elevation: Elevation, "query-needs-elevation", "Whether the queries ask for administrative rights.";
    source "WSK pages list STATUS_ACCESS_DENIED, the Winsock pages no WSAEACCES (C-10, U-03)";
    built-in [Elevation::NotNeeded, Elevation::NotNeeded, Elevation::NotNeeded];
    values {
        "not-needed" => "the tables of the queries have no WSAEACCES",
        "WSAEACCES" => "STATUS_ACCESS_DENIED on the WSK pages",
    }

    set_needs_elevation: Elevation, "set-needs-elevation", "Whether SET asks for administrative rights.";
    source "win32 SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, WSAEACCES (U-03)";
    built-in [Elevation::Needed, Elevation::Needed, Elevation::Needed];
    values {
        "WSAEACCES" => "the table of errors",
        "not-needed" => "which right is checked is unknown, and a service account may have it",
    }

    query_while_connecting: Availability, "query-while-connecting",
        "Whether a query on a socket that is still connecting is answered.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, WSAENOTCONN (U-02)";
    built-in [Availability::NotConnected, Availability::NotConnected, Availability::NotConnected];
    values {
        "WSAENOTCONN" => "the socket is not connected",
        "answered" => "the endpoint exists, and was not redirected",
    }

    query_before_update_context: Availability, "query-before-update-context",
        "Whether a query is answered on a socket that AcceptEx accepted, before SO_UPDATE_ACCEPT_CONTEXT.";
    source "not documented (U-02); microsoft/ebpf-for-windows tests/libs/util/socket_helper.cpp";
    built-in [Availability::Answered, Availability::NotConnected, Availability::Answered];
    values {
        "answered" => "the tests of ebpf-for-windows query the accepted socket at once",
        "WSAENOTCONN" => "AcceptEx: until then only some functions work on the socket",
    }

    query_on_udp: OtherKind, "query-on-udp", "What a query comes to on a UDP socket.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, parameter s against Remarks (C-32, C-43)";
    built-in [OtherKind::Served, OtherKind::Served, OtherKind::Invalid];
    values {
        "served" => "s: the connected socket for a UDP socket, for example",
        "WSAENOPROTOOPT" => "the socket option is not supported on the specified protocol",
        "WSAEINVAL" => "the command is not applicable to the type of socket; any failure by the NTSTATUS tables",
        "WSAEOPNOTSUPP" => "not supported by the transport provider: Remarks send UDP to WSAMSG",
    }

    query_on_raw: OtherKind, "query-on-raw", "What a query comes to on a raw socket.";
    source "not documented (C-43, U-02)";
    built-in [OtherKind::NoProtocolOption, OtherKind::NoProtocolOption, OtherKind::Invalid];
    values {
        "WSAENOPROTOOPT" => "the socket option is not supported on the specified protocol",
        "WSAEINVAL" => "the command is not applicable to the type of socket; any failure by the NTSTATUS tables",
        "WSAEOPNOTSUPP" => "not supported by the transport provider",
        "served" => "raw ICMP can be redirected as UDP can",
    }

    set_on_udp: OtherKind, "set-on-udp", "What SET comes to on a UDP socket.";
    source "win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, Remarks; SIO_SET page, WSAEINVAL (C-32, C-43)";
    built-in [OtherKind::Invalid, OtherKind::Invalid, OtherKind::Invalid];
    values {
        "WSAEINVAL" => "the command is not applicable to the type of socket: Remarks send UDP to WSASendMsg",
        "WSAENOPROTOOPT" => "not in SET's table, but in those of the queries",
        "WSAEOPNOTSUPP" => "not supported by the transport provider",
        "served" => "SET asks for the new socket, whatever its type; the records count for each flow that it makes",
    }

    set_on_raw: OtherKind, "set-on-raw", "What SET comes to on a raw socket.";
    source "not documented (C-43, U-02)";
    built-in [OtherKind::Invalid, OtherKind::Invalid, OtherKind::Invalid];
    values {
        "WSAEINVAL" => "the command is not applicable to the type of socket",
        "WSAENOPROTOOPT" => "not in SET's table, but in those of the queries",
        "WSAEOPNOTSUPP" => "not supported by the transport provider",
        "served" => "as on a UDP socket",
    }

    set_empty_input: EmptyInput, "set-empty-input", "What comes of a SET without input.";
    source "not documented (U-05)";
    built-in [EmptyInput::Invalid, EmptyInput::Invalid, EmptyInput::Invalid];
    values {
        "WSAEINVAL" => "an input parameter is not acceptable",
        "WSAEFAULT" => "WSAIoctl: cbInBuffer is too small",
        "clears-records" => "no records are set",
    }

    set_malformed: Malformed, "set-malformed", "What comes of a SET whose input is no record: cut, changed, or foreign.";
    source "not documented (U-05)";
    built-in [Malformed::Invalid, Malformed::Invalid, Malformed::Invalid];
    values {
        "WSAEINVAL" => "an input parameter is not acceptable",
        "WSAEFAULT" => "WSAIoctl: cbInBuffer is too small",
        "no-effect" => "the blob is looked at no sooner than in the classify",
    }

    set_stale_records: Usage, "set-stale-records", "Whether SET takes records whose connection has ended.";
    source "not documented (U-04, U-08)";
    built-in [Usage::Ignored, Usage::Ignored, Usage::Ignored];
    values {
        "ignored" => "the blob is self-contained, and the states follow from the handles in it",
        "WSAEINVAL" => "the records belong to a connection that is gone",
    }

    set_after_bind: Effect, "set-after-bind", "What SET does on a socket that is bound and not connected.";
    source "not documented (U-05); WFPSampler asks for SET before bind";
    built-in [Effect::Effective, Effect::Effective, Effect::Effective];
    values {
        "effective" => "the pages ask only for the new socket, and the guide says nothing of bind",
        "no-effect" => "Windows-driver-samples, WFPSampler: must be called before binding; Envoy sets before bind",
        "WSAEINVAL" => "the same, told to the caller",
    }

    set_after_connect: Effect, "set-after-connect", "What SET does on a socket that connected.";
    source "not documented (U-05)";
    built-in [Effect::NoEffect, Effect::NoEffect, Effect::NoEffect];
    values {
        "no-effect" => "the classify is over",
        "WSAEISCONN" => "the socket is connected",
        "WSAEINVAL" => "the command does not suit the socket",
    }

    set_on_accepted: Effect, "set-on-accepted", "What SET does on an accepted socket.";
    source "not documented (U-05)";
    built-in [Effect::NoEffect, Effect::NoEffect, Effect::NoEffect];
    values {
        "no-effect" => "it will never be classified as a connect",
        "WSAEISCONN" => "the socket is connected",
        "WSAEINVAL" => "the command does not suit the socket",
    }

    set_on_listening: Effect, "set-on-listening", "What SET does on a listening socket.";
    source "not documented (U-05)";
    built-in [Effect::NoEffect, Effect::NoEffect, Effect::NoEffect];
    values {
        "no-effect" => "it will never be classified as a connect",
        "WSAEINVAL" => "the command does not suit the socket",
    }

    set_twice: SetTwice, "set-twice", "What a second SET does.";
    source "not documented (U-05)";
    built-in [SetTwice::Replace, SetTwice::Replace, SetTwice::Replace];
    values {
        "replace" => "a set operation",
        "append" => "records grow by each redirect",
    }

    unaccepted_local_redirect: Unaccepted, "unaccepted-local-redirect",
        "What becomes of a connect whose local redirect is not accepted.";
    source "FWPS_CONNECT_REQUEST0: localRedirectTargetPID, localRedirectHandle; not documented what follows";
    built-in [Unaccepted::OriginalDestination, Unaccepted::OriginalDestination, Unaccepted::OriginalDestination];
    values {
        "original-destination" => "the change is not accepted, so the request is as before",
        "WSAECONNREFUSED" => "the connect fails",
    }

    remote_after_local_redirect: RemoteAfterLocal, "remote-after-local-redirect",
        "Which redirect counts where a remote one follows a local one in the same classify.";
    source "not documented; docs/behaviour.md, \"Chains\"";
    built-in [RemoteAfterLocal::RemoteWins, RemoteAfterLocal::RemoteWins, RemoteAfterLocal::RemoteWins];
    values {
        "remote-wins" => "the last modification is the one that counts",
        "local-wins" => "the local redirect's handle stays in the request",
    }

    same_classify_redirects: SameClassify, "same-classify-redirects",
        "Which redirects of one classify leave an entry in the records.";
    source "not documented (U-12)";
    built-in [SameClassify::Last, SameClassify::Last, SameClassify::Last];
    values {
        "last" => "the request has one handle, the last writer's",
        "both" => "each modification is a version of the request",
    }

    local_address_redirect: LocalAddressRedirect, "local-address-redirect",
        "What travels with a redirect to an own address that is not loopback, of a socket that no bind gave an address.";
    source "microsoft/ebpf-for-windows tests/connect_redirect/connect_redirect_tests.cpp, skipped case 1 (R19)";
    built-in [
        LocalAddressRedirect::WithoutRecords,
        LocalAddressRedirect::WithoutRecords,
        LocalAddressRedirect::WithoutRecords
    ];
    values {
        "without-records" => "Windows treats the path as not loopback, and there is no context",
        "with-records" => "the guide: redirect to the local address",
    }

    datagram_unset_source: UnsetSource, "datagram-unset-source",
        "What becomes of datagrams redirected to an own address that is not loopback, of a socket that no bind gave one.";
    source "Windows-driver-samples issues 144 and 374 (R20)";
    built-in [UnsetSource::Delivered, UnsetSource::Delivered, UnsetSource::Dropped];
    values {
        "delivered" => "the guide asks for loopback there, and does not say that anything else is lost",
        "dropped" => "users of WFPSampler: with a source of 0.0.0.0:0 nothing arrives",
    }

    block_at_redirect_layer: RedirectLayerBlock, "block-at-redirect-layer",
        "What FWP_ACTION_BLOCK does at a connect-redirect layer.";
    source "mullvad/win-split-tunnel src/firewall/pending.cpp (U-13)";
    built-in [RedirectLayerBlock::Ignored, RedirectLayerBlock::Ignored, RedirectLayerBlock::Ignored];
    values {
        "ignored" => "seen by Mullvad; the guide blocks at ALE_AUTH_CONNECT instead",
        "WSAEACCES" => "WFPSampler sets BLOCK there",
    }

    acquire_effect: AcquireEffect, "acquire-effect",
        "What FwpsAcquireWritableLayerDataPointer0 does to classifyOut.";
    source "ddi FwpsAcquireWritableLayerDataPointer0 against mullvad/win-split-tunnel src/firewall/classify.cpp (C-17, U-14)";
    built-in [AcquireEffect::BlockAndClearRight, AcquireEffect::BlockAndClearRight, AcquireEffect::Nothing];
    values {
        "block-and-clear-right" => "the function page; comments in WFPSampler",
        "nothing" => "seen by Mullvad; Safe-Chain relies on it",
    }

    acquire_without_apply: Unapplied, "acquire-without-apply",
        "What becomes of a request whose layer data was acquired and not applied.";
    source "ddi FwpsAcquireWritableLayerDataPointer0, Remarks";
    built-in [Unapplied::NeverCompletes, Unapplied::NeverCompletes, Unapplied::NeverCompletes];
    values {
        "never-completes" => "the page: the classify may not complete correctly",
        "goes-on" => "the request is not changed, and nothing else is said",
    }

    permit_without_right: PermitWithoutRight, "permit-without-right",
        "What PERMIT does that a callout writes without FWPS_RIGHT_ACTION_WRITE.";
    source "not documented; docs/behaviour.md, \"Arbitration\"";
    built-in [PermitWithoutRight::Ignored, PermitWithoutRight::Ignored, PermitWithoutRight::BugCheck];
    values {
        "ignored" => "only a veto counts without the right",
        "bug-check" => "AdguardForWindows #2384 reports crashes of Windows 10 1809",
    }

    clear_action_right: ClearActionRight, "clear-action-right",
        "What FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT makes of a filter's own action.";
    source "win32 Filter Arbitration against the name of the flag (C-27)";
    built-in [ClearActionRight::SetIsHard, ClearActionRight::ClearedIsHard, ClearActionRight::SetIsHard];
    values {
        "set-is-hard" => "the name; the defaults of the same page: a permit is soft",
        "cleared-is-hard" => "the text of the page",
    }

    sublayers_after_block: SublayersAfterBlock, "sublayers-after-block",
        "Whether the sublayers below a hard block are evaluated.";
    source "win32 Filter Arbitration, against itself (C-26)";
    built-in [SublayersAfterBlock::Evaluated, SublayersAfterBlock::Evaluated, SublayersAfterBlock::Evaluated];
    values {
        "evaluated" => "the algorithm: every sublayer is",
        "skipped" => "the basic policy: a block ends the evaluation",
    }

    auth_connect_of_redirected: AuthConnectCalls, "auth-connect-of-redirected",
        "How often AUTH_CONNECT is asked for a redirected TCP connection whose final destination is not loopback.";
    source "microsoft/ebpf-for-windows docs/ConnectAuthorizationAttachTypes.md; documented for Store apps alone";
    built-in [AuthConnectCalls::Twice, AuthConnectCalls::Twice, AuthConnectCalls::Twice];
    values {
        "twice" => "seen by ebpf-for-windows: with the original destination, then with the new one",
        "once" => "its page says that it may be asked twice",
    }

    mapped_auth_layer: MappedAuthLayer, "mapped-auth-layer",
        "Where the AUTH_CONNECT of a v4-mapped destination is classified.";
    source "microsoft/ebpf-for-windows netebpfext/net_ebpf_ext_sock_addr.c against win32 Application Layer Enforcement (C-23)";
    built-in [MappedAuthLayer::Ipv4, MappedAuthLayer::Ipv6, MappedAuthLayer::Ipv4];
    values {
        "ipv4" => "seen by ebpf-for-windows",
        "ipv6" => "the page: V4 may not be classified for dual-stack sockets",
    }

    auth_connect_metadata: AuthConnectMetadata, "auth-connect-metadata",
        "Whether a redirected connection has ORIGINAL_DESTINATION and LOCAL_REDIRECT_TARGET_PID at AUTH_CONNECT.";
    source "driver-docs Using Bind or Connect Redirection against Metadata Fields at Each Filtering Layer (C-24)";
    built-in [AuthConnectMetadata::Present, AuthConnectMetadata::Present, AuthConnectMetadata::Present];
    values {
        "present" => "the guide reads both there",
        "absent" => "the table lists neither",
    }

    reauthorize_at_connect_redirect: RedirectReauthorize, "reauthorize-at-connect-redirect",
        "Whether IS_REAUTHORIZE shows at CONNECT_REDIRECT.";
    source "WFPSampler and microsoft/ebpf-for-windows against win32 ALE Reauthorization (C-25)";
    built-in [RedirectReauthorize::Shown, RedirectReauthorize::Shown, RedirectReauthorize::Shown];
    values {
        "shown" => "WFPSampler and ebpf-for-windows handle it there",
        "hidden" => "the page allows it at AUTH_CONNECT and AUTH_RECV_ACCEPT alone",
    }

    local_address_at_connect_redirect: LocalAtConnect, "local-address-at-connect-redirect",
        "What a change of localAddressAndPort at CONNECT_REDIRECT does.";
    source "FWPS_CONNECT_REQUEST0 against mullvad/win-split-tunnel src/firewall/callouts.cpp (C-18)";
    built-in [LocalAtConnect::Ignored, LocalAtConnect::Ignored, LocalAtConnect::TcpOnly];
    values {
        "ignored" => "the guide: only at the bind-redirect layer",
        "tcp-only" => "Mullvad does it in production, for TCP",
    }

    reauthorize_flag_inline: InlineReauthorize, "reauthorize-flag-inline",
        "What FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS does inline.";
    source "ddi FwpsApplyModifiedLayerData0: indeterminate results";
    built-in [InlineReauthorize::Ignored, InlineReauthorize::Ignored, InlineReauthorize::Heeded];
    values {
        "ignored" => "the page allows it for pended requests alone",
        "heeded" => "the sample of the guide passes it inline",
    }

    block_at_recv_accept: InboundBlock, "block-at-recv-accept",
        "What a program sees whose connect is blocked where it arrives.";
    source "not documented; docs/behaviour.md, \"Layers\"";
    built-in [InboundBlock::Dropped, InboundBlock::Dropped, InboundBlock::Dropped];
    values {
        "WSAETIMEDOUT" => "what is blocked is dropped in silence",
        "WSAECONNREFUSED" => "a reset answers over loopback",
    }

    target_pid: TargetPid, "target-pid", "What localRedirectTargetPID must be.";
    source "FWPS_CONNECT_REQUEST0, localRedirectTargetPID (C-19, U-10)";
    built-in [TargetPid::NonZero, TargetPid::MustListen, TargetPid::NonZero];
    values {
        "non-zero" => "the tests of ebpf-for-windows pass with the constant 1234",
        "must-listen" => "the page: the process that handles the traffic",
    }

    handle_required: HandleRequired, "handle-required", "Which redirects need a redirect handle.";
    source "FWPS_CONNECT_REQUEST0, localRedirectHandle, against the guide (C-20)";
    built-in [HandleRequired::Local, HandleRequired::Always, HandleRequired::Local];
    values {
        "local" => "the guide: for redirection to a local service",
        "always" => "the page: for redirection to work from Windows 8 on",
    }

    context_lifetime: ContextLifetime, "context-lifetime", "When a redirect context is freed.";
    source "FWPS_CONNECT_REQUEST0, localRedirectContext (U-08)";
    built-in [ContextLifetime::BothEnds, ContextLifetime::BothEnds, ContextLifetime::BothEnds];
    values {
        "both-ends-closed" => "the proxied flow is gone when both its ends are",
        "client-end-closed" => "the proxied flow is the client's",
        "handle-destroyed" => "the context is the driver's, and goes with it",
    }

    wsk_size_returned: SizeReturned, "wsk-size-returned",
        "How a WSK call is to be given OutputSizeReturned, and where it reports the size.";
    source "WSK pages of the control codes, against PFN_WSK_CONTROL_SOCKET (C-09)";
    built-in [SizeReturned::Both, SizeReturned::WithIrp, SizeReturned::Both];
    values {
        "both" => "each page allows what it describes; nothing is lost by reporting in both places",
        "with-irp" => "the control codes' pages: an IRP and the pointer, and the size in IoStatus.Information too",
        "without-irp" => "the function's page: NULL unless the IRP is; Information only if the operation succeeds",
    }

    wsk_size_width: SizeWidth, "wsk-size-width", "How many bytes a WSK call writes to OutputSizeReturned.";
    source "PFN_WSK_CONTROL_SOCKET, its prototype against its text (C-50)";
    built-in [SizeWidth::Ulong, SizeWidth::Ulong, SizeWidth::SizeT];
    values {
        "ULONG" => "the text of the parameter, and the control codes' pages",
        "SIZE_T" => "the prototype in wsk.h",
    }

    wsk_size_query: NtStatus, "wsk-size-query", "The status of a WSK query with an OutputSize of 0.";
    source "WSK pages of the control codes: the size comes upon completion, the status is not said";
    built-in [
        NtStatus::STATUS_BUFFER_TOO_SMALL, NtStatus::STATUS_SUCCESS, NtStatus::STATUS_BUFFER_TOO_SMALL
    ];
    values {
        "STATUS_BUFFER_TOO_SMALL" => "any buffer that is too small; in user mode a length of 0 fails too",
        "STATUS_SUCCESS" => "the call retrieves the size, which is what it was asked for",
    }

    wsk_irql: WskIrql, "wsk-irql", "The highest level at which the control codes may be asked through WSK.";
    source "WSK pages of the control codes, IRQL, against PFN_WSK_CONTROL_SOCKET (C-09)";
    built-in [WskIrql::Passive, WskIrql::Passive, WskIrql::Dispatch];
    values {
        "PASSIVE_LEVEL" => "the control codes' pages",
        "DISPATCH_LEVEL" => "the function's page: but for three codes about address lists",
    }

    wsk_level: Level, "wsk-level", "Whether WskControlSocket minds a Level with a control code.";
    source "WSK pages of the control codes, Level, against PFN_WSK_CONTROL_SOCKET (C-49)";
    built-in [Level::Ignored, Level::Zero, Level::Ignored];
    values {
        "ignored" => "the function's page: ignored with WskIoctl",
        "STATUS_INVALID_PARAMETER" => "the control codes' pages: it is 0",
    }

    wsk_query_rights: KernelRights, "wsk-query-rights",
        "Whether a query through WSK asks for administrative rights.";
    source "WSK pages of the queries, STATUS_ACCESS_DENIED (C-10, U-03)";
    built-in [KernelRights::Needed, KernelRights::Needed, KernelRights::NotNeeded];
    values {
        "STATUS_ACCESS_DENIED" => "the pages list it",
        "not-needed" => "as in user mode, where the pages list no WSAEACCES",
    }

    sio_format_alignment: Alignment, "sio-format-alignment",
        "Whether FwpsQueryConnectionSioFormatRedirectRecords0 minds a buffer that is not pointer-aligned.";
    source "ddi FwpsQueryConnectionSioFormatRedirectRecords0, OutputBuffer; not documented what follows";
    built-in [Alignment::Checked, Alignment::Checked, Alignment::Ignored];
    values {
        "STATUS_INVALID_PARAMETER" => "the buffer must be aligned",
        "ignored" => "the records are copied byte by byte",
    }

    peer_name_after_redirect: ShownPeer, "peer-name-after-redirect",
        "What getpeername shows the end whose connect was redirected.";
    source "not documented (U-19)";
    built-in [ShownPeer::Original, ShownPeer::Original, ShownPeer::Original];
    values {
        "original" => "redirection is meant to be invisible to the application",
        "redirected" => "the endpoint is connected to the proxy",
    }

    reply_source_after_redirect: ShownPeer, "reply-source-after-redirect",
        "Which source a datagram shows that a service sends back through a redirected flow.";
    source "not documented (U-19)";
    built-in [ShownPeer::Original, ShownPeer::Original, ShownPeer::Original];
    values {
        "original" => "redirection is meant to be invisible to the application",
        "redirected" => "the service's socket is bound to that address",
    }

    reception_decided: LateOption, "reception-decided",
        "When it is decided which control data a datagram is received with.";
    source "not documented (U-09)";
    built-in [LateOption::AtArrival, LateOption::AtArrival, LateOption::AtArrival];
    values {
        "at-arrival" => "the datagram is queued with its control data",
        "at-receive" => "the call makes the control data",
    }

    both_control_messages: BothMessages, "both-control-messages",
        "Which control messages come where records and context are both to be received, and in which order.";
    source "not documented (U-09)";
    built-in [BothMessages::RecordsFirst, BothMessages::RecordsFirst, BothMessages::RecordsFirst];
    values {
        "records-first" => "two options, two messages, by their numbers",
        "context-first" => "nothing orders control messages",
        "records-alone" => "nobody was seen to switch both on",
        "context-alone" => "the same",
    }

    truncated_control: CutControl, "truncated-control", "What is written of a control message that does not fit.";
    source "sdk-api WSAMSG: MSG_CTRUNC; not documented what of it is there (U-09)";
    built-in [CutControl::ToFit, CutControl::ToFit, CutControl::ToFit];
    values {
        "cut-to-fit" => "the control data was truncated, so part of it is there; POSIX systems do so",
        "as-it-is" => "the bytes are copied as far as they go, with the length in front",
        "nothing" => "a message that does not fit is left out",
    }

    last_control_padding: ControlPadding, "last-control-padding",
        "Whether a control message fits whose padding does not.";
    source "sdk-api WSAMSG: WSA_CMSG_SPACE, WSA_CMSG_LEN (C-15)";
    built-in [ControlPadding::Needed, ControlPadding::Needed, ControlPadding::Needed];
    values {
        "needed" => "WSA_CMSG_SPACE is what a message takes",
        "not-needed" => "WSA_CMSG_LEN leaves out the padding behind the data, and the last message needs none",
    }

    no_control_buffer: NoControlBuffer, "no-control-buffer",
        "What a WSARecvMsg without a control buffer makes of control data that the socket is to receive.";
    source "not documented (U-09)";
    built-in [NoControlBuffer::Ignored, NoControlBuffer::Ignored, NoControlBuffer::Ignored];
    values {
        "ignored" => "the control buffer is optional",
        "MSG_CTRUNC" => "control data that does not fit is truncated",
    }

    send_control_malformed: Usage, "send-control-malformed",
        "Whether WSASendMsg minds control data that is malformed.";
    source "not documented";
    built-in [Usage::Invalid, Usage::Invalid, Usage::Invalid];
    values {
        "WSAEINVAL" => "an argument that is not acceptable",
        "ignored" => "what cannot be read is no known message",
    }

    peek_on_overlapped: Peek, "peek-on-overlapped",
        "What MSG_PEEK does in a synchronous WSARecvMsg on a socket with the overlapped attribute.";
    source "sdk-api LPFN_WSARECVMSG, dwFlags against Remarks";
    built-in [Peek::Works, Peek::NotSupported, Peek::Works];
    values {
        "works" => "Remarks: treated as a non-overlapped socket when both pointers are NULL",
        "WSAEOPNOTSUPP" => "dwFlags: valid for non-overlapped sockets alone",
    }

    message_call_on_stream: WinsockError, "message-call-on-stream",
        "The error of WSARecvMsg and WSASendMsg on a TCP socket.";
    source "sdk-api LPFN_WSARECVMSG, WSASendMsg: datagrams and raw sockets only; no code is named";
    built-in [WinsockError::WSAEOPNOTSUPP, WinsockError::WSAEOPNOTSUPP, WinsockError::WSAEOPNOTSUPP];
    values {
        "WSAEOPNOTSUPP" => "the socket operation is not supported",
        "WSAEINVAL" => "the other code of their tables for a socket that does not suit",
    }

    context_of_refused_redirect: UnusedContext, "context-of-refused-redirect",
        "What becomes of the context of a redirect that the engine does not accept.";
    source "not documented: FWPS_CONNECT_REQUEST0, localRedirectContext; docs/behaviour.md, \"Connect request\"";
    built-in [UnusedContext::Freed, UnusedContext::Freed, UnusedContext::Freed];
    values {
        "freed" => "WFP took over its ownership",
        "leaked" => "nothing says that the engine takes over what it refuses; Windows-driver-samples #526 reports leaks at unload",
    }

    context_of_overwritten_redirect: UnusedContext, "context-of-overwritten-redirect",
        "What becomes of the context of a redirect over which a later callout redirects in the same classify.";
    source "not documented: FWPS_CONNECT_REQUEST0, localRedirectContext and previousVersion (R8)";
    built-in [UnusedContext::Freed, UnusedContext::Freed, UnusedContext::Freed];
    values {
        "freed" => "WFP took over its ownership",
        "leaked" => "there is no flow that it could be freed with; ebpf-for-windows PR #2067 keeps from redirecting over another",
    }

    context_of_failed_connect: UnusedContext, "context-of-failed-connect",
        "What becomes of the context of an accepted redirect whose connection is not made: nobody listens, or nobody answers.";
    source "not documented: FWPS_CONNECT_REQUEST0, localRedirectContext";
    built-in [UnusedContext::Freed, UnusedContext::Freed, UnusedContext::Freed];
    values {
        "freed" => "WFP took over its ownership",
        "leaked" => "it is freed with the proxied flow, and there is none; Windows-driver-samples #526 reports leaks at unload",
    }

    context_of_blocked_connect: UnusedContext, "context-of-blocked-connect",
        "What becomes of the context of a redirect whose connection is blocked afterwards.";
    source "not documented: FWPS_CONNECT_REQUEST0, localRedirectContext";
    built-in [UnusedContext::Freed, UnusedContext::Freed, UnusedContext::Freed];
    values {
        "freed" => "WFP took over its ownership",
        "leaked" => "it is freed with the proxied flow, and there is none",
    }

    connected_udp_context: ConnectContext, "connected-udp-context",
        "When the context is freed that the classify at connect of a datagram socket left.";
    source "FWPS_CONNECT_REQUEST0, localRedirectContext; microsoft/ebpf-for-windows scripts/run_driver_tests.psm1 (R12)";
    built-in [ConnectContext::Flow, ConnectContext::Flow, ConnectContext::Flow];
    values {
        "with-the-flow" => "freed when the proxied flow is removed",
        "with-the-socket" => "the endpoint holds what no flow took over",
        "never" => "ebpf-for-windows calls the leak a known bug of Windows",
    }

    implicit_source_port: SourcePort, "implicit-source-port",
        "What a connect-redirect callout sees as the source port of a socket that connect binds.";
    source "Azure/GuestProxyAgent ebpf/redirect.bpf.c; docs/behaviour.md, \"Layers\"";
    built-in [SourcePort::Unassigned, SourcePort::Assigned, SourcePort::Unassigned];
    values {
        "unassigned" => "Guest Proxy Agent handles a source port of 0",
        "assigned" => "TCP packet flows: RESOURCE_ASSIGNMENT comes before CONNECT_REDIRECT",
    }

    windows_version: WindowsVersion, "windows-version",
        "Which Windows it is: before Windows 8 there are neither redirect handles, records and contexts nor the codes that ask for them.";
    source "the pages of the three control codes, Remarks; driver-docs WFP Changes for Windows 8";
    built-in [WindowsVersion::Eight, WindowsVersion::Eight, WindowsVersion::Eight];
    values {
        "windows-8" => "since Windows 8 and Server 2012, Remarks of each page",
        "windows-7" => "Windows 7 redirects with a process id alone; C-01: the front matter of the pages says Windows Vista",
    }

    original_destination_level: OriginalLevel, "original-destination-level",
        "The levels at which getsockopt knows SO_ORIGINAL_DST; at the others it fails with WSAENOPROTOOPT.";
    source "Windows SDK ws2def.h; envoyproxy/envoy source/common/network/utility.cc, getOriginalDst";
    built-in [OriginalLevel::Any, OriginalLevel::Any, OriginalLevel::Any];
    values {
        "any" => "the header and Envoy are both right",
        "family" => "Envoy asks at SOL_IP, and for IPv6 at SOL_IPV6",
        "socket" => "ws2def.h has it among the options of SOL_SOCKET",
    }

    original_destination_absent: OriginalAbsent, "original-destination-absent",
        "SO_ORIGINAL_DST on a socket to which no connection was redirected.";
    source "not documented; docs/behaviour.md, \"The original destination\"";
    built-in [OriginalAbsent::Invalid, OriginalAbsent::Invalid, OriginalAbsent::Invalid];
    values {
        "WSAEINVAL" => "as STATUS_NOT_FOUND is mapped, and as the queries fail",
        "local-address" => "what Envoy's filter says of a connection that was not redirected",
    }

    unroutable_source: WinsockError, "unroutable-source",
        "The error of a connect from a bound address from which the target cannot be reached.";
    source "microsoft/ebpf-for-windows tests/connect_redirect; mullvad/win-split-tunnel src/firewall/callouts.cpp";
    built-in [WinsockError::WSAEADDRNOTAVAIL, WinsockError::WSAEADDRNOTAVAIL, WinsockError::WSAEADDRNOTAVAIL];
    values {
        "WSAEADDRNOTAVAIL" => "seen by Mullvad for loopback from a bound address",
        "WSAENETUNREACH" => "ebpf-for-windows calls it not routable",
        "WSAEHOSTUNREACH" => "the other code that connect documents for what cannot be reached",
    }

    mapped_on_v6only: WinsockError, "mapped-on-v6only",
        "The error of a connect to a v4-mapped address on a socket that serves IPv6 alone.";
    source "win32 Dual-Stack Sockets; plabayo/rama issue 972";
    built-in [WinsockError::WSAEADDRNOTAVAIL, WinsockError::WSAEADDRNOTAVAIL, WinsockError::WSAEADDRNOTAVAIL];
    values {
        "WSAEADDRNOTAVAIL" => "the address is not valid in the socket's context",
        "WSAENETUNREACH" => "no IPv6 route leads there",
        "WSAEAFNOSUPPORT" => "an address of a family that the socket does not serve",
        "WSAEINVAL" => "an argument that the socket cannot take",
    }

    record_header_bytes: u32 [16..=4096], "record-header-bytes", "Bytes of a record blob before its entries.";
    source "not documented (U-04)";
    built-in [32, 32, 32];
    values {
        "16" => "the least that the model's own blob needs",
        "4096" => "the model's bound",
    }

    record_bytes_per_hop: u32 [24..=4096], "record-bytes-per-hop", "Bytes that each redirect adds to a record blob.";
    source "not documented (U-04); the page suggests a buffer of 1,024 bytes";
    built-in [96, 96, 96];
    values {
        "24" => "the least that the model's own entry needs",
        "4096" => "the model's bound",
    }

    context_limit: u32 [256..=1_048_576], "context-limit", "The largest redirect context, in bytes.";
    source "not documented; docs/behaviour.md, \"Connect request\"";
    built-in [65536, 65536, 65536];
    values {
        "256" => "WFPSampler leaves two SOCKADDR_STORAGE",
        "1048576" => "the model's bound",
    }

    udp_idle_timeout_ms: u32 [1..=86_400_000], "udp-idle-timeout-ms",
        "Milliseconds without a datagram after which a flow of datagrams ends.";
    source "not documented (U-09)";
    built-in [60_000, 60_000, 60_000];
    values {
        "1" => "the model's bound",
        "86400000" => "the model's bound",
    }

    connect_timeout_ms: u32 [1..=600_000], "connect-timeout-ms", "Milliseconds until a connect that nobody answers ends.";
    source "win32 TCP/IP parameters: three SYNs, 3 seconds doubled";
    built-in [21_000, 21_000, 21_000];
    values {
        "1" => "the model's bound",
        "600000" => "the model's bound",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_word_is_a_value_of_its_own() {
        let mut profile = Profile::documented();
        let field = Field::by_name("records-not-redirected").unwrap();
        field.set(&mut profile, "WSAEINVAL, unchanged").unwrap();
        assert_eq!(
            profile.records_not_redirected,
            Failure::new(WinsockError::WSAEINVAL, BytesReturned::Unchanged)
        );
    }
}
