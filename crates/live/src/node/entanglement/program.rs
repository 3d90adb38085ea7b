//! The seat of the program that is attached to a node.

use super::company::{Company, Post};
use super::task::{News, Task};
use crate::memories::wire::Ask;
use crate::programs::server::Attached;
use crate::random::SystemRandom;
use crate::transport::{Arrived, Channel};
use bellwether_protocol::application::{
    Booth, EprError, Letter, MailMessage, MessageError, OperationError, Port, ProcessorCommand, Seat,
    SeatEffect, Wish,
};
use bellwether_units::{NodeId, Time};
use rand_core::Rng;
use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use tokio::sync::mpsc;

pub(super) struct Program {
    pub(super) seat: Seat,
    wishes: mpsc::Receiver<Wish>,
    effects: VecDeque<SeatEffect>,
}

impl Program {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.seat.deadline()
    }
}

/// The next wish of the program; none when it has ended. While there is none, nothing ever.
pub(super) async fn wish(program: &mut Option<Program>) -> Option<Wish> {
    let Some(Program { seat, wishes, .. }) = program else { return pending().await };
    tokio::select! {
        biased;
        wish = seat.port().next() => Some(wish),
        wish = wishes.recv() => wish,
    }
}

impl Task {
    /// A program has attached.
    pub(super) fn admit(&mut self, attached: Attached, booths: Vec<Booth>, local_qubits: u16) {
        let mut random = SystemRandom::new();
        let (_, port) = Port::open(self.node, Box::new(move || random.next_u64()));
        let peers: BTreeSet<_> = booths.iter().map(|booth| booth.peer).collect();
        let mut seat = Seat::new(port, booths, local_qubits);
        let last = self.company.as_ref().map_or(0, Company::life);
        let mut posts = Vec::new();
        let company = Company::new(self.now(), last, &peers, &mut posts);
        // Requests that wait for the other program bear this session already; its own session comes with it.
        peers.iter().for_each(|peer| seat.meet(*peer, company.session(), 0));
        self.company = Some(company);
        self.program = Some(Program { seat, wishes: attached.wishes, effects: VecDeque::new() });
        self.deliver(posts);
    }
    pub(super) fn tell_seat(&mut self, act: impl FnOnce(&mut Seat, Time, &mut Vec<SeatEffect>)) {
        let now = self.now();
        let Some(program) = &mut self.program else { return };
        let mut out = Vec::new();
        act(&mut program.seat, now, &mut out);
        program.effects.extend(out);
    }
    /// The program wishes something, or has ended.
    pub(super) fn wish(&mut self, wish: Option<Wish>) {
        let down = self.stack.is_none();
        match wish {
            Some(wish) => {
                self.tell_seat(|seat, now, out| {
                    seat.wish(now, wish, |_| down.then_some(EprError::NodeDown), out);
                });
            }
            None => {
                self.tell_seat(Seat::over);
                self.settle();
                self.program = None;
                self.release_all();
            }
        }
    }
    pub(super) fn timeout_program(&mut self) {
        self.tell_seat(|seat, now, out| {
            if seat.deadline().is_some_and(|at| at <= now) {
                seat.timeout(now, out);
            }
        });
        self.on_company(|company, now, out| company.timeout(now, out));
        let now = self.now();
        self.company.take_if(|company| company.is_done(now));
    }

    /// Does the next thing that the program wants; whether there was one.
    pub(super) fn settle_program(&mut self) -> bool {
        let Some(program) = &mut self.program else { return false };
        if let Some(effect) = program.effects.pop_front() {
            self.carry_out_for_seat(effect);
            return true;
        }
        match program.seat.port().take() {
            Some(wish) => {
                self.wish(Some(wish));
                true
            }
            None => false,
        }
    }
    pub(super) fn tell_program(&mut self, news: &News) {
        match news {
            News::Delivered(delivered) => {
                self.tell_seat(|seat, now, out| seat.delivered(now, delivered, out));
            }
            News::Revoked { circuit, pair, memory } => {
                self.tell_seat(|seat, now, out| seat.revoked(now, *circuit, *pair, *memory, out));
            }
        }
    }

