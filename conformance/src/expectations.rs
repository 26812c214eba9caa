//! What a backend is known to do otherwise than the documents say, or cannot do: expectations, beside the backend.
//!
//! A file of them (`--expectations FILE`, schema `wfp-conformance/expectations/v1`) is a list of entries. Each names
//! cases, says what becomes of them there, and why. An entry that nothing comes of any more fails the run: a case that
//! passes although its failure is expected, and an entry that no case matches.

use std::path::Path;

use serde::Deserialize;
use wildmatch::WildMatch;

use crate::run::{CaseRun, Status};
use crate::scenario::{LoadedCase, Suite};
use crate::vocabulary::Identity;
use crate::yaml::{Diagnostic, Source, Span, Spanned, from_node, parse};

/// The version of the format.
const SCHEMA: &str = "wfp-conformance/expectations/v1";

/// The entries of a file that hold for one machine.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<String>,
    expectations: Vec<Spanned<Written>>,
}

/// An entry as the file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    /// Names of cases; `*` stands for any text.
    cases: Vec<String>,
    /// What becomes of them.
    #[serde(default)]
    status: Expected,
    /// What is observed where they fail: a part of that text.
    #[serde(default)]
    observed: Option<String>,
    /// A part of the name of the operating system; by default any.
    #[serde(default)]
    os: Option<String>,
    /// The first build of Windows that it holds for.
    #[serde(default)]
    from_build: Option<Spanned<u32>>,
    /// The last build of Windows that it holds for.
    #[serde(default)]
    to_build: Option<Spanned<u32>>,
    /// Why.
    reason: String,
}

/// What becomes of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    /// It fails, and two backends that are compared differ in it.
    #[default]
    Fails,
    /// It passes, and two backends that are compared differ in it: the documents leave room.
    Differs,
    /// It is not run.
    Skipped,
}

#[derive(Clone, Debug)]
struct Entry {
    written: Written,
    patterns: Vec<(String, WildMatch)>,
    place: Span,
}

impl Expectations {
    /// Reads a file, and keeps what holds for this machine; `compares` where two backends are compared.
    ///
    /// # Errors
    /// Where the file cannot be read or is wrong: a reason is missing, for instance.
    pub fn load(path: &Path, identity: &Identity, compares: bool) -> Result<Self, Diagnostic> {
        Self::read(&Source::read(path)?, identity, compares)
    }

    fn read(
        source: &std::sync::Arc<Source>,
        identity: &Identity,
        compares: bool,
    ) -> Result<Self, Diagnostic> {
        let file: File = from_node(&parse(source)?)?;
        if file.schema.value != SCHEMA {
            return Err(Diagnostic::at(&file.schema.span, format!("the schema is not `{SCHEMA}`")));
        }
        let mut entries = Vec::new();
        for Spanned { value: written, span: place } in file.expectations {
            if written.reason.trim().is_empty() {
                return Err(Diagnostic::at(&place, "a reason is missing: say why the backend does so"));
            }
            if written.cases.is_empty() {
                return Err(Diagnostic::at(&place, "an expectation names the cases that it is about"));
            }
            if written.observed.is_some() && written.status == Expected::Skipped {
                return Err(Diagnostic::at(&place, "of a case that is not run nothing is `observed`"));
            }
            if let (Some(from), Some(to)) = (&written.from_build, &written.to_build)
                && from.value > to.value
            {
                let message = format!("no build is from {} on and up to {}", from.value, to.value);
                return Err(Diagnostic::at(&from.span, message));
            }
            let patterns = written.cases.iter().map(|text| (text.clone(), WildMatch::new(text))).collect();
            if written.holds_for(identity) && (compares || written.status != Expected::Differs) {
                entries.push(Entry { written, patterns, place });
            }
        }
        Ok(Self { entries })
    }

    /// Why a case is not to be run.
    #[must_use]
    pub fn skips(&self, name: &str) -> Option<&str> {
        let entry = self.entry(name)?;
        (entry.written.status == Expected::Skipped).then_some(entry.written.reason.as_str())
    }

    /// The first entry for a case.
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.patterns.iter().any(|(_, pattern)| pattern.matches(name)))
    }

    /// Turns a failure that is expected into an expected failure, and a pass that is not into an unexpected one.
    pub fn judge(&self, case: &LoadedCase, run: &mut CaseRun) {
        let Some(Entry { written, .. }) = self.entry(&case.name) else { return };
        if written.status == Expected::Skipped {
            return;
        }
        match (run.status, &run.failure) {
            (Status::Passed, _) => {
                run.status = Status::UnexpectedPass;
                let expected = if written.status == Expected::Differs { "differ" } else { "fail" };
                run.reason = Some(format!("expected to {expected}: {}", written.reason));
            }
            (Status::Failed, Some(failure)) => {
                let seen = written.observed.as_ref().is_none_or(|text| failure.observed.contains(text));
                // What fails on both is no difference.
                let meant = written.status != Expected::Differs || !failure.behind.is_empty();
                if seen && meant {
                    run.status = Status::ExpectedFailure;
                    run.reason = Some(written.reason.clone());
                }
            }
            _ => {}
        }
    }

    /// What is wrong with each pattern that no case of the suite matches, or none that an earlier entry does not match too.
    #[must_use]
    pub fn unused(&self, suite: &Suite) -> Vec<Diagnostic> {
        let mut unused = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            for (text, pattern) in &entry.patterns {
                let earlier = |name: &str| {
                    let before = self.entries.get(..index).unwrap_or_default();
                    before.iter().any(|entry| entry.patterns.iter().any(|(_, pattern)| pattern.matches(name)))
                };
                let used = suite.cases.iter().any(|case| pattern.matches(&case.name) && !earlier(&case.name));
                if !used {
                    let message =
                        format!("no case is left that `{text}` matches: the expectation is not used");
                    unused.push(Diagnostic::at(&entry.place, message));
                }
            }
        }
        unused
    }
}

impl Written {
    fn holds_for(&self, identity: &Identity) -> bool {
        let os = identity.os.as_deref().unwrap_or_default();
        let build = build(os);
        self.os.as_ref().is_none_or(|part| os.contains(part))
            && self.from_build.as_ref().is_none_or(|from| build.is_some_and(|build| build >= from.value))
            && self.to_build.as_ref().is_none_or(|to| build.is_some_and(|build| build <= to.value))
    }
}

/// The build in a name such as `Windows 10.0.19045`.
fn build(os: &str) -> Option<u32> {
    let versions = os.split(|c: char| !c.is_ascii_digit() && c != '.');
    versions.filter_map(|version| version.split('.').nth(2)?.parse().ok()).next_back()
}
