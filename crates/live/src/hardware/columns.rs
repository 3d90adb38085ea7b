//! Detections and preparations as bytes: shared by the frames of a physical layer and by detection files.
//!
//! Fields are those of [`bellwether_protocol::qkd::wire`]: little-endian integers, counts of variable length.

use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::{Current, Time};

/// The most pulses in one list: more than a window of any described link has clicks.
pub(crate) const MOST_PULSES: u64 = 1 << 20;

/// Room for `pulses` pulses and what belongs to them, so that a secret is not copied while the bytes grow.
pub(crate) fn room(pulses: usize) -> usize {
    128 + 12 * pulses
}

/// Pulses that rise strictly from `first` on: how many, then for each how many were left out before it.
pub(crate) fn put_pulses(out: &mut Writer, first: PulseNumber, pulses: &[PulseNumber]) {
    out.count(pulses.len() as u64);
    let mut next = first;
    for &pulse in pulses {
        out.count(pulse - next);
        next = pulse + 1;
    }
}

/// What [`put_pulses`] wrote; all pulses lie before `end`.
pub(crate) fn take_pulses(
    input: &mut Reader<'_>,
    first: PulseNumber,
    end: PulseNumber,
) -> Result<Vec<PulseNumber>, Malformed> {
    let len = input.count_up_to(MOST_PULSES, "the number of pulses")? as usize;
    // Each takes a byte at least, so no more is allocated than eight times what was given.
    if len > input.remaining() {
        return Err(Malformed::Truncated);
    }
    let mut pulses = Vec::with_capacity(len);
    let mut next = first;
    for _ in 0..len {
        let pulse = next.checked_add(input.count()?).filter(|&pulse| pulse < end);
        let pulse = pulse.ok_or(Malformed::Value("a pulse beyond the window"))?;
        pulses.push(pulse);
        next = pulse + 1;
    }
    Ok(pulses)
}

/// Whether a detection record can be written: what a receiver's hardware must keep to.
pub(crate) fn is_sound(detections: &Detections) -> bool {
    let Detections { first_pulse, pulse_count, pulses, bases, outcomes, double_clicks, .. } = detections;
    let Some(end) = first_pulse.checked_add(*pulse_count) else { return false };
    pulses.len() as u64 <= MOST_PULSES
        && pulses.windows(2).all(|pair| pair[0] < pair[1])
        && pulses.first().is_none_or(|first| first >= first_pulse)
        && pulses.last().is_none_or(|last| *last < end)
        && bases.len() == pulses.len()
        && outcomes.len() == pulses.len()
        && *double_clicks <= pulses.len() as u64
}

/// One window of clicks, which [`is_sound`].
pub(crate) fn put_detections(out: &mut Writer, detections: &Detections) {
    out.u64(detections.first_pulse);
    out.u64(detections.pulse_count);
    out.u64(detections.ended.picoseconds());
    put_pulses(out, detections.first_pulse, &detections.pulses);
    out.bits(&detections.bases);
    out.bits(&detections.outcomes);
    out.count(detections.double_clicks);
    match detections.bias_current {
        None => out.u8(0),
        Some(current) => {
            out.u8(1);
            out.u64(current.amperes().to_bits());
        }
    }
}

/// What [`put_detections`] wrote.
pub(crate) fn take_detections(input: &mut Reader<'_>) -> Result<Detections, Malformed> {
    let (first_pulse, pulse_count) = (input.u64()?, input.u64()?);
    let ended = Time::from_picoseconds(input.u64()?);
    let end = first_pulse.checked_add(pulse_count).ok_or(Malformed::Value("the window's length"))?;
    let pulses = take_pulses(input, first_pulse, end)?;
    let (bases, outcomes) = (input.bits(pulses.len())?, input.bits(pulses.len())?);
    let double_clicks = input.count_up_to(pulses.len() as u64, "the number of double clicks")?;
    let bias_current = match input.u8()? {
        0 => None,
        1 => Some(Current::from_amperes(take_number(input)?)),
        _ => return Err(Malformed::Value("the mark of a bias current")),
    };
    Ok(Detections { first_pulse, pulse_count, ended, pulses, bases, outcomes, double_clicks, bias_current })
}

/// Whether preparations belong together: one basis, bit and intensity a pulse.
pub(crate) fn agree(preparations: &Preparations) -> bool {
    let Preparations { bases, bits, intensities } = preparations;
    bases.len() == intensities.len() && bits.len() == intensities.len()
}

/// Preparations, which [`agree`].
pub(crate) fn put_preparations(out: &mut Writer, preparations: &Preparations) {
    out.block(&preparations.intensities);
    out.bits(&preparations.bases);
    out.bits(&preparations.bits);
}

/// What [`put_preparations`] wrote.
pub(crate) fn take_preparations(input: &mut Reader<'_>) -> Result<Preparations, Malformed> {
    let intensities = input.block()?.to_vec();
    if intensities.len() as u64 > MOST_PULSES {
        return Err(Malformed::Value("the number of pulses"));
    }
    let (bases, bits) = (input.bits(intensities.len())?, input.bits(intensities.len())?);
    Ok(Preparations { bases, bits, intensities })
}

/// A finite number that is not negative.
pub(crate) fn take_number(input: &mut Reader<'_>) -> Result<f64, Malformed> {
    let number = f64::from_bits(input.u64()?);
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err(Malformed::Value("a number")) }
}
