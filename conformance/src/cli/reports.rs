//! `--report` of `run`: which form goes to which file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::outputs::{self, Named};
use super::report_file::write_whole;
use crate::run::{HtmlPage, MARKDOWN_LIMIT};
use crate::yaml::nearest;

/// A report that is asked for.
#[derive(Clone, Debug)]
pub(super) struct ReportTo {
    form: Form,
    file: PathBuf,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Junit,
    Markdown,
    Html,
}

impl Form {
    const ALL: [(&str, Self); 4] =
        [("json", Self::Json), ("junit", Self::Junit), ("markdown", Self::Markdown), ("html", Self::Html)];
}

impl FromStr for ReportTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Form::ALL.map(|(name, _)| name);
        let all = format!("{} or {}", names[..names.len() - 1].join(", "), names[names.len() - 1]);
        let (name, file) = match text.split_once('=') {
            Some((name, file)) if !file.is_empty() => (name, file),
            _ => return Err(format!("a report is written as FORMAT=FILE; FORMAT is {all}")),
        };
        match Form::ALL.into_iter().find(|(known, _)| *known == name) {
            Some((_, form)) => Ok(Self { form, file: file.into() }),
            None => Err(match nearest(name, names) {
                Some(near) => format!("there is no report `{name}`, only {all}; did you mean `{near}`?"),
                None => format!("there is no report `{name}`, only {all}"),
            }),
        }
    }
}

/// Whether one of them shows the calls of each case.
pub(super) fn shows_calls(asked: &[ReportTo]) -> bool {
    asked.iter().any(|to| to.form == Form::Html)
}

/// The files that they go to.
pub(super) fn files(asked: &[ReportTo]) -> impl Iterator<Item = Named<'_>> {
    asked.iter().map(|to| Named::new("--report", &to.file))
}

/// Writes each report that is asked for, and says which could not be written, and why. None of them keeps another from
/// its file.
pub(super) fn write(page: &HtmlPage<'_>, asked: &[ReportTo]) -> Vec<String> {
    asked.iter().filter_map(|to| write_whole(&to.file, render(page, to)).err()).collect()
}

fn render(page: &HtmlPage<'_>, to: &ReportTo) -> Result<String, String> {
    let report = page.report;
    match to.form {
        Form::Html => page.render().map_err(|error| error.to_string()),
        Form::Json => report.to_json().map_err(|error| error.to_string()),
        Form::Junit => report.to_junit().map_err(|error| error.to_string()),
        Form::Markdown => {
            let before = if is_step_summary(&to.file) { said_before(&to.file)? } else { String::new() };
            let room = MARKDOWN_LIMIT.saturating_sub(before.len());
            Ok(before + &report.to_markdown(room))
        }
    }
}

/// Whether this is the file that GitHub shows as the summary of a step. Commands add to it, and none replaces what
/// another has said.
fn is_step_summary(file: &Path) -> bool {
    std::env::var_os("GITHUB_STEP_SUMMARY").is_some_and(|summary| outputs::is_same(Path::new(&summary), file))
}

fn said_before(file: &Path) -> Result<String, String> {
    match std::fs::read(file) {
        Ok(bytes) => {
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            if !text.is_empty() {
                text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
            }
            Ok(text)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("it could not be read: {error}")),
    }
}
