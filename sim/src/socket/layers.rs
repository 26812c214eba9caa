//! Asking one layer of the filter engine, and what its callouts leave behind.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Protocol, SocketKind};
use crate::engine::{Ended, Flags, Incoming, Layer, LayerKind, Run, Verdict, classify};
use crate::ids::{HostId, Pid, SocketId};
use crate::profile::WindowsVersion;
use crate::records::Records;
use crate::trace::{ClassifyEnd, ClassifyTrace};
use crate::world::World;

/// What a socket does that is to be classified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asking {
    pub(crate) pid: Pid,
    /// The image of the process.
    pub(crate) app: Arc<str>,
    /// The image of the first application behind a proxied connection.
    pub(crate) original_app: Arc<str>,
    pub(crate) socket: SocketId,
    pub(crate) host: HostId,
    pub(crate) kind: SocketKind,
    /// Where the socket is bound.
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) destination: SocketAddr,
    pub(crate) records: Option<Arc<Records>>,
}

/// The traces of the classifies of one connect, where somebody wants them.
pub(crate) type Traces = Option<Vec<ClassifyTrace>>;

impl Asking {
    /// What a layer is shown of it: from `local` to `remote`.
    pub(super) fn seen(&self, layer: Layer, local: SocketAddr, remote: Option<SocketAddr>) -> Incoming<'_> {
        let has_records = matches!(layer.kind, LayerKind::ConnectRedirect | LayerKind::AuthConnect);
        Incoming {
            layer,
            process_id: self.pid,
            app_id: &self.app,
            original_app_id: &self.original_app,
            protocol: self.kind.protocol.number(),
            local,
            remote,
            flags: Flags::NONE,
            records: self.records.as_deref().filter(|_| has_records),
            original_destination: None,
            local_redirect_target_pid: None,
        }
    }
}

impl World {
    /// What `pid` is about to do with a socket; `None` where the process has ended.
    pub(crate) fn asking(
        &self,
        pid: Pid,
        socket: SocketId,
        destination: SocketAddr,
        records: Option<Arc<Records>>,
    ) -> Option<Asking> {
        let app = Arc::clone(&self.processes.get(&pid)?.image);
        let of = self.sockets.get(&socket)?;
        let records = records.or_else(|| of.records.clone());
        let first = records.as_deref().and_then(|records| self.original_app(records));
        let original_app = first.unwrap_or_else(|| Arc::clone(&app));
        let (host, kind, bound) = (of.host, of.kind, of.local);
        Some(Asking { pid, app, original_app, socket, host, kind, bound, destination, records })
    }

    /// The first application behind a connection, as long as that exists.
    fn original_app(&self, records: &Records) -> Option<Arc<str>> {
        self.flows.get(&records.entries().last()?.flow)?.original_app.clone()
    }

    /// Asks one layer. What its callouts left behind stays in the accounts of their drivers.
    pub(crate) fn ask(&mut self, seen: &Incoming<'_>, run: &mut Run, traces: &mut Traces) -> Ended {
        if self.engine.asked_at(seen.layer).is_empty() {
            if let Some(traces) = traces.as_mut().filter(|_| seen.layer.kind == LayerKind::ConnectRedirect) {
                traces.push(ClassifyTrace::new(seen));
            }
            return Ended::Decided(None);
        }
        let mut inspections = traces.is_some().then(Vec::new);
        let flags = run.shown(seen, &self.profile);
        let ended = classify(&mut self.machinery(seen.records), seen, run, inspections.as_mut());
        self.keep_what_is_left(run);
        if let Ended::BugCheck(bug_check) = &ended {
            self.bug_check = Some(*bug_check);
        }
        if let (Some(traces), Some(inspections)) = (traces, inspections) {
            let end = match &ended {
                Ended::Decided(verdict) => ClassifyEnd::Decided(*verdict),
                Ended::Pended(_) => ClassifyEnd::Pended,
                Ended::Never => ClassifyEnd::Never,
                Ended::BugCheck(bug_check) => ClassifyEnd::BugCheck(*bug_check),
            };
            let shown = !inspections.is_empty() || seen.layer.kind == LayerKind::ConnectRedirect;
            if shown {
                traces.push(ClassifyTrace { flags, inspections, end, ..ClassifyTrace::new(seen) });
            }
        }
        ended
    }

    /// Handles that callouts did not release stay open, contexts that they lost stay allocated.
    fn keep_what_is_left(&mut self, run: &mut Run) {
        for (owner, handle) in std::mem::take(&mut run.lost_handles) {
            self.classify_handles.insert(handle, owner);
        }
        for (owner, bytes) in std::mem::take(&mut run.lost_contexts) {
            self.lose_context(owner, bytes);
        }
    }

    /// Asks a layer that only authorizes: whether it blocks.
    pub(crate) fn is_blocked(&mut self, seen: &Incoming<'_>, traces: &mut Traces) -> bool {
        !self.engine.asked_at(seen.layer).is_empty()
            && matches!(
                self.ask(seen, &mut Run::default(), traces),
                Ended::Decided(Some(Verdict::Block)) | Ended::BugCheck(_)
            )
    }

    /// `IS_PROXY_CONNECTION`, inferred: set exactly where records were set on the socket.
    pub(super) fn proxy_flag(&self, records: Option<&Records>) -> Flags {
        let known = self.profile.windows_version != WindowsVersion::Seven;
        Flags::PROXY_CONNECTION.when(known && records.is_some())
    }

    /// `IS_LOOPBACK`: to this host.
    pub(super) fn loopback_flag(&self, host: HostId, address: SocketAddr) -> Flags {
        Flags::LOOPBACK.when(self.host_with(host, address.ip()) == Some(host))
    }
}

impl Protocol {
    pub(super) fn is_tcp(self) -> bool {
        self == Self::Tcp
    }
}
