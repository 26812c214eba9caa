//! placeholder

pub mod yaml;
