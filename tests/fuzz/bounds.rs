//! What one input may take: memory, counted by the allocator, and time of the CPU, so that a busy machine fails
//! nothing. A process that exceeds a bound ends at once, since whatever exceeds it may never come back.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Memory that one input may hold at a time, in bytes. The longest values that compose files may grow to take 64 MiB.
const MEMORY: usize = 256 << 20;
/// CPU time of one input in a debug build. The longest input takes 0.5 s where work is linear.
const TIME: Duration = Duration::from_secs(10);
/// How often the time is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that are held now.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Bytes that may be held; no bound before the first input.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Nanoseconds of CPU time by which the input has to be done with.
static DONE_BY: AtomicU64 = AtomicU64::new(u64::MAX);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn took(bytes: usize) {
    if HELD.fetch_add(bytes, Relaxed) + bytes > MOST.load(Relaxed) {
        // What follows may need memory itself.
        MOST.store(usize::MAX, Relaxed);
        end(&format!("it took more than {} MiB of memory", MEMORY >> 20));
    }
}

fn gave_back(bytes: usize) {
    HELD.fetch_sub(bytes, Relaxed);
}

// Every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave_back(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        gave_back(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Looks at the time for as long as the process lives.
pub(crate) fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(LOOK);
            if cpu_nanoseconds() > DONE_BY.load(Relaxed) {
                end(&format!("it took more than {TIME:?} of CPU time"));
            }
        }
    });
}

/// Runs `work` within the bounds.
pub(crate) fn within(work: impl FnOnce()) {
    MOST.store(HELD.load(Relaxed) + MEMORY, Relaxed);
    DONE_BY.store(cpu_nanoseconds() + TIME.as_nanos() as u64, Relaxed);
    work();
    let late = cpu_nanoseconds() > DONE_BY.load(Relaxed);
    DONE_BY.store(u64::MAX, Relaxed);
    MOST.store(usize::MAX, Relaxed);
    assert!(!late, "it took more than {TIME:?} of CPU time");
}

/// Of this process, which does nothing else.
fn cpu_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn end(why: &str) -> ! {
    eprintln!("{why}");
    std::process::abort()
}
