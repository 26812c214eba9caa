//! The command line.

mod agent;
mod args;
mod explain;
mod github;
mod init;
mod outputs;
mod probe;
mod report_file;
mod reports;
mod requirements;
mod run;
mod sweep;
mod vendors;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser as _};

use self::args::{Args, Command};
use crate::printable::printable;
use crate::scenario::{self, Suite};
use crate::yaml::Diagnostic;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything was as expected.
    Success = 0,
    /// A case failed.
    Failed = 1,
    /// Bad usage, or invalid input: nothing was run.
    Usage = 2,
    /// The backend broke.
    Fault = 3,
    /// An output could not be written.
    Output = 5,
}

/// Why a command ends early.
enum Stop {
    /// Invalid input.
    Invalid(Vec<Diagnostic>),
    /// Something else, said in a line.
    Because(Exit, String),
    /// Nobody reads the output any more.
    Unread,
}

impl From<Vec<Diagnostic>> for Stop {
    fn from(errors: Vec<Diagnostic>) -> Self {
        Self::Invalid(errors)
    }
}

impl From<Diagnostic> for Stop {
    fn from(error: Diagnostic) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::Because(Exit::Output, format!("the output could not be written: {error}"))
        }
    }
}

/// Does what the command line says, and tells how the program is to end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            // There is nobody to tell where even this cannot be printed.
            let _ = error.print();
            return exit;
        }
    };
    match dispatch(args.command) {
        Ok(exit) => exit,
        Err(stop) => tell(stop),
    }
}

fn dispatch(command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Run(run) => run::run(&run),
        Command::Sweep(sweep) => sweep::sweep(&sweep),
        Command::Agent(agent) => agent::agent(&agent),
        #[cfg(windows)]
        Command::Process => Ok(if crate::windows::serve() { Exit::Success } else { Exit::Fault }),
        Command::List(list) => {
            let suite = load(&list.paths, &list.profile)?;
            let mut out = stdout();
            for case in &suite.cases {
                let features: Vec<&str> = case.features.iter().map(|feature| feature.name()).collect();
                let requirements = case.case.requirements.join(", ");
                write!(out, "{}  [{}]  {}", printable(&case.name), features.join(", "), requirements)?;
                for (id, role) in &case.case.regressions {
                    write!(out, "  {id}: {role}")?;
                }
                writeln!(out)?;
            }
            Ok(Exit::Success)
        }
        Command::Check(check) => {
            let suite = load(&check.paths, &check.profile)?;
            let count = suite.cases.len();
            writeln!(stdout(), "{count} {}, nothing wrong", if count == 1 { "case" } else { "cases" })?;
            Ok(Exit::Success)
        }
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&scenario::schema()).unwrap_or_default();
            writeln!(stdout(), "{schema}")?;
            Ok(Exit::Success)
        }
        Command::Requirements(asked) => {
            let suite = load(&asked.inputs.paths, &asked.inputs.profile)?;
            requirements::requirements(&suite, asked.uncovered, &mut stdout())
        }
        Command::Probe(asked) => probe::probe(&asked),
        Command::Explain { name } => explain::explain(&name, &mut stdout()),
        Command::Vendors { name } => vendors::vendors(name.as_deref(), &mut stdout()),
        Command::Init { dir } => init::init(&dir, &mut stdout()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "wfp-conformance", &mut script);
            stdout().write_all(&script)?;
            Ok(Exit::Success)
        }
    }
}

fn stdout() -> impl io::Write {
    anstream::stdout()
}

/// The cases of these paths; without any, those of the folder `scenarios`, else of the suite that is built in.
fn load(paths: &[PathBuf], profile: &str) -> Result<Suite, Stop> {
    let profile = crate::profile_file::load(profile)?;
    let folder = PathBuf::from("scenarios");
    if !paths.is_empty() {
        Ok(Suite::load(paths, &profile)?)
    } else if folder.is_dir() {
        Ok(Suite::load(&[folder], &profile)?)
    } else {
        Ok(Suite::built_in(&profile)?)
    }
}

/// Errors shown in full before the rest is only counted.
const SHOWN_ERRORS: usize = 20;

fn tell(stop: Stop) -> Exit {
    let mut out = anstream::stderr();
    // There is nobody to tell where stderr is closed.
    let mut say = |text: &str| {
        let _ = writeln!(out, "{text}");
    };
    match stop {
        Stop::Unread => Exit::Success,
        Stop::Because(exit, message) => {
            say(&format!("error: {}", printable(&message)));
            exit
        }
        Stop::Invalid(errors) => {
            for error in errors.iter().take(SHOWN_ERRORS) {
                say(&error.render(true));
            }
            if errors.len() > SHOWN_ERRORS {
                say(&format!("and {} more", errors.len() - SHOWN_ERRORS));
            }
            Exit::Usage
        }
    }
}
