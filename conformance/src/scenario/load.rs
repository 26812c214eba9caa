//! From files to cases: ground, variants, types, checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wfp_sim::Profile;

use super::check;
use super::features;
use super::format::{CASE_KEYS, Case};
use super::ground::{Grounds, USE, own_ground, refuse_other_keys};
use super::library::{Library, slashed};
use crate::clients;
use crate::requirements::Catalogue;
use crate::vocabulary::Features;
use crate::yaml::{Diagnostic, Entry, Kind, Node, Span, from_node, merge};

/// A case that can be run.
#[derive(Clone, Debug)]
pub struct LoadedCase {
    /// `PATH#ID`, with `@VARIANT` behind it where the file has variants.
    pub name: String,
    /// The file that it stands in, as it was named.
    pub file: String,
    /// The line of its `id`.
    pub line: usize,
    /// The variants that it is made of, one of each axis, in the order of the axes.
    pub variants: Vec<Variant>,
    /// What it says.
    pub case: Case,
    /// What it needs of a backend.
    pub features: Features,
    /// The tree that it was read from, for places in messages.
    pub(crate) tree: Node,
}

impl LoadedCase {
    /// Whether every machine should take it.
    #[must_use]
    pub fn is_core(&self) -> bool {
        self.features.iter().all(|feature| feature.is_core())
    }
}

/// A variant of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// Its axis.
    pub axis: Arc<str>,
    /// Which of the axis's variants it is, from 0.
    pub place: usize,
    /// Its name.
    pub name: Arc<str>,
}

/// Cases, by name.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// The cases, sorted by name.
    pub cases: Vec<LoadedCase>,
    /// The files on disk that were read for them, those that others use included.
    pub files: Vec<PathBuf>,
    /// Whether cases that every machine should take were left out of it.
    pub is_cut: bool,
}

impl Suite {
    /// Reads files and folders. Nothing is returned unless all of it is right.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load(paths: &[PathBuf], profile: &Profile) -> Result<Self, Vec<Diagnostic>> {
        Loader::new(Library::Disk, profile).load(paths)
    }

    /// The suite that is built in.
    ///
    /// # Errors
    /// None, unless the suite is wrong for this profile: a context over its limit, for instance.
    pub fn built_in(profile: &Profile) -> Result<Self, Vec<Diagnostic>> {
        Loader::new(Library::built_in(), profile).load(&[PathBuf::from("scenarios")])
    }

    /// Reads one text, under the name of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_text(name: &str, text: &str, profile: &Profile) -> Result<Self, Vec<Diagnostic>> {
        let path = PathBuf::from(name);
        let library = Library::Texts(BTreeMap::from([(path.clone(), text.to_owned())]));
        Loader::new(library, profile).load(&[path])
    }

    /// Leaves out all cases but those whose name contains one of these texts.
    pub fn filter(&mut self, texts: &[String]) {
        let (kept, left): (Vec<LoadedCase>, Vec<LoadedCase>) = std::mem::take(&mut self.cases)
            .into_iter()
            .partition(|case| texts.iter().any(|text| case.name.contains(text.as_str())));
        self.is_cut |= left.iter().any(LoadedCase::is_core);
        self.cases = kept;
    }

    /// The cases that cover each requirement, as indexes into `cases`; those without a case are not in it.
    #[must_use]
    pub fn by_requirement(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut covering: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, case) in self.cases.iter().enumerate() {
            for id in &case.case.requirements {
                covering.entry(id).or_default().push(index);
            }
        }
        covering
    }
}

/// How many combinations of variants a case may have, and how many cases a file: far above anything that somebody
/// wants to run, far below what small files could ask for.
const MAX_COMBINATIONS: usize = 1000;
const MAX_CASES: usize = 10_000;

