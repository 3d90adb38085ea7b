//! Makes raw key of entangled pairs over a chain of four nodes in virtual time:
//! `cargo run --release -p bellwether-sim --example bbm92`.

#[path = "../../../examples/bbm92/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;
mod support;

use bellwether_units::Time;
use bellwether_units::binary_entropy;
use support::ENDS;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PAIRS: u64 = 4000;
    let mut programs = support::chain(1)?;
    let alice = programs.spawn(ENDS[0], |node| program::end(node, ENDS[1], PAIRS));
    let bob = programs.spawn(ENDS[1], |node| program::end(node, ENDS[0], PAIRS));
    programs.run(Time::MAX)?;
    let alice = alice.take().ok_or("Alice did not end")??;
    let bob = bob.take().ok_or("Bob did not end")??;
    let share = |(compared, differ): (u64, u64)| differ as f64 / compared as f64;
    let [in_z, in_x] = [share(alice.compared), share(alice.compared_in_x)];
    let differ = alice.bits.iter().zip(&bob.bits).filter(|(a, b)| a != b).count();
    println!(
        "{} raw bits; errors compared in Z {:.1} %, in X {:.1} %",
        alice.bits.len(),
        100.0 * in_z,
        100.0 * in_x
    );
    println!("the raw keys truly differ in {differ} bits");
    let fraction = 1.0 - binary_entropy(in_z) - binary_entropy(in_x);
    println!("of very long keys with such errors, a fraction of at most {fraction:.3} could be made secret");
    Ok(())
}
