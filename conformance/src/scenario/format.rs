//! The format of a case. The JSON Schema of a file is made from these types.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use wfp_sim::Profile;
use wfp_sim::profile::Field;

use super::expect::Expect;
use crate::follow::{ListenFamilies, Service, Transport};
use crate::regressions::{Regression, Role};
use crate::vocabulary::{
    Account, Call, CalloutAction, CalloutSpec, ContextSpec, DecisionSpec, Endpoint, Feature, FilterSpec,
    HabitsSpec, HandleSpec, LayerName, Length, Match, Name, OnUnload, PendSpec, Place, ProcessSpec,
    RedirectTo, RuleSpec, SocketFamily, SocketState, StateName, TargetPidSpec,
};

/// The version of the format, which each file names in its key `schema`.
pub const SCHEMA: &str = "wfp-conformance/scenario/v1";

/// A case: a machine, what happens on it, and what must come of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// Its name in the file: lower-case letters, digits and hyphens.
    pub id: String,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub title: Option<String>,
    /// The requirements that it covers.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The regressions that it shows, by their ids, and what it shows of each.
    #[serde(default)]
    #[schemars(extend("propertyNames" = serde_json::json!({"enum": Regression::ids()})))]
    pub regressions: IndexMap<String, Role>,
    /// The features that it needs, beside those that follow from its ops.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// Fields of the behaviour profile that it is about, with the values that it is about; `base` is the built-in
    /// profile that it starts from, instead of that of the run.
    #[serde(default)]
    pub profile: IndexMap<String, Scalar>,
    /// Hosts by name; `local` is the machine itself.
    #[serde(default)]
    pub hosts: IndexMap<Name, Host>,
    /// Processes by name.
    #[serde(default)]
    pub processes: IndexMap<Name, ProcessSpec>,
    /// Callouts by name.
    #[serde(default)]
    pub callouts: IndexMap<Name, Callout>,
    /// Filters that permit or block by themselves, by name.
    #[serde(default)]
    pub filters: IndexMap<Name, FilterSpec>,
    /// Redirect services by name.
    #[serde(default)]
    pub services: IndexMap<Name, Service>,
    /// What the driver of a callout leaves behind at the end, when every process has ended and the driver is unloaded; by
    /// default nothing. Needs `kernel-view`.
    #[serde(default)]
    pub leaks: IndexMap<Name, Account>,
    /// What happens, in this order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// The key of a case's `profile` that names a built-in profile.
pub(super) const BASE: &str = "base";

impl Case {
    /// The profile that it is about, in a run under this one.
    #[must_use]
    pub(crate) fn under(&self, profile: &Profile) -> Profile {
        let base = self.profile.get(BASE).and_then(|name| Profile::built_in(&name.0));
        let mut profile = base.unwrap_or_else(|| profile.clone());
        for (name, value) in &self.profile {
            if let Some(field) = Field::by_name(name) {
                // That the value exists was checked when the case was read.
                let _ = field.set(&mut profile, &value.0);
            }
        }
        profile
    }
}

/// A plain value: text, or a number.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the variants serve the schema; the text is what counts")]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

/// A value of a profile field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value of the profile field: text, or a number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TextOrNumber::json_schema(generator)
    }
}

/// A host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// The ports at which a process of this host accepts whatever comes.
    #[serde(default)]
    pub listen: Vec<u16>,
    /// The ports at which a process of this host takes whatever datagrams come.
    #[serde(default)]
    pub listen_udp: Vec<u16>,
    /// In which families it does.
    #[serde(default)]
    pub families: ListenFamilies,
    /// Whether nobody answers there, so that a connect waits until it times out.
    #[serde(default)]
    pub silent: bool,
}

