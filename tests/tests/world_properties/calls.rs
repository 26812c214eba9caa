//! Random calls of the whole API. A call names its socket by the state that it should be in and a place in what a
//! run has collected so far, and mostly comes from the process that has the socket; but any mixture is possible:
//! sockets of other processes, closed ones, calls in the wrong state.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wfp_sim::engine::{
    AfterAcquire, ClassifyOut, Completion, Condition, Context, Decision, Habits, Handles, Layers, Pend,
    Policy, Processes, Reauthorize, Rebind, Redirect, Rule, States, Target, Test, Verdict, WriteRight,
};
use wfp_sim::profile::{FIELDS, Profile};
use wfp_sim::{RedirectHandle, RedirectState, Shutdown, SocketKind};

use crate::operations::{Operate, operate};

/// A place in a list of what was collected, counted from its end; taken modulo its length.
pub(crate) type Place = usize;

/// A socket, and who makes a call on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) state: Wanted,
    pub(crate) place: Place,
    /// Another process than the one that has the socket.
    pub(crate) stranger: Option<Place>,
}

/// The state that a socket should be in; any other where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Any,
    Unconnected,
    Listening,
    Connected,
    Accepted,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    StartProcess {
        elevated: bool,
    },
    StartThread {
        process: Place,
    },
    EndProcess {
        process: Place,
    },
    Socket {
        process: Place,
        kind: SocketKind,
    },
    Bind {
        socket: Pick,
        address: &'static str,
    },
    Listen {
        socket: Pick,
        backlog: u32,
    },
    Accept {
        socket: Pick,
    },
    AcceptEx {
        listening: Pick,
        accepting: Pick,
    },
    UpdateAcceptContext {
        accepted: Pick,
        listening: Pick,
    },
    Connect {
        socket: Pick,
        to: &'static str,
    },
    ConnectEx {
        socket: Pick,
        to: &'static str,
    },
    UpdateConnectContext {
        socket: Pick,
    },
    Send {
        socket: Pick,
        length: usize,
    },
    Receive {
        socket: Pick,
        length: usize,
    },
    Shutdown {
        socket: Pick,
        how: Shutdown,
    },
    Close {
        socket: Pick,
    },
    Duplicate {
        socket: Pick,
        into: Place,
    },
    Names {
        socket: Pick,
    },
    /// Asks what became of every pending call.
    Complete,
    Advance {
        milliseconds: u64,
    },
    Allocate {
        process: Place,
        size: u64,
        fill: u8,
    },
    Free {
        process: Place,
        pointer: Place,
    },
    Write {
        process: Place,
        pointer: Place,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// A control code with pointers to anywhere.
    Ioctl {
        socket: Pick,
        code: u32,
        /// Input, output, word, `WSAOVERLAPPED`, routine.
        pointers: [(Place, u64); 5],
        lengths: [u32; 2],
        /// `lpThreadId` and `lpErrno`, where the provider itself is called.
        provider: Option<(Place, Place)>,
    },
    /// About control codes that go on.
    Operate(Operate),
    /// A control code with an output buffer of just its length, a canary behind it, and a poisoned word.
    Watched {
        socket: Pick,
        code: u32,
        length: u32,
    },
    QueryRecords {
        socket: Pick,
    },
    /// What a redirect service does: accept, query, a new socket, SET, connect.
    Serve {
        listening: Pick,
        kind: SocketKind,
        to: &'static str,
    },
    Set {
        socket: Pick,
        blob: Place,
        change: Change,
    },
    CreateHandle,
    DestroyHandle {
        handle: Place,
    },
    Install {
        weight: u16,
        policy: Policy,
    },
    Unload {
        driver: Place,
        destroys_handles: bool,
    },
    Unregister {
        callout: Place,
    },
    State {
        socket: Pick,
        handle: Place,
    },
}

/// What is done to a blob before it is set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    None,
    Cut(usize),
    Lengthen(usize),
    Flip(usize),
    Empty,
}

/// The first four are where somebody listens, or a host that never answers.
pub(crate) const ADDRESSES: &[&str] = &[
    "127.0.0.1:1001",
    "127.0.0.1:1002",
    "203.0.113.9:443",
    "203.0.113.66:443",
    "127.0.0.1:0",
    "127.0.0.2:1001",
    "[::1]:1001",
    "[::1]:1002",
    "[::ffff:127.0.0.1]:1001",
    "192.0.2.1:1003",
    "[2001:db8::1]:1003",
    "203.0.113.9:444",
    "[::ffff:203.0.113.9]:443",
    "[2001:db8:9::9]:443",
    "203.0.113.99:443",
    "0.0.0.0:0",
    "0.0.0.0:1004",
    "[::]:0",
    "[::]:1004",
    "[::ffff:0.0.0.0]:1004",
];

