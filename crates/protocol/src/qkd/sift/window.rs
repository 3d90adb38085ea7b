//! What an end keeps of a window.

use super::reply::digits;
use super::{Announcement, Reply};
use crate::hardware::Preparations;
use crate::qkd::security::{BlockStatistics, ClassCounts};
use crate::qkd::wire::Malformed;
use bellwether_bits::{BitString, SecretBits};
use zeroize::Zeroize;

/// The sifted bits of one window at one end.
pub struct SiftedWindow {
    /// This end's bits in the key basis.
    pub key: SecretBits,
    /// For each intensity class, which of the key bits belong to it.
    pub key_classes: Vec<BitString>,
    /// The counts by basis and intensity; both ends have the same. Errors in the key basis are not yet known
    /// and stand at 0.
    pub statistics: BlockStatistics,
}

impl SiftedWindow {
    /// A window of which nothing is kept, for a source of `classes` intensities.
    pub fn empty(classes: usize) -> Self {
        Self {
            key: SecretBits::default(),
            key_classes: vec![BitString::default(); classes],
            statistics: BlockStatistics::empty(classes),
        }
    }
}

/// For each class, the places that hold its index; `None` if some place holds no class's.
fn class_masks(class_digits: &[BitString], len: usize, classes: usize) -> Option<Vec<BitString>> {
    let mut covered = 0;
    let masks: Vec<BitString> = (0..classes)
        .map(|class| {
            let mut mask = BitString::zeros(len).not();
            for (place, digit) in class_digits.iter().enumerate() {
                mask = if class >> place & 1 == 1 { mask.and(digit) } else { mask.and(&digit.not()) };
            }
            covered += mask.count_ones();
            mask
        })
        .collect();
    (covered == len).then_some(masks)
}

/// Sifts one end's bits of the kept clicks; `check_errors` marks where the ends differ among kept check bits.
fn sift(
    kept_bits: &BitString,
    kept_bases: &BitString,
    masks: &[BitString],
    check_errors: &BitString,
) -> SiftedWindow {
    let in_key = kept_bases.not();
    let mut statistics = BlockStatistics::empty(masks.len());
    let mut key_classes = Vec::with_capacity(masks.len());
    for (class, mask) in masks.iter().enumerate() {
        let key = mask.select(&in_key);
        let check = mask.select(kept_bases);
        statistics.key[class] = ClassCounts { sifted: key.count_ones() as u64, errors: 0 };
        statistics.check[class] = ClassCounts {
            sifted: check.count_ones() as u64,
            errors: check.and(check_errors).count_ones() as u64,
        };
        key_classes.push(key);
    }
    SiftedWindow { key: SecretBits::new(kept_bits.select(&in_key)), key_classes, statistics }
}

/// The receiver's share: its `outcomes` of the clicks it had measured in `bases`, sifted by the `reply`.
///
/// # Errors
/// If the reply names a class that the source, with `classes` of them, does not have.
///
/// # Panics
/// If `bases`, `outcomes` and the reply differ in length; [`Reply::decode`] makes sure of the reply.
pub fn sift_received(
    bases: &BitString,
    outcomes: &BitString,
    reply: &Reply,
    classes: usize,
) -> Result<SiftedWindow, Malformed> {
    let kept_bases = bases.select(&reply.matches);
    let mut kept_outcomes = outcomes.select(&reply.matches);
    let masks = class_masks(&reply.class_digits, kept_bases.len(), classes)
        .ok_or(Malformed::Value("the intensity class of a click"))?;
    let mut check_errors = kept_outcomes.select(&kept_bases);
    check_errors.xor_with(&reply.check_bits);
    let window = sift(&kept_outcomes, &kept_bases, &masks, &check_errors);
    kept_outcomes.zeroize();
    Ok(window)
}

/// The transmitter's share, and the reply for the receiver: what it had prepared in the announced pulses.
///
/// The announcement's pulses may have been taken out: they are not looked at.
///
/// `None` if the preparations do not fit: another number of pulses, or a class that the source, with
/// `classes` of them, does not have.
pub fn sift_sent(
    announcement: &Announcement<'_>,
    preparations: &Preparations,
    classes: usize,
) -> Option<(SiftedWindow, Reply)> {
    let clicks = announcement.bases.len();
    if preparations.bases.len() != clicks
        || preparations.bits.len() != clicks
        || preparations.intensities.len() != clicks
        || preparations.intensities.iter().any(|&class| usize::from(class) >= classes)
    {
        return None;
    }
    let mut matches = announcement.bases.clone();
    matches.xor_with(&preparations.bases);
    let matches = matches.not();
    let class_digits: Vec<BitString> = (0..digits(classes))
        .map(|place| digit_of(&preparations.intensities, place).select(&matches))
        .collect();
    let kept_bases = announcement.bases.select(&matches);
    let mut kept_bits = preparations.bits.select(&matches);
    let masks = class_masks(&class_digits, kept_bases.len(), classes)?;
    let check_bits = kept_bits.select(&kept_bases);
    // The receiver announced an outcome for each click in its check basis; those that match are compared.
    let mut check_errors = announcement.check_outcomes.select(&matches.select(&announcement.bases));
    check_errors.xor_with(&check_bits);
    let window = sift(&kept_bits, &kept_bases, &masks, &check_errors);
    kept_bits.zeroize();
    Some((window, Reply { matches, class_digits, check_bits }))
}

