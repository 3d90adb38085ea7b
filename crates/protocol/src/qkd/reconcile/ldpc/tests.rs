use super::*;
use crate::qkd::reconcile::{ReconcileError, Step};
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{EntityId, Purpose, Stream};
use draw::Draw;

/// A pair of keys that differ at `error_rate`.
fn keys(bits: usize, error_rate: f64, seed: u64) -> (BitString, BitString) {
    let mut draw = Draw::new(&[seed]);
    let words: Vec<u64> = (0..bits.div_ceil(64)).map(|_| draw.word()).collect();
    let reference = BitString::from_words(words, bits);
    let mut noisy = reference.clone();
    for bit in 0..bits {
        if (draw.word() >> 11) as f64 * (-53f64).exp2() < error_rate {
            noisy.flip(bit);
        }
    }
    (reference, noisy)
}

struct Outcome {
    equal: bool,
    disclosed: u64,
    sent: u64,
    round_trips: u64,
}

fn reconcile(settings: &LdpcSettings, keys: &(BitString, BitString)) -> Outcome {
    let mut server = SyndromeServer::new(settings, SecretBits::new(keys.0.clone())).unwrap();
    let mut corrector = FrameCorrector::new(settings, SecretBits::new(keys.1.clone())).unwrap();
    let mut step = corrector.start();
    let mut sent = 0;
    while let Step::Ask(request) = step {
        let reply = server.answer(&request).unwrap();
        // One byte is the number of the round.
        sent += 8 * (reply.len() as u64 - 1);
        step = corrector.reply(&reply).unwrap();
    }
    assert_eq!(server.disclosed(), corrector.disclosed());
    assert!(server.disclosed() <= server.cap());
    Outcome {
        equal: corrector.corrected().expose() == &keys.0,
        disclosed: server.disclosed(),
        sent,
        round_trips: server.round_trips(),
    }
}

#[test]
fn keys_become_equal_and_what_is_disclosed_is_what_is_sent() {
    for (bits, rate, efficiency) in [(1 << 17, 0.02, 1.2), (100_001, 0.018, 1.25), (300_000, 0.02, 1.15)] {
        let keys = keys(bits, rate, bits as u64);
        let settings = LdpcSettings { efficiency, frame_length: 1 << 17, ..LdpcSettings::new(rate, 5) };
        let outcome = reconcile(&settings, &keys);
        assert!(outcome.equal, "{bits} bits at {rate}");
        assert_eq!(outcome.disclosed, outcome.sent);
    }
}

/// A first message that is too short, for more errors than were expected, is made up for.
#[test]
fn a_frame_that_fails_is_told_more() {
    let keys = keys(1 << 17, 0.02, 3);
    let settings = LdpcSettings { efficiency: 1.02, ..LdpcSettings::new(0.017, 5) };
    let outcome = reconcile(&settings, &keys);
    assert!(outcome.equal);
    assert!(outcome.round_trips > 2, "{} round trips", outcome.round_trips);
    assert_eq!(outcome.disclosed, outcome.sent);
    let f = outcome.disclosed as f64 / (1 << 17) as f64 / super::super::one_way::binary_entropy(0.02);
    assert!((1.03..1.5).contains(&f), "f = {f}");
}

/// Every length of block, over the rates that there are codes for.
#[test]
fn blocks_of_all_lengths_and_rates() {
    for (bits, rate, efficiency) in [
        (0, 0.02, 1.1),
        (1, 0.02, 1.1),
        (64, 0.05, 1.1),
        (4096, 0.03, 1.6),
        (10_000, 0.11, 1.35),
        (20_000, 0.0, 1.1),
        (30_011, 0.005, 1.6),
        (33_000, 0.05, 1.25),
        (1 << 17, 0.01, 1.25),
        (1 << 17, 0.08, 1.2),
        (1 << 16, 0.15, 1.25),
    ] {
        let keys = keys(bits, rate, bits as u64);
        let settings = LdpcSettings { efficiency, ..LdpcSettings::new(rate, 9) };
        let outcome = reconcile(&settings, &keys);
        assert!(outcome.equal, "{bits} bits at {rate}");
        assert_eq!(outcome.disclosed, outcome.sent, "{bits} bits at {rate}");
    }
}

