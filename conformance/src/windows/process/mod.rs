//! A process of a scenario: reads what it is to call, calls it, and tells what came of it.
//!
//! The thread that reads never makes a call itself. Calls are made by a thread for each thread of the scenario, so that
//! completion routines come to where they belong; calls that wait for somebody else have one each. What does not end
//! within its grace goes on, and is pending.

mod control;
mod datagrams;
mod operations;
mod sockets;
mod tables;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use self::tables::Tables;
use self::work::{By, Done, Event, Inner, LANE_GRACE, Work};
use super::system;
use super::wire::{Answer, Asked, ProcessIdentity, Request};
use crate::vocabulary::{BackendFault, Call, Name, Observation, Op, Outcome};

/// How long calls may take to end once their sockets are closed.
const TO_END: Duration = Duration::from_millis(500);

type Job = Box<dyn FnOnce() + Send>;

struct Process {
    tables: Tables,
    /// The threads of the scenario that have made calls, by their numbers.
    lanes: BTreeMap<u32, Sender<Job>>,
    /// Those that have not ended.
    threads: BTreeSet<u32>,
    /// Numbers the calls.
    count: u64,
    /// Calls that have not ended yet.
    going_on: BTreeSet<u64>,
    /// Calls that have, and that nobody has asked for.
    done: HashMap<u64, Done>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

/// Plays a process until stdin ends. Gives whether it could begin.
pub(crate) fn serve() -> bool {
    if let Err(error) = system::start() {
        eprintln!("there is no Winsock: error {error}");
        return false;
    }
    let mut process = Process::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = match serde_json::from_str(&line) {
            Ok(request) => process.answer(request),
            Err(error) => {
                Answer::of(Err(BackendFault::Broken(format!("a process was asked nonsense: {error}"))))
            }
        };
        let mut text = serde_json::to_vec(&answer).unwrap_or_default();
        text.push(b'\n');
        let mut out = std::io::stdout().lock();
        if out.write_all(&text).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    true
}

impl Process {
    fn new() -> Self {
        let (sender, events) = channel();
        Self {
            tables: Tables::default(),
            lanes: BTreeMap::new(),
            threads: BTreeSet::from([0]),
            count: 0,
            going_on: BTreeSet::new(),
            done: HashMap::new(),
            events,
            sender,
        }
    }

    fn answer(&mut self, request: Request) -> Answer {
        let mut identity = None;
        let result = match request {
            Request::Begin { host } => {
                self.tables.host = host;
                let (os, has_records) = system::os();
                identity = Some(ProcessIdentity { pid: std::process::id(), os, has_records });
                Ok(Observation::new(Outcome::Ok))
            }
            Request::Call(asked) => self.call(*asked),
            Request::Wait { calls, limit, ground } => {
                self.tables.ground = ground;
                self.wait(&calls, Duration::from_millis(limit.into()))
            }
            Request::Adopt { name, socket } => Ok(self.tables.adopt(name.as_ref(), &socket)),
            Request::Clean {} => Ok(Observation::new(self.clean())),
        };
        let news = std::mem::take(&mut self.tables.news);
        Answer { result, news, ended: self.threads.is_empty(), identity }
    }

    fn call(&mut self, asked: Asked) -> Result<Observation, BackendFault> {
        let Asked { op, ground, blobs, sources, processes, foreign, arrivals, redirects } = asked;
        self.tables.ground = ground;
        self.tables.blobs.extend(blobs.into_iter().map(|(name, bytes)| (name, bytes.0)));
        self.tables.sources.extend(sources);
        self.tables.processes = processes;
        self.tables.foreign = foreign;
        (self.tables.arrivals, self.tables.redirects) = (arrivals, redirects);
        self.threads.insert(op.thread);
        if let Call::EndThread {} = op.call {
            // The thread ends with its last job; what it has begun, the system cancels.
            self.lanes.remove(&op.thread);
            self.threads.remove(&op.thread);
            return Ok(Observation::new(Outcome::Ok));
        }
        let work = self.prepare(&op)?;
        let grace = work.grace;
        let by = work.by;
        let id = self.begin(op.thread, work);
        if let Some((_, done)) = self.first_of(&[id], grace) {
            return done(&mut self.tables, op.name.as_ref());
        }
        if matches!(by, By::Lane) {
            // It waits; whatever the scenario's thread calls next, another one calls for it.
            self.lanes.remove(&op.thread);
        }
        if let Some(name) = op.name {
            self.tables.news.pending.push(Name::clone(&name));
            self.tables.pending.insert(name, id);
        }
        Ok(Observation::new(Outcome::Pending))
    }

