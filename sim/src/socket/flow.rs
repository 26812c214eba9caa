//! A connection and its two ends.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Authorized;
use crate::canonical::Renumber;
use crate::datagram::Traffic;
use crate::ids::{ContextId, PendingId};
use crate::profile::Profile;
use crate::records::Records;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// The end that connected.
    Client,
    /// The end that was accepted.
    Server,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A connection, or a flow of datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    pub(crate) client: End,
    pub(crate) server: End,
    /// What the acceptor can ask for; `None` where the connection was not redirected to it.
    pub(crate) records: Option<Arc<Records>>,
    /// The destination that the client of a redirected connection asked for; `None` where there are no records.
    pub(crate) original: Option<SocketAddr>,
    /// The image of the first application behind a connection with records.
    pub(crate) original_app: Option<Arc<str>>,
    /// When it was last authorized.
    pub(crate) authorized: Authorized,
    /// The contexts that are freed with this connection.
    pub(crate) contexts: Vec<ContextId>,
    /// What a flow of datagrams is beside this; TCP's connections have none.
    pub(crate) datagrams: Option<Traffic>,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four things that can each be so at an end, in any combination"
)]
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    /// Arrived, and not read yet.
    pub(crate) received: Vec<u8>,
    pub(crate) closed: bool,
    /// The peer will send no more.
    pub(crate) finished: bool,
    /// The peer, or a shutdown at this end, ended the connection abruptly.
    pub(crate) reset: bool,
    pub(crate) shut_receive: bool,
    /// A receive that waits for data.
    pub(crate) waiting: Option<Receiver>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Receiver {
    pub(crate) pending: PendingId,
    /// So many bytes at most.
    pub(crate) length: usize,
}

impl End {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            received: Vec::new(),
            closed: false,
            finished: false,
            reset: false,
            shut_receive: false,
            waiting: None,
        }
    }
}

impl Flow {
    pub(crate) fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber, profile: &Profile) -> Self {
        let mut flow = self.clone();
        flow.records = self.records.as_deref().map(|records| Arc::new(renumber.records(records, profile)));
        flow.contexts.iter_mut().for_each(|context| *context = renumber.context(*context));
        if let Some(traffic) = &mut flow.datagrams {
            traffic.renumber(renumber);
        }
        for side in [Side::Client, Side::Server] {
            if let Some(receiver) = &mut flow.end_mut(side).waiting {
                receiver.pending = renumber.pending(receiver.pending);
            }
        }
        flow
    }
}
