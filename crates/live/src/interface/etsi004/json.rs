//! The calls as JSON over HTTPS, in the shape of the OpenAPI description of AIT's push mode for ETSI GS QKD 004, but
//! pulled: `get-key` brings the chunk in its answer.
//!
//! | call | request |
//! |---|---|
//! | OPEN_CONNECT | `POST /api/v1/kms/etsi004/open-connect` |
//! | GET_KEY | `POST` or `GET /api/v1/kms/etsi004/get-key` |
//! | CLOSE | `PUT` or `POST /api/v1/kms/etsi004/close` |
//!
//! Every answer to a call has its `status`; HTTP's own is 200 for 0 and 1, 400 for 3, 5 and 8, and 500 for 2, 4, 6
//! and 7. What is no call is answered with 400, 404, 405, 408, 413 or 503 and a `message`.

use super::status::{Call, Status};
use super::{Etsi004, METADATA_BYTES, METADATA_TYPE, OpenAsked};
use crate::hex;
use crate::interface::etsi014::respond;
use crate::interface::http::Handler;
use crate::interface::service::StreamService;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwether_protocol::keys::delivery::{KeyStreamId, SaeName, StreamQos};
use core::time::Duration;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const PREFIX: &str = "/api/v1/kms/etsi004/";
/// The longest body, and how long it may take to arrive.
const BODY_LIMIT: usize = 16 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize, Default)]
struct Qos {
    key_chunk_size: Option<u32>,
    max_bps: Option<u32>,
    min_bps: Option<u32>,
    jitter: Option<u32>,
    priority: Option<u32>,
    timeout: Option<u32>,
    ttl: Option<u32>,
    metadata_mimetype: Option<String>,
}

#[derive(Deserialize)]
struct Open {
    source: String,
    destination: String,
    key_stream_id: Option<String>,
    #[serde(default)]
    qos: Option<Qos>,
}

#[derive(Deserialize)]
struct Get {
    key_stream_id: String,
    index: u32,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    size: Option<u32>,
}

#[derive(Deserialize)]
struct Close {
    key_stream_id: String,
}

/// What is no call.
type NoCall = (StatusCode, String);

impl<S: StreamService> Handler for Etsi004<S> {
    type Body = Full<Bytes>;

    async fn answer(&self, caller: &SaeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.call(caller, request).await.unwrap_or_else(|(status, message)| {
            respond(status, Zeroizing::new(json!({ "message": message }).to_string().into_bytes()))
        })
    }
    fn busy(&self) -> Response<Full<Bytes>> {
        let body = json!({ "message": "too many requests of this SAE are under way" }).to_string();
        respond(StatusCode::SERVICE_UNAVAILABLE, Zeroizing::new(body.into_bytes()))
    }
}

