//! The machine as the runner sees it: which process has what, and who is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use wfp_sim::WinsockError;

use super::ground::{Ground, host_of};
use super::redirection::{self, Player};
use super::wire::{Answer, Asked, Bytes, ProcessIdentity, Request};
use crate::child::{Child, ChildError};
use crate::driver_adapter::{DriverAdapter, Installed};
use crate::vocabulary::{
    Backend, BackendFault, Call, CalloutSpec, Endpoint, Feature, Features, HostSpec, Identity, LOCAL, Name,
    Observation, Op, OptionLevel, Outcome, Place, ProcessSpec, Role, SetUp, Settings, SocketFamily,
};

/// The argument that makes this program play a process of a scenario.
const PROCESS: &str = "process";

/// How long a process may take for an answer, beside what it is told to wait: more than the longest grace that it
/// gives a call.
const LIMIT: Duration = Duration::from_secs(30);

/// How long one process is waited for where several can be the first.
const TURN: Duration = Duration::from_millis(5);

/// What every Windows has.
const ALWAYS: [Feature; 7] = [
    Feature::Tcp,
    Feature::Udp,
    Feature::ExtensionFunctions,
    Feature::Overlapped,
    Feature::Duplicate,
    Feature::RemoteHost,
    Feature::InvalidPointers,
];

/// The exceptions that a bad pointer can lead to.
const EXCEPTIONS: [(u32, &str); 5] = [
    (0xC000_0005, "STATUS_ACCESS_VIOLATION"),
    (0xC000_0006, "STATUS_IN_PAGE_ERROR"),
    (0xC000_001D, "STATUS_ILLEGAL_INSTRUCTION"),
    (0xC000_00FD, "STATUS_STACK_OVERFLOW"),
    (0xC000_0409, "STATUS_STACK_BUFFER_OVERRUN"),
];

type Result<T> = std::result::Result<T, BackendFault>;

/// The Windows machine that this program runs on.
///
/// Its processes are children of this one. All of them have ended, and everything that was installed is removed, when
/// the backend is dropped.
pub struct WindowsBackend {
    program: PathBuf,
    driver: Option<DriverAdapter>,
    /// What the driver was told to redirect, by the names of callouts.
    installed: Vec<Installed>,
    features: Features,
    os: String,
    /// Whether the system is one that has redirect records.
    has_records: bool,
    /// This machine, before a scenario names anything.
    machine: Ground,
    ground: Ground,
    hosts: BTreeSet<Name>,
    /// Those that do not answer.
    silent: BTreeSet<Name>,
    running: BTreeMap<Name, Running>,
    /// Processes of scenarios that have ended, and can play others in the next case.
    resting: Vec<Running>,
    idle: Vec<Running>,
    /// Which process has a socket.
    sockets: HashMap<Name, Name>,
    /// Which process waits in a call.
    pending: HashMap<Name, Name>,
    blobs: HashMap<Name, Bytes>,
    sources: HashMap<Name, SocketAddr>,
    /// Whether anybody has connected or sent anything.
    arrivals: bool,
}

/// A process of a scenario.
struct Running {
    child: Child,
    pid: u32,
    host: Name,
}

impl WindowsBackend {
    /// The machine that this program runs on. `driver` is the command that redirects connections there.
    ///
    /// # Errors
    /// Where a process cannot be started.
    pub fn new(driver: Option<&str>) -> Result<Self> {
        let program = std::env::current_exe()
            .map_err(|error| BackendFault::Broken(format!("this program cannot be found: {error}")))?;
        Self::with_program(&program, driver)
    }

