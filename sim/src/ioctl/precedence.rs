//! Which cause decides where several hold at once.

use super::{Call, Operation, set_records};
use crate::error::WinsockError;
use crate::memory::Pointer;
use crate::overlapped::{Callback, OVERLAPPED_BYTES};
use crate::profile::{
    Answer, Effect, Elevation, EmptyInput, Failure, InRoutine, Looked, Malformed, OtherKind, PortRoutine,
    Probe, Usage, WindowsVersion,
};
use crate::socket::Provider;
use crate::world::LOCAL_HOST;

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The network subsystem has failed: WSAENETDOWN.
    NetworkDown,
    /// The thread is in a callback: WSAEINPROGRESS; in a completion routine by the profile field
    /// `in-completion-routine`.
    CallbackInProgress,
    /// The descriptor is not a socket of the caller's process: WSAENOTSOCK.
    NotASocket,
    /// `lpcbBytesReturned` does not point to 4 valid bytes: WSAEFAULT; where the call is overlapped NULL by the
    /// profile field `null-word-when-overlapped`.
    BytesReturnedPointer,
    /// `lpOverlapped` does not point to a whole `WSAOVERLAPPED`: WSAEFAULT; on a socket that is not overlapped by
    /// the profile field `overlapped-on-plain-socket`.
    OverlappedPointer,
    /// The completion routine is not valid: WSAEFAULT; on a socket that is not overlapped by the profile field
    /// `routine-on-plain-socket`.
    RoutinePointer,
    /// A completion routine where completions go to a port: profile field `routine-with-completion-port`.
    RoutineWithPort,
    /// The provider of the socket does not know the three codes, because it is another one or because it is that of
    /// Windows 7 (profile field `windows-version`): WSAEOPNOTSUPP.
    ProviderLacksCode,
    /// The control code is none of the three: profile field `unknown-code`.
    UnknownCode,
    /// SET's input buffer is not wholly valid: WSAEFAULT.
    InputPointer,
    /// A query's output buffer is not wholly valid: WSAEFAULT; profile field `out-buffer-probe`.
    OutputPointer,
    /// A query was given an input buffer: profile field `query-input-buffer`.
    QueryInput,
    /// SET was given an output buffer or a length of one: profile field `set-output-length`.
    SetOutput,
    /// SET without input: profile field `set-empty-input`.
    SetEmpty,
    /// A query's output length is 0 to 3, and the profile takes that for a parameter that is not acceptable:
    /// WSAEINVAL in the field `below-ulong`, or for 0 in `size-query`.
    BelowUlong,
    /// The socket is not TCP's: profile fields `query-on-udp`, `query-on-raw`, `set-on-udp`, `set-on-raw`.
    WrongKind,
    /// The caller lacks administrative rights: profile fields `set-needs-elevation`, `query-needs-elevation`.
    NotElevated,
    /// A query on a socket that is not connected, or listens: WSAENOTCONN; profile fields
    /// `query-while-connecting`, `query-before-update-context`.
    NotConnected,
    /// A query on a connection that was not redirected to this host: profile fields `records-not-redirected`,
    /// `context-not-redirected`.
    NotRedirected,
    /// The context query where the redirect carried none: profile field `context-absent`.
    NoContext,
    /// The output length is 0, which asks for the size: profile field `size-query`.
    SizeQuery,
    /// The output length is less than needed: profile field `too-small`, below 4 `below-ulong`.
    TooSmall,
    /// SET on a socket that it was not made for: profile fields `set-after-bind`, `set-after-connect`,
    /// `set-on-accepted`, `set-on-listening`.
    SetState,
    /// SET's input is no record: profile field `set-malformed`.
    SetMalformed,
    /// SET's records belong to a connection that has ended: profile field `set-stale-records`.
    SetStale,
}

/// Which causes are asked about. A type each, so that every stage is compiled for itself.
pub(super) trait Stage {
    /// Whether those are that show as soon as a call is made, though it has to wait.
    const AT_ONCE: bool;
    /// Whether the others are.
    const WHEN_ANSWERED: bool;
}

