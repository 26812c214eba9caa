//! SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT: what the callout that redirected this connection left for its
//! service.
//!
//! It is the context of the last redirect in the records: the code has no argument that would name a handle, and
//! the process is not what decides (docs/behaviour.md, "Chains", U-06).
//!
//! Source: win32 page of the code.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{ContextId, FlowId};
use crate::socket::{Connection, Flow, Side, Socket, State};
use crate::world::World;

/// The context; `None` where there is none, or where the connection was not redirected to this socket.
pub(super) fn output<'w>(world: &'w World, socket: &Socket) -> Option<&'w [u8]> {
    stored(&world.flows, &world.contexts, socket)
}

pub(super) fn stored<'w>(
    flows: &BTreeMap<FlowId, Arc<Flow>>,
    contexts: &'w BTreeMap<ContextId, Arc<[u8]>>,
    socket: &Socket,
) -> Option<&'w [u8]> {
    let State::Connected(Connection { flow, side: Side::Server, .. }) = &socket.state else { return None };
    let last = flows.get(flow)?.records.as_ref()?.entries().last()?;
    contexts.get(&last.context?).map(|bytes| &**bytes)
}