    fn prepare(&mut self, op: &Op) -> Result<Work, BackendFault> {
        let inner =
            Inner { sender: self.sender.clone(), process: Name::clone(&op.process), thread: op.thread };
        self.tables.prepare(op, inner)
    }

    /// Lets a thread do the work, and gives its number.
    fn begin(&mut self, thread: u32, work: Work) -> u64 {
        self.count += 1;
        let id = self.count;
        self.going_on.insert(id);
        let sender = self.sender.clone();
        let call = work.call;
        let job = move || {
            // Nobody listens any more where the process ends.
            let _ = sender.send(Event::Ended(id, call()));
        };
        match work.by {
            By::Lane => {
                let lane = self.lanes.entry(thread).or_insert_with(new_lane);
                if let Err(unsent) = lane.send(Box::new(job)) {
                    thread::spawn(unsent.0);
                }
            }
            By::Helper => {
                thread::spawn(job);
            }
        }
        id
    }

    /// The first of these calls that has ended, in their order.
    fn first_of(&mut self, ids: &[u64], limit: Duration) -> Option<(u64, Done)> {
        let until = Instant::now() + limit;
        loop {
            // What has happened already counts first.
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
            if let Some(id) = ids.iter().find(|id| self.done.contains_key(id)) {
                return self.done.remove(id).map(|done| (*id, done));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Ended(id, done) => {
                self.going_on.remove(&id);
                self.done.insert(id, done);
            }
            // Whoever asks from a callback waits for the answer.
            Event::Prepare(op, answer) => {
                let _ = answer.send(self.prepare(&op));
            }
            Event::Done(name, done, answer) => {
                let _ = answer.send(done(&mut self.tables, name.as_ref()));
            }
        }
    }

    fn wait(&mut self, calls: &[Name], limit: Duration) -> Result<Observation, BackendFault> {
        let id_of = |name: &Name| {
            let id = self.tables.pending.get(name).copied();
            id.ok_or_else(|| BackendFault::Misuse(format!("no call `{name}` is pending")))
        };
        let ids = calls.iter().map(id_of).collect::<Result<Vec<u64>, _>>()?;
        let Some((id, done)) = self.first_of(&ids, limit) else {
            return Ok(Observation::new(Outcome::Pending));
        };
        let ended = ids.iter().position(|other| *other == id).and_then(|index| calls.get(index));
        let Some(name) = ended else { return Ok(Observation::new(Outcome::Pending)) };
        self.tables.pending.remove(name);
        let observation = done(&mut self.tables, Some(name))?;
        let completed = Some((Name::clone(name), Box::new(observation)));
        Ok(Observation { completed, ..Observation::new(Outcome::Ok) })
    }

    /// Closes everything; pending where something goes on nevertheless.
    fn clean(&mut self) -> Outcome {
        let operations = self.tables.close_everything();
        self.lanes.clear();
        self.threads = BTreeSet::from([0]);
        let until = Instant::now() + TO_END;
        while !self.going_on.is_empty() || operations.iter().any(|operation| operation.goes_on()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The memory of what goes on is not to be given back.
                std::mem::forget(operations);
                return Outcome::Pending;
            }
            if let Ok(event) = self.events.recv_timeout(left.min(Duration::from_millis(5))) {
                self.take(event);
            }
        }
        // An accept may have ended with a socket at the last moment.
        let mut late = Tables::default();
        for (_, done) in self.done.drain() {
            let _ = done(&mut late, None);
        }
        // Nothing of these goes on: each has ended.
        late.close_everything();
        self.tables = Tables::default();
        Outcome::Ok
    }
}

/// A thread of the scenario.
fn new_lane() -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    thread::spawn(move || {
        for job in jobs {
            job();
        }
    });
    sender
}

impl Work {
    /// Work for the calling thread, which ends by itself.
    fn lane(call: impl FnOnce() -> Done + Send + 'static) -> Self {
        Self { by: By::Lane, grace: LANE_GRACE, call: Box::new(call) }
    }

    /// Work that waits for somebody else.
    fn helper(grace: Duration, call: impl FnOnce() -> Done + Send + 'static) -> Self {
        Self { by: By::Helper, grace, call: Box::new(call) }
    }
}
