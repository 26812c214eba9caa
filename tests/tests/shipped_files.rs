//! The files of the folder `scenarios`: another reader of YAML sees in them what ours does, and all of them are built
//! into the command line.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use serde_yaml::Value;
use wfp_conformance::scenario::Suite;
use wfp_conformance::vendors::Vendor;
use wfp_conformance::yaml::{Kind, Node, Source, from_node, parse};
use wfp_sim::Profile;
use wfp_tests::{scenario_files, workspace};

#[test]
fn another_reader_of_yaml_sees_the_same_keys_order_and_values_in_every_file() {
    let files = scenario_files();
    assert!(files.len() >= 50, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(workspace().join(&file)).unwrap();
        assert_read_the_same(&file, &text);
    }
    for vendor in Vendor::all() {
        assert_read_the_same(vendor.name, vendor.text);
    }
}

fn assert_read_the_same(file: &str, text: &str) {
    let ours = parse(&Source::new(file, text)).unwrap();
    let theirs: Value = serde_yaml::from_str(text).unwrap();
    assert_same(file, &ours, &theirs);
}

/// The same structure, the same keys in the same order, and the same values of the same type.
fn assert_same(place: &str, ours: &Node, theirs: &Value) {
    match (&ours.kind, theirs) {
        (Kind::Null, Value::Null) => {}
        (Kind::Scalar { text, .. }, Value::String(theirs)) => {
            assert_eq!(**text, **theirs, "{place}");
            assert_eq!(from_node::<Value>(ours).unwrap(), Value::from(theirs.as_str()), "{place}");
        }
        (Kind::Scalar { plain: true, .. }, Value::Number(_) | Value::Bool(_)) => {
            assert_eq!(from_node::<Value>(ours).unwrap(), *theirs, "{place}");
        }
        (Kind::Sequence(ours), Value::Sequence(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{place}");
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                assert_same(&format!("{place}/{index}"), ours, theirs);
            }
        }
        (Kind::Mapping(ours), Value::Mapping(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{place}");
            for (ours, (key, theirs)) in ours.iter().zip(theirs) {
                let key = match key {
                    Value::String(key) => key.clone(),
                    other => serde_yaml::to_string(other).unwrap().trim_end().to_owned(),
                };
                assert_eq!(*ours.key, *key, "{place}");
                assert_same(&format!("{place}/{key}"), &ours.value, theirs);
            }
        }
        _ => panic!("{place}: {ours:?} is not {theirs:?}"),
    }
}

#[test]
fn suite_that_is_built_in_is_the_folder() {
    let profile = Profile::default();
    let folder = Suite::load(&[workspace().join("scenarios")], &profile).unwrap();
    let built_in = Suite::built_in(&profile).unwrap();
    let names = |suite: Suite| suite.cases.into_iter().map(|case| (case.name, case.line)).collect::<Vec<_>>();
    let (folder, built_in) = (names(folder), names(built_in));
    assert!(folder.len() > 500, "{}", folder.len());
    assert_eq!(folder, built_in);
}

#[test]
fn every_vendor_is_used_by_a_case() {
    let files = scenario_files();
    let texts: Vec<String> =
        files.iter().map(|file| std::fs::read_to_string(workspace().join(file)).unwrap()).collect();
    for vendor in Vendor::all() {
        let used = format!("'vendor:{}'", vendor.name);
        assert!(texts.iter().any(|text| text.contains(&used)), "{used}");
    }
}

#[test]
fn suite_is_sound_under_every_profile_that_is_built_in() {
    for name in Profile::BUILT_IN {
        let profile = Profile::built_in(name).unwrap();
        let errors = Suite::load(&[workspace().join("scenarios")], &profile).err().unwrap_or_default();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [""; 0], "{name}");
    }
}
