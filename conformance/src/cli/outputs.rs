//! The files that a command writes: none may take the place of another, or of what the command reads.

use std::fmt;
use std::path::{Path, PathBuf};

use wfp_sim::Profile;

use super::{Exit, Stop};
use crate::backends::BackendName;
use crate::scenario::Suite;

/// A file of a command, with what its user calls it.
pub(super) struct Named<'a> {
    what: &'static str,
    file: &'a Path,
}

impl<'a> Named<'a> {
    /// The file behind an option, or of a kind such as `the scenario file`.
    pub(super) fn new(what: &'static str, file: &'a Path) -> Self {
        Self { what, file }
    }

    /// The files of the cases, and of a profile that is none of those built in.
    pub(super) fn read(suite: &'a Suite, profile: &'a str) -> Vec<Self> {
        let mut files: Vec<Self> =
            suite.files.iter().map(|file| Self::new("the scenario file", file)).collect();
        files.extend(Self::profile(profile));
        files
    }

    /// The file of a profile, unless it is built in.
    pub(super) fn profile(name: &'a str) -> Option<Self> {
        Profile::built_in(name).is_none().then(|| Self::new("--profile", Path::new(name)))
    }

    /// The recordings that a backend plays.
    pub(super) fn played(backend: &'a BackendName) -> Vec<Self> {
        match backend {
            BackendName::Replay(file) => vec![Self::new("the recording", file)],
            BackendName::Diff(first, second) => {
                let mut both = Self::played(first);
                both.append(&mut Self::played(second));
                both
            }
            BackendName::Sim | BackendName::Windows | BackendName::Exec(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.file.display())
    }
}

/// Refuses an output that is the file of another one, or of an input. Any number may go to a device or a pipe.
pub(super) fn check(outputs: &[Named<'_>], inputs: &[Named<'_>]) -> Result<(), Stop> {
    let inputs: Vec<(PathBuf, &Named<'_>)> = inputs.iter().map(|input| (whole(input.file), input)).collect();
    let mut taken: Vec<(PathBuf, &Named<'_>)> = Vec::new();
    for output in outputs.iter().filter(|output| !is_no_regular_file(output.file)) {
        let path = whole(output.file);
        if let Some((_, other)) = inputs.iter().chain(&taken).find(|(there, _)| *there == path) {
            let message = format!("{output} is the same file as {other}; an output needs a file of its own");
            return Err(Stop::Because(Exit::Usage, message));
        }
        taken.push((path, output));
    }
    Ok(())
}

/// Whether there is something that is written to as it is: a device, for instance.
pub(super) fn is_no_regular_file(file: &Path) -> bool {
    file.metadata().is_ok_and(|there| !there.is_file())
}

/// Whether two paths lead to one file, which need not be there yet.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    whole(one) == whole(other)
}

/// The path of a file as the file system has it, as far as it is there.
fn whole(file: &Path) -> PathBuf {
    if let Ok(whole) = file.canonicalize() {
        return whole;
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}
