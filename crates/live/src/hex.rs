//! Bytes as hexadecimal digits.

/// Two digits a byte, in lower case. For what is no secret: the text is not wiped.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads two digits a byte, in either case, into `out`; `None` if there are not just so many digits. Of digits that
/// are refused, those before the wrong one may stand in `out`, which a caller with a secret wipes.
pub(crate) fn decode_into(digits: &[u8], out: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut read = [0; 256];
        assert_eq!(decode_into(encode(&bytes).to_uppercase().as_bytes(), &mut read), Some(()));
        assert_eq!(bytes, read);
        for wrong in ["", "0", "000", "0g", "+1"] {
            assert_eq!(decode_into(wrong.as_bytes(), &mut [0]), None, "{wrong}");
        }
    }
}
