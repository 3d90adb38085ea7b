//! The `bellwether` command; see [`bellwether_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    bellwether_cli::main()
}
