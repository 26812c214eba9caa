//! The report in Markdown, as the summary of a CI job shows it.

use std::collections::BTreeMap;

use super::{CaseReport, Report, RequirementReport, RequirementStatus, step_words};
use crate::printable::printable;
use crate::requirements::Kind;

/// The most that GitHub shows of a job's summary, in bytes.
pub const MARKDOWN_LIMIT: usize = 1 << 20;

/// Characters of a cell; whoever wants more finds it in the JSON.
const CELL: usize = 600;

/// Cases that broke a requirement, before the rest is only counted.
const SHOWN_CASES: usize = 5;

/// Said where the limit is reached.
const CUT: &str = "\nThe rest is cut here: GitHub shows at most 1 MiB of a job's summary. The other reports have all of it.\n";

impl Report {
    /// The report in Markdown, of at most `limit` bytes: the verdict and the counts, then tables of what went wrong, of
    /// what was skipped and why, and of what was seen where the documents leave room. What is longer is cut at the
    /// end of a line, with a sentence that says so.
    #[must_use]
    pub fn to_markdown(&self, limit: usize) -> String {
        let mut page = Page { text: String::new(), room: limit.saturating_sub(CUT.len()), is_cut: false };
        self.write_head(&mut page);
        self.write_failures(&mut page);
        self.write_requirements(&mut page);
        self.write_not_run(&mut page);
        self.write_observed(&mut page);
        page.end()
    }

    fn write_head(&self, page: &mut Page) {
        let os = self.backend.os.as_deref().map_or(String::new(), |os| format!(" on {}", words(os)));
        page.line(&format!("## wfp-conformance: {}", self.verdict.words()));
        page.line("");
        page.line(&format!(
            "Backend {} {}{os}, profile {}, seed {}.",
            code(&self.backend.name),
            words(&self.backend.version),
            code(&self.profile),
            self.seed
        ));
        let counts = &self.summary;
        page.table(
            &["passed", "failed", "skipped", "expected failures", "unexpected passes"],
            [[
                counts.passed.to_string(),
                counts.failed.to_string(),
                counts.skipped.to_string(),
                counts.expected_failures.to_string(),
                counts.unexpected_passes.to_string(),
            ]],
        );
    }

    fn write_failures(&self, page: &mut Page) {
        let failed = self.with_status("failed").map(|case| {
            let (expected, observed) = match &case.failure {
                Some(failure) => (
                    format!("{}: {}", step_words(failure.step), words(&failure.expected)),
                    words(&failure.observed),
                ),
                None => (String::new(), words(case.reason.as_deref().unwrap_or_default())),
            };
            [code(&case.name), code(&case.place().to_string()), expected, observed]
        });
        page.section("Failed", &["case", "place", "expected", "observed"], failed);
        page.section("Passed, though expected to fail", &["case", "place", "why a failure is expected"], {
            self.with_status("unexpected_pass").map(CaseReport::with_reason)
        });
    }

    fn write_requirements(&self, page: &mut Page) {
        let broken = self.requirements.iter().filter(|one| one.status == RequirementStatus::Broken);
        let row = |one: &RequirementReport| {
            let failed: Vec<String> = self
                .cases
                .iter()
                .filter(|case| case.fails() && case.requirements.contains(&one.id))
                .map(|case| code(&case.name))
                .collect();
            let shown = &failed[..failed.len().min(SHOWN_CASES)];
            let more = match failed.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            [code(&one.id), words(&one.text), words(&one.source), shown.join(", ") + &more]
        };
        page.section(
            "Requirements broken",
            &["requirement", "what it says", "source", "by"],
            broken.map(row),
        );
    }

