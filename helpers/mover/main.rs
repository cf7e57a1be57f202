//! Moves what is in cache mounts, from within a step of a build.
//!
//! `mover SOCKET NAME DIR...` has one process for each directory; the name tells steps apart in an engine's records. Each
//! connects to the socket, which leads to whoever asked for the step, says which directory it has, and then does what it is
//! told: list entries, send them with their contents, or take new ones. It ends with code 9, never 0: an engine keeps nothing
//! of a step that failed.
//!
//! What it takes is unpacked beside what is there and exchanged at once when all of it has come (`unpack.rs`). The
//! protocol stands in `buildkit::mover::protocol`.
//!
//! It runs on engines whose images need not have a shell, so it stands alone: no C library. `scripts/helpers`
//! compiles it for each architecture; the program carries the results.

#![no_std]
#![no_main]

extern crate alloc;

mod memory;
mod system;
mod unpack;
mod walk;
mod wire;

use core::arch::global_asm;

use system::{Fd, end};
use wire::Wire;

/// Arguments before the directories.
const FIRST: usize = 3;
/// What the step ends with where it did its work.
const DONE: usize = 9;
const FAILED: usize = 10;

// The stack pointer at the start is all that a process gets; x86-64 wants it aligned.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {main}", "udf #0", main = sym main);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    end(FAILED)
}

/// `stack` is where the kernel put the number of arguments and pointers to them.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: that is how a process starts.
    let count = unsafe { *stack };
    // SAFETY: there are `count` pointers behind the number.
    let argument = |index: usize| unsafe { *stack.add(1 + index) } as *const u8;
    if count < FIRST {
        end(FAILED);
    }
    for index in FIRST..count {
        match system::fork() {
            0 => {
                let number = (index - FIRST) as u32;
                end(if serve(argument(1), argument(index), number).is_some() { DONE } else { FAILED });
            }
            child if child < 0 => end(FAILED),
            _ => {}
        }
    }
    let mut code = DONE;
    while let Some(status) = system::wait() {
        if status != (DONE as u32) << 8 {
            code = FAILED;
        }
    }
    end(code)
}

/// Does what is asked for one directory, until nothing more is.
fn serve(socket: *const u8, path: *const u8, number: u32) -> Option<()> {
    let mut wire = Wire::connect(socket)?;
    wire.put(b"d2m1");
    wire.put(&number.to_le_bytes());
    let Ok(root) = Fd::open(system::CWD, path, system::DIRECTORY) else {
        return wire.fail("open", b"", 2);
    };
    wire.put(b"k");
    wire.flush()?;
    loop {
        match wire.byte()? {
            b'L' => walk::walk(&root, &mut wire, walk::Extent::Entries)?,
            b'S' => {
                let since = wire.i64()?;
                walk::walk(&root, &mut wire, walk::Extent::Contents { since })?;
            }
            b'P' => {
                let files = wire.text()?;
                walk::walk(&root, &mut wire, walk::Extent::Chosen { files: &files })?;
            }
            b'R' => unpack::receive(&root, &mut wire)?,
            b'Q' => return Some(()),
            _ => return None,
        }
        wire.flush()?;
    }
}
