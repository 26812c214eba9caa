//! What a case needs of a backend.

use wfp_sim::ControlCode;

use super::expect::Expect;
use super::format::{Callout, Case};
use crate::follow::{Destination, DialFamily, End, ListenFamilies, Transport};
use crate::vocabulary::{
    Call, Feature, Features, LOCAL, PointerKind, SizeReturned, SocketFamily, SocketProtocol, WskCode,
};

/// What a case needs of a backend: what it says, and what follows from what it does.
pub(super) fn of(case: &Case) -> Features {
    let mut features: Features = case.features.iter().copied().chain([Feature::Tcp]).collect();
    let mut needs = |needed: bool, feature| {
        if needed {
            features.insert(feature);
        }
    };
    needs(!case.callouts.is_empty(), Feature::Redirect);
    needs(case.callouts.len() > 1, Feature::MultiVendor);
    needs(
        !case.filters.is_empty() || case.callouts.values().any(Callout::needs_filter_engine),
        Feature::FilterEngine,
    );
    needs(case.hosts.iter().any(|(name, _)| &**name != LOCAL), Feature::RemoteHost);
    needs(!case.profile.is_empty(), Feature::Profile);
    needs(!case.leaks.is_empty(), Feature::KernelView);
    needs(needs_records(case), Feature::RedirectRecords);
    needs(case.processes.values().any(|process| process.wow64), Feature::Wow64);
    needs(case.hosts.values().any(|host| !host.listen_udp.is_empty()), Feature::Udp);
    for service in case.services.values() {
        let dials = |family| service.dial.contains(&family);
        needs(service.protocol == Transport::Udp, Feature::Udp);
        needs(dials(DialFamily::Ipv6), Feature::Ipv6);
        needs(service.destination == Destination::OriginalDst, Feature::OriginalDestination);
        needs(dials(DialFamily::Mapped) || service.families == ListenFamilies::Dual, Feature::DualStack);
    }
    for step in &case.steps {
        if let Some(follow) = &step.follow {
            needs(follow.protocol == Transport::Udp, Feature::Udp);
            needs(follow.family == SocketFamily::Ipv6, Feature::Ipv6);
            needs(
                [Some(follow.family), follow.socket].contains(&Some(SocketFamily::Dual)),
                Feature::DualStack,
            );
        }
        if let Some(Expect::Ok(ok)) = &step.expect {
            needs(ok.classified.is_some() || !ok.sees.is_empty(), Feature::KernelView);
        }
        needs(step.expect.as_ref().is_some_and(expects_bug_check), Feature::BugChecks);
        if let Some(Expect::Outcome(outcome)) = &step.expect {
            let looks = outcome
                .hops
                .iter()
                .any(|hop| !hop.sees.is_empty() || !hop.asked.is_empty() || hop.records.is_some());
            needs(looks || outcome.end == End::Loop, Feature::KernelView);
        }
        if let Some(call) = step.op.as_ref().or(step.sweep.as_ref().map(|sweep| &sweep.op)) {
            for feature in features_of(call) {
                needs(true, feature);
            }
        }
    }
    features
}

/// Whether what a case is about is there since Windows 8 only. A case about Windows 7 says so.
fn needs_records(case: &Case) -> bool {
    let about_windows_7 = case.profile.get("windows-version").is_some_and(|version| version.0 == "windows-7");
    let mut calls =
        case.steps.iter().filter_map(|step| step.op.as_ref().or(step.sweep.as_ref().map(|sweep| &sweep.op)));
    let asks = calls.any(|call| match call {
        Call::QueryRecords(_) | Call::QueryContext(_) | Call::SetRecords(_) | Call::SioFormatRecords(_) => {
            true
        }
        Call::Ioctl { code, .. } => ControlCode::ALL.iter().any(|(_, known)| known.0 == code.0),
        Call::WskControl(control) => !matches!(control.code, WskCode::Number(_)),
        _ => false,
    });
    !about_windows_7 && (asks || !case.callouts.is_empty())
}

fn expects_bug_check(expect: &Expect) -> bool {
    match expect {
        Expect::BugCheck(_) => true,
        Expect::OneOf(all) => all.iter().any(expects_bug_check),
        Expect::ByProfile(by) => by.values.values().any(expects_bug_check),
        Expect::Completes(completes) => completes.with.as_deref().is_some_and(expects_bug_check),
        _ => false,
    }
}

