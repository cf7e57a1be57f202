//! The heap: powers of two out of blocks of the kernel, each size with a list of what was given back. One thread.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

use super::system;

const BLOCK: usize = 1 << 20;
const SMALLEST: u32 = 4;

struct Heap(UnsafeCell<State>);

struct State {
    free: [*mut u8; 64],
    next: usize,
    end: usize,
}

// SAFETY: the process has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(State { free: [null_mut(); 64], next: 0, end: 0 }));

/// The size that is given for a layout, as a power of two. Powers of two are aligned to themselves, up to a page.
fn class(layout: Layout) -> u32 {
    layout.size().max(layout.align()).next_power_of_two().trailing_zeros().max(SMALLEST)
}

// SAFETY: what is given is at least as large as asked for, aligned, and given to nobody else until it is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and nothing in here calls back.
        let state = unsafe { &mut *self.0.get() };
        let class = class(layout);
        let size = 1_usize << class;
        let first = state.free[class as usize];
        if !first.is_null() {
            // SAFETY: whatever is free begins with a pointer to the next one.
            state.free[class as usize] = unsafe { *first.cast::<*mut u8>() };
            return first;
        }
        let start = (state.next + size - 1) & !(size - 1);
        if start + size > state.end || state.next == 0 {
            let wanted = BLOCK.max(size);
            // Blocks are aligned to pages: twice as much holds what has to be aligned to more.
            let wanted = if size > 4096 { wanted * 2 } else { wanted };
            let Some(block) = system::map(wanted) else { return null_mut() };
            (state.next, state.end) = (block, block + wanted);
            let start = (block + size - 1) & !(size - 1);
            state.next = start + size;
            return start as *mut u8;
        }
        state.next = start + size;
        start as *mut u8
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let state = unsafe { &mut *self.0.get() };
        let class = class(layout) as usize;
        // SAFETY: the smallest size has room for a pointer.
        unsafe { *pointer.cast::<*mut u8>() = state.free[class] };
        state.free[class] = pointer;
    }
}
