//! The JSON Schema of network files, for editors that complete and check as one writes.

use crate::record::generate::GENERATE;
use crate::record::network::FILE;
use crate::record::{Field, Kind, Presence, QuantityKind, Range, Record, Word};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of a network file, seen as JSON.
///
/// It says what a file may contain key by key: names, units, words, ranges. What only holds of the file as a
/// whole (that a link's nodes exist, that probabilities sum to one) is for [`Network`](crate::Network) to say.
///
/// ```
/// let schema = bellwether_network::schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// assert!(schema["$defs"]["fibre"]["properties"]["length"]["pattern"].is_string());
/// ```
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut file = table(&FILE);
    define(&FILE, &mut definitions);
    if let Value::Object(file) = &mut file {
        file.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        file.insert("title".to_owned(), json!("Bellwether network file"));
        file.insert("$defs".to_owned(), Value::Object(definitions));
    }
    file
}

/// Puts all records below a record into the definitions.
fn define(record: &'static Record, definitions: &mut Map<String, Value>) {
    for field in record.fields {
        let (Kind::Table(inner)
        | Kind::TableOrProfile(inner)
        | Kind::Named(inner)
        | Kind::NamedSaes(inner)
        | Kind::List(inner)) = field.kind
        else {
            continue;
        };
        if !definitions.contains_key(inner.name) {
            definitions.insert(inner.name.to_owned(), table(inner));
            define(inner, definitions);
        }
    }
}

