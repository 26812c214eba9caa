//! Every documented outcome of the three control codes is brought about by a scenario, `docs/outcomes.md`: which, and
//! by what cause. The suite is run on the model, and the table is made from what was observed. It is written anew with
//! `UPDATE_OUTCOMES=1 cargo test -p wfp-tests --test outcomes`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use wfp_conformance::SimBackend;
use wfp_conformance::run::{Options, Status, run_case};
use wfp_conformance::scenario::Suite;
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Call, Features, Identity, Name, Observation, Op, Settings,
};
use wfp_sim::{ControlCode, Profile, WinsockError};
use wfp_tests::workspace;

const PAGE: &str = "docs/outcomes.md";
const AGAIN: &str = "UPDATE_OUTCOMES=1 cargo test -p wfp-tests --test outcomes";

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

/// The codes that the pages document, with the control codes that they are documented for, and their cause.
///
/// Source: win32, "Return value" of the three pages; `docs/behaviour.md`, "Errors".
const DOCUMENTED: [(WinsockError, &[ControlCode], &str); 13] = {
    use WinsockError as E;
    const ALL: &[ControlCode] = &[RECORDS, CONTEXT, SET];
    const QUERIES: &[ControlCode] = &[RECORDS, CONTEXT];
    [
        (E::ERROR_INSUFFICIENT_BUFFER, QUERIES, "the output buffer is too small"),
        (E::WSA_IO_PENDING, ALL, "an overlapped call on a socket that cannot answer at once"),
        (
            E::WSA_OPERATION_ABORTED,
            ALL,
            "its socket is closed, SIO_FLUSH, CancelIoEx, or its thread ends while it is pending",
        ),
        (E::WSAEACCES, &[SET], "the caller lacks administrative rights"),
        (E::WSAEFAULT, ALL, "a pointer is not wholly inside valid memory"),
        (E::WSAEINPROGRESS, ALL, "the thread is in a callback"),
        (E::WSAEINTR, ALL, "the call waited, and was interrupted"),
        (E::WSAEINVAL, ALL, "an argument or the kind of socket is not acceptable"),
        (E::WSAENETDOWN, ALL, "the network subsystem has failed"),
        (E::WSAENOPROTOOPT, QUERIES, "the protocol of the socket does not know the code"),
        (E::WSAENOTCONN, QUERIES, "the socket is not connected"),
        (E::WSAENOTSOCK, ALL, "the descriptor is no socket"),
        (E::WSAEOPNOTSUPP, ALL, "the provider does not know the code"),
    ]
};

/// The cases that saw each outcome of each control code, by the names that they have without variants.
type Seen = BTreeMap<(ControlCode, WinsockError), BTreeSet<String>>;

/// A model that writes down what the control codes answered.
#[derive(Default)]
struct Recorder {
    model: SimBackend,
    /// The control codes of this case, by the names of the ops that asked them.
    asked: BTreeMap<Name, ControlCode>,
    seen: BTreeSet<(ControlCode, WinsockError)>,
}

impl Recorder {
    fn record(&mut self, name: Option<&Name>, call: &Call, observed: &Observation) {
        let code = match call {
            Call::QueryRecords(_) => Some(RECORDS),
            Call::QueryContext(_) => Some(CONTEXT),
            Call::SetRecords(_) => Some(SET),
            Call::GetResult { of, .. } => self.asked.get(of).copied(),
            _ => None,
        };
        if let (Some(code), Some(name)) = (code, name) {
            self.asked.insert(Name::clone(name), code);
        }
        self.outcome(code, observed);
        if let Some((of, result)) = &observed.completed {
            self.outcome(self.asked.get(of).copied(), result);
        }
        for (of, told) in &observed.called {
            self.outcome(self.asked.get(of).copied(), told);
        }
        for (inside, observed) in call.inside().iter().zip(&observed.inside) {
            self.record(inside.name.as_ref(), &inside.op, observed);
        }
    }