/// A callout. Whatever is left out is what the documents ask of a careful one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Callout {
    /// The weight of its sublayer: heavier ones are asked first.
    #[serde(default = "middle")]
    pub sublayer: u16,
    /// Another callout, written before this one, whose sublayer it shares; by default it has one of its own.
    #[serde(default)]
    pub sublayer_of: Option<Name>,
    /// The layers that its filters are at.
    #[serde(default = "connect_redirect")]
    pub layers: Vec<LayerName>,
    /// The weight of its filters in that sublayer.
    #[serde(default)]
    pub weight: u64,
    /// How its filters call it.
    #[serde(default)]
    pub action: CalloutAction,
    /// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT` of its filters.
    #[serde(default)]
    pub clear_action_right: bool,
    /// `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED` of its filters: they permit while it is not registered.
    #[serde(default)]
    pub permit_if_unregistered: bool,
    /// How it keeps the rules of the functions that it calls.
    #[serde(default)]
    pub habits: HabitsSpec,
    /// What it does with requests that it pends.
    #[serde(default)]
    pub pend: PendSpec,
    /// The local address that it gives to sockets and connections, with port 0, as their port stays: `local:0` for this
    /// machine's own address.
    #[serde(default)]
    pub rebind_to: Option<Endpoint>,
    /// The service that it redirects to.
    #[serde(default)]
    pub redirect_to: Option<Name>,
    /// What else it redirects to: another host, or a process whose sockets are made in steps.
    #[serde(default)]
    pub redirect_to_endpoint: Option<RedirectEndpoint>,
    /// Its redirect handles.
    #[serde(default)]
    pub handle: HandleSpec,
    /// Whether it leaves a connect alone that another callout redirected earlier in the same classify.
    #[serde(default = "yes")]
    pub heeds_earlier_redirect: bool,
    /// The connects that its filters match; by default all.
    #[serde(default)]
    pub r#match: Match,
    /// Processes whose connects it permits, whatever the redirect state.
    #[serde(default)]
    pub exempt: Vec<Name>,
    /// What it does in each redirect state. By default it redirects what nobody or only others redirected, and
    /// permits the rest.
    #[serde(default)]
    pub in_state: IndexMap<StateName, DecisionSpec>,
    /// Rules that come before `exempt` and `in-state`; the first that fits decides.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// What context it leaves for its service.
    #[serde(default)]
    pub context: ContextSpec,
    /// `localRedirectTargetPID`.
    #[serde(default)]
    pub target_pid: TargetPidSpec,
    /// What its driver does when it is unloaded, at the end of the case for instance.
    #[serde(default)]
    pub on_unload: OnUnload,
}

fn middle() -> u16 {
    0x8000
}

fn connect_redirect() -> Vec<LayerName> {
    vec![LayerName::ConnectRedirect]
}

fn yes() -> bool {
    true
}

impl Callout {
    /// The callout as backends install it.
    #[must_use]
    pub(crate) fn spec(&self, name: &Name, services: &IndexMap<Name, Service>) -> CalloutSpec {
        let mut rules = self.rules.clone();
        if !self.exempt.is_empty() {
            rules.push(RuleSpec {
                layers: Vec::new(),
                states: Vec::new(),
                processes: self.exempt.clone(),
                r#match: Match::default(),
                r#do: DecisionSpec::Permit,
            });
        }
        rules.extend(StateName::ALL.into_iter().map(|state| RuleSpec {
            layers: Vec::new(),
            states: vec![state],
            processes: Vec::new(),
            r#match: Match::default(),
            r#do: self.in_state.get(&state).copied().unwrap_or_else(|| self.careful(state)),
        }));
        CalloutSpec {
            name: Name::clone(name),
            sublayer: self.sublayer,
            sublayer_of: self.sublayer_of.clone(),
            layers: self.layers.clone(),
            weight: self.weight,
            action: self.action,
            clear_action_right: self.clear_action_right,
            permit_if_unregistered: self.permit_if_unregistered,
            habits: self.habits,
            pend: self.pend,
            rebind_to: self.rebind_to.clone(),
            handle: self.handle,
            heeds_earlier_redirect: self.heeds_earlier_redirect,
            matching: self.r#match.clone(),
            rules,
            redirect: self.target(services),
            context: self.context,
            target_pid: self.target_pid,
            on_unload: self.on_unload,
        }
    }

