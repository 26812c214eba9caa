//! Profiles by name or from a file.

use std::path::Path;

use wfp_sim::Profile;
use wfp_sim::profile::{FIELDS, Field};

use crate::requirements::Catalogue;
use crate::yaml::{Diagnostic, Entry, Kind, Node, Source, nearest, parse};

/// The version of a profile file's format.
pub const SCHEMA: &str = "wfp-conformance/profile/v1";

/// The profile that a command line names: built in, or in a file.
///
/// A file names its `schema`, the built-in profile that it starts from (`base`, by default `documented`), and the
/// `fields` that differ. One that was measured also says on what (`measured-on`), by what each field was found
/// (`evidence`), and which requirements that decides (`requirements`).
///
/// # Errors
/// Where there is neither, or the file is wrong.
pub fn load(name: &str) -> Result<Profile, Diagnostic> {
    if let Some(profile) = Profile::built_in(name) {
        return Ok(profile);
    }
    let path = Path::new(name);
    if !path.exists() {
        let error = Diagnostic::new(format!("`{name}` is neither a built-in profile nor a file"));
        return Err(error.with_help(format!("built in are {}", Profile::BUILT_IN.join(", "))));
    }
    read(&parse(&Source::read(path)?)?)
}

fn read(root: &Node) -> Result<Profile, Diagnostic> {
    let keys = ["schema", "base", "measured-on", "fields", "evidence", "requirements"];
    if !matches!(root.kind, Kind::Mapping(_)) {
        return Err(Diagnostic::at(&root.span, format!("a profile is a map of {}", keys.join(", "))));
    }
    for entry in root.entries() {
        if !keys.contains(&&*entry.key) {
            let error = Diagnostic::at(&entry.key_span, format!("unknown key `{}`", entry.key));
            return Err(error.with_help(format!("a profile has {}", keys.join(", "))));
        }
    }
    match root.get("schema") {
        Some(version) if version.as_str() == Some(SCHEMA) => {}
        other => {
            let span = other.map_or(&root.span, |node| &node.span);
            return Err(Diagnostic::at(span, format!("a profile starts with `schema: {SCHEMA}`")));
        }
    }
    let mut profile = match root.get("base") {
        None => Profile::default(),
        Some(base) => base.as_str().and_then(Profile::built_in).ok_or_else(|| {
            let error = Diagnostic::at(&base.span, "this is no built-in profile");
            error.with_help(format!("built in are {}", Profile::BUILT_IN.join(", ")))
        })?,
    };
    for entry in texts(root, "fields")? {
        let field = field_of(entry)?;
        let value = entry.value.as_str().unwrap_or_default();
        field
            .set(&mut profile, value)
            .map_err(|error| Diagnostic::at(&entry.value.span, error.to_string()))?;
    }
    for entry in texts(root, "measured-on")? {
        let keys = ["name", "version", "os"];
        if !keys.contains(&&*entry.key) {
            let error = Diagnostic::at(&entry.key_span, format!("unknown key `{}`", entry.key));
            return Err(error.with_help(format!("a machine has {}", keys.join(", "))));
        }
    }
    for entry in texts(root, "evidence")? {
        field_of(entry)?;
    }
    for entry in texts(root, "requirements")? {
        if Catalogue::built_in().get(&entry.key).is_none() {
            let error = Diagnostic::at(&entry.key_span, format!("there is no requirement `{}`", entry.key));
            return Err(error.with_help("`wfp-conformance explain requirements` lists them"));
        }
    }
    Ok(profile)
}

fn field_of(entry: &Entry) -> Result<&'static Field, Diagnostic> {
    Field::by_name(&entry.key).ok_or_else(|| {
        let error = Diagnostic::at(&entry.key_span, format!("there is no profile field `{}`", entry.key));
        match nearest(&entry.key, FIELDS.iter().map(|field| field.name)) {
            Some(near) => error.with_label(format!("did you mean `{near}`?")),
            None => error.with_help("`wfp-conformance explain profile` lists them"),
        }
    })
}

/// The entries of a map of texts.
fn texts<'a>(root: &'a Node, key: &str) -> Result<&'a [Entry], Diagnostic> {
    let Some(map) = root.get(key) else { return Ok(&[]) };
    if !matches!(map.kind, Kind::Mapping(_)) {
        return Err(Diagnostic::at(&map.span, format!("`{key}` is a map of texts")));
    }
    match map.entries().iter().find(|entry| entry.value.as_str().is_none()) {
        Some(entry) => Err(Diagnostic::at(&entry.value.span, "a text is expected here")),
        None => Ok(map.entries()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Result<Profile, Diagnostic> {
        read(&parse(&Source::new("p.yaml", text)).unwrap())
    }

    #[test]
    fn file_says_what_differs_from_its_base() {
        let text = "schema: wfp-conformance/profile/v1\nbase: nt-mapped\nfields:\n  set-twice: append\n  context-limit: 999\n";
        let profile = from(text).unwrap();
        let mut expected = Profile::nt_mapped();
        Field::by_name("set-twice").unwrap().set(&mut expected, "append").unwrap();
        expected.context_limit = 999;
        assert_eq!(profile, expected);
    }

    #[test]
    fn unknown_field_and_unknown_value_are_errors_at_their_place() {
        let head = "schema: wfp-conformance/profile/v1\nfields:\n";
        let field = from(&format!("{head}  set-twize: append\n")).unwrap_err();
        assert_eq!(field.to_string(), "p.yaml:3:3: there is no profile field `set-twize`");
        let value = from(&format!("{head}  set-twice: often\n")).unwrap_err();
        assert_eq!(
            value.to_string(),
            "p.yaml:3:14: `often` is no value of the profile field `set-twice`; known are `replace`, `append`"
        );
    }
}
