//! SO_ORIGINAL_DST.

use wfp_sim::Caller;
use wfp_sim::address::from_sockaddr_storage;

use super::{SimBackend, Socket};
use crate::vocabulary::{BackendFault, Call, Observation, Op, Outcome};

impl SimBackend {
    pub(super) fn original_destination(
        &mut self,
        caller: Caller,
        op: &Op,
    ) -> Result<Observation, BackendFault> {
        let Call::OriginalDestination { socket, level, length } = &op.call else {
            return Err(BackendFault::Misuse("not the original destination".to_owned()));
        };
        let Socket { handle, family, .. } = self.socket(socket)?;
        let (level, needed) = level.on(family);
        let length = length.bytes(Some(needed));
        let observation = match self.world.getsockopt_original_dst(caller, handle, level, length) {
            Ok(bytes) => {
                let address = from_sockaddr_storage(&bytes);
                let address = address.map(|address| self.addresses.endpoint(&self.world, address));
                Observation { address, ..self.received(op.name.as_ref(), bytes) }
            }
            Err(error) => Observation::new(Outcome::Error(error)),
        };
        Ok(Observation { needed: Some(needed), ..observation })
    }
}
