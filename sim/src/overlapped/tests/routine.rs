//! Completion routines, and the provider that calls them in the thread that it is told.

use super::*;

#[test]
fn routine_is_called_in_an_alertable_wait_of_the_thread_that_asked_and_nowhere_else() {
    let mut s = Stalled::default();
    let event = s.event();
    let (overlapped, routine) = (s.overlapped(Some(event)), s.output.offset(8));
    s.ask(IoctlBuffers { routine, ..s.buffers(overlapped) });
    assert_eq!(s.m.w.alertable_wait(s.service), None, "it has not ended");
    s.resume();
    let other = s.m.w.start_thread(s.service).unwrap();
    assert_eq!(s.m.w.alertable_wait(other), None);
    let call = RoutineCall { routine, error: None, bytes: NEEDED, overlapped };
    assert_eq!(s.m.w.alertable_wait(s.service), Some(call));
    assert_eq!(s.m.w.alertable_wait(s.service), None, "once");
    assert!(!s.is_signaled(event), "with a routine the event is the program's own");
    assert!(s.m.w.return_from_routine(s.service));
    assert!(!s.m.w.return_from_routine(s.service));
}

#[test]
fn routine_can_ask_the_same_again() {
    let mut s = Stalled::default();
    s.resume();
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    at_once(s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers)).unwrap();
    for _ in 0..3 {
        assert!(s.m.w.alertable_wait(s.service).is_some());
        at_once(s.m.w.wsa_ioctl(s.service, s.socket, RECORDS, &buffers)).unwrap();
    }
    assert!((0..3).all(|_| s.m.w.return_from_routine(s.service)), "one in the other");
}

#[test]
fn provider_tells_its_code_through_the_pointer_and_calls_the_thread_it_was_told() {
    let mut s = Stalled::default();
    let thread = s.m.w.start_thread(s.service).unwrap();
    let (errno, thread_id) = (s.m.w.allocate(s.service, 4, 0), s.m.w.allocate(s.service, 16, 0));
    s.m.w.write_memory(s.service, thread_id, &u64::from(thread.tid.0).to_le_bytes());
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let spi = SpiPointers { thread_id, errno };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!((answer.returned, answer.last_error), (Err(SocketError), None));
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(997_u32.to_le_bytes().to_vec()));
    s.m.w.write_memory(s.service, thread_id, &[0; 16]);
    s.resume();
    assert_eq!(s.m.w.alertable_wait(s.service), None);
    let call = s.m.w.alertable_wait(thread).map(|call| (call.overlapped, call.bytes));
    assert_eq!(call, Some((overlapped, NEEDED)), "the thread id was copied");
}

#[test]
fn provider_without_a_routine_looks_at_no_thread_and_succeeds_without_a_code() {
    let mut s = Stalled::default();
    s.resume();
    let errno = s.m.w.allocate(s.service, 4, 0xEE);
    let spi = SpiPointers { thread_id: Pointer::UNMAPPED, errno };
    let buffers = s.buffers(Pointer::NULL);
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Ok(Completion::Done(())));
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(vec![0xEE; 4]));
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Err(SocketError), "a routine needs its thread");
    assert_eq!(s.m.w.read_memory(s.service, errno, 4), Some(10014_u32.to_le_bytes().to_vec()));
}

#[test]
fn routine_of_a_thread_that_is_not_there_is_lost() {
    let mut s = Stalled::default();
    s.resume();
    let thread_id = s.m.w.allocate(s.service, 16, 0xFF);
    let (overlapped, routine) = (s.overlapped(None), s.output);
    let buffers = IoctlBuffers { routine, ..s.buffers(overlapped) };
    let live = s.m.w.live();
    let spi = SpiPointers { thread_id, errno: Pointer::NULL };
    let answer = s.m.w.wsp_ioctl(s.service, s.socket, RECORDS, &buffers, &spi);
    assert_eq!(answer.returned, Ok(Completion::Done(())));
    assert_eq!(s.m.w.live(), live);
}
