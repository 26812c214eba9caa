//! What the kernel does with a connect: the layers that are asked, what each callout sees there and does.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::engine::LayerKind;

use super::{Endpoint, Name, SocketFamily, StateName};

/// A connect, as the kernel saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hop {
    /// How the destination was written.
    pub family: SocketFamily,
    /// The destination that was dialled.
    pub destination: Endpoint,
    /// The handles in the records on the socket, oldest first.
    pub records: Vec<Name>,
    /// Each layer that was asked, in this order: connect-redirect always, others where a filter matched.
    pub classifies: Vec<Classified>,
    /// Where the connect went.
    pub target: Endpoint,
    /// What became of the redirect, if there was one.
    pub redirected: Option<Redirected>,
    /// The handles in the records that the acceptor can ask for, oldest first.
    pub delivered: Vec<Name>,
    /// Bytes of those records.
    pub delivered_bytes: u32,
}

impl Hop {
    /// What each callout saw and did at connect-redirect, in the order in which they were asked.
    pub fn inspections(&self) -> impl Iterator<Item = &Inspected> {
        self.inspections_at(LayerName::ConnectRedirect)
    }

    /// The same at another layer.
    pub fn inspections_at(&self, layer: LayerName) -> impl Iterator<Item = &Inspected> {
        let there = self.classifies.iter().filter(move |classified| classified.layer == layer);
        there.flat_map(|classified| &classified.inspections)
    }
}

/// A layer without its IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayerName {
    /// `ALE_BIND_REDIRECT`.
    BindRedirect,
    /// `ALE_RESOURCE_ASSIGNMENT`.
    ResourceAssignment,
    /// `ALE_CONNECT_REDIRECT`.
    ConnectRedirect,
    /// `ALE_AUTH_CONNECT`.
    AuthConnect,
    /// `INBOUND_IPPACKET`.
    InboundIppacket,
    /// `ALE_AUTH_RECV_ACCEPT`.
    AuthRecvAccept,
    /// `ALE_FLOW_ESTABLISHED`.
    FlowEstablished,
}

impl LayerName {
    /// Every layer, in the order in which a connection meets them.
    pub const ALL: [Self; 7] = [
        Self::BindRedirect,
        Self::ResourceAssignment,
        Self::ConnectRedirect,
        Self::AuthConnect,
        Self::InboundIppacket,
        Self::AuthRecvAccept,
        Self::FlowEstablished,
    ];

    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BindRedirect => "bind-redirect",
            Self::ResourceAssignment => "resource-assignment",
            Self::ConnectRedirect => "connect-redirect",
            Self::AuthConnect => "auth-connect",
            Self::InboundIppacket => "inbound-ippacket",
            Self::AuthRecvAccept => "auth-recv-accept",
            Self::FlowEstablished => "flow-established",
        }
    }
}

impl From<LayerKind> for LayerName {
    fn from(kind: LayerKind) -> Self {
        Self::ALL[kind as usize]
    }
}

impl From<LayerName> for LayerKind {
    fn from(name: LayerName) -> Self {
        Self::ALL[name as usize]
    }
}

/// A flag of a classify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlagName {
    /// `IS_LOOPBACK`.
    Loopback,
    /// `IS_REAUTHORIZE`.
    Reauthorize,
    /// `IS_WILDCARD_BIND`.
    WildcardBind,
    /// `IS_IMPLICIT_BIND`.
    ImplicitBind,
    /// `IS_CONNECTION_REDIRECTED`.
    ConnectionRedirected,
    /// `IS_PROXY_CONNECTION`.
    ProxyConnection,
}

impl FlagName {
    /// Every flag, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Loopback,
        Self::Reauthorize,
        Self::WildcardBind,
        Self::ImplicitBind,
        Self::ConnectionRedirected,
        Self::ProxyConnection,
    ];

    /// The name that Windows has for it, without `FWP_CONDITION_FLAG_` in front.
    #[must_use]
    pub fn name(self) -> &'static str {
        wfp_sim::engine::Flags::NAMES[self as usize].1
    }
}

/// A classify at one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Classified {
    /// The layer.
    pub layer: LayerName,
    /// Its IP version.
    pub ipv6: bool,
    /// The flags that every callout was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagName>,
    /// The local address and port.
    pub local: Endpoint,
    /// The remote address and port; none at the bind layers.
    pub remote: Option<Endpoint>,
    /// `ORIGINAL_DESTINATION` in the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_destination: Option<Endpoint>,
    /// Whether `LOCAL_REDIRECT_TARGET_PID` is in the metadata.
    #[serde(default)]
    pub target_pid: bool,
    /// What each filter that matched made of it, in the order in which they were asked.
    pub inspections: Vec<Inspected>,
    /// What arbitration made of that.
    pub end: ClassifyEnd,
}

impl Classified {
    /// The layer with its IP version, as Windows names it.
    #[must_use]
    pub fn layer_name(&self) -> String {
        let kind = LayerKind::from(self.layer);
        format!("{}_{}", kind.name(), if self.ipv6 { "V6" } else { "V4" })
    }
}

/// How a classify ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifyEnd {
    /// It is permitted.
    Permit,
    /// It is blocked.
    Block,
    /// A callout pended it.
    Pended,
    /// It never completes.
    Never,
    /// Windows did not survive it.
    BugCheck,
}

impl ClassifyEnd {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Block => "block",
            Self::Pended => "pended",
            Self::Never => "never",
            Self::BugCheck => "bug-check",
        }
    }
}