/// One message is enough, and is at most 8 % longer than the Shannon limit, where there are few errors 12 %.
#[test]
fn thorough_settings_disclose_little_at_the_rates_that_there_are_codes_for() {
    for (rate, most) in
        [(0.005, 1.12), (0.01, 1.101), (0.02, 1.08), (0.03, 1.08), (0.05, 1.08), (0.08, 1.08), (0.11, 1.08)]
    {
        let keys = keys(1 << 20, rate, 11);
        let outcome = reconcile(&LdpcSettings::thorough(rate, 9), &keys);
        assert!(outcome.equal, "{rate}");
        assert_eq!(outcome.disclosed, outcome.sent, "{rate}");
        let f = outcome.disclosed as f64 / (1 << 20) as f64 / super::super::one_way::binary_entropy(rate);
        assert!(outcome.round_trips == 1 && f <= most, "{rate}: {f} in {} round trips", outcome.round_trips);
    }
}

/// A dozen wrong bits of this frame hold one another, whatever is told of others.
#[test]
fn errors_that_hold_one_another_are_found() {
    let mut stream = Stream::new(0, EntityId(0), Purpose::named("bench"));
    let reference = BitString::random(1 << 20, &mut stream);
    let mut noisy = reference.clone();
    (0..1 << 20).filter(|_| stream.chance(0.005)).for_each(|bit| noisy.flip(bit));
    let settings = LdpcSettings { efficiency: 1.21, ..LdpcSettings::new(0.005, 1) };
    let outcome = reconcile(&settings, &(reference, noisy));
    assert!(outcome.equal && outcome.round_trips == 1, "{} round trips", outcome.round_trips);
}

/// Who asks for more of a short frame than there is gets an error, and not an answer of nothing.
#[test]
fn a_server_answers_only_while_there_is_something_to_tell() {
    for bits in [64, 100, 700, 5000] {
        let (reference, _) = keys(bits, 0.02, 3);
        let settings = LdpcSettings::new(0.02, 1);
        let mut server = SyndromeServer::new(&settings, SecretBits::new(reference)).unwrap();
        for round in 0..=plan::RETRIES + 1 {
            let before = server.disclosed();
            let request = if round == 0 { vec![0] } else { vec![round as u8, 1] };
            match server.answer(&request) {
                Ok(_) => assert!(server.disclosed() > before, "{bits} bits, round {round}"),
                Err(error) => {
                    assert!(matches!(error, ReconcileError::TooManyErrors { .. }), "{error}");
                    assert!(round > 0 && server.disclosed() == before && before <= server.cap());
                    break;
                }
            }
            assert!(round <= plan::RETRIES, "it goes on for ever");
        }
    }
}

