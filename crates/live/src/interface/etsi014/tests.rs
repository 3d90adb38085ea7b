//! The interface against a key manager that gives what it is told to.

use super::*;
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::delivery::{
    ApplicationKey, DeliveryError, Drought, PairStatus, Protection, Settings,
};
use bellwether_protocol::keys::{KeyId, Refusal};
use bellwether_units::{EntityId, NodeId, Purpose, Stream};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Remembers what was asked, and gives keys of a fixed stream.
#[derive(Default)]
struct Double {
    asked: Mutex<Vec<EncKeysWanted>>,
    fetched: Mutex<Vec<DecKeysWanted>>,
    refuse: Option<DeliveryError>,
    downgraded: bool,
}

impl Double {
    fn keys(&self, number: u32, bits: usize) -> Result<Vec<ApplicationKey>, DeliveryError> {
        if let Some(error) = &self.refuse {
            return Err(error.clone());
        }
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("keys of the test"));
        let protection = if self.downgraded { Protection::PostQuantumOnly } else { Protection::Hybrid };
        let key = |_| ApplicationKey {
            id: KeyId::random(&mut stream),
            key: SecretBits::random(bits, &mut stream),
            protection,
            routes: Vec::new(),
            nodes: vec![NodeId(0), NodeId(1)],
        };
        Ok((0..number).map(key).collect())
    }
}

impl KeyService for Double {
    async fn enc_keys(&self, wanted: EncKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let (number, bits) = (wanted.number, wanted.bits.unwrap_or(256));
        self.asked.lock().expect("no panic").push(wanted);
        self.keys(number, bits as usize)
    }
    async fn dec_keys(&self, wanted: DecKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let number = wanted.ids.len() as u32;
        self.fetched.lock().expect("no panic").push(wanted);
        self.keys(number, 256)
    }
    async fn status(&self, _: &SaeName, _: &SaeName) -> Result<PairStatus, DeliveryError> {
        if let Some(error) = &self.refuse {
            return Err(error.clone());
        }
        Ok(PairStatus {
            source: NodeId(0),
            target: NodeId(1),
            key_size: 256,
            stored_key_count: 200,
            max_key_count: 100,
            max_key_per_request: 128,
            max_key_size: 4096,
            min_key_size: 64,
            max_sae_id_count: 7,
        })
    }
    fn node_name(&self, node: NodeId) -> String {
        format!("node-{}", node.0)
    }
}

const ID: &str = "bc490419-7d60-487f-adc1-4ddcc177c139";

async fn ask(double: Double, method: &str, path: &str, body: &str) -> (u16, Value, Response<()>) {
    let (answer, _) = ask_and_keep(double, method, path, body).await;
    answer
}

async fn ask_and_keep(
    double: Double,
    method: &str,
    path: &str,
    body: &str,
) -> ((u16, Value, Response<()>), Arc<Double>) {
    let double = Arc::new(double);
    let interface = Etsi014::new(Arc::clone(&double), Compatibility::default());
    let caller = SaeName::new("bank-a").expect("a valid name");
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let (head, body) = interface.answer(&caller, request).await.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    let value = serde_json::from_slice(&bytes).expect("every body is JSON");
    ((head.status.as_u16(), value, Response::from_parts(head, ())), double)
}

