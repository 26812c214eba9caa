//! Callouts as scenarios describe them, installed in the model.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wfp_sim::engine::{
    AfterAcquire, ClassifyOut, Completion, Condition, Context, Decision, Filter, FilterAction, Flags, Habits,
    Handles, Layer, LayerKind, Layers, Pend, Policy, Processes, Reauthorize, Rebind, Redirect, Rule, States,
    Target, Test, Verdict, WriteRight,
};
use wfp_sim::{
    CalloutId, DriverId, FilterId, KernelError, Pid, Protocol, RedirectHandle, RedirectState, SublayerId,
    World,
};

use super::addresses::Addresses;
use crate::vocabulary::{
    AfterAcquireSpec, CalloutAction, CalloutSpec, CompletionSpec, ContextSpec, DecisionSpec, Endpoint,
    FilterSpec, FilterVerdict, FlagName, HabitsSpec, HandleSpec, IpProtocol, LayerName, Match, Name,
    OnUnload, ReauthorizeSpec, RuleSpec, SocketFamily, TargetPidSpec, WriteRightSpec,
};

/// The most that the profile field `context-limit` can say. What is larger is too large by however much.
const LARGEST_CONTEXT: u32 = 1_048_576;

/// The callouts that are installed, and their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Callouts {
    installed: BTreeMap<Name, Installed>,
    names: BTreeMap<CalloutId, Name>,
    handle_names: BTreeMap<RedirectHandle, Name>,
    /// Those that decide by themselves.
    filters: BTreeMap<Name, Vec<FilterId>>,
}

#[derive(Clone, Debug)]
pub(super) struct Installed {
    pub(super) driver: DriverId,
    pub(super) id: CalloutId,
    pub(super) sublayer: SublayerId,
    pub(super) weight: u64,
    pub(super) policy: Policy,
    pub(super) on_unload: OnUnload,
    /// Those that are there.
    pub(super) filters: Vec<FilterId>,
    pub(super) deleted_filter: FilterId,
    /// Those that are there.
    pub(super) handles: Vec<RedirectHandle>,
    pub(super) destroyed_handle: Option<RedirectHandle>,
}

impl Callouts {
    pub(super) fn install(
        &mut self,
        world: &mut World,
        addresses: &Addresses,
        spec: &CalloutSpec,
        pid: impl Fn(&Name) -> Option<Pid>,
    ) -> Result<(), String> {
        let driver = world.load_driver(&spec.name);
        let handles = match spec.handle {
            HandleSpec::None => Handles::None,
            HandleSpec::One => Handles::One(self.create_handle(world, driver, &spec.name)?),
            HandleSpec::PerFamily => Handles::PerFamily {
                v4: self.create_handle(world, driver, &format!("{}.v4", spec.name).into())?,
                v6: self.create_handle(world, driver, &format!("{}.v6", spec.name).into())?,
            },
        };
        let means = Means::of(spec, addresses, &pid)?;
        let mut rules = Vec::new();
        for rule in &spec.rules {
            rules.extend(rules_of(rule, &means, addresses, &pid)?);
        }
        let policy = Policy {
            handles,
            heeds_earlier_redirect: spec.heeds_earlier_redirect,
            habits: habits(spec.habits),
            rules,
        };

        let sublayer = match &spec.sublayer_of {
            Some(other) => self.get(other)?.sublayer,
            None => world.fwpm_sublayer_add(spec.sublayer),
        };
        let callout = world.fwps_callout_register(driver, &spec.name, policy.clone()).map_err(refused)?;
        let action = match spec.action {
            CalloutAction::Unknown => FilterAction::CalloutUnknown(callout),
            CalloutAction::Terminating => FilterAction::CalloutTerminating(callout),
            CalloutAction::Inspection => FilterAction::CalloutInspection(callout),
        };
        let kind = Kind {
            sublayer,
            weight: spec.weight,
            action,
            clear_action_right: spec.clear_action_right,
            permit_if_callout_unregistered: spec.permit_if_unregistered,
        };
        let filters = kind.add(world, &spec.layers, alternatives(&spec.matching, addresses)?)?;
        let handles = match handles {
            Handles::None => Vec::new(),
            Handles::One(handle) => vec![handle],
            Handles::PerFamily { v4, v6 } => vec![v4, v6],
        };
        let installed = Installed {
            driver,
            id: callout,
            sublayer,
            weight: spec.weight,
            policy,
            on_unload: spec.on_unload,
            filters,
            deleted_filter: FilterId(0),
            handles,
            destroyed_handle: None,
        };
        self.installed.insert(Name::clone(&spec.name), installed);
        self.name_callout(&spec.name);
        Ok(())
    }

