//! Bodies of requests: ETSI GS QKD 014 V1.1.1, tables 7 (Key request) and 10 (Key IDs).
//!
//! Where the standard leaves a choice: an empty body is an empty object, a `null` member is an absent one, and
//! members that the standard does not name are passed over, since clients in the field send all three. What is
//! named must be of the right type, and nothing is spent on a request that is refused.

use super::extension::{self, Extensions};
use super::path::query_pairs;
use super::refusal::Refusal;
use bellwether_protocol::keys::KeyId;
use bellwether_protocol::keys::delivery::SaeName;
use serde_json::{Map, Value};

/// The most key IDs that are read from one request, and the most additional SAEs.
const MOST_NAMES: usize = 1024;

/// A Key request, with defaults not filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyRequest {
    pub(super) number: Option<u32>,
    pub(super) size: Option<u32>,
    pub(super) additional: Vec<SaeName>,
    pub(super) extensions: Extensions,
    /// How many members or parameters were passed over.
    pub(super) unknown: u64,
}

/// The keys that a slave names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyIds {
    pub(super) ids: Vec<KeyId>,
    /// Whether the request carried any extension object.
    pub(super) extended: bool,
    pub(super) unknown: u64,
}

impl KeyRequest {
    /// From the query of `GET`: `number` and `size`.
    pub(super) fn from_query(query: &str) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for (name, value) in query_pairs(query)? {
            match name.as_str() {
                "number" => set(&mut request.number, "number", decimal("number", &value)?)?,
                "size" => set(&mut request.size, "size", decimal("size", &value)?)?,
                _ => request.unknown += 1,
            }
        }
        Ok(request)
    }

    /// From the body of `POST`.
    pub(super) fn from_body(body: &[u8]) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for (name, value) in &object(body)? {
            match name.as_str() {
                _ if value.is_null() => {}
                "number" => request.number = Some(whole("number", value)?),
                "size" => request.size = Some(whole("size", value)?),
                "additional_slave_SAE_IDs" => request.additional = saes(value)?,
                "extension_mandatory" => request.extensions.mandatory = extension::names(name, value)?,
                "extension_optional" => request.extensions.optional = extension::names(name, value)?,
                _ => request.unknown += 1,
            }
        }
        Ok(request)
    }
}

impl KeyIds {
    /// From the query of `GET`: one `key_ID`.
    pub(super) fn from_query(query: &str) -> Result<Self, Refusal> {
        let mut ids = Self::default();
        for (name, value) in query_pairs(query)? {
            match name.as_str() {
                "key_ID" if ids.ids.is_empty() => ids.ids.push(key_id(&value)?),
                "key_ID" => {
                    return Err(Refusal::bad_request("GET takes one key_ID; use POST for more".to_owned()));
                }
                _ => ids.unknown += 1,
            }
        }
        ids.some()
    }

    /// From the body of `POST`.
    pub(super) fn from_body(body: &[u8]) -> Result<Self, Refusal> {
        let mut ids = Self::default();
        for (name, value) in &object(body)? {
            match name.as_str() {
                _ if value.is_null() => {}
                "key_IDs" => {
                    for entry in list("key_IDs", value)? {
                        ids.read_entry(entry)?;
                    }
                }
                "key_IDs_extension" => ids.extended = true,
                _ => ids.unknown += 1,
            }
        }
        ids.some()
    }

    fn read_entry(&mut self, entry: &Value) -> Result<(), Refusal> {
        let wrong = || Refusal::bad_request("each of key_IDs must be an object with a key_ID".to_owned());
        let entry = entry.as_object().ok_or_else(wrong)?;
        let id = key_id(entry.get("key_ID").and_then(Value::as_str).ok_or_else(wrong)?)?;
        if self.ids.contains(&id) {
            return Err(Refusal::bad_request(format!("key_ID {id} is named twice")));
        }
        self.ids.push(id);
        self.extended |= entry.get("key_ID_extension").is_some_and(|value| !value.is_null());
        Ok(())
    }

    fn some(self) -> Result<Self, Refusal> {
        if self.ids.is_empty() {
            return Err(Refusal::bad_request("key_IDs must name at least one key_ID".to_owned()));
        }
        Ok(self)
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::bad_request("the body must be a JSON object".to_owned())),
        Err(e) => Err(Refusal::bad_request(format!("the body is not JSON: {e}"))),
    }
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a Vec<Value>, Refusal> {
    let list = value.as_array();
    let list = list.ok_or_else(|| Refusal::bad_request(format!("{name} must be an array")))?;
    if list.len() > MOST_NAMES {
        return Err(Refusal::bad_request(format!("{name} has more than {MOST_NAMES} entries")));
    }
    Ok(list)
}

