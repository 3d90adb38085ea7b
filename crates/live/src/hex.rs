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

/// The number that a UUID (RFC 9562) writes, in either case and wherever its hyphens stand.
pub(crate) fn uuid(text: &str) -> Option<u128> {
    let mut number = [0; 16];
    decode_into(text.replace('-', "").as_bytes(), &mut number)?;
    Some(u128::from_be_bytes(number))
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
        let id = uuid("BC490419-7d60-487f-adc1-4ddcc177c139");
        assert_eq!(id, Some(0xbc49_0419_7d60_487f_adc1_4ddc_c177_c139));
        assert_eq!(uuid("+c490419-7d60-487f-adc1-4ddcc177c139"), None);
    }
}
