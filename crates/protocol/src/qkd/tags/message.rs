//! The messages between the ends while they sift, byte by byte.
//!
//! | kind | message | from | fields |
//! |---|---|---|---|
//! | 65 | hello | both | version (1); 1 from the end that matches, 0 from that which tells; rounding in ps; together in ps; window in ps or 0; 1 if there are tags, else 0 |
//! | 66 | go on | matching | before which event the other may tell: the first is 0 |
//! | 67 | events | telling | number of the first; how many, 1 to 16384; of the first twice its time in units of the rounding, plus 1 if its basis is X; of each other twice the units since the one before, plus the same |
//! | 68 | matched | matching | number of the first event that is answered; how many are; how many of them are sifted; for each of those how many events were passed over before it |
//! | 69 | enough | matching | |
//! | 70 | end | telling | clicks; events; double clicks; cross clicks |
//! | 71 | done | matching | clicks; events; double clicks; cross clicks; offset in ps (8 bytes, signed); drift (8 bytes, IEEE 754); jitter in ps (the same); window in ps; coincidences; displaced ones; ambiguous events; unfollowed events; sifted bits of Z; of X |
//! | 72 | at work | matching | |
//! | 73 | no clock | matching | 1: too few times; here; there. 2: no peak; how many were tried; coincidences; those of chance (8 bytes, IEEE 754). 3: not unique; coincidences of the best; of the other; how far apart in ps (8 bytes, the same) |
//! | 74 | stop | either | |
//!
//! Numbers without a size are [counts](crate::qkd::wire). No kind is that of a [message of raw
//! keys](crate::qkd::raw), which follow on the same connection.

use super::click::{Basis, EndCounts};
use super::clock::ClockError;
use super::event::{Relation, TagAccount};
use super::settings::Greeting;
use crate::qkd::wire::{Malformed, Reader, Writer};

/// The version of the messages.
const VERSION: u8 = 1;
/// So many events are told at a time, at most.
pub(super) const MOST_EVENTS: usize = 1 << 14;
/// Times are below so many picoseconds: 53 days.
pub(super) const LATEST: u64 = 1 << 62;

/// The longest frame: the events, each of ten bytes at most.
pub const LONGEST_FRAME: usize = 64 + 10 * MOST_EVENTS;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct TagMessage(pub(super) Kind);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Hello(Greeting),
    GoOn { before: u64 },
    Events { first: u64, events: Vec<Told> },
    Matched { first: u64, events: u64, sifted: Vec<u32> },
    Enough,
    End(EndCounts),
    Done(Box<TagAccount>),
    AtWork,
    NoClock(ClockError),
    Stop,
}

/// What is told of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When, in units of the rounding.
    pub(super) time: u64,
    pub(super) basis: Basis,
}

impl TagMessage {
    /// Whether a frame's first byte is that of a message of these.
    pub(in crate::qkd) fn is_one(frame: &[u8]) -> bool {
        matches!(frame.first(), Some(65..=74))
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// If no honest end writes it.
    pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        if frame.len() > LONGEST_FRAME {
            return Err(Malformed::TooLong);
        }
        let mut from = Reader::new(frame);
        let message = match from.u8()? {
            65 => {
                let version = from.u8()?;
                if version != VERSION {
                    return Err(Malformed::Version(version));
                }
                Kind::Hello(Greeting::decode(&mut from)?)
            }
            66 => Kind::GoOn { before: from.count()? },
            67 => {
                let first = from.count()?;
                let count = from.count_up_to(MOST_EVENTS as u64, "a number of events")? as usize;
                if count == 0 {
                    return Err(Malformed::Value("a number of events"));
                }
                // Each takes a byte at least.
                let mut events = Vec::with_capacity(count.min(from.remaining()));
                let mut time = 0u64;
                for _ in 0..count {
                    let field = from.count()?;
                    time = (field >> 1)
                        .checked_add(time)
                        .filter(|&time| time < LATEST)
                        .ok_or(Malformed::Value("a time"))?;
                    events.push(Told { time, basis: if field & 1 == 1 { Basis::X } else { Basis::Z } });
                }
                Kind::Events { first, events }
            }
            68 => {
                let first = from.count()?;
                let events = from.count_up_to(MOST_EVENTS as u64, "a number of events")?;
                let count = from.count_up_to(events, "a number of sifted events")? as usize;
                let mut sifted = Vec::with_capacity(count.min(from.remaining()));
                let mut next = 0u64;
                for _ in 0..count {
                    let at = from.count_up_to(events, "a sifted event")? + next;
                    if at >= events {
                        return Err(Malformed::Value("a sifted event"));
                    }
                    sifted.push(at as u32);
                    next = at + 1;
                }
                Kind::Matched { first, events, sifted }
            }
            69 => Kind::Enough,
            70 => Kind::End(end_counts(&mut from)?),
            71 => {
                let matching = end_counts(&mut from)?;
                let offset = from.u64()? as i64;
                let (drift, jitter) = (finite(&mut from)?, finite(&mut from)?);
                let relation = Relation { offset, drift, jitter, window: from.count()? };
                Kind::Done(Box::new(TagAccount {
                    telling: EndCounts::default(),
                    matching,
                    relation,
                    coincidences: from.count()?,
                    displaced: from.count()?,
                    ambiguous: from.count()?,
                    unfollowed: from.count()?,
                    sifted: [from.count()?, from.count()?],
                }))
            }
            72 => Kind::AtWork,
            73 => Kind::NoClock(match from.u8()? {
                1 => ClockError::TooFew { here: size(&mut from)?, there: size(&mut from)? },
                2 => ClockError::NoPeak {
                    tried: from.count()?,
                    best: from.count()?,
                    expected: finite(&mut from)?,
                },
                3 => ClockError::Ambiguous {
                    best: from.count()?,
                    second: from.count()?,
                    apart: finite(&mut from)?,
                },
                _ => return Err(Malformed::Value("why there is no clock")),
            }),
            74 => Kind::Stop,
            other => return Err(Malformed::Kind(other)),
        };
        from.finish()?;
        Ok(Self(message))
    }