#[test]
fn a_server_answers_each_round_once_and_nothing_after_an_error() {
    let (reference, _) = keys(1 << 14, 0.02, 1);
    let settings = LdpcSettings::new(0.02, 5);
    let fresh = || SyndromeServer::new(&settings, SecretBits::new(reference.clone())).unwrap();
    for (request, expected) in [
        (&[][..], ReconcileError::Malformed("too short")),
        (&[1][..], ReconcileError::WrongRound { due: 0, got: 1 }),
        (&[0, 0][..], ReconcileError::Malformed("too long")),
    ] {
        let mut server = fresh();
        assert_eq!(server.answer(request), Err(expected));
        assert_eq!(server.answer(&[0]), Err(ReconcileError::NotWaiting));
        assert_eq!(server.disclosed(), 0);
    }
    let mut server = fresh();
    server.answer(&[0]).unwrap();
    assert_eq!(server.answer(&[0]), Err(ReconcileError::WrongRound { due: 1, got: 0 }));
    let mut server = fresh();
    server.answer(&[0]).unwrap();
    assert_eq!(server.answer(&[1, 0]), Err(ReconcileError::Malformed("nothing is asked")));
    // A peer that always asks for more is stopped at the cap, and is told no word twice.
    let mut server = fresh();
    let mut told = 0;
    let error = (0..).find_map(|round| {
        let request = if round == 0 { vec![0] } else { vec![round, 1] };
        match server.answer(&request) {
            Ok(reply) => {
                told += 8 * (reply.len() as u64 - 1);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!(error, Some(ReconcileError::TooManyErrors { cap: server.cap() }));
    assert_eq!((told, told), (server.disclosed(), server.cap()));
}

#[test]
fn a_corrector_refuses_malformed_replies_and_survives_wrong_ones() {
    let (_, noisy) = keys(1 << 14, 0.02, 1);
    let settings = LdpcSettings::new(0.02, 5);
    let fresh = || FrameCorrector::new(&settings, SecretBits::new(noisy.clone())).unwrap();
    assert_eq!(fresh().reply(&[0]), Err(ReconcileError::NotWaiting));
    for (reply, expected) in [
        (vec![], ReconcileError::Malformed("too short")),
        (vec![1], ReconcileError::WrongRound { due: 0, got: 1 }),
        (vec![0, 1, 2, 3], ReconcileError::Malformed("too short")),
        (vec![0; 1 << 14], ReconcileError::Malformed("too long")),
    ] {
        let mut corrector = fresh();
        corrector.start();
        assert_eq!(corrector.reply(&reply), Err(expected));
        assert_eq!(corrector.reply(&reply), Err(ReconcileError::NotWaiting));
    }
    // Bits that have nothing to do with the key: no end, or an error, but no panic.
    let mut corrector = fresh();
    let mut server = SyndromeServer::new(&settings, SecretBits::new(keys(1 << 14, 0.02, 2).0)).unwrap();
    let mut step = corrector.start();
    let error = loop {
        let Step::Ask(request) = step else { panic!("found a key that is not near") };
        match corrector.reply(&server.answer(&request).unwrap()) {
            Ok(next) => step = next,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReconcileError::TooManyErrors { .. }));
}

/// What is reckoned for a frame is what a server tells, retry by retry.
#[test]
fn a_telling_is_what_a_server_tells() {
    for (bits, rate, efficiency) in [
        (5_000, 0.02, 1.11),
        (50_001, 0.01, 1.0),
        (100_000, 0.05, 1.1),
        (300_000, 0.003, 1.2),
        (300_000, 0.2, 1.11),
    ] {
        let settings = LdpcSettings { efficiency, frame_length: 1 << 17, ..LdpcSettings::new(rate, 3) };
        let keys = keys(bits, rate, 1);
        let mut server = SyndromeServer::new(&settings, SecretBits::new(keys.0)).unwrap();
        let tellings = Telling::of_block(&settings, bits).unwrap();
        assert_eq!(tellings.iter().map(Telling::bits).sum::<usize>(), bits.next_multiple_of(64));
        for retries in 0..4u64 {
            let mut request = vec![retries as u8];
            if retries > 0 {
                // All frames want more.
                request.push((1 << tellings.len()) - 1);
            }
            server.answer(&request).unwrap();
            let told: u64 = tellings.iter().map(|frame| frame.disclosed(retries)).sum();
            assert_eq!(server.disclosed(), told, "{bits} bits at {rate}, {retries} retries");
        }
    }
}

/// What is told counts for more from retry to retry, and a frame that needs too much is given up.
#[test]
fn a_frame_takes_as_many_retries_as_it_needs() {
    let settings = LdpcSettings::new(0.02, 3);
    let telling = Telling::of_block(&settings, 1_000_000).unwrap()[0];
    for retries in 0..Telling::RETRIES {
        let (now, then) = (telling.efficiency(retries, 0.02), telling.efficiency(retries + 1, 0.02));
        assert!(then > now && telling.retries(0.02, now) == Some(retries), "{now} {then}");
    }
    assert_eq!(telling.retries(0.02, 2.0), None);
    assert_eq!(telling.retries(0.0, 2.0), Some(0), "without errors anything is enough");
}

#[test]
fn settings_out_of_range_are_refused() {
    for rate in [-0.1, 0.6, f64::NAN] {
        let bits = SecretBits::new(BitString::zeros(64));
        assert_eq!(
            SyndromeServer::new(&LdpcSettings::new(rate, 1), bits).err(),
            Some(ReconcileError::ErrorRate)
        );
    }
}

/// Layered sum-product decoding in double precision: the bits and how many sweeps they took.
fn sum_product(
    layout: &plan::Layout,
    frame: &[u64],
    syndrome: &[u64],
    error_rate: f64,
) -> Option<(Vec<u64>, usize)> {
    let code = &layout.code;
    let (columns, copies) = (code.columns(), code.copies());
    let bit = |words: &[u64], place: usize| words[place / 64] >> (place % 64) & 1 == 1;
    let ratio = ((1.0 - error_rate) / error_rate).ln();
    let trust = |place: usize| match layout.kinds[place / 64] {
        plan::Kind::Sifted => ratio,
        plan::Kind::Shortened => 40.0,
        plan::Kind::Punctured => 0.0,
    };
    let signed = |place: usize| if bit(frame, place) { -trust(place) } else { trust(place) };
    let mut beliefs: Vec<f64> = (0..64 * frame.len()).map(signed).collect();
    let mut messages = vec![0.0; code.links() * copies * 64];
    for sweep in 1..=60 {
        let mut told = messages.chunks_exact_mut(1);
        for copy in 0..copies {
            for (number, row) in code.rows().iter().enumerate() {
                for lane in 0..64 {
                    let place = |link: &bellwether_bits::parity_checks::Link| {
                        ((copy + link.step) % copies * columns + link.column) * 64 + (lane + link.turn) % 64
                    };
                    let mut told: Vec<&mut [f64]> = told.by_ref().take(row.len()).collect();
                    let heard: Vec<f64> =
                        row.iter().zip(&told).map(|(link, told)| beliefs[place(link)] - told[0]).collect();
                    let due = syndrome[number * copies + copy] >> lane & 1 == 1;
                    let phi = |x: f64| -(x.clamp(1e-9, 38.0) / 2.0).tanh().ln();
                    let doubt: f64 = heard.iter().map(|x| phi(x.abs())).sum();
                    let odd = heard.iter().fold(due, |odd, x| odd ^ (*x < 0.0));
                    for ((link, heard), told) in row.iter().zip(&heard).zip(&mut told) {
                        let magnitude = phi(doubt - phi(heard.abs()));
                        told[0] = if odd ^ (*heard < 0.0) { -magnitude } else { magnitude };
                        beliefs[place(link)] = heard + told[0];
                    }
                }
            }
        }
        let word = |word: &[f64]| {
            word.iter().enumerate().fold(0, |all, (lane, x)| all | u64::from(*x < 0.0) << lane)
        };
        let decided: Vec<u64> = beliefs.chunks_exact(64).map(word).collect();
        if code.syndrome(&decided) == syndrome {
            return Some((decided, sweep));
        }
    }
    None
}

/// What sum-product decoding in double precision finds, messages of a byte find as well, in at most half as many sweeps
/// more and two.
#[test]
fn bytes_are_nearly_as_good_as_double_precision() {
    let bits = 1 << 15;
    for seed in 0..3 {
        let (reference, noisy) = keys(bits, 0.018, seed);
        let settings = LdpcSettings { efficiency: 1.3, ..LdpcSettings::new(0.018, seed) };
        let layout = plan::Plan::new(&settings, bits).unwrap().layout(0);
        let mut truth = layout.place(reference.words());
        layout.fill(&mut truth);
        let (frame, syndrome) = (layout.place(noisy.words()), layout.code.syndrome(&truth));
        let (decided, sweeps) = sum_product(&layout, &frame, &syndrome, 0.018).expect("the errors are few");
        assert!(decided == truth);
        let trust = |kind: &plan::Kind| match kind {
            plan::Kind::Sifted => code::Trust::Received,
            plan::Kind::Shortened => code::Trust::Known,
            plan::Kind::Punctured => code::Trust::Unknown,
        };
        let trust: Vec<code::Trust> = layout.kinds.iter().map(trust).collect();
        let mut decoder = code::Decoder::new(layout.code.clone(), 0.018);
        assert!(decoder.decode(&frame, &trust, &syndrome).expect("decoded") == truth);
        assert!(decoder.sweeps <= sweeps + sweeps / 2 + 2, "{} sweeps against {sweeps}", decoder.sweeps);
    }
}
