//! What failed as annotations, which GitHub shows at the lines of a pull request.

use std::fmt::Write as _;

use super::{CaseReport, Report};
use crate::printable::printable;

/// The most of a kind that GitHub shows of one step.
const SHOWN: usize = 10;

impl Report {
    /// A workflow command for each case that failed or passed unexpectedly, and, where skips are denied, for each that
    /// was skipped; at most as many as GitHub shows, and then one that says how many more there are. `path` is given
    /// the path of a file, and gives the one below the root of the repository.
    #[must_use]
    pub fn to_github(&self, denies_skips: bool, path: &dyn Fn(&str) -> String) -> String {
        let is_denied = |case: &&CaseReport| denies_skips && case.is_skipped_for_itself();
        let failed = self.cases.iter().filter(|case| case.fails());
        let wrong: Vec<&CaseReport> = failed.chain(self.cases.iter().filter(is_denied)).collect();
        let mut text = String::new();
        // Writing to a string does not fail.
        for case in wrong.iter().take(SHOWN) {
            let place = case.place();
            let _ = write!(text, "::error file={},line={}", property(&path(place.file)), place.line);
            if let Some(column) = place.column {
                let _ = write!(text, ",col={column}");
            }
            let reason = case.reason.as_deref().unwrap_or(case.status);
            let _ = writeln!(text, ",title={}::{}", property(&case.name), message(reason));
        }
        if wrong.len() > SHOWN {
            let more = wrong.len() - SHOWN;
            let cases = if more == 1 { "case" } else { "cases" };
            let _ = writeln!(
                text,
                "::notice title=wfp-conformance::{more} more {cases} went wrong: see the log or a report"
            );
        }
        text
    }
}

/// A text behind the last `::`.
fn message(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A text between `=` and `,`.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_failed_is_an_error_at_its_line_and_nothing_in_it_ends_the_command() {
        let text = sample::report().to_github(false, &|file| format!("sub/{file}"));
        let place = "sub/scenarios/used%2C or%3A not.yaml,line=20,col=9";
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "::error file=sub/scenarios/buffers/sizes.yaml,line=12,title=buffers/sizes#mended::was to fail: \
                 Wine | \"answers\" 0 here",
                &format!(
                    "::error file={place},title=chains/odd#after::after the last step: expected nothing left; \
                     observed 1 redirect context"
                ),
                &format!(
                    "::error file={place},title=chains/odd#x@</script><b>::step 3: expected end reached; observed \
                     a|b `c` </script><b> &amp; \"d\" %2541\\u{{1b}}[31m\u{ffff}"
                ),
            ]
        );
        assert_eq!(
            (message("50%\r\n: a, b"), property("a:b,c")),
            ("50%25%0A: a, b".into(), "a%3Ab%2Cc".into())
        );
    }

    #[test]
    fn skips_are_errors_only_where_they_are_denied() {
        let report = sample::report();
        let count = |denies_skips| report.to_github(denies_skips, &str::to_owned).lines().count();
        assert_eq!((count(false), count(true)), (3, 6));
    }

    #[test]
    fn no_more_are_told_than_github_shows_and_the_rest_is_counted() {
        let mut report = sample::report();
        let failed = report.cases[3].clone();
        report.cases = vec![failed; SHOWN + 2];
        let text = report.to_github(false, &str::to_owned);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), SHOWN + 1);
        assert!(lines[..SHOWN].iter().all(|line| line.starts_with("::error file=")), "{text}");
        assert_eq!(
            lines[SHOWN],
            "::notice title=wfp-conformance::2 more cases went wrong: see the log or a report"
        );
    }
}
