//! Makes secret key of entangled pairs in virtual time: `cargo run --release -p bellwether-sim --example bbm92`.
//!
//! A network file may be named: its first circuit is used.

#[path = "../../../examples/bbm92/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;
mod support;

use bellwether_units::Time;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PAIRS: u64 = 40_000;
    let (mut programs, [a, b]) = support::open()?;
    let alice = programs.spawn(a, |node| program::end(node, b, PAIRS));
    let bob = programs.spawn(b, |node| program::end(node, a, PAIRS));
    programs.run(Time::MAX)?;
    let alice = alice.take().ok_or("Alice did not end")??;
    let bob = bob.take().ok_or("Bob did not end")??;
    let percent = |class: bellwether_protocol::qkd::security::ClassCounts| {
        100.0 * class.errors as f64 / class.sifted as f64
    };
    println!("sifted: {} bits in Z with {:.2} % errors", alice.in_z.sifted, percent(alice.in_z));
    println!("checked: {} bits in X with {:.2} % errors", alice.in_x.sifted, percent(alice.in_x));
    println!("disclosed by reconciliation: {} bits", alice.certificate.leak);
    println!(
        "secret: {} bits, {}",
        alice.key.len(),
        if alice.key == bob.key { "equal" } else { "DIFFERENT" }
    );
    println!("network time: {:.1} s", programs.world().now().seconds());
    Ok(())
}
