//! What each published Cascade discloses on given pairs of keys: for a comparison with another implementation.
//!
//! Standard input has the keys as characters `0` and `1`, one a line: a reference, a noisy copy of it, the next reference and
//! so on, all of one length. Each pair is one frame. The error rate that both ends expect is the argument.
//!
//! ```console
//! $ cargo run --release -p bellwether-protocol --example cascade_on_patterns -- 0.02 < pairs.txt
//! ```

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{
    CascadeSettings, CascadeVariant, Corrector, ParityServer, ReconcileError, Step,
};
use bellwether_units::binary_entropy;
use std::io::{Read, stdin};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let error_rate: f64 = std::env::args().nth(1).ok_or("the error rate is missing")?.parse()?;
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let keys: Vec<BitString> = text.split_whitespace().map(bits_of).collect();
    let (pairs, rest) = keys.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() || keys.iter().any(|key| key.len() != keys[0].len()) {
        return Err("pairs of keys of one length are expected, one key a line".into());
    }
    let (bits, count) = (keys[0].len(), pairs.len() as f64);
    let errors: usize = pairs.iter().map(|[reference, noisy]| differences(reference, noisy)).sum();
    let limit = bits as f64 * binary_entropy(errors as f64 / (count * bits as f64));
    println!("{} pairs of {bits} bits, {errors} errors", pairs.len());
    for variant in CascadeVariant::ALL {
        let mut disclosed = Vec::new();
        let mut wrong = 0;
        for (seed, [reference, noisy]) in (1..).zip(pairs) {
            let settings = CascadeSettings { variant, frame_length: 0, error_rate, seed };
            let outcome = reconcile(&settings, reference, noisy)?;
            disclosed.push(outcome.0 as f64);
            wrong += usize::from(!outcome.1);
        }
        let mean = disclosed.iter().sum::<f64>() / count;
        let variance = disclosed.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let of_mean = (variance / count).sqrt();
        println!(
            "{variant:?}: {mean:.1} +- {of_mean:.1} bits disclosed, f = {:.4} +- {:.4}, {wrong} left wrong",
            mean / limit,
            of_mean / limit
        );
    }
    Ok(())
}

fn bits_of(line: &str) -> BitString {
    let bytes: Vec<u8> = line
        .as_bytes()
        .chunks(8)
        .map(|eight| eight.iter().rev().fold(0, |byte, &one| byte << 1 | u8::from(one == b'1')))
        .collect();
    BitString::from_bytes(&bytes, line.len())
}

fn differences(a: &BitString, b: &BitString) -> usize {
    let mut difference = a.clone();
    difference.xor_with(b);
    difference.count_ones()
}

/// The bits disclosed, and whether the keys are equal.
fn reconcile(
    settings: &CascadeSettings,
    reference: &BitString,
    noisy: &BitString,
) -> Result<(u64, bool), ReconcileError> {
    let mut server = ParityServer::new(settings, SecretBits::new(reference.clone()))?;
    let mut corrector = Corrector::new(settings, SecretBits::new(noisy.clone()))?;
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        step = corrector.reply(&server.answer(&request)?)?;
    }
    Ok((server.disclosed(), corrector.corrected().expose() == reference))
}