    /// The frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match &self.0 {
            Kind::Hello(greeting) => {
                to.u8(65);
                to.u8(VERSION);
                greeting.encode(&mut to);
            }
            Kind::GoOn { before } => {
                to.u8(66);
                to.count(*before);
            }
            Kind::Events { first, events } => {
                to = Writer::with_capacity(32 + 4 * events.len());
                to.u8(67);
                to.count(*first);
                to.count(events.len() as u64);
                let mut before = 0;
                for event in events {
                    to.count((event.time - before) << 1 | u64::from(event.basis == Basis::X));
                    before = event.time;
                }
            }
            Kind::Matched { first, events, sifted } => {
                to = Writer::with_capacity(32 + 2 * sifted.len());
                to.u8(68);
                to.count(*first);
                to.count(*events);
                to.count(sifted.len() as u64);
                let mut next = 0;
                for &at in sifted {
                    to.count(u64::from(at - next));
                    next = at + 1;
                }
            }
            Kind::Enough => to.u8(69),
            Kind::End(counts) => {
                to.u8(70);
                write_counts(counts, &mut to);
            }
            Kind::Done(account) => {
                to.u8(71);
                write_counts(&account.matching, &mut to);
                to.u64(account.relation.offset as u64);
                to.u64(account.relation.drift.to_bits());
                to.u64(account.relation.jitter.to_bits());
                let counts = [
                    account.relation.window,
                    account.coincidences,
                    account.displaced,
                    account.ambiguous,
                    account.unfollowed,
                    account.sifted[0],
                    account.sifted[1],
                ];
                counts.into_iter().for_each(|count| to.count(count));
            }
            Kind::AtWork => to.u8(72),
            Kind::NoClock(error) => {
                to.u8(73);
                match *error {
                    ClockError::TooFew { here, there } => {
                        to.u8(1);
                        to.count(here as u64);
                        to.count(there as u64);
                    }
                    ClockError::NoPeak { tried, best, expected } => {
                        to.u8(2);
                        to.count(tried);
                        to.count(best);
                        to.u64(expected.to_bits());
                    }
                    ClockError::Ambiguous { best, second, apart } => {
                        to.u8(3);
                        to.count(best);
                        to.count(second);
                        to.u64(apart.to_bits());
                    }
                }
            }
            Kind::Stop => to.u8(74),
        }
        to.finish()
    }
}

fn end_counts(from: &mut Reader<'_>) -> Result<EndCounts, Malformed> {
    Ok(EndCounts {
        clicks: from.count()?,
        events: from.count()?,
        double_clicks: from.count()?,
        cross_clicks: from.count()?,
    })
}

fn write_counts(counts: &EndCounts, to: &mut Writer) {
    let counts = [counts.clicks, counts.events, counts.double_clicks, counts.cross_clicks];
    counts.into_iter().for_each(|count| to.count(count));
}

fn finite(from: &mut Reader<'_>) -> Result<f64, Malformed> {
    let value = f64::from_bits(from.u64()?);
    if value.is_finite() { Ok(value) } else { Err(Malformed::Value("a figure")) }
}

fn size(from: &mut Reader<'_>) -> Result<usize, Malformed> {
    Ok(from.count_up_to(1 << 40, "a number of times")? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qkd::tags::TagSettings;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = EndCounts { clicks: 1 << 40, events: 7, double_clicks: 3, cross_clicks: 0 };
        let told = |time, basis| Told { time, basis };
        let relation = Relation { offset: -17, drift: 1e-6, jitter: 300.5, window: 2000 };
        let account = TagAccount {
            matching: counts,
            relation,
            coincidences: 1,
            displaced: 2,
            ambiguous: 3,
            unfollowed: 4,
            sifted: [5, 6],
            ..TagAccount::default()
        };
        let all = [
            Kind::Hello(TagSettings::default().greeting(true, false)),
            Kind::GoOn { before: 12_345_678 },
            Kind::Events {
                first: 5,
                events: vec![told(7, Basis::X), told(7, Basis::Z), told(LATEST - 1, Basis::X)],
            },
            Kind::Matched { first: 300, events: 9, sifted: vec![0, 1, 8] },
            Kind::Matched { first: 300, events: 9, sifted: vec![] },
            Kind::Enough,
            Kind::End(counts),
            Kind::Done(Box::new(account)),
            Kind::AtWork,
            Kind::NoClock(ClockError::TooFew { here: 3, there: 4 }),
            Kind::NoClock(ClockError::NoPeak { tried: 9, best: 8, expected: 7.5 }),
            Kind::NoClock(ClockError::Ambiguous { best: 9, second: 8, apart: 1e6 }),
            Kind::Stop,
        ];
        for kind in all {
            let frame = TagMessage(kind.clone()).encode();
            assert_eq!(TagMessage::decode(&frame), Ok(TagMessage(kind)));
            for cut in 0..frame.len() {
                assert!(TagMessage::decode(&frame[..cut]).is_err());
            }
            assert!(TagMessage::decode(&[&frame[..], &[0]].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_written_alike(
            kind in 64u8..76,
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let frame = [&[kind], &bytes[..]].concat();
            if let Ok(message) = TagMessage::decode(&frame) {
                prop_assert_eq!(message.encode(), frame);
            }
        }
    }
}
