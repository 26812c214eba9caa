//! The other end of `exec:COMMAND`: a backend of this machine, served as JSON lines.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde::Serialize;

use crate::child::LONGEST_LINE;
use crate::vocabulary::{Backend, BackendFault, Call, Observation, Op, Outcome};
use crate::wire::{Arrived, Hello, PROTOCOL, Reply, Welcome};

/// Why an agent stops before its input ends.
#[derive(Debug)]
pub enum AgentError {
    /// The other side speaks something else, or another version.
    Protocol(String),
    /// The pipes broke.
    Pipe(io::Error),
}

impl From<io::Error> for AgentError {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

/// Answers requests until there are no more.
///
/// # Errors
/// Where the other side does not speak the protocol, or a pipe breaks.
pub fn serve(backend: &mut dyn Backend, input: impl Read, output: impl Write) -> Result<(), AgentError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut output = io::BufWriter::with_capacity(1 << 16, output);
    let Some(line) = next_line(&mut input)? else { return Ok(()) };
    let hello: Result<Hello, _> = serde_json::from_slice(&line);
    let features = backend.features().iter().map(|feature| feature.name().to_owned()).collect();
    // The version is told in any case, so that the other side can say what is wrong.
    say(&mut output, &Welcome { hello: PROTOCOL.to_owned(), identity: backend.identify(), features })?;
    output.flush()?;
    match hello {
        Ok(Hello { hello }) if hello == PROTOCOL => {}
        Ok(Hello { hello }) => {
            return Err(AgentError::Protocol(format!(
                "the other side speaks `{hello}`, and not `{PROTOCOL}`"
            )));
        }
        Err(_) => {
            let example = format!("{{\"hello\":\"{PROTOCOL}\"}}");
            return Err(AgentError::Protocol(format!("the first line is not {example}")));
        }
    }
    while let Some(line) = next_line(&mut input)? {
        let arrived: Arrived<'_> = serde_json::from_slice(&line)
            .map_err(|error| AgentError::Protocol(format!("a line is no request: {error}")))?;
        say(&mut output, &answer(backend, arrived))?;
        // What was sent ahead is answered together.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(())
}

fn answer(backend: &mut dyn Backend, arrived: Arrived<'_>) -> Reply {
    let Arrived { id, reset, apply } = arrived;
    let result = match (reset, apply) {
        (Some(start), None) => {
            start.settings().map_err(BackendFault::Broken).and_then(|s| backend.reset(&s)).map(|()| None)
        }
        (None, Some(call)) => match serde_json::from_str::<Op>(call.get()) {
            Ok(op) => backend.apply(&op).map(Some),
            Err(error) => Ok(Some(Observation::new(Outcome::Unsupported(unknown(call.get(), &error))))),
        },
        _ => Err(BackendFault::Broken("a request has either `reset` or `apply`".to_owned())),
    };
    match result {
        Ok(observation) => Reply { id, observation, fault: None },
        Err(fault) => Reply { id, observation: None, fault: Some(fault) },
    }
}

/// What is said of a call that this side does not know.
fn unknown(call: &str, error: &serde_json::Error) -> String {
    let op: serde_json::Value = serde_json::from_str(call).unwrap_or_default();
    let Some(call) = op.get("call") else { return format!("an op without a call ({error})") };
    let name = call.as_object().and_then(|call| call.keys().next()).map_or("", String::as_str);
    match serde_json::from_value::<Call>(call.clone()) {
        Err(error) if !error.to_string().starts_with("unknown variant") => format!("`{name}` so ({error})"),
        _ => format!("`{name}`"),
    }
}

fn say(output: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, what)?;
    output.write_all(b"\n")
}

/// The next line, without its end; `None` when there are no more.
fn next_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, AgentError> {
    let mut line = Vec::new();
    let read = input.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(Some(line)),
        None => Ok(None),
        Some(_) if read as u64 >= LONGEST_LINE => {
            Err(AgentError::Protocol(format!("a line is longer than {} MiB", LONGEST_LINE >> 20)))
        }
        Some(_) => Err(AgentError::Protocol("the last line has no end".to_owned())),
    }
}
