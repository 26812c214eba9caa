//! What a driver adapter can be told of a callout: that some connections go to a proxy, as the documents want it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ground::Ground;
use crate::driver_adapter::{Program, Proxy, Redirection, Target};
use crate::vocabulary::{
    BackendFault, CalloutSpec, DecisionSpec, Endpoint, LOCAL, Match, Name, RuleSpec, SocketFamily, StateName,
    TargetPidSpec,
};

/// A process of the scenario, on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Player {
    pub(super) name: Name,
    pub(super) pid: u32,
}

/// The redirection that a callout stands for: that of a driver that does what the documents ask for in each state.
///
/// # Errors
/// [`BackendFault::Unsupported`] where the callout does more than can be said.
pub(super) fn of(
    spec: &CalloutSpec,
    ground: &mut Ground,
    hosts: &[Name],
    players: &[Player],
    image: &str,
) -> Result<Redirection, BackendFault> {
    let more = |what: &str| {
        BackendFault::Unsupported(format!("the callout `{}`: a driver cannot be told {what}", spec.name))
    };
    let Some(redirect) = &spec.redirect else { return Err(more("to leave all connections alone")) };
    let exempt = exempt(spec).ok_or_else(|| more("rules of its own"))?;
    let plain = CalloutSpec {
        name: Name::clone(&spec.name),
        sublayer: spec.sublayer,
        matching: spec.matching.clone(),
        rules: spec.rules.clone(),
        redirect: spec.redirect.clone(),
        context: spec.context,
        target_pid: spec.target_pid,
        ..CalloutSpec::new(Name::clone(&spec.name))
    };
    if *spec != plain {
        return Err(more("its habits, layers, weights and handles"));
    }
    let to = match &spec.matching {
        Match { remote_port: None, remote_host: None, .. } => None,
        Match { remote_port: Some(port), remote_host, .. } => {
            let hosts: Vec<&Name> =
                hosts.iter().filter(|host| remote_host.as_ref().is_none_or(|is| is == *host)).collect();
            let mut targets = Vec::new();
            for host in hosts {
                let port = ground.serve(host, *port).ok_or_else(|| more("a port: none is free"))?;
                targets.push(Target { ipv4: ground.v4, ipv6: ground.v6, port });
                // This machine is dialled at loopback, too.
                if &**host == LOCAL && ground.v4 != Ipv4Addr::LOCALHOST {
                    targets.push(Target { ipv4: Ipv4Addr::LOCALHOST, ipv6: Ipv6Addr::LOCALHOST, port });
                }
            }
            Some(targets)
        }
        // Every host is this machine: the port alone tells which one is meant.
        Match { remote_port: None, remote_host: Some(_), .. } => return Err(more("a host without a port")),
    };
    let conditions = Match {
        remote_port: spec.matching.remote_port,
        remote_host: spec.matching.remote_host.clone(),
        protocol: spec.matching.protocol,
        ..Match::default()
    };
    if spec.matching != conditions {
        return Err(more("conditions beside protocol, host and port"));
    }
    let proxy_pid = redirect.process.as_ref().and_then(|name| pid_of(players, name));
    let target_pid = match spec.target_pid {
        TargetPidSpec::Service => proxy_pid.unwrap_or(0),
        TargetPidSpec::Zero => 0,
        TargetPidSpec::Other => return Err(more("a localRedirectTargetPID that is nobody's")),
    };
    let mut proxy_at = |endpoint: &Option<Endpoint>, family| match endpoint {
        Some(endpoint) => {
            let local: Name = LOCAL.into();
            if let Some(port) = endpoint.port.filter(|port| *port != 0) {
                ground.serve(super::ground::host_of(endpoint, &local), port);
            }
            ground.destination(endpoint, &local, family).map(Some)
        }
        None => Ok(None),
    };
    let (v4, v6) =
        (proxy_at(&redirect.ipv4, SocketFamily::Ipv4)?, proxy_at(&redirect.ipv6, SocketFamily::Ipv6)?);
    Ok(Redirection {
        name: Name::clone(&spec.name),
        sublayer: spec.sublayer,
        of: players
            .iter()
            .filter(|player| !exempt.contains(&player.name))
            .map(|player| Program {
                name: Name::clone(&player.name),
                pid: player.pid,
                image: image.to_owned(),
            })
            .collect(),
        to,
        protocol: spec.matching.protocol,
        proxy: Proxy {
            pid: proxy_pid,
            ipv4: v4
                .and_then(|address| if let std::net::SocketAddr::V4(v4) = address { Some(v4) } else { None }),
            ipv6: v6
                .and_then(|address| if let std::net::SocketAddr::V6(v6) = address { Some(v6) } else { None }),
        },
        target_pid,
        context: spec.context,
    })
}

fn pid_of(players: &[Player], name: &Name) -> Option<u32> {
    players.iter().find(|player| player.name == *name).map(|player| player.pid)
}

