use super::*;
use crate::WinsockError;
use crate::socket::{Completion, SocketKind};
use crate::testing::{Machine, SERVER, address};

#[test]
fn process_has_an_image_threads_and_a_number_of_its_own() {
    let mut w = World::new(Profile::default());
    let first = w.start_process(r"C:\app.exe", false);
    let second = w.start_process("other", false);
    let thread = w.start_thread(first).unwrap();
    assert_eq!(w.image(first.pid), Some(r"C:\app.exe"));
    assert_eq!((first.pid, first.tid, second.pid), (Pid(4), Tid(8), Pid(12)));
    assert_eq!((thread.pid, thread.tid), (first.pid, Tid(20)));
    assert!(w.end_process(first.pid) && !w.end_process(first.pid));
    assert_eq!((w.start_thread(first), w.image(first.pid)), (None, None));
}

#[test]
fn process_that_ended_can_do_nothing() {
    let mut m = Machine::default();
    m.w.end_process(m.app.pid);
    assert_eq!(m.w.socket(m.app, SocketKind::V4), Err(WinsockError::WSAENETDOWN));
    assert_eq!(m.w.allocate(m.app, 8, 0), Pointer::NULL);
    assert_eq!(m.w.live(), 2, "the server's two sockets");
}

#[test]
fn end_of_a_process_takes_its_sockets_memory_and_calls() {
    let mut m = Machine::default();
    let live = m.w.live();
    let listener = m.service_at(7);
    m.w.accept(m.service, listener).unwrap();
    let pointer = m.w.allocate(m.service, 8, 0);
    assert_eq!(m.w.live(), live + 3);
    m.w.end_process(m.service.pid);
    assert_eq!(m.w.live(), live);
    assert_eq!(m.w.read_memory(m.service, pointer, 1), None);
}

#[test]
fn memory_is_written_read_and_given_back_by_its_process() {
    let mut m = Machine::default();
    let pointer = m.w.allocate(m.app, 4, 0xEE);
    assert!(m.w.write_memory(m.app, pointer, &[1, 2]));
    assert!(!m.w.write_memory(m.service, pointer, &[1, 2]));
    assert_eq!(m.w.read_memory(m.app, pointer, 4), Some(vec![1, 2, 0xEE, 0xEE]));
    assert_eq!(m.w.read_memory(m.app, pointer, 5), None);
    assert!(!m.w.free(m.service, pointer));
    assert!(m.w.free(m.app, pointer));
    assert_eq!(m.w.read_memory(m.app, pointer, 1), None);
}

#[test]
fn host_is_found_by_its_addresses_and_loopback_is_ones_own() {
    let mut w = World::new(Profile::default());
    let at = |text: &str| address(&format!("{text}:0")).ip();
    let other = w.add_host(Host {
        name: "other".into(),
        addresses: vec![at("192.0.2.1"), at("10.0.0.1")],
        silent: false,
    });
    assert_eq!(w.host(other).map(|host| &*host.name), Some("other"));
    for (from, text, expected) in [
        (LOCAL_HOST, "127.0.0.1", Some(LOCAL_HOST)),
        (other, "[::1]", Some(other)),
        (LOCAL_HOST, "192.0.2.1", Some(LOCAL_HOST)),
        (other, "192.0.2.1", Some(other)),
        (LOCAL_HOST, "[::ffff:10.0.0.1]", Some(other)),
        (other, "[2001:db8::1]", Some(LOCAL_HOST)),
        (LOCAL_HOST, "10.0.0.2", None),
    ] {
        assert_eq!(w.host_with(from, at(text)), expected, "{text}");
    }
    assert_eq!(w.host(HostId(9)), None);
}

#[test]
fn host_with_a_v4_mapped_address_has_the_ipv4_one() {
    let mut w = World::new(Profile::default());
    let mapped = address("[::ffff:10.0.0.1]:0").ip();
    let host = w.add_host(Host { name: "mapped".into(), addresses: vec![mapped], silent: false });
    assert_eq!(w.host_with(LOCAL_HOST, IpAddr::from([10, 0, 0, 1])), Some(host));
}

#[test]
fn process_on_a_host_that_was_never_added_has_loopback_alone() {
    let mut w = World::new(Profile::default());
    let stray = w.start_process_on(HostId(9), "stray", false);
    let listener = w.listen_at(stray, address("127.0.0.1:7")).unwrap();
    let socket = w.socket(stray, SocketKind::V4).unwrap();
    assert_eq!(w.connect(stray, socket, address("127.0.0.1:7"), &mut ()), Ok(Completion::Done(())));
    assert!(w.accept(stray, listener).is_ok());
    let socket = w.socket(stray, SocketKind::V4).unwrap();
    let away = w.connect(stray, socket, address("192.0.2.1:7"), &mut ());
    assert_eq!(away, Err(WinsockError::WSAENETUNREACH));
}

#[test]
fn time_only_goes_forward_and_stops_at_its_end() {
    let mut w = World::new(Profile::default());
    w.advance(5);
    w.advance(u64::MAX);
    assert_eq!(w.now(), u64::MAX);
}

#[test]
fn numbers_of_a_profile_are_kept_within_their_bounds() {
    let wild = Profile {
        record_header_bytes: 0,
        record_bytes_per_hop: u32::MAX,
        context_limit: u32::MAX,
        connect_timeout_ms: 0,
        ..Profile::default()
    };
    let w = World::new(wild);
    let kept = w.profile();
    assert_eq!((kept.record_header_bytes, kept.record_bytes_per_hop), (16, 4096));
    assert_eq!((kept.context_limit, kept.connect_timeout_ms), (1_048_576, 1));
}

#[test]
fn cloned_world_goes_its_own_way() {
    let mut m = Machine::default();
    let copy = m.w.clone();
    m.connected(SERVER);
    assert!(m.w != copy);
    assert_eq!(copy.live(), 2);
}
