//! A client of any ETSI GS QKD 014 V1.1.1 server.

use crate::hex;
use crate::identity::Identity;
use crate::identity::tls::{self, TlsError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::keys::KeyId;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use zeroize::Zeroize;

/// Answers are at most this long, in bytes.
const ANSWER_LIMIT: usize = 64 << 20;
/// The pause before asking again a server that does not name one.
const AGAIN: Duration = Duration::from_millis(500);

/// Why keys were not got.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("`{0}` is no address of a key manager: write https://HOST:PORT")]
    Address(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server cannot be reached, or the handshake failed.
    #[error("cannot reach {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// HTTP broke off.
    #[error("the connection to the key manager broke off: {0}")]
    Http(String),
    /// No answer in time. Keys that were asked for may be spent.
    #[error("the key manager did not answer in time")]
    Silent,
    /// The server refused.
    #[error("the key manager answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The message of its Error body, if it had one.
        message: String,
        /// Seconds to wait, if it said so.
        retry_after: Option<u64>,
    },
    /// The answer is not what the standard says.
    #[error("the key manager's answer is not what ETSI GS QKD 014 says: {0}")]
    Answer(String),
}

/// A key and its name.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// The bits.
    pub key: SecretBits,
    /// What the server says besides.
    pub extension: Option<Value>,
}

/// A client of one key manager, for one application. It keeps one connection for the next question.
pub struct Client {
    host: String,
    port: u16,
    connector: TlsConnector,
    patience: Duration,
    /// A connection on which every question was answered.
    kept: Mutex<Option<Connection>>,
}

type Connection = http1::SendRequest<Full<Bytes>>;

impl Client {
    /// A client of the key manager at `url` (`https://HOST:PORT`), for the application that `identity` names.
    /// With `expected`, the server's certificate must also name that key manager.
    ///
    /// # Errors
    /// If the address or the certificates cannot be used.
    pub fn new(
        url: &str,
        identity: &Identity,
        key_managers: RootCertStore,
        expected: Option<&str>,
    ) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(url.to_owned());
        let authority = url.strip_prefix("https://").ok_or_else(wrong)?;
        let authority: hyper::http::uri::Authority =
            authority.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let config = tls::application_client(identity, key_managers, expected)?;
        let port = authority.port_u16().unwrap_or(443);
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { host, port, connector, patience: Duration::from_secs(30), kept: Mutex::default() })
    }

    /// "Get status" with `slave`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self, slave: &str) -> Result<Value, ClientError> {
        let body = self.ask(Method::GET, &path(slave, "status"), None).await?;
        serde_json::from_slice(&body).map_err(|e| ClientError::Answer(e.to_string()))
    }

    /// "Get key": `number` fresh keys of `bits` bits (the server's default if `None`) to share with `slave`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, slave: &str, number: u32, bits: Option<u32>) -> Result<Vec<Key>, ClientError> {
        let mut wish = json!({ "number": number });
        if let Some(bits) = bits {
            wish["size"] = json!(bits);
        }
        self.keys(&path(slave, "enc_keys"), &wish).await
    }

    /// "Get key with key IDs": the keys of these names that `master` was given.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_by_id(&self, master: &str, ids: &[String]) -> Result<Vec<Key>, ClientError> {
        let ids: Vec<Value> = ids.iter().map(|id| json!({ "key_ID": id })).collect();
        self.keys(&path(master, "dec_keys"), &json!({ "key_IDs": ids })).await
    }

    async fn keys(&self, path: &str, wish: &Value) -> Result<Vec<Key>, ClientError> {
        let body = self.ask(Method::POST, path, Some(wish)).await?;
        read_keys(&body)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, ClientError> {
        timeout(self.patience, self.ask_patiently(method, path, body))
            .await
            .map_err(|_| ClientError::Silent)?
    }

    async fn ask_patiently(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, ClientError> {
        let address = format!("{}:{}", self.host, self.port);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .map_err(|e| ClientError::Http(e.to_string()))?;
        let (answer, connection) = self.send(request, &address).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        let body = body.map_err(|e| ClientError::Http(e.to_string()))?.to_bytes();
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let error: Option<Value> = serde_json::from_slice(&body).ok();
        let message = error.as_ref().and_then(|error| error["message"].as_str());
        let retry_after = head.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let message = message.unwrap_or("(no Error body)").to_owned();
        Err(ClientError::Refused { status: head.status, message, retry_after })
    }
}

impl Client {
    /// Sends a request on the connection that was kept, or on a new one. A request that may have arrived is not sent
    /// again.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        address: &str,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let http = |e: hyper::Error| ClientError::Http(e.to_string());
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut connection) = kept
            && connection.ready().await.is_ok()
        {
            match connection.try_send_request(request).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(http(error.into_error())),
                },
            }
        }
        let connect = |source| ClientError::Connect { address: address.to_owned(), source };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| ClientError::Address(self.host.clone()))?;
        let stream = self.connector.connect(name, stream).await.map_err(connect)?;
        let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        // It ends with the connection.
        tokio::spawn(driver);
        let answer = connection.send_request(request).await.map_err(http)?;
        Ok((answer, connection))
    }
}