    fn carry_out_for_seat(&mut self, effect: SeatEffect) {
        match effect {
            SeatEffect::Request(circuit, request) => {
                let peer =
                    self.setup.circuits.get(circuit.0 as usize).and_then(|it| it.nodes.last()).copied();
                let (Some(peer), Some(company)) = (peer, &mut self.company) else { return };
                if company.may_ask(peer, circuit, request) {
                    // A number is given once, and the desk asks at heads alone.
                    self.on_stack(|stack, now, out| _ = stack.request(now, circuit, request, out));
                }
            }
            SeatEffect::Withdraw(circuit, request) => {
                if let Some(company) = &mut self.company {
                    company.withdraw(circuit, request);
                }
                self.on_stack(|stack, now, out| stack.withdraw(now, circuit, request, out));
            }
            SeatEffect::Release { circuit, pair, memory } => self.release(circuit, pair, memory),
            SeatEffect::Processor(command) if self.devices.is_some() => {
                self.ask_devices(Ask::Processor(command));
            }
            SeatEffect::Processor(ProcessorCommand::Operate { request, .. }) => {
                self.tell_seat(|seat, now, out| seat.operated(now, request, Err(OperationError::Lost), out));
            }
            SeatEffect::Send { to, bytes, answer } => {
                let known = to != self.node && to.index() < self.setup.nodes.len();
                if known {
                    self.on_company(|company, now, out| company.send(now, to, Letter::Message(bytes), out));
                }
                answer.fulfil(if known { Ok(()) } else { Err(MessageError::Unreachable(to)) });
            }
            SeatEffect::Over { calls } => self.on_company(|company, now, out| company.over(now, &calls, out)),
            // What only other drivers know, and without devices there is nothing to put into |0⟩ or to empty.
            SeatEffect::Special(_) | SeatEffect::Processor(_) => {}
        }
    }

    /// The mail of another node said something.
    pub(super) fn hear_letter(&mut self, arrived: &Arrived) {
        let from = arrived.from;
        match MailMessage::decode(&arrived.bytes) {
            // Without a program nobody is at home: the other asks again.
            Ok(message) => self.on_company(|company, now, out| company.hear(now, from, &message, out)),
            Err(error) => tracing::warn!(node = %self.node, %from, %error, "a letter cannot be read"),
        }
    }
    fn on_company(&mut self, act: impl FnOnce(&mut Company, Time, &mut Vec<Post>)) {
        let now = self.now();
        let Some(company) = &mut self.company else { return };
        let mut out = Vec::new();
        act(company, now, &mut out);
        self.deliver(out);
    }
    fn deliver(&mut self, posts: Vec<Post>) {
        for post in posts {
            match post {
                Post::Send(to, message) => {
                    // Whoever is away is written to again.
                    let _ = self.transport.send(to, Channel::Programs, message.encode());
                }
                Post::Message(from, bytes) => self.tell_seat(|seat, now, _| seat.message(now, from, bytes)),
                Post::Met(peer, [own, theirs]) => self.meet(peer, own, theirs),
                Post::Over(peer, calls) => {
                    self.tell_seat(|seat, now, out| seat.peer_over(now, peer, &calls, out));
                }
            }
        }
    }
    fn meet(&mut self, peer: NodeId, own: u32, theirs: u32) {
        self.tell_seat(|seat, _, _| seat.meet(peer, own, theirs));
        let waiting = self.company.as_mut().map(|company| company.take_waiting(peer)).unwrap_or_default();
        for (circuit, request) in waiting {
            self.on_stack(|stack, now, out| _ = stack.request(now, circuit, request, out));
        }
    }
}