struct Loader<'a> {
    grounds: Grounds,
    profile: &'a Profile,
    catalogue: &'static Catalogue,
    errors: Vec<Diagnostic>,
    /// The places and messages of the errors.
    reported: BTreeSet<(String, usize, String)>,
    cases: Vec<LoadedCase>,
    /// Where each name was given.
    names: BTreeMap<String, Span>,
}

impl<'a> Loader<'a> {
    fn new(library: Library, profile: &'a Profile) -> Self {
        Self {
            grounds: Grounds::new(library),
            profile,
            catalogue: Catalogue::built_in(),
            errors: Vec::new(),
            reported: BTreeSet::new(),
            cases: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    fn load(mut self, paths: &[PathBuf]) -> Result<Suite, Vec<Diagnostic>> {
        let mut read: BTreeMap<PathBuf, &Path> = BTreeMap::new();
        let mut all = Vec::new();
        for argument in paths {
            let files = match self.grounds.library.files(argument) {
                Ok(files) => files,
                Err(error) => {
                    self.report(error);
                    continue;
                }
            };
            for file in files {
                if let Some(first) = read.insert(self.grounds.library.whole(&file), argument) {
                    self.report(twice(&file, first, argument));
                    break;
                }
                if let Err(error) = self.load_file(&file, argument) {
                    self.report(error);
                }
                all.push(file);
            }
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        self.cases.sort_by(|a, b| a.name.cmp(&b.name));
        let files = match self.grounds.library {
            Library::Disk => all.into_iter().chain(self.grounds.into_files()).collect(),
            Library::Texts(_) => Vec::new(),
        };
        Ok(Suite { cases: self.cases, files, is_cut: false })
    }

    /// What is wrong with shared ground is wrong in every case; once is enough.
    fn report(&mut self, error: Diagnostic) {
        let place =
            error.span.as_ref().map_or_else(Default::default, |span| (span.source.name.clone(), span.start));
        if self.reported.insert((place.0, place.1, error.message.clone())) {
            self.errors.push(error);
        }
    }

    fn load_file(&mut self, file: &Path, argument: &Path) -> Result<(), Diagnostic> {
        let root = self.grounds.read(file)?;
        let ground = own_ground(&root)?;
        // What is wrong with what all cases use is wrong with the file, which may have no cases.
        self.grounds.used(&ground, file)?;
        let path = self.grounds.library.case_path(file, argument);
        let before = self.cases.len();
        for case in root.get("cases").map(Node::items).unwrap_or_default() {
            if self.cases.len() - before > MAX_CASES {
                let message =
                    format!("this file has more than {MAX_CASES} cases, counted with their variants");
                return Err(Diagnostic::at(&case.span, message).with_help("spread them over several files"));
            }
            if let Err(error) = self.load_case(&ground, case, file, &path) {
                self.report(error);
            }
        }
        Ok(())
    }

    fn load_case(&mut self, ground: &Node, case: &Node, file: &Path, path: &str) -> Result<(), Diagnostic> {
        refuse_other_keys(case, "a case", &CASE_KEYS)?;
        let id = case_id(case)?;
        let variants = case.get("variants").or_else(|| ground.get("variants")).cloned();
        let line = id.1.line();
        let whole = merge(&without(ground, "variants"), &without(case, "variants"))?;
        for (variants, tree) in combinations(&whole, variants.as_ref())? {
            let used = self.grounds.used(&tree, file)?;
            // Errors of the ground point into the ground, and those of a case without a place to the case.
            let tree = Node { span: case.span.clone(), ..merge(&used, &without(&tree, USE))? };
            let names: Vec<&str> = variants.iter().map(|variant| &*variant.name).collect();
            let name = if names.is_empty() {
                format!("{path}#{}", id.0)
            } else {
                format!("{path}#{}@{}", id.0, names.join("+"))
            };
            if let Some(first) = self.names.insert(name.clone(), id.1.clone()) {
                let error = Diagnostic::at(&id.1, format!("there are two cases `{name}`"));
                return Err(error.with_secondary(&first, "the first is here"));
            }
            let tree = clients::take_over(&tree)?;
            let typed: Case = from_node(&tree)?;
            let errors = check::check(&typed, &tree, self.catalogue, self.profile);
            let sound = errors.is_empty();
            for error in errors {
                self.report(error);
            }
            if sound {
                let features = features::of(&typed);
                let file = slashed(file);
                self.cases.push(LoadedCase { name, file, line, variants, case: typed, features, tree });
            }
        }
        Ok(())
    }
}

/// A file that two paths of the command line lead to.
fn twice(file: &Path, first: &Path, second: &Path) -> Diagnostic {
    let file = slashed(file);
    let error = Diagnostic::new(format!("{file}: this file is named twice"));
    if first == second {
        error
    } else {
        error.with_help(format!("both `{}` and `{}` name it", slashed(first), slashed(second)))
    }
}

fn without(node: &Node, key: &str) -> Node {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let kept: Vec<Entry> = entries.iter().filter(|entry| &*entry.key != key).cloned().collect();
    Node { kind: Kind::Mapping(kept.into()), span: node.span.clone() }
}

fn case_id(case: &Node) -> Result<(String, Span), Diagnostic> {
    let help = "an id is made of lower-case letters, digits and hyphens, as in `id: proxy-forgets-records`";
    let Some(id) = case.get("id") else {
        return Err(Diagnostic::at(&case.span, "this case has no `id`").with_help(help));
    };
    match id.as_str() {
        Some(text) if is_name(text) => Ok((text.to_owned(), id.span.clone())),
        _ => Err(Diagnostic::at(&id.span, "this is no id").with_help(help)),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The case once for each combination of variants, with the combination.
fn combinations(case: &Node, variants: Option<&Node>) -> Result<Vec<(Vec<Variant>, Node)>, Diagnostic> {
    let mut combined = vec![(Vec::new(), case.clone())];
    let Some(axes) = variants else { return Ok(combined) };
    if !matches!(axes.kind, Kind::Mapping(_) | Kind::Null) {
        return Err(Diagnostic::at(&axes.span, "`variants` is a map of axes, each a map of variants"));
    }
    for axis in axes.entries() {
        let named = axis.value.entries();
        if named.is_empty() {
            let message = format!("the axis `{}` has no variants", axis.key);
            return Err(Diagnostic::at(&axis.key_span, message)
                .with_help("an axis is a map: `family: {v4: {}, v6: {…}}`"));
        }
        let count = combined.len() * named.len();
        if count > MAX_COMBINATIONS {
            let message = format!(
                "this axis makes {count} combinations of variants, and {MAX_COMBINATIONS} at most are read"
            );
            return Err(Diagnostic::at(&axis.key_span, message)
                .with_help("a case of its own for some of the variants makes it fewer"));
        }
        let mut next = Vec::with_capacity(count);
        for (before, tree) in &combined {
            for (place, variant) in named.iter().enumerate() {
                if !is_name(&variant.key) {
                    let message = "the name of a variant is made of lower-case letters, digits and hyphens";
                    return Err(Diagnostic::at(&variant.key_span, message));
                }
                let mut variants = before.clone();
                let name = Arc::clone(&variant.key);
                variants.push(Variant { axis: Arc::clone(&axis.key), place, name });
                next.push((variants, lay_over(tree, variant)?));
            }
        }
        combined = next;
    }
    Ok(combined)
}

fn lay_over(tree: &Node, variant: &Entry) -> Result<Node, Diagnostic> {
    match &variant.value.kind {
        Kind::Null => Ok(tree.clone()),
        Kind::Mapping(_) => {
            if let Some(id) = variant.value.entry("id") {
                return Err(Diagnostic::at(&id.key_span, "a variant cannot change the id of a case"));
            }
            merge(tree, &variant.value)
        }
        _ => Err(Diagnostic::at(&variant.value.span, "a variant is a part of a case: a map")),
    }
}
