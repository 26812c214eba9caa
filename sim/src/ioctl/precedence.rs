//! Which cause decides where several hold at once.

use super::{Call, Operation, set_records};
use crate::error::WinsockError;
use crate::memory::Pointer;
use crate::profile::{Answer, Availability, Effect, Elevation, EmptyInput, Failure, Malformed, Probe, Usage};
use crate::socket::{Connection, Side, State};

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The descriptor is not a socket of the caller's process: WSAENOTSOCK.
    NotASocket,
    /// `lpcbBytesReturned` does not point to 4 valid bytes: WSAEFAULT.
    BytesReturnedPointer,
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

/// Declares [`PRECEDENCE`] and what follows from it, so that the order stands in one place.
macro_rules! precedence {
    ($(#[$doc:meta])* $($cause:ident: $source:literal;)*) => {
        $(#[$doc])*
        pub const PRECEDENCE: [(Cause, &str); [$(Cause::$cause),*].len()] = [$((Cause::$cause, $source)),*];

        impl Call<'_> {
            /// How the call fails, if it does: by the first cause of [`PRECEDENCE`] that holds.
            pub(super) fn first_failure(&self) -> Option<Failure> {
                // Written out, not a loop over the table: so each step is compiled for its cause alone.
                $(if let Some(failure) = self.failure(Cause::$cause) {
                    return Some(failure);
                })*
                None
            }
        }
    };
}

precedence! {
    /// Every cause, the first that holds decides, with where the order comes from.
    ///
    /// The documents say hardly anything about the order. Where nothing is documented, the table follows what any
    /// implementation must do first: find the socket, the word to report in and the operation, then look at the
    /// arguments, then at the state of the socket, then at what it has to tell.
    NotASocket: "not documented; Wine 8.0 finds an unknown code first";
    BytesReturnedPointer: "not documented; Wine 8.0 reports it before the unknown code";
    UnknownCode: "not documented";
    InputPointer: "not documented";
    OutputPointer: "not documented";
    QueryInput: "not documented";
    SetOutput: "not documented";
    SetEmpty: "not documented";
    BelowUlong: "win32, WSAEINVAL: of the length alone, whatever would be stored";
    NotElevated: "not documented";
    NotConnected: "not documented";
    NotRedirected: "a size cannot be told of what is not there";
    NoContext: "a size cannot be told of what is not there";
    SizeQuery: "win32, Remarks";
    TooSmall: "win32, Remarks";
    SetState: "not documented";
    SetMalformed: "not documented";
    SetStale: "not documented";
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
            Cause::NotASocket => when(self.socket.is_none(), plain(WinsockError::WSAENOTSOCK)),
            Cause::BytesReturnedPointer => when(!self.is_valid(self.buffers.bytes_returned, 4), fault),
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
        let profile = self.profile;
        match self.socket.map(|socket| &socket.state) {
            Some(State::Connected(Connection { flow, side, updated, .. })) => {
                let answers = *updated
                    || *side == Side::Client
                    || profile.query_before_update_context == Availability::Answered;
                let flow = self.accepted.or_else(|| self.flows.get(flow).map(|flow| &**flow));
                answers && flow.is_some_and(|flow| !flow.end(*side).reset)
            }
            Some(State::Connecting { .. }) => profile.query_while_connecting == Availability::Answered,
            _ => false,
        }
    }
}
