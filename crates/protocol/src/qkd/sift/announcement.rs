//! What the receiver says of a window.

use super::gaps;
use crate::hardware::{Detections, PulseNumber};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::BitString;
use bellwether_units::Time;

/// The clicks of one window as the receiver announces them: everything but the outcomes in the key basis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The first pulse of the window.
    pub first_pulse: PulseNumber,
    /// How many pulses the window spans.
    pub pulse_count: u64,
    /// When the window ended at the receiver.
    pub ended: Time,
    /// How many of the clicks had both detectors fire.
    pub double_clicks: u64,
    /// The pulse of each click, strictly rising, all within the window.
    pub pulses: Vec<PulseNumber>,
    /// The basis of each click: 0 key, 1 check.
    pub bases: BitString,
    /// The outcome of each click in the check basis, in order.
    pub check_outcomes: BitString,
}

impl Announcement {
    /// What to announce of clicks `range` of `detections`, which span the window from `first_pulse` on.
    ///
    /// `None` if the columns differ in length or the window reaches beyond the last pulse number.
    pub fn new(detections: &Detections) -> Option<Self> {
        let clicks = detections.pulses.len();
        if detections.bases.len() != clicks
            || detections.outcomes.len() != clicks
            || detections.first_pulse.checked_add(detections.pulse_count).is_none()
        {
            return None;
        }
        Some(Self {
            first_pulse: detections.first_pulse,
            pulse_count: detections.pulse_count,
            ended: detections.ended,
            double_clicks: detections.double_clicks,
            pulses: detections.pulses.clone(),
            check_outcomes: detections.outcomes.select(&detections.bases),
            bases: detections.bases.clone(),
        })
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
        let pulses = gaps::decode(input.block()?, clicks, first_pulse, end, parameter)?;
        let bases = input.bits(clicks)?;
        let check_outcomes = input.bits(bases.count_ones())?;
        input.finish()?;
        Ok(Self { first_pulse, pulse_count, ended, double_clicks, pulses, bases, check_outcomes })
    }
}
