//! Teleports a thousand random states in virtual time: `cargo run --release -p bellwether-sim --example teleport`.
//!
//! A network file may be named: its first circuit is used.

#[path = "../../../examples/teleport/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;
mod support;

use bellwether_units::Time;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const STATES: u32 = 1000;
    let (mut programs, [a, b]) = support::open()?;
    let alice = programs.spawn(a, |node| program::alice(node, b, STATES));
    let bob = programs.spawn(b, |node| program::bob(node, a, STATES));
    programs.run(Time::MAX)?;
    alice.take().ok_or("Alice did not end")??;
    let right = bob.take().ok_or("Bob did not end")??;
    let fidelity = f64::from(right) / f64::from(STATES);
    let error = (fidelity * (1.0 - fidelity) / f64::from(STATES)).sqrt();
    println!(
        "{right} of {STATES} states arrived: fidelity {fidelity:.3} ± {error:.3}, in {:.2} s",
        programs.world().now().seconds()
    );
    Ok(())
}
