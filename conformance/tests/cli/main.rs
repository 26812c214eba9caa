//! The command line as a child process: what its users, scripts and dashboards rely on.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../common/mod.rs"]
mod common;

mod ci;
mod commands;
mod example;
mod exec;
mod expectations;
mod explain;
mod files;
mod init;
mod outputs;
mod probe;
mod profile;
mod recordings;
mod report;
mod reports;
mod requirements;
mod run;
mod sweep;
mod usage;

/// A careful service, one that forgets the records, and an expectation that does not hold.
pub(crate) const MIXED: &str = "\
schema: wfp-conformance/scenario/v1
hosts: {server: {listen: [443]}}
processes: {app: {}}
callouts: {driver: {redirect-to: proxy}}
services: {proxy: {listen: 'loopback:1001'}}
cases:
  - id: careful
    requirements: [chains.bounded]
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached, connects: 2}}
  - id: hopes
    requirements: [chains.never-set, chains.bounded]
    services: {proxy: {set: never}}
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: reached}}
  - id: forgets
    requirements: [chains.never-set]
    services: {proxy: {set: never}}
    steps:
      - follow: {from: app, to: 'server:443'}
        expect: {outcome: {end: loop, cycle: {services: [proxy], records-lost-at: proxy, why: never-set}}}
";

/// The report without the one value that differs from run to run.
pub(crate) fn masked(report: &str) -> String {
    let mask = |line: &str| match line.trim_start().strip_prefix("\"duration_us\": ") {
        Some(number) => {
            assert!(number.trim_end_matches(',').parse::<u64>().is_ok(), "{line}");
            line.replace(number, "0,")
        }
        None => line.to_owned(),
    };
    report.lines().map(mask).collect::<Vec<_>>().join("\n")
}
