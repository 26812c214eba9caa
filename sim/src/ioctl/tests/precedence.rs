//! Which cause decides where several hold: every combination of what can be wrong with a call.

use std::collections::BTreeSet;

use super::super::precedence::{Cause, PRECEDENCE};
use super::*;
use crate::overlapped::Callback;
use crate::testing::profile;

/// The order, written down a second time so that two rows that change places are noticed.
const ORDER: [Cause; 25] = [
    Cause::NetworkDown,
    Cause::CallbackInProgress,
    Cause::NotASocket,
    Cause::BytesReturnedPointer,
    Cause::OverlappedPointer,
    Cause::RoutinePointer,
    Cause::RoutineWithPort,
    Cause::ProviderLacksCode,
    Cause::UnknownCode,
    Cause::InputPointer,
    Cause::OutputPointer,
    Cause::QueryInput,
    Cause::SetOutput,
    Cause::SetEmpty,
    Cause::BelowUlong,
    Cause::WrongKind,
    Cause::NotElevated,
    Cause::NotConnected,
    Cause::NotRedirected,
    Cause::NoContext,
    Cause::SizeQuery,
    Cause::TooSmall,
    Cause::SetState,
    Cause::SetMalformed,
    Cause::SetStale,
];

#[test]
fn table_lists_each_cause_once_in_its_order() {
    assert_eq!(PRECEDENCE.map(|(cause, _)| cause), ORDER);
}

/// A machine that minds everything.
fn strict() -> Profile {
    profile(&[
        ("query-input-buffer", "WSAEINVAL"),
        ("set-output-length", "WSAEINVAL"),
        ("query-needs-elevation", "WSAEACCES"),
        ("query-on-udp", "WSAENOPROTOOPT"),
        ("set-on-udp", "WSAENOPROTOOPT"),
        ("set-stale-records", "WSAEINVAL"),
        ("set-after-bind", "WSAEINVAL"),
        ("set-after-connect", "WSAEISCONN"),
        ("set-on-accepted", "WSAEISCONN"),
        ("set-on-listening", "WSAEINVAL"),
        ("in-completion-routine", "WSAEINPROGRESS"),
        ("routine-without-overlapped", "overlapped"),
    ])
}

/// What is wrong with a call, if anything.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what can be wrong with a call, in any combination")]
struct Wrong {
    situation: Situation,
    code: ControlCode,
    word: bool,
    input: bool,
    input_length: u32,
    malformed: bool,
    output: bool,
    output_length: u32,
    elevated: bool,
    machine: Disturbed,
}

/// What is wrong with the machine, the thread, and what makes the call overlapped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "what can be wrong, in any combination")]
struct Disturbed {
    network: bool,
    callback: bool,
    overlapped: bool,
    routine: Routine,
    port: bool,
}

/// `lpCompletionRoutine`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Routine {
    #[default]
    None,
    Valid,
    Invalid,
}

impl Disturbed {
    fn all() -> impl Iterator<Item = Self> {
        [Routine::None, Routine::Valid, Routine::Invalid].into_iter().flat_map(|routine| {
            (0..16_u8).map(move |bits| {
                let bit = |n: u8| bits >> n & 1 == 1;
                Self { network: bit(0), callback: bit(1), overlapped: bit(2), routine, port: bit(3) }
            })
        })
    }
}

