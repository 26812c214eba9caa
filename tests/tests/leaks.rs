//! What a driver leaves behind fails a case that does not say it, and so does a leak that is said and does not happen.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use rstest::rstest;
use wfp_tests::{play, suite};

const GROUND: &str = "
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts: {driver: {redirect-to: proxy, on-unload: {destroys-handles: HABIT}}}
services: {proxy: {listen: 'loopback:1001'}}
cases:
  - id: mine
    LEAKS
    PROFILE
    steps: [STEPS]
";

const FOLLOW: &str = "{follow: {from: app, to: 'server:443', keep-open: true}}";
const UDP: &str = "{name: s, process: app, op: {socket: {protocol: udp}}}, {process: app, op: {connect: {socket: s, to: 'server:53'}}}";
const NEVER: &str = "profile: {connected-udp-context: never}";

/// What was expected and observed where the case failed.
fn failure(habit: bool, leaks: &str, profile: &str, steps: &str) -> Option<String> {
    let text = GROUND.replace("HABIT", &habit.to_string());
    let text = text.replace("LEAKS", leaks).replace("PROFILE", profile).replace("STEPS", steps);
    let played = play(suite(&text), "documented");
    let failure = played.runs[0].failure.as_ref()?;
    Some(format!("expected {}; observed {}", failure.expected, failure.observed))
}

#[rstest]
#[case::nothing(true, "", "", FOLLOW, None)]
#[case::handle_that_is_not_said(
    false,
    "",
    "",
    FOLLOW,
    Some("expected nothing left by the driver of driver; observed 1 redirect handle")
)]
#[case::handle_that_is_said(false, "leaks: {driver: {redirect-handles: 1}}", "", FOLLOW, None)]
#[case::too_many_said(
    false,
    "leaks: {driver: {redirect-handles: 2}}",
    "",
    FOLLOW,
    Some("expected 2 redirect handles left by the driver of driver; observed 1 redirect handle")
)]
#[case::of_another_kind(
    false,
    "leaks: {driver: {contexts: 1}}",
    "",
    FOLLOW,
    Some("expected 1 context left by the driver of driver; observed 1 redirect handle")
)]
#[case::handle_that_does_not_leak(
    true,
    "leaks: {driver: {redirect-handles: 1}}",
    "",
    FOLLOW,
    Some("expected 1 redirect handle left by the driver of driver; observed nothing")
)]
#[case::context_that_is_not_said(
    true,
    "",
    NEVER,
    UDP,
    Some("expected nothing left by the driver of driver; observed 1 context")
)]
#[case::context_that_is_said(true, "leaks: {driver: {contexts: 1}}", NEVER, UDP, None)]
#[case::both(
    false,
    "leaks: {driver: {contexts: 1}}",
    NEVER,
    UDP,
    Some("expected 1 context left by the driver of driver; observed 1 context, 1 redirect handle")
)]
fn leak_is_said_exactly_or_fails_the_case(
    #[case] habit: bool,
    #[case] leaks: &str,
    #[case] profile: &str,
    #[case] steps: &str,
    #[case] expected: Option<&str>,
) {
    assert_eq!(failure(habit, leaks, profile, steps).as_deref(), expected);
}
