//! Scenarios for connection redirection in the Windows Filtering Platform (WFP): redirect services, callouts and
//! proxy loops.
//!
//! # The problem
//!
//! Several products on one Windows machine redirect connections to proxies of their own. Whether yours gets on with
//! the others depends on details that nobody sees until a customer's connections go round for ever: which socket
//! the redirect records are set on and when, which redirect state a callout takes for which, how large a buffer is.
//! And what Windows answers to a buffer that is too small, the documents say in four different ways.
//!
//! # An example
//!
//! A scenario describes what your driver and your service do, as data, and what must come of it. Here a service
//! forgets to set the redirect records; the connection goes round, and the test says where the records were lost.
//!
//! ```
//! use wfp_conformance::SimBackend;
//! use wfp_conformance::run::{self, Options};
//! use wfp_conformance::scenario::Suite;
//! use wfp_sim::Profile;
//!
//! let text = "
//! schema: wfp-conformance/scenario/v1
//! hosts: {server: {listen: [443]}}
//! processes: {browser: {}}
//! callouts: {my-driver: {redirect-to: my-service}}
//! services: {my-service: {listen: 'loopback:1001', set: never}}
//! cases:
//!   - id: forgets-the-records
//!     steps:
//!       - follow: {from: browser, to: 'server:443'}
//! ";
//! let suite = Suite::from_text("mine.yaml", text, &Profile::documented()).unwrap();
//! let runs = run::run(&suite, &Options::default(), &|| Ok(Box::new(SimBackend::default()))).unwrap();
//!
//! let ending = runs[0].ending().unwrap();
//! let cycle = ending.cycle.as_ref().unwrap();
//! assert_eq!(cycle.records_lost_at.as_deref(), Some("my-service"));
//! assert_eq!(cycle.why.name(), "never-set");
//! ```
//!
//! In a project of your own you would keep the YAML in files, load them with [`Suite::load`](scenario::Suite::load),
//! and assert that every run [`Passed`](run::Status::Passed); or leave Rust aside and use the command line.
//!
//! # How it is built, and why
//!
//! - [`vocabulary`]: an [`Op`](vocabulary::Op) is a call, an [`Observation`](vocabulary::Observation) what the
//!   caller could see, and a [`Backend`](vocabulary::Backend) a machine. Nothing else talks to a machine, so the same
//!   scenario runs on the model and on Windows.
//! - [`SimBackend`]: the model of `wfp-sim` behind that trait.
//! - `WindowsBackend`, on Windows alone: real sockets, and a real process for each of a scenario. [`driver_adapter`]: the
//!   command of yours that redirects connections there.
//! - [`follow`]: redirect services as policies, played by a [`Follower`](follow::Follower) that goes along with a
//!   connection until it ends. A loop is what repeats; it is never a timeout.
//! - [`clients`]: clients seen in the field, whose ways a service takes over by name.
//! - [`vendors`]: drivers of the field with their services, which scenarios set up beside their own.
//! - [`scenario`]: the YAML format; [`yaml`] gives every error its place in the file.
//! - [`requirements`]: the statements of the documents that cases cover; [`regressions`]: what once went wrong in the field.
//! - [`run`]: cases, summary and report; [`sweep`]: cases over their variants, as tables; [`cli`]: the command line around it.

// Windows is called by `windows::system` alone.
#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(windows, deny(unsafe_code))]

pub mod agent;
pub mod backends;
mod child;
pub mod cli;
pub mod clients;
mod dialling;
pub mod diff;
pub mod driver_adapter;
pub mod exec;
pub mod expectations;
pub mod follow;
mod only;
mod printable;
pub mod probe;
pub mod profile_file;
pub mod record;
pub mod regressions;
pub mod replay;
pub mod requirements;
pub mod run;
pub mod scenario;
mod sim_backend;
pub mod sweep;
pub mod vendors;
pub mod vocabulary;
#[cfg(any(windows, test))]
mod windows;
pub mod wire;
pub mod yaml;

pub use only::Only;
pub use sim_backend::SimBackend;
#[cfg(windows)]
pub use windows::WindowsBackend;
