//! The `bellwether` command; see [`bellwether_cli`].

use std::process::ExitCode;

/// Distillation asks for and returns buffers of all sizes; the system's allocator would leave holes that grow for hours.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bellwether_cli::main()
}