/// Asks again, after what the server says or half a second, while the server has too little key or too many requests
/// or cannot be reached; for `patience` in all. What may have spent keys is never asked again.
///
/// # Errors
/// What came last.
pub async fn patiently<T, F>(patience: Duration, ask: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let end = Instant::now() + patience;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = match &error {
            ClientError::Connect { .. } => AGAIN,
            ClientError::Refused { status, retry_after, .. } if [429, 503].contains(&status.as_u16()) => {
                retry_after.map_or(AGAIN, Duration::from_secs)
            }
            _ => return Err(error),
        };
        if Instant::now() + pause > end {
            return Err(error);
        }
        sleep(pause).await;
    }
}

/// A path of the standard, the name encoded as a URL wants it: `method` of what concerns `sae`.
pub fn path(sae: &str, method: &str) -> String {
    let mut encoded = String::with_capacity(sae.len());
    for byte in sae.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("/api/v1/keys/{encoded}/{method}")
}

fn read_keys(body: &[u8]) -> Result<Vec<Key>, ClientError> {
    #[derive(Deserialize)]
    struct Container {
        keys: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "key_ID")]
        id: String,
        key: String,
        key_extension: Option<Value>,
    }
    // The parser's message may quote the body, which holds key: it is not passed on.
    let answer = |what: &str| ClientError::Answer(what.to_owned());
    let container: Container =
        serde_json::from_slice(body).map_err(|_| answer("the body is no key container"))?;
    let mut keys = Vec::with_capacity(container.keys.len());
    for mut entry in container.keys {
        let id = hex::uuid(&entry.id).map(KeyId).ok_or_else(|| answer("a key_ID is no UUID"))?;
        let raw = STANDARD.decode(entry.key.as_bytes());
        entry.key.zeroize();
        let mut raw = raw.map_err(|_| answer("a key is not base64"))?;
        let key = SecretBits::new(BitString::from_bytes(&raw, raw.len() * 8));
        raw.zeroize();
        keys.push(Key { id, key, extension: entry.key_extension });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_keys_are_read() {
        assert_eq!(path("a b/c", "status"), "/api/v1/keys/a%20b%2Fc/status");
        let body = br#"{"keys":[{"key_ID":"bc490419-7d60-487f-adc1-4ddcc177c139","key":"AAEC"}]}"#;
        let keys = read_keys(body).unwrap();
        assert_eq!(keys[0].id.to_string(), "bc490419-7d60-487f-adc1-4ddcc177c139");
        assert_eq!(keys[0].key.expose().to_bytes(), [0, 1, 2]);
        for bad in [&b"{}"[..], b"[]", br#"{"keys":[{"key_ID":"x","key":""}]}"#] {
            assert!(matches!(read_keys(bad), Err(ClientError::Answer(_))));
        }
    }
}
