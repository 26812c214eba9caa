//! `--profile`: by name, or from a file.

use rstest::rstest;

use crate::MIXED;
use crate::common::{Called, Folder};

/// What a query with a buffer that is too small answers depends on the profile.
const BY_PROFILE: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}, proxy: {}}
callouts: {driver: {redirect-to-endpoint: {at: 'loopback:1001', process: proxy}}}
cases:
  - id: insufficient-buffer
    steps:
      - {name: listening, process: proxy, op: {socket: {}}}
      - {process: proxy, op: {bind: {socket: listening, to: 'loopback:1001'}}}
      - {process: proxy, op: {listen: {socket: listening}}}
      - {name: client, process: app, op: {socket: {}}}
      - {process: app, op: {connect: {socket: client, to: 'server:443'}}}
      - {name: accepted, process: proxy, op: {accept: {socket: listening}}}
      - process: proxy
        op: {query-records: {socket: accepted, out: {length: needed-1}}}
        expect: {error: {code: ERROR_INSUFFICIENT_BUFFER, bytes-returned: needed}}
";

#[test]
fn run_takes_a_profile_by_name_or_from_a_file() {
    let folder = Folder::with("mine.yaml", BY_PROFILE);
    let file = "schema: wfp-conformance/profile/v1\nbase: nt-mapped\nfields:\n  \
                too-small: ERROR_INSUFFICIENT_BUFFER, needed\n";
    folder.write("own.yaml", file);
    let under = |profile: &str| folder.call(&["run", "mine.yaml", "--profile", profile]);
    assert_eq!(folder.call(&["run", "mine.yaml"]).exit, 0);
    assert_eq!(under("documented").exit, 0);
    let nt_mapped = under("nt-mapped");
    assert_eq!(nt_mapped.exit, 1);
    assert!(
        nt_mapped.stdout.contains("observed: WSAEFAULT, bytes returned 128 (needed)"),
        "{}",
        nt_mapped.stdout
    );
    assert!(nt_mapped.stdout.contains(", on sim with the profile nt-mapped, seed "), "{}", nt_mapped.stdout);
    assert_eq!(under("doc-parameters").exit, 1);
    let own = under("own.yaml");
    assert_eq!(own.exit, 0, "{}", own.stdout);
    assert!(own.stdout.contains(", on sim with the profile own.yaml, seed "), "{}", own.stdout);
}

#[rstest]
#[case::no_such_profile(
    "nope",
    "error: `nope` is neither a built-in profile nor a file\n |\n \
     = help: built in are documented, doc-parameters, nt-mapped\n"
)]
#[case::unknown_field(
    "field.yaml",
    "error: there is no profile field `set-twize`\n \
      --> field.yaml:3:3\n  |\n3 |   set-twize: append\n  |   ^^^^^^^^^ did you mean `set-twice`?\n"
)]
#[case::unknown_value(
    "value.yaml",
    "error: `often` is no value of the profile field `set-twice`; known are `replace`, `append`\n \
      --> value.yaml:3:14\n  |\n3 |   set-twice: often\n  |              ^^^^^\n"
)]
fn profile_that_is_wrong_is_bad_usage(#[case] profile: &str, #[case] message: &str) {
    let folder = Folder::with("mine.yaml", MIXED);
    folder.write("field.yaml", "schema: wfp-conformance/profile/v1\nfields:\n  set-twize: append\n");
    folder.write("value.yaml", "schema: wfp-conformance/profile/v1\nfields:\n  set-twice: often\n");
    for command in ["run", "list", "check"] {
        let called = folder.call(&[command, "mine.yaml", "--profile", profile]);
        assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message.to_owned() });
    }
}
