//! One case on one backend: set up, steps, end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use wfp_sim::Profile;

use super::bare::runs_bare;
use super::{Called, CaseRun, Event, Failure, Followed, Options, Status, Waiting};
use crate::follow::{End, Ending, FirstSocket, Follower, Journey, Transport};
use crate::scenario::{
    Difference, Expect, Host, Known, LoadedCase, OkExpect, OutcomeExpect, Step, Sweep, SweepRow,
};
use crate::vocabulary::{
    Account, Backend, BackendFault, Call, Endpoint, Feature, HostSpec, LOCAL, Length, Name, Observation, Op,
    Outcome, Place, ProcessSpec, SetUp, Settings,
};

/// Milliseconds that a real machine is given for a call that is expected to return.
pub(crate) const PATIENCE: u32 = 1000;

/// Runs a case.
///
/// # Errors
/// Where the backend breaks; that is no failure of the case.
pub fn run_case(
    backend: &mut dyn Backend,
    loaded: &LoadedCase,
    options: &Options,
    seed: u64,
) -> Result<CaseRun, BackendFault> {
    let start = Instant::now();
    let mut run = CaseRun {
        status: Status::Passed,
        reason: None,
        failure: None,
        events: Vec::new(),
        observed: Vec::new(),
        duration: start.elapsed(),
    };
    if let Some(reason) = options.expectations.skips(&loaded.name) {
        run.status = Status::Skipped;
        run.reason = Some(reason.to_owned());
        return Ok(run);
    }
    let missing: Vec<&str> = loaded
        .features
        .iter()
        .filter(|feature| !backend.features().contains(feature))
        .map(|f| f.name())
        .collect();
    let bare = !missing.is_empty() && runs_bare(loaded, backend.features(), options, seed);
    if !missing.is_empty() && !bare {
        run.status = Status::Skipped;
        run.reason = Some(format!("the backend lacks {}", missing.join(", ")));
        return Ok(run);
    }
    let profile = loaded.case.under(&options.profile);
    let settings = Settings { case: loaded.name.as_str().into(), profile: profile.clone(), seed };
    match backend.reset(&settings) {
        Ok(()) => {}
        Err(BackendFault::Unsupported(what)) => {
            run.status = Status::Skipped;
            run.reason = Some(format!("the backend does not support {what}"));
            return Ok(run);
        }
        Err(fault) => return Err(fault),
    }
    let chosen = backend.features().contains(&Feature::Profile).then_some(profile);
    let mut player = Player {
        backend,
        loaded,
        profile: chosen,
        follower: Follower::new(),
        processes: Vec::new(),
        blobs: BTreeMap::new(),
        keeps_trace: options.trace,
        goes_on: options.goes_on,
        bare,
        run: &mut run,
    };
    match player.play() {
        Ok(None) => {}
        Ok(failure) => {
            run.status = Status::Failed;
            run.failure = failure;
        }
        Err(BackendFault::Unsupported(what)) => {
            run.status = Status::Skipped;
            run.reason = Some(format!("the backend does not support {what}"));
        }
        Err(fault) => return Err(fault),
    }
    run.duration = start.elapsed();
    Ok(run)
}

/// Where a host listens.
fn listeners(host: &Host) -> impl Iterator<Item = (u16, Transport)> {
    let tcp = host.listen.iter().map(|port| (*port, Transport::Tcp));
    tcp.chain(host.listen_udp.iter().map(|port| (*port, Transport::Udp)))
}

/// The process that listens there.
fn listening(host: &Name, port: u16, transport: Transport) -> Name {
    match transport {
        Transport::Tcp => format!("{host}:{port}").into(),
        Transport::Udp => format!("{host}:{port}/udp").into(),
    }
}

struct Player<'a> {
    backend: &'a mut dyn Backend,
    loaded: &'a LoadedCase,
    /// Where the backend's can be chosen.
    profile: Option<Profile>,
    follower: Follower,
    processes: Vec<Name>,
    blobs: BTreeMap<Name, Arc<[u8]>>,
    keeps_trace: bool,
    /// Whether to go on behind a failure.
    goes_on: Option<Waiting>,
    /// Whether the callouts are left out.
    bare: bool,
    run: &'a mut CaseRun,
}

