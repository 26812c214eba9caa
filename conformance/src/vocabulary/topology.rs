//! Hosts, processes and callouts, as scenarios describe them and backends set them up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wfp_sim::RedirectState;

use super::{CalloutAction, Endpoint, FlagName, HabitsSpec, IpProtocol, LayerName, Name, OnUnload, PendSpec};

/// The name of the machine that the callouts are on.
pub const LOCAL: &str = "local";

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostSpec {
    /// Its name; `local` is the machine itself.
    pub name: Name,
    /// Whether nobody answers there, so that a connect waits until it times out.
    #[serde(default)]
    pub silent: bool,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProcessSpec {
    /// The image path; by default the process's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether it has administrative rights.
    #[serde(default)]
    pub elevated: bool,
    /// Whether it is a 32-bit program.
    #[serde(default)]
    pub wow64: bool,
    /// Whether it is a driver, which calls the kernel's functions. `elevated` is then the security context that its
    /// calls are made in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub driver: bool,
    /// The host that it runs on; by default the local one.
    #[serde(default = "local")]
    pub host: Name,
}

impl Default for ProcessSpec {
    fn default() -> Self {
        Self { image: None, elevated: false, wow64: false, driver: false, host: local() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

fn local() -> Name {
    LOCAL.into()
}

/// A callout: who is redirected, when, and to where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CalloutSpec {
    /// Its name.
    pub name: Name,
    /// The weight of its sublayer.
    pub sublayer: u16,
    /// The callout that it shares a sublayer with; by default it has one of its own.
    pub sublayer_of: Option<Name>,
    /// The layers that its filters are at, for both IP versions.
    pub layers: Vec<LayerName>,
    /// The weight of its filters.
    pub weight: u64,
    /// How its filters call it.
    pub action: CalloutAction,
    /// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT` of its filters.
    pub clear_action_right: bool,
    /// `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED` of its filters.
    #[serde(default)]
    pub permit_if_unregistered: bool,
    /// How it keeps the rules of the functions that it calls.
    pub habits: HabitsSpec,
    /// What it does with requests that it pends.
    pub pend: PendSpec,
    /// The local address that it gives to sockets and connections.
    pub rebind_to: Option<Endpoint>,
    /// Its redirect handles.
    pub handle: HandleSpec,
    /// Whether it leaves a connect alone that another callout redirected earlier in the same classify.
    pub heeds_earlier_redirect: bool,
    /// When its filters call it.
    pub matching: Match,
    /// What it does, first match first; nothing matched: permit.
    pub rules: Vec<RuleSpec>,
    /// Where it redirects to.
    pub redirect: Option<RedirectTo>,
    /// What context it leaves.
    pub context: ContextSpec,
    /// `localRedirectTargetPID`.
    pub target_pid: TargetPidSpec,
    /// What its driver does when it is unloaded.
    pub on_unload: OnUnload,
}

impl CalloutSpec {
    /// A callout that is asked at connect-redirect and permits, in a sublayer of its own of middle weight.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            sublayer: 0x8000,
            sublayer_of: None,
            layers: vec![LayerName::ConnectRedirect],
            weight: 0,
            action: CalloutAction::default(),
            clear_action_right: false,
            permit_if_unregistered: false,
            habits: HabitsSpec::default(),
            pend: PendSpec::default(),
            rebind_to: None,
            handle: HandleSpec::One,
            heeds_earlier_redirect: true,
            matching: Match::default(),
            rules: Vec::new(),
            redirect: None,
            context: ContextSpec::default(),
            target_pid: TargetPidSpec::default(),
            on_unload: OnUnload::default(),
        }
    }
}

/// Where a callout redirects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RedirectTo {
    /// The process that serves it.
    pub process: Option<Name>,
    /// For IPv4 destinations.
    pub ipv4: Option<Endpoint>,
    /// For IPv6 destinations.
    pub ipv6: Option<Endpoint>,
}