    fn write_not_run(&self, page: &mut Page) {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for case in self.with_status("skipped") {
            *reasons.entry(case.reason.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let rows = reasons.iter().map(|(reason, count)| [count.to_string(), words(reason)]);
        page.section("Skipped", &["cases", "why"], rows);
        page.section("Failed as expected", &["case", "place", "why a failure is expected"], {
            self.with_status("expected_failure").map(CaseReport::with_reason)
        });
    }

    /// What the documents do not say, or say in two ways, is what somebody runs this for on a machine.
    fn write_observed(&self, page: &mut Page) {
        let open = self.requirements.iter().filter(|one| one.kind != Kind::Exact && !one.observed.is_empty());
        let rows = open.map(|one| {
            let kind = match one.kind {
                Kind::OneOf => "one of several",
                Kind::Exact | Kind::Probe => "nothing is known",
            };
            let seen: Vec<String> = one.observed.iter().map(|seen| words(seen)).collect();
            [code(&one.id), words(&one.text), kind.to_owned(), seen.join("<br>")]
        });
        let columns = ["requirement", "what it says", "documents", "observed"];
        page.section("Observed where the documents leave room", &columns, rows);
    }

    fn with_status(&self, status: &str) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(move |case| case.status == status)
    }
}

impl CaseReport {
    fn with_reason(&self) -> [String; 3] {
        [code(&self.name), code(&self.place().to_string()), words(self.reason.as_deref().unwrap_or_default())]
    }
}

/// A page that grows line by line up to its limit.
struct Page {
    text: String,
    /// Bytes that the text can have, without the sentence that says it was cut.
    room: usize,
    is_cut: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.is_cut |= self.text.len() + line.len() + 1 > self.room;
        if !self.is_cut {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// A table under a heading, where it has rows.
    fn section<const N: usize>(
        &mut self,
        heading: &str,
        columns: &[&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) {
        let mut rows = rows.peekable();
        if rows.peek().is_some() {
            self.line("");
            self.line(&format!("### {heading}"));
            self.table(columns, rows);
        }
    }

    fn table<const N: usize>(&mut self, columns: &[&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        self.line("");
        self.line(&format!("| {} |", columns.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(N)));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    fn end(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

/// A name in a cell, in the letters of code: nothing in it means anything to Markdown.
fn code(text: &str) -> String {
    let text = in_a_line(text).replace('|', r"\|");
    if text.is_empty() {
        return text;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space keeps a backtick at either end apart from the fence, and is not shown.
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A text in a cell, as it is: what means something to Markdown or HTML has a backslash before it.
fn words(text: &str) -> String {
    let text = in_a_line(text);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\`*_[]<>|~&$#@!".contains(c) {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// A text without line breaks, and not longer than a cell holds.
fn in_a_line(text: &str) -> String {
    let text = printable(text);
    let mut shown: String = text.chars().take(CELL).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.chars().nth(CELL).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::sample;
    use super::*;

    #[test]
    fn every_status_has_its_table_in_markdown() {
        insta::assert_snapshot!("markdown", sample::report().to_markdown(MARKDOWN_LIMIT));
    }

    #[rstest]
    #[case::plain("buffers/a#b@v6", "`buffers/a#b@v6`")]
    #[case::column("a|b", r"`a\|b`")]
    #[case::backtick("a`b", "`` a`b ``")]
    #[case::several_backticks("``", "``` `` ```")]
    #[case::line_break("a\nb", "`a b`")]
    #[case::markup("</script><b>", "`</script><b>`")]
    fn name_is_shown_in_a_cell_as_it_is(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(code(name), expected);
    }

    #[rstest]
    #[case::plain("end reached, 2 connects", "end reached, 2 connects")]
    #[case::column("a|b", r"a\|b")]
    #[case::markup("<img src=x>", r"\<img src=x\>")]
    #[case::link("[a](b)", r"\[a\](b)")]
    #[case::entity("&lt;", r"\&lt;")]
    #[case::emphasis("*a* _b_ ~c~", r"\*a\* \_b\_ \~c\~")]
    #[case::mathematics("$x$", r"\$x\$")]
    #[case::lines("a\nb\u{1b}[31m", r"a b\\u{1b}\[31m")]
    fn text_is_shown_in_a_cell_as_it_is(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(words(text), expected);
    }

    #[test]
    fn text_that_no_cell_holds_ends_with_an_ellipsis() {
        assert_eq!(words(&"ä".repeat(CELL)), "ä".repeat(CELL));
        assert_eq!(words(&"ä".repeat(CELL + 1)), "ä".repeat(CELL) + "…");
    }

    #[test]
    fn page_over_the_limit_is_cut_at_the_end_of_a_line_and_says_so() {
        let mut page = Page { text: String::new(), room: 40, is_cut: false };
        page.table(&["a"], (0..100).map(|number| [number.to_string()]));
        let text = page.end();
        assert_eq!(text, format!("\n| a |\n|---|\n| 0 |\n| 1 |\n| 2 |\n| 3 |\n{CUT}"));
        assert!(text.len() <= 40 + CUT.len());
    }
}