    /// The same, for a program that is not `wfp-conformance` itself: `program` is the path of that.
    ///
    /// # Errors
    /// Where a process cannot be started.
    pub fn with_program(program: &Path, driver: Option<&str>) -> Result<Self> {
        let driver = driver.map(|command| DriverAdapter::new(command, LIMIT)).transpose()?;
        let described = driver.as_ref().map(DriverAdapter::describe).transpose()?;
        let machine = Ground::of_this_machine();
        let mut backend = Self {
            program: program.to_owned(),
            driver,
            installed: Vec::new(),
            features: Features::new(),
            os: String::new(),
            has_records: false,
            ground: machine.clone(),
            machine,
            hosts: BTreeSet::from([LOCAL.into()]),
            silent: BTreeSet::new(),
            running: BTreeMap::new(),
            resting: Vec::new(),
            idle: Vec::new(),
            sockets: HashMap::new(),
            pending: HashMap::new(),
            blobs: HashMap::new(),
            sources: HashMap::new(),
            arrivals: false,
        };
        backend.features = backend.measure()?;
        if let Some(described) = described {
            backend.features.insert(Feature::Redirect);
            if described.multi_vendor {
                backend.features.insert(Feature::MultiVendor);
            }
        }
        backend.rest()?;
        Ok(backend)
    }

    /// What this machine can do.
    fn measure(&mut self) -> Result<Features> {
        let process: Name = "probe".into();
        self.start(&process, LOCAL.into())?;
        let mut features = Features::from(ALWAYS);
        for (family, feature) in
            [(SocketFamily::Ipv6, Feature::Ipv6), (SocketFamily::Dual, Feature::DualStack)]
        {
            let socket: Name = format!("{family}").into();
            let to = Endpoint::new(Place::Loopback, 0);
            let calls = [
                Call::socket(family),
                Call::Bind { socket: Name::clone(&socket), to, mapped: family == SocketFamily::Dual },
            ];
            let mut has_it = true;
            for call in calls {
                has_it = has_it && self.asks(&process, &socket, call)?.is_ok();
            }
            if has_it {
                features.insert(feature);
            }
        }
        let socket: Name = "option".into();
        self.asks(&process, &socket, Call::socket(SocketFamily::Ipv4))?;
        // At the one level or at the other; on a socket like this it fails, but not for want of the option.
        for level in [OptionLevel::Family, OptionLevel::Socket] {
            let length = crate::vocabulary::Length::Bytes(128);
            let call = Call::OriginalDestination { socket: Name::clone(&socket), level, length };
            let answer = self.asks(&process, &"destination".into(), call)?;
            let unknown =
                [WinsockError::WSAENOPROTOOPT, WinsockError::WSAEINVAL, WinsockError::WSAEOPNOTSUPP];
            if answer.error().is_none_or(|error| !unknown.contains(&error)) {
                features.insert(Feature::OriginalDestination);
            }
        }
        if self.has_records {
            features.insert(Feature::RedirectRecords);
        }
        Ok(features)
    }

    fn asks(&mut self, process: &Name, name: &Name, call: Call) -> Result<Observation> {
        self.call(&Op { process: Name::clone(process), thread: 0, name: Some(Name::clone(name)), call })
    }

    fn start(&mut self, name: &Name, host: Name) -> Result<()> {
        let child = if let Some(Running { child, .. }) = self.idle.pop() {
            child
        } else {
            let mut command = Command::new(&self.program);
            command.arg(PROCESS);
            Child::start(command).map_err(|error| broken(name, &error))?
        };
        let mut running = Running { child, pid: 0, host: Name::clone(&host) };
        let answer = running.ask(&Request::Begin { host }, LIMIT).map_err(|error| error.fault(name))?;
        if let Some(ProcessIdentity { pid, os, has_records }) = answer.identity {
            (running.pid, self.os, self.has_records) = (pid, os, has_records);
        }
        self.running.insert(Name::clone(name), running);
        Ok(())
    }