/// One rule of a callout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleSpec {
    /// At these layers; by default at all where this can be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerName>,
    /// In these redirect states; by default in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateName>,
    /// For connects of these processes; by default of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Name>,
    /// Where all of this holds.
    #[serde(default, skip_serializing_if = "Match::is_empty")]
    pub r#match: Match,
    /// It does this.
    pub r#do: DecisionSpec,
}

/// What a callout does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionSpec {
    /// It permits.
    Permit,
    /// It permits, and takes the right to write away.
    HardPermit,
    /// It leaves the decision to the next filter of the sublayer.
    Continue,
    /// It blocks.
    Block,
    /// It blocks, and takes the right to write away.
    HardBlock,
    /// At connect-redirect: it permits, and blocks at auth-connect.
    BlockLater,
    /// It redirects; at connect-redirect alone.
    Redirect,
    /// It gives the socket another local address, `rebind-to`; at the two redirect layers.
    Rebind,
    /// It pends the request, as `pend` says; at the two redirect layers.
    Pend,
    /// It lets a copy of the packet go on instead; at inbound-ippacket alone.
    CloneAndReinject,
}

impl DecisionSpec {
    /// The layers where it can be done.
    #[must_use]
    pub fn layers(self) -> &'static [LayerName] {
        match self {
            Self::Permit | Self::HardPermit | Self::Continue | Self::Block | Self::HardBlock => {
                &LayerName::ALL
            }
            Self::BlockLater | Self::Redirect => &[LayerName::ConnectRedirect],
            Self::Rebind | Self::Pend => &[LayerName::BindRedirect, LayerName::ConnectRedirect],
            Self::CloneAndReinject => &[LayerName::InboundIppacket],
        }
    }
}

/// A redirect state, as files write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// FWPS_CONNECTION_NOT_REDIRECTED.
    NotRedirected,
    /// FWPS_CONNECTION_REDIRECTED_BY_SELF.
    RedirectedBySelf,
    /// FWPS_CONNECTION_REDIRECTED_BY_OTHER.
    RedirectedByOther,
    /// FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF.
    PreviouslyRedirectedBySelf,
}

impl StateName {
    /// The four states in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::NotRedirected,
        Self::RedirectedBySelf,
        Self::RedirectedByOther,
        Self::PreviouslyRedirectedBySelf,
    ];

    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRedirected => "not-redirected",
            Self::RedirectedBySelf => "redirected-by-self",
            Self::RedirectedByOther => "redirected-by-other",
            Self::PreviouslyRedirectedBySelf => "previously-redirected-by-self",
        }
    }
}

impl From<RedirectState> for StateName {
    fn from(state: RedirectState) -> Self {
        Self::ALL[state as usize]
    }
}

impl From<StateName> for RedirectState {
    fn from(name: StateName) -> Self {
        Self::ALL[name as usize]
    }
}

/// The redirect handles of a callout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandleSpec {
    /// One for everything.
    #[default]
    One,
    /// One for IPv4 and another for IPv6.
    PerFamily,
    /// None: it cannot ask who redirected.
    None,
}

/// The context that a callout leaves for its service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContextSpec {
    /// No context.
    None,
    /// The original destination: a SOCKADDR_STORAGE, 128 bytes.
    #[default]
    Destination,
    /// Destination and source: 256 bytes.
    DestinationAndSource,
    /// The original destination, and zeros up to this many bytes in all, at least 128.
    Padded(u32),
    /// This many bytes that tell nothing.
    Opaque(u32),
}

/// `localRedirectTargetPID`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TargetPidSpec {
    /// The service's.
    #[default]
    Service,
    /// 0.
    Zero,
    /// One that is not 0, and no process's.
    Other,
}

/// What a connect must be like; everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Match {
    /// The destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_port: Option<u16>,
    /// The IP protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<IpProtocol>,
    /// The destination is this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_host: Option<Name>,
    /// The image path of the connecting process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The source port, as the callout sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_port: Option<u16>,
    /// Whether the destination is a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback: Option<bool>,
    /// Whether the destination is v4-mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<bool>,
    /// The image path of the first application behind a proxied connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_app_id: Option<String>,
    /// Flags, all of them set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagName>,
}

impl Match {
    /// Whether it holds for every connect.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
