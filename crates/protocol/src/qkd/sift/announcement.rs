//! What the receiver says of a window.

use super::gaps;
use crate::hardware::{Detections, PulseNumber};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::BitString;
use bellwether_units::Time;
use core::ops::Range;
use std::borrow::Cow;

/// The clicks of one window as the receiver announces them: everything but the outcomes in the key basis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// The first pulse of the window.
    pub first_pulse: PulseNumber,
    /// How many pulses the window spans.
    pub pulse_count: u64,
    /// When the window ended at the receiver.
    pub ended: Time,
    /// How many of the clicks had both detectors fire.
    pub double_clicks: u64,
    /// The pulse of each click, strictly rising, all within the window.
    pub pulses: Cow<'a, [PulseNumber]>,
    /// The basis of each click: 0 key, 1 check.
    pub bases: BitString,
    /// The outcome of each click in the check basis, in order.
    pub check_outcomes: BitString,
}

impl<'a> Announcement<'a> {
    /// What to announce of a window, in pieces of at most `limit` clicks, each with the range of its clicks.
    ///
    /// `None` if the columns differ in length or the window reaches beyond the last pulse number.
    pub fn pieces(detections: &'a Detections, limit: usize) -> Option<Vec<(Range<usize>, Self)>> {
        let clicks = detections.pulses.len();
        let end = detections.first_pulse.checked_add(detections.pulse_count)?;
        if detections.bases.len() != clicks || detections.outcomes.len() != clicks || limit == 0 {
            return None;
        }
        let mut pieces = Vec::new();
        let (mut first_pulse, mut double_clicks, mut from) =
            (detections.first_pulse, detections.double_clicks, 0);
        while pieces.is_empty() || from < clicks {
            let to = clicks.min(from.saturating_add(limit));
            // A piece ends before the first click of the next, the last one with the window.
            let last = if to == clicks { end } else { detections.pulses[to] };
            let bases = detections.bases.slice(from..to);
            let double = double_clicks.min((to - from) as u64);
            double_clicks -= double;
            pieces.push((
                from..to,
                Self {
                    first_pulse,
                    pulse_count: last.checked_sub(first_pulse)?,
                    ended: detections.ended,
                    double_clicks: double,
                    pulses: Cow::Borrowed(&detections.pulses[from..to]),
                    check_outcomes: detections.outcomes.slice(from..to).select(&bases),
                    bases,
                },
            ));
            (from, first_pulse) = (to, last);
        }
        Some(pieces)
    }

    /// The bytes to send; `None` if the pulses do not rise strictly within the window.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let end = self.first_pulse.checked_add(self.pulse_count)?;
        let parameter = gaps::parameter(self.pulse_count, self.pulses.len());
        let coded = gaps::encode(&self.pulses, self.first_pulse, end, parameter)?;
        let mut out = Writer::with_capacity(coded.len() + self.pulses.len() / 4 + 64);
        out.u64(self.first_pulse);
        out.count(self.pulse_count);
        out.u64(self.ended.picoseconds());
        out.count(self.double_clicks);
        out.count(self.pulses.len() as u64);
        out.u8(parameter as u8);
        out.block(&coded);
        out.bits(&self.bases);
        out.bits(&self.check_outcomes);
        Some(out.finish())
    }

    /// Reads what [`encode`](Self::encode) wrote, with at most `limit` clicks.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let first_pulse = input.u64()?;
        let pulse_count = input.count()?;
        let end = first_pulse.checked_add(pulse_count).ok_or(Malformed::Value("the span of a window"))?;
        let ended = Time::from_picoseconds(input.u64()?);
        let double_clicks = input.count()?;
        let clicks = input.count_up_to(limit as u64, "the number of clicks in a window")? as usize;
        if double_clicks > clicks as u64 {
            return Err(Malformed::Value("the number of double clicks"));
        }
        let parameter = u32::from(input.u8()?);
        let pulses = Cow::Owned(gaps::decode(input.block()?, clicks, first_pulse, end, parameter)?);
        let bases = input.bits(clicks)?;
        let check_outcomes = input.bits(bases.count_ones())?;
        input.finish()?;
        Ok(Self { first_pulse, pulse_count, ended, double_clicks, pulses, bases, check_outcomes })
    }
}