    fn create_handle(
        &mut self,
        world: &mut World,
        driver: DriverId,
        name: &Name,
    ) -> Result<RedirectHandle, String> {
        let handle = world.fwps_redirect_handle_create(driver, name, 0).map_err(refused)?;
        self.name_handle(handle, name);
        Ok(handle)
    }

    pub(super) fn name_handle(&mut self, handle: RedirectHandle, name: &Name) {
        self.handle_names.insert(handle, Name::clone(name));
    }

    /// A callout can come to have another id.
    pub(super) fn name_callout(&mut self, name: &Name) {
        if let Some(installed) = self.installed.get(name) {
            self.names.insert(installed.id, Name::clone(name));
        }
    }

    pub(super) fn add_filter(
        &mut self,
        world: &mut World,
        addresses: &Addresses,
        name: &Name,
        spec: &FilterSpec,
    ) -> Result<(), String> {
        let sublayer = match &spec.sublayer_of {
            Some(other) => self.get(other)?.sublayer,
            None => world.fwpm_sublayer_add(spec.sublayer),
        };
        let action = match spec.action {
            FilterVerdict::Permit => FilterAction::Permit,
            FilterVerdict::Block => FilterAction::Block,
        };
        let kind = Kind {
            sublayer,
            weight: spec.weight,
            action,
            clear_action_right: spec.clear_action_right,
            permit_if_callout_unregistered: false,
        };
        let filters = kind.add(world, &spec.layers, alternatives(&spec.r#match, addresses)?)?;
        self.filters.insert(Name::clone(name), filters);
        Ok(())
    }

    pub(super) fn remove_filter(&mut self, world: &mut World, name: &Name) -> Result<(), String> {
        let filters = self.filters.remove(name).ok_or_else(|| format!("there is no filter `{name}`"))?;
        for filter in filters {
            world.fwpm_filter_delete(filter).map_err(refused)?;
        }
        Ok(())
    }

    pub(super) fn id(&self, name: &Name) -> Result<CalloutId, String> {
        Ok(self.get(name)?.id)
    }

    pub(super) fn get(&self, name: &Name) -> Result<&Installed, String> {
        self.installed.get(name).ok_or_else(|| format!("no callout `{name}` is installed"))
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Result<&mut Installed, String> {
        self.installed.get_mut(name).ok_or_else(|| format!("no callout `{name}` is installed"))
    }

    pub(super) fn name(&self, callout: CalloutId) -> Name {
        self.names.get(&callout).cloned().unwrap_or_else(|| "?".into())
    }

    /// The callout that a filter calls, or the name of one that decides by itself.
    pub(super) fn name_of_filter(&self, filter: FilterId) -> Name {
        let callouts = self.installed.iter().map(|(name, installed)| (name, &installed.filters));
        let mut all = callouts.chain(&self.filters);
        all.find(|(_, filters)| filters.contains(&filter))
            .map_or_else(|| "?".into(), |(name, _)| Name::clone(name))
    }

    pub(super) fn handle_name(&self, handle: RedirectHandle) -> Name {
        self.handle_names.get(&handle).cloned().unwrap_or_else(|| "?".into())
    }
}

fn refused(error: KernelError) -> String {
    error.to_string()
}

fn redirect(
    spec: &CalloutSpec,
    addresses: &Addresses,
    pid: impl Fn(&Name) -> Option<Pid>,
) -> Result<Option<Redirect>, String> {
    let Some(to) = &spec.redirect else { return Ok(None) };
    let resolve = |endpoint: &Option<Endpoint>, family| {
        endpoint.as_ref().map(|endpoint| addresses.resolve(endpoint, family)).transpose()
    };
    let target = Target {
        v4: match resolve(&to.ipv4, SocketFamily::Ipv4)? {
            Some(SocketAddr::V4(v4)) => Some(v4),
            _ => None,
        },
        v6: match resolve(&to.ipv6, SocketFamily::Ipv6)? {
            Some(SocketAddr::V6(v6)) => Some(v6),
            _ => None,
        },
    };
    let target_pid = match spec.target_pid {
        TargetPidSpec::Service => to.process.as_ref().and_then(pid).map_or(0, |pid| pid.0),
        TargetPidSpec::Zero => 0,
        // Process ids of the model are multiples of 4.
        TargetPidSpec::Other => 1,
    };
    let context = match spec.context {
        ContextSpec::None => Context::None,
        ContextSpec::Destination => Context::Destination,
        ContextSpec::DestinationAndSource => Context::DestinationAndSource,
        ContextSpec::Padded(length) => Context::Padded(length),
        ContextSpec::Opaque(length) => {
            let length = length.min(LARGEST_CONTEXT + 1);
            Context::Opaque(vec![0xA5; length as usize].into())
        }
    };
    Ok(Some(Redirect { target, target_pid, with_handle: spec.handle != HandleSpec::None, context }))
}

/// What the filters of one spec have in common: it takes one for each layer and each way to mean its match.
struct Kind {
    sublayer: SublayerId,
    weight: u64,
    action: FilterAction,
    clear_action_right: bool,
    permit_if_callout_unregistered: bool,
}

impl Kind {
    fn add(
        self,
        world: &mut World,
        names: &[LayerName],
        alternatives: Vec<Vec<Condition>>,
    ) -> Result<Vec<FilterId>, String> {
        let Self { sublayer, weight, action, clear_action_right, permit_if_callout_unregistered } = self;
        let mut added = Vec::new();
        for conditions in alternatives {
            for layer in layers(names) {
                let conditions = conditions.clone();
                let filter = Filter {
                    layer,
                    sublayer,
                    weight,
                    conditions,
                    action,
                    clear_action_right,
                    permit_if_callout_unregistered,
                };
                added.push(world.fwpm_filter_add(filter).map_err(refused)?);
            }
        }
        Ok(added)
    }
}

/// What the decisions of a callout's rules need beside the rule.
struct Means {
    redirect: Option<Redirect>,
    rebind: Option<Rebind>,
    pend: Pend,
}

impl Means {
    fn of(
        spec: &CalloutSpec,
        addresses: &Addresses,
        pid: impl Fn(&Name) -> Option<Pid>,
    ) -> Result<Self, String> {
        let redirect = redirect(spec, addresses, pid)?;
        let rebind = match &spec.rebind_to {
            None => None,
            Some(place) => {
                let at = |family| addresses.resolve(place, family);
                let (v4, v6) = (at(SocketFamily::Ipv4)?, at(SocketFamily::Ipv6)?);
                Some(Rebind {
                    v4: match v4 {
                        SocketAddr::V4(v4) => Some(*v4.ip()),
                        SocketAddr::V6(_) => None,
                    },
                    v6: match v6 {
                        SocketAddr::V4(_) => None,
                        SocketAddr::V6(v6) => Some(*v6.ip()),
                    },
                })
            }
        };
        let pend = Pend {
            redirect: redirect.clone().filter(|_| spec.pend.redirects),
            completion: completion(spec.pend.completion),
            at_once: spec.pend.at_once,
        };
        Ok(Self { redirect, rebind, pend })
    }
}

/// The layers of these kinds, for both IP versions.
pub(super) fn layers(names: &[LayerName]) -> impl Iterator<Item = Layer> {
    names.iter().flat_map(|name| LayerKind::from(*name).both())
}

pub(super) fn completion(spec: CompletionSpec) -> Completion {
    match spec {
        CompletionSpec::Reauthorize => Completion::Reauthorize,
        CompletionSpec::Permit => Completion::Final(ClassifyOut::soft(Verdict::Permit)),
        CompletionSpec::HardPermit => Completion::Final(ClassifyOut::hard(Verdict::Permit)),
        CompletionSpec::Block => Completion::Final(ClassifyOut::soft(Verdict::Block)),
        CompletionSpec::HardBlock => Completion::Final(ClassifyOut::hard(Verdict::Block)),
    }
}

fn habits(spec: HabitsSpec) -> Habits {
    Habits {
        write_right: match spec.write_right {
            WriteRightSpec::Heeded => WriteRight::Heeded,
            WriteRightSpec::Ignored => WriteRight::Ignored,
            WriteRightSpec::Inverted => WriteRight::Inverted,
        },
        reauthorize: match spec.reauthorize {
            ReauthorizeSpec::PermitOwn => Reauthorize::PermitOwn,
            ReauthorizeSpec::PermitAll => Reauthorize::PermitAll,
            ReauthorizeSpec::Ignored => Reauthorize::Ignored,
        },
        after_acquire: match spec.after_acquire {
            AfterAcquireSpec::Permit => AfterAcquire::Permit,
            AfterAcquireSpec::HardPermit => AfterAcquire::HardPermit,
            AfterAcquireSpec::ToggleRight => AfterAcquire::ToggleRight,
            AfterAcquireSpec::PermitIfRight => AfterAcquire::PermitIfRight,
            AfterAcquireSpec::Nothing => AfterAcquire::Nothing,
        },
        applies: spec.applies,
        reauthorize_if_modified_by_others: spec.reauthorize_if_modified_by_others,
        redirect_limit: spec.redirect_limit,
        releases_classify_handle: spec.releases_classify_handle,
        frees_context: spec.frees_context,
        heeds_clear_action_right: spec.heeds_clear_action_right,
        replaces_remembered: spec.replaces_remembered,
        forgets_without_right: spec.forgets_without_right,
    }
}

fn rules_of(
    rule: &RuleSpec,
    means: &Means,
    addresses: &Addresses,
    pid: impl Fn(&Name) -> Option<Pid>,
) -> Result<Vec<Rule>, String> {
    let kinds: Vec<LayerKind> = match rule.layers.as_slice() {
        [] => rule.r#do.layers(),
        some => some,
    }
    .iter()
    .map(|layer| LayerKind::from(*layer))
    .collect();
    let states = match rule.states.as_slice() {
        [] => States::ALL,
        some => States::of(&some.iter().map(|state| RedirectState::from(*state)).collect::<Vec<_>>()),
    };
    let processes = match rule.processes.as_slice() {
        [] => Processes::Any,
        some => Processes::Only(some.iter().filter_map(pid).collect()),
    };
    let nowhere = || "a rule redirects or rebinds, and the callout has nowhere to".to_owned();
    let decision = match rule.r#do {
        DecisionSpec::Permit => Decision::Permit,
        DecisionSpec::HardPermit => Decision::HardPermit,
        DecisionSpec::Continue => Decision::Continue,
        DecisionSpec::Block => Decision::Block,
        DecisionSpec::HardBlock => Decision::HardBlock,
        DecisionSpec::BlockLater => Decision::BlockLater,
        DecisionSpec::Redirect => Decision::Redirect(means.redirect.clone().ok_or_else(nowhere)?),
        DecisionSpec::Rebind => Decision::Rebind(means.rebind.ok_or_else(nowhere)?),
        DecisionSpec::Pend => Decision::Pend(means.pend.clone()),
        DecisionSpec::CloneAndReinject => Decision::CloneAndReinject,
    };
    let with = |conditions| Rule {
        layers: Layers::of(&kinds),
        states,
        processes: processes.clone(),
        conditions,
        decision: decision.clone(),
    };
    Ok(alternatives(&rule.r#match, addresses)?.into_iter().map(with).collect())
}

/// The conditions of a match: one list, or two where a host can be meant by either of its addresses.
fn alternatives(matching: &Match, addresses: &Addresses) -> Result<Vec<Vec<Condition>>, String> {
    let mut conditions = Vec::new();
    if let Some(protocol) = matching.protocol {
        conditions.push(Condition::is(Test::Protocol(match protocol {
            IpProtocol::Icmp => Protocol::ICMP,
            IpProtocol::Tcp => Protocol::TCP,
            IpProtocol::Udp => Protocol::UDP,
            IpProtocol::Icmpv6 => Protocol::ICMPV6,
        })));
    }
    if let Some(path) = &matching.original_app_id {
        conditions.push(Condition::is(Test::OriginalAppId(path.as_str().into())));
    }
    if let Some(mapped) = matching.mapped {
        conditions.push(Condition { test: Test::Mapped, negated: !mapped });
    }
    for (name, (flag, _)) in FlagName::ALL.into_iter().zip(Flags::NAMES) {
        if matching.flags.contains(&name) {
            conditions.push(Condition::is(Test::Flags(flag)));
        }
    }
    if let Some(port) = matching.remote_port {
        conditions.push(Condition::is(Test::RemotePort(port..=port)));
    }
    if let Some(port) = matching.local_port {
        conditions.push(Condition::is(Test::LocalPort(port..=port)));
    }
    if let Some(image) = &matching.app_id {
        conditions.push(Condition::is(Test::AppId(image.as_str().into())));
    }
    match matching.loopback {
        Some(true) => conditions.push(Condition::is(Test::Loopback)),
        Some(false) => conditions.push(Condition::is_not(Test::Loopback)),
        None => {}
    }
    let Some(host) = &matching.remote_host else { return Ok(vec![conditions]) };
    let with = |address: std::net::IpAddr| {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let mut all = conditions.clone();
        all.push(Condition::is(Test::RemoteAddress { address, prefix }));
        all
    };
    Ok(addresses.of_host(host)?.map(with).into())
}
