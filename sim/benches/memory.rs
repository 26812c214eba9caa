//! What an open redirected connection costs: its client end, its accepted end, records and context.

#[cfg(not(windows))]
#[expect(dead_code, reason = "only its first service is needed here, and nobody asks it")]
mod chain;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with a count of what is allocated now.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator that counts cannot be had otherwise")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` with this layout, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[cfg(not(windows))]
fn main() {
    use std::net::SocketAddr;
    use wfp_sim::SocketKind;

    // `cargo test --benches` only wants to see it run.
    let connections = if std::env::args().any(|argument| argument == "--bench") { 100_000 } else { 1_000 };
    let mut chain = chain::Chain::new(1);
    let before = ALLOCATED.load(Ordering::Relaxed);
    for nth in (1_u32..).filter(|nth| nth % 65_536 != 0).take(connections) {
        let client = chain.w.socket(chain.app, SocketKind::V4).expect("the process is there");
        // The ports of the dynamic range would not do for all.
        let [_, address, port @ ..] = nth.to_be_bytes();
        let local = SocketAddr::from(([127, 0, 1, address], u16::from_be_bytes(port)));
        chain.w.bind(chain.app, client, local).expect("the port is free");
        chain.w.connect(chain.app, client, chain.destination, &mut ()).expect("it is redirected");
        chain.accept().expect("it was redirected");
    }
    let after = ALLOCATED.load(Ordering::Relaxed);
    assert_eq!(chain.w.live_contexts(), connections);
    println!("{connections} open redirected connections: {} bytes each", (after - before) / connections);
}

#[cfg(windows)]
fn main() {}
