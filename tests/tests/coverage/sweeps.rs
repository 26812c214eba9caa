//! From the suite to what its sweeps ask, and what they expect.

use std::collections::BTreeMap;
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

use super::{Code, LENGTHS};

/// What a sweep asks, and in which circumstances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) code: Code,
    pub(super) state: SocketState,
    /// What is unusual about the call, the caller or the machine; empty for a call as programs make it.
    pub(super) circumstances: String,
}

/// What is expected for a length class under each built-in profile.
pub(super) type Answers = BTreeMap<Length, Vec<String>>;

/// A sweep of the suite.
pub(super) struct Asked {
    pub(super) question: Question,
    /// Whether the case says what a field of the profile is, so that the built-in profiles are not what is tried.
    pub(super) other_profile: bool,
    pub(super) family: SocketFamily,
    /// The case without its variant.
    pub(super) case: String,
    pub(super) answers: Answers,
}

pub(super) static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    let suite = Suite::load(&[workspace().join("scenarios")], &Profile::default());
    suite.unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
        panic!("{}", errors.join("\n\n"))
    })
});

pub(super) static SWEEPS: LazyLock<Vec<Asked>> =
    LazyLock::new(|| sweeps_of(&SUITE).map(|(loaded, step, sweep)| asked(loaded, step, sweep)).collect());

pub(super) fn sweeps_of(suite: &Suite) -> impl Iterator<Item = (&LoadedCase, &Step, &Sweep)> {
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
    let unusual = sizes.iter().filter(|(name, size)| field(name).get(&Profile::default()) != size.0);
    circumstances.extend(unusual.map(|(name, size)| format!("`{name}` is {}", size.0)));
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
        Expect::Error(ErrorExpect { code, bytes_returned, .. }) => told(&code.to_string(), *bytes_returned),
        Expect::Profile(name) => value(name),
        Expect::ByProfile(ByProfile { field: name, values }) => match values.get(&value(name)) {
            Some(expect) => answer(expect, profile),
            None => panic!("a sweep says nothing for `{name}: {}`", value(name)),
        },
        Expect::OneOf(all) => all.iter().map(|one| answer(one, profile)).collect::<Vec<_>>().join(" or "),
        Expect::Status(_)
        | Expect::BugCheck(_)
        | Expect::NotDocumented
        | Expect::Truncated(_)
        | Expect::Pending
        | Expect::Completes(_)
        | Expect::Outcome(_) => {
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