impl Wrong {
    /// Every combination.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        let situations = [
            Situation::NotASocket,
            Situation::FreshV4,
            Situation::Udp,
            Situation::Layered,
            Situation::Listening,
            Situation::Connected,
            Situation::NotRedirected,
            Situation::Redirected,
            Situation::WithoutContext,
        ];
        for situation in situations {
            for code in [RECORDS, CONTEXT, SET, ControlCode(1)] {
                for (output_length, input_length) in
                    [0, 3, 4, 1024].into_iter().flat_map(|length| [(length, 0), (length, 128)])
                {
                    // One pair of lengths is enough beside what shows before they are looked at.
                    let machines = if (output_length, input_length) == (3, 128) { usize::MAX } else { 1 };
                    for machine in Disturbed::all().take(machines) {
                        for bits in 0..32_u8 {
                            let bit = |n: u8| bits >> n & 1 == 1;
                            all.push(Self {
                                situation,
                                code,
                                word: bit(0),
                                input: bit(1),
                                input_length,
                                malformed: bit(2),
                                output: bit(3),
                                output_length,
                                elevated: !bit(4),
                                machine,
                            });
                        }
                    }
                }
            }
        }
        // So that machines need not be built again and again.
        all.sort_by_key(|wrong| wrong.machine.port);
        all
    }

    /// The causes that hold for this call, read off what is wrong with it; in no particular order.
    fn causes(self) -> BTreeSet<Cause> {
        use Situation::{
            Connected, FreshV4, Layered, Listening, NotASocket, NotRedirected, Udp, WithoutContext,
        };
        let (query, set) = (matches!(self.code, RECORDS | CONTEXT), self.code == SET);
        let no_connection = matches!(self.situation, NotASocket | FreshV4 | Udp | Layered | Listening);
        let no_records = no_connection || matches!(self.situation, Connected | NotRedirected);
        let nothing = no_records || self.code == CONTEXT && self.situation == WithoutContext;
        let needed = match self.code {
            _ if nothing => 0,
            RECORDS => 128,
            _ => 300,
        };
        let blob = set && self.input_length == 128 && !self.input && !self.malformed;
        let length = self.output_length;
        let Disturbed { network, callback, overlapped, routine, port } = self.machine;
        let socket = self.situation != NotASocket;
        let holds = [
            (Cause::NetworkDown, network),
            (Cause::CallbackInProgress, callback),
            (Cause::OverlappedPointer, socket && overlapped),
            (Cause::RoutinePointer, socket && routine == Routine::Invalid),
            (Cause::RoutineWithPort, socket && routine != Routine::None && port),
            (Cause::NotASocket, self.situation == NotASocket),
            (Cause::BytesReturnedPointer, self.word),
            (Cause::ProviderLacksCode, self.situation == Layered && (query || set)),
            (Cause::UnknownCode, self.code == ControlCode(1)),
            (Cause::InputPointer, set && self.input && self.input_length > 0),
            (Cause::OutputPointer, query && self.output && length > 0),
            (Cause::QueryInput, query),
            (Cause::SetOutput, set),
            (Cause::SetEmpty, set && self.input_length == 0),
            (Cause::BelowUlong, query && (1..4).contains(&length)),
            (Cause::WrongKind, self.situation == Udp && (query || set)),
            (Cause::NotElevated, !self.elevated),
            (Cause::NotConnected, query && no_connection),
            (Cause::NotRedirected, query && no_records),
            (Cause::NoContext, query && nothing),
            (Cause::SizeQuery, query && length == 0 && needed > 0),
            (Cause::TooSmall, query && length < needed),
            (Cause::SetState, set && !matches!(self.situation, NotASocket | FreshV4 | Udp | Layered)),
            (Cause::SetMalformed, set && self.input_length > 0 && !blob),
            (Cause::SetStale, blob),
        ];
        holds.into_iter().filter(|(_, holds)| *holds).map(|(cause, _)| cause).collect()
    }

    /// The same without an input buffer for a query, without an output buffer for SET.
    fn tidied(self, buffers: IoctlBuffers) -> IoctlBuffers {
        match self.code {
            RECORDS | CONTEXT => IoctlBuffers { input: Pointer::NULL, input_length: 0, ..buffers },
            _ => IoctlBuffers { output: Pointer::NULL, output_length: 0, ..buffers },
        }
    }
}

/// The error of each cause under the strict profile.
fn error_of(cause: Cause, situation: Situation) -> WinsockError {
    match cause {
        Cause::NotASocket => WinsockError::WSAENOTSOCK,
        Cause::NetworkDown => WinsockError::WSAENETDOWN,
        Cause::CallbackInProgress => WinsockError::WSAEINPROGRESS,
        Cause::BytesReturnedPointer
        | Cause::OverlappedPointer
        | Cause::RoutinePointer
        | Cause::InputPointer
        | Cause::OutputPointer => WinsockError::WSAEFAULT,
        Cause::ProviderLacksCode | Cause::UnknownCode => WinsockError::WSAEOPNOTSUPP,
        Cause::WrongKind => WinsockError::WSAENOPROTOOPT,
        Cause::NotElevated => WinsockError::WSAEACCES,
        Cause::NotConnected => WinsockError::WSAENOTCONN,
        Cause::SizeQuery | Cause::TooSmall => WinsockError::ERROR_INSUFFICIENT_BUFFER,
        Cause::SetState if situation != Situation::Listening => WinsockError::WSAEISCONN,
        _ => WinsockError::WSAEINVAL,
    }
}

