//! What programs that stand alone begin and end with: the first instruction, calls of the kernel, the end.

use core::arch::{asm, global_asm};

/// What a step ends with that failed at its work.
pub const FAILED: usize = 10;

#[cfg(target_arch = "x86_64")]
const EXIT_GROUP: usize = 231;
#[cfg(target_arch = "aarch64")]
const EXIT_GROUP: usize = 94;

// The stack pointer at the start is all that a process gets; x86-64 wants it aligned.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym crate::main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {main}", "udf #0", main = sym crate::main);

#[cfg(target_arch = "x86_64")]
pub fn system(number: usize, a: [usize; 5]) -> isize {
    let answer;
    // SAFETY: every caller passes pointers that live through the call, with their true lengths.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a[0], in("rsi") a[1],
            in("rdx") a[2], in("r10") a[3], in("r8") a[4], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

#[cfg(target_arch = "aarch64")]
pub fn system(number: usize, a: [usize; 5]) -> isize {
    let answer;
    // SAFETY: every caller passes pointers that live through the call, with their true lengths.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a[0] as isize => answer, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], options(nostack));
    }
    answer
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    end(FAILED)
}

pub fn end(code: usize) -> ! {
    loop {
        system(EXIT_GROUP, [code, 0, 0, 0, 0]);
    }
}
