//! Keys as text, for whoever asked to see them. The texts are wiped when they are dropped.

use super::client::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// The bits as hexadecimal digits, two a byte.
pub fn hexadecimal(key: &Key) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = Zeroizing::new(key.key.expose().to_bytes());
    // Room for all, so that nothing is moved and left behind unwiped.
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes.iter() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bits in base64 (RFC 4648, section 4), as in a key container.
pub fn base64(key: &Key) -> Zeroizing<String> {
    let mut bytes = key.key.expose().to_bytes();
    let text = Zeroizing::new(STANDARD.encode(&bytes));
    bytes.zeroize();
    text
}

/// A key container: ETSI GS QKD 014 V1.1.1, table 9, one key a line.
pub fn container(keys: &[Key]) -> Zeroizing<String> {
    let shown: Vec<_> = keys.iter().map(|key| (key.id.to_string(), base64(key), &key.extension)).collect();
    let extension = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(String::new, |value| format!(",\"key_extension\":{value}"))
    };
    let room = shown.iter().map(|(_, key, value)| 100 + key.len() + extension(value).len()).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(room + 32));
    text.push_str("{\"keys\":[");
    for (place, (id, key, value)) in shown.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        for part in ["{\"key_ID\":\"", id, "\",\"key\":\"", key, "\"", &extension(value), "}"] {
            text.push_str(part);
        }
    }
    text.push_str("\n]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_bits::{BitString, SecretBits};
    use bellwether_protocol::keys::KeyId;
    use serde_json::{Value, json};

    #[test]
    fn a_key_is_printed_as_its_container_had_it() {
        let key = |id, bytes: &[u8], extension| Key {
            id: KeyId(id),
            key: SecretBits::new(BitString::from_bytes(bytes, bytes.len() * 8)),
            extension,
        };
        let keys = [key(1, &[0, 0xab, 0xff], None), key(2, &[7; 40], Some(json!({ "a": [1, "b"] })))];
        assert_eq!((hexadecimal(&keys[0]).as_str(), base64(&keys[0]).as_str()), ("00abff", "AKv/"));
        let text = container(&keys);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            read["keys"][0],
            json!({ "key_ID": "00000000-0000-0000-0000-000000000001", "key": "AKv/" })
        );
        assert_eq!(read["keys"][1]["key_extension"], json!({ "a": [1, "b"] }));
        assert_eq!(read["keys"].as_array().map(Vec::len), Some(2));
        assert!(text.capacity() >= text.len());
    }
}
