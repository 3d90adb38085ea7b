//! No message that a peer can send makes either end panic, run on, or disclose more than it may.

use super::*;
use proptest::prelude::*;

fn ends(bits: usize, seed: u64) -> (ParityServer, Corrector) {
    let (reference, noisy) = keys(bits, 0.05, &mut stream("adversary", seed));
    let settings = CascadeSettings {
        frame_length: 1024,
        ..CascadeSettings::new(CascadeVariant::ALL[seed as usize % 4], 0.05, seed)
    };
    let server = ParityServer::new(&settings, SecretBits::new(reference)).unwrap();
    (server, Corrector::new(&settings, SecretBits::new(noisy)).unwrap())
}

/// Runs the protocol honestly for `rounds` rounds: the request that follows, if any does.
fn advance(server: &mut ParityServer, corrector: &mut Corrector, rounds: usize) -> Option<Vec<u8>> {
    let mut step = corrector.start();
    for _ in 0..rounds {
        let Step::Ask(request) = &step else { return None };
        // Very short blocks may be given up.
        step = corrector.reply(&server.answer(request).unwrap()).ok()?;
    }
    match step {
        Step::Ask(request) => Some(request),
        Step::Done => None,
    }
}

/// How a message is spoilt.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Add(Vec<u8>),
    Replace(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 1u8..).prop_map(|(index, mask)| Damage::Flip(index, mask)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Damage::Add),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Damage::Replace),
    ]
}

fn spoil(message: &[u8], damage: &Damage) -> Vec<u8> {
    let mut message = message.to_vec();
    match damage {
        Damage::Flip(index, mask) => {
            let index = index.index(message.len());
            message[index] ^= mask;
        }
        Damage::Cut(index) => message.truncate(index.index(message.len())),
        Damage::Add(more) => message.extend(more),
        Damage::Replace(other) => {
            // The round stays right, so that the rest is read.
            message.truncate(1);
            message.extend(other);
        }
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn spoilt_requests_are_refused_or_counted(
        bits in 1usize..5000, seed in 0u64..1000, rounds in 0usize..60, damages in prop::collection::vec(damage(), 1..4)
    ) {
        let (mut server, mut corrector) = ends(bits, seed);
        let Some(mut request) = advance(&mut server, &mut corrector, rounds) else { return Ok(()) };
        for damage in &damages {
            request = spoil(&request, damage);
            if request.is_empty() {
                break;
            }
        }
        let before = server.disclosed();
        match server.answer(&request) {
            Ok(reply) => {
                let parities = server.disclosed() - before;
                prop_assert!(server.disclosed() <= server.cap());
                prop_assert!(reply.len() as u64 <= 2 + parities.div_ceil(8));
            }
            Err(_) => {
                prop_assert_eq!(server.disclosed(), before);
                prop_assert_eq!(server.answer(&request), Err(ReconcileError::NotWaiting));
            }
        }
    }

    #[test]
    fn spoilt_replies_are_refused_or_lead_to_an_end(
        bits in 1usize..5000, seed in 0u64..1000, rounds in 0usize..60, damage in damage()
    ) {
        let (mut server, mut corrector) = ends(bits, seed);
        let Some(request) = advance(&mut server, &mut corrector, rounds) else { return Ok(()) };
        let reply = spoil(&server.answer(&request).unwrap(), &damage);
        let mut step = corrector.reply(&reply);
        while let Ok(Step::Ask(request)) = step {
            let Ok(reply) = server.answer(&request) else { return Ok(()) };
            step = corrector.reply(&reply);
        }
        if step.is_err() {
            prop_assert_eq!(corrector.reply(&[]), Err(ReconcileError::NotWaiting));
        }
    }

    #[test]
    fn a_server_that_lies_at_random_comes_to_an_end(bits in 64usize..5000, seed in 0u64..1000, lies: u64) {
        let (mut server, mut corrector) = ends(bits, seed);
        let mut lies = stream("lies", lies);
        let mut step = Ok(corrector.start());
        let mut rounds = 0;
        while let Ok(Step::Ask(request)) = &step {
            let mut reply = server.answer(request).unwrap();
            let before = corrector.disclosed();
            let spare = (server.disclosed() - before).div_ceil(8) * 8 - (server.disclosed() - before);
            let last = reply.len() - 1;
            for byte in reply.iter_mut().rev().take(((server.disclosed() - before).div_ceil(8)) as usize) {
                *byte = lies.bits() as u8;
            }
            reply[last] &= 0xff >> spare;
            step = corrector.reply(&reply);
            rounds += 1;
            prop_assert!(rounds <= server.cap());
        }
    }
}

#[test]
fn no_parity_is_told_twice() {
    // Round 1: four frames have opened 32 blocks of 32 bits each, and 128 marks say where searches begin.
    let request = |first_mark: u8, rest: &[u8]| {
        let mut request = vec![1, first_mark];
        request.extend([0; 15]);
        request.extend(rest);
        request
    };
    let answer = |request: Vec<u8>| server_in_round_1().answer(&request).map(|reply| reply.len());
    assert_eq!(answer(request(0b11, &[0, 0, 0])), Ok(2), "two searches");
    assert_eq!(answer(request(0, &[0, 0, 2, 0, 0])), Ok(3), "frames 0 and 1 open 8 blocks each");
    assert_eq!(answer(request(0, &[0, 0, 0])), Err(ReconcileError::Malformed("nothing is asked")));
    let list = [0, 1, 0, 0, 1, 0, 0];
    assert_eq!(answer(request(0, &list)), Ok(2), "a list begins the search of the first block");
    assert_eq!(answer(request(1, &list)), Err(ReconcileError::Repeated), "and a mark does so as well");
    let inside = [0, 1, 0, 0, 1, 1, 0];
    assert_eq!(answer(request(0, &inside)), Err(ReconcileError::Malformed("no part begins there")));
    let closed = [0, 1, 0, 1, 1, 0, 0];
    let refusal = ReconcileError::Malformed("pass is not open, or out of order");
    assert_eq!(answer(request(0, &closed)), Err(refusal));
}

fn server_in_round_1() -> ParityServer {
    let (mut server, mut corrector) = ends(4096, 2);
    let request = advance(&mut server, &mut corrector, 0).unwrap();
    server.answer(&request).unwrap();
    server
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
    assert_eq!(format!("{server:?}"), "ParityServer { bits: 64, frames: 1, round: 0, disclosed: 0, .. }");
    assert_eq!(format!("{corrector:?}"), "Corrector { bits: 64, frames: 1, round: 0, disclosed: 0, .. }");
}
