//! What cases start from: the files and the vendors that a file uses, each laid over those before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{FILE_KEYS, GROUND_KEYS, SCHEMA};
use super::library::{Library, plain, slashed};
use crate::vendors::Vendor;
use crate::yaml::{Diagnostic, Entry, Kind, Node, Source, merge, nearest, parse};

/// The key that names what is used: in a file, in a case, in a variant.
pub(super) const USE: &str = "use";

/// The maps that a file takes from what it uses.
const SHARED: [&str; 5] = ["hosts", "processes", "callouts", "filters", "services"];

/// How far files may use each other. Reading them relies on it not to run out of stack.
const MAX_USES: usize = 32;

/// Files and vendors, and what those that were used share.
pub(super) struct Grounds {
    pub(super) library: Library,
    /// What was used, by its path; a vendor's is its name as files write it.
    shared: BTreeMap<PathBuf, Node>,
}

impl Grounds {
    pub(super) fn new(library: Library) -> Self {
        Self { library, shared: BTreeMap::new() }
    }

    /// The files that were used.
    pub(super) fn into_files(self) -> impl Iterator<Item = PathBuf> {
        self.shared.into_keys().filter(|path| Vendor::named_by(&slashed(path)).is_none())
    }

    /// A file's tree, with the keys that a file has and no others.
    pub(super) fn read(&self, file: &Path) -> Result<Node, Diagnostic> {
        let source = match Vendor::named_by(&slashed(file)) {
            Some(name) => vendor(name)?,
            None => self.library.read(file)?,
        };
        let root = parse(&source)?;
        if !matches!(root.kind, Kind::Mapping(_)) {
            return Err(Diagnostic::at(&root.span, "a scenario file is a map with `schema` and `cases`"));
        }
        refuse_other_keys(&root, "a file", &FILE_KEYS)?;
        let help = format!("the first line of a scenario file is `schema: {SCHEMA}`");
        match root.get("schema") {
            Some(version) if version.as_str() == Some(SCHEMA) => {}
            Some(version) => {
                let message = "this version of the format is not known here";
                return Err(Diagnostic::at(&version.span, message).with_help(help));
            }
            None => return Err(Diagnostic::at(&root.span, "the key `schema` is missing").with_help(help)),
        }
        if let Some(cases) = root.get("cases")
            && !matches!(cases.kind, Kind::Sequence(_))
        {
            return Err(Diagnostic::at(&cases.span, "`cases` is a list"));
        }
        Ok(root)
    }

    /// The maps of everything that `node`, a part of `file`, uses.
    pub(super) fn used(&mut self, node: &Node, file: &Path) -> Result<Node, Diagnostic> {
        self.used_by(node, file, &mut vec![plain(file)])
    }

    /// `stack` are the files that use each other up to this one.
    fn used_by(&mut self, node: &Node, file: &Path, stack: &mut Vec<PathBuf>) -> Result<Node, Diagnostic> {
        let mut shared = Node { kind: Kind::Mapping([].into()), span: node.span.clone() };
        let Some(uses) = node.get(USE) else { return Ok(shared) };
        let Kind::Sequence(uses) = &uses.kind else {
            return Err(Diagnostic::at(&uses.span, "`use` is a list"));
        };
        for used in uses.iter() {
            let Some(name) = used.as_str() else {
                return Err(Diagnostic::at(
                    &used.span,
                    "`use` names files, relative to this one, and vendors",
                ));
            };
            let path = match Vendor::named_by(name) {
                Some(_) => PathBuf::from(name),
                None => plain(&file.parent().unwrap_or(Path::new("")).join(name)),
            };
            if stack.contains(&path) {
                let way: Vec<String> = stack.iter().chain([&path]).map(|path| slashed(path)).collect();
                let message = format!("`{name}` uses this file in turn");
                return Err(Diagnostic::at(&used.span, message).with_help(way.join(" uses ")));
            }
            if stack.len() == MAX_USES {
                let message = format!("files use each other over more than {MAX_USES} steps");
                return Err(Diagnostic::at(&used.span, message));
            }
            let ground = if let Some(ground) = self.shared.get(&path) {
                ground.clone()
            } else {
                let other = self.read(&path).map_err(|error| error.or_at(&used.span))?;
                stack.push(path.clone());
                let below = self.used_by(&other, &path, stack)?;
                stack.pop();
                let ground = merge(&below, &only(&own_ground(&other)?, &SHARED))?;
                self.shared.insert(path, ground.clone());
                ground
            };
            shared = merge(&shared, &ground)?;
        }
        Ok(shared)
    }
}

