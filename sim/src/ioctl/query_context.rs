//! SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT: what the callout that redirected this connection left for its
//! service.
//!
//! It is the context of the last redirect in the records: the code has no argument that would name a handle, and
//! the process is not what decides (docs/behaviour.md, "Chains", U-06).
//!
//! Source: win32 page of the code.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::ContextId;
use crate::records::Records;

/// What the query stores for a connection that arrived with these records; `None` where the last redirect carried
/// no context, or it is freed.
pub(super) fn output<'w>(
    records: &Records,
    contexts: &'w BTreeMap<ContextId, Arc<[u8]>>,
) -> Option<&'w [u8]> {
    let last = records.entries().last()?;
    contexts.get(&last.context?).map(|bytes| &**bytes)
}
