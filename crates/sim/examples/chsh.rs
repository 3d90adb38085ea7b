//! Tests Bell's inequality over a chain of four nodes in virtual time:
//! `cargo run --release -p bellwether-sim --example chsh`.

#[path = "../../../examples/chsh/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;
mod support;

use bellwether_units::Time;
use support::ENDS;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PAIRS: u64 = 4000;
    let mut programs = support::chain(1)?;
    let alice = programs.spawn(ENDS[0], |node| program::alice(node, ENDS[1], PAIRS));
    let bob = programs.spawn(ENDS[1], |node| program::bob(node, ENDS[0], PAIRS));
    programs.run(Time::MAX)?;
    alice.take().ok_or("Alice did not end")??;
    let (s, error) = bob.take().ok_or("Bob did not end")??;
    println!("S = {s:.3} ± {error:.3} from {PAIRS} pairs, {:.1} standard errors above 2", (s - 2.0) / error);
    Ok(())
}
