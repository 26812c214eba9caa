//! The page of the regressions, `docs/regressions.md`: what each is, the cases that show it, and a diagram of how it goes
//! wrong. It is made from the list of regressions and a run of the suite on the model, and written anew with
//! `UPDATE_REGRESSIONS=1 cargo test -p wfp-tests --test regressions`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use wfp_conformance::regressions::{Regression, Role};
use wfp_conformance::run::{CaseRun, diagram};
use wfp_conformance::scenario::{LoadedCase, Suite};
use wfp_sim::Profile;
use wfp_tests::{Played, play, workspace};

const PAGE: &str = "docs/regressions.md";
const AGAIN: &str = "UPDATE_REGRESSIONS=1 cargo test -p wfp-tests --test regressions";

static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    let suite = Suite::load(&[workspace().join("scenarios")], &Profile::documented());
    suite.unwrap_or_else(|errors| panic!("{}", errors[0].render(false)))
});

/// The cases that show a regression, run under the profile `documented`.
static PLAYED: LazyLock<Played> = LazyLock::new(|| {
    let mut suite = SUITE.clone();
    suite.cases.retain(|case| !case.case.regressions.is_empty());
    play(suite, "documented")
});

type Shown = (&'static LoadedCase, &'static CaseRun);

/// The cases that show this of a regression, in the order of their files, and in those as they are written.
fn showing(id: &str, role: Role) -> Vec<Shown> {
    let cases = PLAYED.suite.cases.iter().zip(&PLAYED.runs);
    let mut cases: Vec<Shown> =
        cases.filter(|(case, _)| case.case.regressions.get(id) == Some(&role)).collect();
    cases.sort_by_key(|(case, _)| {
        let places: Vec<usize> = case.variants.iter().map(|variant| variant.place).collect();
        (&case.file, case.line, places)
    });
    cases
}

/// The name of a case without its variants.
fn plain(case: &LoadedCase) -> &str {
    case.name.split('@').next().unwrap_or_default()
}

/// Which variants of one case these are: none where they are all, those of one axis where that tells them from the
/// rest, else the combinations.
fn variants(shown: &[Shown]) -> Vec<&'static str> {
    let name = |(case, _): &Shown| plain(case);
    let all: Vec<&LoadedCase> =
        SUITE.cases.iter().filter(|case| shown.first().map(name) == Some(plain(case))).collect();
    if all.len() == shown.len() {
        return Vec::new();
    }
    let axes = shown.first().map_or(0, |(case, _)| case.variants.len());
    for axis in 0..axes {
        let mut names: Vec<&str> = Vec::new();
        for (case, _) in shown {
            if !names.contains(&&*case.variants[axis].name) {
                names.push(&case.variants[axis].name);
            }
        }
        if all.iter().filter(|case| names.contains(&&*case.variants[axis].name)).count() == shown.len() {
            return names;
        }
    }
    shown.iter().filter_map(|(case, _)| Some(case.name.split_once('@')?.1)).collect()
}

/// A line for each case, with its variants and its title.
fn write_cases(page: &mut String, shown: &[Shown]) {
    for shown in shown.chunk_by(|(one, _), (next, _)| plain(one) == plain(next)) {
        let (case, _) = shown[0];
        let variants: Vec<String> = variants(shown).iter().map(|name| format!("`{name}`")).collect();
        let with = if variants.is_empty() { String::new() } else { format!(" with {}", variants.join(", ")) };
        let title = case.case.title.as_deref().unwrap_or_default();
        let _ = writeln!(page, "- `{}`{with}: {title}", plain(case));
    }
}

/// What the case did that shows it best: a connection that it followed, else its calls.
fn write_diagram(page: &mut String, id: &str) {
    let shown: Vec<Shown> = Role::ALL.into_iter().flat_map(|role| showing(id, role)).collect();
    let Some((case, run)) = shown.first() else { return };
    let diagrams = run.ending().map_or_else(|| run.diagrams(), |ending| vec![diagram(ending)]);
    let _ = writeln!(page, "\n`{}` under the profile `documented`:", case.name);
    for diagram in diagrams {
        let _ = write!(page, "\n```mermaid\n{diagram}```\n");
    }
}

fn page() -> String {
    let mut page = format!(
        "# Regressions: what once went wrong in the field, and the scenarios that show it\n\n\
         Made from `conformance/regressions.yaml`, the folder `scenarios`, and its run on the model under the profile\n\
         `documented`, by `{AGAIN}`. Do not change it by hand.\n\n\
         A *fault* is a case in which it goes wrong, a *mend* one in which it goes right since that is mended, a *rule* one that pins\n\
         down what is right where nobody is at fault. The diagram is that of the first fault, or of the first rule where there is no\n\
         fault. Callouts A and B have the handles hA and hB, A in the higher sublayer; their services are PA and PB; the destination\n\
         is D; R = [records].\n\n\
         | id | what it is about | faults | mends | rules |\n|---|---|---|---|---|\n"
    );
    for Regression { id, title, .. } in Regression::all() {
        let [faults, mends, rules] = Role::ALL.map(|role| showing(id, role).len());
        let _ = writeln!(page, "| [{id}](#{}) | {title} | {faults} | {mends} | {rules} |", id.to_lowercase());
    }
    for Regression { id, title, cause, expected, source } in Regression::all() {
        let _ = write!(
            page,
            "\n## {id}\n\n**{}**\n\n- Cause: {cause}.\n- What happens, or must happen: {expected}.\n- Source: {source}\n",
            capitalised(title)
        );
        for role in Role::ALL {
            let shown = showing(id, role);
            if !shown.is_empty() {
                let _ = writeln!(page, "\n{}:\n", capitalised(role.name()));
                write_cases(&mut page, &shown);
            }
        }
        if Role::ALL.into_iter().all(|role| showing(id, role).is_empty()) {
            page.push_str("\nNo scenario shows it yet.\n");
        }
        write_diagram(&mut page, id);
    }
    page
}

/// A title of the list as a sentence begins; names of functions and constants stay as they are.
fn capitalised(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn page_is_what_the_scenarios_do() {
    let page = page();
    let path = workspace().join(PAGE);
    if std::env::var_os("UPDATE_REGRESSIONS").is_some() {
        std::fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let line = written.lines().zip(page.lines()).position(|(old, new)| old != new);
    assert!(
        written == page,
        "{PAGE} is not what the scenarios do, first in line {}; write it anew, and look at what changed: {AGAIN}",
        line.unwrap_or_else(|| written.lines().count().min(page.lines().count())) + 1
    );
}

#[test]
fn every_regression_is_shown_by_a_case() {
    let shown = |id: &str| Role::ALL.into_iter().any(|role| !showing(id, role).is_empty());
    let missing: Vec<&str> =
        Regression::all().iter().map(|regression| regression.id.as_str()).filter(|id| !shown(id)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_fault_has_its_mend() {
    let missing: Vec<&str> = Regression::all()
        .iter()
        .map(|regression| regression.id.as_str())
        .filter(|id| !showing(id, Role::Fault).is_empty() && showing(id, Role::Mend).is_empty())
        .collect();
    assert_eq!(missing, [""; 0], "how these go right where the fault is mended, no case shows");
}
