//! Files that use others.

use rstest::rstest;

use crate::common::Folder;
use crate::{assert_message, refuse};

pub(crate) const GROUND: &str = "schema: wfp-conformance/scenario/v1\nprocesses: {app: {}}\n";

pub(crate) fn using(used: &str) -> String {
    format!("{GROUND}use: {used}\ncases:\n  - {{id: x, steps: [{{process: app, op: {{socket: {{}}}}}}]}}\n")
}

#[rstest]
#[case("use-of-a-missing-file", "[ground.yaml, other.yaml]", GROUND)]
#[case("use-of-a-folder", "[.]", GROUND)]
#[case("use-of-itself", "[mine.yaml]", GROUND)]
#[case("use-in-a-circle", "[ground.yaml]", "schema: wfp-conformance/scenario/v1\nuse: [mine.yaml]\n")]
#[case("use-that-is-no-list", "ground.yaml", GROUND)]
#[case("use-of-no-name", "[{ground: yaml}]", GROUND)]
#[case("use-of-an-unknown-vendor", "[ground.yaml, 'vendor:wfp-sampl']", GROUND)]
#[case("use-of-a-vendor-without-a-name", "['vendor:']", GROUND)]
#[case("mistake-in-a-used-file", "[ground.yaml]", "schema: wfp-conformance/scenario/v1\nhots: {}\n")]
#[case(
    "wrong-type-in-a-used-file",
    "[ground.yaml]",
    "schema: wfp-conformance/scenario/v1\nhosts: {server: 1}\n"
)]
#[case(
    "unknown-name-in-a-used-file",
    "[ground.yaml]",
    "schema: wfp-conformance/scenario/v1\ncallouts: {c: {redirect-to: d}}\n"
)]
fn use_that_does_not_work_is_shown_where_it_is(#[case] name: &str, #[case] used: &str, #[case] ground: &str) {
    let folder = Folder::with("mine.yaml", using(used));
    folder.write("ground.yaml", ground);
    let message = refuse(&folder, "mine.yaml");
    assert_eq!(message.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{message}");
    assert_message(name, &message);
}
