//! Reports in files.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use super::outputs::is_no_regular_file;

/// A report is written whole or not at all: beside its place first, then moved there.
///
/// # Errors
/// A sentence: which file could not be written, and why.
pub(super) fn write_whole<E: Display>(file: &Path, report: Result<String, E>) -> Result<(), String> {
    let failed = |error: &dyn Display| format!("{} could not be written: {error}", file.display());
    let text = report.map_err(|error| failed(&error))?;
    // Nothing can take the place of a device or a pipe.
    if is_no_regular_file(file) {
        return std::fs::write(file, text).map_err(|error| failed(&error));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(failed(&format_args!("there is no folder {}", folder.display())));
    }
    let mut beside = readable_by_others().tempfile_in(folder).map_err(|error| failed(&error))?;
    beside.as_file_mut().write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    beside.persist(file).map_err(|error| failed(&error.error))?;
    Ok(())
}

/// Makes files with the permissions that any new file has, where temporary ones are their owner's alone.
fn readable_by_others() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is nothing to set"))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}
