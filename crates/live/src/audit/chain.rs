//! The hash chain of the audit log: how a line is made, and how lines are checked.
//!
//! A line is one JSON object whose last member is `hash`. With `H` the hash of the line before (of the first line of
//! a log: 32 zero bytes) and `T` the line up to and without `,"hash":`, the hash is SHA-256(H ‖ T). So nobody can
//! change, take out, add or reorder lines without changing all hashes that follow. A file's first line says the hash
//! that it continues, as `previous`.

use crate::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a line's hash is of, and what the next line's follows.
pub type Hash = [u8; 32];

/// Between what is hashed and the hash's digits.
const BEFORE_HASH: &str = ",\"hash\":\"";
/// What ends a line: the digits, a quotation mark and a brace.
const TAIL: usize = BEFORE_HASH.len() + 64 + 2;

/// Where a chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the next line.
    pub next: u64,
    /// The hash of the last one.
    pub hash: Hash,
}

/// Why a line does not continue a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// Not a line of an audit log.
    #[error("it is no entry of an audit log: {0}")]
    NoEntry(&'static str),
    /// Changed, or not the line that followed.
    #[error(
        "its hash is not that of its text and the entry before: one of the two was changed, or entries are missing"
    )]
    Hash,
    /// Its number is not the next one.
    #[error("it is entry {found} where entry {wanted} should be")]
    Number {
        /// The number that the line has.
        found: u64,
        /// The number that would follow.
        wanted: u64,
    },
    /// The first line of a file does not continue the file before.
    #[error("it begins a file that does not continue the one before")]
    Continuation,
}

impl Head {
    /// The line of `entry`, a JSON object that is not empty, at the end of the chain, without a line break; the chain
    /// moves on. `n` and, on the first line of a file, `previous` are written here.
    pub fn line(&mut self, first_of_file: bool, entry: &str) -> String {
        let open = entry.strip_suffix('}').unwrap_or(entry);
        let mut line = String::with_capacity(entry.len() + 2 * TAIL);
        line.push_str(open);
        line.push_str(&format!(",\"n\":{}", self.next));
        if first_of_file {
            line.push_str(&format!(",\"previous\":\"{}\"", hex::encode(&self.hash)));
        }
        self.hash = hash(&self.hash, &line);
        self.next += 1;
        line.push_str(BEFORE_HASH);
        line.push_str(&hex::encode(&self.hash));
        line.push_str("\"}");
        line
    }

    /// Checks that `line` comes next, and moves on.
    ///
    /// # Errors
    /// See [`BrokenChain`].
    pub fn check(&mut self, line: &str) -> Result<(), BrokenChain> {
        let (text, written) = parts(line)?;
        if hash(&self.hash, text) != written {
            return Err(BrokenChain::Hash);
        }
        let found = number(line)?;
        if found != self.next {
            return Err(BrokenChain::Number { found, wanted: self.next });
        }
        *self = Self { next: self.next + 1, hash: written };
        Ok(())
    }

    /// Where the chain stood before the first line of a file, as that says.
    ///
    /// # Errors
    /// See [`BrokenChain`].
    pub fn before(line: &str) -> Result<Self, BrokenChain> {
        let entry: Value = serde_json::from_str(line).map_err(|_| BrokenChain::NoEntry("it is not JSON"))?;
        let none = BrokenChain::NoEntry("the first entry of a file says what it continues, as `previous`");
        let mut hash = Hash::default();
        let digits = entry["previous"].as_str().ok_or_else(|| none.clone())?;
        hex::decode_into(digits.as_bytes(), &mut hash).ok_or(none)?;
        Ok(Self { next: number(line)?, hash })
    }

    /// Where the chain stands after a line, whose own text is not looked at.
    ///
    /// # Errors
    /// See [`BrokenChain`].
    pub fn after(line: &str) -> Result<Self, BrokenChain> {
        let next = number(line)?.checked_add(1).ok_or(BrokenChain::NoEntry("its number is none"))?;
        Ok(Self { next, hash: parts(line)?.1 })
    }
}

fn hash(before: &Hash, text: &str) -> Hash {
    Sha256::new().chain_update(before).chain_update(text).finalize().into()
}

/// What is hashed, and the hash that is written.
fn parts(line: &str) -> Result<(&str, Hash), BrokenChain> {
    let none = || BrokenChain::NoEntry("it does not end with its hash");
    let at = line.len().checked_sub(TAIL).ok_or_else(none)?;
    let (text, tail) = line.split_at_checked(at).ok_or_else(none)?;
    let digits = tail.strip_prefix(BEFORE_HASH).and_then(|rest| rest.strip_suffix("\"}")).ok_or_else(none)?;
    let mut written = Hash::default();
    hex::decode_into(digits.as_bytes(), &mut written).ok_or_else(none)?;
    // One way to write a hash, so that no byte of a line can be changed unseen.
    (hex::encode(&written) == digits).then_some((text, written)).ok_or_else(none)
}

fn number(line: &str) -> Result<u64, BrokenChain> {
    let entry: Value = serde_json::from_str(line).map_err(|_| BrokenChain::NoEntry("it is not JSON"))?;
    entry["n"].as_u64().ok_or(BrokenChain::NoEntry("it has no number `n`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_any_line_is_found() {
        let (mut head, mut lines) = (Head::default(), Vec::new());
        for number in 0..4 {
            lines.push(head.line(number == 0, &format!("{{\"event\":\"issued\",\"bits\":{number}}}")));
        }
        let mut check = Head::before(&lines[0]).unwrap();
        lines.iter().for_each(|line| check.check(line).unwrap());
        assert_eq!((check, Head::after(&lines[3]).unwrap()), (head, head));
        for line in 0..lines.len() {
            for at in 0..lines[line].len() * 8 {
                let mut bytes = lines[line].clone().into_bytes();
                bytes[at / 8] ^= 1 << (at % 8);
                let changed = String::from_utf8_lossy(&bytes).into_owned();
                let mut chain = Head::default();
                let whole = lines
                    .iter()
                    .enumerate()
                    .try_for_each(|(place, kept)| chain.check(if place == line { &changed } else { kept }));
                assert!(whole.is_err(), "bit {at} of line {line}: {changed}");
            }
        }
    }

    #[test]
    fn lines_cannot_be_left_out_or_change_places() {
        let (mut head, mut lines) = (Head::default(), Vec::new());
        for number in 0..3 {
            lines.push(head.line(number == 0, "{\"event\":\"lost\"}"));
        }
        let check = |order: &[usize]| {
            let mut chain = Head::default();
            order.iter().try_for_each(|place| chain.check(&lines[*place]))
        };
        assert_eq!(check(&[0, 1, 2]), Ok(()));
        assert_eq!(check(&[0, 2]), Err(BrokenChain::Hash));
        assert_eq!(check(&[1, 2]), Err(BrokenChain::Hash));
        assert_eq!(check(&[0, 2, 1]), Err(BrokenChain::Hash));
        assert_eq!(check(&[0, 0]), Err(BrokenChain::Hash));
    }
}
