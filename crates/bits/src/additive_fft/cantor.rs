//! The Cantor basis and the points at which polynomials are evaluated.

use crate::gf128::{Factor, multiply_const};

/// How many elements of the Cantor basis are used, which bounds transforms to 2^(BASIS_LEN - 1) points.
pub(super) const BASIS_LEN: usize = 33;
/// v_i.
pub(super) const BASIS: [u128; BASIS_LEN] = cantor_basis();
/// v_0 + .. + v_(i-1).
const PREFIX_SUMS: [u128; BASIS_LEN + 1] = {
    let mut sums = [0; BASIS_LEN + 1];
    let mut i = 0;
    while i < BASIS_LEN {
        sums[i + 1] = sums[i] ^ BASIS[i];
        i += 1;
    }
    sums
};
/// v_i = s(s(..(u))) for any u of trace 1 and s(x) = x^2 + x, applied 127 - i times.
const fn cantor_basis() -> [u128; BASIS_LEN] {
    let mut basis = [0; BASIS_LEN];
    let mut element = 1 << 121;
    let mut i = 127;
    loop {
        if i < BASIS_LEN {
            basis[i] = element;
        }
        if i == 0 {
            break;
        }
        element ^= multiply_const(element, element);
        i -= 1;
    }
    assert!(basis[0] == 1, "x^121 has trace 1");
    basis
}

/// Point number `index` times 2^`shift`.
pub(super) fn point(index: usize, shift: usize) -> u128 {
    (0..usize::BITS as usize - shift)
        .filter(|bit| index >> bit & 1 == 1)
        .fold(0, |sum, bit| sum ^ BASIS[bit + shift])
}

/// An element times x^64: what is lifted above x^127 comes down times x^7 + x^2 + x + 1.
pub(super) const fn raise(element: u128) -> u128 {
    let over = element >> 64;
    element << 64 ^ over ^ over << 1 ^ over << 2 ^ over << 7
}

/// The difference of points number n 2^shift and (n + 1) 2^shift, where n has `index` ones at its low end.
pub(super) const fn point_steps(shift: usize) -> [Factor<u128>; BASIS_LEN] {
    let mut steps = [Factor { plain: 0, raised: 0 }; BASIS_LEN];
    let mut i = 0;
    while i + shift < BASIS_LEN {
        let plain = PREFIX_SUMS[i + 1 + shift] ^ PREFIX_SUMS[shift];
        steps[i] = Factor { plain, raised: raise(plain) };
        i += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_cantors() {
        for pair in BASIS.windows(2) {
            assert_eq!(multiply_const(pair[1], pair[1]) ^ pair[1], pair[0]);
        }
        assert_eq!(point(0b101, 1), BASIS[1] ^ BASIS[3]);
        for shift in [1, 2] {
            for (index, step) in point_steps(shift).iter().enumerate().take(12) {
                let n = (1 << index) - 1;
                assert_eq!(point(n, shift) ^ point(n + 1, shift), step.plain);
                assert_eq!(step.raised, multiply_const(step.plain, 1 << 64));
            }
        }
    }
}
