//! `connect`, and what the kernel tells of it.

use std::net::SocketAddr;

use wfp_sim::address::{Family, is_mapped};
use wfp_sim::engine::{Action, Flags, Verdict};
use wfp_sim::trace::{ClassifyEnd as Ended, ClassifyTrace, ConnectTrace, Inspection, Redirection, Refusal};
use wfp_sim::{Caller, Completion, Records, WinsockError};

use super::{Pending, SimBackend, Socket};
use crate::dialling::Dialling;
use crate::vocabulary::{
    BackendFault, Call, Classified, ClassifyEnd, Did, DidName, Endpoint, FlagName, Hop, Inspected, Name,
    Observation, Op, Outcome, Redirected, SocketFamily,
};

impl Dialling for SimBackend {
    fn resolved(&self, endpoint: &Endpoint, family: SocketFamily) -> Result<SocketAddr, BackendFault> {
        self.addresses.resolve(endpoint, family).map_err(BackendFault::Misuse)
    }

    fn rewritten(&self, address: SocketAddr, family: SocketFamily) -> SocketAddr {
        self.addresses.rewritten(address, family)
    }

    fn blob(&self, name: &Name) -> Option<&[u8]> {
        self.blobs.get(name).map(|blob| &**blob)
    }

    fn source(&self, name: &Name) -> Option<SocketAddr> {
        self.sources.get(name).copied()
    }
}

impl SimBackend {
    pub(super) fn connect(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        let Call::Connect { socket, to, family, ex } = &op.call else {
            return Err(BackendFault::Misuse("not a connect".to_owned()));
        };
        let Socket { handle, family: own, .. } = self.socket(socket)?;
        let Some(destination) = self.dialled(to, own, *family)? else {
            return Ok(Observation::new(Outcome::Error(WinsockError::WSAEAFNOSUPPORT)));
        };
        let mut trace: Vec<ConnectTrace> = Vec::with_capacity(1);
        let result = if *ex {
            self.world.connect_ex(caller, handle, destination, &mut trace)
        } else {
            self.world.connect(caller, handle, destination, &mut trace)
        };
        let hop = trace.pop().map(|trace| Box::new(self.hop(&trace)));
        let observation = match result {
            Ok(Completion::Done(())) => Observation::new(Outcome::Ok),
            Ok(Completion::Pending(id)) => {
                self.name_pending(op, Pending { id, family: own, asked: None, receiving: None })
            }
            Err(error) => Observation::new(Outcome::Error(error)),
        };
        Ok(Observation { hop, ..observation })
    }

    pub(super) fn hop(&self, trace: &ConnectTrace) -> Hop {
        let family = match Family::of(&trace.destination) {
            Family::Ipv4 => SocketFamily::Ipv4,
            Family::Ipv6 if is_mapped(&trace.destination) => SocketFamily::Dual,
            Family::Ipv6 => SocketFamily::Ipv6,
        };
        let redirected = trace.redirect.map(|redirect| match redirect {
            Redirection::Local(handle) => {
                Redirected::Locally { handle: Some(self.callouts.handle_name(handle)) }
            }
            Redirection::LocalWithoutRecords => Redirected::Locally { handle: None },
            Redirection::Remote => Redirected::Remotely,
            Redirection::NotAccepted(refusal) => Redirected::NotAccepted(refusal_text(refusal).to_owned()),
        });
        let delivered = trace.result.ok().and_then(|flow| self.world.flow_records(flow));
        Hop {
            family,
            destination: self.addresses.endpoint(&self.world, trace.destination),
            records: self.handle_names(trace.records.as_deref()),
            classifies: trace.classifies.iter().map(|classify| self.classified(classify)).collect(),
            target: self.addresses.endpoint(&self.world, trace.target),
            redirected,
            delivered: self.handle_names(delivered),
            delivered_bytes: delivered
                .map_or(0, |records| u32::try_from(records.blob().len()).unwrap_or(u32::MAX)),
        }
    }

