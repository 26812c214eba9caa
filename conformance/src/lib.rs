//! placeholder

#![forbid(unsafe_code)]

pub mod cli;
pub mod follow;
pub mod profile_file;
pub mod requirements;
pub mod run;
pub mod scenario;
mod sim_backend;
pub mod vocabulary;
pub mod yaml;

pub use sim_backend::SimBackend;
