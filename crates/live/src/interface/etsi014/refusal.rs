//! Answers other than 200: a status code and the standard's Error body, on every one of them.

use crate::interface::operations::words;
use bellwether_protocol::keys::delivery::DeliveryError;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

/// Why a request is not served, as the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// The standard's `details`: names and values.
    pub(super) details: Vec<(&'static str, Value)>,
    /// Seconds after which another try is worth while.
    pub(super) retry_after: Option<u64>,
    /// The methods that the path knows, for 405.
    pub(super) allowed: &'static [Method],
}

impl Refusal {
    fn new(status: StatusCode, message: String) -> Self {
        Self { status, message, details: Vec::new(), retry_after: None, allowed: &[] }
    }
    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    pub(super) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message.to_owned())
    }
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned())
    }
    pub(super) fn method_not_allowed(allowed: &'static [Method]) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let message = format!("this path knows {} only", names.join(" and "));
        Self { allowed, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }
    pub(super) fn unavailable(message: String, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    pub(super) fn with_detail(mut self, name: &'static str, value: Value) -> Self {
        self.details.push((name, value));
        self
    }

    /// The answer to a caller whom the key manager refused.
    ///
    /// The standard has 400, 401 and 503 alone; its fixed texts stand where it gives one (clause 5 and table 9).
    /// `unknown_key_status` is 400 by the letter and 404 for clients that expect that.
    pub(super) fn of_delivery(error: &DeliveryError, unknown_key_status: StatusCode) -> Self {
        match error {
            DeliveryError::NotAllowed => Self::unauthorized("the SAE is not authorised for this pair or key"),
            DeliveryError::NotFound => {
                let text = "one or more keys specified are not found on KME";
                Self::new(unknown_key_status, text.to_owned())
            }
            DeliveryError::Size { .. }
            | DeliveryError::Number { .. }
            | DeliveryError::TooManySlaves { .. } => Self::bad_request(error.to_string()),
            DeliveryError::Insufficient { available, drought } => {
                let refusal = Self::unavailable(error.to_string(), 1);
                let refusal = refusal.with_detail("available_bits", json!(available));
                match drought {
                    Some(drought) => refusal.with_detail("cause", json!(words::refusal(drought.reason))),
                    None => refusal,
                }
            }
            DeliveryError::RateLimited { retry_after } => {
                Self::unavailable(error.to_string(), retry_after.seconds().ceil().max(1.0) as u64)
            }
            _ => Self::unavailable(error.to_string(), 1),
        }
    }

    /// The standard's Error body, table 12: `message` and, where there are any, `details`.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Map::new();
        body.insert("message".to_owned(), Value::from(self.message.as_str()));
        if !self.details.is_empty() {
            let details = self.details.iter().map(|(name, value)| json!({ *name: value })).collect();
            body.insert("details".to_owned(), Value::Array(details));
        }
        Value::Object(body).to_string().into_bytes()
    }
}
