//! What is expected of a classify at one layer.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::outcome::Difference;
use crate::vocabulary::{
    Classified, ClassifyEnd, DidName, Endpoint, FlagName, Hop, Inspected, LayerName, Name,
};

/// A classify at one layer. What is not named is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClassifyExpect {
    /// The layer.
    pub layer: LayerName,
    /// Whether it is the one for IPv6.
    #[serde(default)]
    pub ipv6: Option<bool>,
    /// The remote address and port.
    #[serde(default)]
    pub remote: Option<Endpoint>,
    /// The local address and port; `*` is a port that the machine chose.
    #[serde(default)]
    pub local: Option<Endpoint>,
    /// `ORIGINAL_DESTINATION` in the metadata.
    #[serde(default)]
    pub original_destination: Option<Endpoint>,
    /// Whether `LOCAL_REDIRECT_TARGET_PID` is in the metadata.
    #[serde(default)]
    pub target_pid: Option<bool>,
    /// Exactly these flags.
    #[serde(default)]
    pub flags: Option<Vec<FlagName>>,
    /// What callouts and filters do, by their names.
    #[serde(default)]
    pub did: IndexMap<Name, DidName>,
    /// Whether callouts have the right to write, by their names.
    #[serde(default)]
    pub write_right: IndexMap<Name, bool>,
    /// Exactly these are asked, in this order.
    #[serde(default)]
    pub asked: Option<Vec<Name>>,
    /// What arbitration makes of it.
    #[serde(default)]
    pub end: Option<ClassifyEnd>,
}

/// The classifies at the layers that `expected` names are those, in this order.
pub(super) fn check(expected: &[ClassifyExpect], hop: &Hop) -> Option<Difference> {
    let named = |seen: &&Classified| expected.iter().any(|expected| expected.layer == seen.layer);
    let observed: Vec<&Classified> = hop.classifies.iter().filter(named).collect();
    for (index, expected) in expected.iter().enumerate() {
        let number = index.to_string();
        let Some(seen) = observed.get(index) else {
            let what = format!("a classify at {}", expected.layer.name());
            return Some(Difference::at(&number, what, "no more of them").below(&["classifies"]));
        };
        if let Some(difference) = expected.check(seen) {
            return Some(difference.below(&["classifies", &number]));
        }
    }
    let more = observed.get(expected.len()).filter(|_| !expected.is_empty())?;
    let what = format!("no more classifies than {}", expected.len());
    Some(Difference::at("classifies", what, format!("one at {}", more.layer_name())))
}

impl ClassifyExpect {
    fn check(&self, seen: &Classified) -> Option<Difference> {
        if self.layer != seen.layer || self.ipv6.is_some_and(|ipv6| ipv6 != seen.ipv6) {
            let expected = format!("a classify at {}", self.layer.name());
            return Some(Difference::at("layer", expected, seen.layer_name()));
        }
        let ends = [
            ("remote", &self.remote, seen.remote.as_ref()),
            ("local", &self.local, Some(&seen.local)),
            ("original-destination", &self.original_destination, seen.original_destination.as_ref()),
        ];
        for (key, expected, seen) in ends {
            if let Some(expected) = expected.as_ref().filter(|expected| Some(*expected) != seen) {
                let seen = seen.map_or("none".to_owned(), ToString::to_string);
                return Some(Difference::at(key, format!("{key} {expected}"), seen));
            }
        }
        if let Some(expected) = self.target_pid.filter(|expected| *expected != seen.target_pid) {
            let told = |there: bool| format!("{} target process id", if there { "a" } else { "no" });
            return Some(Difference::at("target-pid", told(expected), told(seen.target_pid)));
        }
        if let Some(expected) = self.flags.as_ref().filter(|flags| **flags != seen.flags) {
            return Some(Difference::at("flags", flags(expected), flags(&seen.flags)));
        }
        let asked = |name: &Name| seen.inspections.iter().find(|seen| seen.callout == *name);
        for (name, expected) in &self.did {
            let did = asked(name).map(|seen| seen.did.what);
            if did != Some(*expected) {
                let observed = did.map_or("is not asked", DidName::name);
                let expected = format!("{name}: {}", expected.name());
                return Some(Difference::at(name, expected, format!("{name}: {observed}")).below(&["did"]));
            }
        }
        for (name, expected) in &self.write_right {
            let right = asked(name).map(|seen| seen.write_right);
            if right != Some(*expected) {
                let told =
                    |right: bool| if right { "has the right to write" } else { "has no right to write" };
                let observed = right.map_or("is not asked", told);
                let expected = format!("{name} {}", told(*expected));
                return Some(
                    Difference::at(name, expected, format!("{name} {observed}")).below(&["write-right"]),
                );
            }
        }
        if let Some(expected) = &self.asked {
            let observed: Vec<&str> =
                seen.inspections.iter().map(|seen: &Inspected| &*seen.callout).collect();
            if !observed.iter().copied().eq(expected.iter().map(|name| &**name)) {
                let expected = format!("asked: {}", expected.join(", "));
                return Some(Difference::at("asked", expected, format!("asked: {}", observed.join(", "))));
            }
        }
        let end = self.end.filter(|end| *end != seen.end)?;
        Some(Difference::at("end", end.name(), seen.end.name()))
    }
}

fn flags(flags: &[FlagName]) -> String {
    if flags.is_empty() {
        return "no flags".to_owned();
    }
    flags.iter().map(|flag| flag.name()).collect::<Vec<_>>().join(", ")
}
