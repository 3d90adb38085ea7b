//! Replies of reconciliation, forged or changed, to the end that corrects its bits.
//!
//! A real server answers; the attacker changes its replies. The corrector ends in a bounded number of rounds
//! and requests, and believes itself done with the true bits if nothing was changed and the errors were few.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_fuzz::mutation::{Mutation, Payload, Rest};
use bellwether_fuzz::reconcile::Block;
use bellwether_protocol::qkd::reconcile::{CorrectingEnd, ReferenceEnd, Step};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Attack {
    block: Block,
    /// Replies out of nothing, once the server has stopped.
    forged: Vec<(bool, Payload)>,
    /// Changes to the server's replies, in their order, after so many that pass.
    passed: u8,
    changes: Rest<Vec<Mutation>, 64>,
}

fuzz_target!(|attack: Attack| {
    let (method, reference, noisy) = attack.block.make();
    let bits = noisy.len();
    let (Ok(mut server), Ok(mut corrector)) =
        (ReferenceEnd::new(&method, reference), CorrectingEnd::new(&method, noisy))
    else {
        return;
    };
    let cap = server.cap();
    let mut step = corrector.start();
    let passed = core::iter::repeat_n(&[][..], usize::from(attack.passed % 64));
    let mut changes = passed.chain(attack.changes.iter().map(Vec::as_slice));
    let mut forged = attack.forged.iter();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Step::Ask(request) = step {
        assert!(request.len() <= 64 + 32 * bits, "a request of {} bytes", request.len());
        assert!(corrector.round_trips() <= cap + 1, "more rounds than parities");
        let reply = match server.answer(&request) {
            Ok(mut reply) => {
                seen.push(reply.clone());
                for mutation in changes.next().into_iter().flatten().take(8) {
                    mutation.apply(&mut reply, 0, |other| seen.get(other % seen.len()).map(Vec::as_slice));
                }
                reply
            }
            Err(_) => {
                let Some((in_turn, bytes)) = forged.next() else { return };
                let number = request.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
                let mut reply = if *in_turn { request[..number].to_vec() } else { Vec::new() };
                reply.extend(bytes.iter());
                reply
            }
        };
        let Ok(next) = corrector.reply(&reply) else {
            assert!(corrector.reply(&reply).is_err(), "a corrector that has stopped goes on");
            return;
        };
        assert!(corrector.disclosed() <= cap, "more parities are taken than may be");
        step = next;
    }
    assert_eq!(corrector.corrected().len(), bits);
    assert_eq!(corrector.corrections().len(), bits);
    assert!(corrector.reply(&[0]).is_err(), "a corrector that is done takes a reply");
});