#[tokio::test]
async fn simple_and_full_requests_reach_the_key_manager_alike() {
    let path = "/api/v1/keys/bank-b/enc_keys";
    let ((code, body, head), double) =
        ask_and_keep(Double::default(), "GET", &format!("{path}?number=3&size=1024"), "").await;
    assert_eq!(code, 200);
    assert_eq!(head.headers()[CACHE_CONTROL], "no-store");
    let keys = body["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 3);
    for key in keys {
        let members: Vec<&String> = key.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["key", "key_ID"]);
        // 1024 bits are 128 bytes, 172 characters of base64 with padding.
        assert_eq!(key["key"].as_str().expect("base64").len(), 172);
    }
    let simple = double.asked.lock().expect("no panic").remove(0);
    let full = r#"{"number":3,"size":1024}"#;
    let (_, double) = ask_and_keep(Double::default(), "POST", path, full).await;
    assert_eq!(double.asked.lock().expect("no panic").remove(0), simple);
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_the_key_manager_is_asked() {
    let enc = "/api/v1/keys/bank-b/enc_keys";
    let dec = "/api/v1/keys/bank-b/dec_keys";
    for (method, path, body, code, message) in [
        ("GET", "/api/v1/keys/bank-b/enc_keys?size=257", "", 400, "size shall be a multiple of 8"),
        ("POST", enc, r#"{"size":257}"#, 400, "size shall be a multiple of 8"),
        (
            "POST",
            enc,
            r#"{"extension_mandatory":[{"abc_route":"direct"}]}"#,
            400,
            "not all extension_mandatory parameters are supported",
        ),
        ("POST", enc, "{nonsense", 400, "the body is not JSON"),
        ("POST", dec, "", 400, "key_IDs must name at least one key_ID"),
        ("GET", dec, "", 400, "key_IDs must name at least one key_ID"),
        ("PUT", enc, "", 405, "this path knows GET and POST only"),
        ("GET", "/api/v1/keys", "", 404, "no such path"),
    ] {
        let ((got, body, _), double) = ask_and_keep(Double::default(), method, path, body).await;
        assert_eq!(got, code, "{method} {path}");
        let text = body["message"].as_str().expect("an Error body");
        assert!(text.starts_with(message), "{text}");
        assert!(double.asked.lock().expect("no panic").is_empty());
        assert!(double.fetched.lock().expect("no panic").is_empty());
    }
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(64 << 10));
    assert_eq!(ask(Double::default(), "POST", enc, &long).await.0, 413);
}

#[tokio::test]
async fn refusals_of_the_key_manager_have_the_standards_codes_and_an_error_body() {
    let refused = |error| Double { refuse: Some(error), ..Double::default() };
    let enc = "/api/v1/keys/bank-b/enc_keys";
    let (code, body, _) = ask(refused(DeliveryError::NotAllowed), "GET", enc, "").await;
    assert_eq!(code, 401);
    assert!(body["message"].is_string());
    let dry = |drought| refused(DeliveryError::Insufficient { available: 3, drought });
    let (_, body, _) = ask(dry(Some(Drought { reason: Refusal::LinkCut, paths: 3 })), "GET", enc, "").await;
    assert_eq!(body["details"], json!([{ "available_bits": 3 }, { "cause": "link-cut" }]));
    assert!(body["message"].as_str().is_some_and(|text| text.contains("fewer than 3 routes")), "{body}");
    let (code, body, head) = ask(dry(None), "GET", enc, "").await;
    assert_eq!((code, &body["details"]), (503, &json!([{ "available_bits": 3 }])));
    assert!(head.headers().contains_key(RETRY_AFTER));
    let dec = format!("/api/v1/keys/bank-b/dec_keys?key_ID={ID}");
    let (code, body, _) = ask(refused(DeliveryError::NotFound), "GET", &dec, "").await;
    assert_eq!(code, 400);
    assert_eq!(body["message"], "one or more keys specified are not found on KME");
}

#[tokio::test]
async fn extensions_come_back_only_when_asked_for_or_when_a_key_is_weaker() {
    let enc = "/api/v1/keys/bank-b/enc_keys";
    let wish = r#"{"extension_optional":[{"bellwether_metadata":true}]}"#;
    let (_, body, _) = ask(Double::default(), "POST", enc, wish).await;
    let origin = &body["keys"][0]["key_extension"];
    assert_eq!(origin["bellwether_protection"], "hybrid");
    assert_eq!(origin["bellwether_nodes"], json!(["node-0", "node-1"]));
    let weaker = Double { downgraded: true, ..Double::default() };
    let (_, body, _) = ask(weaker, "GET", enc, "").await;
    assert_eq!(body["keys"][0]["key_extension"]["bellwether_protection"], "post-quantum-only");
}

#[tokio::test]
async fn status_has_every_member_of_the_standard_and_counts_no_more_than_its_limit() {
    let (code, body, _) = ask(Double::default(), "GET", "/api/v1/keys/bank-b/status", "").await;
    let expected = json!({
        "source_KME_ID": "node-0", "target_KME_ID": "node-1", "master_SAE_ID": "bank-a",
        "slave_SAE_ID": "bank-b", "key_size": 256, "stored_key_count": 100, "max_key_count": 100,
        "max_key_per_request": 128, "max_key_size": 4096, "min_key_size": 64, "max_SAE_ID_count": 7,
    });
    assert_eq!((code, body), (200, expected));
}

#[tokio::test]
async fn the_description_names_every_path() {
    let (code, body, _) = ask(Double::default(), "GET", "/api/v1/openapi.json", "").await;
    assert_eq!(code, 200);
    assert_eq!(body["paths"].as_object().expect("paths").len(), 3);
}

#[tokio::test]
async fn the_description_has_the_limits_of_a_key_manager() {
    let (_, body, _) = ask(Double::default(), "GET", "/api/v1/openapi.json", "").await;
    let limits = Settings::default();
    let query = &body["paths"]["/api/v1/keys/{slave_SAE_ID}/enc_keys"]["get"]["parameters"];
    let schemas = &body["components"]["schemas"];
    let request = &schemas["KeyRequest"]["properties"];
    for (number, size) in [(&query[0]["schema"], &query[1]["schema"]), (&request["number"], &request["size"])]
    {
        assert_eq!(number["maximum"], limits.max_keys_per_request);
        assert_eq!(size["minimum"], limits.min_key_bits);
        assert_eq!(size["maximum"], limits.max_key_bits);
    }
    let in_all = format!("at most {} bits", limits.max_request_bits);
    assert!(query[0]["description"].as_str().expect("a text").contains(&in_all));
    assert_eq!(request["additional_slave_SAE_IDs"]["maxItems"], limits.max_additional_slaves);
    assert_eq!(schemas["KeyIDs"]["properties"]["key_IDs"]["maxItems"], limits.max_keys_per_request);
}
