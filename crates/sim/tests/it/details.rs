//! A link at detail `blocks` is the same in distribution as at detail `bits`.

use crate::support::{Distilled, Run, Small};

/// Means may differ by so many standard errors: once in 16,000 comparisons of equal laws. The seeds are fixed,
/// so a comparison fails always or never.
const STANDARD_ERRORS: f64 = 4.0;
/// The statistic of Kolmogorov and Smirnov may be so large: once in 10^4 comparisons.
const LARGEST_KS: f64 = 2.23;

struct Compared {
    bits: Run,
    blocks: Run,
}

impl Compared {
    fn new(link: &Small) -> Self {
        let [bits, blocks] = ["bits", "blocks"].map(|detail| Small { detail, ..link.clone() }.run());
        let least = bits.distilled().len().min(blocks.distilled().len());
        assert!(least > 20, "only {least} blocks to compare");
        Self { bits, blocks }
    }

    fn samples(&self, of: impl Fn(&Distilled) -> f64) -> [Vec<f64>; 2] {
        [&self.bits, &self.blocks].map(|run| run.distilled().iter().map(&of).collect())
    }

    /// Equal means, but for the fraction `besides`.
    fn means(&self, what: &str, besides: f64, of: impl Fn(&Distilled) -> f64) {
        let samples = self.samples(of);
        let [(a, va), (b, vb)] = samples.each_ref().map(|sample| moments(sample));
        let error = (va / samples[0].len() as f64 + vb / samples[1].len() as f64).sqrt();
        let allowed = STANDARD_ERRORS * error + besides * a.abs();
        assert!((a - b).abs() <= allowed, "{what}: mean {a} and {b}, {allowed} apart at most");
    }

    /// Equal variances: the logarithm of their ratio has a variance of 2/(n - 1) + 2/(m - 1).
    fn variances(&self, what: &str, of: impl Fn(&Distilled) -> f64) {
        let samples = self.samples(of);
        let [(_, a), (_, b)] = samples.each_ref().map(|sample| moments(sample));
        let error: f64 = samples.iter().map(|sample| 2.0 / (sample.len() as f64 - 1.0)).sum::<f64>().sqrt();
        let ratio = (a / b).ln();
        assert!(ratio.abs() <= STANDARD_ERRORS * error, "{what}: variances {a} and {b}");
    }

    fn distributions(&self, what: &str, samples: [Vec<f64>; 2]) {
        let ks = kolmogorov_smirnov(samples);
        assert!(ks < LARGEST_KS, "{what}: {ks}");
    }

    /// What a block's light, its reconciliation and its bound come to. `besides` is allowed on top of chance to
    /// error rates, and five times as much to the secret bits, which fall about so much faster.
    fn blocks_agree(&self, besides: f64) {
        self.means("sifted bits", 0.0, |block| block.sifted);
        self.means("check bits", 0.0, |block| block.check);
        self.means("error rate", besides, |block| block.errors / block.sifted);
        self.means("error rate of the check basis", besides, |block| block.check_errors / block.check);
        self.means("disclosed bits", besides, |block| block.leaked);
        self.means("secret bits", 5.0 * besides, |block| block.secret);
        // Both ends' messages are reckoned by means.
        self.means("time from opening to key", 0.01, |block| block.ended - block.opened);
        self.variances("error rate", |block| block.errors / block.sifted);
        self.variances("error rate of the check basis", |block| block.check_errors / block.check);
        self.variances("disclosed bits", |block| block.leaked);
        self.variances("secret bits", |block| block.secret);
        let fill = [&self.bits, &self.blocks].map(|run| {
            let blocks = run.distilled();
            let next = blocks.windows(2).filter(|pair| pair[1].number == pair[0].number + 1);
            next.map(|pair| pair[1].opened - pair[0].opened).collect::<Vec<_>>()
        });
        self.distributions("time to fill a block", fill);
        if besides == 0.0 {
            self.distributions("secret bits", self.samples(|block| block.secret));
        }
    }

    /// Bits of key set aside for authentication.
    fn set_aside(&self) -> [u64; 2] {
        [&self.bits, &self.blocks].map(|run| run.link().set_aside_bits)
    }
}

fn moments(sample: &[f64]) -> (f64, f64) {
    let n = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / n;
    (mean, sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0))
}

/// The two-sample statistic: the largest distance of the empirical distributions times sqrt(n m / (n + m)).
fn kolmogorov_smirnov(mut samples: [Vec<f64>; 2]) -> f64 {
    samples.iter_mut().for_each(|sample| sample.sort_by(f64::total_cmp));
    let [a, b] = &samples;
    let below = |sample: &[f64], x: f64| sample.partition_point(|y| *y <= x) as f64 / sample.len() as f64;
    let distance = a.iter().chain(b).map(|&x| (below(a, x) - below(b, x)).abs()).fold(0.0, f64::max);
    distance * ((a.len() * b.len()) as f64 / (a.len() + b.len()) as f64).sqrt()
}

#[test]
fn an_honest_link() {
    let compared = Compared::new(&Small { block: "100 kbit", ..Small::new("bits", 50) });
    compared.blocks_agree(0.0);
    // Two pairs of pads of 128 bits a block, from both.
    let [bits, blocks] = compared.set_aside();
    assert!(bits.abs_diff(blocks) <= 2 * 512, "{bits} and {blocks} bits set aside");
    let [bits, blocks] = [&compared.bits, &compared.blocks].map(|run| run.link().authentication_bits);
    assert!(bits.abs_diff(blocks) <= 6 * 128, "{bits} and {blocks} bits used");
    for run in [&compared.bits, &compared.blocks] {
        // Blocks are so small that one in some hundred has no key by poor luck.
        assert!(run.alarm_kinds().iter().all(|kind| kind == "no-key"), "{:?}", run.summary.alarms);
    }
}

