//! Reconciliation: how little is disclosed, and how quick either end is.

use super::Efficiency;
use crate::args::Bench;
use crate::progress::Stopwatch;
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{CorrectingEnd, Family, ReconcileError, ReferenceEnd, Step};
use bellwether_units::{EntityId, Purpose, Stream, binary_entropy};

/// Error rates that are measured.
pub(super) const RATES: [f64; 7] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11];

/// Measures all families at one error rate.
pub(super) fn measure(args: &Bench, rate: f64, out: &mut Vec<Efficiency>) -> Result<(), ReconcileError> {
    let (bits, blocks) = if args.quick { (1 << 18, 1) } else { (1 << 20, 4) };
    for family in Family::ALL {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("bench"));
        let mut row = Efficiency {
            family: family.name(),
            error_rate: rate,
            efficiency: 0.0,
            round_trips: 0,
            corrector_bits_per_s: 0.0,
            reference_bits_per_s: 0.0,
            wrong_blocks: 0,
            blocks,
        };
        let (mut disclosed, mut limit) = (0.0, 0.0);
        let (mut correcting, mut answering) = (0.0, 0.0);
        for seed in 0..u64::from(blocks) {
            let reference = BitString::random(bits, &mut stream);
            let mut noisy = reference.clone();
            (0..bits).filter(|_| stream.chance(rate)).for_each(|bit| noisy.flip(bit));
            let errors = reference.hamming_distance(&noisy);
            let method = family.method(rate, seed);
            let (theirs, ours) = (SecretBits::new(reference.clone()), SecretBits::new(noisy));
            let from = Stopwatch::start();
            let mut server = ReferenceEnd::new(&method, theirs)?;
            answering += from.seconds();
            let from = Stopwatch::start();
            let mut corrector = CorrectingEnd::new(&method, ours)?;
            let mut step = corrector.start();
            correcting += from.seconds();
            while let Step::Ask(request) = step {
                let from = Stopwatch::start();
                let reply = server.answer(&request)?;
                answering += from.seconds();
                let from = Stopwatch::start();
                step = corrector.reply(&reply)?;
                correcting += from.seconds();
            }
            disclosed += corrector.disclosed() as f64;
            limit += bits as f64 * binary_entropy(errors as f64 / bits as f64);
            row.round_trips = row.round_trips.max(corrector.round_trips());
            row.wrong_blocks += u32::from(corrector.corrected().expose() != &reference);
        }
        let raw = bits as f64 * f64::from(blocks);
        row.efficiency = disclosed / limit;
        row.corrector_bits_per_s = raw / correcting;
        row.reference_bits_per_s = raw / answering;
        out.push(row);
    }
    Ok(())
}
