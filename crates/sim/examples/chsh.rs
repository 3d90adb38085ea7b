//! Tests Bell's inequality in virtual time: `cargo run --release -p bellwether-sim --example chsh`.
//!
//! A network file may be named: its first circuit is used.

#[path = "../../../examples/chsh/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;
mod support;

use bellwether_units::Time;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PAIRS: u64 = 4000;
    let (mut programs, [a, b]) = support::open()?;
    let alice = programs.spawn(a, |node| program::alice(node, b, PAIRS));
    let bob = programs.spawn(b, |node| program::bob(node, a, PAIRS));
    programs.run(Time::MAX)?;
    alice.take().ok_or("Alice did not end")??;
    let (s, error) = bob.take().ok_or("Bob did not end")??;
    println!("S = {s:.3} ± {error:.3} from {PAIRS} pairs, {:.1} standard errors above 2", (s - 2.0) / error);
    Ok(())
}
