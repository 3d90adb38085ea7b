//! Programs of nodes in virtual time.

use bellwether_protocol::application::{
    Basis, EprError, MessageError, Node, OperationError, ProgramError, Qubit, remote_cnot_control,
    remote_cnot_target, teleport_receive,
};
use bellwether_quantum::bell::{BellDiagonal, BellIndex};
use bellwether_quantum::density::Readout;
use bellwether_quantum::{Complex64, Dephasing, MemoryNoise};
use bellwether_sim::entanglement::programs::{Programs, Stuck, Wait, lab};
use bellwether_sim::entanglement::{Brightness, Chain, Fault, FaultKind, Setup, World, WorldOptions};
use bellwether_units::{Duration, LinkId, NodeId, Time};
use core::f64::consts::SQRT_2;

#[path = "../../../../examples/bbm92/program.rs"]
#[allow(unreachable_pub, reason = "its text is that of the example")]
mod bbm92;
#[path = "../../../../examples/chsh/program.rs"]
#[allow(unreachable_pub, reason = "its text is that of the example")]
mod chsh;
#[path = "../../../../examples/teleport/program.rs"]
#[allow(unreachable_pub, reason = "its text is that of the example")]
mod teleport;

const SECOND: Duration = Duration::from_whole_seconds(1);

fn setup(nodes: u32, memories: u16, fidelity: f64) -> Setup {
    let pair = BellDiagonal::werner(fidelity).expect("a fidelity");
    let level = Brightness::stated(0.1, pair.into()).expect("a probability");
    let micro = Duration::from_microseconds;
    let mut setup = Chain::new(nodes, memories, level, micro(10), micro(5)).setup().expect("a level");
    setup.demands.clear();
    setup
}
fn programs(setup: Setup, seed: u64) -> Programs {
    Programs::new(World::new(setup, WorldOptions { seed, ..WorldOptions::default() }).expect("a chain"))
}
fn werner_parameter(fidelity: f64) -> f64 {
    (4.0 * fidelity - 1.0) / 3.0
}

async fn half(node: Node, peer: NodeId) -> Result<Qubit, EprError> {
    node.epr(peer, 0.0, SECOND).await
}

/// Both ends have halves of one pair, in the state that the links and swaps leave.
#[test]
fn a_pair_is_one_pair_in_the_state_that_it_has() {
    let mut programs = programs(setup(4, 2, 0.95), 1);
    let (a, b) = (NodeId(0), NodeId(3));
    let [one, other] = [(a, b), (b, a)].map(|(own, peer)| programs.spawn(own, move |node| half(node, peer)));
    programs.run(Time::MAX).unwrap();
    let (one, other) = (one.take().unwrap().unwrap(), other.take().unwrap().unwrap());
    let facts = one.pair().unwrap();
    assert_eq!(facts.id, other.pair().unwrap().id);
    assert_eq!(facts.bell, BellIndex::PHI_PLUS);
    let expected = (1.0 + 3.0 * werner_parameter(0.95).powi(3)) / 4.0;
    assert!((facts.fidelity - expected).abs() < 1e-9, "{} is claimed", facts.fidelity);
    let truth = programs.state(&[&one, &other]).unwrap().bell_fidelity(0, 1, BellIndex::PHI_PLUS);
    assert!((truth - expected).abs() < 1e-9, "{truth} is true");
}

/// Sends random states over pairs of fidelity F; Bob looks at each.
async fn looks(node: Node, alice: NodeId, states: u32) -> Result<Vec<f64>, ProgramError> {
    let mut seen = Vec::new();
    for _ in 0..states {
        let half = node.epr(alice, 0.5, SECOND).await?;
        let qubit = teleport_receive(&node, alice, half).await?;
        let (polar, azimuth): (f64, f64) = node.receive(alice).await?;
        let amplitudes =
            [Complex64::new((polar / 2.0).cos(), 0.0), Complex64::from_polar((polar / 2.0).sin(), azimuth)];
        seen.push(lab::fidelity(&node, &qubit, amplitudes).await?);
    }
    Ok(seen)
}

