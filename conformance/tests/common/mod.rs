//! A folder to call the command line in, as somebody at a shell does.

#![allow(dead_code, reason = "each suite uses what it needs")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A new folder with files in it.
pub(crate) struct Folder(TempDir);

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with one scenario file.
    pub(crate) fn with(file: &str, text: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write(file, text);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// Every file, with what is in it. Folders end with `/`.
    pub(crate) fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut content = BTreeMap::new();
        let mut folders: Vec<PathBuf> = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().to_string_lossy().replace('\\', "/");
                if path.is_dir() {
                    content.insert(name + "/", Vec::new());
                    folders.push(path);
                } else {
                    content.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        content
    }

    /// The command line in this folder, with nothing of the caller's terminal or CI.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wfp-conformance"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for name in ["CLICOLOR_FORCE", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Called {
        let output = self.command(args).output().unwrap();
        Called {
            exit: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