    fn outcome(&mut self, code: Option<ControlCode>, observed: &Observation) {
        if let (Some(code), Some(error)) = (code, observed.error()) {
            self.seen.insert((code, error));
        }
    }
}

impl Backend for Recorder {
    fn identify(&self) -> Identity {
        self.model.identify()
    }

    fn features(&self) -> &Features {
        self.model.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.asked.clear();
        self.model.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let observed = self.model.apply(op)?;
        self.record(op.name.as_ref(), &op.call, &observed);
        Ok(observed)
    }
}

/// Runs every case under the default profile.
fn observe() -> Seen {
    let folder = workspace().join("scenarios");
    let suite = Suite::load(&[folder], &Profile::documented());
    let suite = suite.unwrap_or_else(|errors| panic!("{}", errors[0].render(false)));
    let options = Options::default();
    let mut recorder = Recorder::default();
    let mut all = Seen::new();
    for case in &suite.cases {
        recorder.seen.clear();
        let run = run_case(&mut recorder, case, &options, 1);
        let run = run.unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        assert_eq!(run.status, Status::Passed, "{}", case.name);
        let name = case.name.split('@').next().unwrap_or_default();
        for outcome in &recorder.seen {
            all.entry(*outcome).or_default().insert(name.to_owned());
        }
    }
    all
}

static SEEN: LazyLock<Seen> = LazyLock::new(observe);

/// So many cases are named for an outcome; the rest is counted.
const NAMED: usize = 4;

fn page(seen: &Seen) -> String {
    let mut page = format!(
        "# Every documented outcome, and the scenario that brings it about\n\n\
         Made from a run of the folder `scenarios` on the model under the profile `documented`, by `{AGAIN}`. Do not\n\
         change it by hand.\n\n\
         A row is an error that Microsoft's pages document for a control code. No scenario says what a call is to return: each makes\n\
         the cause, and sees the error come of it.\n"
    );
    for (title, code) in ControlCode::ALL {
        let rows: Vec<_> = DOCUMENTED.iter().filter(|(_, codes, _)| codes.contains(&code)).collect();
        let _ = write!(
            page,
            "\n## {title}\n\n{} outcomes besides success.\n\n| outcome | cause | scenarios |\n|---|---|---|\n",
            rows.len()
        );
        for (error, _, cause) in rows {
            let cases: Vec<String> =
                seen.get(&(code, *error)).into_iter().flatten().map(|case| format!("`{case}`")).collect();
            let (named, more) = cases.split_at(cases.len().min(NAMED));
            let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
            let _ = writeln!(page, "| `{error}` {} | {cause} | {}{more} |", error.0, named.join(", "));
        }
    }
    page
}

#[test]
fn every_documented_outcome_is_brought_about_by_a_scenario() {
    let missing: Vec<String> = DOCUMENTED
        .iter()
        .flat_map(|(error, codes, _)| codes.iter().map(move |code| (*code, *error)))
        .filter(|outcome| !SEEN.contains_key(outcome))
        .map(|(code, error)| format!("{code}: {error}"))
        .collect();
    assert!(missing.is_empty(), "no scenario brings these about:\n{}", missing.join("\n"));
}

/// 12, 12 and 10 codes, as the pages list them and Remarks add.
#[test]
fn as_many_outcomes_are_documented_as_the_pages_list() {
    let counts = [RECORDS, CONTEXT, SET]
        .map(|code| DOCUMENTED.iter().filter(|(_, codes, _)| codes.contains(&code)).count());
    assert_eq!(counts, [12, 12, 10]);
}

#[test]
fn page_is_what_the_scenarios_do() {
    let page = page(&SEEN);
    let path = workspace().join(PAGE);
    if std::env::var_os("UPDATE_OUTCOMES").is_some() {
        std::fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{PAGE} is not what the scenarios do; write it anew: {AGAIN}");
}
