//! The table of what the suite asks of the control codes, `docs/coverage.md`: it is what the scenarios say, and it has
//! no cell that is empty without a reason.
//!
//! A cell is a control code, a socket of a family in a state, a class of buffer length, and a built-in profile. The
//! table is made from the sweeps of the suite, and written anew with `UPDATE_COVERAGE=1 cargo test -p wfp-tests --test coverage`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use wfp_conformance::scenario::{
    ByProfile, BytesExpect, ErrorExpect, Expect, LoadedCase, OkExpect, Step, Suite, Sweep,
};
use wfp_conformance::vocabulary::{
    Call, Input, Length, Output, PointerKind, Query, SetRecords, SocketFamily, SocketState,
};
use wfp_sim::Profile;
use wfp_sim::profile::Field;
use wfp_tests::workspace;

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

/// What a sweep asks, and in which circumstances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    code: Code,
    state: SocketState,
    /// What is unusual about the call, the caller or the machine; empty for a call as programs make it.
    circumstances: String,
}

/// What is expected for a length class under each built-in profile.
type Answers = BTreeMap<Length, Vec<String>>;

/// A sweep of the suite.
struct Asked {
    question: Question,
    /// Whether the case says what a field of the profile is, so that the built-in profiles are not what is tried.
    other_profile: bool,
    family: SocketFamily,
    /// The case without its variant.
    case: String,
    answers: Answers,
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

// From the suite to what it asks.

static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    let suite = Suite::load(&[workspace().join("scenarios")], &Profile::default());
    suite.unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
        panic!("{}", errors.join("\n\n"))
    })
});

static SWEEPS: LazyLock<Vec<Asked>> =
    LazyLock::new(|| sweeps_of(&SUITE).map(|(loaded, step, sweep)| asked(loaded, step, sweep)).collect());

fn sweeps_of(suite: &Suite) -> impl Iterator<Item = (&LoadedCase, &Step, &Sweep)> {
    let steps =
        suite.cases.iter().flat_map(|loaded| loaded.case.steps.iter().map(move |step| (loaded, step)));
    steps.filter_map(|(loaded, step)| Some((loaded, step, step.sweep.as_ref()?)))
}

fn asked(loaded: &LoadedCase, step: &Step, sweep: &Sweep) -> Asked {
    let (code, socket, mut circumstances) = match &sweep.op {
        Call::QueryRecords(query) => (Code::QueryRecords, &query.socket, unusual_query(query)),
        Call::QueryContext(query) => (Code::QueryContext, &query.socket, unusual_query(query)),
        Call::SetRecords(set) => (Code::SetRecords, &set.socket, unusual_set(set)),
        other => panic!("{}: a sweep over `{}`", loaded.name, other.name()),
    };
    let case = &loaded.case;
    let caller = step.process.as_ref().and_then(|name| case.processes.get(name));
    if caller.is_some_and(|process| !process.elevated) {
        circumstances.push("without administrative rights".to_owned());
    }
    // The sizes of records and the like: the rest of the profile is still the built-in one.
    let (sizes, answers): (Vec<_>, Vec<_>) =
        case.profile.iter().partition(|(_, value)| value.0.parse::<u32>().is_ok());
    circumstances.extend(sizes.iter().map(|(field, value)| format!("`{field}` is {}", value.0)));
    let other_profile = !answers.is_empty();

    let profiles = Profile::BUILT_IN.map(|name| under(name, loaded));
    let mut answers = Answers::new();
    for row in &sweep.rows {
        for length in row.lengths.iter().filter(|length| LENGTHS.contains(length)) {
            let said = profiles.iter().map(|profile| answer(&row.expect, profile)).collect();
            answers.insert(*length, said);
        }
    }
    Asked {
        question: Question { code, state: sweep.state, circumstances: circumstances.join(", ") },
        other_profile,
        family: family(loaded, socket),
        case: loaded.name.split('@').next().unwrap_or_default().to_owned(),
        answers,
    }
}

/// A built-in profile, with the fields that the case is about.
fn under(name: &str, loaded: &LoadedCase) -> Profile {
    let Some(mut profile) = Profile::built_in(name) else { panic!("no profile `{name}` is built in") };
    for (name, value) in &loaded.case.profile {
        if let Err(unknown) = field(name).set(&mut profile, &value.0) {
            panic!("{}: {unknown}", loaded.name);
        }
    }
    profile
}

