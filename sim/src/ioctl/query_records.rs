//! SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS: the records of an accepted connection.
//!
//! Stored is the blob that stands for every redirect of the connection, those of earlier hops included, so that
//! the service can set it on the socket that it dials out with. Asking changes nothing: asked again, the same
//! bytes come.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Chains".

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::FlowId;
use crate::socket::{Connection, Flow, Side, Socket, State};
use crate::world::World;

/// The blob; `None` where the connection was not redirected to this socket.
pub(super) fn output<'w>(world: &'w World, socket: &Socket) -> Option<&'w [u8]> {
    stored(&world.flows, socket)
}

pub(super) fn stored<'w>(flows: &'w BTreeMap<FlowId, Arc<Flow>>, socket: &Socket) -> Option<&'w [u8]> {
    let State::Connected(Connection { flow, side: Side::Server, .. }) = &socket.state else { return None };
    Some(flows.get(flow)?.records.as_ref()?.blob())
}