/// Teleportation over a Werner pair of fidelity F leaves every state with (2F + 1)/3 (Horodecki, Phys. Rev. A 60, 1888).
#[test]
fn teleported_states_have_the_fidelity_that_pairs_allow() {
    let (a, b) = (NodeId(0), NodeId(2));
    let fidelity = (1.0 + 3.0 * werner_parameter(0.95).powi(2)) / 4.0;
    let expected = (2.0 * fidelity + 1.0) / 3.0;

    let mut exact = programs(setup(3, 2, 0.95), 2);
    let alice = exact.spawn(a, |node| teleport::alice(node, b, 40));
    let bob = exact.spawn(b, |node| looks(node, a, 40));
    exact.run(Time::MAX).unwrap();
    alice.take().unwrap().unwrap();
    for seen in bob.take().unwrap().unwrap() {
        assert!((seen - expected).abs() < 1e-9, "{seen} instead of {expected}");
    }

    const STATES: u32 = 1000;
    let mut measured = programs(setup(3, 2, 0.95), 3);
    let alice = measured.spawn(a, |node| teleport::alice(node, b, STATES));
    let bob = measured.spawn(b, |node| teleport::bob(node, a, STATES));
    measured.run(Time::MAX).unwrap();
    alice.take().unwrap().unwrap();
    let share = f64::from(bob.take().unwrap().unwrap()) / f64::from(STATES);
    let error = (expected * (1.0 - expected) / f64::from(STATES)).sqrt();
    assert!((share - expected).abs() < 4.0 * error, "{share} ± {error} instead of {expected}");
}

/// Bell's inequality is violated as much as the pairs allow: S = 2√2 w for Werner pairs.
#[test]
fn correlations_violate_the_inequality_as_pairs_allow() {
    let (a, b) = (NodeId(0), NodeId(2));
    let mut programs = programs(setup(3, 4, 0.97), 4);
    let alice = programs.spawn(a, |node| chsh::alice(node, b, 4000));
    let bob = programs.spawn(b, |node| chsh::bob(node, a, 4000));
    programs.run(Time::MAX).unwrap();
    alice.take().unwrap().unwrap();
    let (s, error) = bob.take().unwrap().unwrap();
    let expected = 2.0 * SQRT_2 * werner_parameter(0.97).powi(2);
    assert!((s - expected).abs() < 4.0 * error && error < 0.06, "{s} ± {error} instead of {expected}");
    assert!(s > 2.0 + 4.0 * error);
}

/// Key of pairs: both ends have the same, its errors are those of the pairs, (1 - w)/2, and more pairs give more a pair.
#[test]
fn pairs_give_key_by_the_distillation_of_links() {
    let (a, b) = (NodeId(0), NodeId(2));
    let run = |pairs| {
        let mut programs = programs(setup(3, 4, 0.99), 5);
        let alice = programs.spawn(a, |node| bbm92::end(node, b, pairs));
        let bob = programs.spawn(b, |node| bbm92::end(node, a, pairs));
        programs.run(Time::MAX).unwrap();
        (alice.take().unwrap(), bob.take().unwrap())
    };
    let (alice, bob) = run(16_000);
    let (alice, bob) = (alice.unwrap(), bob.unwrap());
    assert!(alice.key == bob.key && alice.key.len() as u64 == alice.certificate.key_bits);
    assert!(alice.key.len() > 1000, "{} bits", alice.key.len());
    assert_eq!((alice.in_z, alice.in_x), (bob.in_z, bob.in_x));
    let expected = (1.0 - werner_parameter(0.99).powi(2)) / 2.0;
    for class in [alice.in_z, alice.in_x] {
        let count = class.sifted as f64;
        assert!((count / 4000.0 - 1.0).abs() < 0.06, "a quarter is sifted into each basis: {count}");
        let error = (expected * (1.0 - expected) / count).sqrt();
        let seen = class.errors as f64 / count;
        assert!((seen - expected).abs() < 4.0 * error, "{seen} ± {error}, expected {expected}");
    }
    let (too_few, _) = run(400);
    assert!(matches!(too_few, Err(ProgramError::Other(_))), "a hundred bits give no key");
}