const LENGTHS: &[u32] = &[0, 1, 2, 3, 4, 5, 31, 32, 127, 128, 129, 223, 224, 300, 1024, 65_537, u32::MAX];
const SIZES: &[u64] = &[0, 1, 4, 128, 1024, 1 << 20, u32::MAX as u64, 1 << 35, u64::MAX];
const OFFSETS: &[u64] = &[0, 0, 0, 1, 3, 127, 1020, (1 << 20) - 2, u32::MAX as u64 - 2, 1 << 36, u64::MAX];
const CODES: &[u32] = &[0x9800_00DC, 0x9800_00DD, 0x9800_00DE, 0x9800_00DF, 0x2800_0004, 0, u32::MAX];
/// The place of a pointer that is NULL.
pub(crate) const NULL: Place = usize::MAX;

pub(crate) fn place() -> impl Strategy<Value = Place> {
    prop_oneof![4 => 0..3_usize, 1 => 0..16_usize]
}

pub(crate) fn pick(state: Wanted) -> impl Strategy<Value = Pick> {
    let state = prop_oneof![9 => Just(state), 1 => Just(Wanted::Any)];
    (state, place(), proptest::option::weighted(0.07, place())).prop_map(|(state, place, stranger)| Pick {
        state,
        place,
        stranger,
    })
}

fn address() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => select(&ADDRESSES[..4]), 2 => select(ADDRESSES)]
}

