//! The layers of the filter engine that bear on redirection, in the order in which a connection meets them.
//!
//! Source: win32 "TCP Packet Flows", "UDP Packet Flows", "ALE Layers"; docs/behaviour.md, "Layers".

use std::fmt;

use crate::address::Family;

/// A layer of the filter engine, of one IP version: `FWPS_LAYER_ALE_CONNECT_REDIRECT_V4` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// What happens there.
    pub kind: LayerKind,
    /// For which IP version.
    pub family: Family,
}

/// What a layer is for, without the IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// `ALE_BIND_REDIRECT`: a bind can be given another address, for the life of the socket.
    BindRedirect,
    /// `ALE_RESOURCE_ASSIGNMENT`: a bind is authorized.
    ResourceAssignment,
    /// `ALE_CONNECT_REDIRECT`: a connect, or the first datagram of a flow, can be given another destination.
    ConnectRedirect,
    /// `ALE_AUTH_CONNECT`: a connect, or the first datagram of a flow, is authorized.
    AuthConnect,
    /// `INBOUND_IPPACKET`: the packet that carries the connect, where it arrives.
    InboundIppacket,
    /// `ALE_AUTH_RECV_ACCEPT`: what arrived is authorized.
    AuthRecvAccept,
    /// `ALE_FLOW_ESTABLISHED`: both ends are told that there is a flow.
    FlowEstablished,
}

impl LayerKind {
    /// Every kind, in the order in which a connection of TCP meets them.
    pub const ALL: [Self; 7] = [
        Self::BindRedirect,
        Self::ResourceAssignment,
        Self::ConnectRedirect,
        Self::AuthConnect,
        Self::InboundIppacket,
        Self::AuthRecvAccept,
        Self::FlowEstablished,
    ];

    /// The layer's name without `FWPS_LAYER_` in front and the IP version behind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BindRedirect => "ALE_BIND_REDIRECT",
            Self::ResourceAssignment => "ALE_RESOURCE_ASSIGNMENT",
            Self::ConnectRedirect => "ALE_CONNECT_REDIRECT",
            Self::AuthConnect => "ALE_AUTH_CONNECT",
            Self::InboundIppacket => "INBOUND_IPPACKET",
            Self::AuthRecvAccept => "ALE_AUTH_RECV_ACCEPT",
            Self::FlowEstablished => "ALE_FLOW_ESTABLISHED",
        }
    }

    /// The layer of this kind for `family`.
    #[must_use]
    pub fn of(self, family: Family) -> Layer {
        Layer { kind: self, family }
    }

    /// The layers of this kind for IPv4 and for IPv6.
    #[must_use]
    pub fn both(self) -> [Layer; 2] {
        [self.of(Family::Ipv4), self.of(Family::Ipv6)]
    }

    /// Whether callouts can modify what is classified there, and pend it by `FwpsPendClassify0`.
    ///
    /// Source: ddi "FwpsPendClassify0": of the layers that the model has, the two redirect layers.
    #[must_use]
    pub fn is_redirect(self) -> bool {
        matches!(self, Self::BindRedirect | Self::ConnectRedirect)
    }
}

impl Layer {
    /// How many layers there are.
    pub(crate) const COUNT: usize = LayerKind::ALL.len() * 2;

    /// Every layer, in the order in which a connection meets them.
    pub fn all() -> impl Iterator<Item = Self> {
        LayerKind::ALL.into_iter().flat_map(LayerKind::both)
    }

    pub(crate) fn index(self) -> usize {
        self.kind as usize * 2 + usize::from(self.family == Family::Ipv6)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.family {
            Family::Ipv4 => "V4",
            Family::Ipv6 => "V6",
        };
        write!(f, "{}_{version}", self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_place_of_its_own_and_its_name() {
        assert_eq!(Layer::all().map(Layer::index).collect::<Vec<_>>(), (0..Layer::COUNT).collect::<Vec<_>>());
        let names: Vec<String> = Layer::all().map(|layer| layer.to_string()).collect();
        assert_eq!(
            names[4..8],
            [
                "ALE_CONNECT_REDIRECT_V4",
                "ALE_CONNECT_REDIRECT_V6",
                "ALE_AUTH_CONNECT_V4",
                "ALE_AUTH_CONNECT_V6",
            ]
        );
    }
}
