//! SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS: the records of an accepted connection.
//!
//! Stored is the blob that stands for every redirect of the connection, those of earlier hops included, so that
//! the service can set it on the socket that it dials out with. Asking changes nothing: asked again, the same
//! bytes come.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Chains".

use crate::records::Records;

/// What the query stores for a connection that arrived with these records.
pub(super) fn output(records: &Records) -> &[u8] {
    records.blob()
}