impl Player<'_> {
    /// The whole case, up to the first thing that is not as expected unless it is to go on behind it.
    fn play(&mut self) -> Result<Option<Failure>, BackendFault> {
        let ready = self.set_up().map(|()| None);
        if let Some(failure) = self.cannot_be_made(0, ready)? {
            return Ok(Some(failure));
        }
        let loaded = self.loaded;
        let mut first = None;
        for (index, step) in loaded.case.steps.iter().enumerate() {
            let result = self.step(index, step);
            first = first.or(self.cannot_be_made(index + 1, result)?);
            if first.is_some() && self.goes_on.is_none() {
                return Ok(first);
            }
        }
        let left = self.look_for_leaks()?;
        Ok(first.or(left))
    }

    // Set up.

    fn set_up(&mut self) -> Result<(), BackendFault> {
        let case = &self.loaded.case;
        let ops = self.parts();
        let is_process = |op: &&Op| matches!(op.call, Call::SetUp(SetUp::StartProcess(_)));
        self.processes = ops.iter().filter(is_process).map(|op| Name::clone(&op.process)).collect();
        for observed in self.backend.apply_all(&ops)? {
            observed.supported()?;
        }
        for (name, host) in &case.hosts {
            for (port, transport) in listeners(host) {
                let process = listening(name, port, transport);
                let endpoint = Endpoint::new(Place::Host(Name::clone(name)), port);
                let families = host.families.of_sockets();
                self.follower.start_destination(self.backend, &process, &endpoint, families, transport)?;
            }
        }
        for (name, service) in &case.services {
            self.follower.start_service(self.backend, name, service.clone())?;
        }
        Ok(())
    }

    /// What is there before anybody calls: hosts, processes, callouts and filters.
    fn parts(&self) -> Vec<Op> {
        let case = &self.loaded.case;
        let mut ops = Vec::new();
        let mut part = |name: &Name, part| {
            ops.push(Op { process: Name::clone(name), thread: 0, name: None, call: Call::SetUp(part) });
        };
        for (name, host) in case.hosts.iter().filter(|(name, _)| &***name != LOCAL) {
            part(name, SetUp::AddHost(HostSpec { name: Name::clone(name), silent: host.silent }));
        }
        for (name, process) in &case.processes {
            part(name, SetUp::StartProcess(process.clone()));
        }
        let mut started: BTreeSet<&Name> = case.processes.keys().collect();
        for (name, service) in &case.services {
            let process = service.runs_in(name);
            if started.insert(process) {
                part(process, SetUp::StartProcess(ProcessSpec { elevated: true, ..ProcessSpec::default() }));
            }
        }
        if !self.bare {
            for (name, callout) in &case.callouts {
                part(name, SetUp::InstallCallout(Arc::new(callout.spec(name, &case.services))));
            }
        }
        for (name, filter) in &case.filters {
            part(name, SetUp::AddFilter { name: Name::clone(name), filter: filter.clone() });
        }
        for (name, host) in &case.hosts {
            for (port, transport) in listeners(host) {
                let spec = ProcessSpec { host: Name::clone(name), ..ProcessSpec::default() };
                part(&listening(name, port, transport), SetUp::StartProcess(spec));
            }
        }
        ops
    }

    fn apply(
        &mut self,
        process: &Name,
        thread: u32,
        name: Option<&Name>,
        call: Call,
    ) -> Result<Observation, BackendFault> {
        let op = Op { process: Name::clone(process), thread, name: name.cloned(), call };
        let observed = self.backend.apply(&op)?.supported()?;
        if let Some(name) = name {
            self.remember(name, &observed);
        }
        self.remember_parts(&observed);
        if let Some((name, result)) = &observed.completed {
            self.remember(name, result);
            self.remember_parts(result);
        }
        Ok(observed)
    }

    /// Control messages have names of their own.
    fn remember_parts(&mut self, observed: &Observation) {
        for message in observed.control.iter().flatten() {
            if let Some(name) = &message.name {
                self.blobs.insert(Name::clone(name), Arc::clone(&message.bytes));
            }
        }
    }

    fn remember(&mut self, name: &Name, observed: &Observation) {
        if let Some(stored) = observed.stored.as_ref().filter(|_| observed.is_ok()) {
            self.blobs.insert(Name::clone(name), Arc::clone(&stored.bytes));
        }
    }

    // Steps.

    fn step(&mut self, index: usize, step: &Step) -> Result<Option<Failure>, BackendFault> {
        if let Some(follow) = &step.follow {
            let journey = Journey {
                from: Name::clone(&follow.from),
                to: follow.to.clone(),
                family: follow.family,
                keep_open: follow.keep_open,
                protocol: follow.protocol,
                socket: FirstSocket {
                    family: follow.socket,
                    bind: follow.bind.clone(),
                    connected: follow.connect,
                },
            };
            let ending = self.follower.follow(self.backend, &journey)?;
            let failure = self.check_ending(index, step, &ending);
            self.run.events.push(Event::Followed(Followed { step: index + 1, ending }));
            return Ok(failure);
        }
        let process = step.process.clone().unwrap_or_else(|| "".into());
        if let Some(sweep) = &step.sweep {
            return self.sweep(index, &process, step.thread, sweep);
        }
        let Some(call) = &step.op else { return Ok(None) };
        let mut observed = self.apply(&process, step.thread, step.name.as_ref(), call.clone())?;
        if let Some(late) = self.wait_for(step, &process, &observed)? {
            observed = late;
        }
        self.keep(index, &process, || call.name().to_owned(), &observed);
        let success = Expect::Ok(OkExpect::default());
        let expect = step.expect.as_ref().unwrap_or(&success);
        if observed.is_ok() && observed.inside.is_empty() && !call.inside().is_empty() {
            let expected = "a callback that makes the calls `inside`".to_owned();
            return Ok(Some(self.failure(
                index,
                &["op", call.name(), "inside"],
                expected,
                observed.to_string(),
            )));
        }
        Ok(self.check(index, expect, &observed, &["expect"], ""))
    }

    /// On a real machine a call that is expected to return may take its time: what came of it then.
    fn wait_for(
        &mut self,
        step: &Step,
        process: &Name,
        observed: &Observation,
    ) -> Result<Option<Observation>, BackendFault> {
        let Some(name) = step.name.as_ref().filter(|_| observed.outcome == Outcome::Pending) else {
            return Ok(None);
        };
        let is_expected = step.expect.as_ref().is_some_and(|expect| {
            let blob = |name: &str| self.blobs.get(name).cloned();
            expect.check(observed, self.known(&blob)).is_none()
        });
        if (is_expected && self.goes_on != Some(Waiting::ForAll))
            || self.backend.features().contains(&Feature::VirtualTime)
        {
            return Ok(None);
        }
        let call = Call::Wait { calls: vec![Name::clone(name)], limit: PATIENCE };
        let waited = self.apply(process, step.thread, None, call)?;
        Ok(waited.completed.map(|(_, result)| *result))
    }

    fn sweep(
        &mut self,
        index: usize,
        process: &Name,
        thread: u32,
        sweep: &Sweep,
    ) -> Result<Option<Failure>, BackendFault> {
        let mut first = None;
        if self.backend.features().contains(&Feature::KernelView) {
            let Some((_, _, socket)) = sweep.op.references().first().copied() else { return Ok(None) };
            let call = Call::Describe { socket: Name::clone(socket) };
            let state = self.apply(process, thread, None, call)?.state;
            if state != Some(sweep.state) {
                let expected = format!("a socket in the state {}", sweep.state);
                let observed = state.map_or("none".to_owned(), |state| state.to_string());
                first = Some(self.failure(index, &["sweep", "state"], expected, observed));
                if self.goes_on.is_none() {
                    return Ok(first);
                }
            }
        }
        for (number, SweepRow { lengths, expect, if_short }) in sweep.rows.iter().enumerate() {
            for length in lengths {
                let observed = self.apply(process, thread, None, with_length(&sweep.op, *length))?;
                self.keep(index, process, || format!("{}, length {length}", sweep.op.name()), &observed);
                let number = number.to_string();
                let is_short = observed.needed.is_some_and(|needed| length.bytes(observed.needed) < needed);
                let (key, expect) = match if_short {
                    Some(expect) if is_short => ("if-short", expect),
                    _ => ("expect", expect),
                };
                let path = ["sweep", "rows", &number, key];
                let failure = self.check(index, expect, &observed, &path, &format!("with length {length}: "));
                first = first.or(failure);
                if first.is_some() && self.goes_on.is_none() {
                    return Ok(first);
                }
            }
        }
        Ok(first)
    }

    fn keep(&mut self, index: usize, process: &Name, what: impl FnOnce() -> String, observed: &Observation) {
        if self.keeps_trace {
            let (hop, observed) = (observed.hop.clone(), observed.to_string());
            self.run.events.push(Event::Called(Called {
                step: index + 1,
                process: Name::clone(process),
                what: what(),
                observed,
                hop,
            }));
        }
    }

    // Expectations.

    fn known<'a>(&'a self, blob: &'a dyn Fn(&str) -> Option<Arc<[u8]>>) -> Known<'a> {
        Known { profile: self.profile.as_ref(), blob }
    }

    fn check(
        &mut self,
        index: usize,
        expect: &Expect,
        observed: &Observation,
        path: &[&str],
        prefix: &str,
    ) -> Option<Failure> {
        if matches!(expect, Expect::Profile(_) | Expect::OneOf(_) | Expect::ByProfile(_)) {
            let text = observed.to_string();
            if !self.run.observed.contains(&text) {
                self.run.observed.push(text);
            }
        }
        let touched = observed.stored.as_ref().is_some_and(|stored| !stored.rest_untouched);
        let blob = |name: &str| self.blobs.get(name).cloned();
        let mismatch = if touched {
            Some("nothing written behind what the call stores".to_owned())
        } else {
            expect.check(observed, self.known(&blob))
        };
        let expected = mismatch?;
        let observed = if touched { "bytes behind it changed".to_owned() } else { observed.to_string() };
        Some(self.failure(index, path, format!("{prefix}{expected}"), observed))
    }

    fn check_ending(&mut self, index: usize, step: &Step, ending: &Ending) -> Option<Failure> {
        let reached = Expect::Outcome(OutcomeExpect::ends(End::Reached));
        let expect = step.expect.as_ref().unwrap_or(&reached);
        if matches!(expect, Expect::OneOf(_) | Expect::ByProfile(_)) {
            self.run.observed.push(ending.to_string());
        }
        let blob = |_: &str| None;
        let Difference { path, expected, observed } = expect.check_ending(ending, self.known(&blob))?;
        let path: Vec<&str> = std::iter::once("expect").chain(path.iter().map(String::as_str)).collect();
        Some(self.failure(index, &path, expected, observed))
    }

    /// What cannot be made is a failure of the case, at the step with this number; 0 before the first.
    fn cannot_be_made(
        &self,
        step: usize,
        played: Result<Option<Failure>, BackendFault>,
    ) -> Result<Option<Failure>, BackendFault> {
        match played {
            Err(BackendFault::Misuse(observed)) => {
                let expected = "something that can be done".to_owned();
                Ok(Some(match step.checked_sub(1) {
                    Some(index) => self.failure(index, &[], expected, observed),
                    None => self.failure_of_ground(step, expected, observed),
                }))
            }
            Err(BackendFault::Differs { call, first, second, behind }) => {
                let failure = match step.checked_sub(1) {
                    Some(index) => self.failure(index, &[], first, second),
                    None => self.failure_of_ground(step, first, second),
                };
                let behind = behind.into_iter().chain([call]).collect();
                Ok(Some(Failure { behind, ..failure }))
            }
            other => other,
        }
    }

    /// A failure at a place of a step.
    fn failure(&self, index: usize, path: &[&str], expected: String, observed: String) -> Failure {
        let tree = &self.loaded.tree;
        let step = tree.get("steps").and_then(|steps| steps.items().get(index));
        let span = step.map_or(tree, |step| step.descend(path)).span.clone();
        Failure { step: index + 1, expected, observed, span, behind: Vec::new() }
    }

    /// A failure that no step has made.
    fn failure_of_ground(&self, step: usize, expected: String, observed: String) -> Failure {
        Failure { step, expected, observed, span: self.loaded.tree.span.clone(), behind: Vec::new() }
    }

    // End.

    /// When every process has ended and every driver is unloaded, nothing is left of what they had but what the case
    /// says.
    fn look_for_leaks(&mut self) -> Result<Option<Failure>, BackendFault> {
        let features = self.backend.features();
        if !features.contains(&Feature::KernelView) && !features.contains(&Feature::DriverCalls) {
            return Ok(None);
        }
        for process in std::mem::take(&mut self.processes) {
            // A step may have ended it already.
            let _ = self.backend.apply(&Op { process, thread: 0, name: None, call: Call::EndProcess {} });
        }
        let loaded = self.loaded;
        if self.backend.features().contains(&Feature::DriverCalls) {
            for callout in loaded.case.callouts.keys() {
                // A step may have unloaded it already. A bug check says no more than the account does.
                self.ask_kernel(Call::UnloadDriver { callout: Name::clone(callout) })?;
            }
        }
        if !self.backend.features().contains(&Feature::KernelView) {
            return Ok(None);
        }
        let (mut left, mut kept) = (0, 0);
        for callout in loaded.case.callouts.keys() {
            let account = self.ask_kernel(Call::Account { callout: Name::clone(callout) })?.account;
            let account = account.unwrap_or_default();
            let said = loaded.case.leaks.get(callout).copied();
            if !self.is_said(account, said.unwrap_or_default()) {
                let expected = format!("{} left by the driver of {callout}", said.unwrap_or_default());
                let span = loaded.tree.descend(&["leaks", callout]).span.clone();
                return Ok(Some(Failure {
                    span,
                    ..self.failure_of_ground(0, expected, account.to_string())
                }));
            }
            left += account.contexts;
            kept += account.classify_handles + account.pended_classifies;
        }
        let contexts = self.ask_kernel(Call::CountContexts {})?.count.unwrap_or(0);
        let all = self.ask_kernel(Call::CountAll {})?.count.unwrap_or(0);
        if contexts == left && all == left + kept {
            return Ok(None);
        }
        let span = self.loaded.tree.span.clone();
        let observed = format!("{contexts} redirect contexts, {all} things in all");
        let expected = "nothing left allocated when every process has ended".to_owned();
        Ok(Some(Failure { span, ..self.failure_of_ground(0, expected, observed) }))
    }

    fn ask_kernel(&mut self, call: Call) -> Result<Observation, BackendFault> {
        self.apply(&"kernel".into(), 0, None, call)
    }

    /// Whether a driver left what the case says. Under a profile by which Windows never frees some context, and that is not
    /// the case's own choice, there can be more of them.
    fn is_said(&self, left: Account, said: Account) -> bool {
        let leaky = |profile: &Profile| {
            profile.leaky_fields().any(|field| !self.loaded.case.profile.contains_key(field))
        };
        let more = left.contexts > said.contexts && self.profile.as_ref().is_none_or(leaky);
        left == Account { contexts: if more { left.contexts } else { said.contexts }, ..said }
    }
}

/// The call with another length of its buffer: a query's output, SET's input.
fn with_length(call: &Call, length: Length) -> Call {
    let mut call = call.clone();
    match &mut call {
        Call::QueryRecords(query) | Call::QueryContext(query) => query.out.length = length,
        Call::SetRecords(set) => set.input.length = length,
        _ => {}
    }
    call
}
