//! Drivers of the field, and their services, as files that scenarios `use` by `vendor:NAME`.
//!
//! A vendor is a scenario file without cases: what it has is laid under what the scenario says itself, so that a
//! scenario can say otherwise of anything in it. Each file names the source of what it says in its comments.

use std::sync::{Arc, LazyLock};

use crate::yaml::{Diagnostic, Node, Source, parse};

/// How files name a vendor.
const PREFIX: &str = "vendor:";

/// The files, by name.
const FILES: &[(&str, &str)] = &[
    ("azure-guest-proxy-agent", include_str!("../vendors/azure-guest-proxy-agent.yaml")),
    ("cooperative", include_str!("../vendors/cooperative.yaml")),
    ("ebpf-for-windows", include_str!("../vendors/ebpf-for-windows.yaml")),
    ("hns-l4-proxy", include_str!("../vendors/hns-l4-proxy.yaml")),
    ("mullvad-split-tunnel", include_str!("../vendors/mullvad-split-tunnel.yaml")),
    ("naive", include_str!("../vendors/naive.yaml")),
    ("wfp-sampler", include_str!("../vendors/wfp-sampler.yaml")),
];

/// A driver of the field, with its service where it has one.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its name in scenarios, behind `vendor:`.
    pub name: &'static str,
    /// What it is.
    pub title: String,
    /// Where it was seen.
    pub source: String,
    /// Its file, as it is written.
    pub text: &'static str,
}

static BUILT_IN: LazyLock<Result<Vec<Vendor>, Diagnostic>> =
    LazyLock::new(|| FILES.iter().map(|(name, text)| read(name, text)).collect());

fn read(name: &'static str, text: &'static str) -> Result<Vendor, Diagnostic> {
    let root = parse(&Source::new(path(name), text))?;
    let said = |key: &str| match root.get(key).and_then(Node::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Diagnostic::at(&root.span, format!("the vendor `{name}` has no `{key}`"))),
    };
    Ok(Vendor { name, title: said("title")?, source: said("source")?, text })
}

/// The file as messages name it.
fn path(name: &str) -> String {
    format!("vendors/{name}.yaml")
}

impl Vendor {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        // That each can be read is held by a test.
        BUILT_IN.as_ref().map(Vec::as_slice).unwrap_or_default()
    }

    /// The vendor with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|vendor| vendor.name == name)
    }

    /// The name of the vendor that a `use` names; `None` where it names a file.
    pub(crate) fn named_by(used: &str) -> Option<&str> {
        used.strip_prefix(PREFIX)
    }

    /// Its file, to be read as scenario files are.
    pub(crate) fn source_text(&self) -> Arc<Source> {
        Source::new(path(self.name), self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wfp_sim::Profile;

    use super::*;
    use crate::scenario::Suite;

    /// A scenario that uses these.
    fn using(names: &[&str]) -> Suite {
        let uses: Vec<String> = names.iter().map(|name| format!("'{PREFIX}{name}'")).collect();
        let text = format!(
            "schema: wfp-conformance/scenario/v1\nuse: [{}]\nprocesses: {{app: {{}}}}\n\
             cases: [{{id: x, steps: [{{process: app, op: {{socket: {{}}}}}}]}}]\n",
            uses.join(", ")
        );
        Suite::from_text("mine.yaml", &text, &Profile::documented())
            .unwrap_or_else(|errors| panic!("{}", errors[0].render(false)))
    }

    #[test]
    fn every_vendor_can_be_used_alone_and_all_of_them_together() {
        let mut callouts = 0;
        for (name, text) in FILES {
            assert!(!read(name, text).unwrap().source.is_empty());
            let suite = using(&[name]);
            assert!(!suite.cases[0].case.callouts.is_empty(), "{name}");
            callouts += suite.cases[0].case.callouts.len();
        }
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        let together = using(&names);
        assert_eq!(together.cases[0].case.callouts.len(), callouts, "two vendors share a name");
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn no_two_vendors_have_a_name_or_a_port_in_common() {
        let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for (vendor, _) in FILES {
            let case = &using(&[vendor]).cases[0].case;
            let of = case.hosts.keys().chain(case.processes.keys().filter(|name| &***name != "app"));
            for name in of.chain(case.callouts.keys()).chain(case.services.keys()) {
                assert!(names.insert(name.to_string()), "{vendor}: {name}");
            }
            for service in case.services.values() {
                assert!(ports.insert(service.listen.port), "{vendor}: {}", service.listen);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vendors");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, FILES.iter().map(|(name, _)| format!("{name}.yaml")).collect::<Vec<_>>());
    }
}
