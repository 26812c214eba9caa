//! Datagrams on the way: who receives them, what a service takes from the control data of the first one, and how it
//! sends on.

use super::ask::Unanswered;
use super::listening::{Listener, must_wait};
use super::service::{Levels, OnError, Service, SetWhen};
use super::serving::{Decided, Serving};
use super::{Carried, Destination, Dialled, End, Follower, HopReport, Journey, Note, Result, apply};
use crate::follow::ask::Ask;
use crate::vocabulary::{
    Backend, BackendFault, Call, ControlType, Dial, Endpoint, Input, Level, MessageFlag, Name, Observation,
    Place, ReceiveMessage, SendMessage, SocketFamily, SocketProtocol,
};

/// What travels.
const DATA: &str = "datagram";

/// The names that the parts of a receive get.
fn part(receive: &Name, part: &str) -> Name {
    format!("{receive}/{part}").into()
}

impl Levels {
    /// The levels of the options that a service switches on for a socket of this family.
    fn of(self, family: SocketFamily) -> &'static [Level] {
        match (self, family) {
            (Self::Own, SocketFamily::Dual) => &[Level::Ip, Level::Ipv6],
            (Self::Ipv4, _) | (Self::Own, SocketFamily::Ipv4) => &[Level::Ip],
            (Self::Ipv6, _) | (Self::Own, SocketFamily::Ipv6) => &[Level::Ipv6],
        }
    }
}

impl Service {
    /// Switches on what it wants to receive. A level that its socket lacks is an error that it does not look at.
    pub(super) fn switch_on(
        &self,
        backend: &mut dyn Backend,
        process: &Name,
        socket: &Name,
        family: SocketFamily,
    ) -> Result<()> {
        let wanted = [
            (ControlType::Records, self.records != Ask::Never),
            (ControlType::Context, self.destination == Destination::Context),
        ];
        for (option, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
            for level in self.option_levels.of(family) {
                let call = Call::SetOption { socket: Name::clone(socket), level: *level, option, on: true };
                apply(backend, process, None, call)?;
            }
        }
        Ok(())
    }
}

/// Waits for the next datagram: with a control buffer where there is a service, plainly at a destination.
pub(super) fn post_receive(backend: &mut dyn Backend, listener: &Listener) -> Result<()> {
    let socket = Name::clone(&listener.socket);
    let call = match listener.control_buffer {
        Some(bytes) => {
            let (records, context) = (part(&listener.accept, "records"), part(&listener.accept, "context"));
            Call::ReceiveMessage(ReceiveMessage::of(socket, bytes, records, context))
        }
        None => Call::ReceiveFrom { socket, length: 4096 },
    };
    let observation = apply(backend, &listener.process, Some(&listener.accept), call)?;
    must_wait(observation.outcome, listener)
}

impl Follower {
    /// The first datagram of the journey.
    pub(super) fn send_first(
        &mut self,
        backend: &mut dyn Backend,
        journey: &Journey,
        opened: &mut Vec<(Name, Name)>,
    ) -> Result<Dialled> {
        let from = &journey.from;
        let socket = self.first_socket(backend, journey, SocketProtocol::Udp, opened)?;
        let mut to = Some(Dial::Endpoint(journey.to.clone()));
        let mut at_connect = None;
        if journey.socket.connected
            && let Some(to) = to.take()
        {
            let socket = Name::clone(&socket);
            let call = Call::Connect { socket, to, family: Some(journey.family), ex: false };
            let mut connected = apply(backend, from, None, call)?;
            at_connect = connected.hop.take();
            if connected.error().is_some() {
                return Ok(Dialled::first(journey, at_connect, connected));
            }
        }
        let call = Call::SendTo { socket, to, family: Some(journey.family), data: DATA.to_owned() };
        let observation = apply(backend, from, None, call)?;
        Ok(Dialled::first(journey, at_connect, observation))
    }

