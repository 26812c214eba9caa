//! What is written down beside the code says what the code does.

use std::path::PathBuf;

use wfp_conformance::SimBackend;
use wfp_conformance::run::{self, Options, Summary};
use wfp_conformance::scenario::{self, Suite};
use wfp_conformance::vocabulary::Backend as _;
use wfp_sim::Profile;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap().replace("\r\n", "\n")
}

/// The fenced block of `text` that starts with this line behind its fence.
fn block<'a>(text: &'a str, first_line: &str) -> &'a str {
    let start = text.find(&format!("\n{first_line}\n")).expect("the block is there") + 1;
    let end = text[start..].find("\n```").expect("the block ends") + start;
    &text[start..=end]
}

#[test]
fn schema_for_editors_is_the_one_that_the_command_line_prints() {
    let printed = serde_json::to_string_pretty(&scenario::schema()).unwrap() + "\n";
    assert_eq!(read("docs/scenario.schema.json"), printed, "write it anew with `wfp-conformance schema`");
}

#[test]
fn readme_shows_what_its_scenario_prints() {
    let readme = read("README.md");
    let yaml = block(&readme, "schema: wfp-conformance/scenario/v1");
    let shown = block(&readme, "$ wfp-conformance run my-driver.yaml");

    let profile = Profile::documented();
    let suite = Suite::from_text("my-driver.yaml", yaml, &profile).unwrap();
    let options =
        Options { profile, profile_name: "documented".to_owned(), seed: 1, jobs: 1, trace: false };
    let runs = run::run(&suite, &options, &|| Box::new(SimBackend::default())).unwrap();
    let backend = SimBackend::default();
    let summary = Summary {
        suite: &suite,
        runs: &runs,
        options: &options,
        identity: &backend.identify(),
        elapsed: std::time::Duration::ZERO,
        verbose: false,
        styled: false,
    }
    .render();
    let printed = summary.split("\n\n1 case:").next().unwrap();
    assert_eq!(shown, format!("$ wfp-conformance run my-driver.yaml\n{printed}\n"));
}

#[test]
fn scenario_of_the_documentation_has_every_key_of_the_format() {
    let page = read("docs/scenarios.md");
    let schema = scenario::schema();
    for definition in ["Callout", "Service", "Host", "OutcomeExpect", "CycleExpect", "Follow", "Sweep"] {
        let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
        for key in properties.keys() {
            assert!(page.contains(key.as_str()), "docs/scenarios.md does not show `{key}` of {definition}");
        }
    }
}