fn table(record: &'static Record) -> Value {
    let properties: Map<String, Value> =
        record.fields.iter().map(|field| (field.key.to_owned(), property(field))).collect();
    let mut schema = json!({
        "type": "object",
        "description": record.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<_> = record
        .fields
        .iter()
        .filter(|field| is_required(record, field) && field.only.is_empty())
        .map(|field| field.key)
        .collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let mut conditions: Vec<Value> =
        record.fields.iter().flat_map(|field| conditions(record, field)).collect();
    if record.field("transmitter_at").is_some() {
        conditions.push(json!({ "oneOf": [
            { "required": ["ends"] },
            { "required": ["transmitter_at", "receiver_at"] },
        ] }));
    }
    for (first, second) in EXCLUSIVE {
        if record.field(first).is_some() && record.field(second).is_some() {
            conditions.push(json!({ "not": { "required": [first, second] } }));
        }
    }
    if record.name == GENERATE.name {
        conditions.push(json!({ "not": { "required": ["link", "entangling"] } }));
    }
    if !conditions.is_empty() {
        schema["allOf"] = json!(conditions);
    }
    schema
}

/// Keys of which a table has only one.
const EXCLUSIVE: [(&str, &str); 4] =
    [("loss_per_length", "total_loss"), ("at", "arms"), ("fidelity", "bell_diagonal"), ("path", "links")];

fn is_required(record: &Record, field: &Field) -> bool {
    field.presence == Presence::Required && !record.layered
}

/// That a key only has a meaning with certain choices, and with which it must be there.
fn conditions(record: &'static Record, field: &'static Field) -> Vec<Value> {
    let mut conditions = Vec::new();
    for only in field.only {
        let Some(Field { kind: Kind::Choice(words), .. }) = record.field(only.key) else { continue };
        let others: Vec<_> =
            words.iter().map(|word| word.word).filter(|word| !only.values.contains(word)).collect();
        conditions.push(json!({
            "if": { "properties": { only.key: { "enum": others } }, "required": [only.key] },
            "then": { "properties": { field.key: false } },
        }));
    }
    if !field.only.is_empty() && is_required(record, field) {
        let chosen: Map<String, Value> =
            field.only.iter().map(|only| (only.key.to_owned(), json!({ "enum": only.values }))).collect();
        let keys: Vec<_> = field.only.iter().map(|only| only.key).collect();
        conditions.push(json!({
            "if": { "properties": chosen, "required": keys },
            "then": { "required": [field.key] },
        }));
    }
    conditions
}

fn property(field: &'static Field) -> Value {
    let mut schema = value(&field.kind);
    schema["description"] = json!(field.doc);
    if let Presence::Default(text) = field.presence {
        schema["default"] = match &field.kind {
            Kind::Integer { .. } | Kind::Number(_) | Kind::PerEnd(Kind::Integer { .. } | Kind::Number(_)) => {
                text.parse::<f64>().map_or(json!(text), |n| {
                    // A whole number stands in the schema as one.
                    if n.fract() == 0.0 && n.abs() < 1e15 { json!(n as i64) } else { json!(n) }
                })
            }
            Kind::Flag => json!(text == "true"),
            _ => json!(text),
        };
    }
    schema
}

/// What a value of a kind may be.
fn value(kind: &'static Kind) -> Value {
    match kind {
        Kind::QuantityOr(kind, word) => {
            let word = json!({ "const": word.word, "description": word.doc });
            json!({ "anyOf": [quantity(kind), word] })
        }
        Kind::Several { item, least, most } => {
            json!({ "type": "array", "items": value(item), "minItems": least, "maxItems": most })
        }
        Kind::PerEnd(item) => {
            let each = json!({ "type": "array", "items": value(item), "minItems": 2, "maxItems": 2 });
            json!({ "anyOf": [value(item), each] })
        }
        Kind::Text => json!({ "type": "string" }),
        Kind::Name => name(),
        Kind::SaeName => sae_name(),
        Kind::Address => address(),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TwoNodes => {
            json!({ "type": "array", "items": name(), "minItems": 2, "maxItems": 2, "uniqueItems": true })
        }
        Kind::Position => json!({
            "type": "array",
            "items": quantity(&crate::record::quantities::ANGLE),
            "minItems": 2,
            "maxItems": 2,
        }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number(range) => number(range),
        Kind::Quantity(kind) => quantity(kind),
        Kind::Choice(words) => choice(words),
        Kind::Choices(words) => {
            json!({ "type": "array", "items": choice(words), "minItems": 1, "uniqueItems": true })
        }
        Kind::Table(inner) => reference(inner),
        Kind::TableOrProfile(inner) => json!({ "anyOf": [reference(inner), name()] }),
        Kind::Named(inner) => json!({
            "type": "object",
            "propertyNames": name(),
            "additionalProperties": reference(inner),
        }),
        Kind::NamedSaes(inner) => json!({
            "type": "object",
            "propertyNames": sae_name(),
            "additionalProperties": reference(inner),
        }),
        Kind::List(inner) => json!({ "type": "array", "items": reference(inner) }),
    }
}

fn reference(record: &Record) -> Value {
    json!({ "$ref": format!("#/$defs/{}", record.name.replace(' ', "%20")) })
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[\\p{L}\\p{N}\\p{M}_-]{1,64}$" })
}

fn sae_name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=%-]{1,64}$" })
}

/// Near enough to what is an address for an editor; the reader knows exactly.
fn address() -> Value {
    json!({
        "type": "string",
        "pattern": "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.%]+\\]):[0-9]{1,5}$",
        "examples": ["127.0.0.1:4430", "[::1]:4430"],
    })
}

fn number(range: &Range) -> Value {
    let least = if range.least_allowed { "minimum" } else { "exclusiveMinimum" };
    let most = if range.most_allowed { "maximum" } else { "exclusiveMaximum" };
    json!({ "type": "number", least: range.least, most: range.most })
}

fn choice(words: &[Word]) -> Value {
    let each: Vec<_> =
        words.iter().map(|word| json!({ "const": word.word, "description": word.doc })).collect();
    json!({ "type": "string", "oneOf": each })
}

fn quantity(kind: &QuantityKind) -> Value {
    // A level in dBm and an angle may be negative; whether a kind may, its own parser knows.
    let negative = kind.units.iter().any(|unit| (kind.check)(&format!("-1 {}", unit.name)).is_ok());
    let sign = if negative { "[+-]?" } else { "[+]?" };
    let units: Vec<_> = kind.units.iter().map(|unit| unit.name.replace('/', "\\/")).collect();
    let pattern =
        format!("^\\s*{sign}([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?\\s*({})\\s*$", units.join("|"));
    json!({ "type": "string", "pattern": pattern, "examples": [kind.example] })
}