    fn set_up(&mut self, name: &Name, part: &SetUp) -> Result<Observation> {
        match part {
            SetUp::AddHost(HostSpec { name, silent }) => {
                self.hosts.insert(Name::clone(name));
                if *silent {
                    self.silent.insert(Name::clone(name));
                }
            }
            SetUp::StartProcess(ProcessSpec { wow64: true, .. }) => {
                return Err(BackendFault::Unsupported("32-bit programs".to_owned()));
            }
            SetUp::StartProcess(ProcessSpec { driver: true, .. }) => {
                return Err(BackendFault::Unsupported("drivers of its own".to_owned()));
            }
            SetUp::StartProcess(spec) => {
                if self.running.contains_key(name) {
                    return Err(BackendFault::Misuse(format!("the process `{name}` runs already")));
                }
                self.known_host(&spec.host)?;
                self.start(name, Name::clone(&spec.host))?;
            }
            SetUp::InstallCallout(spec) => self.install(spec)?,
            SetUp::AddFilter { .. } => {
                return Err(BackendFault::Unsupported("filters of its own".to_owned()));
            }
        }
        Ok(Observation::new(Outcome::Ok))
    }

    /// Lets the driver redirect as a callout does.
    fn install(&mut self, spec: &CalloutSpec) -> Result<()> {
        let Some(driver) = &self.driver else {
            let what = format!("the callout `{}` without a driver (`--driver`)", spec.name);
            return Err(BackendFault::Unsupported(what));
        };
        let player =
            |(name, running): (&Name, &Running)| Player { name: Name::clone(name), pid: running.pid };
        let players: Vec<Player> = self.running.iter().map(player).collect();
        let hosts: Vec<Name> = self.hosts.iter().cloned().collect();
        let image = self.program.display().to_string();
        let redirection = redirection::of(spec, &mut self.ground, &hosts, &players, &image)?;
        self.installed.push(driver.install(&redirection)?);
        Ok(())
    }

    /// Removes what was installed for a callout, or for all.
    fn uninstall(&mut self, callout: Option<&Name>) -> Result<()> {
        let (mut result, mut kept) = (Ok(()), Vec::new());
        for installed in std::mem::take(&mut self.installed) {
            match &self.driver {
                Some(driver) if callout.is_none_or(|callout| *callout == installed.name) => {
                    // Whatever comes of one, the others are not to stay.
                    let removed = driver.remove(&installed);
                    result = result.and(removed);
                }
                _ => kept.push(installed),
            }
        }
        self.installed = kept;
        result
    }

    fn known_host(&self, host: &Name) -> Result<()> {
        if self.hosts.contains(host) {
            return Ok(());
        }
        Err(BackendFault::Misuse(format!("there is no host `{host}`")))
    }

    /// Lets ports of this machine stand for those that a call names.
    fn serve_ports(&mut self, host: &Name, call: &Call) -> Result<()> {
        for call in std::iter::once(call).chain(call.inside().iter().map(|inside| &inside.op)) {
            let Some(endpoint) = call.endpoint() else { continue };
            let host = host_of(endpoint, host);
            self.known_host(host)?;
            if self.silent.contains(host) {
                let what = format!("a host that does not answer (`{host}`): every host is this machine");
                return Err(BackendFault::Unsupported(what));
            }
            let port = endpoint.port.unwrap_or(0);
            if port != 0 && self.ground.serve(host, port).is_none() {
                return Err(BackendFault::Broken(format!("no port is free to stand for {endpoint}")));
            }
        }
        Ok(())
    }

    /// Lets the process of an op make its call.
    fn call(&mut self, op: &Op) -> Result<Observation> {
        let host = Name::clone(&self.process(&op.process)?.host);
        self.serve_ports(&host, &op.call)?;
        let inside = op.call.inside().iter().flat_map(|inside| inside.op.references());
        let (mut blobs, mut sources, mut foreign) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut processes = BTreeMap::new();
        for (_, role, name) in op.call.references().into_iter().chain(inside) {
            match role {
                Role::Blob => {
                    blobs.extend(self.blobs.get(name).map(|bytes| (Name::clone(name), bytes.clone())));
                    sources.extend(self.sources.get(name).map(|source| (Name::clone(name), *source)));
                }
                Role::Socket if self.sockets.get(name).is_some_and(|owner| *owner != op.process) => {
                    foreign.push(Name::clone(name));
                }
                Role::Process => {
                    processes.insert(Name::clone(name), self.process(name)?.pid);
                }
                _ => {}
            }
        }
        let asked = Asked {
            op: op.clone(),
            ground: self.ground.clone(),
            blobs,
            sources,
            processes,
            foreign,
            arrivals: self.arrivals,
            redirects: self.driver.is_some(),
        };
        self.arrivals |= sends(&op.call);
        let answer = self.ask(&op.process, &Request::Call(Box::new(asked)), LIMIT)?;
        self.hear(op, answer)
    }