    /// Whether it does more than redirect by the rules at connect-redirect.
    pub(super) fn needs_filter_engine(&self) -> bool {
        let simple = |decision: &DecisionSpec| {
            matches!(
                decision,
                DecisionSpec::Permit | DecisionSpec::Continue | DecisionSpec::Block | DecisionSpec::Redirect
            )
        };
        self.layers != connect_redirect()
            || self.habits != HabitsSpec::default()
            || self.action != CalloutAction::default()
            || self.clear_action_right
            || self.permit_if_unregistered
            || !self.in_state.values().chain(self.rules.iter().map(|rule| &rule.r#do)).all(simple)
    }

    /// What the documents ask for in a state.
    fn careful(&self, state: StateName) -> DecisionSpec {
        match state {
            StateName::NotRedirected | StateName::RedirectedByOther if self.redirects() => {
                DecisionSpec::Redirect
            }
            _ => DecisionSpec::Permit,
        }
    }

    /// Whether it has anywhere to redirect to.
    pub(super) fn redirects(&self) -> bool {
        self.redirect_to.is_some() || self.redirect_to_endpoint.is_some()
    }

    fn target(&self, services: &IndexMap<Name, Service>) -> Option<RedirectTo> {
        if let Some(RedirectEndpoint { at, process }) = &self.redirect_to_endpoint {
            let at = Some(at.clone());
            return Some(RedirectTo { process: process.clone(), ipv4: at.clone(), ipv6: at });
        }
        let name = self.redirect_to.as_ref()?;
        let service = services.get(name)?;
        let place = match &service.listen.place {
            Place::Any => Place::Loopback,
            place => place.clone(),
        };
        let endpoint = Endpoint { place, port: service.listen.port };
        let serves = |family| {
            service.families.of_sockets().contains(&family) || service.families == ListenFamilies::Dual
        };
        Some(RedirectTo {
            process: Some(service.runs_in(name).clone()),
            ipv4: serves(SocketFamily::Ipv4).then(|| endpoint.clone()),
            ipv6: serves(SocketFamily::Ipv6).then_some(endpoint),
        })
    }
}

/// What a callout redirects to that is no service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RedirectEndpoint {
    /// Where.
    pub at: Endpoint,
    /// The process of this machine that listens there, for `localRedirectTargetPID`; none on another host.
    #[serde(default)]
    pub process: Option<Name>,
}

/// A step: a call (`op`), a call with buffers of many lengths (`sweep`), or a connection that is followed to its
/// end (`follow`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// How later steps refer to what came of it, and how variants refer to it.
    #[serde(default)]
    pub name: Option<Name>,
    /// The process that calls.
    #[serde(default)]
    pub process: Option<Name>,
    /// The thread of the process that calls.
    #[serde(default)]
    pub thread: u32,
    /// A call.
    #[serde(default)]
    pub op: Option<Call>,
    /// A call with buffers of many lengths.
    #[serde(default)]
    pub sweep: Option<Sweep>,
    /// A connection that is followed through the services.
    #[serde(default)]
    pub follow: Option<Follow>,
    /// What must come of it; by default success.
    #[serde(default)]
    pub expect: Option<Expect>,
}

/// A call with buffers of many lengths.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sweep {
    /// The call: `query-records`, `query-context` or `set-records`. The lengths are those of a query's output and
    /// of SET's input.
    pub op: Call,
    /// The kind and state of the socket, for the coverage table; it is checked where the backend can tell.
    pub state: SocketState,
    /// Lengths, and what must come of a call with them.
    pub rows: Vec<SweepRow>,
}

/// Lengths with one expectation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SweepRow {
    /// The lengths.
    pub lengths: Vec<Length>,
    /// What must come of each.
    pub expect: Expect,
    /// What must come of those that turn out to be less than needed, where that is something else: how long records
    /// are differs from machine to machine.
    #[serde(default)]
    pub if_short: Option<Expect>,
}

/// A connection that is followed through the services.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Follow {
    /// The process that connects.
    pub from: Name,
    /// Where it wants to go.
    pub to: Endpoint,
    /// The family of its socket, and of the destination's address; `dual` dials the v4-mapped address.
    #[serde(default)]
    pub family: SocketFamily,
    /// Whether the connections stay open until the case ends.
    #[serde(default)]
    pub keep_open: bool,
    /// Whether it is a TCP connection, or a flow of datagrams.
    #[serde(default)]
    pub protocol: Transport,
    /// The family of its socket, where that is another than the destination's: a dual-stack socket dials IPv6 too.
    #[serde(default)]
    pub socket: Option<SocketFamily>,
    /// Where its socket is bound first; by default the connect, or the first datagram, binds it.
    #[serde(default)]
    pub bind: Option<Endpoint>,
    /// Over UDP: whether its socket is connected first.
    #[serde(default)]
    pub connect: bool,
}

/// The keys of a case that a file can say once for all of its cases: the ground that they start from.
pub(super) const GROUND_KEYS: [&str; 11] = [
    "requirements",
    "regressions",
    "features",
    "profile",
    "hosts",
    "processes",
    "callouts",
    "filters",
    "services",
    "leaks",
    "variants",
];

/// The keys of a file, beside those of its ground.
pub(super) const FILE_KEYS: [&str; 5] = ["schema", "title", "source", "use", "cases"];

/// The keys of a case, beside those of its ground.
pub(super) const CASE_KEYS: [&str; 4] = ["id", "title", "use", "steps"];
