//! What can be typed after `bellwether bench`.

use clap::Args as Arguments;

/// Measure distillation on this machine.
#[derive(Debug, Default, Arguments)]
pub struct Bench {
    /// Shorter blocks and fewer repetitions: some seconds, and rougher figures
    #[arg(long)]
    pub quick: bool,
    /// Threads for what can use several
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,
    /// Print the figures as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write the efficiencies of all families, over the error rate, to this file as an SVG plot
    #[arg(long, value_name = "FILE")]
    pub svg: Option<std::path::PathBuf>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether bench
  bellwether bench --quick --json
  bellwether bench --svg efficiency.svg

Everything is measured in this process on blocks of its own making, one thread
at a time unless told otherwise; other work on the machine shows in the figures.";
