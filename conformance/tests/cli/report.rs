//! `--report json=FILE`: what is in the file, and how it is written.

use indexmap::IndexMap;
use rstest::rstest;
use serde::Deserialize;
use serde_json::json;

use crate::common::Folder;
use crate::{MIXED, masked};

/// JSON that remembers the order of keys.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Json {
    Object(IndexMap<String, Json>),
    Array(Vec<Json>),
    Other(serde_json::Value),
}

impl Json {
    fn get(&self, key: &str) -> &Json {
        let Json::Object(entries) = self else { panic!("no object: {self:?}") };
        entries.get(key).unwrap_or_else(|| panic!("no `{key}` in {self:?}"))
    }

    fn keys(&self) -> Vec<&str> {
        let Json::Object(entries) = self else { panic!("no object: {self:?}") };
        entries.keys().map(String::as_str).collect()
    }

    fn items(&self) -> &[Json] {
        let Json::Array(items) = self else { panic!("no array: {self:?}") };
        items
    }

    fn text(&self) -> &str {
        let Json::Other(serde_json::Value::String(text)) = self else { panic!("no text: {self:?}") };
        text
    }
}

#[test]
fn report_has_the_keys_in_the_order_that_scripts_rely_on() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json"]);
    let report: Json = serde_json::from_str(&folder.read("report.json")).unwrap();
    assert_eq!(
        report.keys(),
        ["schema", "backend", "profile", "seed", "verdict", "summary", "cases", "requirements"]
    );
    assert_eq!(report.get("backend").keys(), ["name", "version", "os", "features"]);
    assert_eq!(
        report.get("summary").keys(),
        ["passed", "failed", "skipped", "expected_failures", "unexpected_passes"]
    );
    for case in report.get("cases").items() {
        let keys = [
            "name",
            "file",
            "line",
            "status",
            "reason",
            "requirements",
            "features",
            "duration_us",
            "failure",
            "outcome",
            "regressions",
            "traces",
        ];
        assert_eq!(case.keys(), keys);
    }
    for requirement in report.get("requirements").items() {
        assert_eq!(requirement.keys(), ["id", "text", "source", "kind", "status", "observed", "cases"]);
    }
}

#[test]
fn report_has_cases_and_requirements_sorted_bytewise() {
    let folder = Folder::new();
    folder.call(&["run", "--report", "json=report.json"]);
    let report: Json = serde_json::from_str(&folder.read("report.json")).unwrap();
    for (list, key) in [("cases", "name"), ("requirements", "id")] {
        let names: Vec<&str> = report.get(list).items().iter().map(|item| item.get(key).text()).collect();
        assert!(names.len() > 50, "{list}: {}", names.len());
        assert!(names.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{list}");
    }
}

/// A report from its profile to its cases.
const FAILURE_AND_LOOP: &str = "
  \"profile\": \"documented\",
  \"seed\": 1,
  \"verdict\": \"not_conformant\",
  \"summary\": {
    \"passed\": 2,
    \"failed\": 1,
    \"skipped\": 0,
    \"expected_failures\": 0,
    \"unexpected_passes\": 0
  },
  \"cases\": [
    {
      \"name\": \"mine#careful\",
      \"file\": \"mine.yaml\",
      \"line\": 7,
      \"status\": \"passed\",
      \"reason\": null,
      \"requirements\": [
        \"chains.bounded\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"redirect-records\",
        \"remote-host\"
      ],
      \"duration_us\": 0,
      \"failure\": null,
      \"outcome\": {
        \"end\": \"reached\",
        \"connects\": 2,
        \"cycle\": null
      }
    },
    {
      \"name\": \"mine#forgets\",
      \"file\": \"mine.yaml\",
      \"line\": 18,
      \"status\": \"passed\",
      \"reason\": null,
      \"requirements\": [
        \"chains.never-set\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"redirect-records\",
        \"remote-host\",
        \"kernel-view\"
      ],
      \"duration_us\": 0,
      \"failure\": null,
      \"outcome\": {
        \"end\": \"loop\",
        \"connects\": 3,
        \"cycle\": {
          \"services\": [
            \"proxy\"
          ],
          \"records_lost_at\": \"proxy\",
          \"why\": \"never-set\"
        }
      }
    },
    {
      \"name\": \"mine#hopes\",
      \"file\": \"mine.yaml\",
      \"line\": 12,
      \"status\": \"failed\",
      \"reason\": \"step 1: expected end reached; observed end loop after 3 connects (proxy goes round: never-set)\",
      \"requirements\": [
        \"chains.never-set\",
        \"chains.bounded\"
      ],
      \"features\": [
        \"tcp\",
        \"redirect\",
        \"redirect-records\",
        \"remote-host\"
      ],
      \"duration_us\": 0,
      \"failure\": {
        \"step\": 1,
        \"line\": 17,
        \"expected\": \"end reached\",
        \"observed\": \"end loop after 3 connects (proxy goes round: never-set)\"
      },
      \"outcome\": {
        \"end\": \"loop\",
        \"connects\": 3,
        \"cycle\": {
          \"services\": [
            \"proxy\"
          ],
          \"records_lost_at\": \"proxy\",
          \"why\": \"never-set\"
        }
      }
    }
  ],
  \"requirements\": [
