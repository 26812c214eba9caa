//! `init`: a first scenario.

use std::io::Write;
use std::path::Path;

use super::{Exit, Stop};
use crate::scenario;

const SCENARIO: &str = include_str!("first-scenario.yaml");

pub(super) fn init(dir: &Path, out: &mut dyn Write) -> Result<Exit, Stop> {
    let failed = |path: &Path, error: std::io::Error| {
        Stop::Because(Exit::Output, format!("{} could not be written: {error}", path.display()))
    };
    let file = dir.join("my-driver.yaml");
    let schema_file = dir.join("scenario.schema.json");
    if let Some(there) = [&file, &schema_file].into_iter().find(|path| path.exists()) {
        let message = format!("{} is there already, and was left as it is", there.display());
        return Err(Stop::Because(Exit::Usage, message));
    }
    let schema = serde_json::to_string_pretty(&scenario::schema()).unwrap_or_default() + "\n";
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    std::fs::write(&schema_file, schema).map_err(|error| failed(&schema_file, error))?;
    std::fs::write(&file, SCENARIO).map_err(|error| failed(&file, error))?;
    writeln!(
        out,
        "{} is a scenario to start from: describe your driver and your service in it, then",
        file.display()
    )?;
    writeln!(out, "  wfp-conformance run -v {}", file.display())?;
    Ok(Exit::Success)
}