    /// Keeps what an answer names.
    fn hear(&mut self, op: &Op, answer: Answer) -> Result<Observation> {
        let Answer { result, news, ended, .. } = answer;
        let owner = |name: Name| (name, Name::clone(&op.process));
        self.sockets.extend(news.sockets.into_iter().map(owner));
        self.pending.extend(news.pending.into_iter().map(owner));
        self.blobs.extend(news.blobs);
        self.sources.extend(news.sources);
        if ended {
            self.end(&op.process);
        }
        let observation = result?;
        if let (Some(socket), Call::Duplicate { process, .. }) = (news.duplicated, &op.call) {
            let request = Request::Adopt { name: op.name.clone(), socket };
            let there = Op { process: Name::clone(process), ..op.clone() };
            let answer = self.ask(process, &request, LIMIT)?;
            return self.hear(&there, answer);
        }
        Ok(observation)
    }

    fn process(&mut self, name: &Name) -> Result<&mut Running> {
        let missing = || BackendFault::Misuse(format!("no process `{name}` runs"));
        self.running.get_mut(name).ok_or_else(missing)
    }

    /// Asks a process. One that crashes meanwhile says so by that.
    fn ask(&mut self, name: &Name, request: &Request, limit: Duration) -> Result<Answer> {
        match self.process(name)?.ask(request, limit) {
            Ok(answer) => Ok(answer),
            Err(failure) => {
                self.running.remove(name);
                match failure.exception() {
                    Some(exception) => Ok(Answer::of(Ok(Observation::new(Outcome::Crashed(exception))))),
                    None => Err(failure.fault(name)),
                }
            }
        }
    }

    fn wait(&mut self, calls: &[Name], limit: u32) -> Result<Observation> {
        let mut by_process: Vec<(Name, Vec<Name>)> = Vec::new();
        for call in calls {
            let owner = self.pending.get(call);
            let owner = owner.ok_or_else(|| BackendFault::Misuse(format!("no call `{call}` is pending")))?;
            match by_process.iter_mut().find(|(process, _)| process == owner) {
                Some((_, calls)) => calls.push(Name::clone(call)),
                None => by_process.push((Name::clone(owner), vec![Name::clone(call)])),
            }
        }
        let until = Instant::now() + Duration::from_millis(limit.into());
        let mut turn = Duration::ZERO;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let alone = by_process.len() == 1;
            for (process, calls) in &by_process {
                let turn = if alone { left } else { turn.min(left) };
                let observation = self.wait_in(process, calls, turn)?;
                if let Some((name, _)) = &observation.completed {
                    self.pending.remove(name);
                }
                if observation.outcome != Outcome::Pending {
                    return Ok(observation);
                }
            }
            if alone || left.is_zero() {
                return Ok(Observation::new(Outcome::Pending));
            }
            turn = TURN;
        }
    }

    fn wait_in(&mut self, process: &Name, calls: &[Name], turn: Duration) -> Result<Observation> {
        let request = Request::Wait {
            calls: calls.to_vec(),
            limit: u32::try_from(turn.as_millis()).unwrap_or(u32::MAX),
            ground: self.ground.clone(),
        };
        let op = Op { process: Name::clone(process), thread: 0, name: None, call: Call::CountAll {} };
        let answer = self.ask(process, &request, turn.saturating_add(LIMIT))?;
        self.hear(&op, answer)
    }

    /// Ends a process: its sockets are closed. Where nothing of it goes on, the same one may play another in the next
    /// case; else it really ends.
    fn end(&mut self, name: &Name) {
        let Some(mut running) = self.running.remove(name) else { return };
        if running.clean() {
            self.resting.push(running);
        }
        self.sockets.retain(|_, owner| owner != name);
        self.pending.retain(|_, owner| owner != name);
    }

    /// Ends everything that runs, and removes what was installed.
    fn rest(&mut self) -> Result<()> {
        for name in self.running.keys().cloned().collect::<Vec<_>>() {
            self.end(&name);
        }
        self.idle.append(&mut self.resting);
        self.hosts = BTreeSet::from([LOCAL.into()]);
        self.silent.clear();
        self.ground = self.machine.clone();
        self.sockets.clear();
        self.pending.clear();
        self.blobs.clear();
        self.sources.clear();
        self.arrivals = false;
        self.uninstall(None)
    }
}