/// What a file says itself of the ground of its cases, and what it uses.
pub(super) fn own_ground(root: &Node) -> Result<Node, Diagnostic> {
    for key in SHARED {
        if let Some(node) = root.get(key)
            && !matches!(node.kind, Kind::Mapping(_) | Kind::Null)
        {
            let message = format!("`{key}` is a map, from names to what they are");
            return Err(Diagnostic::at(&node.span, message));
        }
    }
    let mut keys = GROUND_KEYS.to_vec();
    keys.push(USE);
    Ok(only(root, &keys))
}

/// A mapping with these keys only, where they have a value.
fn only(node: &Node, keys: &[&str]) -> Node {
    let wanted = |entry: &&Entry| keys.contains(&&*entry.key) && !matches!(entry.value.kind, Kind::Null);
    let entries = node.entries().iter().filter(wanted).cloned().collect();
    Node { kind: Kind::Mapping(entries), span: node.span.clone() }
}

fn vendor(name: &str) -> Result<Arc<Source>, Diagnostic> {
    if let Some(vendor) = Vendor::by_name(name) {
        return Ok(vendor.source_text());
    }
    let error = Diagnostic::new(format!("there is no vendor `{name}`"));
    let error = match nearest(name, Vendor::all().iter().map(|vendor| vendor.name)) {
        Some(near) => error.with_label(format!("did you mean `{near}`?")),
        None => error,
    };
    Err(error.with_help("`wfp-conformance vendors` lists them"))
}

/// Refuses a key that is neither one of these nor one of the ground; `what` has them.
pub(super) fn refuse_other_keys(node: &Node, what: &str, keys: &[&str]) -> Result<(), Diagnostic> {
    let known = || keys.iter().chain(&GROUND_KEYS).copied();
    let Some(entry) = node.entries().iter().find(|entry| !known().any(|key| key == &*entry.key)) else {
        return Ok(());
    };
    let error = Diagnostic::at(&entry.key_span, format!("unknown key `{}`", entry.key));
    let error = match nearest(&entry.key, known()) {
        Some(near) => error.with_label(format!("did you mean `{near}`?")),
        None => error,
    };
    Err(error.with_help(format!("{what} has {}", known().collect::<Vec<_>>().join(", "))))
}

#[cfg(test)]
mod tests {
    use wfp_sim::Profile;

    use crate::scenario::{LoadedCase, Suite};

    fn load(rest: &str) -> Vec<LoadedCase> {
        let text = format!("schema: wfp-conformance/scenario/v1\nprocesses: {{app: {{}}}}\n{rest}");
        Suite::from_text("mine.yaml", &text, &Profile::documented()).unwrap().cases
    }

    const STEPS: &str = "steps: [{process: app, op: {socket: {}}}]";

    #[test]
    fn what_is_used_lies_under_what_file_case_and_variant_say() {
        let cases = load(&format!(
            "use: ['vendor:wfp-sampler']\n\
             callouts: {{wfp-sampler: {{weight: 1}}}}\n\
             cases:\n\
             - id: plain\n  {STEPS}\n\
             - id: own\n  callouts: {{wfp-sampler: {{sublayer: 2}}}}\n  \
             variants: {{by: {{variant: {{callouts: {{wfp-sampler: {{weight: 3}}}}}}}}}}\n  {STEPS}\n"
        ));
        let said: Vec<_> = cases
            .iter()
            .map(|case| {
                let callout = &case.case.callouts["wfp-sampler"];
                (case.name.as_str(), callout.sublayer, callout.weight, callout.heeds_earlier_redirect)
            })
            .collect();
        assert_eq!(said, [("mine#own@variant", 2, 3, false), ("mine#plain", 0x8000, 1, false)]);
    }

    #[test]
    fn case_and_variant_use_more_than_the_file_does_in_the_order_of_their_names() {
        let cases = load(&format!(
            "use: ['vendor:wfp-sampler']\n\
             callouts: {{mine: {{redirect-to: cooperative-proxy}}}}\n\
             cases:\n\
             - id: x\n  use: ['vendor:cooperative']\n  \
             variants: {{by: {{ebpf: {{use: ['vendor:ebpf-for-windows']}}, nobody: }}}}\n  {STEPS}\n"
        ));
        let names: Vec<Vec<&str>> =
            cases.iter().map(|case| case.case.callouts.keys().map(|name| &**name).collect()).collect();
        let both = ["wfp-sampler", "cooperative"];
        assert_eq!(names[0], [&both[..], &["ebpf", "mine"]].concat());
        assert_eq!(names[1], [&both[..], &["mine"]].concat());
    }

    #[test]
    fn what_is_used_twice_is_there_once() {
        let cases = load(&format!(
            "use: ['vendor:cooperative']\ncases: [{{id: x, use: ['vendor:cooperative'], {STEPS}}}]\n"
        ));
        assert_eq!(cases[0].case.callouts.len(), 1);
    }
}