/// The processes that a careful driver leaves alone; `None` where the rules are not a careful driver's.
fn exempt(spec: &CalloutSpec) -> Option<Vec<Name>> {
    let (first, rules) = match spec.rules.split_first() {
        Some((first, rules)) if !first.processes.is_empty() => (first.processes.clone(), rules),
        _ => (Vec::new(), spec.rules.as_slice()),
    };
    let permits = RuleSpec { r#do: DecisionSpec::Permit, ..rule(Vec::new(), &first) };
    let is_exempt = first.is_empty() || spec.rules.first() == Some(&permits);
    let careful: Vec<RuleSpec> = StateName::ALL.into_iter().map(|state| rule(vec![state], &[])).collect();
    (is_exempt && rules == careful).then_some(first)
}

/// What the documents ask for in these states.
fn rule(states: Vec<StateName>, processes: &[Name]) -> RuleSpec {
    let redirects = matches!(states.as_slice(), [StateName::NotRedirected | StateName::RedirectedByOther]);
    RuleSpec {
        layers: Vec::new(),
        states,
        processes: processes.to_vec(),
        r#match: Match::default(),
        r#do: if redirects { DecisionSpec::Redirect } else { DecisionSpec::Permit },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wfp_sim::Profile;

    use super::*;
    use crate::scenario::Suite;

    /// The callout `mine` of a scenario, with what is said of it beside its proxy.
    fn callout(said: &str) -> CalloutSpec {
        let text = format!(
            "schema: wfp-conformance/scenario/v1\nprocesses: {{app: {{}}}}\nhosts: {{server: {{listen: [443]}}}}\n\
             callouts: {{mine: {{redirect-to: proxy{said}}}}}\nservices: {{proxy: {{listen: 'loopback:1001'}}}}\n\
             cases: [{{id: x, steps: [{{process: app, op: {{socket: {{}}}}}}]}}]\n"
        );
        let suite = Suite::from_text("mine.yaml", &text, &Profile::documented()).unwrap();
        let case = &suite.cases[0].case;
        case.callouts["mine"].spec(&"mine".into(), &case.services)
    }

    fn told(said: &str) -> Result<(Redirection, Ground), BackendFault> {
        let mut ground = Ground { v4: "10.0.0.5".parse().unwrap(), ..Ground::of_this_machine() };
        let players = [("app", 7), ("proxy", 8)].map(|(name, pid)| Player { name: name.into(), pid });
        let hosts = [LOCAL.into(), "server".into()];
        of(&callout(said), &mut ground, &hosts, &players, "c.exe").map(|redirection| (redirection, ground))
    }

    #[test]
    fn a_careful_driver_is_told_who_goes_where_instead() {
        let (told, ground) =
            told(", match: {remote-host: server, remote-port: 443}, exempt: [proxy]").unwrap();
        let of: Vec<(&str, u32)> = told.of.iter().map(|program| (&*program.name, program.pid)).collect();
        assert_eq!(of, [("app", 7)]);
        let real = |host: &str, port| {
            ground.ports.iter().find(|served| &*served.host == host && served.port == port).unwrap().real
        };
        let to = told.to.unwrap();
        assert_eq!(to.len(), 1);
        assert_eq!((to[0].ipv4.to_string(), to[0].port), ("10.0.0.5".to_owned(), real("server", 443)));
        assert_eq!(told.proxy.ipv4.unwrap().to_string(), format!("127.0.0.1:{}", real("local", 1001)));
        assert_eq!((told.proxy.pid, told.target_pid), (Some(8), 8));
    }

    #[test]
    fn this_machine_is_redirected_at_loopback_too() {
        let (told, _) = told(", match: {remote-host: local, remote-port: 443}").unwrap();
        let to: Vec<String> = told.to.unwrap().iter().map(|target| target.ipv4.to_string()).collect();
        assert_eq!(to, ["10.0.0.5", "127.0.0.1"]);
    }

    #[rstest]
    #[case("", 2)]
    #[case(", exempt: [proxy]", 1)]
    fn every_process_is_redirected_that_is_not_exempt(#[case] said: &str, #[case] programs: usize) {
        let (told, _) = told(said).unwrap();
        assert_eq!((told.of.len(), told.to), (programs, None));
    }

    #[rstest]
    #[case(", in-state: {previously-redirected-by-self: redirect}", "rules of its own")]
    #[case(", handle: per-family", "its habits, layers, weights and handles")]
    #[case(", heeds-earlier-redirect: false", "its habits, layers, weights and handles")]
    #[case(", match: {remote-host: server}", "a host without a port")]
    #[case(", match: {local-port: 5}", "conditions beside protocol, host and port")]
    #[case(", target-pid: other", "a localRedirectTargetPID that is nobody's")]
    fn what_cannot_be_said_is_not_supported(#[case] said: &str, #[case] what: &str) {
        let text = format!("the callout `mine`: a driver cannot be told {what}");
        assert_eq!(told(said).unwrap_err(), BackendFault::Unsupported(text));
    }
}
