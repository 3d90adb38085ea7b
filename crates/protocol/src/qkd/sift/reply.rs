//! What the transmitter answers on a window.

use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::BitString;

/// Which clicks of a window are kept, of which intensity they were, and the transmitter's check-basis bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of each announced click: whether it was prepared in the basis in which it was measured.
    pub matches: BitString,
    /// The intensity class of each kept click, one string a binary digit, least significant first.
    pub class_digits: Vec<BitString>,
    /// The transmitter's bit of each kept click in the check basis.
    pub check_bits: BitString,
}

/// How many binary digits an index below `classes` has.
pub(super) fn digits(classes: usize) -> usize {
    classes.max(1).next_power_of_two().trailing_zeros() as usize
}

impl Reply {
    /// That none of `clicks` clicks is kept.
    pub fn nothing(clicks: usize, classes: usize) -> Self {
        Self {
            matches: BitString::zeros(clicks),
            class_digits: vec![BitString::default(); digits(classes)],
            check_bits: BitString::default(),
        }
    }

    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.matches.len() / 2 + 32);
        out.bits(&self.matches);
        for digit in &self.class_digits {
            out.bits(digit);
        }
        out.bits(&self.check_bits);
        out.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote in answer to clicks measured in `bases`, for a source of
    /// `classes` intensities.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8], bases: &BitString, classes: usize) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let matches = input.bits(bases.len())?;
        let kept = matches.count_ones();
        let class_digits = (0..digits(classes)).map(|_| input.bits(kept)).collect::<Result<Vec<_>, _>>()?;
        let check_bits = input.bits(matches.and(bases).count_ones())?;
        input.finish()?;
        Ok(Self { matches, class_digits, check_bits })
    }
}
