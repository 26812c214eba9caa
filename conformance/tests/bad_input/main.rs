//! What somebody reads who made a mistake in a scenario file: one message, with its place, and nothing was run.
//!
//! Each mistake is one change to a sound file. The messages are in `snapshots/`, one file for each kind of mistake.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../common/mod.rs"]
mod common;

mod files;
mod limits;
mod mistakes;
mod uses;

use self::common::Folder;

/// A sound file, in which each mistake is made.
pub(crate) const SOUND: &str = "\
schema: wfp-conformance/scenario/v1
title: My driver and my service
hosts:
  server: {listen: [443]}
processes:
  app: {}
callouts:
  driver:
    match: {remote-host: server, remote-port: 443}
    redirect-to: proxy
    exempt: []
    context: destination
services:
  proxy: {listen: 'loopback:1001', set: before-bind}
variants:
  family:
    v4: {}
    v6: {steps: [{name: journey, follow: {family: ipv6}}]}

cases:
  - id: followed
    title: The connection reaches its destination.
    requirements: [chains.bounded]
    profile: {set-twice: replace}
    steps:
      - name: journey
        follow: {from: app, to: 'server:443'}
        expect:
          outcome:
            end: reached
            connects: 2
            hops:
              - {by: app, sees: {driver: not-redirected}, records: [], accepted-by: proxy}
              - {by: proxy, records: [driver], accepted-by: 'server:443'}
  - id: by-hand
    title: A socket that was not accepted has no records.
    variants: {}
    steps:
      - {name: client, process: app, op: {socket: {}}}
      - {process: app, op: {bind: {socket: client, to: 'any:2000'}}}
      - process: app
        op: {query-records: {socket: client, out: {length: 1024}}}
        expect: {error: WSAENOTCONN}
      - process: app
        sweep:
          op: {query-context: {socket: client}}
          state: bound
          rows:
            - {lengths: [4, needed-1, 1024], expect: {error: WSAENOTCONN}}
";

/// `run` and `check` refuse what is in the folder in the same words, and leave the folder as it was.
pub(crate) fn refuse(folder: &Folder, path: &str) -> String {
    let before = folder.content();
    let run = folder.call(&["run", path, "--report", "json=report.json"]);
    assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    let check = folder.call(&["check", path]);
    assert_eq!(check, run);
    assert_eq!(folder.content(), before, "something was written");
    run.stderr
}

/// The same, where there is only one thing to say, and the text to show it in.
pub(crate) fn refuse_text(text: &str) -> String {
    let message = refuse(&Folder::with("mine.yaml", text), "mine.yaml");
    assert_eq!(message.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{message}");
    assert_eq!(message.matches("--> mine.yaml:").count(), 1, "{message}");
    message
}

/// The sound file with one mistake in it.
pub(crate) fn sound_but(right: &str, wrong: &str) -> String {
    assert_eq!(SOUND.matches(right).count(), 1, "`{right}` is to be there once");
    SOUND.replace(right, wrong)
}

/// Compares with the message in `snapshots/NAME.snap`.
pub(crate) fn assert_message(name: &str, message: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, message));
}