fn saes(value: &Value) -> Result<Vec<SaeName>, Refusal> {
    let name = "additional_slave_SAE_IDs";
    let mut saes = Vec::new();
    for entry in list(name, value)? {
        let text = entry.as_str();
        let text = text.ok_or_else(|| Refusal::bad_request(format!("{name} must be an array of strings")))?;
        saes.push(SaeName::new(text).map_err(|e| Refusal::bad_request(format!("{name}: {e}")))?);
    }
    Ok(saes)
}

/// A count: an integer that fits 32 bits. Zero is left to who knows the limits.
fn whole(name: &str, value: &Value) -> Result<u32, Refusal> {
    let whole = value.as_u64().and_then(|whole| u32::try_from(whole).ok());
    whole.ok_or_else(|| Refusal::bad_request(format!("{name} must be an integer from 0 to 4294967295")))
}

fn decimal(name: &str, text: &str) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let whole = digits.then(|| text.parse().ok()).flatten();
    whole.ok_or_else(|| Refusal::bad_request(format!("{name} must be an integer from 0 to 4294967295")))
}

fn set(slot: &mut Option<u32>, name: &str, value: u32) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad_request(format!("{name} is given twice"))),
    }
}

/// A UUID (RFC 9562) in either case.
fn key_id(text: &str) -> Result<KeyId, Refusal> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.concat();
    let sound = lengths == [8, 4, 4, 4, 12] && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let id = sound.then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
    id.map(KeyId).ok_or_else(|| Refusal::bad_request("key_ID must be a UUID".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nulls_are_absent_and_unknown_members_are_passed_over() {
        let body = br#"{"number":null,"size":256,"additional_slave_SAE_IDs":null,"key_length":7}"#;
        let request = KeyRequest::from_body(body).expect("a valid request");
        assert_eq!((request.number, request.size, request.unknown), (None, Some(256), 1));
        assert_eq!(KeyRequest::from_body(b" \n").expect("empty is {}"), KeyRequest::default());
    }

    #[test]
    fn what_is_named_must_be_of_its_type() {
        for body in [
            &b"{"[..],
            b"[]",
            b"7",
            br#"{"number":-1}"#,
            br#"{"number":1.5}"#,
            br#"{"number":"1"}"#,
            br#"{"size":4294967296}"#,
            br#"{"additional_slave_SAE_IDs":"x"}"#,
            br#"{"additional_slave_SAE_IDs":[1]}"#,
            br#"{"extension_mandatory":{}}"#,
        ] {
            let refusal = KeyRequest::from_body(body).expect_err("not a Key request");
            assert_eq!(refusal.status.as_u16(), 400, "{body:?}");
        }
        assert!(KeyRequest::from_query("number=1&number=2").is_err());
        assert!(KeyRequest::from_query("number=%2B1").is_err());
        assert_eq!(KeyRequest::from_query("number=3&size=1024&key_length=256").expect("valid").unknown, 1);
    }

    #[test]
    fn key_ids_are_uuids_in_either_case_each_named_once() {
        let lower = "bc490419-7d60-487f-adc1-4ddcc177c139";
        let query = |text: &str| KeyIds::from_query(&format!("key_ID={text}"));
        let id = query(lower).expect("a UUID").ids[0];
        assert_eq!(id.to_string(), lower);
        assert_eq!(query(&lower.to_uppercase()).expect("a UUID").ids, [id]);
        assert!(query("bc4904197d60487fadc14ddcc177c139").is_err());
        let twice = format!(r#"{{"key_IDs":[{{"key_ID":"{lower}"}},{{"key_ID":"{lower}"}}]}}"#);
        assert!(KeyIds::from_body(twice.as_bytes()).is_err());
        assert!(KeyIds::from_body(br#"{"key_IDs":[]}"#).is_err());
        assert!(KeyIds::from_body(b"").is_err());
    }

    proptest! {
        #[test]
        fn no_body_and_no_query_panics(body in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,80}") {
            let _ = (KeyRequest::from_body(&body), KeyIds::from_body(&body));
            let _ = (KeyRequest::from_query(&query), KeyIds::from_query(&query));
        }
    }
}