fn features_of(call: &Call) -> Vec<Feature> {
    let invalid = |pointers: &[PointerKind]| {
        let any = pointers.iter().any(|pointer| *pointer != PointerKind::Valid);
        if any { vec![Feature::InvalidPointers] } else { Vec::new() }
    };
    let mut features = match call {
        Call::Socket { family, protocol, .. } => {
            let family = match family {
                SocketFamily::Ipv4 => None,
                SocketFamily::Ipv6 => Some(Feature::Ipv6),
                SocketFamily::Dual => Some(Feature::DualStack),
            };
            let protocol = match protocol {
                SocketProtocol::Tcp => Feature::Tcp,
                SocketProtocol::Udp => Feature::Udp,
                SocketProtocol::Raw(_) | SocketProtocol::RawWithHeader(_) => Feature::Raw,
            };
            family.into_iter().chain([protocol]).collect()
        }
        Call::ReceiveMessage(receive) => invalid(&[receive.control.pointer]),
        Call::SendMessage(send) => invalid(&[send.control.pointer]),
        Call::AcceptEx { .. } | Call::Connect { ex: true, .. } => vec![Feature::ExtensionFunctions],
        Call::Duplicate { .. } => vec![Feature::Duplicate],
        Call::AddFilter(_) | Call::RemoveFilter { .. } | Call::CompleteClassify { .. } => {
            vec![Feature::FilterEngine]
        }
        Call::OriginalDestination { .. } => vec![Feature::OriginalDestination],
        Call::Advance { .. } => vec![Feature::VirtualTime],
        Call::KernelCall(_) | Call::UnloadDriver { .. } => vec![Feature::DriverCalls],
        Call::Describe { .. } | Call::Account { .. } | Call::CountContexts {} | Call::CountAll {} => {
            vec![Feature::KernelView]
        }
        Call::QueryRecords(query) | Call::QueryContext(query) => invalid(&[
            query.out.pointer,
            query.bytes_returned,
            query.input.map_or(PointerKind::Valid, |i| i.pointer),
        ]),
        Call::SetRecords(set) => invalid(&[
            set.input.pointer,
            set.bytes_returned,
            set.out.map_or(PointerKind::Valid, |out| out.pointer),
        ]),
        Call::Ioctl { input, out, bytes_returned, .. } => {
            invalid(&[input.map_or(PointerKind::Valid, |input| input.pointer), out.pointer, *bytes_returned])
        }
        Call::WskControl(control) => {
            let pointers = [
                control.input.map_or(PointerKind::Valid, |input| input.pointer),
                control.out.map_or(PointerKind::Valid, |out| out.pointer),
                if control.size_returned == SizeReturned::Unmapped {
                    PointerKind::Unmapped
                } else {
                    PointerKind::Valid
                },
            ];
            [vec![Feature::Wsk], invalid(&pointers)].concat()
        }
        Call::SioFormatRecords(asked) => {
            [vec![Feature::Wsk], invalid(&[asked.out.pointer, asked.bytes_transferred])].concat()
        }
        Call::CancelIrp { .. } => vec![Feature::Wsk],
        Call::Stall { .. } | Call::Resume { .. } | Call::Network { .. } => vec![Feature::FaultInjection],
        Call::GetResult { .. }
        | Call::EventState { .. }
        | Call::AlertableWait { .. }
        | Call::CreatePort {}
        | Call::Associate { .. }
        | Call::Dequeue { .. }
        | Call::CancelIo { .. }
        | Call::CancelBlockingCall {}
        | Call::FreeMemory { .. } => vec![Feature::Overlapped],
        _ => Vec::new(),
    };
    let (overlapped, spi) = call.ways();
    if overlapped.is_some() || spi.is_some() {
        features.push(Feature::Overlapped);
    }
    let pointers = overlapped.map_or([PointerKind::Valid; 2], |o| [o.pointer, o.routine.unwrap_or_default()]);
    let spi_pointers = spi.map_or([PointerKind::Valid; 2], |spi| [spi.thread_id, spi.errno]);
    features.extend(invalid(&pointers));
    features.extend(invalid(&spi_pointers));
    features.extend(call.inside().iter().flat_map(|inside| features_of(&inside.op)));
    features
}
