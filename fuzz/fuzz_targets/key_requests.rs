//! Requests of ETSI GS QKD 014 to the interface over a key manager that gives what it is asked for.
//!
//! Whatever is asked, the answer has a status that the interface knows and a body in JSON: keys as many and as long as
//! were asked for, or an Error with a message.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_bits::SecretBits;
use bellwether_live::interface::etsi014::{Compatibility, Etsi014};
use bellwether_live::interface::service::{DecKeysWanted, EncKeysWanted, KeyService};
use bellwether_protocol::keys::KeyId;
use bellwether_protocol::keys::delivery::{ApplicationKey, DeliveryError, PairStatus, Protection, SaeName};
use bellwether_units::{EntityId, NodeId, Purpose, Stream};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    method: u8,
    call: u8,
    name: &'a str,
    query: &'a str,
    path: Option<&'a str>,
    body: &'a [u8],
}

/// Gives keys of the length that is wanted, a few at a time.
struct Double;

fn keys(number: usize, bits: u32) -> Result<Vec<ApplicationKey>, DeliveryError> {
    if number == 0 || number > 16 || bits == 0 || bits > 4096 {
        return Err(DeliveryError::NotFound);
    }
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("keys of the target"));
    let key = |_| ApplicationKey {
        id: KeyId::random(&mut stream),
        key: SecretBits::random(bits as usize, &mut stream),
        protection: Protection::Hybrid,
        routes: Vec::new(),
        nodes: vec![NodeId(0), NodeId(1)],
    };
    Ok((0..number).map(key).collect())
}

impl KeyService for Double {
    async fn enc_keys(&self, wanted: EncKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        keys(wanted.number as usize, wanted.bits.unwrap_or(256))
    }
    async fn dec_keys(&self, wanted: DecKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        keys(wanted.ids.len(), 256)
    }
    async fn status(&self, _: &SaeName, _: &SaeName) -> Result<PairStatus, DeliveryError> {
        Err(DeliveryError::NotAllowed)
    }
    fn node_name(&self, node: NodeId) -> String {
        node.to_string()
    }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
static INTERFACE: LazyLock<Etsi014<Double>> =
    LazyLock::new(|| Etsi014::new(Arc::new(Double), Compatibility::default()));

fuzz_target!(|input: Input<'_>| {
    let call = ["enc_keys", "dec_keys", "status"][usize::from(input.call % 3)];
    let path = match input.path {
        Some(path) => path.to_owned(),
        None => format!("/api/v1/keys/{}/{call}?{}", input.name, input.query),
    };
    let method = ["GET", "POST", "PUT", "HEAD"][usize::from(input.method % 4)];
    let body = Full::new(Bytes::copy_from_slice(input.body));
    let Ok(request) = Request::builder().method(method).uri(path).body(body) else { return };
    let caller: SaeName = "caller".parse().expect("a name");
    let (head, body) = RUNTIME.block_on(async {
        let (head, body) = INTERFACE.answer(&caller, request).await.into_parts();
        (head, body.collect().await.expect("a body in memory").to_bytes())
    });
    let body: Value = serde_json::from_slice(&body).expect("every body is JSON");
    match head.status.as_u16() {
        200 => assert!(
            body["keys"].as_array().is_some_and(|keys| !keys.is_empty()) || body["openapi"].is_string()
        ),
        400 | 401 | 404 | 405 | 413 => assert!(body["message"].is_string(), "{body}"),
        other => panic!("{other}: {body}"),
    }
});
