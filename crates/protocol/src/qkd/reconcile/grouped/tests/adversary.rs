//! No message that a peer can send makes either end panic, run on, or disclose more than it may.

use super::*;
use proptest::prelude::*;

fn ends(bits: usize, seed: u64) -> (GroupedServer, GroupedCorrector) {
    let (reference, noisy) = keys(bits, 0.05, &mut stream("adversary", seed));
    let effort = if seed.is_multiple_of(2) { Effort::Quick } else { Effort::Thorough };
    let settings = GroupedSettings { effort, frame_length: 1024, ..GroupedSettings::new(0.05, seed) };
    let server = GroupedServer::new(&settings, SecretBits::new(reference)).unwrap();
    (server, GroupedCorrector::new(&settings, SecretBits::new(noisy)).unwrap())
}

/// Runs honestly for `rounds` rounds: the request that follows, if any does.
fn advance(server: &mut GroupedServer, corrector: &mut GroupedCorrector, rounds: usize) -> Option<Vec<u8>> {
    let mut step = corrector.start();
    for _ in 0..rounds {
        let Step::Ask(request) = &step else { return None };
        step = corrector.reply(&server.answer(request).ok()?).ok()?;
    }
    match step {
        Step::Ask(request) => Some(request),
        Step::Done => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Bits of requests are flipped as the peer likes, for as long as the server answers.
    #[test]
    fn lies_in_requests_come_to_an_end(bits in 1usize..5000, seed in 0u64..1000, lies: u64, one_in in 1u64..40) {
        let (mut server, mut corrector) = ends(bits, seed);
        let mut lies = stream("lies", lies);
        let mut request = advance(&mut server, &mut corrector, 0).unwrap();
        for round in 0u64.. {
            let before = server.disclosed();
            let Ok(reply) = server.answer(&request) else {
                prop_assert_eq!(server.disclosed(), before);
                prop_assert_eq!(server.answer(&request), Err(ReconcileError::NotWaiting));
                break;
            };
            prop_assert!(server.disclosed() <= server.cap() && round <= server.cap());
            let asked = (server.disclosed() - before) as usize;
            let head = if round + 1 < 128 { 1 } else { 2 };
            request = reply;
            (request[0], request[head - 1]) = if head == 1 {
                (round as u8 + 1, round as u8 + 1)
            } else {
                ((round + 1) as u8 | 0x80, ((round + 1) >> 7) as u8)
            };
            request.truncate(head);
            let mut body = vec![0u8; asked.div_ceil(8)];
            (0..asked).filter(|_| lies.below(one_in) == 0).for_each(|bit| body[bit / 8] |= 1 << (bit % 8));
            request.extend(body);
            if round > 5000 {
                break;
            }
        }
    }

    /// A server that answers at random is found out, or the corrector comes to an end.
    #[test]
    fn lies_in_replies_come_to_an_end(bits in 1usize..5000, seed in 0u64..1000, lies: u64) {
        let (mut server, mut corrector) = ends(bits, seed);
        let mut lies = stream("lies", lies);
        let mut step = Ok(corrector.start());
        while let Ok(Step::Ask(request)) = &step {
            let before = server.disclosed();
            let Ok(mut reply) = server.answer(request) else { break };
            let asked = (server.disclosed() - before) as usize;
            let first = reply.len() - asked.div_ceil(8);
            for bit in (0..asked).filter(|_| lies.chance(0.2)) {
                reply[first + bit / 8] ^= 1 << (bit % 8);
            }
            step = corrector.reply(&reply);
        }
        if step.is_err() {
            prop_assert_eq!(corrector.reply(&[]), Err(ReconcileError::NotWaiting));
        }
    }

    #[test]
    fn other_bytes_are_refused(
        bits in 1usize..5000, seed in 0u64..100, rounds in 0usize..30, bytes in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        let (mut server, mut corrector) = ends(bits, seed);
        let Some(request) = advance(&mut server, &mut corrector, rounds) else { return Ok(()) };
        if bytes.len() != request.len() {
            prop_assert!(server.answer(&bytes).is_err());
            prop_assert!(corrector.reply(&bytes).is_err() || bytes.len() > 1);
        }
    }
}

#[test]
fn messages_out_of_turn_are_refused() {
    let (mut server, mut corrector) = ends(2048, 3);
    assert_eq!(corrector.reply(&[0]), Err(ReconcileError::NotWaiting), "before the start");
    let Step::Ask(request) = corrector.start() else { panic!("2048 bits need a question") };
    assert_eq!(corrector.start(), Step::Done);
    let reply = server.answer(&request).unwrap();
    assert_eq!(server.answer(&request), Err(ReconcileError::WrongRound { due: 1, got: 0 }));
    assert!(matches!(corrector.reply(&reply), Ok(Step::Ask(_))));
    assert_eq!(corrector.reply(&reply), Err(ReconcileError::WrongRound { due: 1, got: 0 }));
}

#[test]
fn bits_are_never_shown() {
    let (server, corrector) = ends(64, 1);
    assert_eq!(format!("{server:?}"), "GroupedServer { bits: 64, frames: 1, round: 0, disclosed: 0, .. }");
    assert_eq!(
        format!("{corrector:?}"),
        "GroupedCorrector { bits: 64, frames: 1, round: 0, disclosed: 0, .. }"
    );
}
