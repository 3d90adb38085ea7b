//! Requests of reconciliation, forged or changed, to the end that serves parities.
//!
//! A real corrector asks until the attacker steps in. The server answers or stops; it never discloses more than
//! its cap, never more than it counts, and never anything with an error.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_fuzz::mutation::{Mutation, Payload, Rest};
use bellwether_fuzz::reconcile::Block;
use bellwether_protocol::qkd::reconcile::{CorrectingEnd, ReconcileError, ReferenceEnd, Step};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Attack {
    block: Block,
    /// What is sent once the corrector has stopped: after the round that is due, or as it is.
    forged: Vec<(bool, Payload)>,
    /// Changes to the corrector's requests, in their order, after so many that pass.
    passed: u8,
    changes: Rest<Vec<Mutation>, 64>,
}

fuzz_target!(|attack: Attack| {
    let (method, reference, noisy) = attack.block.make();
    let (Ok(mut server), Ok(mut corrector)) =
        (ReferenceEnd::new(&method, reference), CorrectingEnd::new(&method, noisy))
    else {
        return;
    };
    let mut step = corrector.start();
    let passed = core::iter::repeat_n(&[][..], usize::from(attack.passed % 64));
    let mut changes = passed.chain(attack.changes.iter().map(Vec::as_slice));
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Step::Ask(mut request) = step {
        seen.push(request.clone());
        for mutation in changes.next().into_iter().flatten().take(8) {
            mutation.apply(&mut request, 0, |other| seen.get(other % seen.len()).map(Vec::as_slice));
        }
        let Ok(reply) = ask(&mut server, &request) else { return };
        // The corrector may see through the reply to a question that it did not ask, or be led astray by it.
        match corrector.reply(&reply) {
            Ok(next) => step = next,
            Err(_) => break,
        }
    }
    for (in_turn, forged) in attack.forged {
        let mut request = Vec::new();
        if in_turn {
            let mut round = server.round_trips();
            while round >= 0x80 {
                request.push(round as u8 | 0x80);
                round >>= 7;
            }
            request.push(round as u8);
        }
        request.extend(forged.iter());
        if ask(&mut server, &request).is_err() {
            return;
        }
    }
});

fn ask(server: &mut ReferenceEnd, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
    let before = server.disclosed();
    let answer = server.answer(request);
    let counted = server.disclosed() - before;
    assert!(server.disclosed() <= server.cap(), "more is disclosed than may be");
    match &answer {
        Ok(reply) => {
            assert!(counted > 0, "an answer that tells nothing");
            let number = reply.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
            let bits = 8 * (reply.len() - number) as u64;
            assert!(bits < counted + 8, "{bits} bits are sent, {counted} are counted");
        }
        Err(_) => {
            assert_eq!(counted, 0, "an error that is counted as disclosure");
            assert_eq!(server.answer(request), Err(ReconcileError::NotWaiting));
        }
    }
    answer
}