#[test]
fn first_cause_of_the_table_decides_for_every_pair_that_can_hold_together() {
    let blob = stale_blob(&strict());
    let (mut together, mut decided) = (BTreeSet::new(), BTreeSet::new());
    let mut built: Option<((Situation, bool), Machine, Caller, SocketHandle)> = None;
    for wrong in Wrong::all() {
        let wanted = (wrong.situation, wrong.machine.port);
        let (m, service, socket) = match &mut built {
            Some((found, m, service, socket)) if *found == wanted => (m, *service, *socket),
            other => {
                let (mut m, service, socket) = wrong.situation.build(strict());
                if wrong.machine.port && wrong.situation != Situation::NotASocket {
                    let port = m.w.create_io_completion_port(service).unwrap();
                    m.w.associate_with_port(service, socket, port, 0).unwrap();
                }
                let (_, m, service, socket) = other.insert((wanted, m, service, socket));
                (m, *service, *socket)
            }
        };
        // The same socket, once in the hands of a process without administrative rights.
        let (caller, socket) = if wrong.elevated {
            (service, socket)
        } else {
            let plain = m.w.start_process("plain", false);
            let theirs = m.w.wsa_duplicate_socket(service, socket, plain.pid).unwrap_or(SocketHandle(1));
            (plain, theirs)
        };
        let content = if wrong.malformed { &[0; 128][..] } else { &blob };
        let (word, input) = (m.w.allocate(caller, 4, 0), m.w.allocate(caller, 128, 0));
        m.w.write_memory(caller, input, content);
        let output = m.w.allocate(caller, 1024, 0);
        let or_bad = |bad: bool, pointer| if bad { Pointer::UNMAPPED } else { pointer };
        let buffers = IoctlBuffers {
            input: or_bad(wrong.input, input),
            input_length: wrong.input_length,
            output: or_bad(wrong.output, output),
            output_length: wrong.output_length,
            bytes_returned: or_bad(wrong.word, word),
            overlapped: if wrong.machine.overlapped { Pointer::UNMAPPED } else { Pointer::NULL },
            routine: match wrong.machine.routine {
                Routine::None => Pointer::NULL,
                Routine::Valid => input,
                Routine::Invalid => Pointer::UNMAPPED,
            },
        };
        m.w.set_network_down(wrong.machine.network);
        if wrong.machine.callback {
            m.w.enter(caller, Callback::CompletionRoutine);
        }
        for tidy in [false, true] {
            let mut causes = wrong.causes();
            if tidy {
                causes.remove(&Cause::QueryInput);
                causes.remove(&Cause::SetOutput);
            }
            let buffers = if tidy { wrong.tidied(buffers) } else { buffers };
            let first = ORDER.into_iter().find(|cause| causes.contains(cause));
            let expected = first.map_or(Ok(()), |cause| Err(error_of(cause, wrong.situation)));
            assert_eq!(
                at_once(m.w.wsa_ioctl(caller, socket, wrong.code, &buffers)),
                expected,
                "{wrong:?}: {causes:?}"
            );
            let holding: Vec<Cause> = ORDER.into_iter().filter(|cause| causes.contains(cause)).collect();
            for (index, earlier) in holding.iter().enumerate() {
                let pairs = holding[index + 1..].iter().map(|later| (*earlier, *later));
                together.extend(pairs.clone());
                decided.extend(pairs.filter(|_| index == 0));
            }
        }
        m.w.set_network_down(false);
        m.w.leave(caller, Callback::CompletionRoutine);
        if wrong.elevated {
            for pointer in [word, input, output] {
                m.w.free(caller, pointer);
            }
        } else {
            m.w.end_process(caller.pid);
        }
    }
    let undecided: Vec<_> = together.difference(&decided).collect();
    assert_eq!((undecided, decided.len()), (vec![], 198), "each pair that can hold was decided by its first");
}
