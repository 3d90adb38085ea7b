//! GF(2^16) over GF(2^8), its Cantor basis, and bytes as polynomials in it.
//!
//! GF(2^8) is that of the instructions (modulo x^8 + x^4 + x^3 + x + 1). GF(2^16) is GF(2^8)[y] modulo
//! y^2 + y + c, where c is the least element of trace 1; an element a + b y is the number a + 256 b.

/// c.
pub(super) const CONSTANT: u8 = least_of_trace_one();

/// The product in GF(2^8).
pub(super) const fn multiply_bytes(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = a << 1 ^ if a >> 7 == 1 { 0x1b } else { 0 };
        b >>= 1;
    }
    product
}

/// The product in GF(2^16).
pub(super) const fn multiply(a: u16, b: u16) -> u16 {
    let ([a0, a1], [b0, b1]) = (a.to_le_bytes(), b.to_le_bytes());
    let top = multiply_bytes(a1, b1);
    let low = multiply_bytes(a0, b0) ^ multiply_bytes(CONSTANT, top);
    let high = multiply_bytes(a0, b1) ^ multiply_bytes(a1, b0) ^ top;
    u16::from_le_bytes([low, high])
}

const fn least_of_trace_one() -> u8 {
    let mut element = 1u8;
    loop {
        let (mut trace, mut power, mut i) = (0, element, 0);
        while i < 8 {
            trace ^= power;
            power = multiply_bytes(power, power);
            i += 1;
        }
        if trace == 1 {
            return element;
        }
        element += 1;
    }
}

/// The Cantor basis: v_0 = 1 and v_(i+1)^2 + v_(i+1) = v_i. The first eight lie in GF(2^8).
pub(super) const BASIS: [u16; 16] = {
    let mut basis = [0; 16];
    // c y has trace 1, because y has trace 1 over GF(2^8), and the trace of u is what x^2 + x makes of u in
    // fifteen steps.
    let mut element = (CONSTANT as u16) << 8;
    let mut i = 15;
    loop {
        basis[i] = element;
        if i == 0 {
            break;
        }
        element ^= multiply(element, element);
        i -= 1;
    }
    assert!(basis[0] == 1 && basis[7] < 256);
    basis
};

/// Point number `index`: the sum of the basis elements at its ones.
pub(super) const fn point(index: usize) -> u16 {
    let (mut sum, mut i) = (0, 0);
    while i < 16 {
        if index >> i & 1 == 1 {
            sum ^= BASIS[i];
        }
        i += 1;
    }
    sum
}

/// Points number 2b for b below 128, which lie in GF(2^8).
pub(super) static EVEN_POINTS: [u8; 128] = {
    let mut points = [0; 128];
    let mut b = 0;
    while b < 128 {
        points[b] = point(2 * b) as u8;
        b += 1;
    }
    points
};

/// The powers of y, which are a basis over GF(2): y lies in no smaller field.
const POWERS: [u16; 16] = {
    let mut powers = [1; 16];
    let mut i = 1;
    while i < 16 {
        powers[i] = multiply(powers[i - 1], 256);
        i += 1;
    }
    powers
};

/// For row r of `rows`, the bits of the columns' bit r.
const fn matrix(columns: &[u8; 8]) -> u64 {
    let mut matrix = 0;
    let mut row = 0;
    while row < 8 {
        let mut column = 0;
        while column < 8 {
            matrix |= ((columns[column] >> row & 1) as u64) << (8 * (7 - row) + column);
            column += 1;
        }
        row += 1;
    }
    matrix
}

const fn byte_columns(columns: &[u16; 16], first: usize, shift: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    let mut i = 0;
    while i < 8 {
        bytes[i] = (columns[first + i] >> shift) as u8;
        i += 1;
    }
    bytes
}

/// The matrices that make the two halves of a field element of a byte: bit i is the coefficient of y^i.
pub(super) const EMBED: [u64; 2] =
    [matrix(&byte_columns(&POWERS, 0, 0)), matrix(&byte_columns(&POWERS, 0, 8))];

/// `DECODE[byte][half]`: what the halves of an element add to the low and the high byte of its coefficients.
pub(super) const DECODE: [[u64; 2]; 2] = {
    let columns = inverse(&POWERS);
    [
        [matrix(&byte_columns(&columns, 0, 0)), matrix(&byte_columns(&columns, 8, 0))],
        [matrix(&byte_columns(&columns, 0, 8)), matrix(&byte_columns(&columns, 8, 8))],
    ]
};

/// The inverse of a matrix given by its columns, by elimination.
const fn inverse(columns: &[u16; 16]) -> [u16; 16] {
    let (mut left, mut right) = (*columns, [0u16; 16]);
    let mut i = 0;
    while i < 16 {
        right[i] = 1 << i;
        i += 1;
    }
    let mut row = 0;
    while row < 16 {
        let mut pivot = row;
        while left[pivot] >> row & 1 == 0 {
            pivot += 1;
        }
        (left[row], left[pivot]) = (left[pivot], left[row]);
        (right[row], right[pivot]) = (right[pivot], right[row]);
        let mut column = 0;
        while column < 16 {
            if column != row && left[column] >> row & 1 == 1 {
                left[column] ^= left[row];
                right[column] ^= right[row];
            }
            column += 1;
        }
        row += 1;
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{ByteLanes, Portable};

    #[test]
    fn the_basis_is_cantors_and_spans_the_field() {
        for pair in BASIS.windows(2) {
            assert_eq!(multiply(pair[1], pair[1]) ^ pair[1], pair[0]);
        }
        let points: std::collections::BTreeSet<u16> = (0..1 << 16).map(point).collect();
        assert_eq!(points.len(), 1 << 16);
        assert!((0..128).all(|b| u16::from(EVEN_POINTS[b]) == point(2 * b)));
    }

    #[test]
    fn bytes_multiply_as_polynomials() {
        let embed = |byte: u8| {
            let half = |matrix| Portable.transform([byte; 64], matrix)[0];
            u16::from_le_bytes(EMBED.map(half))
        };
        for (a, b) in [(1, 1), (0xff, 0xff), (0x80, 0x80), (0x35, 0xc2), (0, 77), (0x1b, 0x9d)] {
            let product = multiply(embed(a), embed(b)).to_le_bytes();
            let decode = |[low, high]: [u64; 2]| {
                Portable.transform([product[0]; 64], low)[0] ^ Portable.transform([product[1]; 64], high)[0]
            };
            let expected = (0..8).filter(|i| b >> i & 1 == 1).fold(0, |sum, i| sum ^ u16::from(a) << i);
            assert_eq!(u16::from_le_bytes(DECODE.map(decode)), expected, "{a} {b}");
        }
    }
}
