//! The report as JUnit XML, which CI servers read: a suite for each file of scenarios, a test case for each case.

use std::time::Duration;

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, Report, step_words};
use crate::printable::printable;

impl Report {
    /// The report as JUnit XML, with a line break at its end.
    ///
    /// A case is named by what stands behind the `#` of its name, its class by what stands before. An unexpected pass
    /// is a failure; an expected failure counts as skipped, since JUnit knows no such thing, with the type
    /// `expected_failure`.
    ///
    /// # Errors
    /// Where the report cannot be serialized.
    pub fn to_junit(&self) -> Result<String, SerializeError> {
        let mut report = quick_junit::Report::new("wfp-conformance");
        report.set_time(self.cases.iter().map(duration).sum());
        for cases in self.cases.chunk_by(|one, next| one.name_parts().0 == next.name_parts().0) {
            report.add_test_suite(self.junit_suite(cases));
        }
        report.to_string()
    }

    fn junit_suite(&self, cases: &[CaseReport]) -> TestSuite {
        let first = cases.first();
        let mut suite = TestSuite::new(first.map_or(String::new(), |case| text(case.name_parts().0)));
        suite.set_time(cases.iter().map(duration).sum());
        suite.extra.extend(first.map(|case| ("file".into(), text(&case.file).into())));
        suite.add_properties(
            [
                ("backend", text(&self.backend.name)),
                ("version", text(&self.backend.version)),
                ("profile", text(&self.profile)),
                ("seed", self.seed.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        suite.add_test_cases(cases.iter().map(test_case));
        suite
    }
}

fn test_case(case: &CaseReport) -> TestCase {
    let (file, name) = case.name_parts();
    let mut test = TestCase::new(text(name), status(case));
    test.set_classname(text(file)).set_time(duration(case));
    test.extra.insert("file".into(), text(&case.file).into());
    test.extra.insert("line".into(), case.line.to_string().into());
    test
}

fn status(case: &CaseReport) -> TestCaseStatus {
    let mut status = match case.status {
        "passed" => return TestCaseStatus::success(),
        "skipped" | "expected_failure" => TestCaseStatus::skipped(),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    status.set_message(text(case.reason.as_deref().unwrap_or_default())).set_type(case.status);
    if let Some(failure) = &case.failure {
        let mut description = format!(
            "{}\nexpected: {}\nobserved: {}\nat: {}",
            step_words(failure.step),
            failure.expected,
            failure.observed,
            case.place(),
        );
        for (index, call) in failure.behind.iter().enumerate() {
            let head = if index == 0 { "\nthe fewest calls up to it:" } else { "" };
            description.extend([head, "\n", call]);
        }
        status.set_description(text(&description));
    }
    status
}

fn duration(case: &CaseReport) -> Duration {
    Duration::from_micros(case.duration_us)
}

/// A text that XML can carry: characters that it cannot are shown by their numbers.
fn text(text: &str) -> String {
    printable(text).replace('\u{FFFE}', r"\u{fffe}").replace('\u{FFFF}', r"\u{ffff}")
}

#[cfg(test)]
mod tests {
    use super::super::sample;

    #[test]
    fn every_status_has_its_place_in_junit() {
        let xml = sample::report().to_junit().unwrap();
        insta::assert_snapshot!("junit", xml);
    }

    #[test]
    fn what_was_written_can_be_read_again_and_the_counts_are_right() {
        let xml = sample::report().to_junit().unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!((read.tests, read.failures, read.skipped, read.errors), (8, 3, 4, 0));
        let suites = read.test_suites.iter();
        let counts: Vec<_> = suites.map(|suite| (suite.name.as_str(), suite.tests, suite.failures)).collect();
        assert_eq!(counts, [("buffers/sizes", 3, 1), ("chains/odd", 5, 2)]);
        assert_eq!(read.test_suites[1].test_cases[4].name.as_str(), "x@</script><b>");
    }
}
