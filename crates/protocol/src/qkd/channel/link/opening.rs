//! How a session is opened and accepted.

use super::{Channel, Delivery, Effects, Phase, Traffic};
use crate::qkd::alarm::{Alarm, AlarmKind, Reading};
use crate::qkd::authenticate::AuthenticationError;
use crate::qkd::channel::frame::{Frame, Kind, Seal, covered_header};
use crate::qkd::channel::handshake::Hello;
use bellwether_units::Time;

impl Channel {
    /// The frame that opens or accepts the session, or `None` if no pad is left for it.
    pub(super) fn hello(&mut self, now: Time, effects: &mut Effects) -> Option<Vec<u8>> {
        let hello = Hello { settings: self.digest, next_block: self.next_block, pads_end: self.ledger.end() };
        let payload = hello.encode();
        let kind = if self.is_transmitter() { Kind::Open } else { Kind::Accept };
        let seal = self.ledger.next_pad().and_then(|pad| {
            let mut transcript = self.ledger.sending_transcript();
            transcript.absorb(&covered_header(kind, self.session, 0, payload.len(), pad));
            transcript.absorb(&payload);
            self.ledger.seal(&transcript)
        });
        let Ok(seal) = seal.map(Seal::from) else {
            self.exhaust(now, effects);
            return None;
        };
        self.pads_used += 1;
        self.check_stock(now, effects);
        let frame = match kind {
            Kind::Open => Frame::Open { session: self.session, payload: &payload, seal },
            _ => Frame::Accept { session: self.session, payload: &payload, seal },
        };
        Some(frame.encode())
    }

    /// Receiver: a session is offered.
    pub(super) fn open(
        &mut self,
        now: Time,
        session: u64,
        payload: &[u8],
        seal: Seal,
        effects: &mut Effects,
    ) {
        if session == self.session
            && let Phase::Up { accept: Some(accept) } = &self.phase
        {
            effects.frames.push(accept.clone());
            return;
        }
        if session <= self.session || matches!(self.phase, Phase::Idle | Phase::Stopped) {
            return;
        }
        let Some(hello) = self.verified_hello(now, Kind::Open, session, payload, seal, effects) else {
            return;
        };
        self.heard();
        self.end(false);
        self.phase = Phase::Seeking { due: now, timeout: self.settings.timing.retransmit_after };
        if !self.agree(now, &hello, effects) {
            return;
        }
        self.session = session;
        self.next_block = self.next_block.max(hello.next_block);
        self.traffic = Traffic::new(&self.settings, &self.ledger);
        self.phase = Phase::Storing { record: self.persist(effects) };
    }

    /// Transmitter: the session is accepted.
    pub(super) fn accepted(
        &mut self,
        now: Time,
        session: u64,
        payload: &[u8],
        seal: Seal,
        effects: &mut Effects,
    ) {
        if !matches!(self.phase, Phase::Opening { .. }) {
            return;
        }
        let Some(hello) = self.verified_hello(now, Kind::Accept, session, payload, seal, effects) else {
            return;
        };
        self.heard();
        if !self.agree(now, &hello, effects) {
            self.fail(now, false);
            return;
        }
        self.next_block = self.next_block.max(hello.next_block);
        self.traffic = Traffic::new(&self.settings, &self.ledger);
        self.phase = Phase::Up { accept: None };
        self.news.push_back(Delivery::Opened { session, first_block: self.next_block });
    }

    fn verified_hello(
        &mut self,
        now: Time,
        kind: Kind,
        session: u64,
        payload: &[u8],
        seal: Seal,
        effects: &mut Effects,
    ) -> Option<Hello> {
        let mut transcript = self.ledger.receiving_transcript();
        transcript.absorb(&covered_header(kind, session, 0, payload.len(), seal.pad));
        transcript.absorb(payload);
        match self.ledger.verify(&transcript, seal.into()) {
            Ok(()) => {
                self.pads_used += 1;
                Hello::decode(payload).ok()
            }
            // The same frame again, or one that was overtaken: nothing is wrong.
            Err(AuthenticationError::SpentPad { .. }) => None,
            Err(_) => {
                self.forged(now, 1, effects);
                None
            }
        }
    }

    /// Whether the ends can work together; brings the pads in line.
    fn agree(&mut self, now: Time, hello: &Hello, effects: &mut Effects) -> bool {
        let (seen, expected) = if hello.settings != self.digest {
            ("settings other than this end's", "the same settings")
        } else if self.ledger.truncate(hello.pads_end).is_err() {
            ("an end that has lost the pads that both had", "an end that remembers them")
        } else {
            return true;
        };
        let (seen, expected) = (Reading::Text(seen.to_owned()), Reading::Text(expected.to_owned()));
        effects.alarms.push(Alarm::new(AlarmKind::MalformedMessage, None, now, seen, expected));
        false
    }
}