#[test]
fn dead_time_after_pulses_a_step_of_loss_and_misalignment_on_its_way() {
    let link = Small {
        detector: "dead_time = \"1 us\"\nafterpulsing = { probability = 0.02, decay = \"2 us\" }",
        ..Small::new("bits", 60)
    };
    let link = link.event(20.0, Some(40.0), "kind = \"loss-step\"\nloss = \"0.5 dB\"").event(
        10.0,
        None,
        "kind = \"misalignment\"\nvalue = 0.012\nover = \"30 s\"",
    );
    // After-pulses follow at once where blocks are drawn, which moves error rates by up to one part in a hundred.
    Compared::new(&link).blocks_agree(0.01);
}

#[test]
fn a_tag_a_message_and_a_dead_time_for_each_detector() {
    let link = Small {
        block: "500 kbit",
        detector: "dead_time = \"1 us\"\ndead_time_scope = \"each\"",
        protocol: "authentication = \"every-message\"\nreconciliation = \"cascade-original\"",
        ..Small::new("bits", 60)
    };
    let compared = Compared::new(&link);
    compared.blocks_agree(0.0);
    // A pad a message; how many there are follows the round trips, of which the means are known to 10 %.
    let [bits, blocks] = compared.set_aside();
    assert!(bits > 500_000 && bits.abs_diff(blocks) * 10 < bits, "{bits} and {blocks} bits set aside");
    let [bits, blocks] = [&compared.bits, &compared.blocks].map(|run| run.link().authentication_bits);
    assert!(bits.abs_diff(blocks) * 10 < bits, "{bits} and {blocks} bits used");
}

/// A link that reconciles in another way than by default. Block after block the error rate is guessed from the one before,
/// while the laws of grouped Cascade were measured with the rate known.
fn reconciled_by(protocol: &'static str, block: &'static str) -> Compared {
    let compared = Compared::new(&Small { block, protocol, ..Small::new("bits", 60) });
    compared.means("error rate", 0.0, |block| block.errors / block.sifted);
    // Over the Shannon limit, so that the errors that there are do not hide what is compared.
    let efficiency = |block: &Distilled| {
        let rate = block.errors / block.sifted;
        block.leaked / (-rate * rate.log2() - (1.0 - rate) * (1.0 - rate).log2()) / block.sifted
    };
    compared.means("efficiency", 0.005, efficiency);
    let [(a, va), (b, vb)] = compared.samples(efficiency).map(|sample| moments(&sample));
    println!("{protocol}, {block}: efficiency {a:.4} ({:.4}) and {b:.4} ({:.4})", va.sqrt(), vb.sqrt());
    compared.means("secret bits", 0.01, |block| block.secret);
    compared.means("time from opening to key", 0.01, |block| block.ended - block.opened);
    for run in [&compared.bits, &compared.blocks] {
        assert_eq!(run.discarded("reconciliation") + run.discarded("verification"), 0, "{protocol}");
    }
    compared
}

/// Mean round trips of a block, which may differ by this fraction.
fn round_trips_agree(compared: &Compared, besides: f64) {
    let [bits, blocks] =
        [&compared.bits, &compared.blocks].map(|run| run.link().round_trips_per_block.unwrap());
    println!("{bits} and {blocks} round trips");
    assert!((bits - blocks).abs() < besides * bits, "{bits} and {blocks} round trips");
}

#[test]
fn grouped_cascade() {
    for protocol in ["reconciliation = \"grouped-quick\"", "reconciliation = \"grouped-thorough\""] {
        // Two frames: one of 2^18 bits, and a longer one.
        round_trips_agree(&reconciled_by(protocol, "600 kbit"), 0.1);
    }
}

#[test]
fn codes() {
    for block in ["150 kbit", "400 kbit"] {
        let compared = reconciled_by("reconciliation = \"ldpc\"", block);
        // Few blocks are told more, and much more: no variance of so many blocks is known as well as of a normal law.
        compared.distributions("disclosed bits", compared.samples(|block| block.leaked));
        round_trips_agree(&compared, 0.25);
    }
}

#[test]
fn the_statistic_tells_laws_apart() {
    let uniform = |n: usize, top: f64| (0..n).map(|i| top * (i as f64 + 0.5) / n as f64).collect::<Vec<_>>();
    assert!(kolmogorov_smirnov([uniform(100, 1.0), uniform(130, 1.0)]) < 0.1);
    assert!(kolmogorov_smirnov([uniform(100, 1.0), uniform(100, 1.6)]) > LARGEST_KS);
}

#[test]
fn a_tighter_bound_makes_more_key_of_the_same_light() {
    let run = |protocol: &'static str| {
        let run = Small { protocol, ..Small::new("blocks", 5) }.run();
        (
            run.link().sifted_bits,
            run.link().secret_bits,
            run.link().expected.clone().unwrap().secret_rate_per_s,
        )
    };
    let (plain, tight) = (run(""), run("bound = \"rusca-2018-tight\""));
    assert_eq!(plain.0, tight.0, "the bound does not change the light");
    assert!(tight.1 > plain.1 && plain.1 > 0, "{tight:?} {plain:?}");
    // On blocks of 200 kbit the exact tail gains more than on the large ones of the book.
    let gain = tight.2 / plain.2;
    assert!((1.05..2.0).contains(&gain), "{gain}");
}
