//! Letters between the programs of nodes over a network that may lose, double and reorder what it carries.
//!
//! Each letter is repeated, more and more rarely, until the other end has received it, and comes exactly once and in order
//! as long as both ends live. Every life of an end has a number, greater than those of the lives before it. Letters are from
//! one life to another: an end that has begun anew gets none that was for its former life, and what its former life has said
//! is no longer heard. Ends that do not know each other's life ask for it first.

mod message;

#[cfg(test)]
mod tests;

pub use message::{Letter, MailMessage};

use bellwether_units::{Duration, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};

/// How many letters may be on their way to another node at once.
const WINDOW: u64 = 64;

/// How soon what was not answered is said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailTiming {
    /// At first, and after every answer.
    pub first: Duration,
    /// At last: the time doubles up to this.
    pub longest: Duration,
}

impl Default for MailTiming {
    /// A fifth of a second, and five seconds: above the round trips of the Earth's fibres.
    fn default() -> Self {
        Self { first: Duration::from_milliseconds(200), longest: Duration::from_whole_seconds(5) }
    }
}

/// What the mail of a node wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailEffect {
    /// Tell the mail of another node; it may get lost.
    Send {
        /// Whose.
        to: NodeId,
        /// What.
        message: MailMessage,
    },
    /// A letter has come.
    Deliver {
        /// From whom.
        from: NodeId,
        /// The letter.
        letter: Letter,
    },
    /// Another node, to which this one had spoken, has begun anew. Letters that it had not received are dropped.
    Restarted {
        /// Which.
        peer: NodeId,
    },
}

/// Between this node and one other.
#[derive(Debug)]
struct Way {
    /// The life of the other end, once it is known.
    theirs: Option<u64>,
    /// Letters that the other end has not said to have received.
    letters: VecDeque<Letter>,
    /// The number of the first of these.
    first: u64,
    /// The number of the first that was never sent.
    unsent: u64,
    /// The number of the letter that comes next, and those that came before it.
    expected: u64,
    early: BTreeMap<u64, Letter>,
    /// How long an answer is waited for, and until when if one is.
    patience: Duration,
    due: Option<Time>,
}

impl Way {
    const fn new(patience: Duration) -> Self {
        Self {
            theirs: None,
            letters: VecDeque::new(),
            first: 0,
            unsent: 0,
            expected: 0,
            early: BTreeMap::new(),
            patience,
            due: None,
        }
    }
}

/// The mail of one node.
#[derive(Debug)]
pub struct Mail {
    life: u64,
    timing: MailTiming,
    ways: BTreeMap<NodeId, Way>,
}

impl Mail {
    /// Mail of this life of a node: each must be of a greater number than the lives before it.
    pub const fn new(life: u64, timing: MailTiming) -> Self {
        Self { life, timing, ways: BTreeMap::new() }
    }
    fn way(&mut self, peer: NodeId) -> &mut Way {
        let patience = self.timing.first;
        self.ways.entry(peer).or_insert_with(|| Way::new(patience))
    }

    /// Sends a letter to another node, after all that were sent there before.
    pub fn send(&mut self, now: Time, to: NodeId, letter: Letter, out: &mut Vec<MailEffect>) {
        self.way(to).letters.push_back(letter);
        self.go_on(now, to, out);
    }
    /// The life of another node, if one is known.
    pub fn life_of(&self, peer: NodeId) -> Option<u64> {
        self.ways.get(&peer)?.theirs
    }
    /// How many letters nobody has said to have received.
    pub fn all_waiting(&self) -> usize {
        self.ways.values().map(|way| way.letters.len()).sum()
    }
    /// How many letters another node has not said to have received.
    pub fn waiting(&self, to: NodeId) -> usize {
        self.ways.get(&to).map_or(0, |way| way.letters.len())
    }

