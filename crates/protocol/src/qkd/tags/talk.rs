//! What both ends do alike: greeting, sending, and the end.

use super::event::{TagEvent, TagFailure, TagJob};
use super::message::{Kind, TagMessage};
use super::settings::{Greeting, TagSettings};
use crate::machine::Output;
use crate::qkd::raw::Seals;
use crate::qkd::session::OtherEnd;
use core::convert::Infallible;

/// Where effects are put. Nothing is made durable: what is said while sifting can be said again.
pub(super) type Out = Vec<Output<OtherEnd, TagEvent, Infallible, TagJob>>;

/// The connection with the other end.
pub(super) struct Talk {
    greeting: Greeting,
    /// Until they are handed on.
    seals: Option<Seals>,
    pub(super) agreed: bool,
    pub(super) over: bool,
}

impl Talk {
    pub(super) fn new(settings: &TagSettings, matches: bool, seals: Seals) -> Self {
        let greeting = settings.greeting(matches, seals.are_wanted());
        Self { greeting, seals: Some(seals), agreed: false, over: false }
    }

    pub(super) fn connect(&mut self, out: &mut Out) {
        self.send(Kind::Hello(self.greeting), out);
    }

    pub(super) fn send(&mut self, message: Kind, out: &mut Out) {
        let bytes = TagMessage(message).encode();
        if let Some(seals) = &mut self.seals {
            seals.sending(&bytes);
        }
        out.push(Output::Send { to: OtherEnd, bytes });
    }

    /// Reads a frame; a greeting is dealt with here.
    pub(super) fn receive(&mut self, frame: &[u8], out: &mut Out) -> Result<Option<Kind>, TagFailure> {
        if !self.agreed && frame.first() == Some(&1) {
            return Err(TagFailure::Misbehaved("it has a raw key, and this end a record of time tags"));
        }
        let TagMessage(message) = TagMessage::decode(frame)?;
        if let Some(seals) = &mut self.seals {
            seals.receiving(frame);
        }
        match message {
            Kind::Hello(_) if self.agreed => Err(TagFailure::Misbehaved("a second greeting")),
            Kind::Hello(there) => {
                if there.matches == self.greeting.matches {
                    return Err(TagFailure::Misbehaved("both ends are --alice, or both --bob"));
                }
                self.greeting.agrees(&there)?;
                self.agreed = true;
                out.push(Output::Event(TagEvent::Agreed));
                Ok(None)
            }
            Kind::Stop => Err(TagFailure::Stopped("the other")),
            _ if !self.agreed => Err(TagFailure::Misbehaved("a message before the greeting")),
            other => Ok(Some(other)),
        }
    }

    pub(super) fn stop(&mut self, out: &mut Out) {
        self.send(Kind::Stop, out);
        self.fail(TagFailure::Stopped("this"), out);
    }

    pub(super) fn fail(&mut self, failure: TagFailure, out: &mut Out) {
        self.over = true;
        out.push(Output::Event(TagEvent::Failed(failure)));
    }

    /// Hands on what the tags to come must cover.
    pub(super) fn finish(&mut self) -> Option<Seals> {
        self.over = true;
        self.seals.take()
    }
}