    fn classified(&self, trace: &ClassifyTrace) -> Classified {
        let endpoint = |address| self.addresses.endpoint(&self.world, address);
        Classified {
            layer: trace.layer.kind.into(),
            ipv6: trace.layer.family == Family::Ipv6,
            flags: FlagName::ALL
                .into_iter()
                .zip(Flags::NAMES)
                .filter(|(_, (flag, _))| trace.flags.contains(*flag))
                .map(|(name, _)| name)
                .collect(),
            local: endpoint(trace.local),
            remote: trace.remote.map(endpoint),
            original_destination: trace.original_destination.map(endpoint),
            target_pid: trace.target_pid.is_some(),
            inspections: trace.inspections.iter().map(|seen| self.inspected(seen)).collect(),
            end: match trace.end {
                Ended::Decided(Some(Verdict::Block)) => ClassifyEnd::Block,
                Ended::Decided(Some(Verdict::Permit) | None) => ClassifyEnd::Permit,
                Ended::Pended => ClassifyEnd::Pended,
                Ended::Never => ClassifyEnd::Never,
                Ended::BugCheck(_) => ClassifyEnd::BugCheck,
            },
        }
    }

    fn inspected(&self, seen: &Inspection) -> Inspected {
        Inspected {
            callout: match seen.callout {
                Some(callout) => self.callouts.name(callout),
                None => self.callouts.name_of_filter(seen.filter),
            },
            is_filter: seen.callout.is_none(),
            state: seen.state.into(),
            own_context_bytes: seen.context_bytes.and_then(|bytes| u32::try_from(bytes).ok()),
            previous: seen
                .previous_versions
                .iter()
                .map(|version| self.callouts.name_of_filter(version.modifier))
                .collect(),
            handle: seen.handle.map(|handle| self.callouts.handle_name(handle)),
            write_right: seen.write_right,
            did: self.did(seen.action),
            blocks: seen.carried.action.map(|action| action == Verdict::Block),
            overridable: seen.carried.write,
        }
    }

    fn did(&self, action: Action) -> Did {
        let what = match action {
            Action::Permit => DidName::Permit,
            Action::HardPermit => DidName::HardPermit,
            Action::PermitEarlierRedirect => DidName::PermitEarlierRedirect,
            Action::PermitReauthorize => DidName::PermitReauthorize,
            Action::Continue => DidName::Continue,
            Action::Block => DidName::Block,
            Action::HardBlock => DidName::HardBlock,
            Action::Veto => DidName::Veto,
            Action::NoRight => DidName::NoRight,
            Action::RightMisread => DidName::RightMisread,
            Action::PermitWithoutRight => DidName::PermitWithoutRight,
            Action::BlockLater => DidName::BlockLater,
            Action::BlockRemembered => DidName::BlockRemembered,
            Action::Redirect(_) => DidName::Redirect,
            Action::Rebind(_) => DidName::Rebind,
            Action::NoTarget => DidName::NoTarget,
            Action::NotApplied => DidName::NotApplied,
            Action::Pend => DidName::Pend,
            Action::TooMany => DidName::TooMany,
            Action::CloneAndReinject => DidName::CloneAndReinject,
        };
        let address = match action {
            Action::Redirect(address) | Action::Rebind(address) => {
                Some(self.addresses.endpoint(&self.world, address))
            }
            _ => None,
        };
        Did { what, address }
    }

    fn handle_names(&self, records: Option<&Records>) -> Vec<Name> {
        let entries = records.map_or(&[][..], Records::entries);
        entries.iter().map(|entry| self.callouts.handle_name(entry.handle)).collect()
    }
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoTargetPid => "localRedirectTargetPID is 0",
        Refusal::WrongTargetPid => "localRedirectTargetPID names a process that does not listen there",
        Refusal::NoHandle => "localRedirectHandle is missing",
        Refusal::UnknownHandle => "localRedirectHandle was destroyed, or never created",
        Refusal::ContextTooLarge => "the context is larger than the machine takes",
    }
}
