//! SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS: the records of an accepted connection.
//!
//! Stored is the blob that stands for every redirect of the connection, those of earlier hops included, so that
//! the service can set it on the socket that it dials out with. Asking changes nothing: asked again, the same
//! bytes come.
//!
//! Source: win32 page of the code; docs/behaviour.md, "Chains".

use crate::records::Records;

/// What the query stores for a connection that arrived with these records.
pub(super) fn output(records: &Records) -> &[u8] {
    records.blob()
}

#[cfg(test)]
mod tests {
    use crate::engine::Redirect;
    use crate::testing::{Machine, SERVER, both};

    #[test]
    fn records_hold_every_redirect_of_the_chain_oldest_first() {
        let mut m = Machine::default();
        let listeners = [1001, 1002, 1003].map(|port| m.service_at(port));
        let handles =
            [1001, 1002, 1003].map(|port| m.cooperative_vendor(&format!("v{port}"), 2000 - port, port));
        let mut socket = m.connected(SERVER);
        let mut dialler = m.app;
        for (hop, listener) in listeners.into_iter().enumerate() {
            let accepted = m.accept(listener);
            let blob = m.w.query_redirect_records(m.service, accepted).unwrap();
            assert_eq!(blob.len(), 32 + 96 * (hop + 1));
            let arrived = m.w.records_arrived(m.service, accepted).unwrap().unwrap();
            assert_eq!(arrived.blob(), blob);
            let who: Vec<_> = arrived.entries().iter().map(|entry| entry.handle).collect();
            assert_eq!(who, handles[..=hop]);
            assert!(m.w.query_redirect_records(dialler, socket).is_err(), "the dialling end has none");
            dialler = m.service;
            socket = m.w.socket(m.service, crate::SocketKind::V4).unwrap();
            m.w.set_redirect_records(m.service, socket, &blob).unwrap();
            m.w.connect(m.service, socket, crate::testing::address(SERVER), &mut ()).unwrap();
        }
        assert_eq!(m.w.getpeername(m.service, socket), Ok(crate::testing::address(SERVER)));
    }

    #[test]
    fn records_outlive_the_client() {
        let mut m = Machine::default();
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let before = m.w.query_redirect_records(m.service, accepted);
        m.w.closesocket(m.app, client).unwrap();
        assert_eq!(m.w.query_redirect_records(m.service, accepted), before);
    }
}