    /// Sends what was not sent yet, as far as it may be on its way at once.
    fn go_on(&mut self, now: Time, to: NodeId, out: &mut Vec<MailEffect>) {
        let life = self.life;
        let way = self.way(to);
        if way.letters.is_empty() {
            return;
        }
        if let Some(theirs) = way.theirs {
            let end = (way.first + WINDOW).min(way.first + way.letters.len() as u64);
            let new = core::mem::replace(&mut way.unsent, end)..end;
            way.tell(life, theirs, to, new, out);
        } else if way.due.is_none() {
            out.push(MailEffect::Send { to, message: MailMessage::Greeting { life, to: None } });
        }
        way.due.get_or_insert(now.saturating_add(way.patience));
    }

    /// The mail of another node said something.
    pub fn hear(&mut self, now: Time, from: NodeId, message: &MailMessage, out: &mut Vec<MailEffect>) {
        let (own, patience) = (self.life, self.timing.first);
        let (life, to) = message.lives();
        let way = self.way(from);
        if way.theirs.is_some_and(|known| life < known) || to.is_some_and(|to| to > own) {
            return;
        }
        if way.theirs.is_none_or(|known| life > known) {
            // What was written before the other end was ever heard of is for its first life that is.
            let letters = match way.theirs {
                Some(_) => {
                    out.push(MailEffect::Restarted { peer: from });
                    VecDeque::new()
                }
                None => core::mem::take(&mut way.letters),
            };
            *way = Way { theirs: Some(life), letters, ..Way::new(patience) };
        }
        if to == Some(own) {
            match message {
                MailMessage::Greeting { .. } => {}
                MailMessage::Letter { number, letter, .. } => {
                    way.receive(from, *number, letter, out);
                    let next = way.expected;
                    let message = MailMessage::Received { life: own, to: life, next };
                    out.push(MailEffect::Send { to: from, message });
                }
                MailMessage::Received { next, .. } => way.received(now, *next, patience),
            }
        } else {
            // It does not know this life.
            let message = MailMessage::Greeting { life: own, to: Some(life) };
            out.push(MailEffect::Send { to: from, message });
        }
        self.go_on(now, from, out);
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        self.ways.values().filter_map(|way| way.due).min()
    }
    /// Says again what was not answered.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<MailEffect>) {
        let (life, longest) = (self.life, self.timing.longest);
        for (to, way) in &mut self.ways {
            if way.due.is_none_or(|due| due > now) {
                continue;
            }
            match way.theirs {
                Some(theirs) => way.tell(life, theirs, *to, way.first..way.unsent, out),
                None => {
                    let message = MailMessage::Greeting { life, to: None };
                    out.push(MailEffect::Send { to: *to, message });
                }
            }
            way.patience = way.patience.saturating_mul(2).min(longest);
            way.due = Some(now.saturating_add(way.patience));
        }
    }
}

impl Way {
    /// Sends letters of these numbers.
    fn tell(
        &self,
        life: u64,
        theirs: u64,
        to: NodeId,
        numbers: core::ops::Range<u64>,
        out: &mut Vec<MailEffect>,
    ) {
        let from = (numbers.start - self.first) as usize;
        for (number, letter) in numbers.zip(self.letters.iter().skip(from)) {
            let message = MailMessage::Letter { life, to: theirs, number, letter: letter.clone() };
            out.push(MailEffect::Send { to, message });
        }
    }
    /// A letter has come. What would come too early to be kept will come again.
    fn receive(&mut self, from: NodeId, number: u64, letter: &Letter, out: &mut Vec<MailEffect>) {
        if (self.expected..self.expected.saturating_add(WINDOW)).contains(&number) {
            self.early.entry(number).or_insert_with(|| letter.clone());
        }
        while let Some(letter) = self.early.remove(&self.expected) {
            self.expected += 1;
            out.push(MailEffect::Deliver { from, letter });
        }
    }
    /// The other end has received all letters below a number.
    fn received(&mut self, now: Time, next: u64, patience: Duration) {
        if self.first < next && next <= self.unsent {
            self.letters.drain(..(next - self.first) as usize);
            self.first = next;
            self.patience = patience;
            self.due = (!self.letters.is_empty()).then(|| now.saturating_add(patience));
        }
    }
}
