//! Backends by their names on the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use wfp_sim::Profile;

use crate::SimBackend;
use crate::diff::Diff;
use crate::exec::{ExecBackend, words};
use crate::record::Recording;
use crate::replay::Replay;
use crate::vocabulary::{Backend, BackendFault};
use crate::yaml::Diagnostic;

/// A backend, as `--backend` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendName {
    /// `sim`: the model.
    Sim,
    /// `windows`: this machine.
    Windows,
    /// `exec:COMMAND`: what a command speaks for.
    Exec(String),
    /// `replay:FILE`: what was recorded.
    Replay(PathBuf),
    /// `diff:A,B`: two, compared call by call.
    Diff(Box<BackendName>, Box<BackendName>),
}

/// How backends are made.
#[derive(Clone, Debug, Default)]
pub struct Making {
    /// How the model answers in doubtful cases.
    pub profile: Profile,
    /// What installs redirection on Windows.
    pub driver: Option<String>,
    /// How long a backend elsewhere may take for an answer.
    pub limit: Duration,
    /// What was recorded, by file.
    pub recordings: BTreeMap<PathBuf, Arc<Recording>>,
}

const EXPECTED: &str =
    "a backend is `sim`, `windows`, `exec:COMMAND`, `replay:FILE`, or `diff:A,B` with two of these";

const NO_WINDOWS: &str = "the backend `windows` is there on Windows only; from elsewhere it is reached with \
                          `exec:`, as in 'exec:ssh HOST wfp-conformance agent'";

impl FromStr for BackendName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(both) = text.strip_prefix("diff:") {
            // A command can have commas too: the first one behind which a backend is named is meant.
            let split = both.match_indices(',').find_map(|(at, _)| {
                let (first, second) = (both.get(..at)?.parse().ok()?, both.get(at + 1..)?.parse().ok()?);
                Some((first, second))
            });
            return match split {
                Some((Self::Diff(..), _) | (_, Self::Diff(..))) => {
                    Err(format!("`{text}` compares more than two: {EXPECTED}"))
                }
                Some((first, second)) => Ok(Self::Diff(Box::new(first), Box::new(second))),
                None => Err(format!("`{text}` does not name two backends: {EXPECTED}")),
            };
        }
        match text.split_once(':') {
            Some(("exec", command)) if !command.trim().is_empty() => Ok(Self::Exec(command.to_owned())),
            Some(("replay", file)) if !file.is_empty() => Ok(Self::Replay(file.into())),
            None if text == "sim" => Ok(Self::Sim),
            None if text == "windows" => Ok(Self::Windows),
            _ => Err(format!("`{text}` is no backend: {EXPECTED}")),
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim => f.write_str("sim"),
            Self::Windows => f.write_str("windows"),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Replay(file) => write!(f, "replay:{}", file.display()),
            Self::Diff(first, second) => write!(f, "diff:{first},{second}"),
        }
    }
}

impl BackendName {
    /// Whether this machine can have such a backend, with that driver if one is named.
    ///
    /// # Errors
    /// What is wrong with the names, before anything is started.
    pub fn check(&self, driver: Option<&str>) -> Result<(), String> {
        self.is_there()?;
        if driver.is_none() || self.has_windows() {
            return Ok(());
        }
        let what = format!("--driver is for the backend `windows`, and here it is `{self}`");
        Err(format!("{what}; with `exec:` it belongs inside the quotes: 'exec:… agent --driver COMMAND'"))
    }

    fn is_there(&self) -> Result<(), String> {
        match self {
            Self::Windows if cfg!(not(windows)) => Err(NO_WINDOWS.to_owned()),
            Self::Exec(command) => words(command).map(|_| ()).map_err(|what| format!("`{self}`: {what}")),
            Self::Diff(first, second) => first.is_there().and_then(|()| second.is_there()),
            Self::Sim | Self::Windows | Self::Replay(_) => Ok(()),
        }
    }

    /// Whether it is this Windows machine, or that is one of two.
    fn has_windows(&self) -> bool {
        match self {
            Self::Windows => true,
            Self::Diff(first, second) => first.has_windows() || second.has_windows(),
            Self::Sim | Self::Exec(_) | Self::Replay(_) => false,
        }
    }

    /// The recordings that it needs.
    ///
    /// # Errors
    /// Where a file is no whole recording.
    pub fn recordings(&self) -> Result<BTreeMap<PathBuf, Arc<Recording>>, Diagnostic> {
        match self {
            Self::Replay(file) => Ok(BTreeMap::from([(file.clone(), Arc::new(Recording::load(file)?))])),
            Self::Diff(first, second) => {
                let mut both = first.recordings()?;
                both.append(&mut second.recordings()?);
                Ok(both)
            }
            Self::Sim | Self::Windows | Self::Exec(_) => Ok(BTreeMap::new()),
        }
    }
}