/// What a callout saw, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspected {
    /// The callout, or the filter that decided by itself.
    pub callout: Name,
    /// Whether it is a filter that decided by itself. It was told nothing.
    #[serde(default)]
    pub is_filter: bool,
    /// The redirect state that it was told.
    pub state: StateName,
    /// The bytes of its own context that it was given back.
    pub own_context_bytes: Option<u32>,
    /// The callouts that redirected earlier in the same classify, latest first: `previousVersion`.
    pub previous: Vec<Name>,
    /// The handle that it asked with.
    pub handle: Option<Name>,
    /// Whether it had the right to write an action.
    pub write_right: bool,
    /// What it did.
    pub did: Did,
    /// Whether the decision of the layer is a block from here on; none where nobody decided yet.
    pub blocks: Option<bool>,
    /// Whether lower sublayers may change that.
    pub overridable: bool,
}

/// What a callout did, or a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Did {
    /// What.
    pub what: DidName,
    /// Where it redirected to, or which local address it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Endpoint>,
}

impl Did {
    /// Whether it redirected.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.what == DidName::Redirect
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what.told())?;
        self.address.as_ref().map_or(Ok(()), |address| write!(f, " {address}"))
    }
}

/// What a callout or a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DidName {
    /// It permits.
    Permit,
    /// It permits, and takes the right to write away.
    HardPermit,
    /// It permits because another callout redirected in the same classify.
    PermitEarlierRedirect,
    /// It permits because it was asked before.
    PermitReauthorize,
    /// It leaves the decision to the next filter.
    Continue,
    /// It blocks.
    Block,
    /// It blocks, and takes the right to write away.
    HardBlock,
    /// It blocks without the right to write.
    Veto,
    /// It does nothing, having no right to write.
    NoRight,
    /// It does nothing, taking the right to write for its absence.
    RightMisread,
    /// It permits without the right to write.
    PermitWithoutRight,
    /// It permits, to block at auth-connect.
    BlockLater,
    /// It blocks what it decided to block at connect-redirect.
    BlockRemembered,
    /// It redirects.
    Redirect,
    /// It changes the local address.
    Rebind,
    /// It would redirect, and has no target in this family.
    NoTarget,
    /// It acquires the layer data and does not apply it.
    NotApplied,
    /// It pends the request.
    Pend,
    /// It blocks because it redirected too often.
    TooMany,
    /// It lets a copy of the packet go on instead.
    CloneAndReinject,
}

impl DidName {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::HardPermit => "hard-permit",
            Self::PermitEarlierRedirect => "permit-earlier-redirect",
            Self::PermitReauthorize => "permit-reauthorize",
            Self::Continue => "continue",
            Self::Block => "block",
            Self::HardBlock => "hard-block",
            Self::Veto => "veto",
            Self::NoRight => "no-right",
            Self::RightMisread => "right-misread",
            Self::PermitWithoutRight => "permit-without-right",
            Self::BlockLater => "block-later",
            Self::BlockRemembered => "block-remembered",
            Self::Redirect => "redirect",
            Self::Rebind => "rebind",
            Self::NoTarget => "no-target",
            Self::NotApplied => "not-applied",
            Self::Pend => "pend",
            Self::TooMany => "too-many",
            Self::CloneAndReinject => "clone-and-reinject",
        }
    }

    /// The same in a trace; of those that give an address, that follows.
    fn told(self) -> &'static str {
        match self {
            Self::Permit => "permits",
            Self::HardPermit => "permits for good",
            Self::PermitEarlierRedirect => "permits: redirected already in this classify",
            Self::PermitReauthorize => "permits: asked before",
            Self::Continue => "continues",
            Self::Block => "blocks",
            Self::HardBlock => "blocks for good",
            Self::Veto => "vetoes",
            Self::NoRight => "does nothing: no right to write",
            Self::RightMisread => "does nothing: takes the right to write for its absence",
            Self::PermitWithoutRight => "permits without the right to write",
            Self::BlockLater => "permits, to block at ALE_AUTH_CONNECT",
            Self::BlockRemembered => "blocks, as decided at ALE_CONNECT_REDIRECT",
            Self::Redirect => "redirects to",
            Self::Rebind => "changes the local address to",
            Self::NoTarget => "permits: no target in this family",
            Self::NotApplied => "acquires the layer data, and does not apply it",
            Self::Pend => "pends",
            Self::TooMany => "blocks: redirected too often",
            Self::CloneAndReinject => "lets a copy of the packet go on instead",
        }
    }
}

/// What became of a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redirected {
    /// To a process of this machine.
    Locally {
        /// The handle, which the acceptor's records now end with; none where the way there is not loopback, so that
        /// nothing travels with it.
        handle: Option<Name>,
    },
    /// To another host.
    Remotely,
    /// It was not accepted.
    NotAccepted(String),
}

#[cfg(test)]
mod tests {
    use wfp_sim::engine::Flags;

    use super::*;

    #[test]
    fn layers_and_flags_have_the_names_of_the_model() {
        for (kind, name) in LayerKind::ALL.into_iter().zip(LayerName::ALL) {
            assert_eq!((LayerName::from(kind), LayerKind::from(name)), (name, kind));
            let words = kind.name().trim_start_matches("ALE_").replace('_', "-").to_lowercase();
            assert_eq!(name.name(), words);
        }
        for ((_, known), name) in Flags::NAMES.into_iter().zip(FlagName::ALL) {
            assert_eq!(name.name(), known);
            let written = serde_json::to_value(name).unwrap();
            assert_eq!(known.trim_start_matches("IS_").replace('_', "-").to_lowercase(), written);
        }
    }
}
