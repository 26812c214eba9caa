//! Completion ports.

use super::*;

#[test]
fn port_hears_of_no_call_whose_event_says_so() {
    let mut s = Stalled::default();
    let port = s.m.w.create_io_completion_port(s.service).unwrap();
    s.m.w.associate_with_port(s.service, s.socket, port, 1).unwrap();
    let event = s.event();
    let overlapped = s.overlapped(Some(EventHandle(event.0 | 1)));
    s.ask(s.buffers(overlapped));
    s.resume();
    assert!(s.is_signaled(event));
    assert_eq!(s.m.w.get_queued_completion_status(s.service, port), Err(WinsockError::WAIT_TIMEOUT));
}

#[test]
fn socket_has_one_port_and_the_port_is_its_processs() {
    let mut m = Machine::default();
    let port = m.w.create_io_completion_port(m.app).unwrap();
    let (socket, plain) =
        (m.socket(SocketKind::V4), m.socket(SocketKind { overlapped: false, ..SocketKind::V4 }));
    let unsuitable = Err(WinsockError::WSA_INVALID_PARAMETER);
    let unknown = Err(WinsockError::WSA_INVALID_HANDLE);
    assert_eq!(m.w.associate_with_port(m.app, plain, port, 1), unsuitable);
    assert_eq!(m.w.associate_with_port(m.app, socket, port, 1), Ok(()));
    assert_eq!(m.w.associate_with_port(m.app, socket, port, 1), unsuitable);
    assert_eq!(m.w.associate_with_port(m.app, SocketHandle(1), port, 1), unknown);
    assert_eq!(m.w.close_port(m.service, port), unknown);
    assert_eq!(m.w.close_port(m.app, port), Ok(()));
    assert_eq!(m.w.close_port(m.app, port), unknown);
    assert_eq!(m.w.get_queued_completion_status(m.app, port), Err(WinsockError::WSA_INVALID_HANDLE));
    let other = m.socket(SocketKind::V4);
    assert_eq!(m.w.associate_with_port(m.app, other, port, 1), unknown);
}