/// A controlled NOT between nodes is one: it makes the superposed control and the target a Bell pair.
#[test]
fn a_remote_gate_is_a_gate() {
    async fn control(node: Node, peer: NodeId) -> Result<Qubit, ProgramError> {
        let half = node.epr(peer, 0.9, SECOND).await?;
        let mut qubit = node.qubit().await?;
        node.h(&mut qubit).await?;
        remote_cnot_control(&node, peer, &mut qubit, half).await?;
        Ok(qubit)
    }
    async fn target(node: Node, peer: NodeId) -> Result<Qubit, ProgramError> {
        let half = node.epr(peer, 0.9, SECOND).await?;
        let mut qubit = node.qubit().await?;
        remote_cnot_target(&node, peer, &mut qubit, half).await?;
        Ok(qubit)
    }
    for seed in 0..8 {
        let mut programs = programs(setup(2, 1, 1.0), seed);
        let (a, b) = (NodeId(0), NodeId(1));
        let one = programs.spawn(a, |node| control(node, b));
        let other = programs.spawn(b, |node| target(node, a));
        programs.run(Time::MAX).unwrap();
        let qubits = [one.take().unwrap().unwrap(), other.take().unwrap().unwrap()];
        let state = programs.state(&[&qubits[0], &qubits[1]]).unwrap();
        assert!((state.bell_fidelity(0, 1, BellIndex::PHI_PLUS) - 1.0).abs() < 1e-9, "seed {seed}");
    }
}

