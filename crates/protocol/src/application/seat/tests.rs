use super::*;
use crate::application::{Basis, Gate, Node, Operation, QubitPlace};
use crate::entanglement::EndToEndId;
use crate::entanglement::network::{End, PairRequest, RequestId};
use bellwether_quantum::bell::{BellDiagonal, BellIndex};
use bellwether_units::{Duration, LinkId};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

const CIRCUIT: CircuitId = CircuitId(3);
const HERE: NodeId = NodeId(1);
const PEER: NodeId = NodeId(9);
const SECOND: Duration = Duration::from_whole_seconds(1);

/// A seat with its program, driven by hand.
struct Played<T> {
    seat: Seat,
    program: Pin<Box<dyn Future<Output = T>>>,
    now: Time,
    barred: Option<EprError>,
}

impl<T> Played<T> {
    fn new<F: Future<Output = T> + 'static>(end: End, program: impl FnOnce(Node) -> F) -> Self {
        let (node, port) = Port::open(HERE, Box::new(|| u64::MAX));
        let seat = Seat::new(port, [Booth { circuit: CIRCUIT, end, peer: PEER, best: 0.9 }], 2);
        Self { seat, program: Box::pin(program(node)), now: Time::ZERO, barred: None }
    }
    /// Polls the program until it waits; what it returned, and what its wishes caused.
    fn poll(&mut self) -> (Option<T>, Vec<SeatEffect>) {
        let mut out = Vec::new();
        loop {
            let polled = self.program.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let mut wished = false;
            while let Some(wish) = self.seat.port().take() {
                wished = true;
                self.seat.wish(self.now, wish, |_| self.barred, &mut out);
            }
            match polled {
                Poll::Ready(value) => return (Some(value), out),
                Poll::Pending if !wished => return (None, out),
                Poll::Pending => {}
            }
        }
    }
    fn effects(&mut self) -> Vec<SeatEffect> {
        let (value, out) = self.poll();
        assert!(value.is_none(), "the program has returned");
        out
    }
    fn returned(&mut self) -> T {
        self.poll().0.expect("the program has all that it waits for")
    }
    fn tell(&mut self, act: impl FnOnce(&mut Seat, Time, &mut Vec<SeatEffect>)) -> Vec<SeatEffect> {
        let mut out = Vec::new();
        act(&mut self.seat, self.now, &mut out);
        out
    }
}

const fn link_pair(sequence: u64) -> PairId {
    PairId { link: LinkId(0), epoch: 0, sequence }
}
/// The `number`th half, for a call.
fn half(end: End, call: u64, number: u16) -> Delivered {
    let pair = link_pair(number.into());
    Delivered {
        circuit: CIRCUIT,
        end,
        request: RequestId(1 << 63 | call),
        id: EndToEndId { head: pair, tail: pair },
        memory: MemoryId(number),
        bell: BellIndex::PHI_PLUS,
        estimate: BellDiagonal::werner(0.85).expect("a fidelity"),
        made: Time::ZERO,
    }
}
/// What was to be operated on, with the number of the request.
fn asked(effects: &[SeatEffect]) -> (u64, Operation<QubitPlace>) {
    match effects {
        [SeatEffect::Processor(ProcessorCommand::Operate { request, operation })] => (*request, *operation),
        _ => panic!("one operation was expected, not {} effects", effects.len()),
    }
}
fn releases(effects: &[SeatEffect]) -> Vec<u16> {
    let memory = |effect: &SeatEffect| match effect {
        SeatEffect::Release { circuit: CIRCUIT, pair, memory } => {
            assert_eq!(*pair, link_pair(memory.0.into()));
            Some(memory.0)
        }
        _ => None,
    };
    effects.iter().filter_map(memory).collect()
}

#[test]
fn a_seat_may_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Seat>();
    is_send::<SeatEffect>();
}

