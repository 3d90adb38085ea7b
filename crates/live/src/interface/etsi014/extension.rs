//! Extensions: ETSI GS QKD 014 V1.1.1, clause 6.2 and annex A name none, so these are Bellwether's own.
//!
//! | name | value | where | effect |
//! |---|---|---|---|
//! | `bellwether_metadata` | `true` | mandatory or optional, enc_keys | each key carries a `key_extension` with its protection and the nodes that have seen it |
//!
//! A request with any extension gets that `key_extension` as well, since its client expects extensions; others get
//! none, for clients exist that refuse a key with members they do not know. Only a key without its quantum part
//! says so to everyone.

use super::refusal::Refusal;
use serde_json::Value;

/// The extension that asks where a key came from.
const METADATA: &str = "bellwether_metadata";

/// The extensions that a request names, with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) mandatory: Vec<(String, Value)>,
    pub(super) optional: Vec<(String, Value)>,
}

impl Extensions {
    /// Whether the request carries any.
    pub(super) fn any(&self) -> bool {
        !self.mandatory.is_empty() || !self.optional.is_empty()
    }

    /// Refuses what must be met and cannot, in the standard's words. Optional ones are met where they can be.
    ///
    /// # Errors
    /// 400 with the text of table 8.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.mandatory.iter().any(|(name, _)| name != METADATA) {
            let text = "not all extension_mandatory parameters are supported";
            return Err(Refusal::bad_request(text.to_owned()));
        }
        if self.mandatory.iter().any(|(_, value)| value != &Value::Bool(true)) {
            let text = "not all extension_mandatory request options could be met";
            return Err(Refusal::bad_request(text.to_owned()));
        }
        Ok(())
    }
}

/// The names and values in an array of objects.
pub(super) fn names(member: &str, value: &Value) -> Result<Vec<(String, Value)>, Refusal> {
    let wrong = || Refusal::bad_request(format!("{member} must be an array of objects"));
    let mut pairs = Vec::new();
    for entry in value.as_array().ok_or_else(wrong)? {
        for (name, value) in entry.as_object().ok_or_else(wrong)? {
            pairs.push((name.clone(), value.clone()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mandatory_extensions_are_met_or_refused_in_the_standards_words() {
        let check = |value: Value| {
            let mandatory = names("extension_mandatory", &value).expect("an array of objects");
            Extensions { mandatory, optional: Vec::new() }.check().map_err(|refusal| refusal.message)
        };
        assert_eq!(check(json!([{ "bellwether_metadata": true }])), Ok(()));
        assert_eq!(
            check(json!([{ "abc_route_type": "direct" }])),
            Err("not all extension_mandatory parameters are supported".to_owned())
        );
        assert_eq!(
            check(json!([{ "bellwether_metadata": 5 }])),
            Err("not all extension_mandatory request options could be met".to_owned())
        );
    }
}