/// A memory that a dropped qubit had is free again, and a measured one's too: one memory serves many pairs.
#[test]
fn dropped_and_measured_qubits_free_their_memories() {
    async fn many(node: Node, peer: NodeId) -> Result<u32, ProgramError> {
        for n in 0..20 {
            let half = node.epr(peer, 0.0, SECOND).await?;
            if n % 2 == 0 {
                drop(half);
            } else {
                half.measure(Basis::X).await?;
            }
        }
        let mut locals = Vec::new();
        loop {
            match node.qubit().await {
                Ok(qubit) => locals.push(qubit),
                Err(OperationError::NoMemory(limit)) => {
                    assert_eq!(locals.len(), usize::from(limit));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        locals.pop();
        drop(node.qubit().await?);
        Ok(20)
    }
    let mut programs = programs(setup(2, 1, 0.9), 6);
    let (a, b) = (NodeId(0), NodeId(1));
    let ends = [(a, b), (b, a)].map(|(own, peer)| programs.spawn(own, move |node| many(node, peer)));
    programs.run(Time::MAX).unwrap();
    for end in ends {
        assert_eq!(end.take().unwrap().unwrap(), 20);
    }
}

/// Who waits for whom is told when nothing can come any more, even while the network is busy for others.
#[test]
fn programs_that_wait_for_each_other_are_named() {
    async fn listens(node: Node, to: NodeId) -> Result<u8, MessageError> {
        node.receive(to).await
    }
    let busy = Chain::new(
        3,
        2,
        Brightness::stated(0.1, BellDiagonal::PERFECT.into()).unwrap(),
        Duration::from_microseconds(10),
        Duration::from_microseconds(5),
    );
    let mut programs = programs(busy.setup().unwrap(), 7);
    let (a, b) = (NodeId(0), NodeId(1));
    programs.spawn(a, move |node| listens(node, b));
    programs.spawn(b, move |node| listens(node, a));
    let stuck = programs.run(Time::MAX).unwrap_err();
    let Stuck::Deadlock(waiting) = &stuck else { panic!("{stuck}") };
    assert_eq!(waiting.waits, [(a, vec![Wait::Message { from: b }]), (b, vec![Wait::Message { from: a }])]);
    assert_eq!(
        stuck.to_string(),
        "all programs wait and nothing is pending, at 0 s: node 0 waits for a message from node 1; \
         node 1 waits for a message from node 0"
    );
}

#[test]
fn a_tail_that_waits_for_a_call_that_never_comes_is_named() {
    async fn wants(node: Node, peer: NodeId) -> Result<(), ProgramError> {
        drop(node.epr(peer, 0.0, Duration::MAX).await?);
        Ok(())
    }
    async fn listens(node: Node, peer: NodeId) -> Result<(), ProgramError> {
        node.receive::<()>(peer).await?;
        Ok(())
    }
    let mut programs = programs(setup(2, 1, 0.9), 8);
    let (a, b) = (NodeId(0), NodeId(1));
    programs.spawn(a, move |node| listens(node, b));
    programs.spawn(b, move |node| wants(node, a));
    let stuck = programs.run(Time::MAX).unwrap_err().to_string();
    assert!(
        stuck.ends_with("node 1 waits for a pair with node 0 (its call 0, which the other has not met)"),
        "{stuck}"
    );
}

/// Errors are values, and each says what it is.
#[test]
fn what_cannot_be_had_is_refused_with_a_reason() {
    async fn asks(node: Node, peer: NodeId) -> Vec<Option<EprError>> {
        let mut errors = Vec::new();
        errors.push(node.epr(peer, 0.999, SECOND).await.err());
        errors.push(node.epr(NodeId(1), 0.5, SECOND).await.err());
        errors.push(node.epr(peer, 0.5, Duration::from_microseconds(1)).await.err());
        node.sleep(Duration::from_milliseconds(2)).await;
        errors.push(node.epr(peer, 0.5, SECOND).await.err());
        errors
    }
    async fn one_call(node: Node, peer: NodeId) -> Result<(), EprError> {
        drop(node.epr(peer, 0.5, Duration::from_milliseconds(1)).await);
        Ok(())
    }
    let (a, b) = (NodeId(0), NodeId(2));
    let mut ends = programs(setup(3, 2, 0.95), 9);
    let errors = ends.spawn(a, |node| asks(node, b));
    ends.spawn(b, |node| one_call(node, a));
    ends.run(Time::MAX).unwrap();
    let best = (1.0 + 3.0 * werner_parameter(0.95).powi(2)) / 4.0;
    let errors = errors.take().unwrap();
    let Some(EprError::TooNoisy { wanted, best: told }) = errors[0] else { panic!("{errors:?}") };
    assert!(wanted == 0.999 && (told - best).abs() < 1e-9);
    assert_eq!(errors[1], Some(EprError::NoCircuit(NodeId(1))));
    assert_eq!(errors[2], Some(EprError::TimedOut { peer: b, within: Duration::from_microseconds(1) }));
    assert_eq!(errors[3], Some(EprError::PeerGone(b)));

    let mut cut = setup(3, 2, 0.95);
    cut.faults.push(Fault { at: Time::ZERO, kind: FaultKind::Cut(LinkId(0)) });
    async fn late(node: Node, peer: NodeId) -> (Option<EprError>, Option<MessageError>) {
        node.sleep(Duration::from_microseconds(1)).await;
        (node.epr(peer, 0.5, SECOND).await.err(), node.send(peer, &1u8).await.err())
    }
    let mut programs = programs(cut, 10);
    let errors = programs.spawn(a, |node| late(node, b));
    programs.spawn(b, |node| async move { node.sleep(SECOND).await });
    programs.run(Time::MAX).unwrap();
    let errors = errors.take().unwrap();
    assert_eq!(errors, (Some(EprError::LinkDown(b)), Some(MessageError::Unreachable(b))));
}

/// A crash takes a program's qubits, and the program is told when it next works on one.
#[test]
fn qubits_do_not_outlive_their_node() {
    let mut setup = setup(2, 1, 0.9);
    for (at, kind) in [(1, FaultKind::Crash(NodeId(0))), (2, FaultKind::Restart(NodeId(0)))] {
        setup.faults.push(Fault { at: Time::ZERO + Duration::from_milliseconds(at), kind });
    }
    async fn loses(node: Node, peer: NodeId) -> Result<Option<OperationError>, ProgramError> {
        let mut half = node.epr(peer, 0.0, SECOND).await?;
        node.sleep(Duration::from_milliseconds(5)).await;
        let lost = node.h(&mut half).await.err();
        drop(half);
        // It goes on after the restart.
        drop(node.epr(peer, 0.0, SECOND).await?);
        Ok(lost)
    }
    async fn keeps(node: Node, peer: NodeId) -> Result<(), ProgramError> {
        drop(node.epr(peer, 0.0, SECOND).await?);
        drop(node.epr(peer, 0.0, SECOND).await?);
        Ok(())
    }
    let mut programs = programs(setup, 11);
    let (a, b) = (NodeId(0), NodeId(1));
    let one = programs.spawn(a, |node| loses(node, b));
    let other = programs.spawn(b, |node| keeps(node, a));
    programs.run(Time::MAX).unwrap();
    assert_eq!(one.take().unwrap(), Ok(Some(OperationError::Lost)));
    other.take().unwrap().unwrap();
}

/// A block of gates has the times and errors of the processor, and outcomes by ticket.
#[test]
fn gates_take_their_time_and_err() {
    async fn works(node: Node) -> Result<(Vec<bool>, f64), ProgramError> {
        let (mut a, mut b) = (node.qubit().await?, node.qubit().await?);
        let (tickets, read) = node
            .local(|block| {
                block.x(&mut a);
                block.cnot(&mut a, &mut b);
                [block.measure(a, Basis::Z), block.measure(b, Basis::Z)]
            })
            .await?;
        Ok((tickets.map(|ticket| read[ticket]).to_vec(), node.now().seconds()))
    }
    async fn noisy(node: Node) -> Result<f64, ProgramError> {
        let mut qubit = node.qubit().await?;
        node.h(&mut qubit).await?;
        let plus = [Complex64::new(SQRT_2.recip(), 0.0); 2];
        Ok(lab::fidelity(&node, &qubit, plus).await?)
    }
    let mut programs = programs(setup(2, 1, 0.9), 12);
    let (a, b) = (NodeId(0), NodeId(1));
    let model = bellwether_sim::entanglement::NodeModel::PERFECT;
    let processor = bellwether_sim::entanglement::Processor {
        gate_time: Duration::from_microseconds(1),
        pair_gate_time: Duration::from_microseconds(10),
        readout_time: Duration::from_microseconds(100),
        readout: Readout::PERFECT,
        ..bellwether_sim::entanglement::Processor::of(&model)
    };
    let works = programs.spawn(a, works);
    let noisy = programs.spawn(b, noisy);
    programs.set_processor(a, processor.clone());
    programs.set_processor(b, bellwether_sim::entanglement::Processor { gate_mixing: 0.1, ..processor });
    programs.run(Time::MAX).unwrap();
    let (outcomes, seconds) = works.take().unwrap().unwrap();
    assert_eq!(outcomes, [true, true]);
    assert!((seconds - 211e-6).abs() < 1e-12, "{seconds}");
    assert!((noisy.take().unwrap().unwrap() - 0.95).abs() < 1e-12);
}

/// Halves age in the memories of programs, and gates do not stop that.
#[test]
fn qubits_age_before_and_after_gates() {
    async fn waits(node: Node, peer: NodeId, gate: bool) -> Result<Qubit, ProgramError> {
        let mut half = node.epr(peer, 0.0, SECOND).await?;
        node.sleep(Duration::from_milliseconds(3)).await;
        if gate {
            node.h(&mut half).await?;
            node.h(&mut half).await?;
        }
        node.sleep(Duration::from_milliseconds(3)).await;
        Ok(half)
    }
    let fidelity = |noise, gate| {
        let mut setup = setup(2, 1, 1.0);
        let mut model = bellwether_sim::entanglement::NodeModel::PERFECT;
        model.communication = noise;
        for node in &mut setup.nodes {
            node.model = std::sync::Arc::new(model.clone());
        }
        let mut programs = programs(setup, 13);
        let (a, b) = (NodeId(0), NodeId(1));
        let one = programs.spawn(a, |node| waits(node, b, gate));
        let other = programs.spawn(b, |node| waits(node, a, false));
        programs.run(Time::MAX).unwrap();
        let qubits = [one.take().unwrap().unwrap(), other.take().unwrap().unwrap()];
        programs.state(&[&qubits[0], &qubits[1]]).unwrap().bell_fidelity(0, 1, BellIndex::PHI_PLUS)
    };
    // The second depends on how long a qubit has been where it is, not only on how long it is looked at.
    let exponential = MemoryNoise::depolarising(Duration::from_milliseconds(20)).unwrap();
    let gaussian = MemoryNoise::new(None, Dephasing::Gaussian(Duration::from_milliseconds(8))).unwrap();
    for noise in [exponential, gaussian] {
        let [without, with] = [false, true].map(|gate| fidelity(noise, gate));
        assert!((without - with).abs() < 1e-12, "{without} without a gate, {with} with");
        assert!((0.3..0.8).contains(&without), "{without}");
    }
}

/// Equal seeds, equal runs; other seeds, other runs.
#[test]
fn programs_depend_on_the_seed_alone() {
    let run = |seed| {
        let mut programs = programs(setup(4, 2, 0.9), seed);
        let (a, b) = (NodeId(0), NodeId(3));
        let alice = programs.spawn(a, |node| chsh::alice(node, b, 100));
        let bob = programs.spawn(b, |node| chsh::bob(node, a, 100));
        programs.run(Time::MAX).unwrap();
        alice.take().unwrap().unwrap();
        (format!("{:?}", bob.take().unwrap().unwrap()), programs.world().work())
    };
    assert_eq!(run(14), run(14));
    assert_ne!(run(14).1, run(15).1);
}

/// Messages keep their order, and are typed: what is not what was expected is an error, not a panic.
#[test]
fn messages_keep_their_order_and_type() {
    async fn says(node: Node, to: NodeId) -> Result<(), ProgramError> {
        for n in 0..50u32 {
            node.send(to, &n).await?;
        }
        node.send(to, "not a number").await?;
        Ok(())
    }
    async fn hears(node: Node, from: NodeId) -> Result<(Vec<u32>, MessageError, MessageError), ProgramError> {
        let mut heard = Vec::new();
        for _ in 0..50 {
            heard.push(node.receive(from).await?);
        }
        let wrong = node.receive::<u32>(from).await.expect_err("it is a string");
        let gone = node.receive::<u32>(from).await.expect_err("it has ended");
        Ok((heard, wrong, gone))
    }
    let mut programs = programs(setup(3, 1, 0.9), 16);
    let (a, b) = (NodeId(0), NodeId(2));
    programs.spawn(a, |node| says(node, b));
    let heard = programs.spawn(b, |node| hears(node, a));
    programs.run(Time::MAX).unwrap();
    let (heard, wrong, gone) = heard.take().unwrap().unwrap();
    assert_eq!(heard, (0..50).collect::<Vec<_>>());
    assert!(matches!(wrong, MessageError::Malformed(_)), "{wrong}");
    assert_eq!(gone, MessageError::PeerGone(a));
    // Two links of 5 µs.
    assert!((programs.world().now().seconds() - 10e-6).abs() < 1e-12);
}

/// Handles and qubits may travel between threads, so that any runtime can drive a program.
#[test]
fn programs_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: T) {}
    let (node, _port) = bellwether_protocol::application::Port::open(NodeId(0), Box::new(|| 4));
    sendable(teleport::alice(node.clone(), NodeId(1), 1));
    sendable(chsh::bob(node.clone(), NodeId(1), 1));
    sendable(bbm92::end(node, NodeId(1), 1));
}