/// Binary digit `place` of every value.
fn digit_of(values: &[u8], place: usize) -> BitString {
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    for chunk in values.chunks(64) {
        let mut word = 0u64;
        for (index, eight) in chunk.chunks(8).enumerate() {
            let mut bytes = [0u8; 8];
            bytes[..eight.len()].copy_from_slice(eight);
            let lows = u64::from_le_bytes(bytes) >> place & 0x0101_0101_0101_0101;
            // The product moves the low bit of byte i to bit 56 + i, and no two terms meet.
            word |= (lows.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
        }
        words.push(word);
    }
    BitString::from_words(words, values.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Detections;
    use bellwether_units::{EntityId, Purpose, Stream, Time};

    /// A window with `clicks` clicks, sifted bit by bit as the reference.
    #[test]
    fn both_ends_keep_what_a_loop_over_clicks_keeps() {
        let mut stream = Stream::new(3, EntityId(0), Purpose::named("sift"));
        for (clicks, classes) in [(0usize, 2u8), (1, 1), (200, 1), (777, 2), (1000, 3), (1300, 5)] {
            let mut pulses = Vec::new();
            let mut pulse = 40;
            for _ in 0..clicks {
                pulse += 1 + stream.below(200);
                pulses.push(pulse);
            }
            let bases = BitString::random(clicks, &mut stream);
            let outcomes = BitString::random(clicks, &mut stream);
            let sent = Preparations {
                bases: BitString::random(clicks, &mut stream),
                bits: BitString::random(clicks, &mut stream),
                intensities: (0..clicks).map(|_| stream.below(u64::from(classes)) as u8).collect(),
            };
            let detections = Detections {
                first_pulse: 40,
                pulse_count: pulse - 39,
                ended: Time::from_picoseconds(77),
                pulses,
                bases: bases.clone(),
                outcomes: outcomes.clone(),
                double_clicks: 0,
                bias_current: None,
            };
            let classes = usize::from(classes);
            let (_, announcement) = Announcement::pieces(&detections, clicks.max(1)).unwrap().pop().unwrap();
            let heard = Announcement::decode(&announcement.encode().unwrap(), clicks).unwrap();
            assert!(heard == announcement);
            let (transmitter, reply) = sift_sent(&heard, &sent, classes).unwrap();
            let reply = Reply::decode(&reply.encode(), &bases, classes).unwrap();
            let receiver = sift_received(&bases, &outcomes, &reply, classes).unwrap();

            let mut expected = BlockStatistics::empty(classes);
            let (mut sent_key, mut received_key) = (BitString::default(), BitString::default());
            for click in 0..clicks {
                if sent.bases.get(click) != bases.get(click) {
                    continue;
                }
                let class = usize::from(sent.intensities[click]);
                if bases.get(click) {
                    expected.check[class].sifted += 1;
                    expected.check[class].errors += u64::from(sent.bits.get(click) != outcomes.get(click));
                } else {
                    let at = sent_key.len();
                    expected.key[class].sifted += 1;
                    sent_key.push(sent.bits.get(click));
                    received_key.push(outcomes.get(click));
                    assert!(receiver.key_classes[class].get(at));
                }
            }
            assert!(transmitter.key.expose() == &sent_key);
            assert!(receiver.key.expose() == &received_key);
            assert_eq!(transmitter.statistics, expected);
            assert_eq!(receiver.statistics, expected);
        }
    }

    #[test]
    fn a_class_that_the_source_lacks_is_refused() {
        let bases = BitString::zeros(2);
        let reply = Reply {
            matches: bases.not(),
            class_digits: vec![BitString::from_bytes(&[0b11], 2), BitString::from_bytes(&[0b10], 2)],
            check_bits: BitString::default(),
        };
        assert!(sift_received(&bases, &bases, &reply, 4).is_ok());
        assert!(sift_received(&bases, &bases, &reply, 3).is_err());
    }
}
