//! Mutations of real inputs for everything that parses bytes of others: no input may panic, take long, or take much
//! memory.
//!
//! Each target is a test. It runs for under a second with `cargo test`; DOC2MD_FUZZ_SECONDS makes it a campaign of that
//! long, DOC2MD_FUZZ_SEED starts it elsewhere. Inputs are a function of the seed and their number. An input that fails is
//! made smaller and written to a file, which the message names together with the command that runs it again.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod bounds;
mod campaign;
mod mutate;
mod seeds;
mod targets;

/// A test for each target.
macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                campaign::run(&targets::Target {
                    name: stringify!($name),
                    seeds: seeds::$name,
                    run: targets::$name,
                });
            }
        )*
    };
}

/// What has to be found: a campaign that finds nothing would say nothing.
macro_rules! finds {
    ($($name:ident: $run:expr, $says:expr;)*) => {
        $(
            #[test]
            fn $name() {
                campaign::finds($says, &targets::Target {
                    name: stringify!($name),
                    seeds: || vec![b"seed".to_vec()],
                    run: $run,
                });
            }
        )*
    };
}

finds! {
    finds_a_panic: |input| assert_eq!(input, b"seed"), "panicked at tests/fuzz";
    finds_memory: |input| drop(vec![input.len(); 1 << 28]), "of memory";
    finds_a_stack_that_overflows: |input| assert!(deep(input.len() << 20) > 0), "overflowed its stack";
}

fn deep(levels: usize) -> usize {
    if levels == 0 { 0 } else { std::hint::black_box(deep(levels - 1)) + 1 }
}

tests! {
    compose
    env_file
    dockerfile
    provenance
    dockerignore
    docker_config
    disk_usage
    history_entry
    status_trace
    status_message
    failure
    requirements
    lock
    init
    reference
    layout
    redaction
}