fn field(name: &str) -> &'static Field {
    let Some(field) = Field::by_name(name) else { panic!("there is no profile field `{name}`") };
    field
}

/// The family of a socket, through the steps that it came from.
fn family(loaded: &LoadedCase, socket: &str) -> SocketFamily {
    let made = loaded.case.steps.iter().find(|step| step.name.as_deref() == Some(socket));
    match made.and_then(|step| step.op.as_ref()) {
        Some(Call::Socket { family, .. }) => *family,
        Some(Call::Accept { socket } | Call::Duplicate { socket, .. }) => family(loaded, socket),
        other => panic!("{}: where does the socket `{socket}` come from? {other:?}", loaded.name),
    }
}

fn unusual_query(query: &Query) -> Vec<String> {
    let mut unusual = unusual_output(query.out);
    unusual.extend(unusual_word(query.bytes_returned));
    unusual.extend(query.input.map(|input| match unusual_input(input).first() {
        Some(how) => format!("an {how}"),
        None => format!("an input of {} bytes", input.length),
    }));
    unusual
}

fn unusual_set(set: &SetRecords) -> Vec<String> {
    let mut unusual = unusual_input(set.input);
    if set.records.is_none() {
        unusual.push("input of zeros".to_owned());
    }
    unusual.extend(unusual_word(set.bytes_returned));
    unusual.extend(set.out.map(|out| match unusual_output(out).first() {
        Some(how) => format!("an {how}"),
        None => format!("an output of {} bytes", out.length),
    }));
    unusual
}

fn unusual_output(out: Output) -> Vec<String> {
    let pointer = pointer(out.pointer).map(|pointer| format!("output {pointer}"));
    let region = out.region.map(|region| format!("output of {region} bytes, whatever the length"));
    pointer.into_iter().chain(region).collect()
}

fn unusual_input(input: Input) -> Vec<String> {
    let pointer = pointer(input.pointer).map(|pointer| format!("input {pointer}"));
    let region = input.region.map(|region| format!("input of {region} bytes, whatever the length"));
    let changed = input.corrupt.map(|byte| format!("byte {byte} of the input changed"));
    pointer.into_iter().chain(region).chain(changed).collect()
}

fn unusual_word(word: PointerKind) -> Option<String> {
    pointer(word).map(|pointer| format!("bytes-returned word {pointer}"))
}

fn pointer(kind: PointerKind) -> Option<&'static str> {
    match kind {
        PointerKind::Valid => None,
        PointerKind::NullPointer => Some("NULL"),
        PointerKind::Unmapped => Some("not mapped"),
        PointerKind::Partly => Some("mapped in part"),
    }
}

// What is expected, in words.

fn answer(expect: &Expect, profile: &Profile) -> String {
    let value = |name: &str| field(name).get(profile);
    match expect {
        Expect::Ok(OkExpect { bytes_returned, stored, .. }) => told("success", bytes_returned.or(*stored)),
        Expect::Error(ErrorExpect { code, bytes_returned }) => told(&code.to_string(), *bytes_returned),
        Expect::Profile(name) => value(name),
        Expect::ByProfile(ByProfile { field: name, values }) => match values.get(&value(name)) {
            Some(expect) => answer(expect, profile),
            None => panic!("a sweep says nothing for `{name}: {}`", value(name)),
        },
        Expect::OneOf(all) => all.iter().map(|one| answer(one, profile)).collect::<Vec<_>>().join(" or "),
        Expect::Pending | Expect::Completes(_) | Expect::Outcome(_) => {
            panic!("not what a sweep can expect: {expect:?}")
        }
    }
}

fn told(outcome: &str, bytes: Option<BytesExpect>) -> String {
    match bytes {
        None => outcome.to_owned(),
        Some(BytesExpect::Bytes(0)) => format!("{outcome}, zero"),
        Some(bytes) => format!("{outcome}, {bytes}"),
    }
}

fn name(state: SocketState) -> &'static str {
    match state {
        SocketState::NotASocket => "no socket",
        SocketState::Fresh => "new",
        SocketState::Bound => "bound",
        SocketState::Listening => "listening",
        SocketState::Connecting => "connecting",
        SocketState::Connected => "connected",
        SocketState::Accepted => "accepted, not redirected",
        SocketState::AcceptedRedirected => "accepted, redirected",
        SocketState::AcceptedRedirectedNotUpdated => "accepted, redirected, context not updated",
        SocketState::AcceptedRedirectedPeerClosed => "accepted, redirected, peer closed",
        SocketState::Reset => "reset",
    }
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

