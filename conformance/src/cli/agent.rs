//! `agent`.

use std::time::Duration;

use super::args::Agent;
use super::{Exit, Stop};
use crate::agent::{AgentError, serve};
use crate::backends::{self, BackendName, Making};

pub(super) fn agent(args: &Agent) -> Result<Exit, Stop> {
    let name = args.backend.clone().unwrap_or_else(backends::of_this_machine);
    if !matches!(name, BackendName::Sim | BackendName::Windows) {
        let message = format!("`{name}` is not of this machine: an agent serves `sim` or `windows`");
        return Err(Stop::Because(Exit::Usage, message));
    }
    name.check(args.driver.as_deref()).map_err(|what| Stop::Because(Exit::Usage, what))?;
    let making = Making { driver: args.driver.clone(), limit: Duration::ZERO, ..Making::default() };
    let mut backend = backends::make(&name, &making)
        .map_err(|fault| Stop::Because(Exit::Fault, format!("the backend broke: {fault}")))?;
    match serve(&mut *backend, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => Ok(Exit::Success),
        Err(AgentError::Protocol(what)) => Err(Stop::Because(Exit::Usage, what)),
        Err(AgentError::Pipe(error)) => Err(error.into()),
    }
}
