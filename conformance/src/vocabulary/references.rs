//! What the names in a call stand for.

use std::fmt;

use super::{
    Call, Dial, Endpoint, FilterSpec, Inside, KernelCall, Name, Overlapped, ReceiveMessage, SendMessage,
};

/// What a name in an op stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A socket.
    Socket,
    /// Bytes that a call stored or received.
    Blob,
    /// A call that goes on.
    Pending,
    /// A control code that was asked overlapped.
    Operation,
    /// A completion port.
    Port,
    /// A process.
    Process,
    /// A callout.
    Callout,
    /// A filter that decides by itself.
    Filter,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Blob => "records, context or data",
            Self::Pending => "pending call",
            Self::Operation => "overlapped operation",
            Self::Port => "completion port",
            Self::Process => "process",
            Self::Callout => "callout",
            Self::Filter => "filter",
        })
    }
}

impl Call {
    /// The names that the call refers to: the field that has each, and what it must stand for.
    #[must_use]
    pub fn references(&self) -> Vec<(&'static str, Role, &Name)> {
        let mut references = self.plain_references();
        if let (Some(Overlapped { reuse: Some(reuse), .. }), _) = self.ways() {
            references.push(("overlapped", Role::Operation, reuse));
        }
        references
    }

    fn plain_references(&self) -> Vec<(&'static str, Role, &Name)> {
        use Role::{Blob, Callout, Filter, Operation, Pending, Port, Process, Socket};
        match self {
            Self::SetUp(_)
            | Self::EndProcess {}
            | Self::AddFilter(FilterSpec { sublayer_of: None, .. })
            | Self::Socket { .. }
            | Self::Advance { .. }
            | Self::AlertableWait { .. }
            | Self::CreatePort {}
            | Self::CancelBlockingCall {}
            | Self::EndThread {}
            | Self::Network { .. }
            | Self::CountContexts {}
            | Self::CountAll {} => Vec::new(),
            Self::AddFilter(FilterSpec { sublayer_of: Some(callout), .. }) => {
                vec![("sublayer-of", Callout, callout)]
            }
            Self::RemoveFilter { filter } => vec![("filter", Filter, filter)],
            Self::RemoveCallout { callout }
            | Self::DestroyHandles { callout }
            | Self::CompleteClassify { callout, .. }
            | Self::KernelCall(KernelCall { callout, .. })
            | Self::UnloadDriver { callout }
            | Self::Account { callout } => vec![("callout", Callout, callout)],
            Self::AcceptEx { socket, into } => vec![("socket", Socket, socket), ("into", Socket, into)],
            Self::UpdateAcceptContext { socket, listening } => {
                vec![("socket", Socket, socket), ("listening", Socket, listening)]
            }
            Self::Connect { socket, to: Dial::Context(blob) | Dial::Source(blob), .. }
            | Self::SendTo { socket, to: Some(Dial::Context(blob) | Dial::Source(blob)), .. } => {
                vec![("socket", Socket, socket), ("to", Blob, blob)]
            }
            Self::SendMessage(SendMessage { socket, to, records, .. }) => {
                let to = match to {
                    Some(Dial::Context(blob) | Dial::Source(blob)) => Some(("to", Blob, blob)),
                    Some(Dial::Endpoint(_)) | None => None,
                };
                let records = records.as_ref().map(|records| ("records", Blob, records));
                std::iter::once(("socket", Socket, socket)).chain(to).chain(records).collect()
            }
            Self::Bind { socket, .. }
            | Self::Connect { socket, .. }
            | Self::Listen { socket, .. }
            | Self::Accept { socket }
            | Self::UpdateConnectContext { socket }
            | Self::Send { socket, .. }
            | Self::Receive { socket, .. }
            | Self::SendTo { socket, .. }
            | Self::ReceiveFrom { socket, .. }
            | Self::ReceiveMessage(ReceiveMessage { socket, .. })
            | Self::SetOption { socket, .. }
            | Self::GetOption { socket, .. }
            | Self::Shutdown { socket, .. }
            | Self::Close { socket }
            | Self::LocalName { socket }
            | Self::PeerName { socket }
            | Self::OriginalDestination { socket, .. }
            | Self::Ioctl { socket, .. }
            | Self::Stall { socket }
            | Self::Resume { socket }
            | Self::AcceptConditionally { socket, .. }
            | Self::CancelIo { socket, of: None }
            | Self::Describe { socket } => vec![("socket", Socket, socket)],
            Self::Duplicate { socket, process } => {
                vec![("socket", Socket, socket), ("for", Process, process)]
            }
            Self::QueryRecords(query) | Self::QueryContext(query) => vec![("socket", Socket, &query.socket)],
            Self::SetRecords(set) => {
                let records = set.records.iter().map(|records| ("records", Blob, records));
                std::iter::once(("socket", Socket, &set.socket)).chain(records).collect()
            }
            Self::WskControl(control) => {
                let records = control.records.iter().map(|records| ("records", Blob, records));
                std::iter::once(("socket", Socket, &control.socket)).chain(records).collect()
            }
            Self::SioFormatRecords(asked) => vec![("socket", Socket, &asked.socket)],
            Self::CancelIrp { of } => vec![("of", Operation, of)],
            Self::GetResult { of, .. } | Self::EventState { of } | Self::FreeMemory { of } => {
                vec![("of", Operation, of)]
            }
            Self::CancelIo { socket, of: Some(of) } => {
                vec![("socket", Socket, socket), ("of", Operation, of)]
            }
            Self::Associate { socket, port } => vec![("socket", Socket, socket), ("port", Port, port)],
            Self::Dequeue { port } => vec![("port", Port, port)],
            Self::Wait { calls, .. } => calls.iter().map(|call| ("for", Pending, call)).collect(),
        }
    }

