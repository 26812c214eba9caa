//! The backend `exec:COMMAND`: a child process that makes the calls, on this machine or, over ssh, on another.

use std::process::Command;
use std::time::Duration;

use crate::child::Child;
use crate::vocabulary::{
    Backend, BackendFault, Call, Feature, Features, Identity, Observation, Op, Settings,
};
use crate::wire::{Hello, PROTOCOL, Reply, Request, Start, Welcome};

/// Requests that are sent ahead of their answers, at most.
const AHEAD: usize = 256;

/// Bytes of a line that an error shows.
const SHOWN: usize = 120;

/// A backend behind a command that speaks the protocol of `agent`.
pub struct ExecBackend {
    command: String,
    child: Child,
    identity: Identity,
    features: Features,
    /// How long an answer may take, beside what a call is told to wait.
    limit: Duration,
    asked: u64,
    /// Why the child is of no use any more.
    broken: Option<BackendFault>,
}

impl ExecBackend {
    /// Starts the command, whose words are quoted as for a POSIX shell on every OS, and exchanges versions with it.
    ///
    /// # Errors
    /// Where it cannot be started, is silent for longer than `limit`, or speaks another version.
    pub fn start(command: &str, limit: Duration) -> Result<Self, BackendFault> {
        let broken = |what: &str| BackendFault::Broken(format!("`{command}`: {what}"));
        let (program, arguments) = words(command).map_err(broken)?;
        let mut process = Command::new(program);
        process.args(arguments);
        let mut child = Child::start(process).map_err(|error| broken(&error.to_string()))?;
        let mut hello = encode(&Hello { hello: PROTOCOL.to_owned() })?;
        hello.push(b'\n');
        let line = match child.ask(&hello, 1, limit) {
            Ok(lines) => lines.into_iter().next().unwrap_or_default(),
            Err(error) => return Err(broken(&error.to_string())),
        };
        let spoken: serde_json::Value = serde_json::from_str(&line)
            .map_err(|_| broken(&format!("its first line is no JSON: {}", shown(&line))))?;
        match spoken.get("hello").and_then(serde_json::Value::as_str) {
            Some(PROTOCOL) => {}
            Some(other) => {
                return Err(broken(&format!("it speaks `{}`, and not `{PROTOCOL}`", shown(other))));
            }
            None => return Err(broken(&format!("its first line has no `hello`: {}", shown(&line)))),
        }
        let welcome: Welcome = serde_json::from_value(spoken)
            .map_err(|error| broken(&format!("its first line is wrong: {error}: {}", shown(&line))))?;
        Ok(Self {
            features: welcome.known_features(),
            identity: welcome.identity,
            command: command.to_owned(),
            child,
            limit,
            asked: 0,
            broken: None,
        })
    }

    /// Sends requests, and reads as many replies.
    fn exchange(&mut self, requests: &[Request<'_>], limit: Duration) -> Result<Vec<Reply>, BackendFault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        let mut lines = Vec::with_capacity(requests.len() * 128);
        for request in requests {
            lines.append(&mut encode(request)?);
            lines.push(b'\n');
        }
        let replies = match self.child.ask(&lines, requests.len(), limit) {
            Ok(answers) => {
                requests.iter().zip(&answers).map(|(request, line)| reply(request.id, line)).collect()
            }
            Err(error) => Err(error.to_string()),
        };
        replies.map_err(|what: String| {
            let fault = BackendFault::Broken(format!("`{}`: {what}", self.command));
            self.broken = Some(fault.clone());
            fault
        })
    }

    fn next_id(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }
}

impl Backend for ExecBackend {
    fn identify(&self) -> Identity {
        self.identity.clone()
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        let id = self.next_id();
        let start = Start::of(settings, self.features.contains(&Feature::Profile));
        let request = Request { id, reset: Some(start), apply: None };
        let reply = self.exchange(&[request], self.limit)?;
        reply.into_iter().find_map(|reply| reply.fault).map_or(Ok(()), Err)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let mut all = self.apply_all(std::slice::from_ref(op))?;
        all.pop().ok_or_else(|| BackendFault::Broken("no answer".to_owned()))
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        let mut all = Vec::with_capacity(ops.len());
        for part in ops.chunks(AHEAD) {
            let limit = part.iter().fold(self.limit, |limit, op| limit + told_to_wait(op));
            let requests: Vec<Request<'_>> =
                part.iter().map(|op| Request { id: self.next_id(), reset: None, apply: Some(op) }).collect();
            for reply in self.exchange(&requests, limit)? {
                match reply {
                    Reply { fault: Some(fault), .. } => return Err(fault),
                    Reply { observation: Some(observation), .. } => all.push(observation),
                    Reply { id, .. } => {
                        let what = format!("`{}`: answer {id} has no observation", self.command);
                        return Err(BackendFault::Broken(what));
                    }
                }
            }
        }
        Ok(all)
    }
}

/// The program of a command and its arguments, quoted as for a POSIX shell.
pub(crate) fn words(command: &str) -> Result<(String, Vec<String>), &'static str> {
    let mut words = shlex::split(command).ok_or("a quotation mark is missing")?.into_iter();
    let program = words.next().ok_or("a command is missing")?;
    Ok((program, words.collect()))
}

/// How long a call may take because the scenario says so.
fn told_to_wait(op: &Op) -> Duration {
    match op.call {
        Call::Wait { limit, .. } => Duration::from_millis(limit.into()),
        _ => Duration::ZERO,
    }
}

fn encode(what: &impl serde::Serialize) -> Result<Vec<u8>, BackendFault> {
    serde_json::to_vec(what).map_err(|error| BackendFault::Broken(error.to_string()))
}

fn reply(id: u64, line: &str) -> Result<Reply, String> {
    let reply: Reply = serde_json::from_str(line)
        .map_err(|error| format!("what it answered is no reply ({error}): {}", shown(line)))?;
    if reply.id == id { Ok(reply) } else { Err(format!("it answered {} where {id} was asked", reply.id)) }
}

/// The beginning of a line.
fn shown(line: &str) -> String {
    let mut characters = line.chars();
    let start: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() { format!("{start}…") } else { start }
}
