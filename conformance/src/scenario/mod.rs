//! Scenario files: their format, how they are read and put together, and what is wrong with one.

mod check;
mod expect;
mod features;
mod format;
mod ground;
mod library;
mod load;
mod schema;

pub(crate) use expect::Difference;
pub use expect::{
    BugCheckName, ByProfile, BytesExpect, Completes, ControlExpect, CycleExpect, ErrorExpect, Expect,
    Fetched, HopExpect, Known, OkExpect, OutcomeExpect, StatusExpect, TruncatedExpect,
};
pub use format::{Callout, Case, Follow, Host, RedirectEndpoint, SCHEMA, Scalar, Step, Sweep, SweepRow};
pub use load::{LoadedCase, Suite, Variant};
pub use schema::schema;
