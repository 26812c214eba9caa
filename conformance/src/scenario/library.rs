//! Where scenario files come from: folders, or the suite that is built in.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::yaml::{Diagnostic, Source};

/// A place that files are read from.
pub(super) enum Library {
    /// The file system.
    Disk,
    /// Texts by their paths.
    Texts(BTreeMap<PathBuf, String>),
}

impl Library {
    /// The suite that is built in, below a folder that is named as the one it was taken from.
    pub(super) fn built_in() -> Self {
        let texts = wfp_scenarios::FILES;
        Self::Texts(
            texts
                .iter()
                .map(|(path, text)| (Path::new("scenarios").join(path), (*text).to_owned()))
                .collect(),
        )
    }

    pub(super) fn read(&self, path: &Path) -> Result<Arc<Source>, Diagnostic> {
        match self {
            Self::Disk => Source::read(path),
            Self::Texts(texts) => match texts.get(path) {
                Some(text) => Ok(Source::new(slashed(path), text.as_str())),
                None => Err(Diagnostic::new(format!("{}: there is no such file", slashed(path)))),
            },
        }
    }

    /// The part of a case's name that its file gives, wherever the command is called from.
    pub(super) fn case_path(&self, file: &Path, argument: &Path) -> String {
        case_path(&self.whole(file), &self.whole(argument))
    }

    /// The path from the root on, by which a file is known however it was named.
    pub(super) fn whole(&self, path: &Path) -> PathBuf {
        match self {
            Self::Disk => plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            Self::Texts(_) => path.to_owned(),
        }
    }

    /// The scenario files that an argument stands for: a file is itself, a folder all YAML below it, by name.
    pub(super) fn files(&self, argument: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
        let mut files = Vec::new();
        match self {
            Self::Texts(texts) => {
                files.extend(texts.keys().filter(|path| path.starts_with(argument)).cloned());
            }
            Self::Disk if argument.is_dir() => walk(argument, &mut files, &mut Vec::new())?,
            Self::Disk => files.push(argument.to_owned()),
        }
        if files.is_empty() {
            return Err(Diagnostic::new(format!("{}: no YAML file is in this folder", slashed(argument))));
        }
        Ok(files)
    }
}

/// `above` are the folders that this one is in, in their one true form: a link may lead back to one of them.
fn walk(folder: &Path, files: &mut Vec<PathBuf>, above: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let failed = |error: std::io::Error| Diagnostic::new(format!("{}: {error}", slashed(folder)));
    let own = folder.canonicalize().map_err(failed)?;
    if above.contains(&own) {
        return Ok(());
    }
    above.push(own);
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for path in entries {
        // Editors keep files of their own beside the one that they edit.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, files, above)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// A path as reports write it: with `/` on every OS.
pub(super) fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// `path` without `.` and `..` in the middle, so that a file has one name only.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    if plain.as_os_str().is_empty() {
        plain.push(Component::CurDir);
    }
    plain
}

/// The part of a case's name that its file gives: the path below the nearest folder named `scenarios`, else below
/// the argument, without its extension.
fn case_path(file: &Path, argument: &Path) -> String {
    let stem = file.with_extension("");
    let parts: Vec<String> = stem
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if let Some(at) = parts.iter().rposition(|part| part == "scenarios").filter(|at| at + 1 < parts.len()) {
        return parts[at + 1..].join("/");
    }
    match stem.strip_prefix(argument) {
        Ok(below) if file != argument => slashed(below),
        _ => parts.last().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_named_by_its_path_below_the_nearest_scenarios_folder() {
        let name = |file: &str, argument: &str| case_path(Path::new(file), Path::new(argument));
        assert_eq!(name("/x/scenarios/y/scenarios/loops/two.yaml", "/x"), "loops/two");
        assert_eq!(name("scenarios/chain.yaml", "scenarios/chain.yaml"), "chain");
        assert_eq!(name("/mine/a/b.yaml", "/mine"), "a/b");
        assert_eq!(name("/mine/a/b.yaml", "/mine/a/b.yaml"), "b");
        assert_eq!(name("scenarios.yaml", "scenarios.yaml"), "scenarios");
    }

    #[test]
    fn path_is_written_one_way_only() {
        assert_eq!(plain(Path::new("a/./b/../c.yaml")), Path::new("a/c.yaml"));
        assert_eq!(plain(Path::new("../a.yaml")), Path::new("../a.yaml"));
    }
}
