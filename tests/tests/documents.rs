//! What is written down beside the code says what the code does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use wfp_conformance::profile_file;
use wfp_conformance::regressions::Regression;
use wfp_conformance::requirements::{Catalogue, Kind, Requirement};
use wfp_conformance::run::{self, Options, Status, Summary};
use wfp_conformance::scenario::{self, Suite};
use wfp_conformance::sweep::{Table, render};
use wfp_conformance::vendors::Vendor;
use wfp_conformance::vocabulary::{Backend as _, Feature, Features};
use wfp_conformance::{Only, SimBackend};
use wfp_sim::Profile;
use wfp_sim::ntstatus::{REACTOS, WINE};
use wfp_sim::profile::{FIELDS, FOLLOWS, Field, WindowsVersion};
use wfp_tests::WINDOWS_ALONE;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the file can be read").replace("\r\n", "\n")
}

/// The fenced block of `text` that starts with this line behind its fence.
fn block<'a>(text: &'a str, first_line: &str) -> &'a str {
    let start = text.find(&format!("\n{first_line}\n")).expect("the block is there") + 1;
    let end = text[start..].find("\n```").expect("the block ends") + start;
    &text[start..=end]
}

/// Holds a file to what it is made from; with `UPDATE_DOCUMENTS` set, writes it anew.
fn holds(path: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(root().join(path), text).expect("the file can be written");
    }
    let written = read(path);
    let line = written.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        written == text,
        "{path} is out of date, first in line {}: run this test with UPDATE_DOCUMENTS=1",
        line.unwrap_or_else(|| written.lines().count().min(text.lines().count())) + 1
    );
}

#[test]
fn schema_for_editors_is_the_one_that_the_command_line_prints() {
    let printed = serde_json::to_string_pretty(&scenario::schema()).unwrap() + "\n";
    holds("docs/scenario.schema.json", &printed);
}

#[test]
fn built_in_profiles_are_written_out_and_read_back_as_themselves() {
    for name in Profile::BUILT_IN {
        let profile = Profile::built_in(name).unwrap();
        let path = format!("fixtures/profiles/{name}.yaml");
        let mut text = format!("schema: {}\nbase: documented\nfields:\n", profile_file::SCHEMA);
        for field in FIELDS {
            let _ = write!(text, "  # {}\n  {}: {}\n", field.summary, field.name, field.get(&profile));
        }
        holds(&path, &text);
        let read = profile_file::load(root().join(&path).to_str().unwrap()).unwrap();
        assert_eq!(read, profile, "{path}");
    }
}

/// What a table of statuses makes of `nt-mapped`, as a file that says only what follows from the table.
#[test]
fn profiles_that_follow_from_a_table_of_statuses_are_written_out_and_read_back_as_themselves() {
    for (name, table) in [("wine", &WINE), ("reactos", &REACTOS)] {
        let profile = Profile::nt_mapped().mapped_by(table);
        let path = format!("fixtures/profiles/{name}.yaml");
        let mut text = format!(
            "schema: {}\n# What follows from {}.\nbase: nt-mapped\nfields:\n",
            profile_file::SCHEMA,
            table.source
        );
        for follows in FOLLOWS.iter().filter(|follows| table.error_of(follows.status).is_some()) {
            let field = Field::by_name(follows.field).unwrap();
            let _ = write!(text, "  # {}\n  {}: {}\n", follows.status, field.name, field.get(&profile));
        }
        holds(&path, &text);
        let read = profile_file::load(root().join(&path).to_str().unwrap()).unwrap();
        assert_eq!(read, profile, "{path}");
    }
}

#[test]
fn profile_of_windows_7_is_the_documented_one_without_what_came_later() {
    let path = root().join("fixtures/profiles/windows-7.yaml");
    let read = profile_file::load(path.to_str().unwrap()).unwrap();
    let expected = Profile { windows_version: WindowsVersion::Seven, ..Profile::documented() };
    assert_eq!(read, expected);
}

