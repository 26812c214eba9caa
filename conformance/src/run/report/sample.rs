//! A report with every status, and with names that mean something to every notation, for tests.

use super::*;

pub(super) const ODD: &str = "a|b `c` </script><b> &amp; \"d\" %41\u{1b}[31m\u{ffff}";

pub(super) fn report() -> Report {
    let mut report = Report {
        schema: SCHEMA,
        backend: BackendReport {
            name: "exec:ssh <box>".to_owned(),
            version: "1.2.3".to_owned(),
            os: Some("Windows 11 | 26100".to_owned()),
            features: vec!["tcp", "redirect"],
        },
        profile: "documented".to_owned(),
        seed: 7,
        verdict: Verdict::NotConformant,
        summary: Counts { passed: 1, failed: 2, skipped: 3, expected_failures: 1, unexpected_passes: 1 },
        cases: vec![
            case("buffers/sizes#exact", "passed", None),
            case("buffers/sizes#known", "expected_failure", Some("Wine answers 0 here")),
            case("buffers/sizes#mended", "unexpected_pass", Some("was to fail: Wine | \"answers\" 0 here")),
            case("chains/odd#after", "failed", None),
            case("chains/odd#lacks-one", "skipped", Some("the backend lacks wsk")),
            case("chains/odd#lacks-two", "skipped", Some("the backend lacks overlapped, wsk")),
            case("chains/odd#lacks-wsk", "skipped", Some("the backend lacks wsk")),
            case("chains/odd#x@</script><b>", "failed", None),
        ],
        requirements: vec![
            requirement("chains.bounded", Kind::Exact, RequirementStatus::Broken, &[]),
            requirement("records.align", Kind::Probe, RequirementStatus::Met, &["16 bytes", "a|b\n<i>"]),
            requirement("records.short", Kind::OneOf, RequirementStatus::Met, &["ERROR_MORE_DATA, 128"]),
            requirement("set.twice", Kind::OneOf, RequirementStatus::Uncovered, &[]),
        ],
    };
    fail(&mut report.cases[1], 2, "success", "WSAEOPNOTSUPP");
    fail(&mut report.cases[3], 0, "nothing left", "1 redirect context");
    fail(&mut report.cases[7], 3, "end reached", ODD);
    if let Some(failure) = &mut report.cases[7].failure {
        failure.behind = vec!["app: socket as <s>".to_owned(), "app: connect".to_owned()];
    }
    report
}

fn case(name: &str, status: &'static str, reason: Option<&str>) -> CaseReport {
    CaseReport {
        name: name.to_owned(),
        file: format!("scenarios/{}.yaml", name.split('#').next().unwrap()),
        line: 12,
        status,
        reason: reason.map(str::to_owned),
        requirements: vec!["chains.bounded".to_owned()],
        features: vec!["tcp"],
        duration_us: 1_500,
        failure: None,
        outcome: None,
        regressions: IndexMap::new(),
        traces: Vec::new(),
    }
}

fn fail(case: &mut CaseReport, step: usize, expected: &str, observed: &str) {
    let (expected, observed) = (expected.to_owned(), observed.to_owned());
    case.reason.get_or_insert(format!("{}: expected {expected}; observed {observed}", step_words(step)));
    case.failure = Some(FailureReport {
        step,
        line: 20,
        file: "scenarios/used, or: not.yaml".to_owned(),
        column: 9,
        expected,
        observed,
        behind: Vec::new(),
    });
}

fn requirement(id: &str, kind: Kind, status: RequirementStatus, observed: &[&str]) -> RequirementReport {
    RequirementReport {
        id: id.to_owned(),
        text: format!("What {id} <says>."),
        source: "win32: a page, Remarks".to_owned(),
        kind,
        status,
        observed: observed.iter().map(|&seen| seen.to_owned()).collect(),
        cases: Vec::new(),
    }
}