#[test]
fn a_pair_is_asked_for_worked_on_and_given_back() {
    let mut played = Played::new(End::Head, async |node: Node| {
        let mut half = node.epr(PEER, 0.8, SECOND).await?;
        node.h(&mut half).await?;
        let outcome = half.measure(Basis::X).await?;
        Ok::<_, crate::application::ProgramError>(outcome)
    });
    let effects = played.effects();
    let [SeatEffect::Request(CIRCUIT, PairRequest { id, pairs: Some(1), until, .. })] = effects[..] else {
        panic!("a request was expected");
    };
    assert_eq!((id, until), (RequestId(1 << 63), Some(Time::ZERO + SECOND)));
    let call = CallId { circuit: CIRCUIT, number: 0 };
    assert_eq!(played.seat.waits(), [Awaited::Pair { with: PEER, call }]);
    assert!(played.tell(|seat, now, out| seat.delivered(now, &half(End::Head, 0, 5), out)).is_empty());
    let place = QubitPlace::Memory(MemoryId(5));
    let (request, operation) = asked(&played.effects());
    assert_eq!(operation, Operation::One(Gate::H, place));
    assert_eq!(played.seat.waits(), [Awaited::Operation]);
    assert!(played.tell(|seat, now, out| seat.operated(now, request, Ok(vec![]), out)).is_empty());
    let (request, operation) = asked(&played.effects());
    assert_eq!(operation, Operation::Measure(place, Basis::X));
    let effects = played.tell(|seat, now, out| seat.operated(now, request, Ok(vec![true]), out));
    assert_eq!(releases(&effects), [5]);
    assert_eq!(played.returned(), Ok(true));
}

#[test]
fn operations_are_asked_for_one_at_a_time_and_none_after_an_error() {
    let mut played = Played::new(End::Tail, async |node: Node| {
        let (mut a, mut b) = (node.qubit().await?, node.qubit().await?);
        assert!(matches!(node.qubit().await, Err(OperationError::NoMemory(2))));
        let (_, _) = node.local(|block| (block.cnot(&mut a, &mut b), block.measure(b, Basis::Z))).await?;
        drop(a);
        Ok::<_, OperationError>(())
    });
    let effects = played.effects();
    assert!(matches!(
        effects[..],
        [
            SeatEffect::Processor(ProcessorCommand::Zero { local: 0 }),
            SeatEffect::Processor(ProcessorCommand::Zero { local: 1 }),
            SeatEffect::Processor(ProcessorCommand::Operate { request: 0, operation: Operation::Two(..) })
        ]
    ));
    // The hardware cannot: what was to be measured next is nobody's.
    let refused = Err(OperationError::TooManyEntangled(11));
    let effects = played.tell(|seat, now, out| seat.operated(now, 0, refused, out));
    assert!(matches!(effects[..], [SeatEffect::Processor(ProcessorCommand::Discard { local: 1 })]));
    let (value, effects) = played.poll();
    assert_eq!(value, Some(Err(OperationError::TooManyEntangled(11))));
    assert!(matches!(effects[..], [SeatEffect::Processor(ProcessorCommand::Discard { local: 0 })]));
}

#[test]
fn hardware_that_says_too_little_has_not_measured() {
    let mut played = Played::new(End::Tail, async |node: Node| node.qubit().await?.measure(Basis::Z).await);
    assert_eq!(played.effects().len(), 2);
    let effects = played.tell(|seat, now, out| seat.operated(now, 0, Ok(vec![]), out));
    assert!(matches!(effects[..], [SeatEffect::Processor(ProcessorCommand::Discard { local: 0 })]));
    assert_eq!(played.returned(), Err(OperationError::Lost));
}

#[test]
fn the_memory_of_a_lost_half_is_given_back_when_nothing_works_on_it_any_more() {
    let mut played = Played::new(End::Tail, async |node: Node| {
        let mut half = node.epr(PEER, 0.8, SECOND).await.expect("a pair");
        let first = node.h(&mut half).await;
        (first, node.x(&mut half).await)
    });
    assert!(played.effects().is_empty());
    _ = played.tell(|seat, now, out| seat.delivered(now, &half(End::Tail, 0, 4), out));
    let (request, _) = asked(&played.effects());
    let revoke = |seat: &mut Seat, now, out: &mut Vec<_>| {
        seat.revoked(now, CIRCUIT, link_pair(4), MemoryId(4), out);
    };
    assert!(played.tell(revoke).is_empty(), "the gate is still at work in that memory");
    let effects = played.tell(|seat, now, out| seat.operated(now, request, Ok(vec![]), out));
    assert_eq!(releases(&effects), [4]);
    // The next gate is not even asked for.
    let (value, effects) = played.poll();
    assert_eq!(value, Some((Err(OperationError::Lost), Err(OperationError::Lost))));
    assert!(effects.is_empty());
}