/// The backend of that name.
///
/// # Errors
/// Where it is not there, or does not start.
pub fn make(name: &BackendName, how: &Making) -> Result<Box<dyn Backend>, BackendFault> {
    match name {
        BackendName::Sim => Ok(Box::new(SimBackend::new(how.profile.clone()))),
        BackendName::Windows => windows(how),
        BackendName::Exec(command) => Ok(Box::new(ExecBackend::start(command, how.limit)?)),
        BackendName::Replay(file) => match how.recordings.get(file) {
            Some(recording) => Ok(Box::new(Replay::new(Arc::clone(recording)))),
            None => Err(BackendFault::Broken(format!("{} was not read", file.display()))),
        },
        BackendName::Diff(first, second) => Ok(Box::new(Diff::new(make(first, how)?, make(second, how)?))),
    }
}

/// The backend of the machine that this runs on: `windows` there, elsewhere the model.
#[must_use]
pub fn of_this_machine() -> BackendName {
    if cfg!(windows) { BackendName::Windows } else { BackendName::Sim }
}

#[cfg(windows)]
fn windows(how: &Making) -> Result<Box<dyn Backend>, BackendFault> {
    Ok(Box::new(crate::WindowsBackend::new(how.driver.as_deref())?))
}

#[cfg(not(windows))]
fn windows(_how: &Making) -> Result<Box<dyn Backend>, BackendFault> {
    Err(BackendFault::Broken(NO_WINDOWS.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::model("sim")]
    #[case::command("exec:ssh host wfp-conformance agent")]
    #[case::file("replay:C:\\traces\\wine.trace")]
    #[case::two("diff:sim,replay:a,b.trace")]
    #[case::comma_in_a_command("diff:exec:run a,b,sim")]
    fn name_reads_as_it_is_written(#[case] text: &str) {
        assert_eq!(text.parse::<BackendName>().map(|name| name.to_string()), Ok(text.to_owned()));
    }

    #[test]
    fn two_are_told_apart_at_the_comma_before_a_backend() {
        let both: BackendName = "diff:exec:run a,b,sim".parse().unwrap();
        let first = BackendName::Exec("run a,b".to_owned());
        assert_eq!(both, BackendName::Diff(Box::new(first), Box::new(BackendName::Sim)));
    }

    #[rstest]
    #[case::nothing_to_install("sim", None, "")]
    #[case::command("exec:'run it' agent", None, "")]
    #[case::no_end("exec:'run it agent", None, "`exec:'run it agent`: a quotation mark is missing")]
    #[case::one_of_two("diff:sim,exec:\"x", None, "`exec:\"x`: a quotation mark is missing")]
    #[case::nothing_but_a_comment("exec:# x", None, "`exec:# x`: a command is missing")]
    #[case::driver_of_the_model(
        "sim",
        Some("d"),
        "--driver is for the backend `windows`, and here it is `sim`; "
    )]
    #[case::driver_elsewhere(
        "exec:x",
        Some("d"),
        "--driver is for the backend `windows`, and here it is `exec:x`; with `exec:` it belongs inside the quotes"
    )]
    fn backend_that_cannot_be_is_told_before_it_is_made(
        #[case] name: &str,
        #[case] driver: Option<&str>,
        #[case] start: &str,
    ) {
        let name: BackendName = name.parse().unwrap();
        match name.check(driver) {
            Ok(()) => assert_eq!(start, ""),
            Err(what) => assert!(!start.is_empty() && what.starts_with(start), "{what}"),
        }
    }

    #[test]
    fn windows_with_a_driver_is_there_on_windows_alone() {
        for name in ["windows", "diff:sim,windows"] {
            let name: BackendName = name.parse().unwrap();
            assert_eq!(name.check(Some("driver")).is_ok(), cfg!(windows));
        }
    }

    #[rstest]
    #[case::unknown("simulator", "`simulator` is no backend: ")]
    #[case::nothing("exec:", "`exec:` is no backend: ")]
    #[case::one("diff:sim", "`diff:sim` does not name two backends: ")]
    #[case::three("diff:sim,diff:sim,sim", "`diff:sim,diff:sim,sim` compares more than two: ")]
    fn what_is_no_backend_is_told(#[case] text: &str, #[case] start: &str) {
        let error = text.parse::<BackendName>().unwrap_err();
        assert_eq!(error, format!("{start}{EXPECTED}"));
    }
}
