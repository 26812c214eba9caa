//! Callouts as scenarios describe them, installed in the model.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wfp_sim::engine::{
    Condition, Context, Decision, Filter, Handles, LayerKind, Policy, Processes, Redirect, Rule, States,
    Target, Test,
};
use wfp_sim::{
    CalloutId, DriverId, FilterId, KernelError, Pid, Protocol, RedirectHandle, RedirectState, SublayerId,
    World,
};

use super::addresses::Addresses;
use crate::vocabulary::{
    CalloutSpec, ContextSpec, DecisionSpec, Endpoint, HandleSpec, IpProtocol, Match, Name, OnUnload,
    RuleSpec, SocketFamily, TargetPidSpec,
};

/// The most that the profile field `context-limit` can say. What is larger is too large by however much.
const LARGEST_CONTEXT: u32 = 1_048_576;

/// The callouts that are installed, and their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Callouts {
    installed: BTreeMap<Name, Installed>,
    names: BTreeMap<CalloutId, Name>,
    handle_names: BTreeMap<RedirectHandle, Name>,
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
        let redirect = redirect(spec, addresses, &pid)?;
        let mut rules = Vec::new();
        for rule in &spec.rules {
            rules.extend(rules_of(rule, redirect.as_ref(), addresses, &pid)?);
        }
        let policy = Policy { handles, heeds_earlier_redirect: spec.heeds_earlier_redirect, rules };

        let sublayer = match &spec.sublayer_of {
            Some(other) => self.get(other)?.sublayer,
            None => world.fwpm_sublayer_add(spec.sublayer),
        };
        let callout = world.fwps_callout_register(driver, &spec.name, policy.clone()).map_err(refused)?;
        let mut filters = Vec::new();
        for conditions in alternatives(&spec.matching, addresses)? {
            for layer in LayerKind::ConnectRedirect.both() {
                let conditions = conditions.clone();
                let filter = Filter { layer, sublayer, weight: spec.weight, conditions, callout };
                filters.push(world.fwpm_filter_add(filter).map_err(refused)?);
            }
        }
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

    pub(super) fn get(&self, name: &Name) -> Result<&Installed, String> {
        self.installed.get(name).ok_or_else(|| format!("no callout `{name}` is installed"))
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Result<&mut Installed, String> {
        self.installed.get_mut(name).ok_or_else(|| format!("no callout `{name}` is installed"))
    }

    pub(super) fn name(&self, callout: CalloutId) -> Name {
        self.names.get(&callout).cloned().unwrap_or_else(|| "?".into())
    }

    /// The callout that a filter calls.
    pub(super) fn name_of_filter(&self, filter: FilterId) -> Name {
        let owner = self.installed.iter().find(|(_, installed)| installed.filters.contains(&filter));
        owner.map_or_else(|| "?".into(), |(name, _)| Name::clone(name))
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

fn rules_of(
    rule: &RuleSpec,
    redirect: Option<&Redirect>,
    addresses: &Addresses,
    pid: impl Fn(&Name) -> Option<Pid>,
) -> Result<Vec<Rule>, String> {
    let states = match rule.states.as_slice() {
        [] => States::ALL,
        some => States::of(&some.iter().map(|state| RedirectState::from(*state)).collect::<Vec<_>>()),
    };
    let processes = match rule.processes.as_slice() {
        [] => Processes::Any,
        some => Processes::Only(some.iter().filter_map(pid).collect()),
    };
    let decision = match (rule.r#do, redirect) {
        (DecisionSpec::Permit, _) => Decision::Permit,
        (DecisionSpec::Continue, _) => Decision::Continue,
        (DecisionSpec::Block, _) => Decision::Block,
        (DecisionSpec::Redirect, Some(redirect)) => Decision::Redirect(redirect.clone()),
        (DecisionSpec::Redirect, None) => {
            return Err("a rule redirects, and the callout has nowhere to".to_owned());
        }
    };
    let with =
        |conditions| Rule { states, processes: processes.clone(), conditions, decision: decision.clone() };
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
