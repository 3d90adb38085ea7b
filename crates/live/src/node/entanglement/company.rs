//! The company of a node's program: the programs of other nodes, and which of them it has met.
//!
//! Programs are started by hand, one after the other. So a call for pairs waits until the other program has said that it is
//! there, and knows of this one: both then tell the requests of this run of theirs from those of runs before.

use crate::wall_clock;
use bellwether_protocol::application::{Letter, Mail, MailEffect, MailMessage, MailTiming};
use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::network::{PairRequest, RequestId};
use bellwether_units::{Duration, NodeId, Time};
use std::collections::BTreeSet;

/// How long letters of a program that has ended are carried on.
const LAST_LETTERS: Duration = Duration::from_whole_seconds(30);

/// What comes of a frame, or of a timeout.
pub(super) enum Post {
    /// To another node; it may get lost.
    Send(NodeId, MailMessage),
    /// A message for the program.
    Message(NodeId, Vec<u8>),
    /// The program of another node is there, and calls with it are in these sessions, of this end and of the other.
    Met(NodeId, [u32; 2]),
    /// The program of another node has ended, after so many calls.
    Over(NodeId, Vec<(CircuitId, u64)>),
}

/// A request that waits until the program at the other end is there.
struct Waiting {
    peer: NodeId,
    circuit: CircuitId,
    request: PairRequest,
}

/// The mail of one program.
pub(super) struct Company {
    life: u64,
    mail: Mail,
    /// The nodes to which this program says that it is there.
    greeted: BTreeSet<NodeId>,
    contacts: BTreeSet<NodeId>,
    met: BTreeSet<NodeId>,
    waiting: Vec<Waiting>,
    /// Messages for programs that are greeted and were not met yet: those of former runs are not to have them.
    held: Vec<(NodeId, Letter)>,
    /// Until when letters are carried on, once the program has ended.
    until: Option<Time>,
}

impl Company {
    /// Of a program after that of the life `last`, which says to these others that it is there.
    pub(super) fn new(now: Time, last: u64, peers: &BTreeSet<NodeId>, out: &mut Vec<Post>) -> Self {
        let life = wall_clock::milliseconds().max(last + 1);
        let mut company = Self {
            life,
            mail: Mail::new(life, MailTiming::default()),
            greeted: peers.clone(),
            contacts: BTreeSet::new(),
            met: BTreeSet::new(),
            waiting: Vec::new(),
            held: Vec::new(),
            until: None,
        };
        for peer in peers {
            company.send(now, *peer, Letter::Here, out);
        }
        company
    }
    /// Which life it is.
    pub(super) const fn life(&self) -> u64 {
        self.life
    }
    /// In which session this program's calls are made.
    pub(super) const fn session(&self) -> u32 {
        self.life as u32
    }

    pub(super) fn send(&mut self, now: Time, to: NodeId, letter: Letter, out: &mut Vec<Post>) {
        self.contacts.insert(to);
        let is_message = matches!(letter, Letter::Message(_));
        if is_message && self.greeted.contains(&to) && !self.met.contains(&to) {
            return self.held.push((to, letter));
        }
        self.on_mail(now, out, |mail, effects| mail.send(now, to, letter, effects));
    }
    pub(super) fn hear(&mut self, now: Time, from: NodeId, message: &MailMessage, out: &mut Vec<Post>) {
        // Who comes after a program that has ended is for the program that comes after this one.
        let (MailMessage::Greeting { life, .. }
        | MailMessage::Letter { life, .. }
        | MailMessage::Received { life, .. }) = message;
        if self.until.is_some() && self.mail.life_of(from).is_some_and(|known| known != *life) {
            return;
        }
        self.contacts.insert(from);
        self.on_mail(now, out, |mail, effects| mail.hear(now, from, message, effects));
    }
    pub(super) fn timeout(&mut self, now: Time, out: &mut Vec<Post>) {
        if self.mail.deadline().is_some_and(|at| at <= now) {
            self.on_mail(now, out, |mail, effects| mail.timeout(now, effects));
        }
    }
    pub(super) fn deadline(&self) -> Option<Time> {
        self.mail.deadline().into_iter().chain(self.until).min()
    }
    fn on_mail(&mut self, now: Time, out: &mut Vec<Post>, act: impl FnOnce(&mut Mail, &mut Vec<MailEffect>)) {
        let mut effects = Vec::new();
        act(&mut self.mail, &mut effects);
        for effect in effects {
            match effect {
                MailEffect::Send { to, message } => out.push(Post::Send(to, message)),
                MailEffect::Deliver { from, letter } => match letter {
                    Letter::Message(bytes) => out.push(Post::Message(from, bytes)),
                    Letter::Over { calls } => out.push(Post::Over(from, calls)),
                    Letter::Here => {
                        self.met.insert(from);
                        let theirs = self.mail.life_of(from).unwrap_or_default();
                        out.push(Post::Met(from, [self.session(), theirs as u32]));
                        let held = core::mem::take(&mut self.held);
                        held.into_iter().for_each(|(to, letter)| self.send(now, to, letter, out));
                    }
                },
                MailEffect::Restarted { peer }
                    if self.greeted.contains(&peer) && !self.met.contains(&peer) =>
                {
                    // What was heard before was of a program that had ended: nobody has been greeted yet.
                    self.send(now, peer, Letter::Here, out);
                }
                MailEffect::Restarted { peer } => {
                    // It met another program than that which is there now, which is told that this one does not serve it.
                    self.met.remove(&peer);
                    out.push(Post::Over(peer, Vec::new()));
                    self.send(now, peer, Letter::Over { calls: Vec::new() }, out);
                }
            }
        }
    }

