//! Paths and queries of ETSI GS QKD 014 V1.1.1, clause 5: `/api/v1/keys/{SAE_ID}/{method}`.

use super::refusal::Refusal;
use bellwether_protocol::keys::delivery::SaeName;
use hyper::Method as HttpMethod;

/// One of the three methods, and the SAE that its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `GET .../{slave_SAE_ID}/status`, clause 5.1.
    Status(SaeName),
    /// `POST` or `GET .../{slave_SAE_ID}/enc_keys`, clause 5.2.
    EncKeys(SaeName),
    /// `POST` or `GET .../{master_SAE_ID}/dec_keys`, clause 5.3.
    DecKeys(SaeName),
    /// The description of this interface.
    Description,
}

/// Which call a path and an HTTP method make.
///
/// # Errors
/// 404 for any other path, 405 for a method that the call does not know, 400 for a name that cannot be one.
pub(super) fn call_of(method: &HttpMethod, path: &str) -> Result<Call, Refusal> {
    if path == "/api/v1/openapi.json" {
        return allow(method, &[HttpMethod::GET]).map(|()| Call::Description);
    }
    let rest = path.strip_prefix("/api/v1/keys/").ok_or_else(|| no_such_path(path))?;
    let (encoded, name) = rest.split_once('/').ok_or_else(|| no_such_path(path))?;
    let methods: &[HttpMethod] = match name {
        "status" => &[HttpMethod::GET],
        "enc_keys" | "dec_keys" => &[HttpMethod::GET, HttpMethod::POST],
        _ => return Err(no_such_path(path)),
    };
    allow(method, methods)?;
    let decoded = percent_decoded(encoded)?;
    let sae =
        SaeName::new(&decoded).map_err(|e| Refusal::bad_request(format!("the SAE_ID in the path: {e}")))?;
    Ok(match name {
        "status" => Call::Status(sae),
        "enc_keys" => Call::EncKeys(sae),
        _ => Call::DecKeys(sae),
    })
}

fn allow(method: &HttpMethod, methods: &'static [HttpMethod]) -> Result<(), Refusal> {
    if methods.contains(method) { Ok(()) } else { Err(Refusal::method_not_allowed(methods)) }
}

fn no_such_path(path: &str) -> Refusal {
    let shown: String = path.chars().take(80).collect();
    Refusal::not_found(format!(
        "no such path: `{shown}`; there are /api/v1/keys/{{SAE_ID}}/status, /enc_keys and /dec_keys"
    ))
}

/// Undoes percent-encoding (RFC 3986, section 2.1) exactly once.
pub(super) fn percent_decoded(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Refusal::bad_request("`%` must be followed by two hexadecimal digits".into()));
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| Refusal::bad_request("the path is not UTF-8 once decoded".into()))
}

/// The names and values of a query, decoded; a `+` stays what it is.
pub(super) fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((percent_decoded(name)?, percent_decoded(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_call_and_an_sae_decoded_once() {
        let name = |text: &str| SaeName::new(text).expect("a valid name");
        let call = |path: &str| call_of(&HttpMethod::GET, path).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(call("/api/v1/keys/bank-b/status"), Ok(Call::Status(name("bank-b"))));
        assert_eq!(call("/api/v1/keys/bank%2Db/dec_keys"), Ok(Call::DecKeys(name("bank-b"))));
        assert_eq!(call("/api/v1/keys/a%252Db/enc_keys"), Ok(Call::EncKeys(name("a%2Db"))));
        assert_eq!(call("/api/v1/keys/a%2/enc_keys"), Err(400));
        assert_eq!(call("/api/v1/keys//enc_keys"), Err(400));
        assert_eq!(call("/api/v1/keys/a/b/enc_keys"), Err(404));
        assert_eq!(call("/api/v2/keys/a/enc_keys"), Err(404));
        let posted = call_of(&HttpMethod::POST, "/api/v1/keys/a/status").expect_err("status is read only");
        assert_eq!(posted.status.as_u16(), 405);
    }
}