";

/// The report with cases that end with their outcome: what comes behind it has tests of its own.
fn up_to_outcomes(report: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut behind = false;
    for line in report.lines() {
        behind |= line.starts_with("      \"regressions\": ");
        behind &= !line.starts_with("    }");
        if !behind {
            kept.push(line);
        }
    }
    kept.join("\n").replace("      },\n    }", "      }\n    }")
}

#[test]
fn report_tells_of_a_failure_and_of_a_loop_as_scripts_rely_on() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json", "--seed", "1"]);
    let report = up_to_outcomes(&masked(&folder.read("report.json")));
    let head = format!(
        "{{\n  \"schema\": \"wfp-conformance/report/v1\",\n  \"backend\": {{\n    \"name\": \"sim\",\n    \
         \"version\": \"{}\",\n    \"os\": null,\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(report.starts_with(&head), "{report}");
    assert!(report.contains(FAILURE_AND_LOOP), "{report}");
    // A requirement is broken as soon as one of its cases failed; one that no case covers is in the report too.
    let requirement = |id: &str| {
        let from = report.find(&format!("\"id\": \"{id}\"")).unwrap();
        let text = &report[from..];
        let from = text.find("\"kind\"").unwrap();
        text[from..=text.find('}').unwrap()].to_owned()
    };
    let bounded = "\"kind\": \"exact\",\n      \"status\": \"broken\",\n      \"observed\": [],\n      \
                   \"cases\": [\n        \"mine#careful\",\n        \"mine#hopes\"\n      ]\n    }";
    assert_eq!(requirement("chains.bounded"), bounded);
    assert!(requirement("chains.never-set").contains("\"status\": \"broken\""));
    assert!(requirement("chains.two-vendors").contains("\"status\": \"uncovered\""));
}

#[test]
fn report_has_each_followed_connection_hop_by_hop_and_as_a_diagram() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--filter", "forgets", "--report", "json=report.json"]);
    let report: serde_json::Value = serde_json::from_str(&folder.read("report.json")).unwrap();
    let [trace] = report["cases"][0]["traces"].as_array().unwrap().as_slice() else { panic!("{report}") };
    let told = |key: &str| trace[key].clone();
    assert_eq!(
        [told("step"), told("end"), told("connects"), told("repeats")],
        [json!(1), json!("loop"), json!(3), json!(2)]
    );
    assert_eq!(
        trace["hops"][1],
        json!({
            "by": "proxy",
            "process": "proxy",
            "to": "server:443",
            "family": "ipv4",
            "engine": {
                "records": [],
                "classifies": [{
                    "layer": "ALE_CONNECT_REDIRECT_V4",
                    "flags": [],
                    "local": "any:0",
                    "remote": "server:443",
                    "original_destination": null,
                    "end": "permit",
                    "callouts": [{
                        "callout": "driver",
                        "write_right": true,
                        "handle": "driver",
                        "state": "not-redirected",
                        "own_context_bytes": null,
                        "previous_versions": [],
                        "did": {"what": "redirect", "address": "loopback:1001"},
                    }],
                }],
                "redirect": {"came_of_it": "local", "handle": "driver"},
                "target": "loopback:1001",
                "delivered": ["driver"],
                "delivered_bytes": 128,
            },
            "error": null,
            "accepted_by": "proxy",
            "then": [
                {"did": "query-records", "bytes": 128, "error": null},
                {"did": "query-context", "bytes": 128, "error": null},
            ],
        })
    );
    let diagram = trace["mermaid"].as_str().unwrap();
    assert!(diagram.starts_with("sequenceDiagram\n    participant P as app\n"), "{diagram}");
    assert!(diagram.contains("    loop for ever: connect 3 is connect 2 again\n"), "{diagram}");
}