#[test]
fn readme_shows_what_its_scenario_prints() {
    let readme = read("README.md");
    let yaml = block(&readme, "schema: wfp-conformance/scenario/v1");
    let shown = block(&readme, "$ wfp-conformance run my-driver.yaml");

    let profile = Profile::documented();
    let suite = Suite::from_text("my-driver.yaml", yaml, &profile).unwrap();
    let options = Options::default();
    let runs = run::run(&suite, &options, &|| Ok(Box::new(SimBackend::default()))).unwrap();
    let backend = SimBackend::default();
    let summary = Summary {
        suite: &suite,
        runs: &runs,
        options: &options,
        identity: &backend.identify(),
        features: backend.features(),
        elapsed: std::time::Duration::ZERO,
        trace: None,
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

/// What stands between these two lines of a document is made from the code.
const MADE: &str =
    "<!-- Made from the code: UPDATE_DOCUMENTS=1 cargo test -p wfp-tests --test documents -->\n";
const END: &str = "<!-- the end of what is made -->\n";

/// A document with another text between the two lines.
fn with_made(page: &str, made: &str) -> String {
    let (before, rest) = page.split_once(MADE).expect("the line before is there");
    let (_, after) = rest.split_once(END).expect("the line behind is there");
    format!("{before}{MADE}\n{made}\n{END}{after}")
}

#[test]
fn scenario_documentation_lists_every_call_with_its_keys() {
    let schema = scenario::schema();
    let mut table = "| op | what it calls | keys |\n|---|---|---|\n".to_owned();
    for arm in schema["$defs"]["Call"]["oneOf"].as_array().unwrap() {
        let (op, of_op) = arm["properties"].as_object().unwrap().iter().next().unwrap();
        let definition = of_op["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
        let of_op = definition.map_or(of_op, |name| &schema["$defs"][name]);
        let keys = of_op["properties"].as_object().map(|keys| keys.keys().map(|key| format!("`{key}`")));
        let keys = keys.map_or(String::new(), |keys| keys.collect::<Vec<_>>().join(", "));
        let _ = writeln!(
            table,
            "| `{op}` | {} | {keys} |",
            arm["description"].as_str().unwrap().replace('\n', " ")
        );
    }
    holds("docs/scenarios.md", &with_made(&read("docs/scenarios.md"), &table));
}

#[test]
fn behaviour_has_the_table_of_the_regressions() {
    let mut table =
        "| id | scenario | cause | what happens, or must happen | source |\n|---|---|---|---|---|\n"
            .to_owned();
    for Regression { id, title, cause, expected, source } in Regression::all() {
        let _ = writeln!(table, "| {id} | {title} | {cause} | {expected} | {source} |");
    }
    holds("docs/behaviour.md", &with_made(&read("docs/behaviour.md"), &table));
}

/// Which cases run on a machine without a driver, whatever the profile: some install callouts that nobody asks.
fn run_without_driver(suite: &Suite) -> Vec<bool> {
    let features: Features = WINDOWS_ALONE.into_iter().chain([Feature::Profile]).collect();
    let options = Options { jobs: 2, ..Options::default() };
    let machine = || Ok(Box::new(Only::new(SimBackend::default(), &features)) as Box<_>);
    let runs = run::run(suite, &options, &machine).expect("the model does not break");
    runs.iter().map(|run| run.status != Status::Skipped).collect()
}

/// What it takes to see the answer to a question: the least that one of its cases needs.
fn settled_by(requirement: &Requirement, suite: &Suite, cases: &[usize], alone: &[bool]) -> String {
    if let Some(reason) = &requirement.untestable {
        return format!("your own eyes: {reason}");
    }
    if cases.iter().any(|case| alone[*case]) {
        return "Windows alone".to_owned();
    }
    // Which of the answers a case takes for right is no matter here.
    let beside = |feature: &&Feature| !WINDOWS_ALONE.contains(feature) && **feature != Feature::Profile;
    let needs =
        |case: &usize| -> Features { suite.cases[*case].features.iter().filter(beside).copied().collect() };
    let rest = |needs: &Features| {
        let of_drivers = [Feature::Redirect, Feature::MultiVendor];
        needs.iter().filter(|feature| !of_drivers.contains(feature)).count()
    };
    let least =
        cases.iter().map(needs).min_by_key(|needs| (rest(needs), needs.len())).expect("it has a case");
    if rest(&least) > 0 {
        let names: Vec<String> = least.iter().map(|feature| format!("`{feature}`")).collect();
        return format!("your own eyes: its cases need {}", names.join(", "));
    }
    (if least.len() > 1 { "two drivers" } else { "a driver" }).to_owned()
}

#[test]
fn page_of_the_unknown_lists_every_doubt_with_what_settles_it() {
    let suite = Suite::built_in(&Profile::documented()).unwrap();
    let covering = suite.by_requirement();
    let alone = run_without_driver(&suite);
    let mut made = String::new();
    for (kind, title) in [
        (Kind::Probe, "Nobody says"),
        (Kind::OneOf, "The documents contradict each other, or code contradicts them"),
    ] {
        let doubts: Vec<&Requirement> =
            Catalogue::built_in().iter().filter(|requirement| requirement.kind == kind).collect();
        let _ = write!(made, "### {title}: {}\n\n", doubts.len());
        made.push_str("| requirement | question | see | settled by |\n|---|---|---|---|\n");
        for requirement in doubts {
            let cases = covering.get(requirement.id.as_str()).map_or(&[][..], Vec::as_slice);
            let Requirement { id, text, see, .. } = requirement;
            let by = settled_by(requirement, &suite, cases, &alone);
            let _ = writeln!(made, "| `{id}` | {text} | {} | {by} |", see.join(", "));
        }
        made.push('\n');
    }
    holds("docs/unknown.md", &with_made(&read("docs/unknown.md"), made.trim_end()));
}

#[test]
fn behaviour_lists_every_field_of_the_profile_once() {
    let page = read("docs/behaviour.md");
    let section = page.split("\n## Profiles\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let table = section.split("| field | question |").nth(1).unwrap();
    let rows: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let fields: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(rows, fields);
    assert_eq!(table.lines().filter(|line| line.starts_with("| `")).count(), fields.len());
}

#[test]
fn page_shows_a_table_that_its_cases_make() {
    let page = read("docs/scenarios.md");
    let (_, tables) = page.split_once("\n## Tables\n").unwrap();
    let (cases, rest) = tables.split_once("```yaml\n").unwrap().1.split_once("```").unwrap();
    let (shown, _) = rest.split_once("```text\n").unwrap().1.split_once("```").unwrap();
    let ground = "schema: wfp-conformance/scenario/v1\nhosts: {server: {listen: [443]}}\nprocesses: {app: {}}\n\
                  callouts: {driver: {redirect-to: proxy}}\nservices: {proxy: {listen: 'loopback:1001'}}\n";
    let played = wfp_tests::play(wfp_tests::suite(&format!("{ground}{cases}")), "documented");
    let tables = Table::of(&played.suite, &played.runs);
    let text = render(&tables, false);
    assert!(text.contains(&format!("\n{shown}")), "{text}");
}

#[test]
fn page_shows_a_driver_beside_vendors_that_its_files_make() {
    let page = read("docs/scenarios.md");
    let (_, section) = page.split_once("\n## Your driver beside another vendor\n").unwrap();
    let mut blocks = section.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("my-driver.yaml", blocks.next().unwrap());
    write("beside.yaml", blocks.next().unwrap());
    let suite = Suite::load(&[folder.path().join("beside.yaml")], &Profile::documented()).unwrap();
    let played = wfp_tests::play(suite, "documented");
    let shown = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let text = render(&Table::of(&played.suite, &played.runs), false);
    assert!(text.contains(&format!("\n{shown}")), "{text}");
}

#[test]
fn schema_for_editors_takes_every_scenario_file_and_refuses_a_misspelt_key() {
    let schema = jsonschema::validator_for(&scenario::schema()).unwrap();
    for file in wfp_tests::scenario_files() {
        let value: serde_json::Value = serde_yaml::from_str(&read(&file)).unwrap();
        let errors: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
    for vendor in Vendor::all() {
        let value: serde_json::Value = serde_yaml::from_str(vendor.text).unwrap();
        let errors: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", vendor.name);
    }
    let misspelt = serde_json::json!({"schema": scenario::SCHEMA, "cases": [{"id": "a", "setps": []}]});
    assert!(!schema.is_valid(&misspelt));
}

#[test]
fn links_between_pages_lead_to_a_file() {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter_map(|name| Some(format!("docs/{}.md", name.strip_suffix(".md")?)));
    let pages: Vec<String> = pages.collect();
    let mut broken = Vec::new();
    for page in pages.iter().map(String::as_str).chain(["README.md", "fixtures/README.md"]) {
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            if !root().join(page).with_file_name(link).exists() {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// What stands above the tables of `docs/requirements.md`.
const REQUIREMENTS: &str = "\
# Requirements

Everything that the documents say and a machine can be held to, from `conformance/requirements/`. `wfp-conformance requirements` prints the cases that
check each, `wfp-conformance explain ID` where it is doubted and which field of the profile decides. Sources are named as in
[behaviour.md](behaviour.md).

The kinds: `exact`, the documents agree; `one_of`, they contradict each other, or say nothing while code expects one of several answers; `probe`, nothing
is known. What no case can check has the reason behind it.

<!-- Made from the code: UPDATE_DOCUMENTS=1 cargo test -p wfp-tests --test documents -->
";

#[test]
fn requirements_are_written_out_with_sources_and_what_cannot_be_tested() {
    let mut page = REQUIREMENTS.to_owned();
    let mut theme = "";
    for requirement in Catalogue::built_in().iter() {
        let of = requirement.id.split('.').next().unwrap_or_default();
        if of != theme {
            theme = of;
            let _ = write!(page, "\n## {theme}\n\n| id | kind | requirement | source |\n|---|---|---|---|\n");
        }
        let untestable = requirement.untestable.as_ref();
        let untestable = untestable.map_or(String::new(), |reason| format!(" *Not testable: {reason}.*"));
        let (id, text) = (&requirement.id, &requirement.text);
        let (kind, source) = (requirement.kind.name(), &requirement.source);
        let _ = writeln!(page, "| `{id}` | {kind} | {text}{untestable} | {source} |");
    }
    holds("docs/requirements.md", &page);
}
