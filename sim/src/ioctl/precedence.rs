//! Which cause decides where several hold at once.

use super::{Call, Operation};
use crate::error::WinsockError;
use crate::profile::{Answer, Availability, Effect, Elevation, Failure, Probe, Usage};
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
    /// A query's output length is 1 to 3: profile field `below-ulong`. A reading in which 0 is below a ULONG as
    /// well has that in `size-query`.
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
    /// The output length is 0: profile field `size-query`.
    SizeQuery,
    /// The output length is at least 4, and less than needed: profile field `too-small`.
    TooSmall,
    /// SET on a socket that it was not made for: profile fields `set-after-bind`, `set-after-connect`,
    /// `set-on-accepted`, `set-on-listening`.
    SetState,
    /// SET's input is no record: profile field `set-malformed`.
    SetMalformed,
    /// SET's records belong to a connection that has ended: profile field `set-stale-records`.
    SetStale,
}

/// Every cause, the first that holds decides, with where the order comes from.
///
/// The documents say hardly anything about the order. Where nothing is documented, the table follows what any
/// implementation must do first: find the socket, the word to report in and the operation, then look at the
/// arguments, then at the state of the socket, then at what it has to tell.
pub const PRECEDENCE: [(Cause, &str); 18] = [
    (Cause::NotASocket, "not documented; Wine 8.0 finds an unknown code first"),
    (Cause::BytesReturnedPointer, "not documented; Wine 8.0 reports it before the unknown code"),
    (Cause::UnknownCode, "not documented"),
    (Cause::InputPointer, "not documented"),
    (Cause::OutputPointer, "not documented"),
    (Cause::QueryInput, "not documented"),
    (Cause::SetOutput, "not documented"),
    (Cause::SetEmpty, "not documented"),
    (Cause::BelowUlong, "win32, WSAEINVAL: of the length alone, whatever would be stored"),
    (Cause::NotElevated, "not documented"),
    (Cause::NotConnected, "not documented"),
    (Cause::NotRedirected, "a size cannot be told of what is not there"),
    (Cause::NoContext, "a size cannot be told of what is not there"),
    (Cause::SizeQuery, "win32, Remarks"),
    (Cause::TooSmall, "win32, Remarks"),
    (Cause::SetState, "not documented"),
    (Cause::SetMalformed, "not documented"),
    (Cause::SetStale, "not documented"),
];

/// Bytes of a ULONG, the least output length that the parameter text allows.
const ULONG: u32 = 4;

impl Call<'_> {
    /// How the call fails, if it does: by the first cause of [`PRECEDENCE`] that holds.
    #[inline]
    pub(super) fn first_failure(&self) -> Option<Failure> {
        PRECEDENCE.iter().find_map(|(cause, _)| self.failure(*cause))
    }

    /// How the call fails by this cause, if it holds.
    #[inline]
    fn failure(&self, cause: Cause) -> Option<Failure> {
        let profile = &self.world.profile;
        let plain = |error| Failure::new(error, profile.bytes_on_error);
        let when = |holds: bool, failure: Failure| holds.then_some(failure);
        let query = self.operation.is_some_and(Operation::is_query);
        let set = self.operation == Some(Operation::SetRecords);
        let length = self.buffers.output_length;
        let needed = self.output.map_or(0, <[u8]>::len) as u64;
        match cause {
            Cause::NotASocket => when(self.socket.is_none(), plain(WinsockError::WSAENOTSOCK)),
            Cause::BytesReturnedPointer => {
                let valid = self.world.memory.is_valid(self.caller.pid, self.buffers.bytes_returned, 4);
                when(!valid, plain(WinsockError::WSAEFAULT))
            }
            Cause::UnknownCode => when(self.operation.is_none(), plain(profile.unknown_code)),
            Cause::InputPointer => {
                when(set && self.input_is_invalid(), plain(WinsockError::WSAEFAULT))
            }
            Cause::OutputPointer => {
                when(query && self.output_is_invalid(needed), plain(WinsockError::WSAEFAULT))
            }
            Cause::QueryInput => {
                let given = !self.buffers.input.is_null() || self.buffers.input_length > 0;
                let minded = profile.query_input_buffer == Usage::Invalid;
                when(query && given && minded, plain(WinsockError::WSAEINVAL))
            }
            Cause::SetOutput => {
                let given = !self.buffers.output.is_null() || length > 0;
                let minded = profile.set_output_length == Usage::Invalid;
                when(set && given && minded, plain(WinsockError::WSAEINVAL))
            }
            Cause::SetEmpty => {
                when(set && self.buffers.input_length == 0, plain(profile.set_empty_input))
            }
            Cause::BelowUlong => when(query && (1..ULONG).contains(&length), profile.below_ulong),
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
                when(query && self.socket.is_some_and(|socket| self.world.arrived(socket).is_none()), failure)
            }
            Cause::NoContext => match profile.context_absent {
                Answer::Fails(failure) => when(query && needed == 0, failure),
                Answer::Nothing => None,
            },
            Cause::SizeQuery => when(query && length == 0 && needed > 0, profile.size_query),
            Cause::TooSmall => when(query && u64::from(length) < needed, profile.too_small),
            Cause::SetState => {
                let effect = self.socket.map(|socket| self.world.effect_of_set(socket));
                let error = match effect.filter(|_| set)? {
                    Effect::Effective | Effect::NoEffect => return None,
                    Effect::IsConnected => WinsockError::WSAEISCONN,
                    Effect::Invalid => WinsockError::WSAEINVAL,
                };
                Some(plain(error))
            }
            Cause::SetMalformed => {
                when(set && self.world.records_in(self.caller, self.buffers).is_none(), plain(profile.set_malformed))
            }
            Cause::SetStale => {
                let minded = set && profile.set_stale_records == Usage::Invalid;
                let stale = || {
                    let records = self.world.records_in(self.caller, self.buffers);
                    records.is_some_and(|records| self.world.is_stale(&records))
                };
                when(minded && stale(), plain(WinsockError::WSAEINVAL))
            }
        }
    }

    fn input_is_invalid(&self) -> bool {
        let length = u64::from(self.buffers.input_length);
        length > 0 && !self.world.memory.is_valid(self.caller.pid, self.buffers.input, length)
    }

    /// A length of 0 needs no buffer; else the profile says how much of it must be there.
    #[inline]
    fn output_is_invalid(&self, needed: u64) -> bool {
        let length = u64::from(self.buffers.output_length);
        let probed = match self.world.profile.out_buffer_probe {
            Probe::WholeLength => length,
            Probe::WrittenBytes if needed <= length => needed,
            Probe::WrittenBytes => 0,
        };
        probed > 0 && !self.world.memory.is_valid(self.caller.pid, self.buffers.output, probed)
    }

    fn is_elevated(&self) -> bool {
        self.world.processes.get(&self.caller.pid).is_some_and(|process| process.elevated)
    }

    #[inline]
    fn is_connected(&self) -> bool {
        let profile = &self.world.profile;
        match self.socket.map(|socket| &socket.state) {
            Some(State::Connected(connection)) => {
                let updated = connection.updated
                    || connection.side == Side::Client
                    || profile.query_before_update_context == Availability::Answered;
                updated && !self.is_reset(connection)
            }
            Some(State::Connecting { .. }) => profile.query_while_connecting == Availability::Answered,
            _ => false,
        }
    }

    fn is_reset(&self, connection: &Connection) -> bool {
        self.world.is_reset(connection)
    }
}
