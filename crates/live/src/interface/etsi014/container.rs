//! Bodies of answers: Status (table 6) and Key container (table 9), written so that key is wiped after it left.

use crate::interface::service::KeyService;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_protocol::keys::delivery::{ApplicationKey, PairStatus, Protection, SaeName};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

/// The word for a key's protection, as in `key_extension`.
pub(super) fn word(protection: Protection) -> &'static str {
    match protection {
        Protection::Hybrid => "hybrid",
        Protection::QuantumOnly => "quantum-only",
        Protection::PostQuantumOnly => "post-quantum-only",
        Protection::Local => "local",
    }
}

/// A Key container. `extended` asks for a `key_extension` with each key; a key that lacks its quantum part has one
/// in any case.
pub(super) fn container<S: KeyService>(
    keys: &[ApplicationKey],
    extended: bool,
    service: &S,
) -> Zeroizing<Vec<u8>> {
    let bytes: usize = keys.iter().map(|key| 160 + key.key.len() / 6 + key.nodes.len() * 80).sum();
    // Room for all, so that nothing is moved and left behind unwiped.
    let mut body = Zeroizing::new(Vec::with_capacity(bytes + 64));
    body.extend_from_slice(br#"{"keys":["#);
    for (place, key) in keys.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(br#"{"key_ID":""#);
        body.extend_from_slice(key.id.to_string().as_bytes());
        body.extend_from_slice(br#"","key":""#);
        write_base64(key, &mut body);
        body.push(b'"');
        if extended || key.protection == Protection::PostQuantumOnly {
            body.extend_from_slice(br#","key_extension":"#);
            body.extend_from_slice(origin(key, service).to_string().as_bytes());
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

fn write_base64(key: &ApplicationKey, body: &mut Zeroizing<Vec<u8>>) {
    let mut raw = key.key.expose().to_bytes();
    let start = body.len();
    let length = base64::encoded_len(raw.len(), true).expect("a key is shorter than the address space");
    body.resize(start + length, 0);
    STANDARD.encode_slice(&raw, &mut body[start..]).expect("the length was computed for it");
    raw.zeroize();
}

/// Where a key came from: no secret, and no hint of one.
fn origin<S: KeyService>(key: &ApplicationKey, service: &S) -> Value {
    let nodes: Vec<String> = key.nodes.iter().map(|&node| service.node_name(node)).collect();
    json!({
        "bellwether_protection": word(key.protection),
        "bellwether_nodes": nodes,
        "bellwether_routes": key.routes.len(),
    })
}

/// A Status body.
pub(super) fn status<S: KeyService>(
    status: &PairStatus,
    caller: &SaeName,
    slave: &SaeName,
    service: &S,
) -> Vec<u8> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("source_KME_ID", json!(service.node_name(status.source)));
    set("target_KME_ID", json!(service.node_name(status.target)));
    set("master_SAE_ID", json!(caller.as_str()));
    set("slave_SAE_ID", json!(slave.as_str()));
    set("key_size", json!(status.key_size));
    set("stored_key_count", json!(status.stored_key_count.min(status.max_key_count)));
    set("max_key_count", json!(status.max_key_count));
    set("max_key_per_request", json!(status.max_key_per_request));
    set("max_key_size", json!(status.max_key_size));
    set("min_key_size", json!(status.min_key_size));
    set("max_SAE_ID_count", json!(status.max_sae_id_count));
    Value::Object(body).to_string().into_bytes()
}