    /// A service received the first datagram of a flow: what it took from the control data, and whether it sends on.
    pub(super) fn serve_datagram(
        &mut self,
        name: &Name,
        listener: usize,
        receive: &Name,
        received: &Observation,
        hop: &mut HopReport,
    ) -> Result<Decided<Serving>> {
        let Some(service) = self.services.get(name).cloned() else {
            return Err(BackendFault::Broken(format!("there is no service `{name}`")));
        };
        let process = Name::clone(&self.listeners[listener].process);
        let give_up = service.on_error.ends().unwrap_or(End::Closed);
        let mut carried = Carried::Never;
        let mut records = None;
        if service.records != Ask::Never {
            let found = found(received, ControlType::Records);
            hop.then.push(Note::Records(found));
            match found {
                Ok(_) => {
                    carried = Carried::Set(service.set);
                    records = Some(part(receive, "records"));
                }
                Err(_) if service.on_error != OnError::Dial => return Ok(Decided::Ends(give_up)),
                Err(Unanswered::Truncated) => carried = Carried::TooSmall,
                Err(_) => carried = Carried::Failed,
            }
        }
        let dial = match &service.destination {
            Destination::Fixed(endpoint) => Dial::Endpoint(endpoint.clone()),
            // An option of accepted sockets, which there are none of.
            Destination::OriginalDst => return Ok(Decided::Ends(give_up)),
            Destination::Context => {
                let found = found(received, ControlType::Context);
                hop.then.push(Note::Context(found));
                match found {
                    Ok(_) => Dial::Context(part(receive, "context")),
                    Err(_) => return Ok(Decided::Ends(give_up)),
                }
            }
        };
        self.pool(name, &service, &mut records, &mut carried);
        if service.set == SetWhen::Never {
            carried = Carried::Never;
            records = None;
        }
        Ok(Decided::GoesOn(Serving::new(name, service, process, records, carried, dial, hop.family)))
    }

    /// A service sends on, with the records in the control data of the datagram.
    pub(super) fn send_on(
        &mut self,
        backend: &mut dyn Backend,
        serving: &mut Serving,
        opened: &mut Vec<(Name, Name)>,
        notes: &mut Vec<Note>,
    ) -> Result<Decided<Dialled>> {
        let (service, process, (own, written)) = serving.next_dial();
        let socket = self.fresh_name(&format!("{}/onward", serving.name()));
        apply(backend, &process, Some(&socket), udp_socket(own))?;
        opened.push((Name::clone(&process), Name::clone(&socket)));
        // WSASendMsg asks for a bound socket.
        let to = service.bind.clone().unwrap_or_else(|| Endpoint::new(Place::Any, 0));
        let mapped = written == SocketFamily::Dual && service.bind.is_some();
        let bind = Call::Bind { socket: Name::clone(&socket), to, mapped };
        if let Some(error) = apply(backend, &process, None, bind)?.error() {
            notes.push(Note::NotBound(error));
            if let Some(end) = service.on_error.ends() {
                return Ok(Decided::Ends(end));
            }
        }
        let send = SendMessage {
            socket,
            to: Some(serving.dial().clone()),
            family: Some(written),
            data: DATA.to_owned(),
            records: serving.records().cloned(),
            level: None,
            message_length: None,
            control: Input::default(),
            flags: 0,
            message_flags: 0,
        };
        let sets = send.records.is_some();
        let observation = apply(backend, &process, None, Call::SendMessage(send))?;
        if sets {
            notes.push(Note::Set(service.set, observation.error().map_or(Ok(()), Err)));
        }
        Ok(Decided::GoesOn(serving.dialled(process, written, serving.carried(), observation)))
    }
}

fn udp_socket(family: SocketFamily) -> Call {
    Call::socket_of(family, SocketProtocol::Udp)
}

/// Bytes of the control message of this type. Where anything was cut off, a service cannot tell what: it trusts none.
fn found(received: &Observation, of: ControlType) -> std::result::Result<u32, Unanswered> {
    if received.flags.contains(&MessageFlag::Ctrunc) {
        return Err(Unanswered::Truncated);
    }
    let message = received.control.iter().flatten().find(|message| message.r#type == of);
    let message = message.ok_or(Unanswered::NotThere)?;
    Ok(u32::try_from(message.bytes.len()).unwrap_or(u32::MAX))
}