// The page.

/// The sweeps with one question and the same answers.
struct Group<'a> {
    question: &'a Question,
    answers: &'a Answers,
    families: BTreeSet<SocketFamily>,
    cases: BTreeSet<&'a str>,
}

fn page(asked: &[Asked]) -> String {
    let (shown, others): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|sweep| !sweep.other_profile);
    let mut page = format!(
        "# What the suite asks of the control codes\n\n\
         Made from the sweeps in the folder `scenarios`, by `{AGAIN}`. Do not change it by hand.\n\n\
         A row is one or more classes of buffer length on a kind of socket, and what must come of the call under each\n\
         of the built-in profiles: the outcome, and what is then in the bytes-returned word, where there is one.\n\
         `needed` is the size of what the call is about, and stands for 64 where there is nothing. Sockets are\n\
         asked about in IPv4, IPv6 and dual-stack, unless the row names families. The last column names the cases.\n\n\
         Three codes, {} states of sockets, {} families, {} lengths and {} profiles make {} cells, and none is left out\n\
         without a reason. {} sweeps are behind this page; {} more are about other values of the profile's fields.\n",
        STATES.len(),
        FAMILIES.len(),
        LENGTHS.len(),
        Profile::BUILT_IN.len(),
        cells().count() * LENGTHS.len() * Profile::BUILT_IN.len(),
        shown.len(),
        others.len(),
    );
    for (code, state, family, reason) in REASONS {
        let _ =
            writeln!(page, "\nNot asked: {code:?} on a socket that is {}, {family}: {reason}.", name(*state));
    }
    for code in Code::ALL {
        let groups = groups(shown.iter().copied().filter(|sweep| sweep.question.code == code));
        let (plain, unusual): (Vec<&Group>, Vec<&Group>) =
            groups.iter().partition(|group| group.question.circumstances.is_empty());
        let _ = write!(page, "\n## {}\n", code.title());
        table(&mut page, &plain, false);
        if !unusual.is_empty() {
            page += "\nIn unusual circumstances:\n";
            table(&mut page, &unusual, true);
        }
    }
    page
}

fn groups<'a>(asked: impl Iterator<Item = &'a Asked>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(&Question, &Answers), Group<'a>> = BTreeMap::new();
    for Asked { question, family, case, answers, .. } in asked {
        let new = || Group { question, answers, families: BTreeSet::new(), cases: BTreeSet::new() };
        let group = groups.entry((question, answers)).or_insert_with(new);
        group.families.insert(*family);
        group.cases.insert(case);
    }
    groups.into_values().collect()
}

fn table(page: &mut String, groups: &[&Group], unusual: bool) {
    let circumstances = if unusual { " circumstances |" } else { "" };
    let rule = if unusual { "---|" } else { "" };
    let _ =
        writeln!(page, "\n| socket |{circumstances} length | {} | cases |", Profile::BUILT_IN.join(" | "));
    let _ = writeln!(page, "|---|{rule}---|{}---|", "---|".repeat(Profile::BUILT_IN.len()));
    for group in groups {
        let mut socket = name(group.question.state).to_owned();
        if FAMILIES.iter().any(|family| !group.families.contains(family)) {
            let families: Vec<String> = group.families.iter().map(SocketFamily::to_string).collect();
            let _ = write!(socket, " ({})", families.join(", "));
        }
        let cases: Vec<String> = group.cases.iter().map(|case| format!("`{case}`")).collect();
        let circumstances =
            if unusual { format!(" {} |", group.question.circumstances) } else { String::new() };
        for (lengths, answers) in by_answer(group.answers) {
            let lengths: Vec<String> = lengths.iter().map(Length::to_string).collect();
            let _ = writeln!(
                page,
                "| {socket} |{circumstances} {} | {} | {} |",
                lengths.join(", "),
                answers.join(" | "),
                cases.join(", ")
            );
        }
    }
}

/// The lengths with the same answers, each list in the order of the classes.
fn by_answer(answers: &Answers) -> Vec<(Vec<Length>, &Vec<String>)> {
    let mut rows: Vec<(Vec<Length>, &Vec<String>)> = Vec::new();
    for length in LENGTHS {
        let Some(said) = answers.get(&length) else { continue };
        match rows.iter_mut().find(|(_, known)| *known == said) {
            Some((lengths, _)) => lengths.push(length),
            None => rows.push((vec![length], said)),
        }
    }
    rows
}