impl<S: StreamService> Etsi004<S> {
    async fn call(
        &self,
        caller: &SaeName,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, NoCall> {
        let (head, body) = request.into_parts();
        let unknown = || (StatusCode::NOT_FOUND, "there is nothing at this path".to_owned());
        let call = match head.uri.path().strip_prefix(PREFIX).ok_or_else(unknown)? {
            "open-connect" => Call::Open,
            "get-key" => Call::Get,
            "close" => Call::Close,
            _ => return Err(unknown()),
        };
        let allowed = match call {
            Call::Open => &[Method::POST][..],
            Call::Get => &[Method::POST, Method::GET],
            Call::Close => &[Method::PUT, Method::POST],
        };
        if !allowed.contains(&head.method) {
            let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
            let message = format!("this path knows {} only", names.join(" and "));
            return Err((StatusCode::METHOD_NOT_ALLOWED, message));
        }
        let body = read(body).await?;
        match call {
            Call::Open => self.open_json(caller, &parse(&body)?).await,
            Call::Get => self.get_json(caller, &parse(&body)?).await,
            Call::Close => {
                let close: Close = parse(&body)?;
                let status = self.close(caller, stream_of(&close.key_stream_id)?).await;
                Ok(answer(status, json!({})))
            }
        }
    }

    async fn open_json(&self, caller: &SaeName, open: &Open) -> Result<Response<Full<Bytes>>, NoCall> {
        let asked = open.qos.as_ref();
        let number = |which: fn(&Qos) -> Option<u32>| asked.and_then(which).unwrap_or(0);
        let qos = StreamQos {
            chunk_bytes: number(|qos| qos.key_chunk_size),
            max_bps: number(|qos| qos.max_bps),
            min_bps: number(|qos| qos.min_bps),
            jitter_bps: number(|qos| qos.jitter),
            priority: number(|qos| qos.priority),
            timeout_ms: number(|qos| qos.timeout),
            ttl_seconds: number(|qos| qos.ttl),
        };
        let stream = open.key_stream_id.as_deref().filter(|id| !id.is_empty()).map(stream_of).transpose()?;
        let asked = OpenAsked {
            source: &open.source,
            destination: &open.destination,
            qos,
            mime_type: asked.and_then(|qos| qos.metadata_mimetype.as_deref()).unwrap_or_default(),
            stream: stream.filter(|stream| stream.0 != 0),
        };
        let opened = self.open(caller, asked).await;
        if ![Status::Success, Status::PeerAbsent, Status::QosNotMet].contains(&opened.status) {
            return Ok(answer(opened.status, json!({})));
        }
        let qos = opened.qos;
        let body = json!({
            "source": open.source,
            "destination": open.destination,
            "key_stream_id": opened.stream.map(|stream| stream.to_string()),
            "qos": {
                "key_chunk_size": qos.chunk_bytes,
                "max_bps": qos.max_bps,
                "min_bps": qos.min_bps,
                "jitter": qos.jitter_bps,
                "priority": qos.priority,
                "timeout": qos.timeout_ms,
                "ttl": qos.ttl_seconds,
                "metadata_mimetype": METADATA_TYPE,
            },
        });
        Ok(answer(opened.status, body))
    }

    async fn get_json(&self, caller: &SaeName, get: &Get) -> Result<Response<Full<Bytes>>, NoCall> {
        let stream = stream_of(&get.key_stream_id)?;
        let size = get.metadata.as_ref().and_then(|metadata| metadata.size).unwrap_or(0);
        let (key, metadata) = match self.get(caller, stream, get.index, size).await {
            Ok(got) => got,
            Err(Status::MetadataSize) => {
                let needed = json!({ "metadata": { "size": METADATA_BYTES } });
                return Ok(answer(Status::MetadataSize, needed));
            }
            Err(status) => return Ok(answer(status, json!({}))),
        };
        let bytes = Zeroizing::new(key.key.expose().to_bytes());
        let metadata = json!({ "size": metadata.len(), "buffer": metadata }).to_string();
        let start = format!("{{\"status\":0,\"key_stream_id\":\"{stream}\",\"index\":{},", get.index);
        // Room at once: a buffer that grows leaves unwiped copies of the key behind.
        let room = start.len() + metadata.len() + 64 + bytes.len().div_ceil(3) * 4;
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str(&start);
        text.push_str("\"key_buffer\":\"");
        STANDARD.encode_string(&*bytes, &mut text);
        text.push_str("\",\"metadata\":");
        text.push_str(&metadata);
        text.push('}');
        let body = Zeroizing::new(core::mem::take(&mut *text).into_bytes());
        Ok(respond(StatusCode::OK, body))
    }
}

fn answer(status: Status, mut body: Value) -> Response<Full<Bytes>> {
    body["status"] = json!(status.number());
    let code = match status.number() {
        0 | 1 => StatusCode::OK,
        3 | 5 | 8 => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    respond(code, Zeroizing::new(body.to_string().into_bytes()))
}

async fn read(body: Incoming) -> Result<Bytes, NoCall> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {BODY_LIMIT} bytes")))
        }
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned())),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NoCall> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn stream_of(text: &str) -> Result<KeyStreamId, NoCall> {
    hex::uuid(text)
        .map(KeyStreamId)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, "key_stream_id is no UUID".to_owned()))
}
