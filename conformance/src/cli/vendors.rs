//! `vendors`: the drivers of the field that scenarios can use, and the file of one.

use std::io::Write;

use super::{Exit, Stop};
use crate::vendors::Vendor;
use crate::yaml::nearest;

pub(super) fn vendors(name: Option<&str>, out: &mut dyn Write) -> Result<Exit, Stop> {
    let Some(name) = name else {
        list(out)?;
        return Ok(Exit::Success);
    };
    // As it stands in `use`, too.
    let name = Vendor::named_by(name).unwrap_or(name);
    if let Some(vendor) = Vendor::by_name(name) {
        write!(out, "{}", vendor.text)?;
        return Ok(Exit::Success);
    }
    let hint = match nearest(name, Vendor::all().iter().map(|vendor| vendor.name)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; `wfp-conformance vendors` lists them".to_owned(),
    };
    Err(Stop::Because(Exit::Usage, format!("there is no vendor `{name}`{hint}")))
}

/// What a vendor is, and where it was seen; `false` where there is none of this name.
pub(super) fn explain(name: &str, out: &mut dyn Write) -> std::io::Result<bool> {
    let Some(Vendor { name, title, source, .. }) = Vendor::by_name(name) else { return Ok(false) };
    writeln!(out, "{name}: a vendor, for `use: ['vendor:{name}']`\n\n{title}.\nSource: {source}")?;
    writeln!(out, "`wfp-conformance vendors {name}` prints its file.")?;
    Ok(true)
}

pub(super) fn list(out: &mut dyn Write) -> std::io::Result<()> {
    for vendor in Vendor::all() {
        writeln!(out, "{}\n    {}", vendor.name, vendor.title)?;
    }
    Ok(())
}