#[test]
fn pairs_are_measured_as_they_come_beside_other_operations() {
    let mut played = Played::new(End::Head, async |node: Node| {
        node.measured_pairs(PEER, 3, &[Basis::X, Basis::Y], 0.8, SECOND).await
    });
    assert_eq!(played.effects().len(), 1);
    let mut requests = Vec::new();
    for number in [2, 1] {
        let effects = played.tell(|seat, now, out| seat.delivered(now, &half(End::Head, 0, number), out));
        let (request, operation) = asked(&effects);
        // The greatest of random numbers draws the last basis.
        let place = QubitPlace::Memory(MemoryId(number));
        assert_eq!(operation, Operation::Measure(place, Basis::Y));
        requests.push(request);
    }
    let read = |request, outcome| {
        move |seat: &mut Seat, now, out: &mut Vec<_>| seat.operated(now, request, Ok(vec![outcome]), out)
    };
    assert_eq!(releases(&played.tell(read(requests[0], true))), [2]);
    // Time is up while one is being measured: it is among the results, in the order of names.
    played.now = Time::ZERO + SECOND;
    assert_eq!(played.seat.deadline(), Some(played.now));
    assert!(played.tell(Seat::timeout).is_empty());
    assert!(played.effects().is_empty());
    assert_eq!(releases(&played.tell(read(requests[1], false))), [1]);
    let got = played.returned().expect("what came in time");
    let got: Vec<_> =
        got.iter().map(|pair| (pair.facts.id.head.sequence, pair.basis, pair.outcome)).collect();
    assert_eq!(got, [(1, Basis::Y, false), (2, Basis::Y, true)]);
}

#[test]
fn a_pair_that_comes_to_nothing_while_it_is_read_does_not_count() {
    let mut played =
        Played::new(End::Tail, async |node: Node| node.measured_pairs(PEER, 1, &[], 0.8, SECOND).await);
    assert!(played.effects().is_empty());
    let effects = played.tell(|seat, now, out| seat.delivered(now, &half(End::Tail, 0, 6), out));
    let (request, operation) = asked(&effects);
    assert_eq!(operation, Operation::Measure(QubitPlace::Memory(MemoryId(6)), Basis::Z));
    let revoke = |seat: &mut Seat, now, out: &mut Vec<_>| {
        seat.revoked(now, CIRCUIT, link_pair(6), MemoryId(6), out);
    };
    assert!(played.tell(revoke).is_empty());
    let effects = played.tell(|seat, now, out| seat.operated(now, request, Ok(vec![true]), out));
    assert_eq!(releases(&effects), [6]);
    assert_eq!(played.returned(), Ok(vec![]));
}

#[test]
fn messages_are_kept_in_order_and_are_read_after_the_other_program_has_ended() {
    let mut played = Played::new(End::Tail, async |node: Node| {
        let sent = node.send(PEER, &7).await;
        let first: Result<u8, _> = node.receive(PEER).await;
        node.sleep(SECOND).await;
        let second: Result<u8, _> = node.receive(PEER).await;
        let third: Result<u8, _> = node.receive(PEER).await;
        (sent, first, second, third, node.send(PEER, &8).await)
    });
    let mut effects = played.effects();
    let Some(SeatEffect::Send { to: PEER, bytes, answer }) = effects.pop() else {
        panic!("a message was sent")
    };
    assert_eq!(bytes, b"7");
    answer.fulfil(Ok(()));
    assert!(played.effects().is_empty());
    assert_eq!(played.seat.waits(), [Awaited::Message { from: PEER }]);
    played.seat.message(played.now, PEER, b"1".to_vec());
    played.seat.message(played.now, PEER, b"2".to_vec());
    assert!(played.effects().is_empty());
    assert_eq!(played.seat.waits(), [Awaited::Sleep]);
    assert!(played.tell(|seat, now, out| seat.peer_over(now, PEER, &[], out)).is_empty());
    played.now = played.seat.deadline().expect("who sleeps is woken");
    assert_eq!(played.now, Time::ZERO + SECOND);
    assert!(played.tell(Seat::timeout).is_empty());
    let gone = MessageError::PeerGone(PEER);
    assert_eq!(played.returned(), (Ok(()), Ok(1), Ok(2), Err(gone.clone()), Err(gone)));
}