fn kind() -> impl Strategy<Value = SocketKind> {
    let kinds =
        prop_oneof![6 => Just(SocketKind::V4), 1 => Just(SocketKind::V6), 1 => Just(SocketKind::DUAL)];
    (kinds, any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(kind, overlapped, nonblocking)| SocketKind {
        overlapped,
        nonblocking,
        ..kind
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => Just(Change::None),
        1 => (0..300_usize).prop_map(Change::Cut),
        1 => (1..300_usize).prop_map(Change::Lengthen),
        2 => (0..4096_usize).prop_map(Change::Flip),
        1 => Just(Change::Empty),
    ]
}

fn handle() -> impl Strategy<Value = RedirectHandle> {
    // The first handles that a machine gives, and one that it never gave.
    select(vec![0x1000, 0x1008, 0x1010, 7]).prop_map(RedirectHandle)
}

fn target() -> impl Strategy<Value = Target> {
    (address(), address()).prop_map(|(first, second)| {
        let parsed = [first, second].map(str::parse::<std::net::SocketAddr>);
        let mut target = Target { v4: None, v6: None };
        for address in parsed.into_iter().flatten() {
            let one = Target::from(address);
            target = Target { v4: one.v4.or(target.v4), v6: one.v6.or(target.v6) };
        }
        target
    })
}

fn context() -> impl Strategy<Value = Context> {
    prop_oneof![
        Just(Context::None),
        Just(Context::Destination),
        Just(Context::DestinationAndSource),
        select(vec![0, 129, 65_536, 65_537, u32::MAX]).prop_map(Context::Padded),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Context::Opaque(bytes.into())),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let test = prop_oneof![
        Just(Test::AppId("app.exe".into())),
        address().prop_filter_map("an address", |text| {
            let address: std::net::SocketAddr = text.parse().ok()?;
            Some(Test::RemoteAddress { address: address.ip(), prefix: 24 })
        }),
        (any::<u16>(), any::<u16>()).prop_map(|(low, high)| Test::RemotePort(low..=high)),
        (any::<u16>(), any::<u16>()).prop_map(|(low, high)| Test::LocalPort(low..=high)),
        Just(Test::Loopback),
    ];
    (test, any::<bool>()).prop_map(|(test, negated)| Condition { test, negated })
}

fn redirect() -> impl Strategy<Value = Redirect> {
    (target(), select(vec![0, 4, 12, 1234]), prop::bool::weighted(0.8), context()).prop_map(
        |(target, target_pid, with_handle, context)| Redirect { target, target_pid, with_handle, context },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    let decision = prop_oneof![
        1 => Just(Decision::Permit),
        1 => Just(Decision::Continue),
        1 => Just(Decision::Block),
        2 => redirect().prop_map(Decision::Redirect),
        1 => select(vec![Decision::HardPermit, Decision::HardBlock, Decision::BlockLater, Decision::CloneAndReinject]),
        1 => rebind().prop_map(Decision::Rebind),
        1 => pend().prop_map(Decision::Pend),
    ];
    let states = vec(select(RedirectState::ALL.to_vec()), 0..4).prop_map(|states| States::of(&states));
    let processes = prop_oneof![
        3 => Just(Processes::Any),
        1 => vec(select(vec![4, 12, 20]).prop_map(wfp_sim::Pid), 0..3).prop_map(|pids| Processes::Only(pids.into())),
    ];
    (states, processes, vec(condition(), 0..2), decision).prop_map(
        |(states, processes, conditions, decision)| Rule {
            layers: Layers::ALL,
            states,
            processes,
            conditions,
            decision,
        },
    )
}

fn rebind() -> impl Strategy<Value = Rebind> {
    let v4 = prop::option::of(select(vec!["127.0.0.1", "192.0.2.1", "203.0.113.9"]));
    let v6 = prop::option::of(select(vec!["::1", "2001:db8::1"]));
    (v4, v6).prop_map(|(v4, v6)| Rebind {
        v4: v4.and_then(|ip| ip.parse().ok()),
        v6: v6.and_then(|ip| ip.parse().ok()),
    })
}

fn pend() -> impl Strategy<Value = Pend> {
    (prop::option::of(redirect()), completion(), any::<bool>())
        .prop_map(|(redirect, completion, at_once)| Pend { redirect, completion, at_once })
}

/// What a driver completes a request with.
fn completion() -> impl Strategy<Value = Completion> {
    select(vec![
        Completion::Reauthorize,
        Completion::Final(ClassifyOut::soft(Verdict::Permit)),
        Completion::Final(ClassifyOut::hard(Verdict::Permit)),
        Completion::Final(ClassifyOut::soft(Verdict::Block)),
        Completion::Final(ClassifyOut { action: None, write: true }),
    ])
}

/// Most drivers are careful, and few break more than one rule.
fn habits() -> impl Strategy<Value = Habits> {
    let careful = Habits::default();
    prop_oneof![
        6 => Just(careful),
        1 => select(vec![WriteRight::Ignored, WriteRight::Inverted])
            .prop_map(move |write_right| Habits { write_right, ..careful }),
        1 => select(vec![Reauthorize::PermitAll, Reauthorize::Ignored])
            .prop_map(move |reauthorize| Habits { reauthorize, reauthorize_if_modified_by_others: true, ..careful }),
        1 => select(vec![AfterAcquire::HardPermit, AfterAcquire::ToggleRight, AfterAcquire::PermitIfRight, AfterAcquire::Nothing])
            .prop_map(move |after_acquire| Habits { after_acquire, ..careful }),
        1 => any::<bool>().prop_map(move |frees_context| Habits { applies: false, frees_context, ..careful }),
        1 => Just(Habits { releases_classify_handle: false, ..careful }),
        1 => (0u32..4).prop_map(move |limit| Habits { redirect_limit: Some(limit), ..careful }),
        1 => Just(Habits { replaces_remembered: false, forgets_without_right: false, ..careful }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let handles = prop_oneof![
        Just(Handles::None),
        handle().prop_map(Handles::One),
        (handle(), handle()).prop_map(|(v4, v6)| Handles::PerFamily { v4, v6 }),
    ];
    (handles, any::<bool>(), habits(), vec(rule(), 0..3)).prop_map(
        |(handles, heeds_earlier_redirect, habits, rules)| Policy {
            handles,
            heeds_earlier_redirect,
            habits,
            rules,
        },
    )
}

/// A built-in profile in which some fields have another of their values.
pub(crate) fn profile() -> impl Strategy<Value = Profile> {
    (
        select(Profile::BUILT_IN.to_vec()),
        vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..8),
    )
        .prop_map(|(name, changes)| {
            let mut profile = Profile::built_in(name).unwrap_or_default();
            for (field, value) in changes {
                let field = field.get(FIELDS);
                let (value, _) = value.get(field.values);
                field.set(&mut profile, value).expect("a value of the field");
            }
            profile
        })
}

pub(crate) fn calls(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Call>> {
    vec(call(), count)
}

fn call() -> impl Strategy<Value = Call> {
    use Wanted::{Accepted, Any, Connected, Listening, Unconnected};
    let backlog = || select(vec![0, 1, 2, u32::MAX]);
    let how = || select(vec![Shutdown::Receive, Shutdown::Send, Shutdown::Both]);
    let sockets = prop_oneof![
        8 => (place(), kind()).prop_map(|(process, kind)| Call::Socket { process, kind }),
        3 => (pick(Unconnected), address()).prop_map(|(socket, address)| Call::Bind { socket, address }),
        1 => (pick(Unconnected), backlog()).prop_map(|(socket, backlog)| Call::Listen { socket, backlog }),
        6 => pick(Listening).prop_map(|socket| Call::Accept { socket }),
        2 => (pick(Listening), pick(Unconnected))
            .prop_map(|(listening, accepting)| Call::AcceptEx { listening, accepting }),
        1 => (pick(Accepted), pick(Listening))
            .prop_map(|(accepted, listening)| Call::UpdateAcceptContext { accepted, listening }),
        12 => (pick(Unconnected), address()).prop_map(|(socket, to)| Call::Connect { socket, to }),
        3 => (pick(Unconnected), address()).prop_map(|(socket, to)| Call::ConnectEx { socket, to }),
        1 => pick(Connected).prop_map(|socket| Call::UpdateConnectContext { socket }),
        2 => (pick(Connected), 0..9_usize).prop_map(|(socket, length)| Call::Send { socket, length }),
        1 => (pick(Accepted), 0..9_usize).prop_map(|(socket, length)| Call::Send { socket, length }),
        2 => (pick(Accepted), 0..9_usize).prop_map(|(socket, length)| Call::Receive { socket, length }),
        1 => (pick(Connected), 0..9_usize).prop_map(|(socket, length)| Call::Receive { socket, length }),
        1 => (pick(Connected), how()).prop_map(|(socket, how)| Call::Shutdown { socket, how }),
        4 => pick(Any).prop_map(|socket| Call::Close { socket }),
        2 => (pick(Any), place()).prop_map(|(socket, into)| Call::Duplicate { socket, into }),
        1 => pick(Any).prop_map(|socket| Call::Names { socket }),
        4 => Just(Call::Complete),
        1 => select(vec![1, 20_999, 21_000, u64::MAX]).prop_map(|milliseconds| Call::Advance { milliseconds }),
    ];
    let pointer = || (place(), select(OFFSETS));
    // Most calls are made at the beginning of a buffer, and few with a routine.
    let near = || (place(), select(vec![0, 0, 0, 0, 8]));
    let or_null = |weight: u32| prop_oneof![weight => Just((NULL, 0)), 1 => near()];
    let pointers = (pointer(), near(), near(), or_null(1), or_null(4))
        .prop_map(|(input, output, word, overlapped, routine)| [input, output, word, overlapped, routine]);
    let provider = proptest::option::weighted(0.1, (place(), place()));
    let queried = || prop_oneof![3 => pick(Accepted), 1 => pick(Any)];
    let control = prop_oneof![
        2 => (place(), select(SIZES), any::<u8>())
            .prop_map(|(process, size, fill)| Call::Allocate { process, size, fill }),
        1 => (place(), place()).prop_map(|(process, pointer)| Call::Free { process, pointer }),
        2 => (place(), pointer(), vec(any::<u8>(), 0..64)).prop_map(|(process, (pointer, offset), bytes)| {
            Call::Write { process, pointer, offset, bytes }
        }),
        8 => (queried(), select(CODES), pointers, [select(LENGTHS), select(LENGTHS)], provider).prop_map(
            |(socket, code, pointers, lengths, provider)| Call::Ioctl { socket, code, pointers, lengths, provider }
        ),
        6 => (queried(), select(CODES), select(LENGTHS))
            .prop_map(|(socket, code, length)| Call::Watched { socket, code, length }),
        2 => queried().prop_map(|socket| Call::QueryRecords { socket }),
        8 => (pick(Listening), kind(), address())
            .prop_map(|(listening, kind, to)| Call::Serve { listening, kind, to }),
        6 => (pick(Unconnected), place(), change())
            .prop_map(|(socket, blob, change)| Call::Set { socket, blob, change }),
        1 => (pick(Any), place(), change()).prop_map(|(socket, blob, change)| Call::Set { socket, blob, change }),
    ];
    let engine = prop_oneof![
        2 => any::<bool>().prop_map(|elevated| Call::StartProcess { elevated }),
        1 => place().prop_map(|process| Call::StartThread { process }),
        1 => place().prop_map(|process| Call::EndProcess { process }),
        1 => Just(Call::CreateHandle),
        1 => place().prop_map(|handle| Call::DestroyHandle { handle }),
        3 => (0..4_u16, policy()).prop_map(|(weight, policy)| Call::Install { weight, policy }),
        1 => place().prop_map(|callout| Call::Unregister { callout }),
        1 => (place(), any::<bool>())
            .prop_map(|(driver, destroys_handles)| Call::Unload { driver, destroys_handles }),
        2 => (pick(Accepted), place()).prop_map(|(socket, handle)| Call::State { socket, handle }),
    ];
    let operate = operate().prop_map(Call::Operate);
    // Boxed: the types of strategies are large, and tests have small stacks.
    prop_oneof![16 => sockets.boxed(), 8 => control.boxed(), 4 => operate.boxed(), 1 => engine.boxed()]
}