impl Backend for WindowsBackend {
    fn identify(&self) -> Identity {
        Identity {
            name: "windows".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            os: Some(self.os.clone()),
        }
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, _settings: &Settings) -> Result<()> {
        self.rest()
    }

    fn apply(&mut self, op: &Op) -> Result<Observation> {
        match &op.call {
            Call::SetUp(part) => self.set_up(&op.process, part),
            Call::Wait { calls, limit } => self.wait(calls, *limit),
            Call::RemoveCallout { callout } => {
                self.uninstall(Some(callout)).map(|()| Observation::new(Outcome::Ok))
            }
            Call::EndProcess {} => {
                self.process(&op.process)?;
                self.end(&op.process);
                Ok(Observation::new(Outcome::Ok))
            }
            _ => self.call(op),
        }
    }
}

impl Drop for WindowsBackend {
    fn drop(&mut self) {
        // There is nobody to tell of a failure.
        let _ = self.uninstall(None);
    }
}

/// Whether something can arrive somewhere because of a call.
fn sends(call: &Call) -> bool {
    matches!(
        call,
        Call::Connect { .. }
            | Call::Send { .. }
            | Call::SendTo { .. }
            | Call::SendMessage(_)
            | Call::Shutdown { .. }
            | Call::Close { .. }
    )
}

/// Why a process has not answered.
enum Failure {
    Child(ChildError),
    /// What it said is no answer.
    Garbage(String),
}

impl Failure {
    fn fault(self, name: &Name) -> BackendFault {
        match self {
            Self::Child(error) => broken(name, &error),
            Self::Garbage(what) => BackendFault::Broken(format!("process `{name}`: {what}")),
        }
    }

    /// The exception that the process ended with.
    fn exception(&self) -> Option<String> {
        let Self::Child(ChildError::Died { status: Some(status), .. }) = self else { return None };
        // The numbers of exceptions have both highest bits set, as an error's; what a program returns has not.
        let code = status.code().filter(|code| code.cast_unsigned() >= 0xC000_0000)?;
        let name =
            EXCEPTIONS.iter().find(|(number, _)| *number == code.cast_unsigned()).map(|(_, name)| *name);
        Some(match name {
            Some(name) => format!("{code:#010X} {name}"),
            None => format!("{code:#010X}"),
        })
    }
}

fn broken(name: &Name, error: &ChildError) -> BackendFault {
    BackendFault::Broken(format!("process `{name}`: {error}"))
}

impl Running {
    fn ask(&mut self, request: &Request, limit: Duration) -> std::result::Result<Answer, Failure> {
        let mut line = serde_json::to_vec(request).map_err(|error| Failure::Garbage(error.to_string()))?;
        line.push(b'\n');
        let answer = self.child.ask(&line, 1, limit).map_err(Failure::Child)?;
        let answer = answer.first().map_or("", String::as_str);
        serde_json::from_str(answer).map_err(|error| Failure::Garbage(format!("no answer: {error}")))
    }

    /// Closes everything; whether nothing goes on.
    fn clean(&mut self) -> bool {
        let answer = self.ask(&Request::Clean {}, LIMIT);
        answer.is_ok_and(|answer| answer.result.is_ok_and(|observation| observation.is_ok()))
    }
}