#[test]
fn calls_that_the_other_program_will_not_make_fail() {
    let mut played = Played::new(End::Head, async |node: Node| {
        let first = node.epr(PEER, 0.8, Duration::MAX).await.map(drop);
        (first, node.epr(PEER, 0.8, Duration::MAX).await.map(drop))
    });
    assert_eq!(played.effects().len(), 1);
    let effects = played.tell(|seat, now, out| seat.peer_over(now, PEER, &[(CIRCUIT, 0)], out));
    assert!(matches!(effects[..], [SeatEffect::Withdraw(CIRCUIT, RequestId(id))] if id == 1 << 63));
    let gone = Err(EprError::PeerGone(PEER));
    assert_eq!(played.returned(), (gone, gone));
    let [first, second, third] = [0, 1, 2].map(|number| CallId { circuit: CIRCUIT, number });
    assert!(played.seat.has_failed(first) && played.seat.has_failed(second));
    assert!(played.seat.has_called(second) && !played.seat.has_called(third));
}

#[test]
fn a_barred_call_counts() {
    let mut played = Played::new(End::Head, async |node: Node| node.epr(PEER, 0.8, SECOND).await.map(drop));
    played.barred = Some(EprError::LinkDown(PEER));
    let (value, effects) = played.poll();
    assert_eq!(value, Some(Err(EprError::LinkDown(PEER))));
    assert!(effects.is_empty());
    assert!(played.seat.has_failed(CallId { circuit: CIRCUIT, number: 0 }));
}

#[test]
fn a_crash_loses_qubits_operations_and_calls_but_not_the_program() {
    let mut played = Played::new(End::Head, async |node: Node| {
        let mut local = node.qubit().await.expect("a memory");
        let mut half = node.epr(PEER, 0.8, SECOND).await.expect("a pair");
        let gate = node.cnot(&mut half, &mut local).await;
        let gate_after = node.x(&mut half).await;
        let call = node.epr(PEER, 0.8, SECOND).await.map(drop);
        (gate, gate_after, call, node.qubit().await.map(drop))
    });
    assert_eq!(played.effects().len(), 2);
    _ = played.tell(|seat, now, out| seat.delivered(now, &half(End::Head, 0, 3), out));
    let (request, _) = asked(&played.effects());
    let effects = played.tell(Seat::crashed);
    assert!(
        matches!(effects[..], [SeatEffect::Processor(ProcessorCommand::Discard { local: 0 })]),
        "its half is gone with the network layer"
    );
    assert!(matches!(played.effects()[..], [SeatEffect::Request(..)]));
    // An answer from before the crash is not heard.
    assert!(played.tell(|seat, now, out| seat.operated(now, request, Ok(vec![]), out)).is_empty());
    assert!(played.tell(Seat::crashed).is_empty());
    let (value, effects) = played.poll();
    let lost = Err(OperationError::Lost);
    assert_eq!(value, Some((lost, lost, Err(EprError::NodeDown), Ok(()))));
    assert!(matches!(
        effects[..],
        [
            SeatEffect::Processor(ProcessorCommand::Zero { local: 0 }),
            SeatEffect::Processor(ProcessorCommand::Discard { local: 0 })
        ]
    ));
}

#[test]
fn the_end_of_a_program_is_told_and_its_early_halves_are_given_back() {
    let mut played = Played::new(End::Tail, async |node: Node| {
        let waited = node.epr(PEER, 0.8, SECOND).await;
        assert!(matches!(waited, Err(EprError::TimedOut { peer: PEER, within: SECOND })));
    });
    assert!(played.effects().is_empty());
    assert!(played.tell(|seat, now, out| seat.delivered(now, &half(End::Tail, 1, 8), out)).is_empty());
    played.now = Time::ZERO + SECOND;
    assert!(played.tell(Seat::timeout).is_empty());
    played.returned();
    let effects = played.tell(Seat::over);
    assert_eq!(releases(&effects), [8]);
    let Some(SeatEffect::Over { calls }) = effects.last() else { panic!("the others are told") };
    assert_eq!(calls[..], [(CIRCUIT, 1)]);
    // What comes later is nobody's.
    let effects = played.tell(|seat, now, out| seat.delivered(now, &half(End::Tail, 0, 7), out));
    assert_eq!(releases(&effects), [7]);
}