    /// Whether a request can be made at once; otherwise it waits until the other program is there.
    pub(super) fn may_ask(&mut self, peer: NodeId, circuit: CircuitId, request: PairRequest) -> bool {
        let met = self.met.contains(&peer);
        if !met {
            self.waiting.push(Waiting { peer, circuit, request });
        }
        met
    }
    /// A request that waited need not be made.
    pub(super) fn withdraw(&mut self, circuit: CircuitId, request: RequestId) {
        self.waiting.retain(|waiting| (waiting.circuit, waiting.request.id) != (circuit, request));
    }
    /// The requests that waited for another program.
    pub(super) fn take_waiting(&mut self, peer: NodeId) -> Vec<(CircuitId, PairRequest)> {
        let (ready, waiting) = core::mem::take(&mut self.waiting).into_iter().partition(|w| w.peer == peer);
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        ready.into_iter().map(|waiting| (waiting.circuit, waiting.request)).collect()
    }

    /// The program has ended, after so many calls: whoever it had to do with is told.
    pub(super) fn over(&mut self, now: Time, calls: &[(CircuitId, u64)], out: &mut Vec<Post>) {
        self.until = Some(now.saturating_add(LAST_LETTERS));
        self.waiting.clear();
        // Whoever comes next may have them, as far as they are carried on.
        for (to, letter) in core::mem::take(&mut self.held) {
            self.on_mail(now, out, |mail, effects| mail.send(now, to, letter, effects));
        }
        for peer in self.contacts.clone() {
            self.send(now, peer, Letter::Over { calls: calls.to_vec() }, out);
        }
    }
    /// Whether there is nothing more to carry.
    pub(super) fn is_done(&self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now || self.mail.all_waiting() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: NodeId = NodeId(0);
    const BOB: NodeId = NodeId(1);

    /// Two nodes, and what their programs are told.
    struct Two {
        now: Time,
        companies: [Option<Company>; 2],
        told: [Vec<String>; 2],
    }

    impl Two {
        fn new() -> Self {
            Self { now: Time::ZERO, companies: [None, None], told: Default::default() }
        }
        /// A program attaches to a node.
        fn attach(&mut self, node: NodeId) -> Vec<Post> {
            let last = self.companies[node.index()].as_ref().map_or(0, Company::life);
            let mut out = Vec::new();
            let peer = if node == ALICE { BOB } else { ALICE };
            self.companies[node.index()] = Some(Company::new(self.now, last, &[peer].into(), &mut out));
            self.told[node.index()].clear();
            out
        }
        fn act(&mut self, node: NodeId, act: impl FnOnce(&mut Company, Time, &mut Vec<Post>)) -> Vec<Post> {
            let mut out = Vec::new();
            act(self.companies[node.index()].as_mut().unwrap(), self.now, &mut out);
            out
        }
        /// Carries posts of a node, and what comes of them, to the end.
        fn carry(&mut self, node: NodeId, posts: Vec<Post>) {
            for post in posts {
                let told = match post {
                    Post::Send(to, message) => {
                        let now = self.now;
                        if let Some(company) = &mut self.companies[to.index()] {
                            let mut out = Vec::new();
                            company.hear(now, node, &message, &mut out);
                            self.carry(to, out);
                        }
                        continue;
                    }
                    Post::Message(_, bytes) => String::from_utf8(bytes).unwrap(),
                    Post::Met(..) => "met".to_owned(),
                    Post::Over(..) => "over".to_owned(),
                };
                self.told[node.index()].push(told);
            }
        }
        /// So many seconds pass.
        fn pass(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.now = self.now.saturating_add(Duration::from_whole_seconds(1));
                for node in [ALICE, BOB] {
                    if self.companies[node.index()].is_some() {
                        let posts = self.act(node, Company::timeout);
                        self.carry(node, posts);
                    }
                }
            }
        }
    }

    #[test]
    fn programs_that_are_run_again_meet_each_other_and_none_that_has_ended() {
        for bob_hears in [true, false] {
            let mut two = Two::new();
            for node in [ALICE, BOB] {
                let posts = two.attach(node);
                two.carry(node, posts);
            }
            two.pass(2);
            assert_eq!(two.told, [["met"], ["met"]]);
            // Both end; what Bob's says last may not arrive, so that it is said again.
            let posts = two.act(ALICE, |company, now, out| company.over(now, &[], out));
            two.carry(ALICE, posts);
            let posts = two.act(BOB, |company, now, out| company.over(now, &[], out));
            if bob_hears {
                two.carry(BOB, posts);
            }
            // Alice's is run again at once, and says something before anybody is there.
            let posts = two.attach(ALICE);
            two.carry(ALICE, posts);
            let hello = Letter::Message(b"hello".to_vec());
            let posts = two.act(ALICE, |company, now, out| company.send(now, BOB, hello, out));
            two.carry(ALICE, posts);
            two.pass(3);
            assert_eq!(two.told[0], [""; 0], "nobody is there yet");
            let posts = two.attach(BOB);
            two.carry(BOB, posts);
            two.pass(5);
            assert_eq!(two.told, [vec!["met"], vec!["met", "hello"]]);
        }
    }

    #[test]
    fn what_a_program_said_before_it_ended_is_there_for_who_comes_later() {
        let mut two = Two::new();
        let posts = two.attach(ALICE);
        two.carry(ALICE, posts);
        let hello = Letter::Message(b"hello".to_vec());
        let posts = two.act(ALICE, |company, now, out| company.send(now, BOB, hello, out));
        two.carry(ALICE, posts);
        let posts = two.act(ALICE, |company, now, out| company.over(now, &[], out));
        two.carry(ALICE, posts);
        two.pass(2);
        let posts = two.attach(BOB);
        two.carry(BOB, posts);
        two.pass(5);
        assert_eq!(two.told[1], ["met", "hello", "over"]);
    }
}