#[test]
fn report_has_the_regressions_of_a_case_and_no_traces_of_one_that_follows_nothing() {
    let text = "schema: wfp-conformance/scenario/v1\nprocesses: {app: {}}\ncases:\n\
                - {id: x, regressions: {R20: mend, R3: fault}, steps: [{process: app, op: {socket: {}}}]}\n";
    let folder = Folder::with("mine.yaml", text);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json"]);
    let report = folder.read("report.json");
    let end = "      \"regressions\": {\n        \"R20\": \"mend\",\n        \"R3\": \"fault\"\n      },\n      \"traces\": []\n";
    assert!(report.contains(end), "{report}");
}

#[test]
fn report_can_be_written_several_times_and_over_an_older_one() {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("a.json", "an older report, longer than nothing");
    let reports = ["--report", "json=a.json", "--report", "json=b.json"];
    let called = folder.call(&[&["run", "mine.yaml", "--filter", "careful"], &reports[..]].concat());
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert_eq!(folder.read("a.json"), folder.read("b.json"));
    assert!(folder.read("a.json").starts_with("{\n  \"schema\": \"wfp-conformance/report/v1\",\n"));
    assert!(folder.read("a.json").ends_with("\n}\n"));
    assert_eq!(folder.content().keys().collect::<Vec<_>>(), ["a.json", "b.json", "mine.yaml"]);
}

#[rstest]
#[case::missing_folder("missing/report.json", "there is no folder missing\n")]
#[case::below_a_file("mine.yaml/report.json", "there is no folder mine.yaml\n")]
// What the system says here differs from system to system.
#[case::onto_a_folder("folder", "")]
fn report_that_cannot_be_written_exits_with_5_and_leaves_nothing_behind(
    #[case] file: &str,
    #[case] why: &str,
) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("folder/other.txt", "is left alone");
    let before = folder.content();
    // A case fails too: what could not be written counts for more.
    let called = folder.call(&["run", "mine.yaml", "--report", &format!("json={file}")]);
    assert_eq!(called.exit, 5);
    let message = format!("error: {file} could not be written: {why}");
    assert!(called.stderr.starts_with(&message), "{}", called.stderr);
    assert_eq!(called.stderr.lines().count(), 1, "{}", called.stderr);
    assert_eq!(folder.content(), before);
}

#[cfg(unix)]
#[test]
fn report_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with("mine.yaml", MIXED);
    folder.call(&["run", "mine.yaml", "--report", "json=report.json"]);
    let mode = |file: &str| folder.path().join(file).metadata().unwrap().permissions().mode();
    assert_eq!(mode("report.json"), mode("mine.yaml"));
}

#[cfg(unix)]
#[test]
fn report_goes_to_a_device_and_does_not_take_its_place() {
    let folder = Folder::with("mine.yaml", MIXED);
    let device = folder.path().join("device");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    let called = folder.call(&["run", "mine.yaml", "--filter", "careful", "--report", "json=device"]);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
    assert_eq!(device.read_link().unwrap(), std::path::Path::new("/dev/null"));
}
