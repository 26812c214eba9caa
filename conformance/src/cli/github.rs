//! What `run` says to GitHub, where it runs in a workflow.

use std::path::Path;

use crate::run::Report;

/// The annotations of a run in a workflow; nothing elsewhere.
pub(super) fn annotations(report: &Report, denies_skips: bool) -> String {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|is| is != "true") {
        return String::new();
    }
    let root = std::env::var_os("GITHUB_WORKSPACE").unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    report.to_github(denies_skips, &|file| below(Path::new(&root), &here, file))
}

/// The path of a file below the root of the repository, with `/` on every OS; as it is where it lies elsewhere.
fn below(root: &Path, here: &Path, file: &str) -> String {
    let whole = here.join(file);
    let path = match whole.strip_prefix(root) {
        Ok(path) if !root.as_os_str().is_empty() => path.to_string_lossy().into_owned(),
        _ => file.to_owned(),
    };
    if cfg!(windows) { path.replace('\\', "/") } else { path }
}

#[cfg(all(test, unix))]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::at_the_root("/repo", "/repo", "a/b.yaml", "a/b.yaml")]
    #[case::below_it("/repo", "/repo/sub", "a/b.yaml", "sub/a/b.yaml")]
    #[case::absolute("/repo", "/elsewhere", "/repo/a/b.yaml", "a/b.yaml")]
    #[case::outside("/repo", "/elsewhere", "a/b.yaml", "a/b.yaml")]
    #[case::no_root("", "/elsewhere", "a/b.yaml", "a/b.yaml")]
    fn place_is_told_below_the_root_of_the_repository(
        #[case] root: &str,
        #[case] here: &str,
        #[case] file: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(below(Path::new(root), Path::new(here), file), expected);
    }
}
