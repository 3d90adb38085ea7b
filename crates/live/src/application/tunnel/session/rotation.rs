//! The change of keys: the initiator fetches and names the next, the responder collects it, and then each end
//! switches at a record of its own, after which the old key is wiped.

use super::{
    HAVE_KEY, LOST_KEY, NEW_KEY, Output, PAUSE, Phase, Role, Rotation, SWITCH, Session, SessionError,
    Welcome, directions, key_id,
};
use bellwether_protocol::keys::KeyId;
use bellwether_units::Time;

impl Session {
    pub(super) fn rotate_when_due(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.role != Role::Initiator || !matches!(self.phase, Phase::Open) {
            return;
        }
        let due = match self.rotation {
            Rotation::Idle => {
                now >= self.half_life() || self.sent.max(self.received) >= self.limits.volume / 2
            }
            Rotation::Paused(until) => now >= until,
            _ => false,
        };
        if due {
            self.rotation = Rotation::Wanted(None);
            out.push(Output::WantFresh);
        }
    }

    pub(super) fn key(&mut self, id: KeyId, key: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        if matches!(&self.phase, Phase::HelloKey(hello) if hello.key == id) {
            let Phase::HelloKey(hello) = std::mem::replace(&mut self.phase, Phase::Open) else {
                return Err(SessionError::NoKey);
            };
            let welcome = Welcome { random: self.random, life: self.limits.life, volume: self.limits.volume };
            out.push(Output::Send(welcome.encode()));
            return self.begin(&hello, &welcome, key, out);
        }
        let Rotation::Wanted(named) = self.rotation else { return Ok(()) };
        let line = self.line.as_ref().ok_or(SessionError::NoKey)?;
        if named.is_some_and(|named| named != id) {
            return Ok(());
        }
        self.rotation = Rotation::Offered(id, line.chain.next(id, key));
        let kind = if self.role == Role::Initiator { NEW_KEY } else { HAVE_KEY };
        self.seal(kind, &id.0.to_be_bytes(), out)
    }

    pub(super) fn no_key(&mut self, now: Time, out: &mut Vec<Output>) -> Result<(), SessionError> {
        match (&self.phase, &self.rotation) {
            (Phase::HelloKey(_), _) => Err(SessionError::NoKey),
            (Phase::Open, Rotation::Wanted(None)) => {
                self.rotation = Rotation::Paused(now.saturating_add(PAUSE));
                Ok(())
            }
            (Phase::Open, Rotation::Wanted(Some(id))) => {
                let id = id.0.to_be_bytes();
                self.rotation = Rotation::Idle;
                self.seal(LOST_KEY, &id, out)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn new_key(&mut self, data: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        let (Some(id), Rotation::Idle) = (key_id(data), &self.rotation) else {
            return Err(SessionError::Rules("a key out of its turn"));
        };
        self.rotation = Rotation::Wanted(Some(id));
        out.push(Output::WantNamed(id));
        Ok(())
    }

    pub(super) fn have_key(&mut self, data: &[u8], out: &mut Vec<Output>) -> Result<(), SessionError> {
        let Rotation::Offered(id, next) = std::mem::replace(&mut self.rotation, Rotation::Idle) else {
            return Err(SessionError::Rules("it has a key that was not named"));
        };
        if key_id(data) != Some(id) {
            return Err(SessionError::Rules("it has a key that was not named"));
        }
        self.seal(SWITCH, &[], out)?;
        if let Some(line) = &mut self.line {
            line.send = next.direction(Role::Initiator);
        }
        self.sent = 0;
        self.rotation = Rotation::Switched(id, next);
        Ok(())
    }

    pub(super) fn lost_key(&mut self, now: Time, data: &[u8]) -> Result<(), SessionError> {
        match &self.rotation {
            Rotation::Offered(id, _) if key_id(data) == Some(*id) => {
                self.rotation = Rotation::Paused(now.saturating_add(PAUSE));
                Ok(())
            }
            _ => Err(SessionError::Rules("it lost a key that was not named")),
        }
    }

    /// The other end's last record under the old key has come.
    pub(super) fn switch(&mut self, now: Time, out: &mut Vec<Output>) -> Result<(), SessionError> {
        let (id, next) = match (std::mem::replace(&mut self.rotation, Rotation::Idle), self.role) {
            (Rotation::Switched(id, next), Role::Initiator) => (id, next),
            (Rotation::Offered(id, next), Role::Responder) => {
                self.seal(SWITCH, &[], out)?;
                self.sent = 0;
                (id, next)
            }
            _ => return Err(SessionError::Rules("a change of keys out of its turn")),
        };
        if let Some(line) = &mut self.line {
            // The initiator sends under the new key already.
            let (send, receive) = directions(&next, self.role);
            line.receive = receive;
            if self.role == Role::Responder {
                line.send = send;
            }
            line.chain = next;
        }
        (self.received, self.begun) = (0, now);
        out.push(Output::Rotated(id));
        Ok(())
    }
}
