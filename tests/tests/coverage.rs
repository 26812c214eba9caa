//! The table of what the suite asks of the control codes, `docs/coverage.md`: it is what the scenarios say, and it has
//! no cell that is empty without a reason.
//!
//! A cell is a control code, a socket of a family in a state, a class of buffer length, and a built-in profile. The
//! table is made from the sweeps of the suite, and written anew with `UPDATE_COVERAGE=1 cargo test -p wfp-tests --test coverage`.

#[path = "coverage/page.rs"]
mod page;
#[path = "coverage/sweeps.rs"]
mod sweeps;

use std::collections::BTreeSet;

use wfp_conformance::vocabulary::{Length, SocketFamily, SocketState};
use wfp_tests::workspace;

use self::page::{name, page};
use self::sweeps::{Asked, Question, SUITE, SWEEPS, sweeps_of};

const PAGE: &str = "docs/coverage.md";
const AGAIN: &str = "UPDATE_COVERAGE=1 cargo test -p wfp-tests --test coverage";

/// The classes of buffer lengths.
const LENGTHS: [Length; 10] = [
    Length::Bytes(0),
    Length::Bytes(1),
    Length::Bytes(2),
    Length::Bytes(3),
    Length::Bytes(4),
    Length::Needed(-1),
    Length::Needed(0),
    Length::Needed(1),
    Length::Bytes(1024),
    Length::Bytes(u32::MAX),
];

const STATES: [SocketState; 11] = [
    SocketState::NotASocket,
    SocketState::Fresh,
    SocketState::Bound,
    SocketState::Listening,
    SocketState::Connecting,
    SocketState::Connected,
    SocketState::Accepted,
    SocketState::AcceptedRedirected,
    SocketState::AcceptedRedirectedNotUpdated,
    SocketState::AcceptedRedirectedPeerClosed,
    SocketState::Reset,
];

const FAMILIES: [SocketFamily; 3] = [SocketFamily::Ipv4, SocketFamily::Ipv6, SocketFamily::Dual];

/// Why nobody asks a code on sockets of a family in a state. None so far: every cell is filled.
const REASONS: &[(Code, SocketState, SocketFamily, &str)] = &[];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    QueryRecords,
    QueryContext,
    SetRecords,
}

impl Code {
    const ALL: [Self; 3] = [Self::QueryRecords, Self::QueryContext, Self::SetRecords];

    fn title(self) -> &'static str {
        match self {
            Self::QueryRecords => "The query for records, by length of the output buffer",
            Self::QueryContext => "The query for the context, by length of the output buffer",
            Self::SetRecords => "SET, by length of the input buffer",
        }
    }
}

#[test]
fn every_cell_is_filled_or_has_a_reason() {
    let asked = &*SWEEPS;
    let mut wrong = Vec::new();
    for (code, state, family) in cells() {
        let plain = |sweep: &&Asked| {
            let Question { code: its_code, state: its_state, circumstances } = &sweep.question;
            let here = (*its_code, *its_state, sweep.family) == (code, state, family);
            here && circumstances.is_empty() && !sweep.other_profile
        };
        let lengths: BTreeSet<Length> =
            asked.iter().filter(plain).flat_map(|sweep| sweep.answers.keys().copied()).collect();
        let missing: Vec<String> =
            LENGTHS.iter().filter(|length| !lengths.contains(length)).map(Length::to_string).collect();
        match (missing.is_empty(), reason(code, state, family)) {
            (false, None) => wrong.push(format!(
                "{code:?} on a socket that is {}, {family}, is asked with no length {}",
                name(state),
                missing.join(", ")
            )),
            (true, Some(reason)) => wrong.push(format!(
                "{code:?} on a socket that is {}, {family}, is asked, though a reason is given why not: {reason}",
                name(state)
            )),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sweep_asks_with_every_class_of_length_once() {
    for (case, _, sweep) in sweeps_of(&SUITE) {
        let lengths: Vec<Length> = sweep.rows.iter().flat_map(|row| row.lengths.iter().copied()).collect();
        for length in LENGTHS {
            let times = lengths.iter().filter(|asked| **asked == length).count();
            assert_eq!(
                times,
                1,
                "{}: the sweep on {} asks {times} times with length {length}",
                case.name,
                name(sweep.state)
            );
        }
    }
}

#[test]
fn page_is_what_the_scenarios_say() {
    let page = page(&SWEEPS);
    let path = workspace().join(PAGE);
    if std::env::var_os("UPDATE_COVERAGE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let first_difference = || {
        let lines = written.lines().zip(page.lines()).enumerate().find(|(_, (old, new))| old != new);
        lines.map_or_else(
            || "one is longer than the other".to_owned(),
            |(line, (old, new))| format!("line {}:\n- {old}\n+ {new}", line + 1),
        )
    };
    assert!(
        written == page,
        "{PAGE} is not what the scenarios say; write it anew with `{AGAIN}`, and look at what changed.\n{}",
        first_difference()
    );
}

fn reason(code: Code, state: SocketState, family: SocketFamily) -> Option<&'static str> {
    let here = REASONS.iter().find(|reason| (reason.0, reason.1, reason.2) == (code, state, family));
    here.map(|(_, _, _, reason)| *reason)
}

fn cells() -> impl Iterator<Item = (Code, SocketState, SocketFamily)> {
    Code::ALL.into_iter().flat_map(|code| {
        STATES.into_iter().flat_map(move |state| FAMILIES.map(|family| (code, state, family)))
    })
}