/// The whole call, which is answered as soon as it is made.
pub(super) struct Whole;
/// A call that has to wait, when it is made.
pub(super) struct Made;
/// The same, when it is answered.
pub(super) struct Answered;

impl Stage for Whole {
    const AT_ONCE: bool = true;
    const WHEN_ANSWERED: bool = true;
}

impl Stage for Made {
    const AT_ONCE: bool = true;
    const WHEN_ANSWERED: bool = false;
}

impl Stage for Answered {
    const AT_ONCE: bool = false;
    const WHEN_ANSWERED: bool = true;
}

/// Declares [`PRECEDENCE`] and what follows from it, so that the order stands in one place.
macro_rules! precedence {
    ($(#[$doc:meta])* at once { $($first:ident: $first_source:literal;)* } when answered { $($rest:ident: $rest_source:literal;)* }) => {
        $(#[$doc])*
        pub const PRECEDENCE: [(Cause, &str); [$(Cause::$first,)* $(Cause::$rest),*].len()] =
            [$((Cause::$first, $first_source),)* $((Cause::$rest, $rest_source)),*];

        impl Call<'_> {
            /// How the call fails, if it does: by the first cause of [`PRECEDENCE`] that holds.
            pub(super) fn first_failure<S: Stage>(&self) -> Option<Failure> {
                // Written out, not a loop over the table: so each step is compiled for its cause alone.
                if S::AT_ONCE {
                    $(if let Some(failure) = self.failure(Cause::$first) {
                        return Some(failure);
                    })*
                }
                if S::WHEN_ANSWERED {
                    $(if let Some(failure) = self.failure(Cause::$rest) {
                        return Some(failure);
                    })*
                }
                None
            }
        }
    };
}

precedence! {
    /// Every cause, the first that holds decides, with where the order comes from.
    ///
    /// The documents say hardly anything about the order. Where nothing is documented, the table follows what any
    /// implementation must do first: find the machine, the thread and the socket fit for a call, then the word to
    /// report in and the operation, then look at the arguments, then at the state of the socket, then at what it has
    /// to tell. A call that has to wait is refused at once for what stands before `NotConnected`, and for the rest
    /// when it is answered.
    at once {
        NetworkDown: "not documented; the functions of Winsock find it out before they look at a socket";
        CallbackInProgress: "not documented";
        NotASocket: "not documented; Wine 8.0 finds an unknown code first";
        BytesReturnedPointer: "not documented; Wine 8.0 reports it before the unknown code";
        OverlappedPointer: "not documented";
        RoutinePointer: "not documented";
        RoutineWithPort: "not documented";
        ProviderLacksCode: "not documented; a provider looks at the code before it looks at what belongs to it";
        UnknownCode: "not documented";
        InputPointer: "not documented";
        OutputPointer: "not documented";
        QueryInput: "not documented";
        SetOutput: "not documented";
        SetEmpty: "not documented";
        BelowUlong: "win32, WSAEINVAL: of the length alone, whatever would be stored";
        WrongKind: "not documented";
        NotElevated: "not documented";
    }
    when answered {
        NotConnected: "not documented";
        NotRedirected: "a size cannot be told of what is not there";
        NoContext: "a size cannot be told of what is not there";
        SizeQuery: "win32, Remarks";
        TooSmall: "win32, Remarks";
        SetState: "not documented";
        SetMalformed: "not documented";
        SetStale: "not documented";
    }
}

/// Bytes of a ULONG, the least output length that the parameter text allows.
const ULONG: u32 = 4;

impl Call<'_> {
    /// How the call fails by this cause, if it holds.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of each call with a constant only one arm is left")]
    fn failure(&self, cause: Cause) -> Option<Failure> {
        let profile = self.profile;
        let plain = |error| Failure::new(error, profile.bytes_on_error);
        let invalid = plain(WinsockError::WSAEINVAL);
        let fault = plain(WinsockError::WSAEFAULT);
        let when = |holds: bool, failure: Failure| holds.then_some(failure);
        let query = self.operation.is_some_and(Operation::is_query);
        let set = self.operation == Some(Operation::SetRecords);
        let length = self.buffers.output_length;
        let needed = self.needed();
        match cause {
            Cause::NetworkDown
            | Cause::CallbackInProgress
            | Cause::OverlappedPointer
            | Cause::RoutinePointer
            | Cause::RoutineWithPort => self.failure_around(cause),
            Cause::NotASocket => when(self.socket.is_none(), plain(WinsockError::WSAENOTSOCK)),
            Cause::BytesReturnedPointer => {
                let word = self.buffers.bytes_returned;
                let ignored =
                    self.overlapped && word.is_null() && profile.null_word_when_overlapped == Looked::Ignored;
                when(!ignored && !self.is_valid(word, 4), fault)
            }
            Cause::ProviderLacksCode => {
                when((query || set) && self.lacks_codes(), plain(WinsockError::WSAEOPNOTSUPP))
            }
            Cause::UnknownCode => when(self.operation.is_none(), plain(profile.unknown_code)),
            Cause::InputPointer => {
                let given = self.buffers.input_length;
                when(set && given > 0 && !self.is_valid(self.buffers.input, given.into()), fault)
            }
            Cause::OutputPointer => {
                let probed = self.probed_output();
                when(query && probed > 0 && !self.is_valid(self.buffers.output, probed), fault)
            }
            Cause::QueryInput => {
                let given = !self.buffers.input.is_null() || self.buffers.input_length > 0;
                when(query && given && profile.query_input_buffer == Usage::Invalid, invalid)
            }
            Cause::SetOutput => {
                let given = !self.buffers.output.is_null() || length > 0;
                when(set && given && profile.set_output_length == Usage::Invalid, invalid)
            }
            Cause::SetEmpty => match profile.set_empty_input {
                EmptyInput::Invalid => when(set && self.buffers.input_length == 0, invalid),
                EmptyInput::Fault => when(set && self.buffers.input_length == 0, fault),
                EmptyInput::ClearsRecords => None,
            },
            Cause::BelowUlong => {
                let failure = self.too_small();
                when(query && length < ULONG && failure.error == WinsockError::WSAEINVAL, failure)
            }
            Cause::WrongKind => self.wrong_kind().map(plain),
            Cause::NotElevated => {
                let asked = if query { profile.query_needs_elevation } else { profile.set_needs_elevation };
                when(asked == Elevation::Needed && !self.is_elevated(), plain(WinsockError::WSAEACCES))
            }
            Cause::NotConnected => when(query && !self.is_connected(), plain(WinsockError::WSAENOTCONN)),
            Cause::NotRedirected => {
                let failure = match self.operation {
                    Some(Operation::QueryRecords) => profile.records_not_redirected,
                    _ => profile.context_not_redirected,
                };
                when(query && self.accepted.is_none_or(|flow| flow.records.is_none()), failure)
            }
            Cause::NoContext => match profile.context_absent {
                Answer::Fails(failure) => when(query && needed == 0, failure),
                Answer::Nothing => None,
            },
            Cause::SizeQuery => when(query && length == 0 && needed > 0, profile.size_query),
            Cause::TooSmall => when(query && u64::from(length) < needed, self.too_small()),
            Cause::SetState => match self.socket.map(|socket| set_records::effect(socket, profile)) {
                Some(Effect::IsConnected) => when(set, plain(WinsockError::WSAEISCONN)),
                Some(Effect::Invalid) => when(set, invalid),
                Some(Effect::Effective | Effect::NoEffect) | None => None,
            },
            Cause::SetMalformed => {
                let malformed = set && self.buffers.input_length > 0 && self.records.is_none();
                match profile.set_malformed {
                    Malformed::Invalid => when(malformed, invalid),
                    Malformed::Fault => when(malformed, fault),
                    Malformed::NoEffect => None,
                }
            }
            Cause::SetStale => {
                let stale =
                    self.records.as_ref().is_some_and(|records| set_records::is_stale(records, self.flows));
                when(set && stale && profile.set_stale_records == Usage::Invalid, invalid)
            }
        }
    }

    /// The same for the causes that lie around the call: in the machine, in the thread, in how it is to complete.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of each call with a constant only one arm is left")]
    fn failure_around(&self, cause: Cause) -> Option<Failure> {
        let profile = self.profile;
        let plain = |error| Failure::new(error, profile.bytes_on_error);
        let fault = plain(WinsockError::WSAEFAULT);
        let when = |holds: bool, failure: Failure| holds.then_some(failure);
        match cause {
            Cause::NetworkDown => {
                when(self.network_down && self.is_local(), plain(WinsockError::WSAENETDOWN))
            }
            Cause::CallbackInProgress => {
                let minded = match self.callback {
                    Some(Callback::ConditionFunction) => true,
                    Some(Callback::CompletionRoutine) => {
                        profile.in_completion_routine == InRoutine::InProgress
                    }
                    None => false,
                };
                when(minded, plain(WinsockError::WSAEINPROGRESS))
            }
            Cause::OverlappedPointer => {
                let overlapped = self.buffers.overlapped;
                let looked_at = self.is_looked_at(profile.overlapped_on_plain_socket);
                when(
                    looked_at && !overlapped.is_null() && !self.is_valid(overlapped, OVERLAPPED_BYTES),
                    fault,
                )
            }
            Cause::RoutinePointer => {
                let routine = self.buffers.routine;
                let looked_at = self.is_looked_at(profile.routine_on_plain_socket);
                when(looked_at && !routine.is_null() && !self.is_valid(routine, 1), fault)
            }
            Cause::RoutineWithPort => {
                let both = self.has_port && !self.buffers.routine.is_null();
                when(
                    both && profile.routine_with_completion_port == PortRoutine::Invalid,
                    plain(WinsockError::WSAEINVAL),
                )
            }
            _ => None,
        }
    }

    /// Whether the caller is on the machine with the network subsystem that can fail.
    fn is_local(&self) -> bool {
        self.processes.get(&self.pid).is_some_and(|process| process.host == LOCAL_HOST)
    }

    /// Whether the pointers of an overlapped call are looked at: on a socket that is not overlapped the profile says.
    /// On an overlapped one a routine alone can make no difference.
    fn is_looked_at(&self, on_plain_socket: Looked) -> bool {
        match self.socket {
            Some(socket) if socket.kind.overlapped => self.overlapped,
            _ => on_plain_socket == Looked::Fault,
        }
    }

    /// Whether the provider of the socket knows nothing of the three codes.
    fn lacks_codes(&self) -> bool {
        self.profile.windows_version == WindowsVersion::Seven
            || self.socket.is_some_and(|socket| socket.kind.provider == Provider::Layered)
    }

    /// The error of a code that is not for this kind of socket.
    fn wrong_kind(&self) -> Option<WinsockError> {
        let query = self.operation.is_some_and(Operation::is_query);
        match super::on_kind(self.socket?, query, self.profile) {
            OtherKind::Served => None,
            OtherKind::NoProtocolOption => Some(WinsockError::WSAENOPROTOOPT),
            OtherKind::Invalid => Some(WinsockError::WSAEINVAL),
            OtherKind::NotSupported => Some(WinsockError::WSAEOPNOTSUPP),
        }
    }

    fn is_elevated(&self) -> bool {
        self.processes.get(&self.pid).is_some_and(|process| process.elevated)
    }

    fn is_valid(&self, pointer: Pointer, length: u64) -> bool {
        self.memory.is_valid(self.pid, pointer, length)
    }

    fn needed(&self) -> u64 {
        self.output.map_or(0, <[u8]>::len) as u64
    }

    /// How much of the output buffer must be there: the profile says. A length of 0 needs no buffer.
    fn probed_output(&self) -> u64 {
        let (length, needed) = (u64::from(self.buffers.output_length), self.needed());
        match self.profile.out_buffer_probe {
            Probe::WholeLength => length,
            Probe::WrittenBytes if needed <= length => needed,
            Probe::WrittenBytes => 0,
        }
    }

    /// What the profile says of an output length as short as this one.
    fn too_small(&self) -> Failure {
        match self.buffers.output_length {
            0 => self.profile.size_query,
            1..ULONG => self.profile.below_ulong,
            ULONG.. => self.profile.too_small,
        }
    }

    #[inline]
    fn is_connected(&self) -> bool {
        self.socket.is_some_and(|socket| super::is_connected(socket, self.accepted, self.flows, self.profile))
    }
}