    /// The calls that are made inside callbacks of this one.
    #[must_use]
    pub fn inside(&self) -> &[Inside] {
        match self {
            Self::AlertableWait { inside } | Self::AcceptConditionally { inside, .. } => inside,
            _ => &[],
        }
    }

    /// The endpoint that the call names, as a destination or to bind to.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Bind { to: endpoint, .. }
            | Self::Connect { to: Dial::Endpoint(endpoint), .. }
            | Self::SendTo { to: Some(Dial::Endpoint(endpoint)), .. }
            | Self::SendMessage(SendMessage { to: Some(Dial::Endpoint(endpoint)), .. }) => Some(endpoint),
            _ => None,
        }
    }

    /// The names that the call itself gives to parts of its result, beside the op's own.
    #[must_use]
    pub fn named_parts(&self) -> Vec<&Name> {
        match self {
            Self::ReceiveMessage(receive) => receive.records.iter().chain(&receive.context).collect(),
            _ => Vec::new(),
        }
    }

    /// What the result of the call can be referred to as.
    #[must_use]
    pub fn results(&self) -> &'static [Role] {
        match self {
            Self::Socket { .. } | Self::Duplicate { .. } | Self::AcceptConditionally { .. } => {
                &[Role::Socket]
            }
            Self::Accept { .. } => &[Role::Socket, Role::Pending],
            Self::Receive { .. }
            | Self::ReceiveFrom { .. }
            | Self::ReceiveMessage(_)
            | Self::GetResult { .. } => &[Role::Blob, Role::Pending],
            Self::AcceptEx { .. } | Self::Connect { .. } => &[Role::Pending],
            Self::CreatePort {} => &[Role::Port],
            Self::AddFilter(_) => &[Role::Filter],
            Self::OriginalDestination { .. } | Self::SioFormatRecords(_) => &[Role::Blob],
            Self::QueryRecords(_) | Self::QueryContext(_) | Self::WskControl(_) => {
                &[Role::Blob, Role::Pending, Role::Operation]
            }
            Self::SetRecords(_) | Self::Ioctl { .. } => &[Role::Pending, Role::Operation],
            _ => &[],
        }
    }
}
