//! The scenario suite of `wfp-conformance`, as data: YAML files that drive a model of connection redirection in the
//! Windows Filtering Platform, or a real machine.
//!
//! The crate `wfp-conformance` runs them; this one only carries them, so that the command line has its suite
//! wherever it is installed.

#![forbid(unsafe_code)]

/// Each file: its path below `scenarios/`, with `/` between folders, and its text.
pub static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_there_and_names_its_schema() {
        assert!(!super::FILES.is_empty());
        for (path, text) in super::FILES {
            assert!(text.contains("schema: wfp-conformance/scenario/v1"), "{path}");
        }
    }
}
